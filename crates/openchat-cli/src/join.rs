//! `openchat join`: a conversation as lines or as JSON, on a terminal or in a script.

mod input;
mod notice;
mod screen;

use crate::{
    args::JoinArgs,
    context::{Context, runtime},
    fault::{Exit, Fault},
    out,
};
use input::{Grammar, Reader};
use openchat_client::{End, Identity, Order, Session, SessionError, Vault};
use openchat_wire::GroupName;
use screen::{Screen, Shared, Style};
use std::{
    io::{self, ErrorKind, IsTerminal},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
};

/// The conversation of whoever names none.
const DEFAULT_TARGET: &str = "#general";

/// Lines that may wait for the session. The reader then waits, and with it whoever writes to it.
const WAITING_LINES: usize = 64;

/// How long a session may take to end after a signal, before the process ends without it.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context, args: &JoinArgs) -> Result<Exit, Fault> {
    let target = args.target.as_deref().or(context.config.target.as_deref());
    let group = group(target.unwrap_or(DEFAULT_TARGET))?;
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (_, identity) = context.look()?;
    let fault = |error| context.hints.session(&identity.server, &error);
    let vault = Vault::open(&context.directory()).map_err(|error| fault(error.into()))?;
    let shared = Arc::new(Shared::new(prompt(context, args, &group)));
    let mut screen = Screen::new(style(context), &group, Arc::clone(&shared));
    let terminal = io::stdin().is_terminal();
    let reader =
        Reader { grammar: grammar(context, args), terminal, group, shared: Arc::clone(&shared) };
    context.out.note(&format!("Connecting to {} as {}.", identity.server, identity.name));
    let ended = converse(vault, &identity, &mut screen, reader);
    shared.clear_prompt();
    match ended? {
        Ok(end) => finish(context, &identity.server, &end, &shared),
        // Whoever read the output has had enough, as `head` has.
        Err(SessionError::Front { cause, queued: 0 }) if is_closed(&cause) => Ok(Exit::Ok),
        Err(SessionError::Front { cause, queued }) if is_closed(&cause) => {
            Err(still_queued(context, queued))
        }
        Err(error) => Err(fault(error)),
    }
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// What the end of a session means for whoever waits for the exit code.
fn finish(context: &Context, server: &str, end: &End, shared: &Shared) -> Result<Exit, Fault> {
    match end {
        End { stopped: true, .. } => Ok(Exit::Interrupted),
        End { halted: true, .. } => Err(halted()),
        End { queued: 1.., .. } => Err(still_queued(context, end.queued)),
        End { ready: false, offline: Some(cause), .. } => Err(context.hints.dial(server, cause)),
        End { ready: false, .. } => {
            let message = "the conversation was not ready in time";
            Err(Fault::new(Exit::Failure, "not-ready", message, context.hints.command("join")))
        }
        End { .. } if shared.refused() => Ok(Exit::Failure),
        End { .. } => Ok(Exit::Ok),
    }
}

fn halted() -> Fault {
    let message = "an alarm has stopped this conversation: its history contradicts itself";
    let hint = "ask the operator, in person, what happened to the server; what you typed is stored";
    Fault::new(Exit::Trust, "halted", message, hint)
}

fn still_queued(context: &Context, queued: usize) -> Fault {
    let are = if queued == 1 { "message is" } else { "messages are" };
    let message = format!("{queued} {are} stored and not acknowledged yet");
    let hint = context.hints.command("join") + " sends what is queued";
    Fault::new(Exit::Queued, "queued", message, hint)
}

/// Shows what was left unshown the last time, then talks until the end.
fn converse(
    mut vault: Vault,
    identity: &Identity,
    screen: &mut Screen,
    reader: Reader,
) -> Result<Result<End, SessionError>, Fault> {
    if let Err(error) = screen.catch_up(&mut vault) {
        return Ok(Err(error));
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let session = Session::open(vault, identity)?;
        let (orders, taken) = mpsc::channel(WAITING_LINES);
        let stop = stop_on_signal().map_err(SessionError::System)?;
        // The first order, in an empty channel: it can't fail.
        let _ = orders.send(Order::Open(reader.group.clone())).await;
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || reader.run(io::stdin().lock(), &orders))
            .map_err(SessionError::System)?;
        session.run(taken, &stop, screen).await
    });
    // The thread that reads stdin may wait for a line that never comes.
    runtime.shutdown_background();
    Ok(ended)
}

/// Ctrl-C and SIGTERM end the session in an orderly way; a second one, or a session that can't end
/// because nobody takes its output, ends the process.
fn stop_on_signal() -> io::Result<Arc<Notify>> {
    let stop = Arc::new(Notify::new());
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let told = Arc::clone(&stop);
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        signalled().await;
        told.notify_one();
        // Either way the time is over.
        let _ = tokio::time::timeout(GRACE, signalled()).await;
        out::interrupt();
    });
    Ok(stop)
}

fn group(target: &str) -> Result<GroupName, Fault> {
    let name = target.strip_prefix('#').and_then(|name| name.parse().ok());
    name.ok_or_else(|| {
        Fault::usage(
            format!("{target} is not an open group: '#', then a-z, then a-z, 0-9 or '-'"),
            "openchat join '#general'",
        )
    })
}

fn style(context: &Context) -> Style {
    match (context.out.json, context.out.quiet) {
        (true, _) => Style::Json,
        (false, true) => Style::QuietLines,
        (false, false) => Style::Lines,
    }
}

fn grammar(context: &Context, args: &JoinArgs) -> Grammar {
    if context.out.json {
        Grammar::Json
    } else if args.commands || io::stdin().is_terminal() {
        Grammar::LinesAndCommands
    } else {
        Grammar::Lines
    }
}

fn prompt(context: &Context, args: &JoinArgs, group: &GroupName) -> Option<String> {
    (context.interactive && !args.line).then(|| format!("#{group}> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_open_groups() {
        assert_eq!(group("#general").unwrap().as_str(), "general");
        for bad in ["general", "#", "#General", "@bob", "##a", ""] {
            assert_eq!(group(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }
}
