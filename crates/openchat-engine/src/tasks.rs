//! What a conversation was ordered to do, one commit each: whom to bring in or remove, what to
//! change. An order is done when the log shows that it is so, by whoever's commit.

use std::collections::VecDeque;

use openchat_group::{CommitError, Proposal};
use openchat_roster::{CommitFault, Policy, Reason, Role, Roster, Rules};
use openchat_wire::{Fingerprint, Name, UnixMillis};

use crate::{
    command::Bring,
    conversation::{Conversation, Intent, Stage, Wish},
    event::Event,
    failure::Failure,
    people::Prospect,
    shared::Now,
};

/// Commits for one order that the relay may call invalid before it is given up.
const MAX_REFUSALS: u32 = 3;

/// With whom a group begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Founding {
    pub(crate) people: Vec<Prospect>,
    /// There is no such group yet, says the relay.
    pub(crate) sought: bool,
    /// It must not be there yet: somebody else's is no answer to the order.
    pub(crate) must_be_new: bool,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Whom to tell; `None` for what the device does by itself.
    pub(crate) order: Option<u64>,
    pub(crate) deed: Deed,
    refusals: u32,
    /// Whom it removes was there since it was ordered: a name that nobody has is not removed.
    met: bool,
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Bring(Box<Prospect>),
    Kick(Name),
    Role(Name, Role),
    Rules(Rules),
    Rejoin,
}

/// How things stand with a task.
enum Outlook {
    Done,
    Open,
    Hopeless(Failure),
}

impl Founding {
    pub(crate) fn is_ready(&self) -> bool {
        self.sought && self.people.iter().all(Prospect::is_ready)
    }
}

impl Task {
    pub(crate) const fn new(order: Option<u64>, deed: Deed) -> Self {
        Self { order, deed, refusals: 0, met: false }
    }

    /// Looks for whom it removes.
    fn look(&mut self, roster: &Roster) {
        if let Deed::Kick(who) = &self.deed {
            self.met |= seated_or_admitted(roster, who).is_some();
        }
    }

    fn is_ready(&self) -> bool {
        match &self.deed {
            Deed::Bring(prospect) => prospect.is_ready(),
            _ => true,
        }
    }

    /// Judged on the group as it is: what is so already, by whosever commit, is done.
    fn outlook(&self, roster: &Roster, me: &Fingerprint) -> Outlook {
        let is_admin = roster.seat(me).is_some_and(|seat| seat.role == Role::Admin);
        let is_direct = roster.policy().is_some_and(Policy::is_direct);
        let rules = |allowed: bool| match (is_direct, allowed) {
            (true, _) => Outlook::Hopeless(Failure::direct()),
            (false, true) => Outlook::Open,
            (false, false) => Outlook::Hopeless(Failure::admins_only()),
        };
        match &self.deed {
            Deed::Bring(prospect) => outlook_of(prospect, roster, me, is_direct),
            Deed::Kick(who) if seated_or_admitted(roster, who).is_none() => {
                if self.met {
                    Outlook::Done
                } else {
                    Outlook::Hopeless(Failure::not_there(who))
                }
            }
            Deed::Role(who, role) => match roster.seat_named(who) {
                None => Outlook::Hopeless(Failure::not_there(who)),
                Some(seat) if seat.role == *role => Outlook::Done,
                // The group would make the longest-seated member an admin: perhaps this one again.
                Some(_)
                    if is_admin && *role == Role::Member && roster.admins().nth(1).is_none() =>
                {
                    Outlook::Hopeless(Failure::last_admin(who))
                }
                Some(_) => rules(is_admin),
            },
            Deed::Rules(new) if roster.policy().is_some_and(|policy| policy.rules == *new) => {
                Outlook::Done
            }
            Deed::Kick(_) | Deed::Rules(_) => rules(is_admin),
            Deed::Rejoin => Outlook::Open,
        }
    }

