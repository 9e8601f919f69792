//! A person's device: its identity, its vault, and the engine while it runs.

use crate::vault::Vault;
use openchat_crypto::IdentityKey;
use openchat_engine::{AlarmCode, Change, Device, Engine, Event, Output};
use openchat_pki::{CaCertificate, Origin, ServerKeys};
use openchat_relay::Identity;
use openchat_wire::{Blob, Digest, GroupId, MessageId, Seq, UnixMillis, enroll::Enrolled};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of records that are the mirror's, as they are stored: numbers are for ever.
const OF_THE_LOG: [u8; 3] = [10, LOGGED, 23];
const LOGGED: u8 = 22;

/// When a device dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The transaction was lost, nothing was sent, nothing was shown.
    BeforeStored,
    /// The transaction stands, nothing was sent, nothing was shown.
    AfterStored,
    /// Everything was stored and sent, then the power fails: the disk has what had to last.
    PowerCut,
}

pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) key: Vec<u8>,
    enrolled: Enrolled,
    pin: Digest,
    pub(crate) vault: Vault,
    /// What a power cut leaves of the vault.
    lasting: Vault,
    pub(crate) engine: Option<Engine>,
    /// The current connection; every one has a number of its own.
    pub(crate) connection: Option<u64>,
    /// What this connection tails.
    pub(crate) tails: BTreeSet<GroupId>,
    pub(crate) events: Vec<Event>,
    /// What the device's clock shows beyond the true time, in milliseconds.
    pub(crate) skew: i64,
    /// Outputs with something in them, so far.
    pub(crate) steps: usize,
    pub(crate) death: Option<(usize, Death)>,
    /// Bytes of records that were written.
    pub(crate) written: usize,
    /// Requests that left, in all.
    pub(crate) requests: usize,
    pub(crate) acks: BTreeMap<MessageId, Seq>,
    /// Whether it says soon what it has read.
    pub(crate) tells_delivered: bool,
    /// The server lets nobody in with this key.
    pub(crate) is_shut_out: bool,
}

impl Person {
    pub(crate) fn new(
        identity: Identity,
        key: &IdentityKey,
        enrolled: Enrolled,
        pin: Digest,
    ) -> Self {
        Self {
            identity,
            key: key.to_pkcs8().to_vec(),
            enrolled,
            pin,
            vault: Vault::default(),
            lasting: Vault::default(),
            engine: None,
            connection: None,
            tails: BTreeSet::new(),
            events: Vec::new(),
            skew: 0,
            steps: 0,
            death: None,
            written: 0,
            requests: 0,
            acks: BTreeMap::new(),
            tells_delivered: true,
            is_shut_out: false,
        }
    }

    /// The identity as it would come from the vault, checked again.
    pub(crate) fn device(&self) -> Device {
        let ca = CaCertificate::pinned(&self.enrolled.ca.0, &self.pin).unwrap();
        let server_keys = ServerKeys::verify(&self.enrolled.server_keys.0, &ca).unwrap();
        let origin = Origin::new(&ca, &self.enrolled.server_keys.0);
        Device {
            name: self.identity.name.clone(),
            key: IdentityKey::from_pkcs8(&self.key).unwrap(),
            certificate: self.enrolled.certificate.0.clone(),
            server_keys,
            ca,
            origin,
        }
    }

    /// The same person's second device: a copy of the vault and the identity.
    pub(crate) fn copy(&self) -> Self {
        let key = IdentityKey::from_pkcs8(&self.key).unwrap();
        let mut copy = Self::new(self.identity.clone(), &key, self.enrolled.clone(), self.pin);
        copy.vault = self.vault.clone();
        copy
    }

    /// The server has stated other keys to this device, when it enrolled.
    pub(crate) fn told_keys(&mut self, statement: Vec<u8>) {
        self.enrolled.server_keys = Blob(statement);
    }

    /// The entries of the transparency log that its vault has.
    pub(crate) fn mirrored(&self) -> Vec<Vec<u8>> {
        let records = self.vault.records.iter().filter(|(key, _)| key.kind == LOGGED);
        let entries = records
            .flat_map(|(_, value)| openchat_wire::decode::<Vec<Blob>>(&value.0, 1 << 20).unwrap());
        entries.map(|entry| entry.0).collect()
    }

