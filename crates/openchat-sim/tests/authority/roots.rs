//! A root whose key is never where the server is.

use crate::support::{ended, invite, pin, refused, said, secret_file, server_pin, talk};
use openchat_sim::{Person, Server, program};
use std::{
    fs,
    path::{Path, PathBuf},
};

const PASSPHRASE: &str = "kept in a safe place";

/// A machine with a root.
struct Away {
    place: tempfile::TempDir,
    passphrase: String,
    pin: String,
}

impl Away {
    fn new() -> Self {
        let place = tempfile::Builder::new().prefix("root ").tempdir().unwrap();
        let passphrase = secret_file(&place.path().join("passphrase"), PASSPHRASE);
        let root = place.path().join("root");
        let mut command = program("openchat-server");
        command.args(["ca", "root", "create"]).arg(root).args(["--org", "Acme"]);
        let (code, made) = ended(command.args(["--passphrase-file", &passphrase, "--json"]));
        assert_eq!((code, &made["sealed"]), (Some(0), &true.into()), "{made}");
        let pin = made["pin"].as_str().unwrap().to_owned();
        Self { place, passphrase, pin }
    }

    /// Certifies a request; gives the file to install.
    fn certify(&self, request: &str, hosts: &[&str]) -> PathBuf {
        let (at, to) = (self.place.path().join("request"), self.place.path().join("certified"));
        fs::write(&at, request).unwrap();
        let mut command = program("openchat-server");
        command.args(["ca", "root", "certify"]).arg(self.place.path().join("root")).arg(at);
        command.args(hosts.iter().flat_map(|host| ["--host", host]));
        command.args(["--exclude", "bank.example"]);
        let (code, made) = ended(command.args(["--passphrase-file", &self.passphrase, "--json"]));
        assert_eq!(code, Some(0), "{made}");
        fs::write(&to, made["pem"].as_str().unwrap()).unwrap();
        to
    }
}

fn install(server: &Server, file: &Path) -> serde_json::Value {
    said(server, &["ca", "install", file.to_str().unwrap()])
}

fn begun(server: &Server) -> String {
    let asked = said(server, &["init-ca", "--org", "Acme", "--below-root"]);
    asked["pem"].as_str().unwrap().to_owned()
}

#[test]
fn t12_people_pin_the_root_and_the_server_never_has_its_key() {
    let (away, mut server) = (Away::new(), Server::bare(&[]));
    let request = begun(&server);
    assert_eq!(refused(&server, &["run"], 78), "not_certified");
    assert_eq!(refused(&server, &["init-ca"], 78), "ca_exists");
    let certified = away.certify(&request, &["localhost", "127.0.0.1"]);
    let installed = install(&server, &certified);
    assert_eq!(installed["pin"], *away.pin);
    server.run();
    assert_eq!(server_pin(&server), away.pin);
    let status = said(&server, &["ca", "status"]);
    assert_eq!(status["offline_root"], true);
    let alice = server.enroll("alice");
    let bob = Person::new("bob", &server);
    bob.run(&["enroll", "--name", "bob", "--invite", &invite(&server, "bob")]);
    assert_eq!((pin(&alice), pin(&bob)), (away.pin.clone(), away.pin.clone()));
    talk(&alice, &bob, "below");
    server.stop();
    // A CA below a root gets its keys from there.
    assert_eq!(refused(&server, &["ca", "rotate"], 78), "authority");
    assert_eq!(refused(&server, &["ca", "rotate", "--emergency"], 78), "authority");
    // The file that a third person checks leads to the root too.
    let file = server.place().join("log");
    said(&server, &["log", "export", file.to_str().unwrap()]);
    let (code, found) = crate::support::verify(&file, &["--pin", &away.pin]);
    assert_eq!((code, &found["pinned"]), (Some(0), &true.into()), "{found}");

    // Renewal with the same key, and then with another: no device is asked.
    let request = said(&server, &["ca", "request"])["pem"].as_str().unwrap().to_owned();
    install(&server, &away.certify(&request, &["localhost", "127.0.0.1"]));
    server.run();
    talk(&alice, &bob, "renewed");
    server.stop();
    let before = said(&server, &["ca", "status"])["key"].clone();
    let request = said(&server, &["ca", "request", "--new-key"]);
    let request = request["pem"].as_str().unwrap().to_owned();
    assert_eq!(said(&server, &["ca", "status"])["key"], before, "the old one is in use till then");
    install(&server, &away.certify(&request, &["localhost", "127.0.0.1"]));
    let status = said(&server, &["ca", "status"]);
    assert_eq!((&status["former"][0], &status["pin"]), (&before, &away.pin.clone().into()));
    server.run();
    let carol = server.enroll("carol");
    talk(&alice, &bob, "other key");
    talk(&carol, &bob, "welcome");
}

#[test]
fn t12_only_what_was_asked_for_is_taken() {
    let (away, other, server) = (Away::new(), Away::new(), Server::bare(&[]));
    let request = begun(&server);
    let another = Server::bare(&[]);
    let strange = away.certify(&begun(&another), &["localhost"]);
    let install_at = |file: &Path| refused(&server, &["ca", "install", file.to_str().unwrap()], 78);
    assert_eq!(install_at(&strange), "certificate");
    let certified = away.certify(&request, &["localhost", "127.0.0.1"]);
    let pem = fs::read_to_string(&certified).unwrap();
    let (own, root) = pem.split_at(pem.find("-----END CERTIFICATE-----\n").unwrap() + 26);
    for (text, why) in [
        (own.to_owned(), "without its root"),
        (root.to_owned(), "the root alone"),
        (format!("{root}{own}"), "turned"),
        (format!("{pem}{own}"), "with more"),
        (pem.replace('M', "N"), "damaged"),
        (String::new(), "empty"),
    ] {
        let file = server.place().join("bad");
        fs::write(&file, text).unwrap();
        assert_eq!(install_at(&file), "certificate", "{why}");
        assert!(!server.data().join("ca.crt").exists(), "{why}");
    }
    install(&server, &certified);
    let request = said(&server, &["ca", "request"])["pem"].as_str().unwrap().to_owned();
    let theirs = other.certify(&request, &["localhost"]);
    assert_eq!(install_at(&theirs), "certificate", "another root than before");
    assert_eq!(said(&server, &["ca", "status"])["pin"], *away.pin);
}

#[test]
fn t12_a_server_certifies_no_address_that_its_root_did_not_allow() {
    let (away, mut server) = (Away::new(), Server::bare(&[]));
    let request = begun(&server);
    let installed = install(&server, &away.certify(&request, &["127.0.0.1"]));
    let left_out = installed["left_out"].as_array().unwrap();
    assert!(left_out.contains(&"::1".into()), "{installed}");
    server.run();
    let shown = said(&server, &["cert", "show", "--server"]);
    let names = shown["names"].as_array().unwrap();
    assert!(names.contains(&"127.0.0.1".into()) && !names.contains(&"::1".into()), "{shown}");
}
