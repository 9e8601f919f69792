use super::*;
use crate::{
    outside::os_random,
    vault::{Range, Survive},
};
use openchat_crypto::IdentityKey;
use openchat_engine::{Change, StoredMessage, Trust};
use openchat_wire::{Blob, Digest, Fingerprint, MessageId, Seq, UnixMillis};
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};

const GROUP: GroupId = GroupId([9; 32]);

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn message(seq: u64) -> StoredMessage {
    StoredMessage {
        group: GROUP,
        target: "#ops".to_owned(),
        seq: Seq(seq),
        id: MessageId([5; 16]),
        sender: "bob".parse().unwrap(),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Verified,
        time: UnixMillis(1000),
        body: openchat_engine::Body::Text(format!("text {seq}")),
        own: false,
    }
}

fn put(kind: u8, group: Option<GroupId>) -> Change {
    let key = Key { kind, group, sub: vec![kind] };
    Change::Put { key, value: Blob(b"value of a record".to_vec()) }
}

/// A vault with a record of each kind that there may be.
fn filled() -> (TempDir, Vault) {
    let place = tempdir().unwrap();
    let mut vault = Vault::open(&place.path().join("vault")).unwrap();
    let key = IdentityKey::generate(&mut os_random());
    let identity = Identity {
        name: "bob".parse().unwrap(),
        key: key.to_pkcs8(),
        certificate: vec![1],
        ca: vec![2],
        ca_pin: Digest([4; 32]),
        server: "localhost:7443".to_owned(),
        server_keys: vec![5],
    };
    vault.enroll(&identity).unwrap();
    let mut changes = vec![Change::Message(message(1)), Change::Message(message(2))];
    for kind in 0..=u8::MAX {
        changes.extend([put(kind, None), put(kind, Some(GROUP))]);
    }
    vault.apply(&changes, Survive::PowerCut).unwrap();
    let month = std::time::Duration::from_hours(24 * 30);
    vault.set_retention(Some(&GROUP), Some(month), UnixMillis(0)).unwrap();
    (place, vault)
}

#[test]
fn person_trust_and_messages_come_back_and_no_key_of_a_group() {
    let (place, vault) = filled();
    let (file, fresh) = (place.path().join("b.openchat"), place.path().join("fresh"));
    vault.back_up(&file, &passphrase("p")).unwrap();
    let unlock = Unlock::alone();
    let restored = Vault::restore(&fresh, &unlock, &file, &passphrase("p")).unwrap();
    assert_eq!((restored.identity.name.as_str(), restored.messages), ("bob", 2));
    let fresh = Vault::open(&fresh).unwrap();
    let (old, new) = (vault.identity().unwrap().unwrap(), fresh.identity().unwrap().unwrap());
    assert_eq!((old.key, old.certificate), (new.key, new.certificate));
    assert_eq!(fresh.newest(&GROUP, &Range::ALL, 9).unwrap(), [message(1), message(2)]);
    assert_eq!(fresh.retention(Some(&GROUP)).unwrap(), vault.retention(Some(&GROUP)).unwrap());
    let kinds: Vec<_> = fresh.records().unwrap().into_iter().map(|(key, _)| key).collect();
    assert!(kinds.iter().all(|key| key.group.is_none() && key.survives_restoring()), "{kinds:?}");
    // A group's state, prekeys, what is on its way, how far was read.
    for dropped in [2, 6, 7, 14, 15, 16, 17, 20] {
        assert!(kinds.iter().all(|key| key.kind != dropped), "{dropped}");
    }
    for kept in [9, 10, 11, 13] {
        assert!(kinds.iter().any(|key| key.kind == kept), "{kept}");
    }
}

#[test]
fn nothing_of_it_can_be_read_without_the_passphrase() {
    let (place, vault) = filled();
    let file = place.path().join("b.openchat");
    vault.back_up(&file, &passphrase("p")).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&file).unwrap();
    for wanted in [&b"text 1"[..], b"value of", b"#ops", b"bob"] {
        assert!(!bytes.windows(wanted.len()).any(|window| window == wanted));
    }
    let fresh = place.path().join("fresh");
    let restore = || Vault::restore(&fresh, &Unlock::alone(), &file, &passphrase("q"));
    assert!(matches!(restore(), Err(VaultError::NoBackup(_))));
    assert!(!fresh.exists(), "nothing was made");
    let again = vault.back_up(&file, &passphrase("p"));
    assert!(matches!(again, Err(VaultError::Exists(_))), "nothing is written over");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn what_is_no_backup_or_has_a_page_changed_restores_nothing() {
    let (place, vault) = filled();
    let (file, fresh) = (place.path().join("b.openchat"), place.path().join("fresh"));
    vault.back_up(&file, &passphrase("p")).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let restore = || Vault::restore(&fresh, &Unlock::alone(), &file, &passphrase("p"));
    for wrong in [&b""[..], b"short", &[7; 9000], &whole[..8192], b"SQLite format 3\0"] {
        std::fs::write(&file, wrong).unwrap();
        assert!(restore().is_err());
    }
    let mut refused = 0;
    for page in 0..whole.len() / 8192 {
        let mut changed = whole.clone();
        // Somewhere else in each: the passphrase's salt, what is sealed, its seal.
        changed[page * 8192 + page * 1_237 % 8192] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        if restore().is_err() {
            refused += 1;
            if let Some(vault) = Vault::look(&fresh).unwrap() {
                assert!(vault.identity().unwrap().is_none(), "page {page}");
                assert!(vault.records().unwrap().is_empty(), "page {page}");
            }
        } else {
            // A page of an index, which nobody reads: all is there.
            let whole = Vault::open(&fresh).unwrap();
            let messages = whole.newest(&GROUP, &Range::ALL, 9).unwrap();
            assert_eq!(messages, [message(1), message(2)], "page {page}");
            drop(whole);
            std::fs::remove_dir_all(&fresh).unwrap();
        }
    }
    assert!(refused > 3);
    std::fs::write(&file, &whole).unwrap();
    assert_eq!(restore().unwrap().messages, 2);
}

#[test]
fn a_backup_of_a_newer_version_is_told_apart_from_none() {
    let (place, vault) = filled();
    let (file, fresh) = (place.path().join("b.openchat"), place.path().join("fresh"));
    vault.back_up(&file, &passphrase("p")).unwrap();
    let salt = Salt(std::fs::read(&file).unwrap()[..16].try_into().unwrap());
    let sealed = Sealed { key: stretched(&file, &passphrase("p"), &salt).unwrap(), salt };
    let newer = sealed.open(&file).unwrap();
    newer.pragma_update(None, "user_version", FORMAT + 1).unwrap();
    drop(newer);
    let restored = Vault::restore(&fresh, &Unlock::alone(), &file, &passphrase("p"));
    assert!(matches!(restored, Err(VaultError::Newer { .. })), "{restored:?}");
    assert!(!fresh.exists(), "nothing was made");
}

#[test]
fn a_profile_with_somebody_in_it_is_not_overwritten() {
    let (place, vault) = filled();
    let file = place.path().join("b.openchat");
    vault.back_up(&file, &passphrase("p")).unwrap();
    drop(vault);
    let directory = place.path().join("vault");
    let restored = Vault::restore(&directory, &Unlock::alone(), &file, &passphrase("p"));
    assert!(matches!(restored, Err(VaultError::NotEmpty(name)) if name.as_str() == "bob"));
}
