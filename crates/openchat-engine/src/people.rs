//! Those who are to be brought in: whose name it is, and a prekey of that person.

use std::collections::VecDeque;

use openchat_crypto::PublicKey;
use openchat_group::{Invited, NewMember, Proposal};
use openchat_roster::{Person, SignedPrekey};
use openchat_wire::{
    Blob, Name,
    relay::{Answer, Refusal, Request},
};

use crate::{
    command::Bring,
    conversation::{About, Conversation, Intent, Stage},
    event::{AlarmCode, Event},
    failure::{Failure, code},
    following::Proof,
    shared::{ASK_OPERATOR, Ask, Known, Now},
    tasks::{Deed, Founding, Task},
    transparency::Ticket,
};

/// Questions about people on their way at once: enough to fill a round trip, and few to ask again
/// when the relay wants to be asked more slowly.
const MAX_ASKED: usize = 16;

/// Who has no prekey is asked for one again after this many milliseconds.
const NO_PREKEY_MS: u32 = 30_000;

/// Somebody who is to be brought in.
#[derive(Debug, Clone)]
pub(crate) struct Prospect {
    pub(crate) name: Name,
    pub(crate) how: Bring,
    pub(crate) key: Option<PublicKey>,
    prekey: Option<SignedPrekey>,
    /// The relay has none. An invitation then goes without a letter.
    has_none: bool,
    /// Something was asked on this connection and not answered yet.
    asked: bool,
}

impl Prospect {
    pub(crate) const fn new(name: Name, how: Bring) -> Self {
        Self { name, how, key: None, prekey: None, has_none: false, asked: false }
    }

    /// Somebody whose key may be known already.
    pub(crate) fn with(self, key: Option<PublicKey>) -> Self {
        Self { key, ..self }
    }

    pub(crate) const fn is_ready(&self) -> bool {
        let may_go_without = self.has_none && matches!(self.how, Bring::Invite);
        self.key.is_some() && (self.prekey.is_some() || may_go_without)
    }

    /// What has to be asked next, once.
    fn request(&mut self) -> Option<(Ask, Request)> {
        if self.is_ready() || core::mem::replace(&mut self.asked, true) {
            return None;
        }
        let name = self.name.clone();
        Some(match &self.key {
            None => (Ask::Whose(name.clone()), Request::CertificateOf(name)),
            Some(key) => (Ask::Prekey(name), Request::FetchPrekey(key.fingerprint())),
        })
    }

    /// Puts the person where it is to be: among the seated or the admitted.
    pub(crate) fn propose(&self, proposal: &mut Proposal) {
        let Some(key) = self.key else { return };
        match (&self.prekey, self.how) {
            (Some(prekey), Bring::Add) => {
                let (name, prekey) = (self.name.clone(), prekey.clone());
                proposal.adds.push(NewMember { name, key, prekey });
            }
            (None, Bring::Add) => {}
            (prekey, Bring::Invite) => {
                let person = Person { name: self.name.clone(), fingerprint: key.fingerprint() };
                proposal.admits.push(Invited { person, prekey: prekey.clone() });
            }
        }
    }
}

impl Conversation {
    /// Asks for the certificates and prekeys of those who are to be brought in.
    pub(crate) fn prepare(&mut self, now: &mut Now<'_>) {
        let asked = self.people().filter(|person| person.asked).count();
        let free = MAX_ASKED.saturating_sub(asked);
        let requests: Vec<_> = self.people().filter_map(Prospect::request).take(free).collect();
        for (ask, request) in requests {
            self.ask(now.shared, ask, request);
        }
        let is_ready = self.founding.as_ref().is_some_and(Founding::is_ready);
        if self.stage == Stage::Finding && is_ready {
            self.intend(now, Intent::Create);
        }
    }

    /// What was asked on a connection that is gone has to be asked again.
    pub(crate) fn forget_asked(&mut self) {
        self.people().for_each(|prospect| prospect.asked = false);
        if let Some(founding) = &mut self.founding {
            founding.sought = founding.must_be_new && matches!(self.card.about, About::Closed(_));
        }
    }

    fn people(&mut self) -> impl Iterator<Item = &mut Prospect> {
        let founders = self.founding.iter_mut().flat_map(|founding| &mut founding.people);
        let others = self.tasks.iter_mut().filter_map(|task| match &mut task.deed {
            Deed::Bring(prospect) => Some(&mut **prospect),
            _ => None,
        });
        founders.chain(others)
    }

    /// Whose name it is.
    pub(crate) fn whose_answered(
        &mut self,
        now: &mut Now<'_>,
        name: &Name,
        answer: &Result<Answer, Refusal>,
    ) {
        match answer {
            Ok(Answer::Certificate(der)) => {
                if let Proof::Unproven = self.judge_key(now, name, der) {
                    // It may have been certified a moment ago.
                    let ticket = now.shared.read_log();
                    self.claimed_keys.retain(|(claimed, ..)| claimed != name);
                    self.claimed_keys.push((name.clone(), der.clone(), ticket));
                }
            }
            Err(Refusal::NotFound) => {
                let was_there = !now.shared.log.mirror().former_keys(name).is_empty();
                let failure =
                    if was_there { Failure::denied_peer(name) } else { Failure::nobody(name) };
                self.give_up_on(now, name, &failure);
            }
            other => self.ask_later(now, other),
        }
    }

