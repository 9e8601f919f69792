//! Two clients and a relay that have talked: what they have stored, and what the relay has said.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use openchat_crypto::IdentityKey;
use openchat_engine::{Body as Said, Change, Command, Device, Engine, Input, Key, Snapshot};
use openchat_pki::{
    CertificateAuthority, Origin, Profiles, ServerKeys, certification_request, check_issued,
};
use openchat_relay::{
    Identity, Keys, Limit, Publish, Relay, Store, Tailing,
    memory::MemoryStore,
    store::{Body, Which},
};
use openchat_wire::{
    Blob, GroupId, MessageId, Name, UnixMillis,
    enroll::EnrollRequest,
    relay::{Answer, Refusal, Request, ToClient, ToServer},
};

use crate::Random;

/// When all this happens.
pub(crate) const NOW: UnixMillis = UnixMillis(1_782_864_000_000);

/// Alice's side of it.
pub(crate) struct Past {
    pub(crate) device: Device,
    pub(crate) records: Vec<(Key, Blob)>,
    /// What she asked, and was answered.
    pub(crate) answers: Vec<(Request, Result<Answer, Refusal>)>,
    /// What the relay pushed.
    pub(crate) pushed: Vec<ToClient>,
}

/// Made once.
pub(crate) fn past() -> &'static Past {
    static PAST: OnceLock<Past> = OnceLock::new();
    PAST.get_or_init(|| {
        let mut town = Town::new();
        for (person, text) in [(0, "hello"), (1, "hello yourself"), (0, "well?")] {
            town.say(person, text);
            town.settle();
        }
        let alice = town.people.swap_remove(0);
        Past {
            device: alice.device,
            records: alice.stored.into_iter().collect(),
            answers: alice.answers,
            pushed: alice.pushed,
        }
    })
}

/// A device is one process's; here it is several clients' in turn.
pub(crate) fn copy(device: &Device) -> Device {
    Device {
        name: device.name.clone(),
        key: device.key.clone(),
        certificate: device.certificate.clone(),
        server_keys: device.server_keys,
        ca: device.ca.clone(),
        origin: device.origin.clone(),
    }
}

struct Town {
    relay: Relay<MemoryStore>,
    people: Vec<Person>,
    rng: Random,
    now: UnixMillis,
}

struct Person {
    device: Device,
    identity: Identity,
    engine: Engine,
    stored: BTreeMap<Key, Blob>,
    tails: BTreeSet<GroupId>,
    answers: Vec<(Request, Result<Answer, Refusal>)>,
    pushed: Vec<ToClient>,
}

impl Town {
    fn new() -> Self {
        let mut rng = Random::new(b"town");
        let [ca, log, relay] = [(); 3].map(|()| IdentityKey::generate(&mut rng).deterministic());
        let profiles = Profiles::builtin().unwrap();
        let ca = CertificateAuthority::create("fuzz", ca, &profiles, NOW, &mut rng).unwrap();
        let relay = Relay::open(MemoryStore::new(), Keys { ca, log, relay }).unwrap();
        let mut town = Self { relay, people: Vec::new(), rng, now: NOW };
        for name in ["alice", "bob"] {
            let person = town.enroll(&name.parse().unwrap());
            town.people.push(person);
            let newest = town.people.len() - 1;
            town.tell(newest, Input::Connected);
            let target = "#general".parse().unwrap();
            town.tell(newest, Input::Command(Command::Open { target }));
            town.settle();
        }
        town
    }

