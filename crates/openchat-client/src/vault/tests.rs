use super::*;
use crate::outside::os_random;
use openchat_crypto::IdentityKey;
use openchat_crypto::Passphrase;
use openchat_engine::{Body, StoredMessage, Trust};
use openchat_wire::{Digest, Fingerprint, MessageId, Seq, UnixMillis};
use rusqlite::ErrorCode;
use std::{fs::Permissions, os::unix::fs::PermissionsExt};
use tempfile::{TempDir, tempdir};

pub(super) mod attacks;
mod history;

const GROUP: GroupId = GroupId([9; 32]);

fn place() -> TempDir {
    tempdir().unwrap()
}

fn key(kind: u8, sub: &[u8]) -> Key {
    Key { kind, group: Some(GROUP), sub: sub.to_vec() }
}

fn put(kind: u8, sub: &[u8], value: &[u8]) -> Change {
    Change::Put { key: key(kind, sub), value: Blob(value.to_vec()) }
}

fn message(group: GroupId, seq: u64) -> StoredMessage {
    StoredMessage {
        group,
        target: "#general".to_owned(),
        seq: Seq(seq),
        id: MessageId(*b"0123456789abcdef"),
        sender: "bob".parse().unwrap(),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Changed,
        time: UnixMillis(u64::MAX),
        body: Body::Text(format!("text {seq} \u{1f980}\n")),
        own: true,
    }
}

