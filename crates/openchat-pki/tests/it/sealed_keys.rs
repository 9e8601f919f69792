//! The CA's key under a passphrase.

use crate::support::{element, key, rng};
use openchat_pki::{Passphrase, SealedKeyError, sealed_key};

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned().into())
}

pub(crate) const GOOD: &str = "correct horse battery";

#[test]
fn a_key_comes_back_with_its_passphrase_alone() {
    let sealed = sealed_key::seal(&key(1), &passphrase(GOOD), &mut rng(5)).unwrap();
    let opened = sealed_key::open(&sealed, &passphrase(GOOD)).unwrap();
    assert_eq!(opened.to_pkcs8(), key(1).to_pkcs8());
    for wrong in ["", "correct horse batterz", "Correct horse battery", "correct horse battery "] {
        let refused = sealed_key::open(&sealed, &passphrase(wrong)).err();
        assert_eq!(refused, Some(SealedKeyError::Passphrase), "{wrong:?}");
    }
    assert!(sealed_key::is_sealed(&sealed) && !sealed_key::is_sealed(&key(1).to_pkcs8()));
    let bare = sealed_key::open(&key(1).to_pkcs8(), &passphrase(GOOD)).err();
    assert_eq!(bare, Some(SealedKeyError::Malformed));
    let scalar = &key(1).to_pkcs8()[36..68];
    assert!(!sealed.windows(8).any(|window| scalar.windows(8).any(|part| part == window)));
    let other = sealed_key::seal(&key(1), &passphrase(GOOD), &mut rng(6)).unwrap();
    assert_ne!(sealed, other, "another salt");
}

#[test]
fn a_passphrase_is_not_short_and_not_shown() {
    for short in ["", "12345678901", "\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}"] {
        let refused = sealed_key::seal(&key(1), &passphrase(short), &mut rng(5));
        assert_eq!(refused, Err(SealedKeyError::Short), "{short:?}");
    }
    assert_eq!(format!("{:?}", passphrase(GOOD)), "Passphrase(..)");
}

#[test]
fn a_damaged_file_gives_no_key() {
    let sealed = sealed_key::seal(&key(1), &passphrase(GOOD), &mut rng(5)).unwrap();
    let open = |der: &[u8]| sealed_key::open(der, &passphrase(GOOD)).err();
    for end in (0..sealed.len()).step_by(7) {
        assert_eq!(open(&sealed[..end]), Some(SealedKeyError::Malformed), "{end}");
    }
    assert_eq!(open(&[sealed.as_slice(), &[0]].concat()), Some(SealedKeyError::Malformed));
    assert_eq!(open(&vec![0x30; 5_000]), Some(SealedKeyError::Malformed));
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(open(&changed), Some(SealedKeyError::Passphrase));
}

/// A file whose work is what it says: scrypt with these numbers, each an INTEGER's content.
fn asking(cost: &[u8], block: &[u8], parallel: &[u8]) -> Vec<u8> {
    let integer = |content: &[u8]| element(2, content);
    let numbers = [integer(cost), integer(block), integer(parallel)].concat();
    let scrypt = [element(6, &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11]), {
        element(0x30, &[element(4, &[7; 16]), numbers].concat())
    }];
    let aes = [element(6, &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]), element(4, &[7; 16])];
    let parts = [element(0x30, &scrypt.concat()), element(0x30, &aes.concat())].concat();
    let pbes2 =
        [element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13]), element(0x30, &parts)];
    element(0x30, &[element(0x30, &pbes2.concat()), element(4, &[7; 32])].concat())
}

#[test]
fn a_file_that_asks_for_all_memory_is_refused_at_once() {
    let open = |der: &[u8]| sealed_key::open(der, &passphrase(GOOD)).err();
    let honest = asking(&[0x40, 0], &[8], &[1]);
    assert_eq!(open(&honest), Some(SealedKeyError::Passphrase), "the base of the attacks is good");
    for greedy in [
        asking(&[1, 0, 0, 0, 0], &[8], &[1]),
        asking(&[0x40, 0], &[0x7f, 0xff], &[1]),
        asking(&[0x40, 0], &[8], &[0x7f, 0xff]),
        asking(&[0x20, 0, 0], &[8], &[1]),
    ] {
        assert_eq!(open(&greedy), Some(SealedKeyError::Work));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(sealed_key::open(&bytes, &passphrase(GOOD)).is_err());
    }
}
