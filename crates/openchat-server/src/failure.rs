//! Why a command ends without success: what happened, why, and what to do next.

use std::{fmt, process::ExitCode};

/// The meaning of an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work.
    Failure,
    /// The command line makes no sense.
    Usage,
    /// The server does not run or does not answer.
    Unreachable,
    /// What was asked for is not there.
    NotFound,
    /// The data directory is not in order (`EX_CONFIG` of sysexits).
    Config,
    /// The second Ctrl-C (128 + SIGINT).
    Interrupted,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 4,
            Self::NotFound => 7,
            Self::Config => 78,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command ends without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// For programs; keeps its meaning.
    pub(crate) code: &'static str,
    /// What, and why.
    pub(crate) message: String,
    /// A command to run next, or what to look at.
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(
        exit: Exit,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { exit, code, message: message.into(), hint: hint.into() }
    }

    /// Something is wrong with what the operator keeps.
    pub(crate) fn config(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(Exit::Config, code, message, hint)
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "not_found", message, hint)
    }

    /// The operating system refused something that it normally grants.
    pub(crate) fn system(what: &str, why: &impl fmt::Display, hint: impl Into<String>) -> Self {
        Self::new(Exit::Failure, "system", format!("{what}: {why}"), hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nnext: {}", self.message, self.hint)
    }
}
