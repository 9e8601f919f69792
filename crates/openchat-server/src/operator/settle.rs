//! The end of a change of the CA's key that was cut short: it is either undone or done, never half.
//!
//! A change is prepared in files beside the ones in use (the certificates first, then the key). Of a CA
//! without a root it stands from the moment on at which the transparency log announces it; below a
//! root from the moment at which the key has its name. Then the files take their places, the key first.
//! So whatever is found says what is left to do.

use crate::{
    data_dir::{DataDir, file},
    failure::{Exit, Failure},
    keys,
    operator::log,
    serve::open_store,
};
use openchat_pki::{CaCertificate, Entry};
use openchat_relay::Store;
use openchat_store_sqlite::SqliteStore;
use openchat_wire::Digest;

/// Ends what was begun. No server may run meanwhile, nor another change be under way.
///
/// # Errors
/// If one is, or the disk fails.
pub(crate) fn settle(data: &DataDir) -> Result<(), Failure> {
    if data.has(file::NEXT_CERTIFICATE) || data.has(file::NEXT_KEY) {
        settle_with(data, &open_store(data)?)?;
    }
    Ok(())
}

/// The same for who has the store already.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_with(data: &DataDir, store: &SqliteStore) -> Result<(), Failure> {
    if !data.has(file::NEXT_CERTIFICATE) {
        return Ok(());
    }
    if stands(data, store)? { put_in_place(data) } else { take_back(data) }
}

/// Gives the prepared files their names.
pub(crate) fn put_in_place(data: &DataDir) -> Result<(), Failure> {
    if data.has(file::NEXT_KEY) {
        data.rename(file::NEXT_KEY, file::CA_KEY)?;
    }
    data.rename(file::NEXT_CERTIFICATE, file::CA_CERTIFICATE)
}

fn take_back(data: &DataDir) -> Result<(), Failure> {
    if data.has(file::NEXT_KEY) {
        data.remove(file::NEXT_KEY)?;
    }
    data.remove(file::NEXT_CERTIFICATE)
}

fn stands(data: &DataDir, store: &SqliteStore) -> Result<bool, Failure> {
    let shown = keys::load_shown(data, file::NEXT_CERTIFICATE)?;
    let own = shown.first().map(|own| CaCertificate::pin_of(own));
    let next = match own {
        Some(Ok(pin)) => pin,
        Some(Err(error)) => return Err(keys::damaged(data, file::NEXT_CERTIFICATE, &error)),
        None => return Ok(false),
    };
    let ca = CaCertificate::shown_by_itself(&shown, crate::clock::now());
    let ca = ca.map_err(|error| keys::damaged(data, file::NEXT_CERTIFICATE, &error))?;
    if ca.chain().count() > 1 {
        return Ok(data.has(file::NEXT_KEY) || !data.has(file::ASKED_KEY));
    }
    Ok(announced(data, store)? == Some(next))
}

/// The pin of the CA's key that the log has announced last.
fn announced(data: &DataDir, store: &SqliteStore) -> Result<Option<Digest>, Failure> {
    let mut last = None;
    let pages = log::pages(|index, max| store.recorded(index, max));
    for entry in pages.map_err(|error| log::unreadable(data, &error))? {
        if let Ok(Entry::Rotate { to, .. } | Entry::Replace { to, .. }) = Entry::decode(&entry) {
            last = Some(Digest(to.fingerprint().0));
        }
    }
    Ok(last)
}

/// The store of a server that must not run now.
///
/// # Errors
/// Above all if it runs.
pub(crate) fn stopped(data: &DataDir) -> Result<SqliteStore, Failure> {
    open_store(data).map_err(|failure| {
        if failure.code != "in_use" {
            return failure;
        }
        let message = format!("the server runs on {}", data.path().display());
        Failure::new(Exit::Config, "in_use", message, "stop it, do this, and start it again")
    })
}
