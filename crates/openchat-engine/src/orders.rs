//! What the person wants, handed to the conversation that it is about.

use std::collections::BTreeSet;

use openchat_crypto::{CryptoRng, Secret};
use openchat_roster::Naming;
use openchat_wire::{Digest, GroupName, MessageId, Name, UnixMillis};

use crate::{
    body::Body,
    command::{Bring, GroupKind, Order},
    conversation::{About, Card, Conversation, Stage, Wish},
    engine::Engine,
    failure::Failure,
    people::Prospect,
    record::Local,
    shared::Now,
    target::Target,
    tasks::{Deed, Founding},
};

impl Engine {
    /// Takes part.
    pub(crate) fn open(&mut self, target: &Target, time: UnixMillis, rng: &mut dyn CryptoRng) {
        match self.find_or_begin(target) {
            Ok(local) => self.with(local, time, rng, |conversation, now| {
                if conversation.stage == Stage::Halted {
                    conversation.report(now, None, Failure::halted());
                } else if conversation.card.wish == Wish::In && conversation.stage != Stage::Offline
                {
                    conversation.prepare(now);
                } else {
                    conversation.come_in(now, None);
                }
            }),
            Err(failure) => self.fail(None, None, target, failure),
        }
    }

    /// Says something.
    pub(crate) fn send(
        &mut self,
        target: &Target,
        (id, what): (MessageId, Body),
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        match self.find_or_begin(target) {
            Ok(local) => self.with(local, time, rng, |conversation, now| {
                conversation.send(now, id, &what);
            }),
            Err(failure) => self.fail(None, Some(id), target, failure),
        }
    }

    /// Does something with a group.
    pub(crate) fn order(
        &mut self,
        order: u64,
        what: Order,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        if let Order::New { name, kind, people, how } = what {
            return self.begin(order, (name, kind), (people, how), time, rng);
        }
        let target = what.target().cloned();
        let Some(target) = target else { return };
        match self.find(&target) {
            Ok(Some(local)) => {
                self.with(local, time, rng, |conversation, now| {
                    conversation.obey(now, order, what);
                });
            }
            Ok(None) => self.fail(Some(order), None, &target, Failure::unknown()),
            Err(failure) => self.fail(Some(order), None, &target, failure),
        }
    }

    /// Begins a group.
    fn begin(
        &mut self,
        order: u64,
        (name, kind): (GroupName, GroupKind),
        (people, how): (Vec<Name>, Bring),
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let target = Target::Group(name.clone());
        let about = match kind {
            GroupKind::Open => About::Open(name),
            GroupKind::Closed => {
                let salt = Digest(*Secret::random(rng).expose());
                About::Closed(Some(Naming { name, salt }))
            }
        };
        // A name that was found to be a group's is that group's for ever, whoever has left it.
        let takes = |it: &Conversation| it.card.wish != Wish::Out || it.id().is_some();
        if self.conversations.values().any(|it| it.card.about == about && takes(it)) {
            return self.fail(Some(order), None, &target, Failure::name_taken());
        }
        let me = self.shared.device.name.clone();
        let people: BTreeSet<Name> = people.into_iter().filter(|name| *name != me).collect();
        let people = people.into_iter().map(|name| Prospect::new(name, how)).collect();
        let local = self.add(Card { about, group: None, wish: Wish::In, inviter: None });
        let sought = kind == GroupKind::Closed;
        self.with(local, time, rng, |conversation, now| {
            conversation.founding = Some(Founding { people, sought, must_be_new: true });
            conversation.come_in(now, Some(order));
        });
    }

