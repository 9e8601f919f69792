//! How far the others have read: what a device signs of the log in its messages and heartbeats tells
//! that it has everything up to there (`docs/protocol.md` §7.5). So a text is delivered without any
//! message of its own, and neither the relay nor another member can claim it in somebody's name.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use openchat_group::Group;
use openchat_roster::{Roster, Seen};
use openchat_wire::{Epoch, Fingerprint, MessageId, Seq};

use crate::{
    conversation::Conversation,
    event::{Delivery, Event},
    history::Memory,
    record::Key,
    shared::Now,
};

/// Own texts whose marks are counted: nobody looks farther back, and each mark looks at all of them.
const MAX_COUNTED: usize = 256;

/// Members of the largest group that marks soon what it has read: each mark goes to all of them, so a
/// text costs the square. In larger ones the heartbeats of every minute have to do.
pub(crate) const MAX_MARKING: u32 = 64;

/// People that the relay may call online. It tells of at most 256; more is none of its business.
const MAX_PRESENT: usize = 512;

/// What this device knows of the others' reading, and owes them of its own.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The newest of this device's own texts, in the order of the log.
    own: VecDeque<Own>,
    /// How far each member has read, by its own word, which this device's log confirms.
    read: BTreeMap<Fingerprint, Seq>,
    /// What members say of places that this device has not read yet.
    ahead: BTreeMap<Fingerprint, Seen>,
    /// Whose texts came since this device last said how far it has read.
    owed: BTreeSet<Fingerprint>,
    /// Who may not have heard it, because it was away.
    missed: BTreeSet<Fingerprint>,
    /// Who is online, by the relay's word.
    present: BTreeSet<Fingerprint>,
}

/// An own text that is in the log.
#[derive(Debug, Clone, Copy)]
struct Own {
    seq: Seq,
    id: MessageId,
    epoch: Epoch,
    /// How many others could read it when it came into the log.
    of: u32,
    /// How many of them have it.
    count: u32,
}

impl Own {
    const fn delivery(&self) -> Delivery {
        match self.count {
            0 => Delivery::Sent,
            count => Delivery::Delivered { count, of: self.of },
        }
    }
}

impl Marks {
    /// Restores what [`read_by`](Conversation::read_by) has stored.
    pub(crate) fn load(&mut self, member: Fingerprint, seq: Seq) {
        self.read.insert(member, seq);
    }

    pub(crate) fn is_present(&self, key: &Fingerprint) -> bool {
        self.present.contains(key)
    }

    /// A new connection, or none: what the relay said does not hold any more.
    pub(crate) fn disconnected(&mut self) {
        self.present.clear();
    }

    /// What this device writes tells the others how far it has read.
    pub(crate) fn written(&mut self) {
        self.owed.clear();
        self.missed.clear();
    }

    /// It was said how far this device has read; those who are away have not heard it.
    pub(crate) fn said(&mut self) {
        let owed = core::mem::take(&mut self.owed);
        self.missed.extend(owed.into_iter().filter(|author| !self.present.contains(author)));
    }

    /// Those who were away and are told again.
    fn back(&mut self, who: &Fingerprint) -> bool {
        self.missed.remove(who) && self.owed.insert(*who)
    }

    fn push(&mut self, own: Own) {
        self.own.push_back(own);
        if self.own.len() > MAX_COUNTED {
            self.own.pop_front();
        }
    }
}

