//! What reaches the session's own front end, and what is remembered of that.

use super::{Front, Reading, Report, Session, SessionError};
use openchat_engine::{ConversationKind, Event, MemberChange, StoredMessage, Target};
use openchat_wire::{GroupId, Seq};

/// Stored messages shown at once.
const PAGE: u32 = 500;

impl Session {
    /// Takes note of conversations that were read to their ends, or ended. Into some of them this
    /// device was put by somebody else, which the engine tells by this alone.
    pub(super) fn note_ready(&mut self, front: &impl Front) {
        let mut ready = Vec::new();
        for report in &self.reports {
            match report {
                Report::Event(Event::Ready { target, .. }) => ready.push(target.clone()),
                Report::Event(Event::Gone { target, .. }) => {
                    self.seated.remove(target);
                    self.live.remove(target);
                }
                _ => {}
            }
        }
        for target in ready {
            self.live.insert(target.clone());
            let is_new = self.seated.insert(target.clone());
            let is_opening = self.unanswered.opens_any() || self.guests.opens_any();
            if is_new && !front.shows(&target) && !is_opening {
                self.reports.extend(self.added(target));
            }
        }
    }

    fn added(&self, target: String) -> Option<Report> {
        let summary = self.engine.conversation(&target.parse().ok()?)?;
        let by = summary.inviter.filter(|_| summary.kind != ConversationKind::Direct)?;
        Some(Report::Event(Event::Member {
            target,
            name: self.me.clone(),
            change: MemberChange::Added,
            by: Some(by),
            epoch: summary.epoch,
            count: u32::try_from(summary.members.len()).unwrap_or(u32::MAX),
        }))
    }

    /// Opens a conversation: first what waits in the vault, which this turn's news follow.
    pub(super) fn show_waiting(
        &mut self,
        target: &Target,
        front: &mut impl Front,
    ) -> Result<(), SessionError> {
        let found = self.engine.conversation(target);
        let called = found.as_ref().map_or(target, |summary| &summary.target).to_string();
        if self.reading == Reading::Nothing {
            self.reading = Reading::Opened;
        }
        front.opened(&called);
        let Some(group) = found.and_then(|summary| summary.group) else { return Ok(()) };
        if front.shows(&called) {
            self.tell_unshown(&group, &called, front)?;
        }
        while front.shows(&called) {
            let messages = match self.places.get(&called) {
                Some(place) => self.vault.after(&group, *place, PAGE)?,
                None => self.vault.unshown(&group, PAGE)?,
            };
            let Some(last) = messages.last().map(|message| message.seq) else { break };
            let named = |message| StoredMessage { target: called.clone(), ..message };
            let reports = messages.into_iter().map(named).map(Event::Message).map(Report::Event);
            self.show(&reports.collect::<Vec<_>>(), front)?;
            self.vault.mark_shown(&[(group, last)])?;
            if let Some(place) = self.places.get_mut(&called) {
                *place = last;
            }
        }
        self.places.remove(&called);
        Ok(())
    }

    pub(super) fn show(
        &mut self,
        reports: &[Report],
        front: &mut impl Front,
    ) -> Result<(), SessionError> {
        let queued = self.engine.queued();
        front.show(reports).map_err(|cause| SessionError::Front { cause, queued })?;
        Ok(self.vault.mark_shown(&shown(reports, front))?)
    }
}

pub(super) fn is_ready(report: &Report, front: &impl Front) -> bool {
    matches!(report, Report::Event(Event::Ready { target, .. }) if front.shows(target))
}

/// The newest place shown of each conversation.
fn shown(reports: &[Report], front: &impl Front) -> Vec<(GroupId, Seq)> {
    let mut places: Vec<(GroupId, Seq)> = Vec::new();
    for report in reports {
        let Report::Event(Event::Message(message)) = report else { continue };
        if !front.shows(&message.target) {
            continue;
        }
        match places.iter_mut().find(|(group, _)| *group == message.group) {
            Some((_, seq)) => *seq = message.seq.max(*seq),
            None => places.push((message.group, message.seq)),
        }
    }
    places
}
