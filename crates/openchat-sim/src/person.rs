//! Somebody with a home of their own.

use crate::{Client, Server, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Someone who uses `openchat`: a name and a home folder.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    home: PathBuf,
    server_data: PathBuf,
}

impl Person {
    /// Somebody on the server's machine who has not enrolled yet.
    #[must_use]
    pub fn new(name: &str, server: &Server) -> Self {
        let home = server.place().join("home of ".to_owned() + name);
        Self { name: name.to_owned(), home, server_data: server.data() }
    }

    /// The name that this person enrolls under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `OPENCHAT_HOME` of this person: the vault is in it.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// `openchat` as this person runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = program("openchat");
        command.args(["-P", &self.name, "--no-input"]);
        command.env("OPENCHAT_HOME", &self.home).env("OPENCHAT_SERVER_HOME", &self.server_data);
        command
    }

    /// Runs `openchat join '#general' --json`.
    #[must_use]
    pub fn join(&self) -> Client {
        Client::start(self)
    }
}
