//! What a commit in the log means for this device, and for the people who are to hear of it.

use openchat_group::{self as group, CommitOutcome, Effect, Group, LetterFault, PrivateFault, Why};
use openchat_roster::{Claim, CommitEntry, CommitFault, LogEntry, Naming, Role};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, Name, Seq};

use crate::{
    alarms::COPIED,
    conversation::{About, Conversation, Intent, Stage, Wish},
    event::{AlarmCode, Change, Event},
    heads::{Said, Testimony},
    inbox::Keys,
    invitations::change_of,
    membership::ANOTHER_COPY,
    reading::UPDATE,
    record::Key,
    shared::{ASK_OPERATOR, Ask, Now},
};

/// A commit that counts.
struct News {
    author: Name,
    fingerprint: Fingerprint,
    changes: Vec<group::Change>,
    effect: Effect,
}

impl Conversation {
    pub(crate) fn take_commit(
        &mut self,
        now: &mut Now<'_>,
        seq: Seq,
        commit: &CommitEntry,
        bytes: &Blob,
    ) {
        self.take_up(now, bytes);
        let unclaimed = self.unclaimed_by(&now.shared.me);
        let Some(group) = &mut self.group else { return };
        let had_pending = group.pending().is_some();
        let keys = Keys { prekeys: &now.shared.prekeys, inbox: &now.shared.inbox, seq };
        let outcome = group.commit(commit, &keys);
        self.dirty = true;
        match outcome {
            // An operation that came later looks like this, and whoever skips it is lost.
            CommitOutcome::Invalid(CommitFault::Encoding(_)) => {
                let message = "the log has a commit of no known kind";
                self.halt(now, AlarmCode::UnknownEntry, message, UPDATE);
            }
            CommitOutcome::Invalid(fault) => {
                let message = format!("the relay logged a commit that is invalid: {fault}");
                self.alarm(now, AlarmCode::InvalidCommit, &message, ASK_OPERATOR);
            }
            CommitOutcome::Valid { author, fingerprint, changes, effect } => {
                self.progress.last_commit = seq;
                self.forget_given_up(now);
                self.store_commit(now, seq, bytes);
                if changes.iter().any(|change| calls(change, &now.shared.me)) {
                    self.calls.note(seq, fingerprint);
                }
                let news = News { author, fingerprint, changes, effect };
                let lost = had_pending && news.effect != Effect::Own;
                if lost {
                    self.lost_race(now);
                }
                self.tell(now, &news);
                self.plan_revocations(now);
                self.react(now, news, unclaimed);
                self.forget_marks_of_the_gone(now);
            }
        }
    }

    /// The prekey with which this device was added, while its leaf is not its own.
    pub(crate) fn unclaimed_by(&self, me: &Fingerprint) -> Option<Digest> {
        match self.seat(me)?.claim {
            Claim::Unclaimed(unclaimed) => Some(unclaimed.prekey_hash),
            Claim::Claimed | Claim::Half => None,
        }
    }

    fn store_commit(&mut self, now: &mut Now<'_>, seq: Seq, bytes: &Blob) {
        let Some(id) = self.id() else { return };
        now.shared.pen.put_bytes(Key::commit(id, seq), bytes.0.clone());
        // Until it is known whether this device gets in.
        if self.card.wish == Wish::Told || matches!(self.stage, Stage::Reading { .. }) {
            self.provisional.push(seq);
        }
    }

    /// Another commit took the place that this device's was made for. What it wanted is looked at
    /// anew, but not by all losers at the same moment.
    fn lost_race(&mut self, now: &mut Now<'_>) {
        if self.stage != Stage::Live {
            return;
        }
        if self.made == Some(Intent::Update)
            && self.seat(&now.shared.me).is_some_and(|it| it.claim != Claim::Claimed)
        {
            self.timers.lost_claim(now.time, now.rng);
        } else {
            self.timers.lost_order(now.time, now.rng);
        }
    }

    /// Tells what others did, and what this device's own commits did to others.
    fn tell(&mut self, now: &mut Now<'_>, news: &News) {
        let Some(group) = &self.group else { return };
        let (epoch, count) = (group.roster().epoch(), group.roster().tree().members());
        let head = *group.roster().head();
        if news.fingerprint != now.shared.me {
            let said = Said::Named(head);
            now.shared.compare(Testimony::new(self.target(), news.author.clone(), said));
        }
        for change in &news.changes {
            self.note_inviter(now, news, change);
            if self.is_reading_all() {
                self.tell_change(now, news, change, (epoch, count));
            }
        }
    }

