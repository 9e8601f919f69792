//! Prekeys: kept for their owners, given out to those who add them (`docs/protocol.md` §4.6).
//!
//! A one-time prekey is taken out of the store in the batch whose flush comes before its answer, and
//! that it was given out is remembered until its end. So nobody gets one that another had, whatever
//! crashes and whoever publishes it again.

use crate::{
    fault::RuleFault,
    outcome::{Identity, Outcome, Stop},
    relay::Relay,
    store::{Record, Store, StoreError, Table},
};
use openchat_crypto::PublicKey;
use openchat_roster::{Prekey, PrekeyKind, SignedPrekey};
use openchat_wire::{
    Blob, Fingerprint, UnixMillis, encode,
    limits::{MAX_CLOCK_AHEAD, MAX_PREKEYS, PREKEY_LIFE},
    relay::{Answer, Refusal},
};
use serde::{Deserialize, Serialize};

/// Records looked at when what has expired is cleared away: more than are ever kept of somebody.
const CLEARED: usize = 4 * MAX_PREKEYS;

/// Why a prekey is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("a prekey lives for thirty days at most")]
    Life,
    #[error("a prekey has expired")]
    Expired,
    #[error("a prekey is of a time to come")]
    Early,
}

/// A prekey that its owner may have kept.
struct Fit {
    bytes: Blob,
    kind: PrekeyKind,
    /// Its record's key behind the owner's fingerprint: prekeys come in the order of their ends.
    end: [u8; END],
    not_after: UnixMillis,
}

/// Bytes of an end and a hash.
const END: usize = 8 + 32;

/// What is stored of a last resort.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct LastResort {
    not_after: UnixMillis,
    prekey: Blob,
}

impl<S: Store> Relay<S> {
    /// Decides about `Request::PublishPrekeys`. All of them are kept, or none.
    pub(crate) fn publish_prekeys(
        &mut self,
        who: &Identity,
        replace: bool,
        prekeys: &[Blob],
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        let cost = u32::try_from(prekeys.len()).unwrap_or(u32::MAX);
        let wait = self.published.wait(&who.fingerprint, cost, now);
        if wait > 0 {
            return Err(Refusal::Paced { retry_ms: wait }.into());
        }
        self.published.take(who.fingerprint, cost, now);
        if self.transparency.is_revoked(&who.fingerprint) {
            return Err(RuleFault::Revoked.into());
        }
        let owner = self.identity_key(who)?;
        let fit = prekeys.iter().map(|prekey| fit(prekey, &owner, now));
        let fit: Vec<Fit> = fit.collect::<Result<_, Stop>>()?;

        self.clear_given(&who.fingerprint, now)?;
        if replace {
            self.forget_prekeys(&who.fingerprint)?;
        }
        for prekey in fit {
            self.keep_prekey(&who.fingerprint, prekey)?;
        }
        self.drop_surplus(&who.fingerprint, now)?;
        self.count_prekeys(who, now)
    }

    /// Decides about `Request::CountPrekeys`.
    pub(crate) fn count_prekeys(&self, who: &Identity, now: UnixMillis) -> Result<Outcome, Stop> {
        let kept = self.kept_prekeys(&who.fingerprint)?;
        let good = kept.iter().filter(|record| !has_expired(record, now)).count();
        let last_resort = self.last_resort(&who.fingerprint, now)?.map(|last| last.not_after);
        let one_time = u32::try_from(good).unwrap_or(u32::MAX);
        Ok(Outcome::answer(Answer::Prekeys { one_time, last_resort }))
    }

    /// Decides about `Request::FetchPrekey`.
    pub(crate) fn fetch_prekey(
        &mut self,
        who: &Identity,
        owner: &Fingerprint,
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        let pair = (who.fingerprint, *owner);
        let all = self.fetches.wait(&who.fingerprint, 1, now);
        let wait = all.max(self.fetches_of_one.wait(&pair, 1, now));
        if wait > 0 {
            return Err(Refusal::Paced { retry_ms: wait }.into());
        }
        self.fetches.take(who.fingerprint, 1, now);
        if self.directory(owner)?.is_none() || self.transparency.is_revoked(owner) {
            return Err(Refusal::NotFound.into());
        }
        self.fetches_of_one.take(pair, 1, now);
        let given = match self.take_one_time(owner, now)? {
            Some(prekey) => prekey,
            None => self.last_resort(owner, now)?.ok_or(Refusal::NotFound)?.prekey,
        };
        Ok(Outcome::answer(Answer::Prekey(given)))
    }

    /// The key under somebody's certificate.
    fn identity_key(&self, who: &Identity) -> Result<PublicKey, Stop> {
        let member = self.directory(&who.fingerprint)?.ok_or(Refusal::NotFound)?;
        let certificate = self.ca.ca().verify_member(&member.certificate.0);
        let certificate = certificate.map_err(|_| StoreError::Corrupt("a member's certificate"))?;
        Ok(*certificate.public_key())
    }

