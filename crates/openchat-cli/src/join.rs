//! `openchat join`: a conversation as lines or as JSON, on a terminal or in a script.

mod answers;
mod desktop;
mod full;
pub(crate) mod input;
mod notice;
mod screen;
mod shared;

pub(crate) use answers::Answers;
pub(crate) use notice::{Level, Teller};

use crate::{
    agent,
    args::JoinArgs,
    context::{Context, runtime},
    fault::{Exit, Fault},
    out, target,
};
use input::{Grammar, Reader};
use openchat_client::{Ask, End, Front, Identity, SessionError, Until, engine::Target, session};
use openchat_wire::Name;
pub(crate) use screen::line;
use screen::{Screen, Style};
use shared::Shared;
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

/// The question that opens the conversation which the program was started for.
const FIRST: u64 = 1;

/// Lines that may wait for the session. The reader then waits, and with it whoever writes to it.
const WAITING_LINES: usize = 64;

/// How long a session may take to end after a signal, before the process ends without it.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(context: &Context, args: &JoinArgs) -> Result<Exit, Fault> {
    let target = target(context, args)?;
    if full::fits(context, args) {
        return full::run(context, target);
    }
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (_, identity) = context.look()?;
    let fault = |error| context.hints.session(&identity.server, &error);
    let prompts = context.interactive && !args.line;
    let shared = Arc::new(Shared::new(prompts, target.clone()));
    let terminal = io::stdin().is_terminal();
    let grammar = grammar(context, args);
    let slashes = grammar == Grammar::LinesAndCommands;
    let teller = Teller { slashes, hints: context.hints.clone() };
    let mut screen =
        Screen::new(style(context), identity.name.clone(), teller, Arc::clone(&shared));
    let reader = Reader { grammar, terminal, shared: Arc::clone(&shared) };
    context.out.note(&format!("Connecting to {} as {}.", identity.server, identity.name));
    let ended = converse(context, &identity, &mut screen, reader);
    shared.clear_prompt();
    match ended? {
        Ok(end) => finish(context, &identity.server, &end, &mut screen, &shared),
        // Whoever read the output has had enough, as `head` has.
        Err(SessionError::Front { cause, queued: 0 }) if is_closed(&cause) => Ok(Exit::Ok),
        Err(SessionError::Front { cause, queued }) if is_closed(&cause) => {
            Err(still_queued(context, queued, None))
        }
        Err(error) => Err(fault(error)),
    }
}

/// The conversation to open: as typed, as configured, or the usual one.
fn target(context: &Context, args: &JoinArgs) -> Result<Target, Fault> {
    if let Some(target) = &args.target {
        return Ok(target.clone());
    }
    let configured = context.config.target.as_deref().unwrap_or(DEFAULT_TARGET);
    target::target(configured).map_err(|error| {
        Fault::usage(
            format!("target of the configuration: {configured}: {error}"),
            context.hints.command("join '#general'"),
        )
    })
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// What the end of a session means for whoever waits for the exit code.
fn finish(
    context: &Context,
    server: &str,
    end: &End,
    screen: &mut Screen,
    shared: &Shared,
) -> Result<Exit, Fault> {
    if let Some(target) = screen.put_out_of() {
        return Err(removed(context, target));
    }
    if let Some(fault) = screen.fault() {
        return Err(fault);
    }
    match end {
        End { stopped: true, .. } => Ok(Exit::Interrupted),
        End { halted: true, .. } => Err(halted()),
        // All that was open was left.
        _ if screen.is_over() => Ok(Exit::Ok),
        End { lost: 1.., offline: Some(cause), .. } => {
            let fault = context.hints.dial(server, cause);
            let lost = format!("; {} messages were not stored", end.lost);
            Err(Fault { message: fault.message + &lost, ..fault })
        }
        End { queued: 1.., .. } => Err(still_queued(context, end.queued, None)),
        End { done: false, offline: Some(cause), .. } => Err(context.hints.dial(server, cause)),
        _ if shared.refused() => Ok(Exit::Failure),
        End { done: false, .. } => {
            let message = "the conversation was not ready in time";
            Err(Fault::new(Exit::Failure, "not-ready", message, context.hints.command("join")))
        }
        End { .. } => Ok(Exit::Ok),
    }
}

pub(crate) fn removed(context: &Context, target: &str) -> Fault {
    let message = format!("this person was removed from {target}");
    Fault::new(Exit::Failure, "removed", message, context.hints.command("group list"))
}

pub(crate) fn halted() -> Fault {
    let message = "an alarm has stopped this conversation: its history contradicts itself";
    let hint = "ask the operator, in person, what happened to the server; what you typed is stored";
    Fault::new(Exit::Trust, "halted", message, hint)
}

/// Why something is queued; what is `about` one conversation, or anywhere.
pub(crate) fn still_queued(context: &Context, queued: usize, about: Option<&Target>) -> Fault {
    let are = if queued == 1 { "message is" } else { "messages are" };
    if let Some(who) = held(context, about) {
        return held_for(context, &format!("{queued} {are}"), &who);
    }
    let message = format!("{queued} {are} stored and not acknowledged yet");
    let hint = context.hints.command("join") + " sends what is queued";
    Fault::new(Exit::Queued, "queued", message, hint)
}

/// Whose key has changed, so that what is said there waits for a decision.
fn held(context: &Context, about: Option<&Target>) -> Option<Name> {
    let (vault, identity) = context.look().ok()?;
    // Why it is queued is a better answer; that it is, stands without.
    let mut held = session::stored(&vault, &identity).ok()?.held.into_iter();
    held.find(|(target, _)| about.is_none_or(|about| about == target)).map(|(_, who)| who)
}

fn held_for(context: &Context, what: &str, who: &Name) -> Fault {
    let message = format!(
        "{what} stored, and not sent: {who} has another key than the one that you verified"
    );
    let [verify, accept] = ["verify", "trust accept"].map(|args| {
        let command = context.hints.command(args);
        format!("{command} {who}")
    });
    let hint = format!("{verify}; or without comparing: {accept}");
    Fault::new(Exit::Queued, "held", message, hint)
}

/// Opens the conversation and talks until the end.
fn converse(
    context: &Context,
    identity: &Identity,
    screen: &mut Screen,
    reader: Reader,
) -> Result<Result<End, SessionError>, Fault> {
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let (asks, taken) = mpsc::channel(WAITING_LINES);
        let stop = match stop_on_signal() {
            Ok(stop) => stop,
            Err(error) => return Ok(Err(SessionError::System(error))),
        };
        let target = reader.shared.current();
        // The first one, in an empty channel: it can't fail.
        let _ = asks.send(Ask::Open { order: FIRST, target }).await;
        let spawned = thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || reader.run(io::stdin().lock(), &asks));
        if let Err(error) = spawned {
            return Ok(Err(SessionError::System(error)));
        }
        agent::run(context, identity, Until::Sent, taken, &stop, screen).await
    });
    // The thread that reads stdin may wait for a line that never comes.
    runtime.shutdown_background();
    ended
}

/// Ctrl-C and SIGTERM end the session in an orderly way; a second one, or a session that can't end
/// because nobody takes its output, ends the process.
pub(crate) fn stop_on_signal() -> io::Result<Arc<Notify>> {
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
