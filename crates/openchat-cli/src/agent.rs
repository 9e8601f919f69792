//! One session a profile, however many processes want one.
//!
//! Whoever has the lock of the vault runs the session, and serves the others of the same person
//! through a socket beside the vault (`docs/json.md`). When it ends, one of the others takes the
//! lock and goes on. Nobody has to start or stop anything for that (`docs/adr/0030`).

mod caller;
mod holder;
#[cfg(test)]
mod hostile;
mod lines;
mod socket;

pub(crate) use caller::{Caller, Refused};
pub(crate) use holder::Door;

use crate::{
    context::Context,
    fault::{Exit, Fault},
};
use openchat_client::{
    Ask, End, Front, Identity, Remote, Session, SessionError, Until, Vault, VaultError,
};
use std::{io, path::Path, time::Duration};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};

/// The version of what is spoken on the socket. Programs that speak another one say so and end.
const VERSION: u32 = 1;

/// How long the profile may be held by somebody who does not answer: longer than it takes to end,
/// which is the only time when nobody does.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Who runs the session.
pub(crate) enum Seat {
    /// This process may.
    Free(Box<Vault>),
    /// Another one does.
    Taken(Caller),
}

/// Runs the session, or has it run by whoever does already, until all is done.
pub(crate) async fn run(
    context: &Context,
    identity: &Identity,
    until: Until,
    mut orders: mpsc::Receiver<Ask>,
    stop: &Notify,
    front: &mut impl Front,
) -> Result<Result<End, SessionError>, Fault> {
    let directory = context.directory();
    let mut remote = Remote::new(until);
    loop {
        match seat(context, &directory).await? {
            Seat::Free(vault) => {
                let opened = open(context, *vault, identity, until, &directory);
                let (session, door) = match opened {
                    Ok(opened) => opened,
                    Err(error) => return Ok(Err(error)),
                };
                let ended = session.resume(remote.resume()).run(orders, stop, front).await;
                if let Some(door) = door {
                    door.close().await;
                }
                return Ok(ended);
            }
            Seat::Taken(caller) => {
                let (to, mut from) = caller.split();
                match remote.run(&mut orders, stop, front, (to, &mut from)).await {
                    Ok(Some(end)) => return Ok(Ok(end)),
                    Ok(None) => tracing::debug!("whoever ran the session has ended"),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
    }
}

/// A session that serves others, too. Where there can be no socket, as on some file systems, it serves
/// none; they are told that the profile is in use.
pub(crate) fn open(
    context: &Context,
    vault: Vault,
    identity: &Identity,
    until: Until,
    directory: &Path,
) -> Result<(Session, Option<Door>), SessionError> {
    let session = Session::open(vault, identity, until)?;
    let session = session.tell_delivered(context.config.delivered.unwrap_or(true));
    match holder::open(directory) {
        Ok((events, door, file)) => Ok((session.share(events, Box::new(file)), Some(door))),
        Err(error) => {
            tracing::warn!(%error, "other processes of this profile can't be served");
            Ok((session, None))
        }
    }
}

/// Finds out who runs the session. Waits for somebody who is about to begin or to end.
pub(crate) async fn seat(context: &Context, directory: &Path) -> Result<Seat, Fault> {
    let begun = Instant::now();
    loop {
        let refused = match Caller::connect(directory).await {
            Ok(caller) => return Ok(Seat::Taken(caller)),
            Err(Refused::Fault(fault)) => return Err(*fault),
            Err(Refused::Nobody(error)) => error,
        };
        match Vault::open_with(directory, &context.unlock) {
            Ok(vault) => return Ok(Seat::Free(Box::new(vault))),
            Err(error @ VaultError::InUse(_)) if begun.elapsed() >= PATIENCE => {
                return Err(silent(context, &error, &refused));
            }
            Err(VaultError::InUse(_)) => sleep(PAUSE).await,
            Err(error) => return Err(context.hints.vault(&error)),
        }
    }
}

fn silent(context: &Context, in_use: &VaultError, why: &io::Error) -> Fault {
    let hint = context.hints.vault(in_use).hint;
    let message = format!("{in_use}, and does not answer at its socket: {why}");
    Fault::new(Exit::Failure, "vault-in-use", message, hint)
}