    fn proposal(&self, roster: &Roster) -> Proposal {
        let mut proposal = Proposal::default();
        match &self.deed {
            Deed::Bring(prospect) => prospect.propose(&mut proposal),
            Deed::Kick(who) => {
                let who = seated_or_admitted(roster, who);
                proposal.removes.extend(who.map(|who| (who, Reason::Evicted)));
            }
            Deed::Role(who, role) => {
                let seat = roster.seat_named(who);
                proposal.roles.extend(seat.map(|seat| (seat.fingerprint, *role)));
            }
            Deed::Rules(rules) => proposal.rules = Some(*rules),
            Deed::Rejoin => {}
        }
        proposal
    }
}

fn outlook_of(prospect: &Prospect, roster: &Roster, me: &Fingerprint, is_direct: bool) -> Outlook {
    let Prospect { name, how, key, .. } = prospect;
    let is_invited = *how == Bring::Invite && admitted(roster, name).is_some();
    if roster.seat_named(name).is_some() || is_invited {
        return Outlook::Done;
    }
    let Some(key) = key.map(|key| key.fingerprint()) else { return Outlook::Open };
    if is_direct && (*how == Bring::Invite || !roster.policy().is_some_and(|it| it.is_peer(&key))) {
        return Outlook::Hopeless(Failure::direct());
    }
    let is_admin = roster.seat(me).is_some_and(|seat| seat.role == Role::Admin);
    if roster.is_denied(&key, name) && !is_admin {
        return Outlook::Hopeless(Failure::denied(name));
    }
    if roster.may_invite(me) { Outlook::Open } else { Outlook::Hopeless(Failure::admins_only()) }
}

fn admitted(roster: &Roster, name: &Name) -> Option<Fingerprint> {
    roster.all_admitted().find(|admitted| admitted.name == *name).map(|it| it.fingerprint)
}

fn seated_or_admitted(roster: &Roster, name: &Name) -> Option<Fingerprint> {
    let seat = roster.seat_named(name).map(|seat| seat.fingerprint);
    seat.or_else(|| admitted(roster, name))
}

impl Conversation {
    /// Something to do, when its turn comes.
    pub(crate) fn take_task(&mut self, now: &mut Now<'_>, order: Option<u64>, deed: Deed) {
        if matches!(deed, Deed::Rejoin) {
            self.progress.cloned = false;
            self.accused.remove(&now.shared.me);
            self.dirty = true;
            self.tasks.push_front(Task::new(order, deed));
        } else {
            self.tasks.push_back(Task::new(order, deed));
        }
        self.work(now);
    }

    /// Does what can be done next: an order, somebody's removal at its own wish, or a renewal.
    pub(crate) fn work(&mut self, now: &mut Now<'_>) {
        if self.stage != Stage::Live {
            return;
        }
        self.plan_claim(now);
        self.bring_peer_back(now);
        self.settle_tasks(now);
        self.prepare(now);
        if let Some(intent) = self.next_intent(now) {
            self.intend(now, intent);
        }
    }

    fn next_intent(&self, now: &Now<'_>) -> Option<Intent> {
        let group = self.group.as_ref()?;
        if group.pending().is_some() || self.intent.is_some() || self.timers.work_at.is_some() {
            return None;
        }
        let front = self.tasks.front();
        if front.is_some_and(|task| matches!(task.deed, Deed::Rejoin)) {
            return Some(Intent::Rejoin);
        }
        if !self.may_commit() {
            return None;
        }
        let is_due = |at: UnixMillis| at <= now.time;
        let heals = is_due(self.timers.heal_at) || self.progress.sent >= self.timers.heal_messages;
        if self.is_revocation_due(now.time) {
            Some(Intent::Revoked)
        } else if front.is_some_and(Task::is_ready) {
            Some(Intent::Task)
        } else if self.next_leave().is_some_and(is_due) {
            Some(Intent::Leaves)
        } else if heals || self.timers.claim_at.is_some_and(is_due) {
            Some(Intent::Update)
        } else {
            None
        }
    }