    fn tell_change(
        &self,
        now: &mut Now<'_>,
        news: &News,
        change: &group::Change,
        (epoch, count): (Epoch, u32),
    ) {
        let target = self.target();
        if let group::Change::Rules(rules) = change {
            let (rules, by) = (*rules, news.author.clone());
            return now.shared.pen.event(Event::Rules { target, rules, by });
        }
        let is_own_wish = is_own_wish(change);
        let Some((name, change)) = member_change(now, news, change) else { return };
        let is_mine = news.fingerprint == now.shared.me;
        // That this device came in or back is told by `Ready`.
        if is_mine && name == news.author && matches!(change, Change::Joined | Change::Rejoined) {
            return;
        }
        let by = (name != news.author && !is_own_wish).then(|| news.author.clone());
        now.shared.pen.event(Event::Member { target, name, change, by, epoch, count });
    }

    fn note_inviter(&mut self, now: &Now<'_>, news: &News, change: &group::Change) {
        use group::Change as Did;
        let (Did::Added { fingerprint, .. } | Did::Admitted { fingerprint, .. }) = change else {
            return;
        };
        if *fingerprint == now.shared.me {
            self.card.inviter = Some(news.author.clone());
            self.card_dirty = true;
        }
    }

    pub(crate) fn is_reading_all(&self) -> bool {
        !matches!(self.stage, Stage::Reading { .. })
    }

    /// What a valid commit means for what this device does next.
    fn react(&mut self, now: &mut Now<'_>, news: News, unclaimed: Option<Digest>) {
        let News { author, changes, effect, .. } = news;
        match effect {
            Effect::Watched | Effect::LeftBehind(PrivateFault::Behind) => {}
            Effect::Own => self.won(now, unclaimed),
            Effect::Followed { back } => {
                self.timers.rejoin_at = None;
                if back {
                    self.ask_for_missed(now);
                }
            }
            Effect::Added { naming } => self.name_known(now, naming),
            Effect::Invited(invitation) => self.invitation_read(now, &author, invitation),
            Effect::LeftBehind(fault) => self.left_behind(now, &author, fault),
            Effect::NotMine => self.not_mine(now, false),
            Effect::Reseated => self.not_mine(now, true),
            Effect::Removed => {
                let why = why_removed(&changes, &now.shared.me);
                return self.gone(now, why, Some(author));
            }
        }
        self.settle_leaves(now);
        if self.stage == Stage::Live {
            self.come_back_if_left_behind(now);
            self.flush(now);
            self.work(now);
        }
    }

    /// This device's own commit is in the log.
    fn won(&mut self, now: &mut Now<'_>, unclaimed: Option<Digest>) {
        self.timers.rejoin_at = None;
        self.timers.won();
        let me = now.shared.me;
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        let Some(seat) = roster.seat(&me) else { return };
        let (is_claimed, came_back) = (!seat.is_unclaimed(), seat.since == roster.epoch());
        let renewed = roster.tree().leaf(seat.slot).is_some_and(|leaf| leaf.owner == me);
        if let Some(hash) = unclaimed.filter(|_| is_claimed) {
            now.shared.prekeys.claimed(&mut now.shared.pen, &hash);
        }
        if renewed {
            self.progress.healed_at = now.time;
            self.progress.sent = 0;
            self.timers.claim_at = None;
            self.timers.healed(now.time, now.rng);
            now.shared.prekeys.renew();
        }
        if came_back {
            self.rejoined(now);
            self.ask_for_missed(now);
            self.ask_for_name(now);
        }
    }

    /// Makes the leaf this device's own, as soon as it is not the only one that does.
    pub(crate) fn plan_claim(&mut self, now: &mut Now<'_>) {
        let is_unclaimed =
            self.seat(&now.shared.me).is_some_and(|seat| seat.claim != Claim::Claimed);
        if is_unclaimed && self.may_commit() {
            let unclaimed = self.group.as_ref().map_or(0, |group| group.roster().unclaimed());
            self.timers.claim(unclaimed, now.time, now.rng);
        }
    }

    /// What a closed group is called: said by whoever brought this device in, or told again later.
    pub(crate) fn name_known(&mut self, now: &mut Now<'_>, naming: Option<Naming>) {
        if let (Some(naming), About::Closed(None) | About::Unknown) = (naming, &self.card.about) {
            self.set_about(now, About::Closed(Some(naming)));
        }
    }

