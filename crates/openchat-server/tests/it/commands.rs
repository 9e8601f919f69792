//! Commands, their output and their errors.

use crate::server::{Place, Server};
use openchat_wire::invitation::Invitation;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The command that an error advises.
fn advice(output: &Output) -> String {
    let said = stderr(output);
    said.lines().last().unwrap().strip_prefix("next: ").unwrap().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_ca_makes_everything_for_its_owner_alone() {
    let place = Place::new();
    let output = place.output(&["init-ca", "--org", "Acme", "--host", "chat.example.org"]);
    assert_eq!(output.status.code(), Some(0));
    let said = stdout(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("Created CA \"Acme\"  SHA256:"), "{said}");
    assert!(lines[0].contains("  valid to 20"), "{said}");
    assert!(lines[1].starts_with("Server certificate: chat.example.org, localhost, "), "{said}");
    assert_eq!(lines[2..], ["Next: openchat-server run"]);
    assert_eq!(stderr(&output), "");
    assert_eq!(mode(&place.data()), 0o700);
    let mut files: Vec<_> =
        fs::read_dir(place.data()).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let names: Vec<_> =
        files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    for name in
        ["ca.crt", "ca.key", "openchat.db", "relay.key", "server.crt", "server.key", "tlog.key"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn init_ca_never_overwrites() {
    let place = Place::new();
    place.init();
    let contents = || {
        let files = fs::read_dir(place.data()).unwrap().map(|file| file.unwrap().path());
        let mut contents: Vec<_> = files.map(|file| (fs::read(&file).unwrap(), file)).collect();
        contents.sort();
        contents
    };
    let before = contents();
    let again = place.output(&["init-ca", "--org", "Other"]);
    assert_eq!(again.status.code(), Some(78));
    assert!(stderr(&again).contains("never overwritten"), "{}", stderr(&again));
    assert_eq!(advice(&again), "openchat-server run");
    fs::remove_file(place.data().join("ca.crt")).unwrap();
    let torn = place.output(&["init-ca"]);
    assert_eq!(torn.status.code(), Some(78));
    assert!(advice(&torn).starts_with("mv '"), "{}", advice(&torn));
    assert_eq!(contents().len(), before.len() - 1);
}

#[test]
fn an_organisation_has_a_name_that_can_be_shown() {
    let place = Place::new();
    let output = place.output(&["init-ca", "--org", "A\u{1b}[31m"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains('\u{1b}'));
    assert!(!place.data().join("ca.key").exists());
}

#[test]
fn invite_prints_the_invitation_and_nothing_else() {
    let server = Server::start();
    let output = server.place.output(&["invite", "new", "bob"]);
    let invitation: Invitation = stdout(&output).parse().unwrap();
    assert_eq!(stdout(&output), format!("{invitation}\n"));
    assert_eq!(invitation.address, server.address);
    assert_eq!(invitation.ca_pin, server.ca().pin());
    let drawn = stdout(&server.place.output(&["invite", "new", "bob", "--qr"]));
    let (first, code) = drawn.split_once('\n').unwrap();
    assert!(first.parse::<Invitation>().is_ok() && code.contains('█'));
    let json = server.place.output(&["--json", "invite", "new", "bob"]);
    let object: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&object["v"], &object["type"]), (&1.into(), &"invitation".into()));
    assert!(object["invitation"].as_str().unwrap().parse::<Invitation>().is_ok());
    assert_eq!(stderr(&json), "");
    let shown = server.trace();
    assert!(!shown.contains("#v1."), "no invitation is traced: {shown}");
}

#[test]
fn without_a_server_there_are_no_invitations() {
    let place = Place::new();
    place.init();
    let output = place.output(&["invite", "new", "bob"]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stdout(&output), "");
    assert_eq!(advice(&output), "openchat-server run");
}

#[test]
fn without_a_ca_nothing_runs() {
    let place = Place::new();
    let output = place.output(&["run"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("there is no certificate authority in "));
    assert_eq!(advice(&output), "openchat-server init-ca");
    let data = place.data();
    let named = place
        .command(&["run", "--data"])
        .arg(&data)
        .env_remove("OPENCHAT_SERVER_HOME")
        .output()
        .unwrap();
    assert_eq!(advice(&named), format!("openchat-server init-ca --data '{}'", data.display()));
}

#[test]
fn with_json_errors_are_the_last_line_of_stdout() {
    let place = Place::new();
    for (arguments, code, exit) in [
        (&["run", "--json"][..], "no_ca", 78),
        (&["--json", "invite", "new", "bob"], "unreachable", 4),
        (&["invite", "new", "Bob", "--json"], "usage", 2),
        (&["--json"], "usage", 2),
    ] {
        let output = place.output(arguments);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}");
        assert_eq!(stderr(&output), "");
        let said = stdout(&output);
        let error: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!(error["v"], 1);
        assert_eq!((&error["type"], &error["code"]), (&"error".into(), &code.into()));
        assert!(error["message"].is_string() && error["hint"].is_string());
    }
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    let place = Place::new();
    place.init();
    for (file, mode) in [("ca.key", "600"), ("relay.key", "600"), ("", "700")] {
        let path = place.data().join(file);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let output = place.output(&["run", "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(78));
        let path = path.display().to_string();
        assert_eq!(advice(&output), format!("chmod {mode} '{}'", path.trim_end_matches('/')));
        let private = u32::from_str_radix(mode, 8).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(private)).unwrap();
    }
}

#[test]
fn what_is_damaged_is_named() {
    let place = Place::new();
    place.init();
    for file in ["tlog.key", "ca.crt", "hosts", "openchat.db"] {
        let path = place.data().join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, "not a/host, nor anything else that belongs here".repeat(20)).unwrap();
        let output = place.output(&["run", "--listen", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(78), "{file}");
        assert!(stderr(&output).contains(file), "{}", stderr(&output));
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn profiles_in_the_data_directory_decide() {
    let place = Place::new();
    fs::create_dir_all(place.data().join("pki")).unwrap();
    fs::set_permissions(place.data(), Permissions::from_mode(0o700)).unwrap();
    let profile = include_str!("../../../../pki/ca.toml");
    let short = profile.replace("valid_days = 3650", "valid_days = 400");
    assert_ne!(short, profile);
    fs::write(place.data().join("pki/ca.toml"), "nonsense").unwrap();
    let refused = place.output(&["init-ca"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("ca.toml"));
    fs::write(place.data().join("pki/ca.toml"), short).unwrap();
    place.init();
    let server = Server::run(place, &[]);
    let ca = server.ca();
    let life = (ca.not_after().0 - ca.not_before().0) / 86_400_000;
    assert_eq!(life, 400);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let server = Server::start();
    let place = Place::new();
    place.init();
    let output = place.output(&["run", "--listen", &server.address]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains(&server.address));
}

#[test]
fn help_and_version_go_to_stdout() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["-V"], &["run", "-V"], &["invite", "new", "--help"]] {
        let output = place.output(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("openchat-server") && output.stderr.is_empty());
    }
    let nothing = place.output(&[]);
    assert_eq!((nothing.status.code(), stdout(&nothing)), (Some(2), String::new()));
}
