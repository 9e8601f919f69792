//! Files that came, and which of them is written.

use crate::support::{Home, ca, nowhere};
use openchat_client::{
    Survive, Vault,
    engine::{Body, Change, MessageRef, Offer, StoredMessage, Trust},
};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::fs;

const ID: &str = "07070707070707070707070707070707";

/// A file of somebody's under that id, all here.
fn comes(vault: &mut Vault, (group, target): (u8, &str), (who, sender): (u8, &str), bytes: &[u8]) {
    let file = MessageRef { author: Fingerprint([who; 32]), id: MessageId([7; 16]) };
    let group = GroupId([group; 32]);
    let size = u64::try_from(bytes.len()).unwrap();
    let offer = Offer { name: "report".to_owned(), size, hash: openchat_crypto::sha256(bytes) };
    let message = StoredMessage {
        group,
        target: target.to_owned(),
        seq: Seq(u64::from(who)),
        id: file.id,
        sender: sender.parse().unwrap(),
        fingerprint: file.author,
        trust: Trust::Certified,
        time: UnixMillis(1),
        body: Body::File(offer),
        own: false,
    };
    let part = Change::Chunk { group, file, index: 0, bytes: Blob(bytes.to_vec()) };
    vault.apply(&[Change::Message(message), part], Survive::PowerCut).unwrap();
    vault.compared(&group, &file, true).unwrap();
}

/// Mallory has taken the id of alice's file, in the same conversation and in another one.
fn home() -> Home {
    let home = Home::new();
    home.enroll_bob(&ca(), &nowhere());
    let mut vault = Vault::open(&home.directory().join("profiles/default")).unwrap();
    let mallory = (2, "mallory");
    comes(&mut vault, (8, "#pub"), mallory, b"rm -rf /");
    comes(&mut vault, (9, "#ops"), mallory, b"sudo rm");
    comes(&mut vault, (9, "#ops"), (3, "alice"), b"all is well");
    home
}

#[test]
fn m18_a_file_whose_id_several_have_taken_is_not_saved_before_it_is_said_whose() {
    let home = home();
    let to = home.directory().join("saved");
    let saved = |args: &[&str]| {
        let path = to.to_str().unwrap();
        home.run(&[&["--json", "file", "save", ID, path][..], args].concat())
    };
    for unclear in [&[][..], &["--in", "#ops"], &["--from", "mallory"]] {
        let refused = saved(unclear);
        let (code, message, hint) = refused.json_error();
        assert_eq!((refused.code, &*code), (7, "ambiguous"), "{unclear:?}");
        assert!(
            message.contains("of mallory in #ops") && hint.contains("--from"),
            "{message} {hint}"
        );
        assert!(!to.exists());
    }
    assert_eq!(saved(&["--from", "alice"]).code, 0);
    assert_eq!(fs::read(&to).unwrap(), b"all is well");
    fs::remove_file(&to).unwrap();
    assert_eq!(saved(&["--from", "mallory", "--in", "#pub"]).code, 0);
    assert_eq!(fs::read(&to).unwrap(), b"rm -rf /");
    let nobody = saved(&["--from", "carol"]);
    assert_eq!((nobody.code, &*nobody.json_error().0), (7, "no-such-file"));
}
