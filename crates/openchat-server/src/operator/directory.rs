//! Who is registered with which keys and certificates, told by the transparency log alone.

use crate::{
    data_dir::DataDir,
    failure::Failure,
    operator::ask::{ask, unexpected},
};
use openchat_pki::Entry;
use openchat_wire::{
    Fingerprint, Name, UnixMillis,
    admin::{AdminAnswer, AdminRequest, PAGE, RecordedEntry},
};
use std::collections::BTreeMap;

/// A certificate as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Its place in the transparency log, from 0.
    pub(crate) index: u64,
    pub(crate) time: UnixMillis,
    pub(crate) name: Name,
    pub(crate) key: Fingerprint,
    pub(crate) serial: String,
    pub(crate) not_after: UnixMillis,
}

/// What the transparency log says of people.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// In the order of the log.
    pub(crate) issued: Vec<Issued>,
    /// Where and when a name's key was revoked.
    pub(crate) revoked: BTreeMap<(Name, Fingerprint), Revocation>,
}

/// That a key counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// Its place in the transparency log, from 0.
    pub(crate) index: u64,
    pub(crate) time: UnixMillis,
}

impl Directory {
    /// The whole log, page by page.
    ///
    /// # Errors
    /// If the server does not answer, or has an entry that this program does not know.
    pub(crate) fn fetch(data: &DataDir) -> Result<Self, Failure> {
        let (mut directory, mut from) = (Self::default(), 0_u64);
        loop {
            let AdminAnswer::Recorded(page) = ask(data, &AdminRequest::Recorded { from })? else {
                return Err(unexpected(data));
            };
            for recorded in &page {
                directory.note(from, recorded).ok_or_else(|| unexpected(data))?;
                from = from.saturating_add(1);
            }
            if page.len() < PAGE {
                return Ok(directory);
            }
        }
    }

    fn note(&mut self, index: u64, recorded: &RecordedEntry) -> Option<()> {
        let time = recorded.time;
        match Entry::decode(&recorded.entry.0).ok()? {
            Entry::Issue { name, fingerprint: key, serial, not_after } => {
                let serial = serial.to_string();
                self.issued.push(Issued { index, time, name, key, serial, not_after });
            }
            Entry::Revoke { name, fingerprint } => {
                self.revoked.entry((name, fingerprint)).or_insert(Revocation { index, time });
            }
            Entry::GroupName { .. } | Entry::Rotate { .. } | Entry::Replace { .. } => {}
        }
        Some(())
    }

    /// How the key of this certificate was revoked, if it was.
    pub(crate) fn revoked(&self, issued: &Issued) -> Option<Revocation> {
        self.revoked.get(&(issued.name.clone(), issued.key)).copied()
    }

    /// One word for a certificate.
    pub(crate) fn state(&self, issued: &Issued, now: UnixMillis) -> &'static str {
        match self.revoked(issued) {
            Some(_) => "revoked",
            None if issued.not_after < now => "expired",
            None => "valid",
        }
    }

    /// The newest certificate of each key, by name, oldest key first.
    pub(crate) fn newest(&self) -> Vec<&Issued> {
        let mut newest: BTreeMap<(&Name, &Fingerprint), &Issued> = BTreeMap::new();
        for issued in &self.issued {
            newest.insert((&issued.name, &issued.key), issued);
        }
        let mut newest: Vec<&Issued> = newest.into_values().collect();
        newest.sort_by_key(|issued| (&issued.name, issued.index));
        newest
    }

    /// What a person's present key was issued last; a revoked one's if there is no other.
    pub(crate) fn current(&self, name: &Name) -> Option<&Issued> {
        let mut of_name: Vec<_> =
            self.issued.iter().filter(|issued| issued.name == *name).collect();
        of_name.sort_by_key(|issued| (self.revoked(issued).is_none(), issued.index));
        of_name.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Blob, decode};

    fn issue(name: &str, key: u8) -> Entry {
        Entry::Issue {
            name: name.parse().unwrap(),
            fingerprint: Fingerprint([key; 32]),
            serial: decode(&[0x40; 16], 16).unwrap(),
            not_after: UnixMillis(1_000),
        }
    }

    fn directory(entries: &[Entry]) -> Directory {
        let mut directory = Directory::default();
        for (index, entry) in (0..).zip(entries) {
            let entry = Blob(entry.encode());
            directory.note(index, &RecordedEntry { time: UnixMillis(index), entry }).unwrap();
        }
        directory
    }

    #[test]
    fn a_person_is_what_the_log_says_last() {
        let bob: Name = "bob".parse().unwrap();
        let revoke = Entry::Revoke { name: bob.clone(), fingerprint: Fingerprint([1; 32]) };
        let log = [issue("bob", 1), issue("alice", 9), issue("bob", 1), revoke, issue("bob", 2)];
        let directory = directory(&log);
        let newest: Vec<u64> = directory.newest().iter().map(|issued| issued.index).collect();
        assert_eq!(newest, [1, 2, 4]);
        assert_eq!(directory.current(&bob).unwrap().index, 4);
        assert!(directory.current(&"carol".parse().unwrap()).is_none());
        let state = |index: usize, now| directory.state(&directory.issued[index], UnixMillis(now));
        assert_eq!(state(0, 500), "revoked");
        assert_eq!((state(1, 500), state(1, 1_001)), ("valid", "expired"));
        let revocation = Revocation { index: 3, time: UnixMillis(3) };
        assert_eq!(directory.revoked(&directory.issued[0]), Some(revocation));
    }

    #[test]
    fn an_entry_of_another_kind_is_not_passed_over() {
        let entry = Blob(vec![99]);
        let unknown = RecordedEntry { time: UnixMillis(0), entry };
        assert!(Directory::default().note(0, &unknown).is_none());
    }
}
