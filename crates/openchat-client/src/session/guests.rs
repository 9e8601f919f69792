//! Other processes of the same person, which this session serves beside its own front end.
//!
//! Each has its own place in every conversation that it follows, and is told no more than it takes:
//! what it has no room for is read from the vault later. So no guest holds up the session, and none
//! misses a message.

mod serve;

use super::{
    Report,
    ask::{Ask, Follow, Start, Unanswered},
};
use crate::vault::{Vault, VaultError};
use openchat_engine::{Event, StoredMessage, Summary, Target};
use openchat_wire::{GroupId, MessageId, Name, Seq};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// Names a guest, from 1 on; 0 is the session's own front end.
pub type GuestId = u32;

/// Bits of an order's number that are the front end's own. The others say whose it is. Nobody asks
/// for a million million things in one session.
const ORDER_BITS: u32 = 40;

/// Places in a guest's queue that are kept for what is no message: messages can be read again from
/// the vault, the rest can't. More than what one entry of a log can change.
const RESERVE: usize = 64;

/// Messages that are read for a guest at once.
const PAGE: usize = 256;

/// How long a session whose own front end has ended goes on to answer its guests: a round trip. Who
/// has no answer then asks whoever is next.
const GRACE: Duration = Duration::from_secs(1);

/// What guests do.
pub enum GuestEvent {
    /// It came.
    Come(GuestId, Box<dyn Guest>),
    /// It asks for something.
    Ask(GuestId, Ask),
    /// It asks for nothing more.
    Gone(GuestId),
}

/// Whoever hands reports to another process.
pub trait Guest: Send {
    /// A conversation was opened. What of it waits follows.
    fn opened(&mut self, target: &str);

    /// From now on it is told what is written here after this place.
    fn following(&mut self, target: &str, seq: Seq);

    /// Tells this; there is room. The numbers of orders are the guest's own.
    fn tell(&mut self, report: &Report);

    /// How much it takes now without waiting.
    fn room(&self) -> usize;

    /// This is the end; nothing follows.
    fn end(&mut self, end: &GuestEnd);
}

/// How it ends for a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestEnd {
    /// Orders that were begun and not answered: whether they are obeyed is not known. All others
    /// that have no answer were not begun.
    pub taken: Vec<u64>,
    /// Its messages that are not stored.
    pub lost: usize,
    /// Whether an alarm has stopped a conversation that it opened.
    pub halted: bool,
}

/// Those who are there.
#[derive(Default)]
pub(super) struct Guests {
    /// What is to be undone before the vault is free for others.
    _door: Option<Box<dyn Send>>,
    events: Option<mpsc::Receiver<GuestEvent>>,
    inside: BTreeMap<GuestId, Inside>,
    /// Whose these messages are, as long as they are not answered.
    senders: HashMap<MessageId, GuestId>,
    /// Since when the session would have ended if it were not for them.
    closing: Option<Instant>,
}

struct Inside {
    front: Box<dyn Guest>,
    unanswered: Unanswered,
    /// What it opened, by the names it was told.
    opened: Vec<Target>,
    /// What it has read of the conversations that it opened or listens to.
    follows: BTreeMap<GroupId, Place>,
    listens: Option<Listening>,
    /// What only it is to be told, before all else.
    aside: Vec<Report>,
    /// Too slow for what can't be read again.
    lost_track: bool,
}

/// How far it was told, and whether the vault has more.
#[derive(Debug, Clone, Copy)]
struct Place {
    seq: Seq,
    is_behind: bool,
}

struct Listening {
    order: u64,
    follow: Follow,
    /// Conversations that come later are followed from their beginning.
    has_begun: bool,
}

/// What another process has shown.
pub(super) struct ShownElsewhere {
    order: Option<u64>,
    target: String,
    group: GroupId,
    seq: Seq,
    listener: Option<Name>,
}

/// Whose order it is.
const fn owner(order: u64) -> GuestId {
    #[expect(clippy::as_conversions, reason = "24 bits are left")]
    let guest = (order >> ORDER_BITS) as u32;
    guest
}

