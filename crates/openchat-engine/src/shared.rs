//! What all conversations of a device share: who it is, whom it knows, what it has asked.

use std::collections::BTreeMap;

use openchat_crypto::{CryptoRng, IdentityKey, PublicKey};
use openchat_group::Author;
use openchat_pki::{CaCertificate, MemberCertificate, Origin, Serial, ServerKeys};
use openchat_roster::{HeadRef, inbox};
use openchat_wire::{
    Blob, Fingerprint, GroupId, MessageId, Name, UnixMillis,
    relay::{Request, ToServer},
};

use crate::{
    alarms::Kept,
    archive::Archive,
    event::{AlarmCode, Trust},
    following::Warning,
    heads::Testimonies,
    inbox::Inbox,
    output::Pen,
    pins::{Met, Pins},
    prekeys::Prekeys,
    record::{Key, Local},
    renewal::Renewal,
    transparency::Transparency,
};

/// This device: its key, its name, and the server that certified it.
#[derive(Debug)]
pub struct Device {
    /// The certified name.
    pub name: Name,
    /// The identity key.
    pub key: IdentityKey,
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// The keys that the CA stated for its relay and its transparency log.
    pub server_keys: ServerKeys,
    /// The CA that this device trusts, with the keys that have led to it.
    pub ca: CaCertificate,
    /// The CA's certificates and its statement, to show to others.
    pub origin: Origin,
}

/// What an unanswered request was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Ping,
    /// The transparency log from where the mirror ends.
    Log,
    /// A further certificate.
    Renewal,
    /// How many prekeys does the relay have?
    Stock,
    /// Keep my prekeys.
    Publication,
    /// My letters from now on.
    Inbox,
    /// In which groups am I?
    Groups,
    Of(Local, Ask),
}

/// What a conversation asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Which group has my name, or is that of my two people?
    Find,
    /// The commits that I have not read.
    Read,
    /// Take my commit.
    Commit,
    /// The log hash at my seat.
    SeatReceipt,
    /// Every entry from now on.
    Tail,
    /// Where the log ends now.
    TailReceipt,
    /// Are you there? What I wait for has not come.
    Alive,
    /// Take this message.
    Message(MessageId),
    /// Who is this?
    Whose(Name),
    /// A prekey of this person.
    Prekey(Name),
    /// Take my request to leave, or to decline.
    Leave,
    /// Take my request to leave, which I have done already.
    Release,
    /// Take something whose loss does no harm.
    Courtesy,
}

/// What a conversation wants of the engine, which knows the others too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Its log has told what it is: no two may be the same.
    Identified(Local),
    /// It was nothing.
    Forget(Local),
}

/// A certified key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: Name,
    pub(crate) key: PublicKey,
}

/// State beside the conversations.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "six independent facts, none of which makes a state"
)]
pub(crate) struct Shared {
    pub(crate) device: Device,
    pub(crate) me: Fingerprint,
    pub(crate) online: bool,
    pub(crate) pen: Pen,
    pub(crate) asked: BTreeMap<u32, Asked>,
    /// The relay's heads have raised an alarm on this connection.
    pub(crate) head_doubted: bool,
    /// Why the log can't be believed, since it was last read to its end.
    pub(crate) doubt: Option<Kept>,
    /// The person was told that the log does not have its certificate.
    pub(crate) missing_told: bool,
    /// The person was told that the log does not announce the CA's key.
    pub(crate) unannounced_told: bool,
    /// Whether conversations tell soon how far they have read.
    pub(crate) marks: bool,
    pub(crate) prekeys: Prekeys,
    pub(crate) inbox: Inbox,
    /// The log of this device's own letters.
    pub(crate) inbox_log: GroupId,
    pub(crate) doings: Vec<Doing>,
    /// Conversations whose persons are to be asked, once it is clear how they are written.
    pub(crate) invitations: Vec<Local>,
    /// A conversation's name or standing has changed: how they are written may have to.
    pub(crate) relabel: bool,
    last_id: u32,
    /// This device's own certificate, as it reads.
    pub(crate) certificate: Option<MemberCertificate>,
    pub(crate) log: Transparency,
    pub(crate) testimonies: Testimonies,
    /// What the log has about this device that it did not ask for, by index.
    pub(crate) warnings: BTreeMap<u64, Warning>,
    pub(crate) renewal: Renewal,
    pub(crate) pins: Pins,
}

