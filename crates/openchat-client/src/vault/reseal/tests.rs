use super::*;
use crate::vault::{Kept, Range, Search, Survive, unlock::found};
use openchat_crypto::Passphrase;
use openchat_engine::{Change, Key, StoredMessage, Trust};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::{cell::Cell, path::Path};
use tempfile::{TempDir, tempdir};

const GROUP: GroupId = GroupId([9; 32]);

/// The tables of format 2, as earlier versions made them.
const FORMAT_2: &str = include_str!("../../../testdata/format-2.sql");

fn record() -> (Key, Blob) {
    (Key { kind: 14, group: Some(GROUP), sub: vec![1] }, Blob(b"ratchet".to_vec()))
}

fn message() -> StoredMessage {
    StoredMessage {
        group: GROUP,
        target: "#general".to_owned(),
        seq: Seq(7),
        id: MessageId([5; 16]),
        sender: "bob".parse().unwrap(),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Verified,
        time: UnixMillis(1000),
        body: openchat_engine::Body::Text("a message of old".to_owned()),
        own: false,
    }
}

/// A vault as an earlier openchat left it, with a journal that was not written back.
fn plain_vault() -> TempDir {
    let (place, made) = (tempdir().unwrap(), tempdir().unwrap());
    let path = made.path().join("vault.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    old.execute_batch(FORMAT_2).unwrap();
    for name in ["vault.db", "vault.db-wal"] {
        std::fs::copy(made.path().join(name), place.path().join(name)).unwrap();
    }
    place
}

fn check(vault: &Vault) {
    assert_eq!(vault.records().unwrap(), vec![record()]);
    assert_eq!(vault.newest(&GROUP, &Range::ALL, 9).unwrap(), vec![message()]);
    assert_eq!(vault.unshown(&GROUP, 9).unwrap(), vec![message()]);
    let words = vec!["old".to_owned()];
    let search = Search { words, group: None, sender: None, limit: 9 };
    assert_eq!(vault.search(&search).unwrap(), vec![message()]);
    let identity = vault.identity().unwrap().unwrap();
    assert_eq!((identity.name.as_str(), identity.key.as_slice()), ("bob", &[7, 7][..]));
}

/// What is in the folder, the lock aside.
fn names(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != "vault.lock");
    names.sort();
    names
}

fn holds(path: &Path, wanted: &[u8]) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_vault_of_format_2_is_sealed_and_all_of_it_is_there() {
    let place = plain_vault();
    check(&Vault::open(place.path()).unwrap());
    assert_eq!(names(place.path()), ["vault.db", "vault.key"]);
    assert!(!holds(&place.path().join("vault.db"), b"a message of old"));
    check(&Vault::open(place.path()).unwrap());
}

#[test]
fn who_only_looks_seals_it_too() {
    let place = plain_vault();
    check(&Vault::look(place.path()).unwrap().unwrap());
    assert_eq!(found(&Files::of(place.path())).unwrap(), Found::Sealed);
}