pub(in crate::vault) fn identity(name: &str, key: &IdentityKey) -> Identity {
    Identity {
        name: name.parse().unwrap(),
        key: key.to_pkcs8(),
        certificate: vec![1],
        ca: vec![2],
        ca_pin: Digest([4; 32]),
        server: "localhost:7443".to_owned(),
        server_keys: vec![5],
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

#[test]
fn nobody_else_reads_the_files() {
    let place = place();
    let directory = place.path().join("profiles/bob");
    let mut vault = Vault::open(&directory).unwrap();
    vault.apply(&[put(1, b"a", b"b")], Survive::PowerCut).unwrap();
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert!(files.len() >= 4, "database, journal, key and lock");
    for file in files {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_directory_that_was_open_to_others_is_closed() {
    let place = place();
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    Vault::open(place.path()).unwrap();
    assert_eq!(mode(place.path()), 0o700);
}

#[test]
fn only_one_may_use_it_and_others_may_look() {
    let place = place();
    let mut first = Vault::open(place.path()).unwrap();
    assert!(matches!(Vault::open(place.path()), Err(VaultError::InUse(_))));
    first.apply(&[put(1, b"", b"x")], Survive::PowerCut).unwrap();
    let mut look = Vault::look(place.path()).unwrap().unwrap();
    assert_eq!(look.records().unwrap(), vec![(key(1, b""), Blob(b"x".to_vec()))]);
    assert!(
        look.apply(&[put(1, b"", b"y")], Survive::PowerCut).is_err(),
        "who looks does not write"
    );
    drop(first);
    Vault::open(place.path()).unwrap();
}

#[test]
fn looking_where_nothing_is_makes_nothing() {
    let place = place();
    let directory = place.path().join("none");
    assert!(Vault::look(&directory).unwrap().is_none());
    assert!(!directory.exists());
}

#[test]
fn records_are_put_replaced_and_deleted() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let global = Key { kind: 1, group: None, sub: Vec::new() };
    let put_global = Change::Put { key: global.clone(), value: Blob(b"g".to_vec()) };
    vault
        .apply(
            &[put(1, b"", b"1"), put(1, b"", b"2"), put(2, b"", b"3"), put_global],
            Survive::PowerCut,
        )
        .unwrap();
    vault
        .apply(&[Change::Delete(key(2, b"")), Change::Delete(key(7, b"none"))], Survive::PowerCut)
        .unwrap();
    let mut records = vault.records().unwrap();
    records.sort_by_key(|(key, _)| key.clone());
    assert_eq!(records, vec![(global, Blob(b"g".to_vec())), (key(1, b""), Blob(b"2".to_vec()))]);
}

#[test]
fn a_killed_process_loses_no_transaction_and_leaves_none_half_done() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    vault
        .apply(&[put(1, b"", b"kept"), Change::Message(message(GROUP, 1))], Survive::PowerCut)
        .unwrap();
    // As SIGKILL leaves it: nothing closed, the journal as it is, the last transaction open.
    vault.database.execute_batch("BEGIN; DELETE FROM records; DELETE FROM messages;").unwrap();
    let copy = place.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for file in ["vault.db", "vault.db-wal", "vault.key"] {
        std::fs::copy(place.path().join(file), copy.join(file)).unwrap();
    }
    let reopened = Vault::open(&copy).unwrap();
    assert_eq!(reopened.records().unwrap(), vec![(key(1, b""), Blob(b"kept".to_vec()))]);
    assert_eq!(reopened.unshown(&GROUP, 9).unwrap(), vec![message(GROUP, 1)]);
}

#[test]
fn a_torn_journal_gives_the_last_whole_transaction() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    vault.apply(&[put(1, b"", b"first")], Survive::PowerCut).unwrap();
    let whole = read(&place.path().join("vault.db-wal")).len();
    vault.apply(&[put(1, b"", b"second")], Survive::PowerCut).unwrap();
    let journal = read(&place.path().join("vault.db-wal"));
    let database = read(&place.path().join("vault.db"));
    for cut in [whole, whole + 1, whole + 100, journal.len() - 1] {
        let copy = tempdir().unwrap();
        std::fs::write(copy.path().join("vault.db"), &database).unwrap();
        std::fs::write(copy.path().join("vault.db-wal"), &journal[..cut]).unwrap();
        std::fs::copy(place.path().join("vault.key"), copy.path().join("vault.key")).unwrap();
        let records = Vault::open(copy.path()).unwrap().records().unwrap();
        assert_eq!(records, vec![(key(1, b""), Blob(b"first".to_vec()))], "cut at {cut}");
    }
}

#[test]
fn a_failing_transaction_changes_nothing() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    vault.apply(&[put(1, b"", b"old")], Survive::PowerCut).unwrap();
    let pages: i64 =
        vault.database.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    vault.database.pragma_update(None, "max_page_count", pages).unwrap();
    let full =
        vault.apply(&[put(1, b"", b"new"), put(2, b"", &vec![1; 1 << 20])], Survive::PowerCut);
    assert!(matches!(full, Err(VaultError::Database(_))), "{full:?}");
    assert_eq!(vault.records().unwrap(), vec![(key(1, b""), Blob(b"old".to_vec()))]);
}

#[test]
fn what_was_shown_is_not_shown_again() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let stored: Vec<_> = [2, 300, 70_000, u64::MAX].map(|seq| message(GROUP, seq)).into();
    vault
        .apply(&stored.iter().cloned().map(Change::Message).collect::<Vec<_>>(), Survive::PowerCut)
        .unwrap();
    assert_eq!(vault.unshown(&GROUP, 9).unwrap(), stored);
    assert_eq!(vault.unshown(&GROUP, 2).unwrap(), stored[..2]);
    assert_eq!(vault.unshown(&GroupId([8; 32]), 9).unwrap(), vec![]);
    assert_eq!(vault.after(&GROUP, stored[0].seq, 9).unwrap(), stored[1..]);
    assert_eq!(vault.after(&GROUP, Seq(0), 2).unwrap(), stored[..2]);
    vault.mark_shown(&[(GROUP, Seq(300))]).unwrap();
    vault.mark_shown(&[(GROUP, Seq(2))]).unwrap();
    drop(vault);
    let vault = Vault::open(place.path()).unwrap();
    assert_eq!(vault.unshown(&GROUP, 9).unwrap(), stored[2..]);
}

