use super::*;
use crate::vault::Survive;
use openchat_engine::{Body, Change, MessageRef, Offer, StoredMessage, Trust};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis, limits::FILE_CHUNK};
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::{TempDir, tempdir};

const GROUP: GroupId = GroupId([9; 32]);

/// A vault with a file of somebody's, whole and compared.
fn kept(name: &str, bytes: &[u8]) -> (TempDir, Vault, KeptFile) {
    let place = tempdir().unwrap();
    let mut vault = Vault::open(&place.path().join("vault")).unwrap();
    let file = MessageRef { author: Fingerprint([2; 32]), id: MessageId([1; 16]) };
    let size = u64::try_from(bytes.len()).unwrap();
    let offer = Offer { name: name.to_owned(), size, hash: openchat_crypto::sha256(bytes) };
    let message = StoredMessage {
        group: GROUP,
        target: "#general".to_owned(),
        seq: Seq(1),
        id: file.id,
        sender: "bob".parse().unwrap(),
        fingerprint: file.author,
        trust: Trust::Certified,
        time: UnixMillis(1),
        body: Body::File(offer),
        own: false,
    };
    let parts = (0..).zip(bytes.chunks(FILE_CHUNK)).map(|(index, part)| Change::Chunk {
        group: GROUP,
        file,
        index,
        bytes: Blob(part.to_vec()),
    });
    let changes: Vec<_> = [Change::Message(message)].into_iter().chain(parts).collect();
    vault.apply(&changes, Survive::Kill).unwrap();
    vault.compared(&GROUP, &file, true).unwrap();
    let kept = vault.file(Some(&GROUP), &file).unwrap().unwrap();
    (place, vault, kept)
}

fn bytes() -> Vec<u8> {
    b"0123456789".repeat(30_000)
}

fn names(directory: &Path) -> Vec<String> {
    let all = fs::read_dir(directory).unwrap();
    all.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_file_is_saved_whole_and_for_its_person_alone() {
    let (place, vault, file) = kept("notes.txt", &bytes());
    let to = place.path().join("to");
    fs::create_dir(&to).unwrap();
    let path = save(&vault, &file, &to).unwrap();
    assert_eq!(path, to.join("notes.txt"));
    assert_eq!(fs::read(&path).unwrap(), bytes());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&to), ["notes.txt"], "nothing else is left");
}

#[test]
fn nothing_that_is_there_is_replaced_or_written_through() {
    let (place, vault, file) = kept("notes.txt", &bytes());
    let to = place.path().join("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("notes.txt"), "mine").unwrap();
    assert!(matches!(save(&vault, &file, &to), Err(SaveError::Exists(_))));
    assert_eq!(fs::read(to.join("notes.txt")).unwrap(), b"mine");
    // A link that leads elsewhere, to a file or to nothing yet.
    for target in ["notes.txt", "nowhere"] {
        symlink(target, to.join("link")).unwrap();
        assert!(matches!(save(&vault, &file, &to.join("link")), Err(SaveError::Exists(_))));
        fs::remove_file(to.join("link")).unwrap();
    }
    assert!(!to.join("nowhere").exists());
    assert_eq!(names(&to), ["notes.txt"]);
}

#[test]
fn no_name_becomes_a_setting_or_an_option() {
    assert_eq!(visible(".bashrc"), "_bashrc");
    assert_eq!(visible("-rf"), "_rf");
    assert_eq!(visible("notes.txt"), "notes.txt");
    let (place, vault, file) = kept(".profile", &bytes());
    let path = save(&vault, &file, place.path()).unwrap();
    assert_eq!(path.file_name().unwrap(), "_profile");
}

#[test]
fn what_is_not_all_here_or_another_one_is_not_saved() {
    let (place, mut vault, file) = kept("notes.txt", &bytes());
    let to = place.path().join("notes.txt");
    let coming = KeptFile { state: FileState::Coming { done: 9 }, ..file.clone() };
    assert!(matches!(save(&vault, &coming, &to), Err(SaveError::Coming { done: 9, .. })));
    // Even if the vault were wrong about it.
    let offer = Offer { hash: openchat_wire::Digest([0; 32]), ..file.offer.clone() };
    let other = KeptFile { offer, ..file.clone() };
    assert!(matches!(save(&vault, &other, &to), Err(SaveError::Vault(_))));
    vault.compared(&GROUP, &file.message, false).unwrap();
    assert!(matches!(save(&vault, &file, &to), Err(SaveError::Vault(_))), "its parts are gone");
    let wrong = vault.file(Some(&GROUP), &file.message).unwrap().unwrap();
    assert!(matches!(save(&vault, &wrong, &to), Err(SaveError::Wrong(_))));
    assert_eq!(names(place.path()), ["vault"]);
}

#[test]
fn without_links_nothing_is_replaced_and_no_empty_file_stays() {
    let place = tempdir().unwrap();
    let (partial, path) = (place.path().join("p"), place.path().join("notes.txt"));
    assert!(rename(&partial, &path).is_err(), "there is nothing to rename");
    assert!(names(place.path()).is_empty());
    fs::write(&partial, "whole").unwrap();
    rename(&partial, &path).unwrap();
    assert_eq!(names(place.path()), ["notes.txt"]);
    fs::write(&partial, "another").unwrap();
    let refused = rename(&partial, &path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"whole");
}

#[test]
fn a_place_that_can_not_be_written_is_told() {
    let (place, vault, file) = kept("notes.txt", &bytes());
    let nowhere = place.path().join("no/such/place");
    assert!(matches!(save(&vault, &file, &nowhere), Err(SaveError::Unwritable { .. })));
}
