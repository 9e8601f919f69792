//! An entry that the operator puts into the transparency log while no server runs: the change of the
//! CA's key.

use crate::{
    store::{Store, StoreError},
    transparency::Transparency,
};
use openchat_crypto::IdentityKey;
use openchat_pki::{Entry, ServerKeys};
use openchat_wire::UnixMillis;

/// Appends an entry to the log of a store that no server works on, and returns its index. It is on the
/// disk then, alone in its transaction: what it announces stands from this moment on.
///
/// # Errors
/// As the store fails; nobody knows then whether it stands, but who reads the store.
pub fn announce(
    store: &mut impl Store,
    (keys, log_key): (&ServerKeys, IdentityKey),
    entry: &Entry,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    let mut log = Transparency::load(store, keys.log_id, log_key)?;
    let index = log.push(store, entry, now)?;
    store.flush()?;
    Ok(index)
}