    pub(crate) fn evidence(&self) -> Vec<Vec<u8>> {
        let evidence = |event: &Event| match event {
            Event::Evidence(bytes) => Some(bytes.clone()),
            _ => None,
        };
        self.events.iter().filter_map(evidence).collect()
    }

    /// The device is off, and its vault has nothing of the transparency log any more.
    pub(crate) fn forget_log(&mut self) {
        self.die();
        self.vault.records.retain(|key, _| !OF_THE_LOG.contains(&key.kind));
    }

    pub(crate) fn load(&mut self) {
        let mut engine = Engine::new(self.device(), self.vault.snapshot()).unwrap();
        engine.tell_delivered(self.tells_delivered);
        self.engine = Some(engine);
    }

    pub(crate) fn clock(&self, now: u64) -> UnixMillis {
        UnixMillis(now.saturating_add_signed(self.skew))
    }

    /// The true time of the engine's deadline.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let deadline = self.engine.as_ref()?.next_deadline()?;
        Some(deadline.0.saturating_sub_signed(self.skew))
    }

    /// The engine's output, and how the device dies over it.
    pub(crate) fn take_output(&mut self) -> Option<(Output, Option<Death>)> {
        let output = self.engine.as_mut()?.take_output();
        let says = !output.requests.is_empty() || !output.events.is_empty();
        let wants = !output.wants.is_empty() || !output.recalls.is_empty();
        if output.changes.is_empty() && !wants && !says {
            return None;
        }
        self.steps += 1;
        let death = self.death.filter(|(step, _)| *step == self.steps).map(|(_, death)| death);
        Some((output, death))
    }

    pub(crate) fn keep(&mut self, changes: Vec<Change>, lasting: bool) {
        let size = |change: &Change| match change {
            Change::Put { value, .. } => value.0.len(),
            Change::Chunk { bytes, .. } => bytes.0.len(),
            Change::Delete(_) | Change::Message(_) | Change::DropFile { .. } => 0,
        };
        self.written += changes.iter().map(size).sum::<usize>();
        self.vault.apply(changes);
        if lasting {
            self.lasting = self.vault.clone();
        }
    }

    pub(crate) fn fall(&mut self, death: Death) {
        if death == Death::PowerCut {
            self.vault = self.lasting.clone();
        }
        self.die();
    }

    pub(crate) fn die(&mut self) {
        self.engine = None;
        self.connection = None;
        self.tails.clear();
    }

    pub(crate) fn show(&mut self, events: Vec<Event>) {
        for event in &events {
            match event {
                Event::Ack { id, seq } => {
                    self.acks.insert(*id, *seq);
                }
                Event::Renewed { certificate, .. } => {
                    self.enrolled.certificate = Blob(certificate.clone());
                }
                _ => {}
            }
        }
        self.events.extend(events);
    }

    pub(crate) fn alarms(&self) -> Vec<AlarmCode> {
        let code = |event: &Event| match event {
            Event::Alarm { code, .. } => Some(*code),
            _ => None,
        };
        self.events.iter().filter_map(code).collect()
    }

    /// Entries that could not be opened, but for those from before this person came.
    pub(crate) fn unreadable(&self) -> Vec<(Seq, String)> {
        let cause = |event: &Event| match event {
            Event::Unreadable { seq, cause, .. } if !cause.ends_with("from before you came") => {
                Some((*seq, cause.clone()))
            }
            _ => None,
        };
        self.events.iter().filter_map(cause).collect()
    }

    /// Texts in the order of the log, with who wrote them.
    pub(crate) fn heard(&self) -> Vec<(Seq, String, String)> {
        let line =
            |m: &openchat_engine::StoredMessage| (m.seq, m.sender.to_string(), m.text().to_owned());
        self.vault.messages.iter().map(line).collect()
    }

    /// Texts of one conversation.
    pub(crate) fn texts_in(&self, target: &str) -> Vec<String> {
        let messages = self.vault.messages.iter().filter(|message| message.target == target);
        messages.map(|message| message.text().to_owned()).collect()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.vault.messages.iter().map(|message| message.text().to_owned()).collect()
    }
}