/// One call's surroundings.
pub(crate) struct Now<'a> {
    pub(crate) shared: &'a mut Shared,
    pub(crate) time: UnixMillis,
    pub(crate) rng: &'a mut dyn CryptoRng,
}

impl Shared {
    pub(crate) fn new(device: Device) -> Self {
        let me = device.key.fingerprint();
        let certificate = MemberCertificate::claimed(&device.certificate);
        let log = Transparency::new(&device.server_keys);
        Self {
            device,
            me,
            inbox_log: inbox(&me),
            online: false,
            pen: Pen::default(),
            asked: BTreeMap::new(),
            head_doubted: false,
            doubt: None,
            missing_told: false,
            unannounced_told: false,
            marks: true,
            prekeys: Prekeys::default(),
            inbox: Inbox::default(),
            doings: Vec::new(),
            invitations: Vec::new(),
            relabel: false,
            last_id: 0,
            certificate,
            log,
            testimonies: Testimonies::default(),
            warnings: BTreeMap::new(),
            renewal: Renewal::default(),
            pins: Pins::default(),
        }
    }

    pub(crate) fn ask(&mut self, what: Asked, request: Request) {
        self.last_id = self.last_id.wrapping_add(1);
        self.asked.insert(self.last_id, what);
        self.pen.request(ToServer { id: self.last_id, request });
    }

    /// Asks for a conversation, while there is a connection to ask on.
    pub(crate) fn ask_for(&mut self, local: Local, ask: Ask, request: Request) {
        if self.online {
            self.ask(Asked::Of(local, ask), request);
        }
    }

    pub(crate) fn trust(&self, name: &Name, key: &Fingerprint) -> Trust {
        self.pins.trust(name, key)
    }

    /// Restores the mirror; `None` if what is stored is none.
    pub(crate) fn load_log(
        &mut self,
        archive: Archive,
        head: Option<&Blob>,
        checkpoint: Option<&Blob>,
    ) -> Option<()> {
        let keys = &self.device.server_keys;
        self.log = Transparency::restore(keys, archive, head, checkpoint)?;
        Some(())
    }

    /// The author of this device's commits.
    pub(crate) fn author(&self) -> Option<Author<'_>> {
        let head = self.log.mirror().head()?;
        let head = HeadRef { size: head.size, root: head.root };
        Some(Author { key: &self.device.key, name: &self.device.name, head })
    }

    /// The serial number of this device's certificate.
    pub(crate) fn serial(&self) -> Option<Serial> {
        self.certificate.as_ref().map(MemberCertificate::serial)
    }

    /// The CA says that this is the name's key now.
    pub(crate) fn meet(&mut self, name: &Name, key: Fingerprint) {
        let met = self.pins.meet(name, key);
        if met != Met::Known {
            self.store_pin(name);
        }
        if let Met::Changed { verified } = met {
            let message = format!("the CA has certified another key for {name}");
            let held = if verified { "What you write to them is held until then. " } else { "" };
            let hint = format!("{held}{}", deciding(name));
            self.pen.alarm(None, AlarmCode::KeyChanged, message, &hint);
        }
    }

    /// The person has decided that this is the name's key.
    pub(crate) fn decide(&mut self, name: &Name, key: Fingerprint, verified: bool) {
        if self.pins.decide(name, key, verified).is_some() {
            self.store_pin(name);
            self.pen.must_last();
        }
    }

    fn store_pin(&mut self, name: &Name) {
        if let Some(pin) = self.pins.get(name) {
            self.pen.put_bytes(Key::pin(name), pin.to_blob().0);
        }
    }
}

/// What to do about a key that has changed.
pub(crate) fn deciding(name: &Name) -> String {
    format!("Compare: 'openchat verify {name}'. Trust anyway: 'openchat trust accept {name}'.")
}

/// What to do about a server that contradicts itself.
pub(crate) const ASK_OPERATOR: &str =
    "Do not rely on this server until its operator has explained it to you in person.";
