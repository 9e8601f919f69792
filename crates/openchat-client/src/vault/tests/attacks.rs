//! What somebody with the files gets, and what becomes of files that somebody has changed.

use super::*;
use rusqlite::Connection;

const SECRET: &[u8] = b"a secret that must not be found in any of the files";
const TEXT: &[u8] = b"text 7";

/// A vault with a record, messages, and some pages.
fn filled(directory: &Path) -> Vault {
    let mut vault = Vault::open(directory).unwrap();
    let mut changes = vec![put(1, b"", SECRET), put(2, b"large", &[7; 30_000])];
    changes.extend((1..200).map(|seq| Change::Message(message(GROUP, seq))));
    vault.apply(&changes, Survive::PowerCut).unwrap();
    vault
}

pub(in crate::vault) fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn neither_secrets_nor_texts_stand_in_any_file() {
    let place = place();
    let vault = filled(place.path());
    let key = IdentityKey::generate(&mut os_random());
    drop(vault);
    let mut vault = Vault::open(place.path()).unwrap();
    vault.enroll(&identity("bob", &key)).unwrap();
    for file in std::fs::read_dir(place.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = read(&path);
        for wanted in [SECRET, TEXT, b"#general", b"localhost", b"CREATE", &key.to_pkcs8()[36..68]]
        {
            assert!(!holds(&bytes, wanted), "{}: {wanted:?}", path.display());
        }
    }
}

/// All pages of database and journal, opened: page 1 begins with the salt, each ends with its IV and
/// its HMAC.
pub(in crate::vault) fn opened_pages(directory: &Path) -> Vec<u8> {
    let (key, size) = (key_of(directory), 8192);
    let mut opened = Vec::new();
    let mut open = |page: &[u8], first: bool| {
        let start = if first { 16 } else { 0 };
        let (sealed, rest) = page[start..].split_at(size - start - 48);
        opened.extend(decrypted(&key, &rest[..16], sealed));
    };
    for (index, page) in read(&directory.join("vault.db")).chunks_exact(size).enumerate() {
        open(page, index == 0);
    }
    let journal = read(&directory.join("vault.db-wal"));
    for frame in journal.get(32..).unwrap_or_default().chunks_exact(size + 24) {
        let number = u32::from_be_bytes(frame[..4].try_into().unwrap());
        open(&frame[24..], number == 1);
    }
    opened
}

fn key_of(directory: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(directory.join("vault.key")).unwrap();
    let (_, hex) = text.trim_end().rsplit_once(' ').unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// AES-256-CBC without padding.
fn decrypted(key: &[u8], iv: &[u8], sealed: &[u8]) -> Vec<u8> {
    use aes::cipher::{BlockDecryptMut, KeyIvInit, block_padding::NoPadding};
    let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).unwrap();
    cipher.decrypt_padded_vec_mut::<NoPadding>(sealed).unwrap()
}

#[test]
fn a_deleted_key_leaves_file_and_journal_also_for_who_has_the_vaults_key() {
    let place = place();
    let mut vault = filled(place.path());
    assert!(holds(&opened_pages(place.path()), SECRET), "the search would find it");
    vault.apply(&[Change::Delete(key(1, b""))], Survive::PowerCut).unwrap();
    vault.apply(&[put(2, b"large", b"small")], Survive::PowerCut).unwrap();
    assert!(holds(&opened_pages(place.path()), SECRET), "the journal has it still");
    vault.write_back().unwrap();
    let pages = opened_pages(place.path());
    assert!(!holds(&pages, SECRET));
    assert!(!holds(&pages, &[7; 64]), "of a record of many pages nothing is left either");
    assert!(holds(&pages, TEXT));
    assert!(read(&place.path().join("vault.db-wal")).is_empty());
}

#[test]
fn a_key_that_was_replaced_leaves_too_and_so_by_itself_at_the_end() {
    let place = place();
    let mut vault = filled(place.path());
    vault.apply(&[put(1, b"", b"another one")], Survive::Kill).unwrap();
    drop(vault);
    assert!(!holds(&opened_pages(place.path()), SECRET));
}

#[test]
fn what_retention_deletes_leaves_table_and_index() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let rare = StoredMessage {
        body: openchat_engine::Body::Text("the zweihander".to_owned()),
        ..message(GROUP, 1)
    };
    vault.apply(&[Change::Message(rare)], Survive::PowerCut).unwrap();
    vault.write_back().unwrap();
    assert!(holds(&opened_pages(place.path()), b"zweihander"));
    let later = UnixMillis(crate::outside::now().0 + 10_000);
    let second = Some(std::time::Duration::from_secs(1));
    assert_eq!(vault.set_retention(Some(&GROUP), second, later).unwrap(), 1);
    assert!(!holds(&opened_pages(place.path()), b"zweihander"));
    assert!(!holds(&opened_pages(place.path()), b"zweihand"), "nor a part of the word");
}

