//! How a conversation commits: it wants to, asks for a transparency head to name, makes the commit,
//! stores it, sends it, and sends it again until the log shows what became of its place.

use openchat_group::{CommitError, Group, Pending, Proposal};
use openchat_roster::{Naming, Policy, Reason};
use openchat_wire::{
    Blob,
    relay::{Answer, Letter, Quota, Refusal},
};

use crate::{
    conversation::{About, Conversation, Intent, Stage},
    failure::Failure,
    people::Prospect,
    record::Key,
    shared::{Ask, Now},
};

/// Refused commits kept for one place. Each further try takes some seconds, so an honest relay
/// has long shown what became of the first.
const MAX_GIVEN_UP: usize = 4;

impl Conversation {
    /// Commits as soon as there is a fresh transparency head to name.
    pub(crate) fn intend(&mut self, now: &mut Now<'_>, intent: Intent) {
        if self.intent.is_none() {
            self.intent = Some(intent);
            self.head_asked = Some(now.shared.read_log());
        }
    }

    /// The head has come: makes the commit, stores it, sends it.
    pub(crate) fn commit_intended(&mut self, now: &mut Now<'_>) {
        let Some(intent) = self.intent.take() else { return };
        if !self.still_wants(now, intent) {
            return self.work(now);
        }
        self.dirty = true;
        match self.make_commit(now, intent) {
            Some(Ok(())) => self.resend_commit(now),
            Some(Err(error)) => self.commit_failed(now, intent, error),
            None => {
                self.postpone(now, Some(intent));
                self.timers.retry(now.time, 1_000, now.rng);
            }
        }
    }

    /// What others may do as well is not tried again at once.
    fn postpone(&mut self, now: &mut Now<'_>, intent: Option<Intent>) {
        match intent {
            Some(Intent::Revoked) => self.postpone_revocations(now),
            Some(Intent::Leaves) => self.postpone_leaves(now),
            _ => {}
        }
    }

    /// Whether what was intended when the head was asked for still makes sense.
    fn still_wants(&self, now: &Now<'_>, intent: Intent) -> bool {
        match intent {
            Intent::Create => self.stage == Stage::Finding,
            Intent::Join => matches!(self.stage, Stage::Reading { complete: true }),
            Intent::Rejoin => self.may_rejoin(),
            Intent::Update => self.may_commit(),
            Intent::Task => self.may_commit() && !self.tasks.is_empty(),
            Intent::Leaves => {
                let is_due = self.next_leave().is_some_and(|at| at <= now.time);
                self.may_commit() && is_due
            }
            Intent::Revoked => self.may_commit() && self.is_revocation_due(now.time),
        }
    }

    fn make_commit(
        &mut self,
        now: &mut Now<'_>,
        intent: Intent,
    ) -> Option<Result<(), CommitError>> {
        if intent == Intent::Create {
            return self.create(now);
        }
        let proposal = match intent {
            Intent::Task => self.task_proposal()?,
            Intent::Leaves => self.leaves_proposal(now),
            Intent::Revoked => self.revocations_proposal(now)?,
            _ => Proposal::update(),
        };
        let naming = self.naming().cloned();
        let replaces = self.replaced(now);
        let author = now.shared.author()?;
        let (group, mut rng) = (self.group.as_mut()?, &mut *now.rng);
        let made = match intent {
            Intent::Join => group.join(&author, replaces, &mut rng),
            Intent::Rejoin => group.rejoin(&author, Vec::new(), &mut rng),
            _ => group.propose(&author, naming.as_ref(), proposal, &mut rng),
        };
        let made = made.map(|_| ());
        self.made = Some(intent);
        match intent {
            Intent::Join => self.stage = Stage::Joining,
            Intent::Update => self.timers.heal_tried(now.time, now.rng),
            _ => {}
        }
        Some(made)
    }

    fn create(&mut self, now: &mut Now<'_>) -> Option<Result<(), CommitError>> {
        let policy = self.first_policy(now)?;
        let mut proposal = Proposal::default();
        let people = self.founding.iter().flat_map(|founding| &founding.people);
        people.for_each(|person: &Prospect| person.propose(&mut proposal));
        let naming: Option<Naming> = self.naming().cloned();
        let author = now.shared.author()?;
        match Group::create(&author, policy, naming.as_ref(), proposal, &mut &mut *now.rng) {
            Ok(group) => {
                self.card.group = Some(*group.roster().group());
                self.group = Some(group);
            }
            Err(error) => return Some(Err(error)),
        }
        self.stage = Stage::Creating;
        self.card_dirty = true;
        now.shared.relabel = true;
        Some(Ok(()))
    }

    fn first_policy(&self, now: &Now<'_>) -> Option<Policy> {
        Some(match &self.card.about {
            About::Open(name) => Policy::open(name.clone()),
            About::Closed(naming) => Policy::closed(naming.as_ref()?),
            About::Direct(_) => Policy::direct(now.shared.me, self.peer?.fingerprint()),
            About::Former(_) | About::Unknown => return None,
        })
    }

    /// Those who have waited long enough.
    fn leaves_proposal(&self, now: &Now<'_>) -> Proposal {
        let due = self.leavers.iter().filter(|(_, leaver)| leaver.at <= now.time);
        let removes = due.map(|(who, leaver)| (*who, Reason::Left(leaver.entry.clone())));
        Proposal { removes: removes.collect(), ..Proposal::default() }
    }

