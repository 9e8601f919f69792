//! Who is registered, as the transparency log says: in memory, because every handshake asks.

use crate::serve::session::Sessions;
use openchat_pki::Entry;
use openchat_relay::{Identity, Store, StoreError};
use openchat_wire::{Fingerprint, Name, relay::Goodbye};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Entries read at once.
const LOAD: usize = 1_024;

/// Names by their registered key. About 100 bytes a member.
#[derive(Debug)]
pub(crate) struct Members {
    names: RwLock<HashMap<Fingerprint, Registered>>,
    /// Whose connections end when their key is revoked.
    sessions: Arc<Sessions>,
}

#[derive(Debug)]
struct Registered {
    /// None of a key that was revoked without ever having been issued a certificate.
    name: Option<Name>,
    revoked: bool,
}

/// What the transparency log says of a name with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// They belong together.
    Good,
    /// They did until the key was revoked.
    Revoked,
    /// They never did.
    Unknown,
}

/// What came of reading the log on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// The index of the entry to read next.
    pub(crate) next: u64,
    /// Keys that were revoked, each with the number of its connections that are cut.
    pub(crate) cut: Vec<(Fingerprint, usize)>,
}

impl Members {
    /// Nobody yet.
    pub(crate) fn new(sessions: Arc<Sessions>) -> Self {
        Self { names: RwLock::default(), sessions }
    }

    /// What the transparency log has of this key under this name.
    pub(crate) fn standing(&self, who: &Identity) -> Standing {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        match names.get(&who.fingerprint) {
            Some(found) if found.name.as_ref() != Some(&who.name) => Standing::Unknown,
            Some(Registered { revoked: true, .. }) => Standing::Revoked,
            Some(_) => Standing::Good,
            None => Standing::Unknown,
        }
    }

    /// How many keys are somebody's.
    pub(crate) fn count(&self) -> usize {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.values().filter(|found| !found.revoked).count()
    }

    /// Reads on from the entry `index`, and cuts the connections of keys that are revoked from there on.
    ///
    /// # Errors
    /// As the store fails, or if an entry is none: then nobody can say who is a member.
    pub(crate) fn learn(&self, store: &impl Store, index: u64) -> Result<Learned, StoreError> {
        let mut learned = Learned { next: index, cut: Vec::new() };
        loop {
            let entries = store.recorded(learned.next, LOAD)?;
            for recorded in &entries {
                let entry = Entry::decode(&recorded.entry)
                    .map_err(|_| StoreError::Corrupt("an entry of the transparency log"))?;
                learned.cut.extend(self.note(entry));
                learned.next = learned.next.saturating_add(1);
            }
            if entries.len() < LOAD {
                return Ok(learned);
            }
        }
    }

    /// Gives the key that an entry revokes, and how many connections it had.
    fn note(&self, entry: Entry) -> Option<(Fingerprint, usize)> {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Entry::Issue { name, fingerprint, .. } => {
                // One key has one name for ever: the first entry wins.
                names.entry(fingerprint).or_insert(Registered { name: Some(name), revoked: false });
                None
            }
            Entry::Revoke { fingerprint, .. } => {
                let unknown = Registered { name: None, revoked: true };
                names.entry(fingerprint).or_insert(unknown).revoked = true;
                drop(names);
                // Whoever comes from now on is refused, and whoever came before is found here.
                let cut = self.sessions.cut(&fingerprint, Goodbye::Revoked);
                if cut > 0 {
                    tracing::info!(key = %fingerprint, connections = cut, "cut, being revoked");
                }
                Some((fingerprint, cut))
            }
            Entry::GroupName { .. } | Entry::Rotate { .. } | Entry::Replace { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_pki::Serial;
    use openchat_wire::UnixMillis;

    fn issue(name: &str, key: u8) -> Entry {
        Entry::Issue {
            name: name.parse().unwrap(),
            fingerprint: Fingerprint([key; 32]),
            serial: openchat_wire::decode::<Serial>(&[0x40; 16], 16).unwrap(),
            not_after: UnixMillis(0),
        }
    }

    fn revoke(name: &str, key: u8) -> Entry {
        Entry::Revoke { name: name.parse().unwrap(), fingerprint: Fingerprint([key; 32]) }
    }

    fn who(name: &str, key: u8) -> Identity {
        Identity { name: name.parse().unwrap(), fingerprint: Fingerprint([key; 32]) }
    }

    #[test]
    fn a_name_and_its_key_go_together() {
        let members = Members::new(Arc::default());
        members.note(issue("bob", 1));
        members.note(issue("mallory", 2));
        assert_eq!(members.standing(&who("bob", 1)), Standing::Good);
        assert_eq!(members.standing(&who("bob", 2)), Standing::Unknown);
        assert_eq!(members.standing(&who("bob", 3)), Standing::Unknown);
        members.note(issue("mallory", 1));
        assert_eq!(members.standing(&who("bob", 1)), Standing::Good);
        assert_eq!(members.standing(&who("mallory", 1)), Standing::Unknown);
    }

    #[test]
    fn a_revoked_key_is_nobodys_ever_again() {
        let members = Members::new(Arc::default());
        members.note(issue("bob", 1));
        assert_eq!(members.note(revoke("bob", 1)), Some((Fingerprint([1; 32]), 0)));
        assert_eq!(members.standing(&who("bob", 1)), Standing::Revoked);
        assert_eq!((members.standing(&who("eve", 1)), members.count()), (Standing::Unknown, 0));
        members.note(issue("bob", 1));
        assert_eq!(members.standing(&who("bob", 1)), Standing::Revoked);
        members.note(revoke("carol", 2));
        members.note(issue("carol", 2));
        assert_eq!(members.standing(&who("carol", 2)), Standing::Unknown, "revoked before it was");
    }

    #[tokio::test]
    async fn whoever_is_revoked_is_cut() {
        let sessions = Arc::<Sessions>::default();
        let members = Members::new(Arc::clone(&sessions));
        let (bob, carol) = (who("bob", 1), who("carol", 2));
        let (seat, other) = (sessions.enter(&bob).unwrap(), sessions.enter(&carol).unwrap());
        assert_eq!(members.note(revoke("bob", 1)), Some((bob.fingerprint, 1)));
        assert_eq!(seat.cut().await, Goodbye::Revoked);
        let other = tokio::time::timeout(std::time::Duration::from_millis(1), other.cut()).await;
        assert!(other.is_err());
    }
}
