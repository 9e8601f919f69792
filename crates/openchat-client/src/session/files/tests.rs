use super::*;
use crate::vault::{FileState, Survive};
use openchat_engine::{Change, StoredMessage, Trust};
use openchat_wire::{Fingerprint, Seq, UnixMillis};

const GROUP: GroupId = GroupId([9; 32]);
const FILE: MessageRef = MessageRef { author: Fingerprint([2; 32]), id: MessageId([1; 16]) };

/// A vault in which somebody has offered an empty file, which so is all here.
fn offered() -> (tempfile::TempDir, Vault) {
    let place = tempfile::tempdir().unwrap();
    let mut vault = Vault::open(place.path()).unwrap();
    let hash = openchat_crypto::sha256(b"");
    let message = StoredMessage {
        group: GROUP,
        target: "#general".to_owned(),
        seq: Seq(1),
        id: FILE.id,
        sender: "bob".parse().unwrap(),
        fingerprint: FILE.author,
        trust: Trust::Certified,
        time: UnixMillis(1),
        body: Body::File(Offer { name: "a".to_owned(), size: 0, hash }),
        own: false,
    };
    vault.apply(&[Change::Message(message)], Survive::Kill).unwrap();
    (place, vault)
}

#[test]
fn a_file_whose_message_went_while_it_came_is_called_neither_right_nor_wrong() {
    let (_place, mut vault) = offered();
    assert_eq!(compare(&mut vault, &GROUP, &FILE).unwrap(), Some(true));
    let (_place, mut vault) = offered();
    let day = std::time::Duration::from_hours(24);
    let later = crate::outside::now().after(day * 2);
    assert_eq!(vault.set_retention(None, Some(day), later).unwrap(), 1);
    assert_eq!(compare(&mut vault, &GROUP, &FILE).unwrap(), None);
}

#[test]
fn m12_a_file_that_is_given_up_for_others_is_not_called_another_one() {
    let (_place, mut vault) = offered();
    vault.apply(&[Change::DropFile { group: GROUP, file: FILE }], Survive::Kill).unwrap();
    let file = vault.file(Some(&GROUP), &FILE).unwrap().unwrap();
    assert_eq!(file.state, FileState::GivenUp);
    let said = crate::save::save(&vault, &file, Path::new("/nowhere")).unwrap_err().to_string();
    assert_eq!(said, "'a' did not come whole, and is not kept: too many others were under way");
}
