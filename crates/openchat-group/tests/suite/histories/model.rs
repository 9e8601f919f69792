//! What a device should make of a log, told without any cryptography: who has which epoch's keys.

use std::collections::{BTreeMap, BTreeSet};

use openchat_group::{Effect, PrivateFault, Unreadable};
use openchat_wire::limits::EPOCH_WINDOW;

use crate::kit::{Act, Event};

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Commit {
        /// Tells this one from others of its author.
        id: usize,
        author: usize,
        act: Act,
        /// The level of a wrong key in its path; 0 for none.
        lie: u8,
        /// Where its author is stuck, if it is.
        wraps_for: Option<u64>,
        /// Whether it is on the tail; a lying relay logs others too.
        counts: bool,
    },
    Message {
        author: usize,
        epoch: u64,
        generation: u32,
        text: String,
    },
}

/// The group as one device should have it.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    me: usize,
    pub(crate) epoch: u64,
    /// Devices by slot: there are only joins, so in the order in which they came.
    pub(crate) slots: Vec<usize>,
    since: BTreeMap<usize, u64>,
    pub(crate) keys: Keys,
    /// The epochs of which it has message keys.
    held: BTreeSet<u64>,
    /// The next generation of a sender in an epoch.
    next: BTreeMap<(usize, u64), u32>,
    pub(crate) pending: Option<usize>,
}

/// A device's secrets of the group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Keys {
    #[default]
    None,
    Current,
    StuckAt(u64),
}

impl View {
    /// A device that has read the creation by device 0.
    pub(crate) fn new(me: usize) -> Self {
        let mut view = Self { me, ..Self::default() };
        view.advance(0, true);
        if me == 0 {
            view.enter();
        }
        view
    }

    pub(crate) fn is_seated(&self, device: usize) -> bool {
        self.since.contains_key(&device)
    }

    /// Whether the relay should take a message.
    pub(crate) fn takes(&self, author: usize, epoch: u64) -> bool {
        let in_window = epoch + EPOCH_WINDOW > self.epoch;
        in_window && self.since.get(&author).is_some_and(|since| epoch >= *since)
    }

    /// All secrets are lost.
    pub(crate) fn lose(&mut self) {
        self.keys = Keys::None;
        self.held.clear();
        self.pending = None;
    }

    /// Reads an entry; whether `event` is what it should be.
    pub(crate) fn read(&mut self, told: &Told, event: &Event) -> Result<(), String> {
        let as_told = match told {
            Told::Commit { counts: false, .. } => {
                let place = openchat_roster::CommitFault::Place;
                *event == crate::kit::world::invalid(place)
            }
            Told::Commit { author, act, lie, wraps_for, id, .. } => {
                let effect = self.effect(*author, *act, *lie, *wraps_for, *id);
                matches!(event, Event::Commit(_)) && event.effect() == effect
            }
            Told::Message { author, epoch, generation, text } => {
                *event == self.message(*author, *epoch, *generation, text, event)
            }
        };
        let reader = self.me;
        as_told.then_some(()).ok_or_else(|| format!("d{reader} made of {told:?}: {event:?}"))
    }

    fn effect(
        &mut self,
        author: usize,
        act: Act,
        lie: u8,
        wraps_for: Option<u64>,
        id: usize,
    ) -> Effect {
        let mine = self.pending.take() == Some(id);
        let was_seated = self.is_seated(self.me);
        let before = self.epoch;
        self.advance(author, act != Act::Update);
        if author == self.me {
            if mine {
                self.enter();
                return Effect::Own;
            }
            self.keys = Keys::None;
            return Effect::NotMine;
        }
        match self.keys {
            _ if !was_seated => Effect::Watched,
            Keys::None => Effect::Watched,
            Keys::Current if lie > 0 && self.is_below(author, lie) => {
                self.keys = Keys::StuckAt(before);
                Effect::LeftBehind(PrivateFault::PathKey)
            }
            Keys::Current => {
                self.enter();
                Effect::Followed { back: false }
            }
            Keys::StuckAt(epoch) if wraps_for == Some(epoch) => {
                self.enter();
                Effect::Followed { back: true }
            }
            Keys::StuckAt(_) => Effect::LeftBehind(PrivateFault::Behind),
        }
    }

    /// Whether this device is below the author's node on a level.
    fn is_below(&self, author: usize, level: u8) -> bool {
        let node = |device| self.slots.iter().position(|at| *at == device).map(|s| s >> level);
        node(self.me) == node(author)
    }

    /// A message as it should appear; what it says of its author's view is taken from `event`.
    fn message(
        &mut self,
        author: usize,
        epoch: u64,
        generation: u32,
        text: &str,
        event: &Event,
    ) -> Event {
        let next = self.next.entry((author, epoch)).or_default();
        if author == self.me {
            Event::OwnMessage
        } else if !self.held.contains(&epoch) {
            Event::Unreadable(Unreadable::NoEpoch)
        } else if generation < *next {
            Event::Unreadable(Unreadable::Spent)
        } else {
            *next = generation + 1;
            match event {
                Event::Message(opened) if event.text() == Some(text) => {
                    Event::Message(opened.clone())
                }
                _ => Event::OwnMessage,
            }
        }
    }

    fn advance(&mut self, author: usize, takes_seat: bool) {
        self.epoch += 1;
        if takes_seat {
            if !self.is_seated(author) {
                self.slots.push(author);
            }
            self.since.insert(author, self.epoch);
        }
        let oldest = (self.epoch + 1).saturating_sub(EPOCH_WINDOW);
        self.held = self.held.split_off(&oldest);
    }

    fn enter(&mut self) {
        self.keys = Keys::Current;
        self.held.insert(self.epoch);
    }
}
