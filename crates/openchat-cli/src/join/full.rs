//! `openchat join` on a terminal: the full screen around a session.

use super::{WAITING_LINES, desktop::Desktop, still_queued, stop_on_signal};
use crate::{
    agent,
    args::JoinArgs,
    context::{Context, runtime},
    fault::{Exit, Fault},
    out,
};
use openchat_client::{
    Ask, End, Holding, Identity, Range, SessionError, Until, Vault, device,
    engine::{MessageRef, Target},
    session,
    wire::GroupId,
};
use openchat_tui::{Clock, Desk, Ended, Hit, Incoming, Message, Note, Panel, Setup};
use std::{
    env,
    io::{self, IsTerminal},
    sync::mpsc::{Sender, channel},
    thread::{self, JoinHandle},
};
use tokio::sync::mpsc;

/// Whether there is a terminal that can show it, and nobody wants lines.
pub(super) fn fits(context: &Context, args: &JoinArgs) -> bool {
    let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    context.interactive && !args.line && !dumb && io::stdout().is_terminal()
}

pub(super) fn run(context: &Context, target: Target) -> Result<Exit, Fault> {
    let (look, identity) = context.look()?;
    let fault = |error| context.hints.session(&identity.server, &error);
    let setup = setup(context, &look, &identity, target)?;
    let (ended, screen) = converse(context, look, &identity, setup)?;
    screen.map_err(|error| Fault::output(&error))?;
    match ended.map_err(fault)? {
        End { stopped: true, .. } => Ok(Exit::Interrupted),
        End { queued: queued @ 1.., .. } => Err(still_queued(context, queued, None)),
        End { .. } => Ok(Exit::Ok),
    }
}

fn setup(
    context: &Context,
    look: &Vault,
    identity: &Identity,
    target: Target,
) -> Result<Setup, Fault> {
    let device_fault = |error| context.hints.device(&error);
    let certificate = device::certificate(identity).map_err(device_fault)?;
    let stored = session::stored(look, identity)
        .map_err(|error: SessionError| context.hints.session(&identity.server, &error))?;
    Ok(Setup {
        me: identity.name.to_string(),
        key: stored.me,
        org: organisation(&device::authority(identity).map_err(device_fault)?),
        // Nothing of it was checked before the first connection.
        log: Some(stored.log_size).filter(|size| *size > 0),
        warns: !stored.warnings.is_empty(),
        not_after: certificate.not_after(),
        server: identity.server.clone(),
        clock: Clock::of_the_system(),
        color: context.out.color,
        target,
        conversations: stored.conversations,
        size: openchat_tui::size().map_err(|error| Fault::output(&error))?,
    })
}

/// The CA is called after the organisation, in words that people here don't need.
fn organisation(authority: &str) -> String {
    let words = [" openchat CA", " openchat root"];
    let bare = words.iter().find_map(|words| authority.strip_suffix(words));
    bare.unwrap_or(authority).to_owned()
}

type Ends = (Result<End, SessionError>, io::Result<()>);

/// The session in this thread, the screen in another one, until both have ended.
fn converse(
    context: &Context,
    look: Vault,
    identity: &Identity,
    setup: Setup,
) -> Result<Ends, Fault> {
    let runtime = runtime()?;
    let (news, incoming) = channel();
    let mut panel = Panel::new(news.clone());
    let config = context.config.full.clone();
    let ends = runtime.block_on(async {
        let (asks, taken) = mpsc::channel(WAITING_LINES);
        let fault = |error| context.hints.session(&identity.server, &SessionError::System(error));
        let stop = stop_on_signal().map_err(fault)?;
        let (screens, sender) = (panel.clone(), news.clone());
        let show = move || {
            let desktop = Desktop::start(&config, &sender);
            let mut desk = Files { asks, look, desktop };
            let ended =
                openchat_tui::run(setup, config, &mut desk, &screens, (&sender, &incoming))?;
            if let Ended::Quit { queued: queued @ 1.. } = ended {
                out::diagnostic(&format!("Sending {queued} more; Ctrl-C leaves them for later.\n"));
            }
            Ok(())
        };
        let screen = thread::Builder::new().name("screen".to_owned()).spawn(show);
        let screen = screen.map_err(fault)?;
        let ended = agent::run(context, identity, Until::Sent, taken, &stop, &mut panel).await;
        let screen = close(&news, screen);
        Ok((ended?, screen))
    });
    runtime.shutdown_background();
    ends
}

/// Waits until the terminal is as it was.
fn close(news: &Sender<Incoming>, screen: JoinHandle<io::Result<()>>) -> io::Result<()> {
    // If it has ended already, nobody takes it.
    let _ = news.send(Incoming::Over);
    screen.join().unwrap_or_else(|_| Err(io::Error::other("the screen failed")))
}

/// What the screen needs of session, vault and desktop. The vault is a look at it, beside the session's own.
struct Files {
    asks: mpsc::Sender<Ask>,
    look: Vault,
    desktop: Desktop,
}

impl Desk for Files {
    fn ask(&mut self, ask: Ask) -> bool {
        self.asks.blocking_send(ask).is_ok()
    }

    fn past(&mut self, group: &GroupId, range: &Range, limit: u32) -> Result<Vec<Message>, String> {
        openchat_tui::past(&self.look, group, range, limit).map_err(|error| error.to_string())
    }

    fn gone(
        &mut self,
        group: &GroupId,
        messages: &[MessageRef],
    ) -> Result<Vec<MessageRef>, String> {
        self.look.gone(group, messages).map_err(|error| error.to_string())
    }

    fn holding(&mut self, group: &GroupId) -> Result<Holding, String> {
        self.look.holding(group).map_err(|error| error.to_string())
    }

    fn search(&mut self, query: &str, limit: u32) -> Result<Vec<Hit>, String> {
        openchat_tui::search(&self.look, query, limit).map_err(|error| error.to_string())
    }

    fn mute(&mut self, group: &GroupId, muted: bool) -> Result<(), String> {
        self.look.mute(group, muted).map_err(|error| error.to_string())
    }

    fn notify(&mut self, note: Note) {
        self.desktop.tell(note);
    }
}
