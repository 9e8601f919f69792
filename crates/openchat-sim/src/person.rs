//! Somebody with a home of their own.

use crate::{Client, Server, files_below, program, schema};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Someone who uses `openchat`: a name and a home folder.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    home: PathBuf,
    server_data: PathBuf,
    /// Further variables of the environment.
    environment: Vec<(String, OsString)>,
}

impl Person {
    /// Somebody on the server's machine who has not enrolled yet.
    #[must_use]
    pub fn new(name: &str, server: &Server) -> Self {
        let home = server.place().join("home of ".to_owned() + name);
        let (name, environment) = (name.to_owned(), Vec::new());
        Self { name, home, server_data: server.data(), environment }
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

    /// The same person with further variables in the environment of each command.
    #[must_use]
    pub fn with_environment(self, variables: impl IntoIterator<Item = (String, OsString)>) -> Self {
        let environment = self.environment.iter().cloned().chain(variables).collect();
        Self { environment, ..self }
    }

    /// The variables that make this person's `openchat` find its files and the server's.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        // Nobody's desktop hears of tests, but for those that bring one.
        let none = [("DBUS_SESSION_BUS_ADDRESS".into(), OsString::new())];
        let places = [("OPENCHAT_HOME", &self.home), ("OPENCHAT_SERVER_HOME", &self.server_data)];
        let places = places.map(|(name, place)| (name.into(), place.clone().into_os_string()));
        let further = self.environment.iter().map(|(name, value)| (name.into(), value.clone()));
        none.into_iter().chain(places).chain(further).collect()
    }

    /// `openchat` as this person runs it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = program("openchat");
        command.args(["-P", &self.name, "--no-input"]);
        command.env("OPENCHAT_HOME", &self.home).env("OPENCHAT_SERVER_HOME", &self.server_data);
        command.env("DBUS_SESSION_BUS_ADDRESS", "");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `openchat join '#general' --json`.
    #[must_use]
    pub fn join(&self) -> Client {
        self.open("#general")
    }

    /// Runs `openchat join TARGET --json`.
    #[must_use]
    pub fn open(&self, target: &str) -> Client {
        self.start(&["join", target])
    }

    /// Runs `openchat --json ARGS`, which goes on.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Client {
        Client::start(self, args)
    }

    /// The directory of this person's profile: the vault is in it.
    #[must_use]
    pub fn profile(&self) -> PathBuf {
        self.home.join("profiles").join(&self.name)
    }

    /// Runs `openchat ARGS --json` to its end, which has to be 0; gives the objects that it printed.
    ///
    /// # Panics
    /// If it fails.
    #[expect(clippy::must_use_candidate, reason = "many are run for what they do")]
    pub fn run(&self, args: &[&str]) -> Vec<Value> {
        let (code, objects) = self.try_to(args);
        assert_eq!(code, Some(0), "{}: {args:?}: {objects:?}", self.name);
        objects
    }

    /// Runs `openchat ARGS --json` to its end; gives its exit code and the objects that it printed.
    ///
    /// # Panics
    /// If what it printed are no objects, or anything is on stderr.
    #[must_use]
    pub fn try_to(&self, args: &[&str]) -> (Option<i32>, Vec<Value>) {
        let output = self.command().args(args).arg("--json").output().expect("openchat");
        let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(stderr.is_empty(), "{}: {args:?}: {stderr}", self.name);
        let lines = stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let objects = lines.map(|line| serde_json::from_slice(line).expect("an object"));
        let objects: Vec<Value> = objects.collect();
        for object in &objects {
            schema::check("out", object).unwrap_or_else(|why| panic!("{args:?}: {why}"));
        }
        (output.status.code(), objects)
    }

    /// The same person at a home where nothing is.
    ///
    /// # Panics
    /// If this one is nowhere.
    #[must_use]
    pub fn moved_to(&self, home: &str) -> Self {
        Self { home: self.home.parent().expect("a place").join(home), ..self.clone() }
    }

    /// The same person with a copy of all files, as a backup or a cloned disk has them.
    ///
    /// # Panics
    /// If they can't be copied.
    #[must_use]
    pub fn copied_to(&self, home: &str) -> Self {
        let place = self.home.parent().expect("a place").join(home);
        for file in files_below(&self.home) {
            let to = place.join(file.strip_prefix(&self.home).expect("below"));
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            std::fs::copy(&file, &to).expect("a copy");
        }
        Self { home: place, ..self.clone() }
    }
}