/// The number that the one who ordered it knows.
const fn own_number(order: u64) -> u64 {
    order & ((1 << ORDER_BITS) - 1)
}

fn tagged(guest: GuestId, order: u64) -> u64 {
    u64::from(guest) << ORDER_BITS | own_number(order)
}

/// Whether it is about what a listener hears. The rest would only fill the queue of one that is slow.
const fn is_for_listeners(report: &Report) -> bool {
    !matches!(
        report,
        Report::Event(
            Event::Ack { .. }
                | Event::Delivered { .. }
                | Event::Presence { .. }
                | Event::Ready { .. }
                | Event::Member { .. }
                | Event::Rules { .. }
                | Event::Waiting { .. }
                | Event::Progress(_)
        ) | Report::File { .. }
            | Report::Forgotten { unshown: 0, .. }
            | Report::Log(_)
    )
}

/// Whom alone it concerns, if not everybody: who ordered it, who sent the message, or whose message it
/// was for which somebody was looked for in vain.
fn addressee(
    report: &Report,
    all: &[Report],
    senders: &HashMap<MessageId, GuestId>,
) -> Option<GuestId> {
    let sender = |id: &MessageId| senders.get(id).copied().unwrap_or_default();
    match report {
        Report::Event(Event::Done { order, .. } | Event::Failed { order: Some(order), .. }) => {
            Some(owner(*order))
        }
        Report::Event(Event::Failed { id: Some(id), .. }) => Some(sender(id)),
        Report::Event(Event::Failed { target, .. }) => all.iter().find_map(|other| match other {
            Report::Event(Event::Failed { id: Some(id), target: its, .. }) if its == target => {
                Some(sender(id))
            }
            _ => None,
        }),
        _ => None,
    }
}

impl Guests {
    pub(super) fn new(events: mpsc::Receiver<GuestEvent>, door: Box<dyn Send>) -> Self {
        Self { _door: Some(door), events: Some(events), ..Self::default() }
    }

