//! What the person decides about others' keys, and what waits for it (`docs/protocol.md` §9.3).

use openchat_crypto::CryptoRng;
use openchat_wire::{Fingerprint, Name, UnixMillis};

use crate::{
    command::Grounds,
    conversation::{About, Conversation},
    engine::Engine,
    event::{Event, Trust},
    failure::Failure,
    pins::Pin,
    safety::{SafetyNumber, safety_text},
    shared::{Now, Shared, deciding},
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
            conversation.judge_undecided(&mut now);
            conversation.flush(&mut now);
        }
    }

    /// A number may be that of the key that is kept, which then stays, or of the one in its place.
    fn decide(&mut self, who: &Name, on: Grounds) -> Result<(), Failure> {
        if *who == self.shared.device.name {
            let is_answer = on == Grounds::Accepted && self.shared.forget_warnings();
            self.shared.pen.must_last();
            return is_answer.then_some(()).ok_or_else(Failure::myself);
        }
        let contact = self.contact(who).ok_or_else(|| Failure::never_met(who))?;
        let kept = self.shared.pins.get(who).map_or(contact.key, |pin| pin.kept());
        // Who has compared the first key once more may think better of it.
        let newest = self.shared.log.mirror().certified(who).map(|standing| standing.fingerprint);
        let newest = newest.unwrap_or(contact.key);
        let (key, verified) = match on {
            Grounds::Accepted => (newest, self.is_compared(who, &newest)),
            Grounds::Compared(number) => {
                let me = (&self.shared.device.name, &self.shared.me);
                let is_it = |key: &Fingerprint| SafetyNumber::of(me, (who, key)) == number;
                let key = [newest, contact.key, kept].into_iter().find(is_it);
                (key.ok_or_else(|| Failure::not_the_same(who))?, true)
            }
        };
        self.shared.decide(who, key, verified);
        Ok(())
    }

    /// Whether this is the key that was compared and no other came since: to accept it once more
    /// decides nothing, and takes nothing back.
    fn is_compared(&self, who: &Name, key: &Fingerprint) -> bool {
        let pin = self.shared.pins.get(who);
        pin.is_some_and(|pin| pin.standing() == Trust::Verified && pin.kept() == *key)
    }
}

impl Conversation {
    /// Whether somebody here was verified under another key than it has here, or has got another one
    /// since. The person is told once.
    pub(crate) fn is_held(&mut self, now: &mut Now<'_>) -> bool {
        let Some(who) = self.held_by(now.shared) else {
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

    /// Whose key the person has to decide about before anything is sent here.
    pub(crate) fn held_by(&self, shared: &Shared) -> Option<Name> {
        let mut verified = shared.pins.verified();
        let holds =
            |(name, pin): &(&Name, Pin)| self.key_of(name, *pin).is_some_and(|key| pin.holds(&key));
        verified.find(holds).map(|(name, _)| name.clone())
    }

    /// The key under which this person is here, if it is.
    fn key_of(&self, name: &Name, pin: Pin) -> Option<Fingerprint> {
        let seat = self.group.as_ref().and_then(|group| group.roster().seat_named(name));
        let is_peer = matches!(&self.card.about, About::Direct(peer) if peer == name);
        seat.map(|seat| seat.fingerprint).or_else(|| is_peer.then(|| pin.kept()))
    }
}
