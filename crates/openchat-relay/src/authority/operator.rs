//! What the operator does to names, keys and invitations, and how it sees them.

use super::{Invitation, Invited, Member};
use crate::{
    relay::{MAX_RECORD, Relay, record},
    store::{Record, Store, StoreError, Table},
};
use openchat_crypto::CryptoRng;
use openchat_pki::Entry;
use openchat_wire::{
    Blob, Fingerprint, Name, UnixMillis,
    admin::{InvitationRecord, Revoked},
    decode, encode,
};

const CORRUPT: StoreError = StoreError::Corrupt("an invitation that does not decode");

/// A key that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoking {
    /// Its sessions are to end.
    pub key: Fingerprint,
    /// The index of the entry that says so.
    pub index: u64,
}

/// A name that waits for another key.
#[derive(Debug, Clone)]
pub struct Reset {
    /// The key that it had, unless that was revoked before.
    pub revoking: Option<Revoking>,
    /// For the key to come.
    pub invited: Invited,
}

impl<S: Store> Relay<S> {
    /// Says for ever that the key of this name counts no more: an entry of the transparency log. Its
    /// prekeys and the name's unused invitations go in the same batch, so that nobody comes back by
    /// one that it kept. `None` if nobody has the name, or its key was revoked before.
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn revoke(&mut self, name: &Name, now: UnixMillis) -> Result<Option<Revoking>, StoreError> {
        self.guard(|relay| {
            let key = relay.key_of(name)?;
            let key = key.filter(|key| !relay.transparency.is_revoked(key));
            key.map(|key| relay.revoke_key(name, key, now)).transpose()
        })
    }

    /// Frees a name for another key, whose owner has lost the one before: revokes that, unless it was
    /// before, and invites. `None` if no key has the name.
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn reset(
        &mut self,
        name: &Name,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Option<Reset>, StoreError> {
        let freed = self.guard(|relay| {
            let Some(key) = relay.key_of(name)? else { return Ok(None) };
            let revoking = if relay.transparency.is_revoked(&key) {
                None
            } else {
                Some(relay.revoke_key(name, key, now)?)
            };
            relay.store.remove(Table::Name, name.as_str().as_bytes(), &encode(&key))?;
            Ok(Some(revoking))
        })?;
        let Some(revoking) = freed else { return Ok(None) };
        Ok(Some(Reset { revoking, invited: self.invite(name, now, rng)? }))
    }

    fn key_of(&self, name: &Name) -> Result<Option<Fingerprint>, StoreError> {
        self.record(Table::Name, name.as_str().as_bytes())
    }

    fn revoke_key(
        &mut self,
        name: &Name,
        key: Fingerprint,
        now: UnixMillis,
    ) -> Result<Revoking, StoreError> {
        let entry = Entry::Revoke { name: name.clone(), fingerprint: key };
        let index = self.transparency.push(&mut self.store, &entry, now)?;
        self.forget_prekeys(&key)?;
        self.forget_invitations(name)?;
        Ok(Revoking { key, index })
    }

    /// Piece by piece, because nobody counts invitations.
    fn forget_invitations(&mut self, name: &Name) -> Result<(), StoreError> {
        for first in 0..=u8::MAX {
            for Record { rest, value } in
                self.store.scan(Table::Invitation, &[first], usize::MAX)?
            {
                let invitation: Invitation = decode(&value, MAX_RECORD).map_err(|_| CORRUPT)?;
                if invitation.name == *name && invitation.used.is_none() {
                    let id = [&[first], rest.as_slice()].concat();
                    self.store.remove(Table::Invitation, &id, &value)?;
                }
            }
        }
        Ok(())
    }

    /// Makes an invitation worthless that nobody has used. Whoever tries it hears the same as with
    /// an unknown one.
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn revoke_invitation(&mut self, id: &[u8; 16]) -> Result<Revoked, StoreError> {
        self.guard(|relay| {
            let Some(bytes) = relay.store.get(Table::Invitation, id)? else {
                return Ok(Revoked::Unknown);
            };
            let known = record::<Invitation>(&relay.store, Table::Invitation, id)?;
            if known.is_some_and(|invitation| invitation.used.is_some()) {
                return Ok(Revoked::Used);
            }
            relay.store.remove(Table::Invitation, id, &bytes).map(|()| Revoked::Done)
        })
    }
}

/// A stored invitation, for whoever reads the store beside the relay.
///
/// # Errors
/// [`StoreError::Corrupt`] if no relay wrote it.
pub fn invitation_record(id: &[u8], value: &[u8]) -> Result<InvitationRecord, StoreError> {
    let Ok(id) = id.try_into() else { return Err(CORRUPT) };
    let read = decode::<Invitation>(value, MAX_RECORD).map_err(|_| CORRUPT)?;
    let Invitation { name, expires, wrong, used, .. } = read;
    Ok(InvitationRecord { id, name, expires, wrong, used: used.map(|issued| issued.key) })
}

/// The key in a stored record of [`Table::Name`], likewise.
///
/// # Errors
/// [`StoreError::Corrupt`] if no relay wrote it.
pub fn registered_key(value: &[u8]) -> Result<Fingerprint, StoreError> {
    let corrupt = |_| StoreError::Corrupt("a name's record that does not decode");
    decode(value, MAX_RECORD).map_err(corrupt)
}

/// The newest certificate in a stored record of [`Table::Member`], likewise.
///
/// # Errors
/// [`StoreError::Corrupt`] if no relay wrote it.
pub fn certificate_record(value: &[u8]) -> Result<Blob, StoreError> {
    let read = decode::<Member>(value, MAX_RECORD);
    let corrupt = |_| StoreError::Corrupt("a directory record that does not decode");
    read.map(|member| member.certificate).map_err(corrupt)
}
