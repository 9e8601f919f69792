//! What all conversations of a device share: who it is, whom it knows, what it has asked.

use std::collections::BTreeMap;

use openchat_crypto::{CryptoRng, IdentityKey, PublicKey};
use openchat_group::Author;
use openchat_pki::{CaCertificate, Head, MemberCertificate, Rollback, ServerKeys, UnverifiedHead};
use openchat_roster::{HeadRef, inbox};
use openchat_wire::{
    Blob, Fingerprint, GroupId, MessageId, Name, UnixMillis,
    relay::{Request, ToServer},
};

use crate::{
    event::{AlarmCode, Trust},
    inbox::Inbox,
    output::Pen,
    pins::{Met, Pins},
    prekeys::Prekeys,
    record::{Key, Local},
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
    /// The pinned CA.
    pub ca: CaCertificate,
    /// The keys that the CA stated for its relay and its transparency log.
    pub server_keys: ServerKeys,
}

/// What an unanswered request was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Ping,
    Head,
    Certificate(Fingerprint),
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
    /// A head to name in a commit that I want to make.
    HeadForCommit,
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
    reason = "four independent facts, none of which makes a state"
)]
pub(crate) struct Shared {
    pub(crate) device: Device,
    pub(crate) me: Fingerprint,
    pub(crate) online: bool,
    pub(crate) pen: Pen,
    pub(crate) asked: BTreeMap<u32, Asked>,
    /// The relay's heads have raised an alarm on this connection.
    pub(crate) head_doubted: bool,
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
    head: Option<Head>,
    certificates: BTreeMap<Fingerprint, Known>,
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
        let mut certificates = BTreeMap::new();
        let known = Known { name: device.name.clone(), key: *device.key.public() };
        certificates.insert(me, known);
        Self {
            device,
            me,
            inbox_log: inbox(&me),
            online: false,
            pen: Pen::default(),
            asked: BTreeMap::new(),
            head_doubted: false,
            marks: true,
            prekeys: Prekeys::default(),
            inbox: Inbox::default(),
            doings: Vec::new(),
            invitations: Vec::new(),
            relabel: false,
            last_id: 0,
            head: None,
            certificates,
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

    /// A head that the relay sent: kept if it is signed and does not go back.
    pub(crate) fn take_head(&mut self, bytes: &Blob) {
        let keys = &self.device.server_keys;
        let verified = UnverifiedHead::decode(&bytes.0)
            .and_then(|head| head.verify(&keys.log_key, &keys.log_id));
        let accepted = match (verified, &self.head) {
            (Ok(head), Some(before)) => match head.follows(before) {
                // A server's clock may be set back; that takes nothing back.
                Ok(()) | Err(Rollback::Time) => Ok(head),
                Err(why) => Err(why.to_string()),
            },
            (Ok(head), None) => Ok(head),
            (Err(why), _) => Err(why.to_string()),
        };
        match accepted {
            Ok(head) => {
                self.head = Some(head);
                self.pen.put_bytes(Key::head(), bytes.0.clone());
            }
            Err(why) if !core::mem::replace(&mut self.head_doubted, true) => {
                self.pen.alarm(None, AlarmCode::LogRollback, why, ASK_OPERATOR);
            }
            Err(_) => {}
        }
    }

    /// A commit names a head: one that contradicts the head held here is an alarm.
    pub(crate) fn compare_head(&mut self, target: &str, author: &Name, named: &HeadRef) {
        let Some(held) = &self.head else { return };
        if held.size == named.size && held.root != named.root {
            let message = format!("{author} was shown another transparency log than this device");
            self.pen.alarm(Some(target.to_owned()), AlarmCode::LogRollback, message, ASK_OPERATOR);
        }
    }

    /// The certificate of somebody who takes a seat: kept if the pinned CA issued it.
    pub(crate) fn take_certificate(&mut self, of: Fingerprint, der: &Blob) -> bool {
        match self.device.ca.verify_member(&der.0) {
            Ok(certificate) if certificate.fingerprint() == of => {
                self.know(&certificate);
                self.pen.put_bytes(Key::certificate(&of), der.0.clone());
                true
            }
            _ => false,
        }
    }

    /// The certificate of whoever has this name, as the relay says.
    pub(crate) fn take_certificate_of(&mut self, name: &Name, der: &Blob) -> Option<Known> {
        let certificate = self.device.ca.verify_member(&der.0).ok()?;
        if certificate.name() != name {
            return None;
        }
        let of = certificate.fingerprint();
        self.take_certificate(of, der);
        self.certificates.get(&of).cloned()
    }

    /// The name that the CA gave to a key, if its certificate is here.
    pub(crate) fn certified(&self, key: &Fingerprint) -> Option<&Name> {
        self.certificates.get(key).map(|known| &known.name)
    }

    /// What the CA says of a key, if its certificate is here.
    pub(crate) fn known(&self, key: &Fingerprint) -> Option<&Known> {
        self.certificates.get(key)
    }

    pub(crate) fn trust(&self, name: &Name, key: &Fingerprint) -> Trust {
        self.pins.trust(name, key)
    }

    /// Restores what [`take_head`](Self::take_head) has stored.
    pub(crate) fn load_head(&mut self, bytes: &Blob) -> Option<()> {
        let keys = &self.device.server_keys;
        let head =
            UnverifiedHead::decode(&bytes.0).ok()?.verify(&keys.log_key, &keys.log_id).ok()?;
        self.head = Some(head);
        Some(())
    }

    /// Restores what [`take_certificate`](Self::take_certificate) has stored.
    pub(crate) fn load_certificate(&mut self, der: &Blob) -> Option<()> {
        let certificate = self.device.ca.verify_member(&der.0).ok()?;
        self.certificates.insert(certificate.fingerprint(), known(&certificate));
        Some(())
    }

    /// The author of this device's commits.
    pub(crate) fn author(&self) -> Option<Author<'_>> {
        let head = self.head.as_ref()?;
        let head = HeadRef { size: head.size, root: head.root };
        Some(Author { key: &self.device.key, name: &self.device.name, head })
    }

    fn know(&mut self, certificate: &MemberCertificate) {
        let (name, key) = (certificate.name(), certificate.fingerprint());
        self.meet(name, key);
        self.certificates.insert(key, known(certificate));
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

fn known(certificate: &MemberCertificate) -> Known {
    Known { name: certificate.name().clone(), key: *certificate.public_key() }
}

/// What to do about a key that has changed.
pub(crate) fn deciding(name: &Name) -> String {
    format!("Compare: 'openchat verify {name}'. Trust anyway: 'openchat trust accept {name}'.")
}

/// What to do about a server that contradicts itself.
pub(crate) const ASK_OPERATOR: &str =
    "Do not rely on this server until its operator has explained it to you in person.";