    /// Takes the one that ends first, and clears away those that have ended.
    fn take_one_time(
        &mut self,
        owner: &Fingerprint,
        now: UnixMillis,
    ) -> Result<Option<Blob>, StoreError> {
        for record in self.kept_prekeys(owner)? {
            let key = [&owner.0[..], &record.rest].concat();
            self.store.remove(Table::Prekey, &key, &record.value)?;
            if !has_expired(&record, now) {
                self.store.put(Table::GivenPrekey, &key, None, &[])?;
                return Ok(Some(Blob(record.value)));
            }
        }
        Ok(None)
    }

    fn last_resort(
        &self,
        owner: &Fingerprint,
        now: UnixMillis,
    ) -> Result<Option<LastResort>, StoreError> {
        let last = self.record::<LastResort>(Table::LastResort, &owner.0)?;
        Ok(last.filter(|last| last.not_after >= now))
    }

    /// The one that ends first comes first.
    fn kept_prekeys(&self, owner: &Fingerprint) -> Result<Vec<Record>, StoreError> {
        self.store.scan(Table::Prekey, &owner.0, MAX_PREKEYS.saturating_mul(2))
    }

    fn keep_prekey(&mut self, owner: &Fingerprint, prekey: Fit) -> Result<(), StoreError> {
        let Fit { bytes, kind, end, not_after } = prekey;
        if kind == PrekeyKind::LastResort {
            let known = self.store.get(Table::LastResort, &owner.0)?;
            let last = encode(&LastResort { not_after, prekey: bytes });
            return self.store.put(Table::LastResort, &owner.0, known.as_deref(), &last);
        }
        let key = [&owner.0[..], &end].concat();
        let is_known = self.store.get(Table::GivenPrekey, &key)?.is_some()
            || self.store.get(Table::Prekey, &key)?.is_some();
        if is_known {
            return Ok(());
        }
        self.store.put(Table::Prekey, &key, None, &bytes.0)
    }

    /// Those that end first make room for the new ones.
    fn drop_surplus(&mut self, owner: &Fingerprint, now: UnixMillis) -> Result<(), StoreError> {
        let kept = self.kept_prekeys(owner)?;
        let surplus = kept.len().saturating_sub(MAX_PREKEYS);
        for (index, record) in kept.iter().enumerate() {
            if index < surplus || has_expired(record, now) {
                let key = [&owner.0[..], &record.rest].concat();
                self.store.remove(Table::Prekey, &key, &record.value)?;
            }
        }
        Ok(())
    }

    pub(crate) fn forget_prekeys(&mut self, owner: &Fingerprint) -> Result<(), StoreError> {
        for record in self.kept_prekeys(owner)? {
            let key = [&owner.0[..], &record.rest].concat();
            self.store.remove(Table::Prekey, &key, &record.value)?;
        }
        match self.store.get(Table::LastResort, &owner.0)? {
            Some(last) => self.store.remove(Table::LastResort, &owner.0, &last),
            None => Ok(()),
        }
    }

    /// A prekey that has expired is not kept again, so nothing need be known of it any more.
    fn clear_given(&mut self, owner: &Fingerprint, now: UnixMillis) -> Result<(), StoreError> {
        for record in self.store.scan(Table::GivenPrekey, &owner.0, CLEARED)? {
            if !has_expired(&record, now) {
                break;
            }
            let key = [&owner.0[..], &record.rest].concat();
            self.store.remove(Table::GivenPrekey, &key, &record.value)?;
        }
        Ok(())
    }
}

/// A prekey of this person that may be given out from now on.
fn fit(bytes: &Blob, owner: &PublicKey, now: UnixMillis) -> Result<Fit, Stop> {
    let signed = SignedPrekey::decode(&bytes.0)?;
    let prekey = signed.view()?;
    check_times(&prekey, now)?;
    signed.verify(owner)?;
    let mut end = [0; END];
    let (time, hash) = end.split_at_mut(8);
    time.copy_from_slice(&prekey.not_after.0.to_be_bytes());
    hash.copy_from_slice(&signed.hash().0);
    Ok(Fit { bytes: bytes.clone(), kind: prekey.kind, end, not_after: prekey.not_after })
}

fn check_times(prekey: &Prekey, now: UnixMillis) -> Result<(), Stop> {
    let unfit = if prekey.not_before.after(PREKEY_LIFE) < prekey.not_after {
        Unfit::Life
    } else if prekey.not_after < now {
        Unfit::Expired
    } else if now.after(MAX_CLOCK_AHEAD) < prekey.not_before {
        Unfit::Early
    } else {
        return Ok(());
    };
    Err(Stop::invalid(&unfit))
}

/// Whether a prekey's time is over, by its record's key.
fn has_expired(record: &Record, now: UnixMillis) -> bool {
    let end = record.rest.first_chunk().map(|end| u64::from_be_bytes(*end));
    end.is_none_or(|end| end < now.0)
}
