//! A change of the CA's key that is cut short at any step is undone or done.

use crate::support::{pin, said, talk};
use openchat_sim::{Server, files_below};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// A file of one data directory under a name in another; of a database all that belongs to it.
fn put(from: &Path, source: &str, to: &Path, name: &str) {
    for ending in ["", "-wal", "-shm"] {
        let (source, to) =
            (from.join(source.to_owned() + ending), to.join(name.to_owned() + ending));
        if to.exists() {
            fs::remove_file(&to).unwrap();
        }
        if source.exists() {
            fs::copy(source, to).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for file in files_below(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, &to).unwrap();
    }
}

/// What a step has left on the disk, and whether the change stands then.
const STEPS: [(&[&str], bool); 6] = [
    (&["next-ca.crt"], false),
    (&["next-ca.crt", "next-ca.key"], false),
    (&["next-ca.crt", "next-ca.key", "openchat.db"], true),
    (&["next-ca.crt", "openchat.db", "ca.key"], true),
    (&["openchat.db", "ca.key", "ca.crt"], true),
    (&["openchat.db", "ca.key", "ca.crt", "server-keys.pem"], true),
];

#[test]
fn a_change_that_is_killed_at_any_step_is_undone_or_done() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "before");
    let old = pin(&alice);
    server.stop();
    let (before, after) = (server.place().join("before"), server.place().join("after"));
    copy(&server.data(), &before);
    said(&server, &["ca", "rotate"]);
    copy(&server.data(), &after);
    let new = said(&server, &["ca", "status"])["pin"].as_str().unwrap().to_owned();
    for (step, stands) in STEPS {
        fs::remove_dir_all(server.data()).unwrap();
        copy(&before, &server.data());
        for name in step {
            let from = name.strip_prefix("next-").unwrap_or(name);
            put(&after, from, &server.data(), name);
        }
        server.run();
        let found = said(&server, &["ca", "status"]);
        let expected = if stands { &new } else { &old };
        assert_eq!(found["pin"], **expected, "{step:?}");
        assert_eq!(found["warnings"].as_array().unwrap().len(), 0, "{found}");
        let left = fs::read_dir(server.data()).unwrap().map(|file| file.unwrap().file_name());
        assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("next-")));
        said(&server, &["log", "verify"]);
        // As it was away at that time.
        let away = alice.copied_to(&format!("away {step:?}").replace('/', " "));
        away.run(&["status"]);
        server.stop();
    }
}

#[test]
fn a_change_that_was_cut_short_is_ended_before_the_next() {
    let mut server = Server::start();
    let old = said(&server, &["ca", "status"])["pin"].clone();
    server.stop();
    let data = server.data();
    fs::copy(data.join("ca.crt"), data.join("next-ca.crt")).unwrap();
    let warned = said(&server, &["ca", "status"]);
    assert!(warned["warnings"][0].as_str().unwrap().contains("cut short"), "{warned}");
    let rotated = said(&server, &["ca", "rotate"]);
    assert_eq!(rotated["from"], old);
    assert!(!data.join("next-ca.crt").exists());
    server.run();
}
