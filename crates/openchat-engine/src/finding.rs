//! How a conversation finds its group, and whether what it finds is the one that was meant.

use openchat_group::Group;
use openchat_roster::Access;
use openchat_wire::{
    Fingerprint, GroupId, Seq,
    relay::{Answer, Refusal, Request},
};

use crate::{
    command::Bring,
    conversation::{About, Conversation, Stage, Wish},
    event::AlarmCode,
    failure::Failure,
    people::Prospect,
    record::Key,
    shared::{ASK_OPERATOR, Ask, Doing, Known, Now},
    tasks::Founding,
};

impl Conversation {
    /// Asks which group it is; a closed one that is not there yet is about to begin.
    pub(crate) fn find(&mut self, now: &mut Now<'_>) {
        self.stage = Stage::Finding;
        match (self.card.group, &self.card.about) {
            (Some(id), _) => self.enter(now, id),
            (None, About::Open(name)) => {
                self.ask(now.shared, Ask::Find, Request::FindGroup(name.clone()));
            }
            (None, About::Direct(name)) => {
                let (ask, request) = match self.peer {
                    Some(key) => (Ask::Find, Request::FindDirect(key.fingerprint())),
                    None => (Ask::Whose(name.clone()), Request::CertificateOf(name.clone())),
                };
                self.ask(now.shared, ask, request);
            }
            (None, About::Closed(Some(_))) => {
                self.founding.get_or_insert_default().sought = true;
                self.prepare(now);
            }
            (None, About::Closed(None) | About::Unknown | About::Former(_)) => self.withdraw(now),
        }
    }

    /// The other one's key, by its certificate: now the group of the two can be found.
    pub(crate) fn peer_known(&mut self, now: &mut Now<'_>, known: &Known) {
        if matches!(&self.card.about, About::Direct(name) if *name == known.name) {
            let is_new = self.peer.replace(known.key).is_none();
            if is_new && self.stage == Stage::Finding {
                self.find(now);
            }
        }
    }

    /// The relay knows, or does not know, a group of this name or of these two.
    pub(crate) fn found(&mut self, now: &mut Now<'_>, answer: &Result<Answer, Refusal>) {
        if self.stage != Stage::Finding {
            return;
        }
        match answer {
            Ok(Answer::Group(id)) => self.name_taken(now, *id),
            Err(Refusal::NotFound) => {
                let founding = self.founding.get_or_insert_default();
                founding.sought = true;
                if let (About::Direct(name), [], Some(_)) =
                    (&self.card.about, &founding.people[..], self.peer)
                {
                    let peer = Prospect::new(name.clone(), Bring::Add).with(self.peer);
                    founding.people.push(peer);
                }
                self.prepare(now);
            }
            _ => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// There is such a group: it is entered, unless a new one was ordered.
    pub(crate) fn name_taken(&mut self, now: &mut Now<'_>, id: GroupId) {
        self.forget_group(now);
        if self.founding.take().is_some_and(|founding: Founding| founding.must_be_new) {
            self.fail_arrivals(now, &Failure::name_taken());
            return self.withdraw(now);
        }
        self.enter(now, id);
    }

    /// Begins to read a group's commits from the start.
    pub(crate) fn enter(&mut self, now: &mut Now<'_>, id: GroupId) {
        let mut group = Group::new(id, now.shared.me);
        group.read_commits_only();
        self.group = Some(group);
        self.card.group = Some(id);
        self.progress.last_commit = Seq(0);
        self.read_to = Seq(0);
        (self.dirty, self.card_dirty) = (true, true);
        self.read_on(now);
    }

    /// Forgets a group that never came to be, or is another one, and what was stored of it.
    pub(crate) fn forget_group(&mut self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        let pen = &mut now.shared.pen;
        pen.delete(Key::progress(id));
        pen.delete(Key::given_up(id));
        for seq in core::mem::take(&mut self.provisional) {
            pen.delete(Key::commit(id, seq));
        }
        if let Some(mut group) = self.group.take() {
            group.drop_pending();
            for (part, _) in group.take_changes() {
                pen.delete(Key::state(id, &part.to_bytes()));
            }
        }
        self.calls.clear();
        self.card.group = None;
        self.card_dirty = true;
    }

    /// Nothing is wanted of this conversation any more, or nothing can be had. What was never more
    /// than a rumour is forgotten.
    pub(crate) fn withdraw(&mut self, now: &mut Now<'_>) {
        self.stage = Stage::Out;
        self.forget_alarm(now);
        self.backlog.clear();
        self.unproven = None;
        self.revoked.clear();
        (self.intent, self.expected, self.claimed) = (None, None, None);
        if let Some(id) = self.id() {
            now.shared.inbox.forget(&mut now.shared.pen, &id);
        }
        let was_never = self.group.is_none() || self.history.is_empty();
        if was_never && self.outbox.is_empty() && self.card.wish != Wish::Out {
            now.shared.doings.push(Doing::Forget(self.local));
        }
        self.set_wish(now, Wish::Out);
    }

    /// K2: two names can't mean one group; a relay that says so would have one conversation's
    /// texts sealed for the other's members.
    pub(crate) fn refuse_group(&mut self, now: &mut Now<'_>) {
        let message = "the relay gives this name a group that has another name here";
        self.halt(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
    }

    /// K2: the group is the one that was asked for. Until its creation was read nothing is known,
    /// and nothing is sent.
    pub(crate) fn is_what_it_should_be(&self, now: &Now<'_>) -> bool {
        let Some(policy) = self.group.as_ref().and_then(|group| group.roster().policy()) else {
            return true;
        };
        match (&self.card.about, &policy.access) {
            (About::Unknown, _) | (About::Closed(None), Access::Closed { .. }) => true,
            (About::Open(asked), Access::Open { name }) => asked == name,
            (About::Closed(Some(naming)), Access::Closed { name_hash }) => {
                naming.hash() == *name_hash
            }
            (About::Direct(name) | About::Former(name), Access::Direct { peers }) => {
                let me = now.shared.me;
                let is_right = |it: &Fingerprint| {
                    *it == me
                        || now.shared.certified(it).is_some_and(|certified| certified == *name)
                };
                peers.contains(&me) && peers.iter().all(is_right)
            }
            _ => false,
        }
    }

    /// The creation was read: now it is known what somebody has told of.
    pub(crate) fn identify(&mut self, now: &mut Now<'_>) {
        if self.card.about != About::Unknown {
            return;
        }
        let Some(policy) = self.group.as_ref().and_then(|group| group.roster().policy()) else {
            return;
        };
        let about = match &policy.access {
            Access::Open { name } => About::Open(name.clone()),
            Access::Closed { .. } => About::Closed(None),
            Access::Direct { peers } => {
                let me = now.shared.me;
                let Some(peer) = peers.iter().find(|peer| **peer != me).copied() else { return };
                let Some(name) = now.shared.certified(&peer).filter(|_| peers.contains(&me)) else {
                    return;
                };
                let is_over = now.shared.log.mirror().is_revoked(&peer);
                if is_over { About::Former(name) } else { About::Direct(name) }
            }
        };
        self.set_about(now, about);
        now.shared.doings.push(Doing::Identified(self.local));
    }
}
