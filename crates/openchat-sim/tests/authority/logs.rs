//! The transparency log on the server's disk and in a file.

use crate::support::{asked, pin, said, talk, verify};
use openchat_crypto::IdentityKey;
use openchat_pki::{CaCertificate, Contradiction, Evidence, MerkleLog, Origin, ServerKeys};
use openchat_sim::{Person, Server};
use openchat_wire::{Blob, UnixMillis};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn exported(server: &Server, name: &str) -> PathBuf {
    let file = server.place().join(name);
    said(server, &["log", "export", file.to_str().unwrap()]);
    file
}

fn sql(server: &Server, statement: &str) {
    let database = rusqlite::Connection::open(server.data().join("openchat.db")).unwrap();
    database.execute_batch(statement).unwrap();
}

#[test]
fn t10_a_third_person_checks_the_whole_log() {
    let mut server = Server::start();
    let [alice, bob] = ["alice", "bob"].map(|name| server.enroll(name));
    talk(&alice, &bob, "hello");
    // Also while it runs.
    let stored = said(&server, &["log", "verify"]);
    assert_eq!(
        (&stored["ok"], &stored["size"], &stored["people"]),
        (&true.into(), &3.into(), &2.into())
    );
    let file = exported(&server, "log");
    let (code, found) = verify(&file, &[]);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!((&found["pin"], &found["pinned"]), (&pin(&alice).into(), &false.into()));
    assert_eq!((&found["root"], &found["size"]), (&stored["root"], &3.into()));
    assert_eq!(found["people"][0]["name"], "alice");
    let (code, _) = verify(&file, &["--pin", &format!("SHA256:{}", pin(&alice))]);
    assert_eq!(code, Some(0));
    let (code, error) = verify(&file, &["--pin", &"ab".repeat(32)]);
    assert_eq!((code, &error["code"]), (Some(5), &"not-verified".into()));
    // A file is not overwritten, and stdout has nothing else on it.
    let (code, _) = asked(&server, &["log", "export", file.to_str().unwrap()]);
    assert_eq!(code, Some(78));
    let piped = server.command().args(["log", "export"]).output().unwrap().stdout;
    assert!(piped.starts_with(b"openchat log 1\n"));

    // After a change of the CA's key the log says so, and is of the new one.
    server.stop();
    let rotated = said(&server, &["ca", "rotate"]);
    let file = exported(&server, "log after");
    let (code, found) = verify(&file, &["--pin", rotated["pin"].as_str().unwrap()]);
    assert_eq!((code, &found["findings"][0]["code"]), (Some(0), &"ca-key".into()), "{found}");
    server.run();
    let (code, missing) = verify(&server.place().join("nothing"), &[]);
    assert_eq!((code, &missing["code"]), (Some(7), &"file".into()));
}

#[test]
fn t10_a_file_that_was_edited_or_cut_is_refused() {
    let server = Server::start();
    for name in ["alice", "bob", "carol"] {
        let _ = server.enroll(name);
    }
    let file = exported(&server, "log");
    let good = fs::read(&file).unwrap();
    for end in (0..good.len()).step_by(7) {
        fs::write(&file, &good[..end]).unwrap();
        assert_eq!(verify(&file, &[]).0, Some(5), "cut at {end}");
    }
    for at in (0..good.len()).step_by(11) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&file, &bad).unwrap();
        assert_eq!(verify(&file, &[]).0, Some(5), "changed at {at}");
    }
    fs::write(&file, [&good[..], b"\0"].concat()).unwrap();
    assert_eq!(verify(&file, &[]).0, Some(5), "longer");
}

