//! `openchat listen`: be told of messages without taking part.

mod deliver;
mod hear;

use crate::{
    agent::{self, Caller, Door, Seat},
    args::ListenArgs,
    context::{Context, runtime},
    fault::{Exit, Fault},
    join,
};
use deliver::Delivery;
use hear::{Heard, Listener};
use openchat_client::{
    Ask, End, Follow, FromHolder, Front, Identity, Report, SessionError, Start, Until,
};
use std::{io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::timeout,
};

/// How long a CMD that runs when a signal comes may take to end: less than this process has, so that
/// none is left behind.
const LAST_RUN: Duration = Duration::from_millis(1_500);

pub(crate) fn run(context: &Context, args: ListenArgs) -> Result<Exit, Fault> {
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (_, identity) = context.look()?;
    if let Some(command) = &args.exec {
        deliver::look(command)?;
    }
    context.out.note(&format!("Listening as {}.", identity.name));
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let stop = join::stop_on_signal().map_err(|error| {
            context.hints.session(&identity.server, &SessionError::System(error))
        })?;
        listen(context, &identity, args, &stop).await
    });
    runtime.shutdown_background();
    ended
}

/// Listens to one session after the other, whoever runs it.
async fn listen(
    context: &Context,
    identity: &Identity,
    args: ListenArgs,
    stop: &Notify,
) -> Result<Exit, Fault> {
    let delivery = Delivery::new(&args);
    let mut listener = Listener::new(context, args, delivery);
    loop {
        let (caller, session) = find(context, identity).await?;
        let (to, mut from) = caller.split();
        let heard = hear(&mut listener, (to, &mut from), stop).await;
        let ended = match session {
            Some(session) => session.end().await,
            None => Ok(()),
        };
        match heard? {
            Heard::End(exit) => return Ok(exit),
            // A session of this process's own ends by an error alone.
            Heard::Lost => {
                ended.map_err(|error| context.hints.session(&identity.server, &error))?;
            }
        }
    }
}

/// Listens to this session until it or the listening ends.
async fn hear(
    listener: &mut Listener<'_>,
    (to, from): (mpsc::Sender<Ask>, &mut mpsc::Receiver<FromHolder>),
    stop: &Notify,
) -> Result<Heard, Fault> {
    if to.send(listener.follow()).await.is_err() {
        return Ok(Heard::Lost);
    }
    while !listener.is_stopped() {
        let said = tokio::select! {
            biased;
            () = stop.notified() => {
                listener.stop();
                continue;
            }
            said = from.recv() => said,
        };
        let Some(said) = said else { return Ok(Heard::Lost) };
        let mut is_told = false;
        let heard = {
            let mut hearing = pin!(listener.hear(said, &to));
            tokio::select! {
                heard = &mut hearing => heard,
                () = stop.notified() => {
                    is_told = true;
                    // What CMD does now it may do to its end. One that takes longer is killed with
                    // this, and its message is told again the next time.
                    timeout(LAST_RUN, hearing).await.unwrap_or(Ok(None))
                }
            }
        };
        if is_told {
            listener.stop();
        }
        if let Some(heard) = heard? {
            return Ok(heard);
        }
    }
    Ok(Heard::End(Exit::Interrupted))
}

/// Whoever runs the session; this process does, if nobody else.
async fn find(context: &Context, identity: &Identity) -> Result<(Caller, Option<Running>), Fault> {
    let directory = context.directory();
    let fault = |error| context.hints.session(&identity.server, &error);
    match agent::seat(context, &directory).await? {
        Seat::Taken(caller) => Ok((caller, None)),
        Seat::Free(vault) => {
            let opened = agent::open(context, *vault, identity, Until::Answered, &directory);
            let (session, door) = opened.map_err(fault)?;
            // As long as this is there the session waits for more.
            let (asks, taken) = mpsc::channel(1);
            let stop = Arc::new(Notify::new());
            let task = tokio::spawn(async move { session.run(taken, &stop, &mut Silent).await });
            let caller = Caller::connect(&directory).await.map_err(agent::Refused::fault);
            Ok((caller?, Some(Running { asks, task, door })))
        }
    }
}

/// A session that this process runs.
struct Running {
    asks: mpsc::Sender<Ask>,
    task: JoinHandle<Result<End, SessionError>>,
    door: Option<Door>,
}

impl Running {
    /// Lets it answer whom it has to, and end.
    async fn end(self) -> Result<(), SessionError> {
        drop(self.asks);
        let ended = self.task.await;
        if let Some(door) = self.door {
            door.close().await;
        }
        match ended {
            Ok(ended) => ended.map(|_| ()),
            Err(error) => Err(SessionError::System(io::Error::other(error))),
        }
    }
}

/// Shows nothing: the listener is told by the socket, as it would be by any other process.
struct Silent;

impl Front for Silent {
    fn opened(&mut self, _target: &str) {}

    fn shows(&self, _target: &str) -> bool {
        false
    }

    fn show(&mut self, _reports: &[Report]) -> io::Result<()> {
        Ok(())
    }
}

/// Where to begin for the first time.
fn beginning(args: &ListenArgs) -> Follow {
    Follow { target: args.target.clone(), listener: args.name.clone(), from: args.since.clone() }
}

/// Where to go on in another session.
fn going_on(
    first: &Follow,
    places: std::collections::BTreeMap<String, openchat_wire::Seq>,
) -> Follow {
    Follow { from: Start::Places(places), ..first.clone() }
}