    /// The transparency log was read since certificates came that it did not have.
    pub(crate) fn judge_claimed(&mut self, now: &mut Now<'_>) {
        let all = core::mem::take(&mut self.claimed_keys);
        let is_read = |(.., ticket): &(Name, Blob, Ticket)| now.shared.log.is_read(*ticket);
        let (read, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(is_read);
        self.claimed_keys = waiting;
        for (name, der, _) in read {
            if let Proof::Unproven = self.judge_key(now, &name, &der) {
                self.not_certified(now, &name);
            }
        }
    }

    /// K1: a key is a person's if this device's mirror says so.
    fn judge_key(&mut self, now: &mut Now<'_>, name: &Name, der: &Blob) -> Proof {
        let proof = now.shared.prove(name, der);
        match &proof {
            Proof::Proven(known) => {
                let key = known.key.fingerprint();
                now.shared.met(name, key);
                // Nothing is sealed for a key that has taken the place of one that was compared.
                let is_to_wait = now.shared.pins.get(name).is_some_and(|pin| pin.holds(&key));
                match &self.card.about {
                    _ if !is_to_wait => self.person_known(now, known),
                    About::Direct(peer) if peer == name => self.hold(now, name, der),
                    _ => self.give_up_on(now, name, &Failure::changed(name)),
                }
            }
            Proof::Unreadable => self.not_certified(now, name),
            Proof::Unproven => {}
        }
        proof
    }

    /// What is written to this person waits for the decision about the key.
    fn hold(&mut self, now: &mut Now<'_>, name: &Name, der: &Blob) {
        self.undecided = Some((name.clone(), der.clone()));
        self.is_held(now);
    }

    /// The person has decided about somebody's key.
    pub(crate) fn judge_undecided(&mut self, now: &mut Now<'_>) {
        if let Some((name, der)) = self.undecided.take() {
            self.judge_key(now, &name, &der);
        }
    }

    fn not_certified(&mut self, now: &mut Now<'_>, name: &Name) {
        let message = format!("the server's key for {name} is not the transparency log's");
        self.alarm(now, AlarmCode::Uncertified, &message, ASK_OPERATOR);
        self.give_up_on(now, name, &Failure::uncertified(name));
    }

    fn person_known(&mut self, now: &mut Now<'_>, known: &Known) {
        for prospect in self.people().filter(|prospect| prospect.name == known.name) {
            (prospect.key, prospect.asked) = (Some(known.key), false);
        }
        self.peer_known(now, known);
        self.work(now);
        self.prepare(now);
    }

    /// A prekey, or that there is none.
    pub(crate) fn prekey_answered(
        &mut self,
        now: &mut Now<'_>,
        name: &Name,
        answer: &Result<Answer, Refusal>,
    ) {
        match answer {
            Ok(Answer::Prekey(bytes)) => self.take_prekey(now, name, bytes),
            Err(Refusal::NotFound) => self.no_prekey(now, name),
            other => return self.ask_later(now, other),
        }
        self.work(now);
        self.prepare(now);
    }

    /// Only its owner's word makes it a prekey: any other one would let its maker read along.
    fn take_prekey(&mut self, now: &mut Now<'_>, name: &Name, bytes: &Blob) {
        let Some(key) = self.people().find(|it| it.name == *name).and_then(|it| it.key) else {
            return;
        };
        let signed = SignedPrekey::decode(&bytes.0).ok();
        let Some((signed, prekey)) =
            signed.and_then(|it| it.verify(&key).ok().map(|prekey| (it, prekey)))
        else {
            let message = format!("the server has handed out a prekey that {name} has not signed");
            self.alarm(now, AlarmCode::ForgedPrekey, &message, ASK_OPERATOR);
            return self.give_up_on(now, name, &Failure::forged_prekey(name));
        };
        if !prekey.is_valid_at(now.time) {
            return self.give_up_on(now, name, &Failure::clock(name));
        }
        for prospect in self.people().filter(|prospect| prospect.name == *name) {
            (prospect.prekey, prospect.asked) = (Some(signed.clone()), false);
        }
    }

    fn no_prekey(&mut self, now: &mut Now<'_>, name: &Name) {
        for prospect in self.people().filter(|prospect| prospect.name == *name) {
            (prospect.has_none, prospect.asked) = (prospect.how == Bring::Invite, false);
        }
        if self.is_direct() {
            self.people().for_each(|prospect| prospect.asked = true);
            self.timers.retry(now.time, NO_PREKEY_MS, now.rng);
            if !core::mem::replace(&mut self.notes.announced, true) {
                let message = format!("{name} has not been online yet, so nothing can be sealed");
                let hint =
                    "What you wrote is kept and sent when they have been. If they have, the \
                            server's clock may be wrong: ask its operator."
                        .to_owned();
                let target = self.target();
                now.shared.pen.event(Event::Waiting {
                    target,
                    code: code::NO_PREKEY,
                    message,
                    hint,
                });
            }
        } else if self.people().any(|it| it.name == *name && it.how == Bring::Add) {
            self.give_up_on(now, name, &Failure::no_prekey(name));
        }
    }

    fn ask_later(&mut self, now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
        let wait = match answer {
            Err(Refusal::Paced { retry_ms }) => *retry_ms,
            _ => 1_000,
        };
        self.timers.retry(now.time, wait, now.rng);
    }

    /// Somebody can't be brought in.
    fn give_up_on(&mut self, now: &mut Now<'_>, name: &Name, failure: &Failure) {
        let is_founder = |it: &Founding| it.people.iter().any(|person| person.name == *name);
        let is_peer = self.is_direct() && self.group.is_none();
        if self.founding.as_ref().is_some_and(is_founder) || is_peer {
            return self.never_begins(now, failure);
        }
        let is_about = |task: &Task| matches!(&task.deed, Deed::Bring(it) if it.name == *name);
        let (over, left) = self.tasks.drain(..).partition(is_about);
        self.tasks = left;
        let over: VecDeque<Task> = over;
        for task in over {
            self.report(now, task.order, failure.clone());
        }
        if self.is_direct() {
            self.fail_texts(now, failure);
        }
        self.work(now);
    }
}
