//! The relay as a whole: one request after another, one flush for many.

use crate::{
    group::Groups,
    outcome::{Identity, Outcome, Stop},
    pace::{Buckets, Pace},
    store::{Store, StoreError, Table},
    transparency::Transparency,
    usage::{Quotas, Usage},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{CertificateAuthority, ServerKeys};
use openchat_wire::{
    Blob, Fingerprint, UnixMillis, decode,
    relay::{Answer, Refusal, Request},
};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes of a record: an invitation with the certificate it led to takes about 700.
pub(crate) const MAX_RECORD: usize = 16 * 1024;

/// Why [`Relay::handle`] renews nothing.
const NO_CHANCE: &str = "no certificate is renewed here";

/// The keys that a server signs with.
#[derive(Debug)]
pub struct Keys {
    /// Issues certificates.
    pub ca: CertificateAuthority,
    /// Signs transparency heads.
    pub log: IdentityKey,
    /// Signs receipts.
    pub relay: IdentityKey,
}

/// Decides what the server does. See the [crate](crate) for the order of calls.
#[derive(Debug)]
pub struct Relay<S> {
    pub(crate) store: S,
    pub(crate) ca: CertificateAuthority,
    pub(crate) server_keys: Vec<u8>,
    pub(crate) receipt_key: IdentityKey,
    pub(crate) transparency: Transparency,
    pub(crate) groups: Groups,
    /// Bytes kept of each log and person.
    pub(crate) usage: Usage,
    /// How many groups each person may create right now.
    pub(crate) creates: Buckets<Fingerprint>,
    /// How many people each person may add right now.
    pub(crate) adds: Buckets<Fingerprint>,
    /// How many further certificates each person may have right now.
    pub(crate) certificates: Buckets<Fingerprint>,
    /// How many prekeys each person may publish right now.
    pub(crate) published: Buckets<Fingerprint>,
    /// How many prekeys each person may fetch right now.
    pub(crate) fetches: Buckets<Fingerprint>,
    /// The same by the one who fetches and the one whose prekeys are fetched.
    pub(crate) fetches_of_one: Buckets<(Fingerprint, Fingerprint)>,
    /// What ended the batch: nothing more is staged, and its flush fails.
    failed: Option<StoreError>,
    /// An earlier flush left the store in a state that nobody knows.
    given_up: bool,
}

impl<S: Store> Relay<S> {
    /// A relay on what the store has. Reads the whole transparency log; groups are read when
    /// somebody asks for them.
    ///
    /// # Errors
    /// As the store fails.
    pub fn open(store: S, keys: Keys) -> Result<Self, StoreError> {
        let Keys { ca, log, relay } = keys;
        let public = ServerKeys::new(*log.public(), *relay.public());
        let transparency = Transparency::load(&store, public.log_id, log)?;
        let usage = Usage::load(&store)?;
        Ok(Self {
            store,
            server_keys: ca.sign_server_keys(&public),
            ca,
            receipt_key: relay,
            transparency,
            groups: Groups::default(),
            usage,
            creates: Buckets::new(Pace::CREATES),
            adds: Buckets::new(Pace::ADDS),
            certificates: Buckets::new(Pace::CERTIFICATES),
            published: Buckets::new(Pace::PUBLISHED),
            fetches: Buckets::new(Pace::FETCHES),
            fetches_of_one: Buckets::new(Pace::FETCHES_OF_ONE),
            failed: None,
            given_up: false,
        })
    }

    /// Decides about one request. What comes of it may be told after the next [`flush`]. A
    /// [`Request::Renew`] takes chance and is for [`renew`]: here it is refused.
    ///
    /// After the store has failed, every answer until the flush is [`Refusal::Internal`].
    ///
    /// [`flush`]: Self::flush
    /// [`renew`]: Self::renew
    pub fn handle(&mut self, who: &Identity, request: &Request, now: UnixMillis) -> Outcome {
        let decided = self.guard(|relay| match relay.decide(who, request, now) {
            Ok(outcome) => Ok(outcome),
            Err(Stop::Refused(refusal)) => Ok(Outcome::refused(refusal)),
            Err(Stop::Failed(error)) => Err(error),
        });
        decided.unwrap_or_else(|_| Outcome::refused(Refusal::Internal))
    }

    /// Makes everything since the last flush durable, at once.
    ///
    /// # Errors
    /// Nothing of the batch may be told. If the error is [fatal](StoreError::is_fatal), the relay
    /// is given up and the server has to stop; it is never tried again. Otherwise nothing of the
    /// batch stands, everybody in it is to be answered [`Refusal::Internal`], and it goes on.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        if self.given_up {
            return Err(StoreError::GivenUp);
        }
        let flushed = match self.failed.take() {
            None => self.store.flush(),
            Some(error) => self.store.rollback().and(Err(error)),
        };
        self.usage.settle(flushed.is_ok());
        flushed.or_else(|error| {
            self.given_up = error.is_fatal();
            self.forget_batch()?;
            Err(error)
        })
    }

    /// How much may be kept, from now on.
    pub const fn set_quotas(&mut self, quotas: Quotas) {
        self.usage.quotas = quotas;
    }

    /// The certificate authority, for the server's own certificate.
    #[must_use]
    pub const fn ca(&self) -> &CertificateAuthority {
        &self.ca
    }

    /// The statement of the server's keys under the CA's signature, encoded.
    #[must_use]
    pub fn server_keys(&self) -> &[u8] {
        &self.server_keys
    }

    /// Entries of the transparency log, those included that the next flush makes durable.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.transparency.len()
    }

    /// The newest signed head of the transparency log, encoded.
    pub fn head(&mut self, now: UnixMillis) -> &[u8] {
        self.transparency.head(now)
    }

    /// The store, to read from.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The store alone. What was not flushed is still staged.
    #[must_use]
    pub fn into_store(self) -> S {
        self.store
    }

    fn decide(
        &mut self,
        who: &Identity,
        request: &Request,
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        match request {
            Request::Ping => Ok(Outcome::answer(Answer::Done)),
            Request::Head => {
                let head = self.transparency.head(now);
                Ok(Outcome::answer(Answer::Head(Blob(head.to_vec()))))
            }
            Request::ReadTransparency(index) => self.read_transparency(*index, now),
            Request::FindGroup(name) => self.find_group(name),
            Request::FindDirect(other) => self.find_direct(who, other),
            Request::Groups => self.groups_of(who),
            Request::Certificate(key) => self.certificate(key),
            Request::CertificateOf(name) => self.certificate_of(name),
            Request::PublishPrekeys { replace, prekeys } => {
                self.publish_prekeys(who, *replace, prekeys, now)
            }
            Request::CountPrekeys => self.count_prekeys(who, now),
            Request::FetchPrekey(owner) => self.fetch_prekey(who, owner, now),
            Request::ReadCommits { log, after } => self.read_commits(who, log, *after),
            Request::Tail { log, after } => self.tail(who, log, *after),
            Request::Append { log, entry, letters, .. } => {
                self.append(who, (log, &entry.0), letters, now)
            }
            Request::Receipt { log, at } => self.receipt(who, log, *at),
            Request::Heartbeat { log, beat } => self.heartbeat(who, log, &beat.0),
            Request::Renew(_) => Err(Stop::invalid(&NO_CHANCE)),
        }
    }

    /// Does one thing with the store, unless the batch is lost already, and notes if it fails.
    pub(crate) fn guard<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.given_up {
            return Err(StoreError::GivenUp);
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        act(self).inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// A record of a table.
    pub(crate) fn record<T: Serialize + DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        record(&self.store, table, key)
    }

    /// Goes back to what the store has, after a batch was lost.
    fn forget_batch(&mut self) -> Result<(), StoreError> {
        self.groups.clear();
        if self.given_up {
            return Ok(());
        }
        let reloaded = self.transparency.reload(&self.store);
        reloaded.inspect_err(|_| self.given_up = true)
    }
}

/// A record of a table.
pub(crate) fn record<T: Serialize + DeserializeOwned>(
    store: &impl Store,
    table: Table,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    let Some(bytes) = store.get(table, key)? else {
        return Ok(None);
    };
    let record = decode(&bytes, MAX_RECORD);
    record.map(Some).map_err(|_| StoreError::Corrupt("a record that does not decode"))
}