    /// K3: the inviter has signed another history than the relay shows, so that one of the two is
    /// not to be followed. Another name than the group's is the inviter's own lie, whom the relay
    /// could not have forged.
    fn invitation_read(
        &mut self,
        now: &mut Now<'_>,
        author: &Name,
        invitation: Result<Option<Naming>, LetterFault>,
    ) {
        match invitation {
            Ok(naming) => self.name_known(now, naming),
            Err(LetterFault::Commit) => {
                let message =
                    format!("{author}'s invitation speaks of another history than the relay shows");
                self.halt(now, AlarmCode::HistoryFork, &message, ASK_OPERATOR);
            }
            Err(LetterFault::Naming) => {
                let message = format!("{author}'s invitation gives the group another name");
                let hint = "It was ignored; you may come in all the same. Ask them what it means.";
                self.alarm(now, AlarmCode::BadCommit, &message, hint);
            }
            // Without its letter an admission is one all the same.
            Err(_) => {}
        }
    }

    fn left_behind(&mut self, now: &mut Now<'_>, author: &Name, fault: PrivateFault) {
        // A letter that is missing, or a prekey that is gone, is nobody's fault in public.
        if !fault.is_authors() || !self.is_reading_all() {
            return;
        }
        let message = format!("{author}'s commit does not add up ({fault}); this device rejoins");
        let hint = "Nothing is lost: what you type is sent when this device is back.";
        self.alarm(now, AlarmCode::BadCommit, &message, hint);
        let Some(group) = &self.group else { return };
        let notice = group.notice(&now.shared.device.key);
        let entry = Blob(LogEntry::Notice(notice).to_bytes());
        self.append(now, Ask::Courtesy, entry, Vec::new());
    }

    /// A commit of this identity that this device never made. While reading the past without
    /// secrets it is its own old seat, whose secrets are lost; otherwise somebody has a copy.
    fn not_mine(&mut self, now: &mut Now<'_>, reseated: bool) {
        if !self.is_reading_all() {
            return;
        }
        if reseated {
            self.progress.cloned = true;
        }
        let message =
            if reseated { COPIED } else { "a commit in your name was not made by this device" };
        self.alarm(now, AlarmCode::Clone, message, ANOTHER_COPY);
    }
}

/// Whether somebody was added or admitted.
fn calls(change: &group::Change, whom: &Fingerprint) -> bool {
    use group::Change as Did;
    matches!(change, Did::Added { fingerprint, .. } | Did::Admitted { fingerprint, .. } if fingerprint == whom)
}

/// Whether somebody refused an invitation: whose commit has seen to it has decided nothing.
const fn is_own_wish(change: &group::Change) -> bool {
    matches!(change, group::Change::Struck { why: Why::Left, .. })
}

/// A change of somebody's part, and whose.
fn member_change(now: &Now<'_>, news: &News, change: &group::Change) -> Option<(Name, Change)> {
    use group::Change as Did;
    Some(match change {
        Did::Created | Did::Joined => (news.author.clone(), Change::Joined),
        Did::Rejoined => (news.author.clone(), Change::Rejoined),
        Did::Claimed(name) => (name.clone(), Change::Claimed),
        Did::Struck { name, why: Why::Evicted | Why::Left, .. } => (name.clone(), Change::Declined),
        Did::Removed { name, why, .. } | Did::Struck { name, why, .. } => {
            (name.clone(), change_of(*why))
        }
        Did::Added { name, .. } => (name.clone(), Change::Added),
        Did::Admitted { name, .. } => (name.clone(), Change::Invited),
        Did::Lifted { fingerprint } => (now.shared.certified(fingerprint)?, Change::Lifted),
        Did::Role { name, role: Role::Admin, .. } => (name.clone(), Change::Admin),
        Did::Role { name, role: Role::Member, .. } => (name.clone(), Change::Member),
        Did::Updated | Did::Rules(_) => return None,
    })
}

fn why_removed(changes: &[group::Change], me: &Fingerprint) -> Change {
    let why = |change: &group::Change| match change {
        group::Change::Removed { fingerprint, why, .. } if fingerprint == me => {
            Some(change_of(*why))
        }
        _ => None,
    };
    changes.iter().find_map(why).unwrap_or(Change::Removed)
}
