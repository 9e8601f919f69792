//! How a conversation's own messages get into the log.

use openchat_group::{Content, ContentKind, Group};
use openchat_roster::{LogEntry, MessageFault, MessageHeader};
use openchat_wire::{
    Blob, MessageId, Seq,
    relay::{Answer, Letter, Refusal, Request},
};

use crate::{
    body::Body,
    conversation::{About, Conversation, Stage, Wish},
    event::{AlarmCode, Event},
    failure::{Failure, code},
    outbox::Outgoing,
    shared::{ASK_OPERATOR, Ask, Now},
};

/// Messages sent and not answered at once: enough to fill a round trip.
const MAX_IN_FLIGHT: usize = 256;

impl Conversation {
    /// Puts something into the outbox and sends what can be sent. An id that was used says nothing
    /// new.
    pub(crate) fn send(&mut self, now: &mut Now<'_>, id: MessageId, what: &Body) {
        if let Err(cause) = what.check() {
            return self.fail_text(now, id, Failure::no_body(&cause));
        }
        if let About::Former(name) = &self.card.about {
            let failure = Failure::denied_peer(name);
            return self.fail_text(now, id, failure);
        }
        match self.card.wish {
            Wish::In if self.stage == Stage::Out => {
                return self.fail_text(now, id, Failure::no_access());
            }
            Wish::In | Wish::Told => {}
            Wish::Out | Wish::Leaving if self.is_direct() => self.come_in(now, None),
            Wish::Out | Wish::Leaving => return self.fail_text(now, id, Failure::not_member()),
        }
        if self.outbox.contains(id) || self.history.said(now.shared.me, id).is_some() {
            return;
        }
        if let Body::Delete { of } = what {
            self.cancel_file(now, *of);
        }
        let (kind, body) = (ContentKind(what.kind()), Blob(what.to_bytes()));
        let content = self.with_head(now, Content { time: now.time, kind, body });
        self.queue(&mut now.shared.pen, Outgoing::new(id, content));
        if self.stage == Stage::Offline {
            // It has only just begun, or there is no connection.
            return self.start(now);
        }
        self.flush(now);
        self.work(now);
    }

    /// Seals and sends what waits, as far as the group's state allows.
    pub(crate) fn flush(&mut self, now: &mut Now<'_>) {
        if !self.is_open(now) {
            return;
        }
        while let Some((id, entry)) = self.next_sealed(now) {
            self.append(now, Ask::Message(id), entry, Vec::new());
            self.outbox.sent(id);
        }
        self.recall(now);
        self.want_chunks(now);
    }

    /// Whether messages may go into the log. What is sealed while the other one of two is away could never
    /// be read.
    pub(crate) fn is_open(&mut self, now: &mut Now<'_>) -> bool {
        let is_live = self.stage == Stage::Live && !self.progress.cloned;
        let is_over = matches!(self.card.about, About::Former(_)) || self.is_alone();
        is_live && !is_over && !self.is_held(now)
    }

    /// Hands an entry to the relay, behind the texts that it has not answered yet (R9).
    pub(crate) fn append(&self, now: &mut Now<'_>, ask: Ask, entry: Blob, letters: Vec<Letter>) {
        let Some(log) = self.id() else { return };
        let follows = self.outbox.is_waiting();
        self.ask(now.shared, ask, Request::Append { log, entry, letters, follows });
    }

    /// The next message and its entry: as it was sealed, while that counts. What is only said again
    /// is not sealed for anybody who has come since.
    fn next_sealed(&mut self, now: &mut Now<'_>) -> Option<(MessageId, Blob)> {
        let newest = self.newest_seat().filter(|_| self.outbox.repeats());
        let is_passed = self.outbox.next(MAX_IN_FLIGHT).map(|it| it.id);
        let is_passed = is_passed.is_some_and(|id| self.is_passed(id));
        let group = self.group.as_mut().filter(|group| !group.is_left_behind())?;
        let outgoing = self.outbox.next(MAX_IN_FLIGHT)?;
        let id = outgoing.id;
        let header = outgoing.sealed.as_ref().and_then(header);
        if let (Some(sealed), Some(header)) = (&outgoing.sealed, header)
            && group.roster().check_message(&header, &now.shared.me).is_ok()
            && self.progress.logged.is_none_or(|logged| !is_overtaken(&header, logged))
            && !is_passed
        {
            return Some((id, sealed.clone()));
        }
        if outgoing.repeats.is_some_and(|epoch| newest > Some(epoch)) {
            self.outbox.take(&mut now.shared.pen, id);
            self.report(now, None, Failure::not_repeated(1));
            return self.next_sealed(now);
        }
        let sealed = group.seal(&now.shared.device.key, id, &outgoing.content).ok()?;
        let entry = Blob(LogEntry::Message(sealed).to_bytes());
        outgoing.sealed = Some(entry.clone());
        self.outbox.save(&mut now.shared.pen, id);
        self.dirty = true;
        self.progress.sent = self.progress.sent.saturating_add(1);
        Some((id, entry))
    }

    /// Something that goes before this message had to be sealed anew, under a later key: whoever reads
    /// that has deleted this one's.
    fn is_passed(&self, id: MessageId) -> bool {
        let Some(own) = self.outbox.sealed(id).and_then(header) else { return false };
        let mut before = self.outbox.sealed_before(id).filter_map(header);
        before.any(|it| is_overtaken(&own, (it.epoch, it.generation)))
    }