    /// What they do next; never, if there are none.
    pub(super) async fn next(&mut self) -> Option<GuestEvent> {
        match &mut self.events {
            Some(events) => events.recv().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn try_next(&mut self) -> Option<GuestEvent> {
        self.events.as_mut()?.try_recv().ok()
    }

    /// Whether the session must go on for their sakes, though its own front end has ended.
    pub(super) fn are_owed(&mut self) -> bool {
        let since = *self.closing.get_or_insert_with(Instant::now);
        let owed = |guest: &Inside| !guest.unanswered.is_empty();
        self.inside.values().any(owed) && since.elapsed() < GRACE
    }

    /// When to look again without being asked to.
    pub(super) fn patience(&self) -> Option<Duration> {
        let is_behind = |guest: &Inside| guest.follows.values().any(|place| place.is_behind);
        let behind = self.inside.values().any(is_behind).then_some(Duration::ZERO);
        let closing = self.closing.map(|since| GRACE.saturating_sub(since.elapsed()));
        behind.or(closing)
    }

    pub(super) fn opens_any(&self) -> bool {
        self.inside.values().any(|guest| guest.unanswered.opens_any())
    }

    /// What is asked for by whoever has this order.
    pub(super) fn unanswered(&mut self, order: u64) -> Option<&mut Unanswered> {
        Some(&mut self.inside.get_mut(&owner(order))?.unanswered)
    }

    pub(super) fn is_guest(order: u64) -> bool {
        owner(order) != 0
    }

    /// Tells whoever has this order something that concerns nobody else.
    pub(super) fn tell_aside(&mut self, order: u64, report: Report) {
        if let Some(guest) = self.inside.get_mut(&owner(order)) {
            guest.aside.push(report);
        }
    }

    /// The conversation is open there from now on.
    pub(super) fn open(&mut self, order: u64, target: &Target) {
        if let Some(guest) = self.inside.get_mut(&owner(order)) {
            guest.front.opened(&target.to_string());
            if !guest.opened.contains(target) {
                guest.opened.push(target.clone());
            }
        }
    }

    pub(super) fn is_sender(&self, id: &MessageId) -> bool {
        self.senders.contains_key(id)
    }

    /// Tells everybody who follows this group what went before they were told of it.
    pub(super) fn tell_missed(
        &mut self,
        group: &GroupId,
        target: &str,
        vault: &mut Vault,
    ) -> Result<(), VaultError> {
        self.inside.values_mut().try_for_each(|guest| guest.tell_missed(group, target, vault))
    }

    /// Takes off what is answered; gives what to open now: with the order, and the conversation.
    pub(super) fn settle(&mut self, reports: &mut Vec<Report>) -> Vec<(u64, String)> {
        self.inside.values_mut().flat_map(|guest| guest.unanswered.settle(reports)).collect()
    }

    /// Tells everybody what concerns them.
    pub(super) fn tell(&mut self, reports: &[Report]) {
        for (id, guest) in &mut self.inside {
            for report in guest.aside.drain(..).collect::<Vec<_>>() {
                guest.say(&report);
            }
            for report in reports {
                if addressee(report, reports, &self.senders).is_none_or(|whose| whose == *id) {
                    guest.hear(report);
                }
            }
        }
        self.inside.retain(|_, guest| !guest.lost_track);
    }

    /// Leaves what is not theirs alone.
    pub(super) fn without_theirs(&mut self, mut reports: Vec<Report>) -> Vec<Report> {
        if self.events.is_none() {
            return reports;
        }
        let whose = |report| addressee(report, &reports, &self.senders);
        let ours: Vec<bool> =
            reports.iter().map(|report| whose(report).unwrap_or_default() == 0).collect();
        for report in &reports {
            let id = match report {
                Report::Event(Event::Ack { id, .. } | Event::Failed { id: Some(id), .. }) => id,
                Report::Event(Event::Progress(progress)) => &progress.file.id,
                _ => continue,
            };
            // A file may still be refused when its offer is acknowledged.
            if !self.inside.values().any(|guest| guest.unanswered.waits_for(id)) {
                self.senders.remove(id);
            }
        }
        let mut ours = ours.into_iter();
        reports.retain(|_| ours.next().unwrap_or_default());
        reports
    }
}

impl Inside {
    fn new(front: Box<dyn Guest>) -> Self {
        Self {
            front,
            unanswered: Unanswered::default(),
            opened: Vec::new(),
            follows: BTreeMap::new(),
            listens: None,
            aside: Vec::new(),
            lost_track: false,
        }
    }

    fn hear(&mut self, report: &Report) {
        match report {
            Report::Event(Event::Message(message)) => self.message(message, report),
            Report::Event(Event::Done { order, target }) => {
                let (order, target) = (own_number(*order), target.clone());
                self.say(&Report::Event(Event::Done { order, target }));
            }
            Report::Event(event @ Event::Failed { order: Some(_), .. }) => {
                let mut event = event.clone();
                if let Event::Failed { order: Some(order), .. } = &mut event {
                    *order = own_number(*order);
                }
                self.say(&Report::Event(event));
            }
            _ if self.listens.is_some() && !is_for_listeners(report) => {}
            _ => self.say(report),
        }
    }

    /// In its turn: what waits in the vault comes first.
    fn message(&mut self, message: &StoredMessage, report: &Report) {
        let has_room = self.front.room() > RESERVE;
        match self.follows.get_mut(&message.group) {
            Some(place) if place.is_behind || message.seq <= place.seq => {}
            Some(place) if has_room => {
                place.seq = message.seq;
                self.front.tell(report);
            }
            Some(place) => place.is_behind = true,
            // News of a conversation that is not open there.
            None if self.listens.is_none() && has_room => self.front.tell(report),
            None => {}
        }
    }

    fn say(&mut self, report: &Report) {
        if self.front.room() == 0 {
            self.lost_track = true;
        } else {
            self.front.tell(report);
        }
    }

    fn taken(&self) -> Vec<u64> {
        self.unanswered.orders().map(own_number).collect()
    }

    /// Begins to follow what it opened or listens to, as soon as it is known.
    fn bind(&mut self, known: &[Summary], vault: &mut Vault) -> Result<Option<u64>, VaultError> {
        for summary in known {
            let Some(group) = summary.group else { continue };
            if self.follows.contains_key(&group) {
                continue;
            }
            let is_meant = |target: &Target| target.means(&summary.target, Some(&group));
            let seq = match &self.listens {
                Some(listening) if listening.wants(summary) => {
                    let seq = listening.place(summary, &group, vault)?;
                    self.front.following(&summary.target.to_string(), seq);
                    seq
                }
                _ if self.opened.iter().any(is_meant) => vault.shown(&group)?,
                _ => continue,
            };
            self.follows.insert(group, Place { seq, is_behind: true });
            self.tell_missed(&group, &summary.target.to_string(), vault)?;
        }
        let Some(listening) = &mut self.listens else { return Ok(None) };
        let begins = !listening.has_begun;
        listening.has_begun = true;
        Ok(begins.then_some(listening.order))
    }

    /// Tells what went before this listener, or the person, was told of it. Of a listener without a name
    /// nobody knows what it was told.
    fn tell_missed(
        &mut self,
        group: &GroupId,
        target: &str,
        vault: &mut Vault,
    ) -> Result<(), VaultError> {
        let listener = self.listens.as_ref().map(|listening| listening.follow.listener.as_ref());
        if listener == Some(None) || !self.follows.contains_key(group) {
            return Ok(());
        }
        let unshown = vault.take_missed(listener.flatten(), group)?;
        if unshown > 0 {
            self.say(&Report::Forgotten { target: target.to_owned(), unshown });
        }
        Ok(())
    }

    /// Reads on in the vault as far as there is room.
    fn catch_up(
        &mut self,
        names: &BTreeMap<GroupId, String>,
        vault: &Vault,
    ) -> Result<(), VaultError> {
        for (group, place) in &mut self.follows {
            while place.is_behind {
                let room = self.front.room().saturating_sub(RESERVE).min(PAGE);
                if room == 0 {
                    return Ok(());
                }
                let limit = u32::try_from(room).unwrap_or(u32::MAX);
                let messages = vault.after(group, place.seq, limit)?;
                place.is_behind = messages.len() == room;
                for mut message in messages {
                    place.seq = message.seq;
                    if let Some(name) = names.get(group) {
                        message.target.clone_from(name);
                    }
                    self.front.tell(&Report::Event(Event::Message(message)));
                }
            }
        }
        Ok(())
    }
}

impl Listening {
    fn wants(&self, summary: &Summary) -> bool {
        let target = self.follow.target.as_ref();
        target.is_none_or(|target| target.means(&summary.target, summary.group.as_ref()))
    }

    /// Where to begin; a name keeps it for the next time.
    fn place(
        &self,
        summary: &Summary,
        group: &GroupId,
        vault: &mut Vault,
    ) -> Result<Seq, VaultError> {
        let listener = self.follow.listener.as_ref();
        if let Some(heard) = listener.map(|name| vault.heard(name, group)).transpose()?.flatten() {
            return Ok(heard);
        }
        let newest = vault.newest_place(group)?;
        let before = |seq: Seq| Seq(seq.0.saturating_sub(1));
        let place = match &self.follow.from {
            _ if self.has_begun => Seq(0),
            Start::Beginning => Seq(0),
            Start::Now => newest,
            Start::After(seq) => *seq,
            Start::Places(places) => {
                places.get(&summary.target.to_string()).copied().unwrap_or_default()
            }
            Start::AfterMessage(id) => vault.place_of(group, *id)?.unwrap_or(newest),
            Start::At(time) => vault.place_at(group, *time)?.map_or(newest, before),
        };
        if let Some(name) = listener {
            vault.mark_heard(name, group, place)?;
        }
        Ok(place)
    }
}
