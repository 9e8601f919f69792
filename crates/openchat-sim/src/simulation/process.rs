//! The server: a process around the real relay, which dies and comes back with what its store has.

use crate::simulation::{broken::Broken, chance::Chance, disk::Disk};
use openchat_crypto::IdentityKey;
use openchat_pki::{CertificateAuthority, Profiles, certification_request};
use openchat_relay::{
    Identity, Keys, Limit, Outcome, Publish, Relay, Store, StoreError, TailEnd, Tailing,
    chain::{Chains, appends_to},
    store::Which,
};
use openchat_roster::LogEntry;
use openchat_wire::{
    Blob, Digest, Fingerprint, GroupId, Name, Seq, UnixMillis,
    enroll::{EnrollRequest, Enrolled},
    relay::{Answer, Refusal, Request, ToClient, ToServer},
};
use std::collections::{BTreeMap, BTreeSet};

/// More than any simulated log has.
const ALL: Limit = Limit { entries: 1 << 20, bytes: 1 << 40 };

/// When a server dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerDeath {
    BeforeFlush,
    AfterFlush,
}

/// Something that leaves the server.
#[derive(Debug)]
pub(crate) enum Told {
    /// A frame for a session.
    Frame(u64, ToClient),
    /// A session is sent a log from behind this place on.
    Tails(u64, GroupId, Seq),
    /// From now on an entry is promised to be there.
    Acknowledged { log: GroupId, seq: Seq, entry: Vec<u8> },
}

pub(crate) struct Process<D: Disk> {
    pub(crate) disk: D,
    relay: Option<Relay<D::Store>>,
    /// What is left of a process that has died.
    remains: Option<D::Store>,
    secrets: Secrets,
    sessions: BTreeMap<u64, Session>,
    batch: Vec<Asked>,
    /// How it dies over the next batch.
    pub(crate) death: Option<ServerDeath>,
    /// What the server's clock shows beyond the true time.
    pub(crate) skew: i64,
    /// Counts its starts.
    pub(crate) life: u64,
}

/// What survives every start beside the store.
struct Secrets {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    log: Vec<u8>,
    relay: Vec<u8>,
    profiles: Profiles,
}

struct Session {
    reader: Fingerprint,
    tails: BTreeSet<GroupId>,
    chains: Chains,
}

/// A request of the batch, with what comes of it after the flush.
struct Asked {
    connection: u64,
    id: u32,
    log: Option<GroupId>,
    appended: Option<(GroupId, Blob)>,
    outcome: Outcome,
}

impl<D: Disk> Process<D> {
    /// A new server on an empty disk.
    pub(crate) fn new(mut disk: D, now: u64, rng: &mut Chance) -> Result<Self, Broken> {
        let profiles = Profiles::builtin().expect("built in");
        let [ca_key, log, relay] = [(); 3].map(|()| IdentityKey::generate(rng));
        let pkcs8 = |key: &IdentityKey| key.to_pkcs8().to_vec();
        let (ca, log, relay) = (pkcs8(&ca_key), pkcs8(&log), pkcs8(&relay));
        let authority =
            CertificateAuthority::create("simulation", ca_key, &profiles, UnixMillis(now), rng);
        let certificate = authority.expect("a CA").certificate().to_vec();
        let store = disk.open(None).map_err(store_failed)?;
        let mut process = Self {
            disk,
            relay: None,
            remains: Some(store),
            secrets: Secrets { ca, certificate, log, relay, profiles },
            sessions: BTreeMap::new(),
            batch: Vec::new(),
            death: None,
            skew: 0,
            life: 0,
        };
        process.start()?;
        Ok(process)
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.relay.is_some()
    }

    pub(crate) fn start(&mut self) -> Result<(), Broken> {
        let store = self.disk.open(self.remains.take()).map_err(store_failed)?;
        self.relay = Some(Relay::open(store, self.secrets.keys()).map_err(store_failed)?);
        self.life += 1;
        Ok(())
    }