    fn enroll(&mut self, name: &Name) -> Person {
        let (rng, now) = (&mut self.rng, self.now);
        let key = IdentityKey::generate(rng).deterministic();
        let invited = self.relay.invite(name, now, rng).unwrap();
        let request = EnrollRequest {
            name: name.clone(),
            invitation: invited.id,
            secret: invited.secret,
            csr: Blob(certification_request(&key, name).unwrap()),
        };
        let enrolled = self.relay.enroll(&request, now, rng).answer.unwrap();
        self.relay.flush().unwrap();
        let ca = self.relay.ca().ca().clone();
        check_issued(&ca, &enrolled.certificate.0, name, key.public(), now).unwrap();
        let server_keys = ServerKeys::verify(&enrolled.server_keys.0, &ca).unwrap();
        let identity = Identity { name: name.clone(), fingerprint: key.fingerprint() };
        let certificate = enrolled.certificate.0;
        let origin = Origin::new(&ca, &enrolled.server_keys.0);
        let device = Device { name: name.clone(), key, certificate, server_keys, ca, origin };
        let engine = Engine::new(copy(&device), Snapshot::default()).unwrap();
        Person {
            device,
            identity,
            engine,
            stored: BTreeMap::new(),
            tails: BTreeSet::new(),
            answers: Vec::new(),
            pushed: Vec::new(),
        }
    }

    fn say(&mut self, who: usize, text: &str) {
        let (target, id) = ("#general".parse().unwrap(), MessageId(self.rng.array()));
        let command = Command::Send { target, id, what: Said::Text(text.to_owned()) };
        self.tell(who, Input::Command(command));
    }

    fn tell(&mut self, who: usize, input: Input) {
        self.people[who].engine.handle(input, self.now, &mut self.rng);
    }

    /// Until nobody has anything to say, and then some seconds more.
    fn settle(&mut self) {
        for _ in 0..40 {
            while (0..self.people.len()).any(|who| self.serve(who)) {}
            self.now = self.now.after(core::time::Duration::from_millis(500));
            for who in 0..self.people.len() {
                self.tell(who, Input::Tick);
            }
        }
    }

    /// Does what one engine wants; whether there was anything.
    fn serve(&mut self, who: usize) -> bool {
        let output = self.people[who].engine.take_output();
        for change in output.changes {
            match change {
                Change::Put { key, value } => drop(self.people[who].stored.insert(key, value)),
                Change::Delete(key) => drop(self.people[who].stored.remove(&key)),
                Change::Message(_) | Change::Chunk { .. } | Change::DropFile { .. } => {}
            }
        }
        let had = !output.requests.is_empty();
        for asked in output.requests {
            self.answer(who, asked);
        }
        had
    }

    fn answer(&mut self, who: usize, asked: ToServer) {
        let identity = self.people[who].identity.clone();
        let outcome = self.relay.handle(&identity, &asked.request, self.now);
        self.relay.flush().unwrap();
        self.people[who].answers.push((asked.request, outcome.answer.clone()));
        self.push(who, ToClient::Answer { id: asked.id, answer: outcome.answer });
        if let Some(Tailing { log, after, .. }) = outcome.tail {
            self.people[who].tails.insert(log);
            let all = Limit { entries: usize::MAX, bytes: usize::MAX };
            let page = self.relay.store().read(&log, after, Which::All, all).unwrap();
            for (seq, body) in page.entries {
                let frame = match body {
                    Body::Whole(entry) => ToClient::Entry { log, seq, entry: Blob(entry) },
                    Body::Dropped(hash) => ToClient::Dropped { log, seq, hash },
                };
                self.push(who, frame);
            }
        }
        outcome.publish.into_iter().for_each(|publish| self.publish(publish));
    }

    fn publish(&mut self, publish: Publish) {
        let (log, frame) = match publish {
            Publish::Entry { log, seq, entry } => {
                (log, ToClient::Entry { log, seq, entry: Blob(entry.to_vec()) })
            }
            Publish::Heartbeat { log, beat, receipt } => {
                (log, ToClient::Heartbeat { log, beat: Blob(beat.to_vec()), receipt })
            }
        };
        for who in 0..self.people.len() {
            if self.people[who].tails.contains(&log) {
                self.push(who, frame.clone());
            }
        }
    }

    fn push(&mut self, who: usize, frame: ToClient) {
        if !matches!(frame, ToClient::Answer { .. }) {
            self.people[who].pushed.push(frame.clone());
        }
        self.tell(who, Input::Frame(frame));
    }
}
