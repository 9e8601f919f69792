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

/// Names by their registered key, none for a key that was revoked. About 100 bytes a member.
#[derive(Debug)]
pub(crate) struct Members {
    names: RwLock<HashMap<Fingerprint, Option<Name>>>,
    /// Whose connections end when their key is revoked.
    sessions: Arc<Sessions>,
}

impl Members {
    /// Nobody yet.
    pub(crate) fn new(sessions: Arc<Sessions>) -> Self {
        Self { names: RwLock::default(), sessions }
    }

    /// Whether the transparency log has this key under this name.
    pub(crate) fn has(&self, who: &Identity) -> bool {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(&who.fingerprint).is_some_and(|name| name.as_ref() == Some(&who.name))
    }

    /// How many keys are somebody's.
    pub(crate) fn count(&self) -> usize {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.values().filter(|name| name.is_some()).count()
    }

    /// Reads on from the entry `index`, and returns the index of the next one to read.
    ///
    /// # Errors
    /// As the store fails, or if an entry is none: then nobody can say who is a member.
    pub(crate) fn learn(&self, store: &impl Store, mut index: u64) -> Result<u64, StoreError> {
        loop {
            let entries = store.recorded(index, LOAD)?;
            for recorded in &entries {
                let entry = Entry::decode(&recorded.entry)
                    .map_err(|_| StoreError::Corrupt("an entry of the transparency log"))?;
                self.note(entry);
                index = index.saturating_add(1);
            }
            if entries.len() < LOAD {
                return Ok(index);
            }
        }
    }

    fn note(&self, entry: Entry) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        match entry {
            Entry::Issue { name, fingerprint, .. } => {
                // One key has one name for ever: the first entry wins.
                names.entry(fingerprint).or_insert(Some(name));
            }
            Entry::Revoke { fingerprint, .. } => {
                names.insert(fingerprint, None);
                drop(names);
                // Whoever comes from now on is refused, and whoever came before is found here.
                let cut = self.sessions.cut(&fingerprint, Goodbye::Revoked);
                if cut > 0 {
                    tracing::info!(key = %fingerprint, connections = cut, "cut, being revoked");
                }
            }
            Entry::GroupName { .. } | Entry::Rotate { .. } | Entry::Replace { .. } => {}
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

    fn who(name: &str, key: u8) -> Identity {
        Identity { name: name.parse().unwrap(), fingerprint: Fingerprint([key; 32]) }
    }

    #[test]
    fn a_name_and_its_key_go_together() {
        let members = Members::new(Arc::default());
        members.note(issue("bob", 1));
        members.note(issue("mallory", 2));
        assert!(members.has(&who("bob", 1)));
        assert!(!members.has(&who("bob", 2)) && !members.has(&who("bob", 3)));
        members.note(issue("mallory", 1));
        assert!(members.has(&who("bob", 1)) && !members.has(&who("mallory", 1)));
    }

    #[test]
    fn a_revoked_key_is_nobodys_ever_again() {
        let members = Members::new(Arc::default());
        members.note(issue("bob", 1));
        let (name, fingerprint) = ("bob".parse().unwrap(), Fingerprint([1; 32]));
        members.note(Entry::Revoke { name, fingerprint });
        assert!(!members.has(&who("bob", 1)));
        members.note(issue("bob", 1));
        assert!(!members.has(&who("bob", 1)));
    }
    #[tokio::test]
    async fn whoever_is_revoked_is_cut() {
        let sessions = Arc::<Sessions>::default();
        let members = Members::new(Arc::clone(&sessions));
        let (bob, carol) = (who("bob", 1), who("carol", 2));
        let (seat, other) = (sessions.enter(&bob).unwrap(), sessions.enter(&carol).unwrap());
        members.note(Entry::Revoke { name: bob.name, fingerprint: bob.fingerprint });
        assert_eq!(seat.cut().await, Goodbye::Revoked);
        let other = tokio::time::timeout(std::time::Duration::from_millis(1), other.cut()).await;
        assert!(other.is_err());
    }
}
