//! What the person decides about others' keys, and what waits for it (`docs/protocol.md` §9.3).

use openchat_crypto::CryptoRng;
use openchat_wire::{Fingerprint, Name, UnixMillis};

use crate::{
    conversation::{About, Conversation},
    engine::Engine,
    event::{Event, Grounds, Trust},
    failure::Failure,
    pins::Pin,
    safety::{SafetyNumber, safety_text},
    shared::{Now, deciding},
    target::Target,
};

/// Scripts know by it why a text waits.
const HELD: &str = "held";

/// Somebody whom this device has met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name.
    pub name: Name,
    /// The key that it has now.
    pub key: Fingerprint,
    /// Whether it is to be believed.
    pub trust: Trust,
    /// To be compared with the other side's.
    pub number: SafetyNumber,
    /// The same for a picture.
    pub text: String,
}

impl Engine {
    /// Whom this device has met, by name.
    pub fn contacts(&self) -> impl Iterator<Item = Contact> {
        let others = |(name, _): &(&Name, Pin)| **name != self.shared.device.name;
        self.shared.pins.all().filter(others).map(|(name, pin)| self.contact_of(name, pin))
    }

    /// Somebody whom this device has met.
    #[must_use]
    pub fn contact(&self, name: &Name) -> Option<Contact> {
        let pin = self.shared.pins.get(name).filter(|_| *name != self.shared.device.name)?;
        Some(self.contact_of(name, pin))
    }

    fn contact_of(&self, name: &Name, pin: Pin) -> Contact {
        let (key, me) = (pin.current(), (&self.shared.device.name, &self.shared.me));
        Contact {
            name: name.clone(),
            key,
            trust: pin.standing(),
            number: SafetyNumber::of(me, (name, &key)),
            text: safety_text(me, (name, &key)),
        }
    }

    /// Decides. What waited for it is sent.
    pub(crate) fn trust(
        &mut self,
        order: u64,
        who: &Name,
        on: Grounds,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let target = Target::Person(who.clone());
        if let Err(failure) = self.decide(who, on) {
            return self.fail(Some(order), None, &target, failure);
        }
        let target = target.to_string();
        self.shared.pen.event(Event::Done { order, target });
        let mut now = Now { shared: &mut self.shared, time, rng };
        for conversation in self.conversations.values_mut() {
            conversation.flush(&mut now);
        }
    }

    fn decide(&mut self, who: &Name, on: Grounds) -> Result<(), Failure> {
        let contact = self.contact(who).ok_or_else(|| Failure::never_met(who))?;
        if matches!(on, Grounds::Compared(number) if number != contact.number) {
            return Err(Failure::not_the_same(who));
        }
        // Taking a key as it is says nothing against having compared it before.
        let verified = matches!(on, Grounds::Compared(_)) || contact.trust == Trust::Verified;
        self.shared.accept(who, verified);
        Ok(())
    }
}

impl Conversation {
    /// Whether somebody here was verified and has another key now. The person is told once.
    pub(crate) fn is_held(&mut self, now: &mut Now<'_>) -> bool {
        let Some(who) = now.shared.pins.held().find(|name| self.has(name)).cloned() else {
            self.notes.held = None;
            return false;
        };
        if !self.outbox.is_empty() && self.notes.held.as_ref() != Some(&who) {
            let message = format!("{who} has another key than the one that you verified");
            let hint = format!("What you write here is kept, not sent. {}", deciding(&who));
            let (target, code) = (self.target(), HELD);
            now.shared.pen.event(Event::Waiting { target, code, message, hint });
            self.notes.held = Some(who);
        }
        true
    }

    /// Whether it is with this person.
    fn has(&self, name: &Name) -> bool {
        let seated = self.group.as_ref().and_then(|group| group.roster().seat_named(name));
        seated.is_some() || matches!(&self.card.about, About::Direct(peer) if peer == name)
    }
}
