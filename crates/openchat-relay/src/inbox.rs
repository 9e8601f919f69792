//! Letters: into the inboxes of those whom a commit adds or admits, if and only if it is logged
//! (`docs/protocol.md` §4.6).

use crate::{
    append::Offer,
    fault::RuleFault,
    outcome::{Publish, Stop},
    store::{NewEntry, Place, Store, StoreError},
};
use openchat_crypto::sha256;
use openchat_roster::{Commit, Operation, inbox, log_hash_start};
use openchat_wire::{
    Fingerprint, Seq,
    limits::{MAX_LETTER, MAX_LETTERS},
    relay::{InboxEntry, Letter, Refusal},
};
use std::collections::HashSet;

/// R6, and the sizes.
pub(crate) fn check(commit: &Commit, letters: &[Letter]) -> Result<(), Stop> {
    if letters.is_empty() {
        return Ok(());
    }
    let sizes = letters.iter().map(|letter| letter.sealed.0.len());
    let total = sizes.clone().fold(0, usize::saturating_add);
    if total > MAX_LETTERS || sizes.max() > Some(MAX_LETTER) {
        return Err(Refusal::TooLarge.into());
    }
    let mut addressees: HashSet<_> = commit.operations.iter().filter_map(addressee).collect();
    // Each is taken out by its letter, so a second one finds nobody.
    if letters.iter().all(|letter| addressees.remove(&letter.to)) {
        Ok(())
    } else {
        Err(RuleFault::Letter.into())
    }
}

fn addressee(operation: &Operation) -> Option<Fingerprint> {
    match operation {
        Operation::Add { entrant, .. } => Some(entrant.key.fingerprint()),
        Operation::Admit(person) => Some(person.fingerprint),
        _ => None,
    }
}

/// Stages the letters of a commit that was logged at `seq`, for those who tail their inboxes too.
pub(crate) fn deliver(
    store: &mut impl Store,
    commit: &Commit,
    seq: Seq,
    offer: Offer<'_>,
) -> Result<Vec<Publish>, StoreError> {
    let mut published = Vec::with_capacity(offer.letters.len());
    for letter in offer.letters {
        let Commit { author, group, .. } = *commit;
        let letter_of = InboxEntry { from: author, group, seq, letter: letter.sealed.clone() };
        let bytes = letter_of.to_bytes();
        let log = inbox(&letter.to);
        let start = Place { seq: Seq(0), log_hash: log_hash_start(&log) };
        let tail = store.tail(&log)?.unwrap_or(start);
        let (hash, before) = (sha256(&bytes), tail.log_hash);
        let origin = offer.origin(false);
        let entry = NewEntry { near: 0, hash, before, commit: None, origin, bytes: &bytes };
        let place = store.append(&log, tail.seq, &entry)?;
        published.push(Publish::Entry { log, seq: place.seq, entry: bytes.into() });
    }
    Ok(published)
}
