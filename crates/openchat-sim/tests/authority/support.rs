//! What the operator types, and what the programs say.

use openchat_sim::{Person, Server, program};
use serde_json::Value;
use std::{os::unix::fs::PermissionsExt, path::Path, process::Command};

/// The exit code and the last object of `openchat-server ARGS --json`.
pub(crate) fn asked(server: &Server, args: &[&str]) -> (Option<i32>, Value) {
    ended(server.command().args(args).arg("--json"))
}

/// The same for a command that has to succeed.
pub(crate) fn said(server: &Server, args: &[&str]) -> Value {
    let (code, said) = asked(server, args);
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

/// The code of an error with this exit code.
pub(crate) fn refused(server: &Server, args: &[&str], exit: i32) -> String {
    let (code, error) = asked(server, args);
    assert_eq!(code, Some(exit), "{args:?}: {error}");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    error["code"].as_str().unwrap().to_owned()
}

/// Runs a command that prints objects; gives its exit code and the last object.
pub(crate) fn ended(command: &mut Command) -> (Option<i32>, Value) {
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let last = stdout.lines().last().unwrap_or_default();
    let object = serde_json::from_str(last);
    let stderr = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), object.unwrap_or_else(|_| panic!("{stdout}\n{stderr}")))
}

/// `openchat log verify FILE ARGS --json`, by somebody without a home.
pub(crate) fn verify(file: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let mut command = program("openchat");
    command.env("OPENCHAT_HOME", "/nowhere").args(["log", "verify"]).arg(file).args(args);
    ended(command.arg("--json"))
}

/// The pin that a device has.
pub(crate) fn pin(person: &Person) -> String {
    person.run(&["whoami"])[0]["ca_pin"].as_str().unwrap().to_owned()
}

/// What the running server shows as its pin.
pub(crate) fn server_pin(server: &Server) -> String {
    said(server, &["ca", "status"])["pin"].as_str().unwrap().to_owned()
}

pub(crate) fn invite(server: &Server, name: &str) -> String {
    said(server, &["invite", "new", name])["invitation"].as_str().unwrap().to_owned()
}

/// A file of its owner's alone.
pub(crate) fn secret_file(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Two people say something to each other.
pub(crate) fn talk(one: &Person, other: &Person, text: &str) {
    let (mut first, mut second) = (one.join(), other.join());
    first.ready();
    second.ready();
    first.meet(other.name());
    second.meet(one.name());
    let (hers, his) = (format!("{text} from {}", one.name()), format!("{text} back"));
    first.send("1", &hers);
    second.message(&hers);
    second.send("2", &his);
    first.message(&his);
    assert_eq!((first.finish(), second.finish()), (Some(0), Some(0)));
}