    /// What came of a message.
    pub(crate) fn message_answered(
        &mut self,
        now: &mut Now<'_>,
        id: MessageId,
        answer: Result<Answer, Refusal>,
    ) {
        match answer {
            Ok(Answer::Appended(seq)) => self.acked(now, id, seq),
            // What this device knows to be stale is sealed anew at once.
            Err(Refusal::Stale) if self.is_stale(now, id) => self.outbox.again(id),
            Err(Refusal::Paced { retry_ms }) => self.send_later(now, id, retry_ms),
            Err(Refusal::Internal) => self.not_stored(now, id),
            Err(Refusal::Stale) | Ok(_) => self.send_later(now, id, 1_000),
            Err(refusal) => self.refused(now, id, &refusal),
        }
        self.flush(now);
    }

    /// The relay could not store it, as on a full disk. The person is told once till it can.
    fn not_stored(&mut self, now: &mut Now<'_>, id: MessageId) {
        self.send_later(now, id, 1_000);
        if !core::mem::replace(&mut self.notes.unstored, true) {
            let message = "the server can't store messages at the moment".to_owned();
            let hint =
                "What you write is kept and sent when it can. Its operator's trace says why.";
            let (target, code, hint) = (self.target(), code::NOT_STORED, hint.to_owned());
            now.shared.pen.event(Event::Waiting { target, code, message, hint });
        }
    }

    /// The log must show what the relay says is in it.
    fn acked(&mut self, now: &mut Now<'_>, id: MessageId, seq: Seq) {
        self.notes.unstored = false;
        self.timers.mark_at = None;
        self.marks.written();
        let is_news = self.outbox.find(id).is_some_and(|mine| self.is_news(now, mine));
        if self.outbox.ack(id, seq) && is_news {
            now.shared.pen.event(Event::Ack { id, seq });
        }
        self.expect(now, seq);
        self.check_shown(now);
    }

    /// A message that the relay has acknowledged stands at its place, or the relay has lied.
    pub(crate) fn check_shown(&mut self, now: &mut Now<'_>) {
        let Some(read) = self.group.as_ref().and_then(Group::seen) else { return };
        while self.outbox.take_unshown(read.seq).is_some() {
            let message = "the relay has acknowledged a message and does not show it in the log";
            self.alarm(now, AlarmCode::HeldBack, message, ASK_OPERATOR);
        }
    }

    fn send_later(&mut self, now: &mut Now<'_>, id: MessageId, retry_ms: u32) {
        self.outbox.again(id);
        self.outbox.pause();
        self.timers.retry(now.time, retry_ms, now.rng);
    }

    /// The pause is over.
    pub(crate) fn send_on(&mut self, now: &mut Now<'_>) {
        if self.outbox.resume() {
            self.flush(now);
        } else {
            self.timers.retry(now.time, 0, now.rng);
        }
    }

    fn refused(&mut self, now: &mut Now<'_>, id: MessageId, refusal: &Refusal) {
        let mine = self.outbox.find(id).filter(|mine| !mine.refused);
        let is_news = mine.is_some_and(|mine| self.is_news(now, mine));
        let part = mine.filter(|mine| mine.part().is_some()).map(|mine| mine.content.clone());
        if !self.outbox.refuse(&mut now.shared.pen, id) {
            return;
        }
        let why = format!("the server refused the message: {refusal}");
        let hint = "Run 'openchat status', then send it again.";
        let failure = match refusal {
            Refusal::Quota(quota) => Failure::no_room(*quota),
            _ => Failure::new(code::REFUSED, why, hint),
        };
        if let Some(part) = part {
            self.part_refused(now, &part, failure);
        } else if is_news {
            self.fail_text(now, id, failure);
        }
    }

    /// What was written can't be sent.
    pub(crate) fn fail_text(&self, now: &mut Now<'_>, id: MessageId, failure: Failure) {
        now.shared.pen.event(failure.event(None, Some(id), Some(self.target())));
    }

    /// Refused messages whose place in the log can't come any more are forgotten.
    pub(crate) fn forget_refused(&mut self, now: &mut Now<'_>) {
        let Some(group) = &self.group else { return };
        let me = now.shared.me;
        let is_over = |outgoing: &Outgoing| {
            let header = outgoing.sealed.as_ref().and_then(header);
            !self.uploads.needs(outgoing)
                && header.is_none_or(|header| group.roster().check_message(&header, &me).is_err())
        };
        self.outbox.forget_refused(&mut now.shared.pen, is_over);
    }

    fn is_stale(&self, now: &Now<'_>, id: MessageId) -> bool {
        let header = self.outbox.sealed(id).and_then(header);
        let roster = self.group.as_ref().map(Group::roster);
        let (Some(header), Some(roster)) = (header, roster) else { return true };
        roster.check_message(&header, &now.shared.me) == Err(MessageFault::Stale)
    }
}

fn header(sealed: &Blob) -> Option<MessageHeader> {
    match LogEntry::decode(&sealed.0) {
        Ok(LogEntry::Message(message)) => Some(message.header),
        _ => None,
    }
}

/// A later key of the same ratchet is in the log: readers have deleted this one.
fn is_overtaken(header: &MessageHeader, (epoch, generation): crate::conversation::Logged) -> bool {
    header.epoch == epoch && header.generation < generation
}

#[cfg(test)]
mod tests {
    use openchat_wire::limits::MAX_FORWARD_SKIP;

    use super::MAX_IN_FLIGHT;
    use crate::timers::HEAL_MESSAGES;

    #[test]
    fn a_reader_skips_all_that_a_sender_says_in_one_epoch() {
        let under_way = u64::try_from(MAX_IN_FLIGHT).unwrap();
        assert!(HEAL_MESSAGES * 12 / 10 + under_way <= u64::from(MAX_FORWARD_SKIP));
    }
}