    fn pending(&self) -> Option<(Blob, Vec<Letter>)> {
        let pending: &Pending = self.group.as_ref()?.pending()?;
        Some((pending.entry.clone(), pending.letters.clone()))
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.pending().is_some())
    }

    /// Sends the pending commit, if there is one, as the same bytes.
    pub(crate) fn resend_commit(&mut self, now: &mut Now<'_>) {
        if let Some((entry, letters)) = self.pending() {
            self.append(now, Ask::Commit, entry, letters);
        }
    }

    /// What the relay says about the pending commit. Only the log decides; this says where to look.
    pub(crate) fn commit_answered(&mut self, now: &mut Now<'_>, answer: Result<Answer, Refusal>) {
        match (answer, self.stage) {
            (Ok(Answer::Appended(seq)), Stage::Creating) => {
                self.expect(now, seq);
                self.tail(now);
            }
            (Ok(Answer::Appended(seq)), Stage::Joining) => {
                self.expect(now, seq);
                self.read_on(now);
            }
            (Err(Refusal::Conflict { seq, .. }), Stage::Joining) => {
                self.expect(now, seq);
                // Others are joining too: read what they did, but not all at the same moment.
                self.stage = Stage::Reading { complete: false };
                self.timers.lost_race(now.time, now.rng);
            }
            (Err(Refusal::NameTaken(id)), Stage::Creating) => self.name_taken(now, id),
            (Ok(Answer::Appended(seq)) | Err(Refusal::Conflict { seq, .. }), Stage::Live) => {
                self.expect(now, seq);
            }
            (Err(Refusal::Paced { retry_ms }), _) => {
                self.timers.retry(now.time, retry_ms, now.rng);
            }
            (Err(Refusal::Quota(quota)), _) => self.commit_has_no_room(now, quota),
            (
                Err(
                    refusal @ (Refusal::Invalid(_)
                    | Refusal::NoAccess
                    | Refusal::TooLarge
                    | Refusal::TooManyGroups(_)),
                ),
                _,
            ) => self.commit_refused(now, &refusal),
            (_, _) => self.timers.retry(now.time, 1_000, now.rng),
        }
    }

    /// An honest relay's "invalid" is final: the head was too old, for one. So the next try draws
    /// afresh; but only the log decides, and until the place is taken the commit may still show up.
    fn commit_refused(&mut self, now: &mut Now<'_>, refusal: &Refusal) {
        if self.stage == Stage::Creating {
            self.forget_group(now);
            self.stage = Stage::Finding;
        } else if self.give_up_pending(now) {
            self.postpone(now, self.made);
            if matches!(self.made, Some(Intent::Task | Intent::Rejoin)) {
                self.task_refused(now, &refusal.to_string(), false);
            }
        }
        self.timers.retry(now.time, 1_000, now.rng);
    }

    /// Puts the pending commit aside, for the case that the log shows it all the same.
    fn give_up_pending(&mut self, now: &mut Now<'_>) -> bool {
        let pending = self.group.as_mut().and_then(Group::drop_pending);
        let Some(pending) = pending else { return false };
        self.dirty = true;
        if self.given_up.len() >= MAX_GIVEN_UP {
            self.given_up.remove(0);
        }
        self.given_up.push(pending);
        self.save_given_up(now);
        true
    }

    /// The relay has no room for whoever it brings in. That is for the operator to change, so it is not
    /// tried again by itself; what heals the group is never refused like this.
    fn commit_has_no_room(&mut self, now: &mut Now<'_>, quota: Quota) {
        let failure = Failure::no_room(quota);
        let founds = self.stage == Stage::Creating;
        if founds {
            self.forget_group(now);
        } else {
            self.give_up_pending(now);
        }
        if founds || self.stage == Stage::Joining {
            return self.never_begins(now, &failure);
        }
        if let Some(task) = self.tasks.pop_front() {
            self.report(now, task.order, failure.clone());
        }
        if self.is_alone() {
            self.fail_texts(now, &failure);
        }
        self.timers.retry(now.time, 1_000, now.rng);
    }

    /// The log shows a commit. If it is one that was given up, it counts as pending again.
    pub(crate) fn take_up(&mut self, now: &mut Now<'_>, entry: &Blob) {
        let found = self.given_up.iter().position(|pending| pending.entry == *entry);
        if let (Some(at), Some(group)) = (found, &mut self.group) {
            group.take_up(self.given_up.remove(at));
            self.save_given_up(now);
        }
    }

    /// The place is taken: nothing that was made for it can come any more.
    pub(crate) fn forget_given_up(&mut self, now: &mut Now<'_>) {
        if !core::mem::take(&mut self.given_up).is_empty() {
            self.save_given_up(now);
        }
    }

    fn save_given_up(&self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        match &self.given_up[..] {
            [] => now.shared.pen.delete(Key::given_up(id)),
            some => now.shared.pen.put(Key::given_up(id), &some),
        }
    }

    /// Waits a little for somebody's rejoin to bring this device back, then rejoins itself.
    pub(crate) fn come_back_if_left_behind(&mut self, now: &mut Now<'_>) {
        if self.may_rejoin() && self.is_left_behind() {
            self.timers.rejoin(now.time, now.rng);
        } else {
            self.timers.rejoin_at = None;
        }
    }

    pub(crate) fn is_left_behind(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_left_behind)
    }

    /// Whether this device could come back, and has not tried already: a second rejoin would
    /// replace the secrets of the first, which the log may be about to show.
    fn may_rejoin(&self) -> bool {
        let is_free = self.group.as_ref().is_some_and(|group| group.pending().is_none());
        self.stage == Stage::Live && is_free && !self.progress.cloned
    }
}