#[test]
fn while_an_earlier_openchat_runs_nothing_is_touched() {
    let place = plain_vault();
    let lock = file::lock(place.path()).unwrap();
    assert!(matches!(Vault::look(place.path()), Err(VaultError::InUse(_))));
    drop(lock);
    let other = Connection::open(place.path().join("vault.db")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM messages").unwrap();
    let mut reading = other.prepare("SELECT * FROM records").unwrap();
    let mut rows = reading.query([]).unwrap();
    rows.next().unwrap();
    assert!(Vault::open(place.path()).is_err(), "somebody reads it");
    drop(rows);
    drop(reading);
    drop(other);
    check(&Vault::open(place.path()).unwrap());
}

/// Does the first `steps` steps of sealing a plain vault, and stops there as a killed process does.
fn begin_plain(place: &Path, steps: usize) {
    let files = Files::of(place);
    let unlock = Unlock::alone();
    let old = Cell::new(Some(file::open(&files.database, None).unwrap()));
    let key = Cell::new(None);
    let all: [&dyn Fn(); 6] = [
        &|| key.set(Some(unlock::new_key(&files, &unlock).unwrap().0)),
        &|| std::fs::write(&files.fresh, b"half of a copy").unwrap(),
        &|| {
            let made = key.take().unwrap();
            copy_plain(&files, &made).unwrap();
        },
        &|| settle(old.take().unwrap(), &files).unwrap(),
        &|| std::fs::hard_link(&files.database, &files.old).unwrap(),
        &|| std::fs::rename(&files.fresh, &files.database).unwrap(),
    ];
    all.iter().take(steps).for_each(|step| step());
}

#[test]
fn killed_at_any_step_the_next_process_has_all_of_it() {
    for steps in 0..=6 {
        let place = plain_vault();
        begin_plain(place.path(), steps);
        check(&Vault::open(place.path()).unwrap());
        assert_eq!(names(place.path()), ["vault.db", "vault.key"], "after {steps} steps");
        for name in names(place.path()) {
            assert!(!holds(&place.path().join(name), b"a message of old"), "after {steps} steps");
        }
    }
}

fn sealed_vault() -> TempDir {
    let place = plain_vault();
    drop(Vault::open(place.path()).unwrap());
    place
}

#[test]
fn a_vault_is_sealed_anew_however_its_key_is_kept() {
    let place = sealed_vault();
    let elsewhere = place.path().join("stick");
    std::fs::create_dir(&elsewhere).unwrap();
    let passphrase = Passphrase::new("p".to_owned());
    let ask = || Unlock::new(|_| Ok(passphrase.clone()));
    let keepings = [
        (Keeping::Passphrase(passphrase.clone()), Kept::Passphrase),
        (Keeping::Passphrase(passphrase.clone()), Kept::Passphrase),
        (Keeping::At(elsewhere.join("a.key")), Kept::At(elsewhere.join("a.key"))),
        (Keeping::At(elsewhere.join("b.key")), Kept::At(elsewhere.join("b.key"))),
        (Keeping::Beside, Kept::Beside),
    ];
    for (keeping, kept) in keepings {
        let before = std::fs::read(place.path().join("vault.key")).unwrap();
        let vault = Vault::open_with(place.path(), &ask()).unwrap().keep(&keeping).unwrap();
        assert_eq!(*vault.kept(), kept);
        check(&vault);
        drop(vault);
        check(&Vault::open_with(place.path(), &ask()).unwrap());
        // With the old key file, and whatever it needed, the new database does not open.
        let after = std::fs::read(place.path().join("vault.key")).unwrap();
        std::fs::write(place.path().join("vault.key"), &before).unwrap();
        assert!(Vault::open_with(place.path(), &ask()).is_err(), "{keeping:?}");
        std::fs::write(place.path().join("vault.key"), &after).unwrap();
    }
    let full = Vault::open(place.path()).unwrap().keep(&Keeping::At(elsewhere.join("a.key")));
    assert!(matches!(full, Err(VaultError::Exists(_))));
    check(&Vault::open(place.path()).unwrap());
}

/// Does the first `steps` steps of sealing a vault anew.
fn begin_sealed(place: &Path, keeping: &Keeping, steps: usize) {
    let files = Files::of(place);
    let key = Secret::from_bytes([0x33; 32]);
    let vault = Cell::new(Some(Vault::open(place).unwrap()));
    let entry = Cell::new(None);
    let all: [&dyn Fn(); 6] = [
        &|| entry.set(Some(announce(&files, &key, keeping).unwrap())),
        &|| {
            let open = vault.take().unwrap();
            copy(&open.database, &files, &key).unwrap();
            vault.set(Some(open));
        },
        &|| settle(vault.take().unwrap().database, &files).unwrap(),
        &|| std::fs::hard_link(&files.database, &files.old).unwrap(),
        &|| std::fs::rename(&files.fresh, &files.database).unwrap(),
        &|| key::write(&files.key, &[entry.take().unwrap()]).unwrap(),
    ];
    all.iter().take(steps).for_each(|step| step());
}

#[test]
fn killed_at_any_step_of_sealing_anew_one_of_the_keys_opens_it() {
    let passphrase = Passphrase::new("p".to_owned());
    for steps in 0..=6 {
        let place = sealed_vault();
        begin_sealed(place.path(), &Keeping::Passphrase(passphrase.clone()), steps);
        let asked = Cell::new(false);
        let unlock = Unlock::new(|_| {
            asked.set(true);
            Ok(passphrase.clone())
        });
        let vault = Vault::open_with(place.path(), &unlock).unwrap();
        check(&vault);
        assert_eq!(asked.get(), steps >= 5, "after {steps} steps");
        drop(vault);
        assert_eq!(names(place.path()), ["vault.db", "vault.key"], "after {steps} steps");
        let entries = key::read(&place.path().join("vault.key")).unwrap().unwrap();
        assert_eq!(entries.len(), 1, "after {steps} steps");
        check(&Vault::open_with(place.path(), &unlock).unwrap());
    }
}

#[test]
fn who_looks_before_opening_keeps_the_key_that_opens() {
    let passphrase = Passphrase::new("p".to_owned());
    for steps in 0..=6 {
        let place = sealed_vault();
        begin_sealed(place.path(), &Keeping::Passphrase(passphrase.clone()), steps);
        let asked = Cell::new(0);
        let unlock = Unlock::new(|_| {
            asked.set(asked.get() + 1);
            Ok(passphrase.clone())
        });
        check(&Vault::look_with(place.path(), &unlock).unwrap().unwrap());
        check(&Vault::open_with(place.path(), &unlock).unwrap());
        assert!(asked.get() <= 1, "after {steps} steps: asked {} times", asked.get());
        // Another process, which knows nothing yet.
        let fresh = Unlock::new(|_| Ok(passphrase.clone()));
        check(&Vault::open_with(place.path(), &fresh).unwrap());
    }
}

#[test]
fn while_somebody_looks_it_is_not_sealed_anew_and_stays_whole() {
    let place = sealed_vault();
    let vault = Vault::open(place.path()).unwrap();
    let look = Vault::look(place.path()).unwrap().unwrap();
    let mut reading = look.database.prepare("SELECT * FROM records").unwrap();
    let mut rows = reading.query([]).unwrap();
    rows.next().unwrap();
    assert!(vault.keep(&Keeping::Beside).is_err());
    drop(rows);
    drop(reading);
    drop(look);
    check(&Vault::open(place.path()).unwrap());
}

#[test]
fn what_is_written_after_sealing_anew_is_there() {
    let place = sealed_vault();
    let mut vault = Vault::open(place.path()).unwrap().keep(&Keeping::Beside).unwrap();
    let (key, _) = record();
    vault.apply(&[Change::Delete(key)], Survive::PowerCut).unwrap();
    drop(vault);
    assert_eq!(Vault::open(place.path()).unwrap().records().unwrap(), vec![]);
}
