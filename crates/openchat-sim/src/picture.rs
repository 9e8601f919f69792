//! The pictures of the documents: a session of real programs in real terminals, drawn as SVG.
//!
//! [`play`] plays the session, and `scripts/pictures` keeps what it gives in `docs/pictures`. A test
//! plays it again and holds the kept ones to it, so that no picture shows what the programs do not.

mod cells;
pub mod nature;
mod play;
mod svg;

pub use play::play;

use crate::{Terminal, workspace};
use std::path::PathBuf;

/// A picture of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Of its file, without `.svg`.
    pub name: &'static str,
    /// The SVG.
    pub svg: String,
}

impl Picture {
    /// The terminal as it is now.
    #[must_use]
    pub fn of(name: &'static str, title: &str, terminal: &Terminal, columns: u16) -> Self {
        let lines = cells::read(&terminal.coloured());
        Self { name, svg: svg::draw(title, columns.into(), &lines) }
    }

    /// Where it is kept.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        folder().join(self.name).with_extension("svg")
    }

    /// Whether the one that is kept is the same but for what differs by nature.
    ///
    /// # Errors
    /// Where it is not.
    pub fn is_kept(&self) -> Result<(), String> {
        let kept = std::fs::read_to_string(self.file());
        let kept = kept.map_err(|error| format!("{}: {error}", self.file().display()))?;
        nature::compare(&kept, &self.svg)
            .map_err(|lines| format!("{}:\n{lines}", self.file().display()))
    }
}

/// Where the pictures are kept.
#[must_use]
pub fn folder() -> PathBuf {
    workspace().join("docs/pictures")
}