impl Conversation {
    /// What became of the newest own texts that are in the log.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (MessageId, Delivery)> {
        self.marks.own.iter().map(|own| (own.id, own.delivery()))
    }

    /// What became of an own text, if it is remembered.
    pub(crate) fn delivery(&self, id: MessageId) -> Option<Delivery> {
        match self.marks.own.iter().find(|own| own.id == id) {
            Some(own) => Some(own.delivery()),
            None if self.outbox.is_acked(id) => Some(Delivery::Sent),
            None => self.outbox.find(id).map(|_| Delivery::Queued),
        }
    }

    /// A text of this device is in the log: from now on it counts who has it.
    pub(crate) fn count_marks(&mut self, seq: Seq, id: MessageId, epoch: Epoch) {
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        let of = others(roster, epoch);
        self.marks.push(Own { seq, id, epoch, of, count: 0 });
    }

    /// A member says how far it has read. It counts if this device's log is the same there: then it
    /// has all that stands before. An older word changes nothing.
    pub(crate) fn read_by(&mut self, now: &mut Now<'_>, who: Fingerprint, seen: Seen) {
        let Some(read) = self.group.as_ref().and_then(Group::seen) else { return };
        if who == now.shared.me {
            return;
        }
        if seen.seq > read.seq {
            let newest = self.marks.ahead.entry(who).or_insert(seen);
            if newest.seq < seen.seq {
                *newest = seen;
            }
            return;
        }
        let agrees =
            seen == read || self.history.log_hash(seen.seq) == Memory::Known(seen.log_hash);
        let before = self.marks.read.get(&who).copied();
        if agrees && before.is_none_or(|before| before < seen.seq) {
            self.marks.read.insert(who, seen.seq);
            self.mark(now, who, (before.unwrap_or(Seq(0)), seen.seq));
        }
    }

    /// The log has come to where somebody was already.
    pub(crate) fn check_ahead(&mut self, now: &mut Now<'_>) {
        if self.marks.ahead.is_empty() {
            return;
        }
        let Some(read) = self.group.as_ref().and_then(Group::seen) else { return };
        let come =
            |(who, seen): (&Fingerprint, &Seen)| (seen.seq <= read.seq).then_some((*who, *seen));
        for (who, seen) in self.marks.ahead.iter().filter_map(come).collect::<Vec<_>>() {
            self.marks.ahead.remove(&who);
            if self.contradicts(&seen) {
                self.accuse(now, who);
            } else {
                self.read_by(now, who, seen);
            }
        }
    }

    /// Somebody has what stands behind `after` up to `upto`: of this device's texts, those that it
    /// could read when they were written.
    fn mark(&mut self, now: &mut Now<'_>, who: Fingerprint, (after, upto): (Seq, Seq)) {
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        let Some(seat) = roster.seat(&who) else { return };
        let target = self.target();
        let has = |own: &&mut Own| after < own.seq && own.seq <= upto && seat.since <= own.epoch;
        let mut is_news = false;
        for Own { seq, id, of, count, .. } in self.marks.own.iter_mut().filter(has) {
            *count = count.saturating_add(1).min(*of);
            is_news = true;
            now.shared.pen.event(Event::Delivered {
                target: target.clone(),
                id: *id,
                seq: *seq,
                by: seat.name.clone(),
                count: *count,
                of: *of,
            });
        }
        // What is not stored is said again with the next heartbeat; what was told must not be.
        if is_news {
            now.shared.pen.put(Key::mark(*roster.group(), &who), &upto);
        }
    }

    /// Counts again after a start, from what is stored.
    pub(crate) fn recount_marks(&mut self, me: &Fingerprint) {
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        for (seq, id) in self.history.said_by(me) {
            let Some(epoch) = self.said.epoch(id) else { continue };
            if self.marks.own.iter().any(|own| own.id == id) {
                continue;
            }
            let has = |(who, read): &(&Fingerprint, &Seq)| {
                **read >= seq && roster.seat(who).is_some_and(|seat| seat.since <= epoch)
            };
            let count = self.marks.read.iter().filter(has).count();
            let of = others(roster, epoch);
            let count = u32::try_from(count).unwrap_or(u32::MAX).min(of);
            self.marks.push(Own { seq, id, epoch, of, count });
        }
    }

    /// Forgets how far those have read who are not in the group any more.
    pub(crate) fn forget_marks_of_the_gone(&mut self, now: &mut Now<'_>) {
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        let members = usize::try_from(roster.tree().members()).unwrap_or(usize::MAX);
        let Marks { read, ahead, owed, missed, .. } = &mut self.marks;
        let is_gone = |who: &Fingerprint| roster.seat(who).is_none();
        if read.len().max(ahead.len()).max(owed.len()).max(missed.len()) < members {
            return;
        }
        for who in read.keys().copied().filter(is_gone).collect::<Vec<_>>() {
            read.remove(&who);
            now.shared.pen.delete(Key::mark(*roster.group(), &who));
        }
        ahead.retain(|who, _| !is_gone(who));
        owed.retain(|who| !is_gone(who));
        missed.retain(|who| !is_gone(who));
    }

    /// Somebody's text was read here: soon its author is to know.
    pub(crate) fn owe_mark(&mut self, now: &mut Now<'_>, author: Fingerprint) {
        self.marks.owed.insert(author);
        self.mark_soon(now);
    }

    fn mark_soon(&mut self, now: &mut Now<'_>) {
        let members = self.group.as_ref().map_or(0, |group| group.roster().tree().members());
        if now.shared.marks && members <= MAX_MARKING {
            self.timers.mark(members, now.time, now.rng);
        }
    }

    /// The time has come to say how far this device has read.
    pub(crate) fn say_mark(&mut self, now: &mut Now<'_>) {
        let members = self.group.as_ref().map_or(0, |group| group.roster().tree().members());
        self.timers.marked(members, now.time);
        self.marks.said();
        self.beat(now);
    }

    /// The relay says who is there and who is not. It is a hint: nobody has signed it.
    pub(crate) fn company(
        &mut self,
        now: &mut Now<'_>,
        online: Vec<Fingerprint>,
        offline: Vec<Fingerprint>,
    ) {
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        let (me, present) = (now.shared.me, &mut self.marks.present);
        let offline = offline.into_iter().filter(|key| present.remove(key)).collect::<Vec<_>>();
        let online = online
            .into_iter()
            .filter(|key| *key != me && present.len() < MAX_PRESENT && present.insert(*key));
        let online = online.collect::<Vec<_>>();
        // Whoever has no seat is nobody here, whatever the relay says.
        let named = |key: &Fingerprint| Some(roster.seat(key)?.name.clone());
        let (came, went) = (online.iter().filter_map(named), offline.iter().filter_map(named));
        let (came, went): (Vec<_>, Vec<_>) = (came.collect(), went.collect());
        if !came.is_empty() || !went.is_empty() {
            let target = self.target();
            now.shared.pen.event(Event::Presence { target, online: came, offline: went });
        }
        let mut is_owed = false;
        for key in online {
            is_owed |= self.marks.back(&key);
        }
        if is_owed {
            self.mark_soon(now);
        }
    }
}

/// How many but this device could read what was written in this epoch.
fn others(roster: &Roster, epoch: Epoch) -> u32 {
    let members = if epoch >= roster.epoch() {
        roster.tree().members()
    } else {
        let then = roster.seats().filter(|seat| seat.since <= epoch);
        u32::try_from(then.count()).unwrap_or(u32::MAX)
    };
    members.saturating_sub(1)
}
