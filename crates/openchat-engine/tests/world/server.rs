//! The relay as a process: its store survives it.

use crate::random::TestRng;
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CertificateAuthority, Entry, MerkleLog, Profiles, UnverifiedCsr, certification_request,
};
use openchat_relay::{
    Identity, Keys, Limit, Relay, Store,
    memory::MemoryStore,
    store::{Body, Which},
};
use openchat_roster::Revocation;
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
        Self { relay, ca_key: ca_pkcs8, ca_certificate, log_key, relay_key, profiles }
    }

    /// The process dies and comes back: what was flushed is there, nothing else.
    pub(crate) fn restart(self) -> Self {
        self.restart_with(|_| {})
    }

    /// Its operator revokes a key, while the process is down.
    pub(crate) fn revoke(self, whose: &Identity, now: UnixMillis) -> (Self, Revocation) {
        let Identity { name, fingerprint } = whose.clone();
        let entry = Entry::Revoke { name, fingerprint }.encode();
        let recorded = self.relay.store().recorded(0, usize::MAX).unwrap();
        let mut tree: MerkleLog = recorded.iter().map(|it| it.entry.clone()).collect();
        let index = tree.push(&entry);
        let server = self.restart_with(|store| {
            store.record(index, now, &entry).unwrap();
            store.flush().unwrap();
        });
        let inclusion = tree.prove(index).unwrap();
        (server, Revocation { entry: Blob(entry), inclusion })
    }

    fn restart_with(self, change: impl FnOnce(&mut MemoryStore)) -> Self {
        let Self { relay, ca_key, ca_certificate, log_key, relay_key, profiles } = self;
        let key = |bytes: &[u8]| IdentityKey::from_pkcs8(bytes).unwrap();
        let ca = CertificateAuthority::load(key(&ca_key), &ca_certificate, &profiles).unwrap();
        let keys = Keys { ca, log: key(&log_key), relay: key(&relay_key) };
        let mut store = relay.into_store().crash();
        change(&mut store);
        let relay = Relay::open(store, keys).unwrap();
        Self { relay, ca_key, ca_certificate, log_key, relay_key, profiles }
    }

    pub(crate) fn enroll(
        &mut self,
        name: &str,
        now: UnixMillis,
        rng: &mut TestRng,
    ) -> (Identity, IdentityKey, Enrolled) {
        let name: Name = name.parse().unwrap();
        let key = IdentityKey::generate(rng);
        let invited = self.relay.invite(&name, now, rng).unwrap();
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