#[test]
fn what_many_deleted_messages_said_leaves_table_and_index_too() {
    let place = place();
    let mut vault = Vault::open(place.path()).unwrap();
    let rare = |seq| StoredMessage {
        body: openchat_engine::Body::Text(format!("zweihander {seq}")),
        ..message(GROUP, seq)
    };
    let mut changes: Vec<_> = (1..=300).map(|seq| Change::Message(rare(seq))).collect();
    let kept = StoredMessage { group: GroupId([8; 32]), ..message(GROUP, 7) };
    changes.push(Change::Message(kept.clone()));
    vault.apply(&changes, Survive::PowerCut).unwrap();
    let later = UnixMillis(crate::outside::now().0 + 10_000);
    let second = Some(std::time::Duration::from_secs(1));
    assert_eq!(vault.set_retention(Some(&GROUP), second, later).unwrap(), 300);
    assert!(!holds(&opened_pages(place.path()), b"weihand"));
    let find = |vault: &Vault, word: &str| {
        let words = vec![word.to_owned()];
        vault.search(&Search { words, group: None, sender: None, limit: 1000 }).unwrap()
    };
    assert_eq!(find(&vault, "text"), [kept]);
    // One at a time leaves the index as before.
    vault.apply(&[Change::Message(rare(1000))], Survive::PowerCut).unwrap();
    assert_eq!(find(&vault, "zweihander").len(), 1);
    assert_eq!(vault.expire(later).unwrap(), 1);
    assert!(find(&vault, "zweihander").is_empty());
    assert!(!holds(&opened_pages(place.path()), b"weihand"));
}

/// Everything that can be read of it, or the first error.
fn all_of(directory: &Path) -> Result<(usize, usize, usize), VaultError> {
    let vault = Vault::open(directory)?;
    let records = vault.records()?;
    let messages = vault.oldest(&GROUP, &Range::ALL, 1000)?;
    for (index, found) in messages.iter().enumerate() {
        assert_eq!(found, &message(GROUP, u64::try_from(index).unwrap() + 1), "nothing false");
    }
    let words = vec!["text".to_owned()];
    let search = Search { words, group: None, sender: None, limit: 1000 };
    Ok((records.len(), messages.len(), vault.search(&search)?.len()))
}

#[test]
fn a_vault_with_any_page_changed_fails_closed_and_nothing_more_is_lost() {
    let place = place();
    drop(filled(place.path()));
    let whole = read(&place.path().join("vault.db"));
    let expected = all_of(place.path()).unwrap();
    assert_eq!(expected, (2, 199, 199));
    let mut refused = 0;
    for page in 0..whole.len() / 8192 {
        let mut changed = whole.clone();
        changed[page * 8192 + 777] ^= 1;
        std::fs::write(place.path().join("vault.db"), &changed).unwrap();
        match all_of(place.path()) {
            // A page that is not in use.
            Ok(found) => assert_eq!(found, expected, "page {page}"),
            Err(error) => {
                assert!(matches!(error, VaultError::Broken(_)), "page {page}: {error}");
                refused += 1;
            }
        }
        assert_eq!(Vault::damaged_pages(place.path(), &Unlock::alone()).unwrap(), 1, "page {page}");
        let left = read(&place.path().join("vault.db"));
        let differing = left.iter().zip(&changed).filter(|(one, other)| one != other).count();
        assert!(left.len() == changed.len() && differing == 0, "page {page}: {differing}");
    }
    assert!(refused > 5, "{refused}");
    std::fs::write(place.path().join("vault.db"), &whole).unwrap();
    assert_eq!(all_of(place.path()).unwrap(), expected);
}

#[test]
fn pages_that_change_places_are_noticed() {
    let place = place();
    drop(filled(place.path()));
    let whole = read(&place.path().join("vault.db"));
    let mut changed = whole.clone();
    let last = whole.len() - 8192;
    changed[8192..16384].copy_from_slice(&whole[last..]);
    changed[last..].copy_from_slice(&whole[8192..16384]);
    std::fs::write(place.path().join("vault.db"), &changed).unwrap();
    assert!(all_of(place.path()).is_err());
    assert_eq!(Vault::damaged_pages(place.path(), &Unlock::alone()).unwrap(), 2);
}

#[test]
fn another_key_opens_nothing() {
    let (place, other) = (place(), place());
    drop(filled(place.path()));
    drop(filled(other.path()));
    std::fs::copy(other.path().join("vault.key"), place.path().join("vault.key")).unwrap();
    assert!(matches!(Vault::open(place.path()), Err(VaultError::Broken(_))));
    assert!(matches!(Vault::look(place.path()), Err(VaultError::Broken(_))));
}

#[test]
fn it_is_no_database_for_who_has_no_key() {
    let place = place();
    drop(filled(place.path()));
    let database = Connection::open(place.path().join("vault.db")).unwrap();
    let error = database.query_row("SELECT 1 FROM sqlite_schema", [], |_| Ok(())).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase));
}

#[test]
fn a_passphrase_opens_it_and_nothing_else_does() {
    let place = place();
    let right = Passphrase::new("correct horse".to_owned());
    let keeping = Keeping::Passphrase(right.clone());
    drop(Vault::open_with(place.path(), &Unlock::alone().keeping(keeping)).unwrap());
    assert!(matches!(Vault::open(place.path()), Err(VaultError::Locked)));
    assert!(matches!(Vault::look(place.path()), Err(VaultError::Locked)));
    let asked = std::cell::Cell::new(0);
    let unlock = Unlock::new(|wrong| {
        asked.set(asked.get() + 1);
        match wrong {
            0 => Ok(Passphrase::new("correct hors".to_owned())),
            1 => Ok(right.clone()),
            _ => Err(VaultError::WrongPassphrase),
        }
    });
    assert_eq!(*Vault::open_with(place.path(), &unlock).unwrap().kept(), Kept::Passphrase);
    Vault::look_with(place.path(), &unlock).unwrap().unwrap();
    assert_eq!(asked.get(), 2, "a passphrase is asked for once");
    for file in std::fs::read_dir(place.path()).unwrap() {
        assert!(!holds(&read(&file.unwrap().path()), b"correct horse"));
    }
}
