//! What is shipped with the programs about others' work in them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_sim::workspace;
use std::{collections::BTreeSet, process::Command};

/// What `scripts/packaging/notices PACKAGE` prints. Nothing is fetched.
fn notices(package: &str) -> String {
    let mut notices = Command::new(workspace().join("scripts/packaging/notices"));
    let output = notices.args([package, "--offline"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Packages of the registry that this one is built from, as `NAME VERSION`.
fn needed(package: &str) -> BTreeSet<String> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--offline", "-p", package, "-e", "normal", "--prefix", "none"]);
    let output = tree.current_dir(workspace()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let of_others = text.lines().filter(|line| !line.contains(" (/") && !line.is_empty());
    of_others
        .map(|line| {
            let mut words = line.split(' ');
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            format!("{name} {}", version.trim_start_matches('v'))
        })
        .collect()
}

/// Of the client; `check-deb` sees to both.
#[test]
fn every_package_and_every_c_library_has_its_notice() {
    let (text, needed) = (notices("openchat-cli"), needed("openchat-cli"));
    assert!(needed.len() > 50, "{needed:?}");
    for name in &needed {
        assert!(text.contains(&format!("\n{name}: ")), "nothing about {name}");
    }
    for library in ["ZETETIC LLC", "AWS Libcrypto", "BoringSSL", "SQLite"] {
        assert!(text.contains(library), "nothing about {library}");
    }
    let apache = text.matches("TERMS AND CONDITIONS FOR USE, REPRODUCTION").count();
    assert!((1..60).contains(&apache), "one text is printed once: {apache}");
}