#[test]
fn messages_of_others_wait_until_they_were_shown() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let other = GroupId([8; 32]);
    let of_bob = |group, seq| Change::Message(StoredMessage { own: false, ..message(group, seq) });
    let own = Change::Message(message(GROUP, 4));
    let changes = [of_bob(GROUP, 1), of_bob(GROUP, 3), own, of_bob(other, 1)];
    vault.apply(&changes, Survive::PowerCut).unwrap();
    assert_eq!(vault.waiting().unwrap(), [(GROUP, 2), (other, 1)].into());
    vault.mark_shown(&[(GROUP, Seq(1)), (other, Seq(1))]).unwrap();
    assert_eq!(vault.waiting().unwrap(), [(GROUP, 1)].into());
    vault.mark_shown(&[(GROUP, Seq(3))]).unwrap();
    assert!(vault.waiting().unwrap().is_empty(), "one's own messages wait for nobody");
}

#[test]
fn history_is_not_rewritten() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let other = StoredMessage { body: Body::Text("other".to_owned()), ..message(GROUP, 1) };
    vault
        .apply(&[Change::Message(message(GROUP, 1)), Change::Message(other)], Survive::PowerCut)
        .unwrap();
    assert_eq!(vault.unshown(&GROUP, 9).unwrap(), vec![message(GROUP, 1)]);
}

#[test]
fn a_key_is_kept_until_its_certificate_comes_and_after() {
    let place = place();
    let bob = "bob".parse().unwrap();
    let mut vault = Vault::open(place.path()).unwrap();
    let make = || IdentityKey::generate(&mut os_random());
    let first = vault.key_for(&bob, make).unwrap();
    assert!(first.new);
    drop(vault);
    let mut vault = Vault::open(place.path()).unwrap();
    let again = vault.key_for(&bob, make).unwrap();
    assert!(!again.new);
    assert_eq!(again.key.public(), first.key.public());
    assert!(vault.key_for(&"carol".parse().unwrap(), make).unwrap().new);
    assert!(vault.identity().unwrap().is_none());

    vault.enroll(&identity("bob", &first.key)).unwrap();
    let stored = vault.identity().unwrap().unwrap();
    assert_eq!((stored.name.as_str(), stored.ca_pin), ("bob", Digest([4; 32])));
    let renewing = vault.key_for(&bob, make).unwrap();
    assert_eq!((renewing.new, renewing.key.public()), (false, first.key.public()));
    let replaced = Identity { certificate: vec![7], ..identity("bob", &first.key) };
    vault.enroll(&replaced).unwrap();
    assert_eq!(vault.identity().unwrap().unwrap().certificate, vec![7]);
}

#[test]
fn another_format_is_refused_and_not_touched() {
    let place = place();
    let vault = Vault::open(place.path()).unwrap();
    let set = |format: i64| vault.database.pragma_update(None, "user_version", format).unwrap();
    set(4);
    assert!(matches!(Vault::look(place.path()), Err(VaultError::Newer { found: 4, .. })));
    set(2);
    assert!(matches!(Vault::look(place.path()), Err(VaultError::Older { found: 2, .. })));
    drop(vault);
    assert!(matches!(Vault::open(place.path()), Err(VaultError::Older { found: 2, .. })));
}

#[test]
fn what_is_no_vault_is_an_error_and_stays_as_it_is() {
    let place = place();
    drop(Vault::open(place.path()).unwrap());
    std::fs::write(place.path().join(FILE), [b'x'; 5000]).unwrap();
    assert!(matches!(Vault::open(place.path()), Err(VaultError::Broken(_))));
    assert_eq!(read(&place.path().join(FILE)), [b'x'; 5000]);
    std::fs::remove_file(place.path().join("vault.key")).unwrap();
    assert!(matches!(Vault::open(place.path()), Err(VaultError::NoKey(_))));
    assert_eq!(read(&place.path().join(FILE)), [b'x'; 5000]);
}

#[test]
fn debug_shows_no_key() {
    let key = IdentityKey::generate(&mut os_random());
    let shown = format!("{:?}", identity("bob", &key));
    assert_eq!(shown, "Identity(bob at localhost:7443)");
}
