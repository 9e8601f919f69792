//! What a session does for its guests.

use super::{
    GuestEnd, GuestEvent, GuestId, Guests, Inside, Listening, ShownElsewhere, own_number, owner,
    tagged,
};
use crate::session::{
    Report, Session, SessionError,
    ask::{Ask, Follow},
};
use openchat_engine::{Event, Standing, Summary, Target};
use openchat_wire::{Name, Seq};
use std::time::Duration;
use tokio::sync::mpsc;

impl Session {
    /// Serves these guests too. `door` is dropped before the vault is free for others.
    #[must_use]
    pub fn share(mut self, events: mpsc::Receiver<GuestEvent>, door: Box<dyn Send>) -> Self {
        self.guests = Guests::new(events, door);
        self
    }

    pub(in crate::session) fn take_guest(&mut self, event: GuestEvent) {
        match event {
            GuestEvent::Come(id, front) => {
                self.guests.inside.insert(id, Inside::new(front));
                self.greet(id);
            }
            // Whoever is next is asked again.
            GuestEvent::Ask(_, ref ask)
                if !matches!(ask, Ask::Shown { .. }) && self.guests.closing.is_some() => {}
            GuestEvent::Ask(id, ask) => self.take_guests_ask(id, ask),
            GuestEvent::Gone(id) => self.see_off(id),
        }
    }

    /// What everybody was told before.
    fn greet(&mut self, id: GuestId) {
        let mut aside = Vec::new();
        if self.online {
            aside.push(Report::Online);
        } else if let Some(cause) = &self.offline {
            aside.push(Report::Offline { cause: cause.clone(), retry: Duration::ZERO });
        }
        let invited = |summary: &Summary| summary.standing == Standing::Invited;
        aside.extend(self.engine.conversations().filter(invited).map(|summary| {
            let members = summary.members.into_iter().map(|member| member.name).collect();
            let (target, by) = (summary.target.to_string(), summary.inviter);
            Report::Event(Event::Invited { target, by, members })
        }));
        if let Some(guest) = self.guests.inside.get_mut(&id) {
            guest.aside = aside;
        }
    }

    fn take_guests_ask(&mut self, id: GuestId, mut ask: Ask) {
        if let Some(order) = ask.order_mut() {
            *order = tagged(id, *order);
        }
        if let Ask::Send { id: message, .. } | Ask::Say { id: message, .. } = &ask {
            self.guests.senders.insert(*message, id);
        }
        let Some(guest) = self.guests.inside.get_mut(&id) else { return };
        guest.unanswered.add(&ask);
        self.take_or_hold(ask);
    }

    /// It wants nothing more. What waits for its conversation to be known is given up, and it is
    /// told so: it may be asked for once more, and must not be done twice.
    fn see_off(&mut self, id: GuestId) {
        let Some(mut guest) = self.guests.inside.remove(&id) else { return };
        let senders = &self.guests.senders;
        let is_its = |ask: &Ask| match ask {
            Ask::Send { id: message, .. } | Ask::Say { id: message, .. } => {
                senders.get(message) == Some(&id)
            }
            ask => ask.order().is_some_and(|order| owner(order) == id),
        };
        let (given_up, held) = std::mem::take(&mut self.held).into_iter().partition(is_its);
        self.held = held;
        let given_up: Vec<Ask> = given_up;
        let not_begun: Vec<u64> = given_up.iter().filter_map(Ask::order).map(own_number).collect();
        let mut taken = guest.taken();
        taken.retain(|order| !not_begun.contains(order));
        let is_message = |ask: &&Ask| matches!(ask, Ask::Send { .. } | Ask::Say { .. });
        let lost = given_up.iter().filter(is_message).count();
        let halted = self.is_halted_for(&guest.opened);
        for report in guest.aside.drain(..) {
            if guest.front.room() > 0 {
                guest.front.tell(&report);
            }
        }
        guest.front.end(&GuestEnd { taken, lost, halted });
        self.guests.senders.retain(|_, sender| *sender != id);
    }

    fn is_halted_for(&self, opened: &[Target]) -> bool {
        self.engine.conversations().any(|summary| {
            summary.standing == Standing::Halted
                && opened.iter().any(|it| it.means(&summary.target, summary.group.as_ref()))
        })
    }