    /// The conversation that is written so.
    fn find(&self, target: &Target) -> Result<Option<Local>, Failure> {
        let all = || self.conversations.values();
        if let Some(exact) = all().find(|conversation| conversation.label == *target) {
            return Ok(Some(exact.local));
        }
        let Target::Tagged { name, tag } = target else { return Ok(None) };
        let fits = |it: &&Conversation| {
            let has_name = name.as_ref().is_none_or(|name| it.name() == Some(name));
            has_name && it.id().is_some_and(|id| tag.fits(&id))
        };
        let mut fitting = all().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(Some(one.local)),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Failure::ambiguous()),
        }
    }

    fn find_or_begin(&mut self, target: &Target) -> Result<Local, Failure> {
        if let Some(local) = self.find(target)? {
            return Ok(local);
        }
        let about = match target {
            Target::Person(name) if *name == self.shared.device.name => {
                return Err(Failure::myself());
            }
            Target::Person(name) => About::Direct(name.clone()),
            Target::Group(name) => About::Open(name.clone()),
            Target::Tagged { .. } => return Err(Failure::unknown()),
        };
        Ok(self.add(Card { about, group: None, wish: Wish::In, inviter: None }))
    }

    pub(crate) fn with(
        &mut self,
        local: Local,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
        act: impl FnOnce(&mut Conversation, &mut Now<'_>),
    ) {
        let mut now = Now { shared: &mut self.shared, time, rng };
        if let Some(conversation) = self.conversations.get_mut(&local) {
            act(conversation, &mut now);
        }
    }

    pub(crate) fn fail(
        &mut self,
        order: Option<u64>,
        id: Option<MessageId>,
        target: &Target,
        failure: Failure,
    ) {
        self.shared.pen.event(failure.event(order, id, Some(target.to_string())));
    }
}

impl Conversation {
    fn name(&self) -> Option<&GroupName> {
        match &self.card.about {
            About::Open(name) => Some(name),
            About::Closed(naming) => naming.as_ref().map(|naming| &naming.name),
            About::Direct(_) | About::Former(_) | About::Unknown => None,
        }
    }

    fn obey(&mut self, now: &mut Now<'_>, order: u64, what: Order) {
        if self.stage == Stage::Halted {
            return self.report(now, Some(order), Failure::halted());
        }
        let me = now.shared.device.name.clone();
        match what {
            Order::New { .. } => {}
            Order::Accept { .. } => self.come_in(now, Some(order)),
            Order::Decline { .. } if self.is_in(now) => {
                self.report(now, Some(order), Failure::seated());
            }
            Order::Decline { .. } | Order::Leave { .. } => self.go(now, order),
            Order::Add { who, .. } | Order::Invite { who, .. } | Order::Kick { who, .. }
                if who == me =>
            {
                self.report(now, Some(order), Failure::myself());
            }
            Order::Invite { who, .. } => {
                let prospect = Prospect::new(who, Bring::Invite);
                self.ordered(now, order, Deed::Bring(Box::new(prospect)));
            }
            Order::Add { who, .. } => {
                let prospect = Prospect::new(who, Bring::Add);
                self.ordered(now, order, Deed::Bring(Box::new(prospect)));
            }
            Order::Kick { who, .. } => self.ordered(now, order, Deed::Kick(who)),
            Order::Role { who, role, .. } => self.ordered(now, order, Deed::Role(who, role)),
            Order::Rules { rules, .. } => self.ordered(now, order, Deed::Rules(rules)),
            Order::Resume { file, .. } => self.resume_file(now, order, file),
            Order::Rejoin { .. } => self.ordered(now, order, Deed::Rejoin),
        }
    }

    /// Whether it is a seat that would be given up, rather than an invitation.
    fn is_in(&self, now: &Now<'_>) -> bool {
        let stays = matches!(self.card.wish, Wish::In | Wish::Told);
        stays && self.seat(&now.shared.me).is_some()
    }

    fn ordered(&mut self, now: &mut Now<'_>, order: u64, deed: Deed) {
        if self.stage == Stage::Out && self.card.wish == Wish::In {
            self.report(now, Some(order), Failure::no_access());
        } else if self.card.wish == Wish::In {
            self.take_task(now, Some(order), deed);
        } else {
            self.report(now, Some(order), Failure::not_member());
        }
    }
}
