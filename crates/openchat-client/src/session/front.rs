//! What a session and whoever shows it have to do with each other: what is told, how long it runs, and
//! how it ends.

use crate::{device::DeviceError, dial::DialError, vault::VaultError};
use openchat_engine::{Contact, Engine, Event, LoadError, Progress, Summary};
use std::{io, path::PathBuf, time::Duration};

/// When a session ends of which no more will be asked: all senders of its orders are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The conversations that were opened are read to their end, all orders are answered, and all
    /// messages are acknowledged, also those that earlier sessions left.
    Sent,
    /// All that was ordered in this session is answered or acknowledged.
    Answered,
    /// The relay has this device's prekeys, so that others can write to it first.
    Reachable,
}

/// What the session tells a front end.
#[derive(Debug, Clone)]
pub enum Report {
    /// The engine's news.
    Event(Event),
    /// How a conversation stands, because it was asked for.
    Standing(Summary),
    /// What can be compared with somebody, because it was asked for.
    Contact(Contact),
    /// A file of somebody's is all here.
    File {
        /// Which.
        progress: Progress,
        /// It is what was offered; else it is not kept.
        is_right: bool,
    },
    /// A file was saved, as it was ordered.
    Saved {
        /// The conversation.
        target: String,
        /// Where it is.
        path: PathBuf,
    },
    /// Messages went because their time was over.
    Forgotten {
        /// Of which conversation.
        target: String,
        /// How many of them, of others', had not been shown here, or told to this listener.
        unshown: u64,
    },
    /// The transparency log as this device mirrors it now, whenever that is another.
    Log(LogView),
    /// A file that proves to others that the server has lied.
    Evidence(PathBuf),
    /// The server has accepted this device and answers.
    Online,
    /// There is no connection, or none any more.
    Offline {
        /// Why.
        cause: DialError,
        /// Until the next try.
        retry: Duration,
    },
}

/// What this device knows of the transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogView {
    /// Entries that it has checked.
    pub size: u64,
    /// Something in it about this device's name is not of its asking, and its person has not answered.
    pub warns: bool,
}

impl LogView {
    pub(super) fn of(engine: &Engine) -> Self {
        Self { size: engine.log_size(), warns: engine.warnings().next().is_some() }
    }
}

/// Whoever shows reports to a person or a program.
pub trait Front {
    /// A conversation was opened: from now on it is shown. What of it waits follows at once.
    fn opened(&mut self, target: &str);

    /// Whether messages of this conversation are shown here. Others are left for another time.
    fn shows(&self, target: &str) -> bool;

    /// Whether there is nothing left to show: the session then ends.
    fn is_over(&self) -> bool {
        false
    }

    /// Shows a turn's reports, in order. What was shown is out of this process's hands when this
    /// returns.
    ///
    /// # Errors
    /// That of the stream; it ends the session.
    fn show(&mut self, reports: &[Report]) -> io::Result<()>;
}

/// Why a session can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The vault failed. The session ended before anything left that was not stored.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The stored identity can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The stored conversations can't be used.
    #[error("the stored conversations can't be used: {0}")]
    Load(#[from] LoadError),
    /// The server is another, or does not take this device.
    #[error(transparent)]
    Dial(DialError),
    /// Nobody takes what is shown.
    #[error("the output can't be written: {cause}")]
    Front {
        /// What the stream said.
        cause: io::Error,
        /// Messages that are stored and not acknowledged yet.
        queued: usize,
    },
    /// The system gives no more threads or signals.
    #[error("the system refuses: {0}")]
    System(io::Error),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Messages that are stored and not acknowledged yet.
    pub queued: usize,
    /// Whether all that [`Until`] names was reached.
    pub done: bool,
    /// Messages that are not stored, because it was never learned whether there is such a group.
    pub lost: usize,
    /// Whether it was told to stop.
    pub stopped: bool,
    /// Whether an alarm has stopped a conversation that is shown.
    pub halted: bool,
    /// Why there was no connection at the end, if there was none.
    pub offline: Option<DialError>,
}
