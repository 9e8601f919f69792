//! A person's device: its identity, its vault, and the engine while it runs.

use crate::simulation::{broken::Broken, chance::Chance, vault::Vault};
use core::fmt;
use openchat_crypto::IdentityKey;
use openchat_engine::{Change, Device as Own, Engine, Event, Input, Output, Summary};
use openchat_pki::{CaCertificate, Origin, ServerKeys};
use openchat_relay::Identity;
use openchat_wire::{Digest, MessageId, Seq, UnixMillis, enroll::Enrolled};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody in a world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Who(pub(crate) usize);

/// When a device dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// The transaction was lost, nothing was sent, nothing was shown.
    BeforeStored,
    /// The transaction stands, nothing was sent, nothing was shown.
    AfterStored,
    /// The transaction stands, and one of the requests has left.
    HalfSent,
    /// Everything was stored and sent, then the power fails: the disk has what had to last.
    PowerCut,
}

pub(crate) struct Device {
    pub(crate) identity: Identity,
    key: Vec<u8>,
    enrolled: Enrolled,
    pin: Digest,
    /// What a restart finds.
    pub(crate) vault: Vault,
    /// What a power cut leaves of it …
    lasting: Vault,
    /// … and what it takes.
    fleeting: Vec<Change>,
    pub(crate) engine: Option<Engine>,
    pub(crate) connection: Option<u64>,
    /// The wait after the next failed try to connect.
    pub(crate) backoff: u64,
    /// What the device's clock shows beyond the true time, in milliseconds.
    pub(crate) skew: i64,
    /// How it dies over the next thing that it does.
    pub(crate) death: Option<Death>,
    /// Own messages that the engine has said are in a log.
    pub(crate) acknowledged: BTreeMap<MessageId, Seq>,
    /// Own messages that the engine has given back.
    pub(crate) failed: BTreeSet<MessageId>,
    /// Entries that it could not open.
    pub(crate) unreadable: Vec<(String, Seq, String)>,
    /// How many alarms there were.
    pub(crate) alarms: Vec<String>,
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

impl Device {
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
            fleeting: Vec::new(),
            engine: None,
            connection: None,
            backoff: 0,
            skew: 0,
            death: None,
            acknowledged: BTreeMap::new(),
            failed: BTreeSet::new(),
            unreadable: Vec::new(),
            alarms: Vec::new(),
        }
    }

    /// Starts the program on what the vault has.
    pub(crate) fn boot(&mut self) -> Result<(), Broken> {
        let engine = Engine::new(self.own(), self.vault.snapshot());
        let engine = engine.map_err(|error| Broken::new("vaults load", error))?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Hands something to the engine, and takes what it wants, if it wants anything.
    pub(crate) fn handle(&mut self, input: Input, now: u64, rng: &mut Chance) -> Option<Output> {
        let clock = UnixMillis(now.saturating_add_signed(self.skew));
        let engine = self.engine.as_mut()?;
        engine.handle(input, clock, rng);
        let output = engine.take_output();
        let Output { changes, requests, events, recalls, .. } = &output;
        let is_empty = changes.is_empty() && requests.is_empty() && events.is_empty();
        (!is_empty || !recalls.is_empty()).then_some(output)
    }

    /// The true time of the engine's deadline.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let deadline = self.engine.as_ref()?.next_deadline()?;
        Some(deadline.0.saturating_sub_signed(self.skew))
    }

    /// One transaction of the vault.
    pub(crate) fn store(&mut self, changes: Vec<Change>, lasting: bool) -> Result<(), Broken> {
        self.fleeting.extend(changes.iter().cloned());
        self.vault.apply(changes)?;
        if lasting {
            self.lasting.apply(core::mem::take(&mut self.fleeting))?;
        }
        Ok(())
    }

    /// Takes note of what is said about this device's own messages.
    pub(crate) fn listen(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Ack { id, seq } => {
                    self.acknowledged.insert(*id, *seq);
                }
                Event::Failed { id: Some(id), .. } => {
                    self.failed.insert(*id);
                }
                Event::Unreadable { target, seq, cause, .. } => {
                    self.unreadable.push((target.clone(), *seq, cause.clone()));
                }
                Event::Alarm { .. } => self.alarms.push(format!("{event:?}")),
                _ => {}
            }
        }
    }

    /// The process ends.
    pub(crate) fn die(&mut self) {
        self.engine = None;
        self.connection = None;
        self.death = None;
    }

    /// The power fails.
    pub(crate) fn lose_power(&mut self) {
        self.fleeting.clear();
        self.vault = self.lasting.clone();
        self.die();
    }

    pub(crate) fn conversations(&self) -> Vec<Summary> {
        self.engine.iter().flat_map(Engine::conversations).collect()
    }

    /// The identity as it comes from the vault, checked again.
    fn own(&self) -> Own {
        let ca = CaCertificate::pinned(&self.enrolled.ca.0, &self.pin).expect("the CA");
        let server_keys = ServerKeys::verify(&self.enrolled.server_keys.0, &ca);
        Own {
            name: self.identity.name.clone(),
            key: IdentityKey::from_pkcs8(&self.key).expect("the device's key"),
            certificate: self.enrolled.certificate.0.clone(),
            server_keys: server_keys.expect("the server's keys"),
            origin: Origin::new(&ca, &self.enrolled.server_keys.0),
            ca,
        }
    }
}
