//! Invitations as the operator sees them, and takes them back.

use super::{Invitation, Member};
use crate::{
    relay::{Relay, record},
    store::{Store, StoreError, Table},
};
use openchat_pki::Entry;
use openchat_wire::{
    Blob, Fingerprint, Name, UnixMillis,
    admin::{InvitationRecord, Revoked},
    decode,
};

impl<S: Store> Relay<S> {
    /// Says for ever that the key of this name counts no more: an entry of the transparency log, at
    /// the index that is returned; its prekeys go in the same batch. `None` if nobody has the name,
    /// or its key was revoked before.
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn revoke(&mut self, name: &Name, now: UnixMillis) -> Result<Option<u64>, StoreError> {
        self.guard(|relay| {
            let key = relay.record::<Fingerprint>(Table::Name, name.as_str().as_bytes())?;
            let Some(fingerprint) = key.filter(|key| !relay.transparency.is_revoked(key)) else {
                return Ok(None);
            };
            let entry = Entry::Revoke { name: name.clone(), fingerprint };
            let index = relay.transparency.push(&mut relay.store, &entry, now)?;
            relay.forget_prekeys(&fingerprint)?;
            Ok(Some(index))
        })
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
    let corrupt = StoreError::Corrupt("an invitation that does not decode");
    let Ok(id) = id.try_into() else { return Err(corrupt) };
    let read = decode::<Invitation>(value, crate::relay::MAX_RECORD).map_err(|_| corrupt)?;
    let Invitation { name, expires, wrong, used, .. } = read;
    Ok(InvitationRecord { id, name, expires, wrong, used: used.map(|issued| issued.key) })
}

/// The newest certificate in a stored record of [`Table::Member`], likewise.
///
/// # Errors
/// [`StoreError::Corrupt`] if no relay wrote it.
pub fn certificate_record(value: &[u8]) -> Result<Blob, StoreError> {
    let read = decode::<Member>(value, crate::relay::MAX_RECORD);
    let corrupt = |_| StoreError::Corrupt("a directory record that does not decode");
    read.map(|member| member.certificate).map_err(corrupt)
}
