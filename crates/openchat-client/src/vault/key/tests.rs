use super::*;
use tempfile::tempdir;

/// Answers so, if at all.
struct Says<F>(F);

impl<F: Fn(u32) -> Result<Passphrase, VaultError>> Asked for Says<F> {
    fn passphrase(&self, wrong: u32) -> Result<Passphrase, VaultError> {
        self.0(wrong)
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

fn secret() -> Secret {
    Secret::from_bytes([0xa5; 32])
}

#[test]
fn entries_come_back_as_they_were_written() {
    let place = tempdir().unwrap();
    let (path, elsewhere) = (place.path().join(FILE), place.path().join("else where.key"));
    let passphrase = Passphrase::new("p".to_owned());
    for keeping in
        [Keeping::Beside, Keeping::At(elsewhere.clone()), Keeping::Passphrase(passphrase.clone())]
    {
        let entry = Entry::new(&secret(), &keeping).unwrap();
        write(&path, &[entry.clone(), Entry::Beside(Secret::from_bytes([1; 32]))]).unwrap();
        let entries = read(&path).unwrap().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].kept(), entry.kept());
        let key = entries[0].key(&Says(|_| Ok(passphrase.clone()))).unwrap();
        assert_eq!(key.expose(), secret().expose(), "{keeping:?}");
    }
    let taken = Entry::new(&secret(), &Keeping::At(elsewhere.clone()));
    assert!(matches!(taken, Err(VaultError::Exists(_))), "no key is written over another");
    std::fs::remove_file(&elsewhere).unwrap();
    let entry = Entry::At(elsewhere.clone());
    assert!(
        matches!(entry.key(&Says(|_| Err(VaultError::Locked))), Err(VaultError::NoKey(path)) if path == elsewhere)
    );
}

#[test]
fn a_sealed_key_is_not_in_the_file_and_a_changed_one_does_not_open() {
    let entry =
        Entry::new(&secret(), &Keeping::Passphrase(Passphrase::new("p".to_owned()))).unwrap();
    let text = rendered(std::slice::from_ref(&entry));
    assert!(!text.contains("a5a5a5a5"));
    let Entry::Sealed { cost, salt, mut token } = entry else { panic!("sealed") };
    token[40] ^= 1;
    let changed = Entry::Sealed { cost, salt, token };
    let ask = |wrong| match wrong {
        0 => Ok(Passphrase::new("p".to_owned())),
        _ => Err(VaultError::WrongPassphrase),
    };
    assert!(matches!(changed.key(&Says(ask)), Err(VaultError::WrongPassphrase)));
}

#[test]
fn what_is_no_key_file_is_refused() {
    let place = tempdir().unwrap();
    let path = place.path().join(FILE);
    assert!(read(&path).unwrap().is_none());
    let salt = "00".repeat(16);
    for text in [
        String::new(),
        TITLE.to_owned(),
        "openchat vault key 2\nbeside 00\n".to_owned(),
        format!("{TITLE}\nbeside {}\n", "0".repeat(63)),
        format!("{TITLE}\nbeside {}\n", "g".repeat(64)),
        format!("{TITLE}\nbeside {}\n", "0".repeat(66)),
        format!("{TITLE}\nat \n"),
        format!("{TITLE}\nat\n"),
        format!("{TITLE}\nnowhere x\n"),
        format!("{TITLE}\nkeyring x\n"),
        format!("{TITLE}\nkeyring {salt} \n"),
        format!("{TITLE}\nargon2id 65536 3 {salt}\n"),
        format!("{TITLE}\nargon2id 4194304 3 {salt} 00\n"),
        format!("{TITLE}\nargon2id 65536 3 {salt} 00 00\n"),
        format!("{TITLE}\nbeside {}\n\n", "0".repeat(64)),
    ] {
        std::fs::write(&path, &text).unwrap();
        assert!(matches!(read(&path), Err(VaultError::Damaged(_))), "{text:?}");
    }
    std::fs::write(&path, [0xff; 100]).unwrap();
    assert!(matches!(read(&path), Err(VaultError::Damaged(_))));
}

#[test]
fn a_key_file_elsewhere_that_points_on_is_refused() {
    let place = tempdir().unwrap();
    let path = place.path().join("key");
    write(&path, &[Entry::At(path.clone())]).unwrap();
    assert!(matches!(
        Entry::At(path).key(&Says(|_| Err(VaultError::Locked))),
        Err(VaultError::Damaged(_))
    ));
}