#[test]
fn t10_an_entry_that_was_edited_in_place_is_named() {
    let mut server = Server::start();
    for name in ["alice", "bob", "carol", "dave"] {
        let _ = server.enroll(name);
    }
    server.stop();
    let damaged = |server: &Server| {
        let (code, error) = asked(server, &["log", "verify"]);
        assert_eq!((code, &error["code"]), (Some(1), &"log_damaged".into()), "{error}");
        let (code, _) = asked(server, &["log", "export", "-"]);
        assert_eq!(code, Some(1), "nor is it exported");
        error["message"].as_str().unwrap().to_owned()
    };
    let bob = "SELECT entry FROM transparency WHERE place = 1";
    let edit =
        "UPDATE transparency SET entry = CAST(replace(hex(entry), '03626F62', '03626F63') AS BLOB)";
    sql(&server, &format!("CREATE TABLE was AS {bob}"));
    sql(&server, &format!("{edit} WHERE place = 1"));
    assert!(damaged(&server).contains("entry #2 "), "{}", damaged(&server));
    sql(&server, "UPDATE transparency SET entry = (SELECT entry FROM was) WHERE place = 1");
    said(&server, &["log", "verify"]);
    // Two that changed places.
    sql(&server, "UPDATE transparency SET place = 99 WHERE place = 2");
    sql(&server, "UPDATE transparency SET place = 2 WHERE place = 3");
    sql(&server, "UPDATE transparency SET place = 3 WHERE place = 99");
    assert!(damaged(&server).contains("entry #3 "));
    sql(&server, "UPDATE transparency SET place = 99 WHERE place = 2");
    sql(&server, "UPDATE transparency SET place = 2 WHERE place = 3");
    sql(&server, "UPDATE transparency SET place = 3 WHERE place = 99");
    said(&server, &["log", "verify"]);
    sql(
        &server,
        "UPDATE records SET value = zeroblob(9) WHERE kind = 'head' AND key = x'0000000000000004'",
    );
    assert!(damaged(&server).contains("head of #4"));
    sql(&server, "DELETE FROM transparency WHERE place = 3");
    assert!(damaged(&server).contains("missing from #4 on"));
}

/// A server's log key, of which two heads are signed that can't both be true.
#[test]
fn t9_evidence_is_checked_by_the_same_command() {
    let server = Server::start();
    let alice = server.enroll("alice");
    let key = |name: &str| {
        let der = PrivatePkcs8KeyDer::from_pem_file(server.data().join(name)).unwrap();
        IdentityKey::from_pkcs8(der.secret_pkcs8_der()).unwrap()
    };
    let der = CertificateDer::from_pem_file(server.data().join("ca.crt")).unwrap();
    let ca = CaCertificate::pinned(&der, &CaCertificate::pin_of(&der).unwrap()).unwrap();
    let keys = ServerKeys::new(*key("tlog.key").public(), *key("relay.key").public());
    let signed = |entry: &[u8]| {
        let log: MerkleLog = [entry].iter().collect();
        Blob(log.head(keys.log_id, UnixMillis(1_000)).sign(&key("tlog.key")))
    };
    let origin = Origin::new(&ca, &keys.sign(&key("ca.key")));
    let file = server.place().join("evidence");
    let write = |other: &[u8]| {
        let contradiction = Contradiction::Heads { one: signed(b"one"), other: signed(other) };
        fs::write(&file, Evidence::new(origin.clone(), contradiction).encode()).unwrap();
    };
    write(b"other");
    let (code, found) = verify(&file, &["--pin", &pin(&alice)]);
    assert_eq!((code, &found["proves"]), (Some(0), &"two-logs".into()), "{found}");
    assert_eq!(verify(&file, &["--pin", &"00".repeat(32)]).0, Some(5));
    assert_doctor_finds(&alice, &file);
    write(b"one");
    assert_eq!(verify(&file, &[]).0, Some(5), "no contradiction");
    fs::write(&file, "something else").unwrap();
    assert_eq!(verify(&file, &[]).0, Some(5));
}

/// A device that was shown both keeps the file; whoever asks what is wrong is told of it.
fn assert_doctor_finds(who: &Person, file: &Path) {
    let kept = who.profile().join("evidence");
    fs::create_dir(&kept).unwrap();
    let kept = kept.join("server-0123456789abcdef.evidence");
    fs::copy(file, &kept).unwrap();
    let (code, said) = who.try_to(&["doctor"]);
    let found = said.iter().find(|it| it["check"] == "evidence").unwrap();
    assert_eq!((code, &found["level"]), (Some(1), &"fail".into()), "{found}");
    assert!(found["message"].as_str().unwrap().contains("two transparency logs"), "{found}");
    let (hint, path) = (found["hint"].as_str().unwrap(), kept.to_str().unwrap());
    let command = format!("openchat -P {} log verify '{path}'; ", who.name());
    assert!(hint.starts_with(&command), "{hint}");
    assert_eq!(who.run(&["log", "verify", path])[0]["proves"], "two-logs");
    fs::write(&kept, "something else").unwrap();
    let (code, said) = who.try_to(&["doctor"]);
    let found = said.iter().find(|it| it["check"] == "evidence").unwrap();
    assert_eq!((code, &found["level"]), (Some(0), &"warn".into()), "{found}");
    fs::remove_file(&kept).unwrap();
}
