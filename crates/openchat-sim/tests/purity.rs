//! The crates that decide read no clock and touch no file, socket, thread or randomness. Clippy
//! refuses such calls there, and these tests show that it does: by a crate's own configuration,
//! and on code that breaks it.

#![allow(clippy::expect_used, reason = "a test that can't run clippy has failed")]

use openchat_sim::{PURE_CRATES, workspace};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BROKEN: &[(&str, &str)] = &[
    ("std::time::SystemTime::now", "std::time::SystemTime::now();"),
    ("std::time::Instant::now", "std::time::Instant::now();"),
    ("std::fs::read_to_string", "std::fs::read_to_string(\"x\");"),
    ("std::fs::File", "std::fs::File::open(\"x\");"),
    ("std::env::var", "std::env::var(\"x\");"),
    ("std::net::TcpStream", "std::net::TcpStream::connect(\"x:1\");"),
    ("std::os::unix::net::UnixStream", "std::os::unix::net::UnixStream::connect(\"x\");"),
    ("std::thread::spawn", "std::thread::spawn(|| ());"),
    ("std::process::Command::new", "std::process::Command::new(\"x\");"),
];

#[test]
fn every_pure_crate_is_held_by_the_pure_configuration_and_no_other_is() {
    let pure = fs::read_to_string(pure_configuration()).expect("it is there");
    for entry in fs::read_dir(workspace().join("crates")).expect("it is a folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = fs::read_to_string(entry.path().join(".clippy.toml")).ok();
        let expected = PURE_CRATES.contains(&name.as_str()).then_some(&pure);
        assert_eq!(own.as_ref(), expected, "{name}");
    }
}

#[test]
fn the_pure_configuration_repeats_the_workspaces() {
    let workspace = settings(&workspace().join(".clippy.toml"));
    assert!(!workspace.is_empty());
    let missing: Vec<_> = workspace.difference(&settings(&pure_configuration())).cloned().collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn clippy_refuses_impure_calls() {
    let probes = BROKEN.iter().enumerate();
    let probes = probes.map(|(at, (_, call))| format!("pub fn probe_{at}() {{ let _ = {call} }}"));
    let code = probes.collect::<Vec<_>>().join("\n");
    let said = clippy(&code);
    for (path, _) in BROKEN {
        let fault = format!("use of a disallowed method `{path}`");
        assert!(said.contains(&fault) || said.contains(&fault.replace("method", "type")), "{said}");
    }
    assert!(said.contains(&format!("aborting due to {} previous errors", BROKEN.len())), "{said}");
}

#[test]
fn clippy_accepts_pure_code() {
    assert_eq!(clippy("pub fn later(now: u64) -> u64 { now.saturating_add(1) }"), "");
}

/// What clippy says of one file under the pure configuration.
fn clippy(code: &str) -> String {
    let place = tempfile::tempdir().expect("a temporary folder");
    let file = place.path().join("probe.rs");
    fs::write(&file, code).expect("it can be written");
    fs::copy(pure_configuration(), place.path().join("clippy.toml")).expect("it can be copied");
    let output = Command::new("clippy-driver")
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-Dwarnings"])
        .arg("--out-dir")
        .arg(place.path())
        .arg(&file)
        .env("CLIPPY_CONF_DIR", place.path())
        .output()
        .expect("clippy is installed: rustup component add clippy");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn settings(configuration: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(configuration).expect("it is there");
    text.lines().filter(|line| line.contains(" = ")).map(str::to_owned).collect()
}

fn pure_configuration() -> PathBuf {
    workspace().join("crates/.clippy-pure.toml")
}
