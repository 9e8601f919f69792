//! What the thread that reads stdin and the session share: the terminal, what was asked, and which
//! conversation one is in.

use super::{answers::Answers, input::Refusal};
use crate::{json, out};
use openchat_client::engine::Target;
use std::{
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Clears the line that the prompt stands on.
const CLEAR: &str = "\r\u{1b}[K";

/// Shared by both sides.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Whether a person may type, and so a prompt is shown on stderr.
    prompts: bool,
    /// Held while printing, so that prompt and lines do not mix.
    terminal: Mutex<()>,
    answers: Mutex<Answers>,
    /// The conversation that was opened last.
    current: Mutex<Target>,
    refused: AtomicBool,
}

impl Shared {
    pub(crate) fn new(prompts: bool, current: Target) -> Self {
        Self {
            prompts,
            terminal: Mutex::default(),
            answers: Mutex::default(),
            current: Mutex::new(current),
            refused: AtomicBool::new(false),
        }
    }

    /// Whether anything that was asked for was refused.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Something that was asked for was refused.
    pub(super) fn set_refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// What is said from now on is said there.
    pub(super) fn turn_to(&self, target: Target) {
        *lock(&self.current) = target;
    }

    /// Where what is said is said.
    pub(super) fn current(&self) -> Target {
        lock(&self.current).clone()
    }

    pub(super) fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }

    /// Tells that a line of input was not taken.
    pub(crate) fn refuse(&self, as_json: bool, refusal: &Refusal) {
        self.set_refused();
        let Refusal { code, message, hint, reference } = refusal;
        if as_json {
            let object = json::Error::about(code, message, hint, reference.clone());
            // The session meets the same closed stream and ends by it.
            let _ = self.print(&json::line(&object), "");
        } else {
            self.say(&format!("error: {message}\nnext: {hint}\n"));
        }
    }

    /// Says something to the person.
    pub(crate) fn say(&self, text: &str) {
        // Nothing goes to stdout, so nothing can fail there.
        let _ = self.print("", text);
    }

    /// Invites the person to type.
    pub(crate) fn prompt(&self) {
        let _held = lock(&self.terminal);
        self.clear_prompt();
        self.show_prompt();
    }

    /// The conversation is over.
    pub(crate) fn clear_prompt(&self) {
        if self.prompts {
            out::diagnostic(CLEAR);
        }
    }

    /// Prints data to stdout and the rest to stderr, and the prompt again after it.
    pub(super) fn print(&self, data: &str, said: &str) -> io::Result<()> {
        if data.is_empty() && said.is_empty() {
            return Ok(());
        }
        let _held = lock(&self.terminal);
        self.clear_prompt();
        if !said.is_empty() {
            out::diagnostic(said);
        }
        if !data.is_empty() {
            out::data(data)?;
        }
        self.show_prompt();
        Ok(())
    }

    fn show_prompt(&self) {
        if self.prompts {
            out::diagnostic(&format!("{}> ", self.current()));
        }
    }
}

/// A thread that panicked while printing leaves nothing that could mislead.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
