//! The relay as a process: its store survives it.

use crate::random::TestRng;
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CertificateAuthority, Profiles, ServerKeys, UnverifiedCsr, certification_request,
};
use openchat_relay::{
    Identity, Invited, Keys, Limit, Relay, Store,
    memory::MemoryStore,
    store::{Body, Which},
};
use openchat_wire::{
    Blob, Digest, GroupId, GroupName, Name, Seq, UnixMillis,
    enroll::{EnrollRequest, Enrolled},
    relay::{Answer, Receipt, Request},
};
use std::time::Duration;

pub(crate) struct Server {
    pub(crate) relay: Relay<MemoryStore>,
    ca_key: Vec<u8>,
    ca_certificate: Vec<u8>,
    log_key: Vec<u8>,
    relay_key: Vec<u8>,
    profiles: Profiles,
    noted: Vec<(Vec<u8>, UnixMillis)>,
}

impl Server {
    pub(crate) fn new(now: UnixMillis, rng: &mut TestRng) -> Self {
        let profiles = Profiles::builtin().unwrap();
        let (ca_key, log, relay) =
            (IdentityKey::generate(rng), IdentityKey::generate(rng), IdentityKey::generate(rng));
        let pkcs8 = |key: &IdentityKey| key.to_pkcs8().to_vec();
        let (ca_pkcs8, log_key, relay_key) = (pkcs8(&ca_key), pkcs8(&log), pkcs8(&relay));
        let ca = CertificateAuthority::create("test", ca_key, &profiles, now, rng).unwrap();
        let ca_certificate = ca.certificate().to_vec();
        let relay = Relay::open(MemoryStore::new(), Keys { ca, log, relay }).unwrap();
        let noted = Vec::new();
        Self { relay, ca_key: ca_pkcs8, ca_certificate, log_key, relay_key, profiles, noted }
    }

    /// The process dies and comes back: what was flushed is there, nothing else.
    pub(crate) fn restart(self) -> Self {
        let Self { relay, ca_key, ca_certificate, log_key, relay_key, profiles, noted } = self;
        let key = |bytes: &[u8]| IdentityKey::from_pkcs8(bytes).unwrap();
        let ca = CertificateAuthority::load(key(&ca_key), &ca_certificate, &profiles).unwrap();
        let keys = Keys { ca, log: key(&log_key), relay: key(&relay_key) };
        let mut store = relay.into_store().crash();
        let first = store.recorded(0, usize::MAX).unwrap().len();
        for (index, (entry, time)) in (first..).zip(noted) {
            store.record(u64::try_from(index).unwrap(), time, &entry).unwrap();
        }
        store.flush().unwrap();
        let relay = Relay::open(store, keys).unwrap();
        Self { relay, ca_key, ca_certificate, log_key, relay_key, profiles, noted: Vec::new() }
    }

    /// It is to write an entry into its transparency log, when it starts again, that it would refuse to
    /// anybody.
    pub(crate) fn note(&mut self, entry: &[u8], now: UnixMillis) {
        self.noted.push((entry.to_vec(), now));
    }

    pub(crate) fn enroll(
        &mut self,
        name: &Name,
        invited: &Invited,
        now: UnixMillis,
        rng: &mut TestRng,
    ) -> (Identity, IdentityKey, Enrolled) {
        let (name, key) = (name.clone(), IdentityKey::generate(rng));
        let request = EnrollRequest {
            name: name.clone(),
            invitation: invited.id,
            secret: invited.secret,
            csr: Blob(certification_request(&key, &name).unwrap()),
        };
        let enrolled = self.relay.enroll(&request, now, rng).answer.unwrap();
        self.relay.flush().unwrap();
        (Identity { name, fingerprint: key.fingerprint() }, key, enrolled)
    }

    /// A certificate that the relay would refuse: the operator has the CA's key, after all.
    pub(crate) fn certify(
        &self,
        key: &IdentityKey,
        name: &Name,
        now: u64,
        rng: &mut TestRng,
    ) -> Vec<u8> {
        let request = certification_request(key, name).unwrap();
        let request = UnverifiedCsr::decode(&request).unwrap().verify_for(name).unwrap();
        self.relay.ca().issue_client(&request, name, UnixMillis(now), rng).unwrap()
    }

    /// How many entries its transparency log has behind so many.
    pub(crate) fn recorded_behind(&self, size: usize) -> usize {
        let size = u64::try_from(size).unwrap();
        self.relay.store().recorded(size, usize::MAX).unwrap().len()
    }

    /// Another log's key, and the CA's statement that it is this server's.
    pub(crate) fn other_log(&self, rng: &mut TestRng) -> (IdentityKey, Vec<u8>) {
        let key = IdentityKey::generate(rng);
        let relay_key = *self.receipt_key().public();
        let keys = ServerKeys { relay_key, ..ServerKeys::new(*key.public(), *key.public()) };
        let ca_key = IdentityKey::from_pkcs8(&self.ca_key).unwrap();
        (key, keys.sign(&ca_key))
    }

    pub(crate) fn pin(&self) -> Digest {
        self.relay.ca().pin()
    }

    /// The key under the relay's receipts, for a relay that lies.
    pub(crate) fn receipt_key(&self) -> IdentityKey {
        IdentityKey::from_pkcs8(&self.relay_key).unwrap()
    }

    /// The key under the transparency heads.
    pub(crate) fn head_key(&self) -> IdentityKey {
        IdentityKey::from_pkcs8(&self.log_key).unwrap()
    }

    pub(crate) fn entries(&self, log: &GroupId, after: Seq) -> Vec<(Seq, Vec<u8>)> {
        let bodies = self.bodies(log, after).into_iter();
        bodies.map(|(seq, body)| (seq, body.whole().unwrap())).collect()
    }

    pub(crate) fn bodies(&self, log: &GroupId, after: Seq) -> Vec<(Seq, Body)> {
        let all = Limit { entries: usize::MAX, bytes: usize::MAX };
        self.relay.store().read(log, after, Which::All, all).unwrap().entries
    }

    /// Everything that was there before is old and loses its body.
    pub(crate) fn drop_all(&mut self, now: UnixMillis) {
        // Dropping goes by a clock that is slow: these are the hours until it is beyond `now`.
        for hour in 1..=1_000 {
            let later = now.after(Duration::from_hours(hour));
            while !self.relay.drop_old(Duration::ZERO, later).unwrap().complete {}
        }
        self.relay.flush().unwrap();
    }

    /// What the relay claims about a log's tail.
    pub(crate) fn claim(&mut self, who: &Identity, log: &GroupId) -> Receipt {
        let request = Request::Receipt { log: *log, at: None };
        let outcome = self.relay.handle(who, &request, UnixMillis(0));
        let Ok(Answer::Receipt(signed)) = outcome.answer else { panic!("no receipt") };
        openchat_pki::verify_receipt(&signed, self.receipt_key().public()).unwrap()
    }

    pub(crate) fn group(&mut self, who: &Identity, name: &GroupName) -> Option<GroupId> {
        let request = Request::FindGroup(name.clone());
        match self.relay.handle(who, &request, UnixMillis(0)).answer {
            Ok(Answer::Group(id)) => Some(id),
            _ => None,
        }
    }
}