    /// The process ends, or the whole machine: the store has what it has flushed.
    pub(crate) fn die(&mut self) {
        self.remains = self.relay.take().map(Relay::into_store);
        self.sessions.clear();
        self.batch.clear();
        self.death = None;
    }

    pub(crate) fn accept(&mut self, connection: u64, reader: Fingerprint) {
        self.sessions.insert(
            connection,
            Session { reader, tails: BTreeSet::new(), chains: Chains::default() },
        );
    }

    pub(crate) fn end_session(&mut self, connection: u64) {
        self.sessions.remove(&connection);
    }

    /// Decides about a request; what comes of it is told after the flush.
    pub(crate) fn serve(
        &mut self,
        connection: u64,
        (who, frame): (&Identity, ToServer),
        now: u64,
        rng: &mut Chance,
    ) -> Option<&Outcome> {
        let clock = self.clock(now);
        let relay = self.relay.as_mut()?;
        let session = self.sessions.get_mut(&connection);
        let outcome = match session.map_or(Ok(()), |it| it.chains.admit(&frame.request)) {
            Ok(()) => match &frame.request {
                Request::Renew(csr) => {
                    let answer = relay.renew(who, &csr.0, clock, rng).answer;
                    answer.map_or_else(Outcome::refused, Outcome::answer)
                }
                request => relay.handle(who, request, clock),
            },
            Err(refusal) => Outcome::refused(refusal),
        };
        let log = appends_to(&frame.request);
        self.note(connection, log, &outcome.answer);
        let appended = match frame.request {
            Request::Append { log, entry, .. } if !is_leave(&entry) => Some((log, entry)),
            _ => None,
        };
        self.batch.push(Asked { connection, id: frame.id, log, appended, outcome });
        self.batch.last().map(|asked| &asked.outcome)
    }

