//! The programs under test, as cargo built them.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs a program to its end.
///
/// # Panics
/// If it does not succeed, with what it printed.
#[must_use]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// A command for one of our programs, without the settings of the person who runs the tests.
///
/// # Panics
/// If cargo has not built it yet.
#[must_use]
pub fn program(name: &str) -> Command {
    let path = built(name);
    assert!(path.exists(), "{} is missing: cargo build --workspace", path.display());
    let mut command = Command::new(path);
    unset(&mut command);
    command
}

/// Takes the settings of the person who runs the tests out of a command's environment.
pub(crate) fn unset(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        let ours = key.to_string_lossy().starts_with("OPENCHAT_");
        if ours || key == "XDG_CONFIG_HOME" || key == "XDG_DATA_HOME" || key == "NO_COLOR" {
            command.env_remove(key);
        }
    }
}

/// Programs stand beside the folder of test executables: `target/debug/deps/..`.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let beside = test.ancestors().find(|folder| folder.join(name).is_file());
    beside.map_or_else(|| PathBuf::from(name), |folder| folder.join(name))
}