    /// Tells all who are left that this is the end, and shuts the door: the vault is free after that.
    pub(in crate::session) fn dismiss_guests(&mut self) {
        let ids: Vec<GuestId> = self.guests.inside.keys().copied().collect();
        for id in ids {
            self.see_off(id);
        }
        self.guests = Guests::default();
    }

    /// Begins to follow what its guests want to. Comes before this turn's messages count as shown.
    pub(in crate::session) fn bind_guests(&mut self) -> Result<(), SessionError> {
        let is_waiting = |guest: &Inside| guest.listens.is_some() || !guest.opened.is_empty();
        if !self.guests.inside.values().any(is_waiting) {
            return Ok(());
        }
        let known: Vec<Summary> = self.engine.conversations().collect();
        for guest in self.guests.inside.values_mut() {
            if let Some(order) = guest.bind(&known, &mut self.vault)? {
                let target = guest.listens.as_ref().and_then(|it| it.follow.target.clone());
                let target = target.map(|target| target.to_string()).unwrap_or_default();
                self.reports.push(Report::Event(Event::Done { order, target }));
            }
        }
        Ok(())
    }

    /// Hands on what waits in the vault for those who have room again.
    pub(in crate::session) fn catch_up_guests(&mut self) -> Result<(), SessionError> {
        let is_behind = |guest: &Inside| guest.follows.values().any(|place| place.is_behind);
        if !self.guests.inside.values().any(is_behind) {
            return Ok(());
        }
        let known = self.engine.conversations();
        let names = known.filter_map(|it| Some((it.group?, it.target.to_string()))).collect();
        for guest in self.guests.inside.values_mut() {
            guest.catch_up(&names, &self.vault)?;
        }
        Ok(())
    }

    pub(in crate::session) fn listen(&mut self, order: u64, follow: Follow) {
        let name = follow.listener.as_ref();
        let listens = |guest: &Inside| {
            let its = guest.listens.as_ref().and_then(|it| it.follow.listener.as_ref());
            name.is_some() && its == name
        };
        if let Some(name) = name
            && self.guests.inside.values().any(listens)
        {
            let message = format!("a listener called {name} is there already");
            return self.reports.push(Report::Event(Event::Failed {
                order: Some(order),
                id: None,
                target: None,
                code: "listener-in-use",
                message,
                hint: "end it, or choose another name: openchat listen --as NAME".to_owned(),
            }));
        }
        if let Some(guest) = self.guests.inside.get_mut(&owner(order)) {
            guest.listens = Some(Listening { order, follow, has_begun: false });
        }
    }

    /// A front end elsewhere has shown messages up to here.
    pub(in crate::session) fn note_shown(
        &mut self,
        order: Option<u64>,
        target: &Target,
        seq: Seq,
        listener: Option<Name>,
    ) {
        let group = self.engine.conversation(target).and_then(|found| found.group);
        match (group, order) {
            (Some(group), order) => {
                let target = target.to_string();
                self.shown_elsewhere.push(ShownElsewhere { order, target, group, seq, listener });
            }
            (None, Some(order)) => self.fail(Some(order), None, target),
            (None, None) => {}
        }
    }

    pub(in crate::session) fn mark_shown_elsewhere(&mut self) -> Result<(), SessionError> {
        for shown in std::mem::take(&mut self.shown_elsewhere) {
            let ShownElsewhere { order, target, group, seq, listener } = shown;
            match listener {
                Some(name) => self.vault.mark_heard(&name, &group, seq)?,
                None => self.vault.mark_shown(&[(group, seq)])?,
            }
            let done = order.map(|order| Report::Event(Event::Done { order, target }));
            self.reports.extend(done);
        }
        Ok(())
    }

    /// Tells that messages are in the log that were sent once more, because nobody knew.
    pub(in crate::session) fn answer_repeats(&mut self) -> Result<(), SessionError> {
        for (target, id) in std::mem::take(&mut self.repeats) {
            let group = self.engine.conversation(&target).and_then(|found| found.group);
            let place =
                group.map(|group| self.vault.own_place_of(&group, id)).transpose()?.flatten();
            let is_in_log = || {
                use openchat_engine::Delivery::{Delivered, Sent};
                matches!(self.engine.delivery(&target, id), Some(Sent | Delivered { .. }))
            };
            match place {
                Some(seq) => self.reports.push(Report::Event(Event::Ack { id, seq })),
                // Its place comes with it.
                None if is_in_log() => self.repeats.push((target, id)),
                None => {}
            }
        }
        Ok(())
    }
}