    /// What is sent behind an entry that was refused must not come before it.
    fn note(&mut self, connection: u64, log: Option<GroupId>, answer: &Result<Answer, Refusal>) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            session.chains.note(log, answer);
        }
    }

    /// Makes the batch durable and tells what came of it. A disk that is full is no reason to die.
    pub(crate) fn flush(&mut self) -> Result<Vec<Told>, StoreError> {
        let batch = core::mem::take(&mut self.batch);
        let Some(relay) = &mut self.relay else { return Ok(Vec::new()) };
        let refused = match relay.flush() {
            Err(error) if error.is_fatal() => return Err(error),
            flushed => flushed.is_err(),
        };
        let mut told = Vec::new();
        for mut asked in batch {
            if refused {
                asked.outcome = Outcome::refused(Refusal::Internal);
                self.note(asked.connection, asked.log, &asked.outcome.answer);
            }
            self.tell(asked, &mut told)?;
        }
        Ok(told)
    }

    /// Gives somebody an identity, as the operator and the program do together. `None` if that can't
    /// be: no certificate reaches beyond the CA's, whatever year the server's clock shows.
    pub(crate) fn enroll(
        &mut self,
        name: &Name,
        now: u64,
        rng: &mut Chance,
    ) -> Result<Option<(Identity, IdentityKey, Enrolled)>, StoreError> {
        let clock = self.clock(now);
        let relay = self.relay.as_mut().expect("somebody enrolls while the server is up");
        let key = IdentityKey::generate(rng);
        let enrolled = relay.invite(name, clock, rng).map(|invited| {
            let request = EnrollRequest {
                name: name.clone(),
                invitation: invited.id,
                secret: invited.secret,
                csr: Blob(certification_request(&key, name).expect("a request")),
            };
            relay.enroll(&request, clock, rng).answer
        });
        relay.flush()?;
        let identity = Identity { name: name.clone(), fingerprint: key.fingerprint() };
        Ok(enrolled?.ok().map(|enrolled| (identity, key, enrolled)))
    }

    pub(crate) fn pin(&self) -> Digest {
        self.relay.as_ref().expect("it runs").ca().pin()
    }

    /// Nothing waits for a flush.
    pub(crate) fn is_idle(&self) -> bool {
        self.batch.is_empty()
    }

    /// A write of the next batch finds no room, if this disk can do so.
    pub(crate) fn fill_disk(&self, writes_before: u32) -> bool {
        self.relay.as_ref().is_some_and(|it| self.disk.fill(it.store(), writes_before))
    }

    /// What a log has behind a place; nothing while the server is down.
    pub(crate) fn entries(
        &self,
        log: &GroupId,
        after: Seq,
    ) -> Result<Vec<(Seq, Vec<u8>)>, StoreError> {
        let store = self.relay.as_ref().map(Relay::store);
        let page = store.map(|store| store.read(log, after, Which::All, ALL)).transpose()?;
        let entries = page.map(|page| page.entries).unwrap_or_default();
        entries.into_iter().map(|(seq, body)| Ok((seq, body.whole()?))).collect()
    }

    fn tell(&mut self, asked: Asked, told: &mut Vec<Told>) -> Result<(), StoreError> {
        let Asked { connection, id, appended, outcome, .. } = asked;
        let Outcome { answer, publish, ends, tail } = outcome;
        if let (Ok(Answer::Appended(seq)), Some((log, entry))) = (&answer, appended) {
            told.push(Told::Acknowledged { log, seq: *seq, entry: entry.0 });
        }
        told.push(Told::Frame(connection, ToClient::Answer { id, answer }));
        if let Some(tailing) = tail {
            self.begin_tail(connection, &tailing, told)?;
        }
        for publish in &publish {
            self.publish(publish, told);
        }
        for TailEnd { log, reader, .. } in ends {
            let theirs = self.sessions.values_mut().filter(|session| session.reader == reader);
            theirs.for_each(|session| {
                session.tails.remove(&log);
            });
        }
        Ok(())
    }

    /// What is there already comes from the store; what follows is published.
    fn begin_tail(
        &mut self,
        connection: u64,
        tailing: &Tailing,
        told: &mut Vec<Told>,
    ) -> Result<(), StoreError> {
        let Tailing { log, after, end, last, .. } = *tailing;
        let Some(session) = self.sessions.get_mut(&connection) else { return Ok(()) };
        if last.is_none() {
            session.tails.insert(log);
        }
        told.push(Told::Tails(connection, log, after));
        let end = last.map_or(end, |last| last.min(end));
        for (seq, entry) in self.entries(&log, after)? {
            if seq <= end {
                let entry = Blob(entry);
                told.push(Told::Frame(connection, ToClient::Entry { log, seq, entry }));
            }
        }
        Ok(())
    }

    fn publish(&self, publish: &Publish, told: &mut Vec<Told>) {
        let (log, frame) = match publish.clone() {
            Publish::Entry { log, seq, entry } => {
                let entry = entry.to_vec();
                told.push(Told::Acknowledged { log, seq, entry: entry.clone() });
                (log, ToClient::Entry { log, seq, entry: Blob(entry) })
            }
            Publish::Heartbeat { log, beat, receipt } => {
                (log, ToClient::Heartbeat { log, beat: Blob(beat.to_vec()), receipt })
            }
        };
        let tailing = self.sessions.iter().filter(|(_, session)| session.tails.contains(&log));
        told.extend(tailing.map(|(connection, _)| Told::Frame(*connection, frame.clone())));
    }

    const fn clock(&self, now: u64) -> UnixMillis {
        UnixMillis(now.saturating_add_signed(self.skew))
    }
}

impl Secrets {
    fn keys(&self) -> Keys {
        let key = |bytes: &[u8]| IdentityKey::from_pkcs8(bytes).expect("a key");
        let ca = CertificateAuthority::load(key(&self.ca), &self.certificate, &self.profiles);
        Keys { ca: ca.expect("the CA"), log: key(&self.log), relay: key(&self.relay) }
    }
}

/// One leave request is enough: who asks again is told the place of the first.
fn is_leave(entry: &Blob) -> bool {
    matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Leave(_)))
}

/// No store fails by itself here.
fn store_failed(error: StoreError) -> Broken {
    Broken::new("the store works", error)
}
