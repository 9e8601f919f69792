//! What people do in a world, and what they see of it.

use openchat_engine::{Body, Command, Event, Input, Order, Summary, Target};
use openchat_wire::MessageId;
use rand_core::Rng;

use crate::world::{MINUTE, SECOND, Who, World};

impl World {
    /// Writes a text in `#general`.
    pub(crate) fn say(&mut self, who: Who, text: &str) -> MessageId {
        self.tell(who, "#general", text)
    }

    pub(crate) fn say_as(&mut self, who: Who, id: MessageId, text: &str) {
        self.tell_as(who, "#general", id, text);
    }

    /// Writes a text somewhere.
    pub(crate) fn tell(&mut self, who: Who, target: &str, text: &str) -> MessageId {
        let mut id = MessageId([0; 16]);
        self.rng.fill_bytes(&mut id.0);
        self.tell_as(who, target, id, text);
        id
    }

    pub(crate) fn tell_as(&mut self, who: Who, target: &str, id: MessageId, text: &str) {
        let (target, what) = (target.parse().unwrap(), Body::Text(text.to_owned()));
        self.input(who, Input::Command(Command::Send { target, id, what }));
    }

    /// From here on nobody says what it has read, but in messages and now and then.
    pub(crate) fn hush(&mut self) {
        self.tells_delivered = false;
        for person in &mut self.people {
            person.tells_delivered = false;
            if let Some(engine) = &mut person.engine {
                engine.tell_delivered(false);
            }
        }
    }

    /// Takes part somewhere.
    pub(crate) fn open(&mut self, who: Who, target: &str) {
        let target = target.parse().unwrap();
        self.input(who, Input::Command(Command::Open { target }));
    }

    /// Gives an order, whose number it returns.
    pub(crate) fn order(&mut self, who: Who, what: Order) -> u64 {
        let order = self.next();
        self.input(who, Input::Command(Command::Order { order, what }));
        order
    }

    /// Gives an order and waits until it is done; returns how the conversation is written.
    pub(crate) fn done(&mut self, who: Who, what: Order) -> String {
        let note = format!("{what:?}");
        let order = self.order(who, what);
        let done = self.run_until(MINUTE, |world| world.outcome(who, order).is_some());
        assert!(done, "{note}: {:?}", self.person(who).events);
        self.outcome(who, order).unwrap().unwrap_or_else(|code| panic!("{note}: {code}"))
    }

    /// Gives an order that fails; returns the failure's code.
    pub(crate) fn fails(&mut self, who: Who, what: Order) -> String {
        let order = self.order(who, what);
        let over = self.run_until(MINUTE, |world| world.outcome(who, order).is_some());
        assert!(over, "{:?}", self.person(who).events);
        self.outcome(who, order).unwrap().unwrap_err()
    }

    /// What came of an order.
    pub(crate) fn outcome(&self, who: Who, number: u64) -> Option<Result<String, String>> {
        self.person(who).events.iter().find_map(|event| match event {
            Event::Done { order, target } if *order == number => Some(Ok(target.clone())),
            Event::Failed { order: Some(order), code, .. } if *order == number => {
                Some(Err((*code).to_owned()))
            }
            _ => None,
        })
    }

    /// Loads the vault and connects.
    pub(crate) fn wake(&mut self, who: Who) {
        self.person_mut(who).load();
        self.connect(who);
    }

    /// Enrolls people, has them leave their prekeys, and leaves them online.
    pub(crate) fn online_people(&mut self, names: &[&str]) -> Vec<Who> {
        let all: Vec<Who> = names.iter().map(|name| self.enroll(name)).collect();
        for who in &all {
            self.wake(*who);
        }
        self.run(SECOND);
        all
    }

    pub(crate) fn summary(&self, who: Who, target: &str) -> Option<Summary> {
        let target: Target = target.parse().unwrap();
        self.person(who).engine.as_ref()?.conversations().find(|it| it.target == target)
    }

    /// Who is in, by what a device knows.
    pub(crate) fn members(&self, who: Who, target: &str) -> Vec<String> {
        let summary = self.summary(who, target);
        let members = summary.into_iter().flat_map(|summary| summary.members);
        let mut members: Vec<String> = members.map(|member| member.name.to_string()).collect();
        members.sort();
        members
    }
}