    /// Tells of tasks that are done, and of those that can't be.
    fn settle_tasks(&mut self, now: &mut Now<'_>) {
        if let Some(group) = &self.group {
            self.tasks.iter_mut().for_each(|task| task.look(group.roster()));
        }
        while let (Some(task), Some(group)) = (self.tasks.front(), &self.group) {
            let (order, outlook) = (task.order, task.outlook(group.roster(), &now.shared.me));
            match outlook {
                Outlook::Open => return,
                Outlook::Done => self.done(now, order),
                Outlook::Hopeless(failure) => self.report(now, order, failure),
            }
            self.tasks.pop_front();
        }
    }

    pub(crate) fn done(&self, now: &mut Now<'_>, order: Option<u64>) {
        if let Some(order) = order {
            now.shared.pen.event(Event::Done { order, target: self.target() });
        }
    }

    /// Tells of a failure. What nobody has ordered is told too.
    pub(crate) fn report(&self, now: &mut Now<'_>, order: Option<u64>, failure: Failure) {
        now.shared.pen.event(failure.event(order, None, Some(self.target())));
    }

    /// This device's rejoin is in the log.
    pub(crate) fn rejoined(&mut self, now: &mut Now<'_>) {
        let is_rejoin = |task: &Task| matches!(task.deed, Deed::Rejoin);
        let (done, left) = self.tasks.drain(..).partition(is_rejoin);
        self.tasks = left;
        let done: VecDeque<Task> = done;
        for task in done {
            self.done(now, task.order);
        }
    }

    /// What the first task wants of the group.
    pub(crate) fn task_proposal(&self) -> Option<Proposal> {
        let roster = self.group.as_ref()?.roster();
        Some(self.tasks.front()?.proposal(roster))
    }

    /// The commit for the first task can't be made, or the relay calls it invalid.
    pub(crate) fn task_refused(&mut self, now: &mut Now<'_>, why: &str, is_final: bool) {
        let made = self.made;
        let Some(task) = self.tasks.front_mut() else { return };
        if matches!(task.deed, Deed::Rejoin) != (made == Some(Intent::Rejoin)) {
            return;
        }
        task.refusals = task.refusals.saturating_add(1);
        if is_final || task.refusals >= MAX_REFUSALS {
            let order = task.order;
            self.tasks.pop_front();
            self.report(now, order, Failure::refused(why));
        }
    }

    /// The group can't begin.
    pub(crate) fn never_begins(&mut self, now: &mut Now<'_>, failure: &Failure) {
        self.founding = None;
        self.fail_texts(now, failure);
        self.fail_arrivals(now, failure);
        self.withdraw(now);
    }

    /// Not all of these can be made: what the group does not allow now, it may later.
    pub(crate) fn commit_failed(&mut self, now: &mut Now<'_>, intent: Intent, error: CommitError) {
        let is_passing =
            matches!(error, CommitError::Fault(CommitFault::Head | CommitFault::Place));
        match intent {
            Intent::Task => self.task_refused(now, &error.to_string(), !is_passing),
            Intent::Leaves => self.postpone_leaves(now),
            Intent::Revoked => self.postpone_revocations(now),
            Intent::Create => {
                let failure = Failure::refused(&error.to_string());
                return self.never_begins(now, &failure);
            }
            _ => {}
        }
        self.timers.retry(now.time, 1_000, now.rng);
    }

    /// Whether this device's commits are welcome: it is up to date, wants to stay, and is nobody's
    /// copy.
    pub(crate) fn may_commit(&self) -> bool {
        let Some(group) = &self.group else { return false };
        let is_free = group.pending().is_none() && self.intent.is_none();
        let stays = self.card.wish == Wish::In && !self.progress.cloned;
        self.stage == Stage::Live && is_free && stays && !group.is_left_behind()
    }
}
