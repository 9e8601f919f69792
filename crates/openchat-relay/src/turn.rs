//! When a group takes whose commit: paces, and places that are kept (R5 of `docs/protocol.md`).
//!
//! All of this is in memory only, and forgotten when the group is: what it holds back for a minute
//! is then held back for less.

use crate::pace::{Bucket, Buckets, Pace};
use core::time::Duration;
use openchat_roster::{Claim, Commit, Operation, Roster};
use openchat_wire::{
    Fingerprint, UnixMillis,
    limits::{JOIN_INTERVAL, KEPT_PLACE, NOTICE_MEMORY, SLOWEST_JOINS},
};
use std::collections::VecDeque;

/// Notices that are remembered: so many make the joins as slow as they get.
const NOTICES: usize = 6;

/// Whose pace a commit keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The newcomers', who place themselves.
    Join,
    /// That of those who were added.
    Claim,
    /// Its author's, for fresh keys.
    Renewal,
    /// Its author's, for all else.
    Change,
}

impl Turn {
    /// What a commit on top of this roster is.
    pub(crate) fn of(commit: &Commit, roster: &Roster) -> Self {
        let has = |is: fn(&Operation) -> bool| commit.operations.iter().any(is);
        let claims = roster.seat(&commit.author).is_some_and(|seat| seat.claim != Claim::Claimed);
        if has(|operation| matches!(operation, Operation::Join { .. })) {
            Self::Join
        } else if !has(|operation| {
            matches!(operation, Operation::Update | Operation::Rejoin { .. })
        }) {
            Self::Change
        } else if claims {
            Self::Claim
        } else {
            Self::Renewal
        }
    }

    /// Whether an attempt counts even if its checks fail: they may be costly. What many share is
    /// not spent by those who fail.
    pub(crate) const fn is_its_authors(self) -> bool {
        matches!(self, Self::Renewal | Self::Change)
    }
}

/// Whose lost removal it is that asks for the next place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Somebody's who is no admin.
    Member,
    /// An admin's, of people who go by themselves or whose keys were revoked.
    Admin,
    /// An admin's, of somebody against its will: no place of a member's holds it up.
    Eviction,
}

/// How fast a group takes commits right now.
#[derive(Debug)]
pub(crate) struct Turns {
    joins: Bucket,
    last_join: UnixMillis,
    /// When the newest notices came, the newest last.
    notices: VecDeque<UnixMillis>,
    claims: Bucket,
    renewals: Buckets<Fingerprint>,
    changes: Buckets<Fingerprint>,
    kept: Option<Kept>,
    keeps: Buckets<Fingerprint>,
    /// Of all who are no admins: who has several keys has one bucket still.
    members_keeps: Bucket,
    lost: Buckets<Fingerprint>,
    asks: Buckets<Fingerprint>,
}

/// The next place is this person's for a while.
#[derive(Debug, Clone, Copy)]
struct Kept {
    author: Fingerprint,
    claim: Keeping,
    since: UnixMillis,
}

impl Turns {
    /// Of a group that nobody has hurried.
    pub(crate) fn new() -> Self {
        Self {
            joins: Bucket::new(Pace::JOINS),
            last_join: UnixMillis(0),
            notices: VecDeque::new(),
            claims: Bucket::new(Pace::CLAIMS),
            renewals: Buckets::new(Pace::RENEWALS),
            changes: Buckets::new(Pace::CHANGES),
            kept: None,
            keeps: Buckets::new(Pace::KEPT),
            members_keeps: Bucket::new(Pace::KEPT),
            lost: Buckets::new(Pace::LOST),
            asks: Buckets::new(Pace::ASKS),
        }
    }

    /// Milliseconds until the group takes such a commit of this author: 0 is now.
    pub(crate) fn wait(&self, turn: Turn, author: &Fingerprint, now: UnixMillis) -> u32 {
        let wait = match turn {
            Turn::Join => self.joins.wait(1, now).max(self.slowed(now)),
            Turn::Claim => self.claims.wait(1, now),
            Turn::Renewal => self.renewals.wait(author, 1, now),
            Turn::Change => self.changes.wait(author, 1, now),
        };
        let kept = self.kept.filter(|kept| kept.author != *author);
        wait.max(kept.map_or(0, |kept| left(kept.since, KEPT_PLACE, now)))
    }

    /// Takes what [`wait`](Self::wait) said there is.
    pub(crate) fn take(&mut self, turn: Turn, author: Fingerprint, now: UnixMillis) {
        match turn {
            Turn::Join => {
                self.joins.take(1, now);
                self.last_join = now;
            }
            Turn::Claim => self.claims.take(1, now),
            Turn::Renewal => self.renewals.take(author, 1, now),
            Turn::Change => self.changes.take(author, 1, now),
        }
    }

    /// This author's commit is in the log.
    pub(crate) fn taken(&mut self, author: &Fingerprint) {
        if self.kept.is_some_and(|kept| kept.author == *author) {
            self.kept = None;
        }
    }

    /// A member could not follow a commit.
    pub(crate) fn note(&mut self, now: UnixMillis) {
        if self.notices.len() >= NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(now);
    }

    /// Milliseconds until the group looks at a commit of this author that has lost its race. To be
    /// looked at counts.
    pub(crate) fn lose(&mut self, author: Fingerprint, now: UnixMillis) -> u32 {
        let wait = self.lost.wait(&author, 1, now);
        if wait == 0 {
            self.lost.take(author, 1, now);
        }
        wait
    }

    /// Whether this author has asked to leave just now.
    pub(crate) fn has_asked(&self, author: &Fingerprint, now: UnixMillis) -> bool {
        self.asks.wait(author, 1, now) > 0
    }

    /// This author's leave request is in the log.
    pub(crate) fn ask(&mut self, author: Fingerprint, now: UnixMillis) {
        self.asks.take(author, 1, now);
    }

    /// Whether this author may have the next place kept, if its reason is good.
    pub(crate) fn may_keep(&self, author: &Fingerprint, claim: Keeping, now: UnixMillis) -> bool {
        let held = self.kept.filter(|kept| left(kept.since, KEPT_PLACE, now) > 0);
        let gives_way = |kept: Kept| kept.claim == Keeping::Member && claim == Keeping::Eviction;
        let wait = match claim {
            Keeping::Member => self.members_keeps.wait(1, now),
            Keeping::Admin | Keeping::Eviction => self.keeps.wait(author, 1, now),
        };
        wait == 0 && held.is_none_or(gives_way)
    }

    /// Keeps the next place for this author, who [may have it](Self::may_keep).
    pub(crate) fn keep(&mut self, author: Fingerprint, claim: Keeping, now: UnixMillis) {
        match claim {
            Keeping::Member => self.members_keeps.take(1, now),
            Keeping::Admin | Keeping::Eviction => self.keeps.take(author, 1, now),
        }
        self.kept = Some(Kept { author, claim, since: now });
    }

    /// Joins that some could not follow are followed by slower ones: each notice doubles the time
    /// between them.
    fn slowed(&self, now: UnixMillis) -> u32 {
        let recent = self.notices.iter().filter(|time| left(**time, NOTICE_MEMORY, now) > 0);
        match u32::try_from(recent.count()) {
            Ok(0) => 0,
            count => {
                let doubled = 2_u32.saturating_pow(count.unwrap_or(u32::MAX));
                let interval = JOIN_INTERVAL.saturating_mul(doubled).min(SLOWEST_JOINS);
                left(self.last_join, interval, now)
            }
        }
    }
}

/// Milliseconds that are left of what began then. Nothing is of what a clock that was set back
/// has still to come to.
fn left(began: UnixMillis, lasts: Duration, now: UnixMillis) -> u32 {
    if now < began {
        return 0;
    }
    u32::try_from(began.after(lasts).0.saturating_sub(now.0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::limits::{JOIN_BURST, KEPT_PLACE_BURST};

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const ALICE: Fingerprint = Fingerprint([1; 32]);
    const BOB: Fingerprint = Fingerprint([2; 32]);

    fn wait(turns: &Turns, seconds: u64) -> u32 {
        turns.wait(Turn::Join, &BOB, NOW.after(Duration::from_secs(seconds)))
    }

    #[test]
    fn each_notice_doubles_the_time_between_joins_up_to_a_minute_for_ten_minutes() {
        let mut turns = Turns::new();
        turns.take(Turn::Join, ALICE, NOW);
        assert_eq!(wait(&turns, 0), 0);
        for slower in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000] {
            turns.note(NOW);
            assert_eq!(wait(&turns, 0), slower);
        }
        assert_eq!((wait(&turns, 59), wait(&turns, 60)), (1_000, 0));
        let later = NOW.after(Duration::from_secs(599));
        turns.take(Turn::Join, ALICE, later);
        assert_eq!(turns.wait(Turn::Join, &BOB, later), 60_000);
        assert_eq!(turns.wait(Turn::Join, &BOB, NOW.after(NOTICE_MEMORY)), 0);
    }

    #[test]
    fn notices_slow_nobody_but_joiners() {
        let mut turns = Turns::new();
        for _ in 0..100 {
            turns.take(Turn::Join, ALICE, NOW);
            turns.note(NOW);
        }
        for turn in [Turn::Claim, Turn::Renewal, Turn::Change] {
            assert_eq!(turns.wait(turn, &BOB, NOW), 0, "{turn:?}");
        }
        assert_eq!(turns.notices.len(), NOTICES);
    }

    #[test]
    fn claims_and_joins_do_not_hold_each_other_up() {
        let mut turns = Turns::new();
        for _ in 0..JOIN_BURST {
            turns.take(Turn::Claim, ALICE, NOW);
        }
        assert!(turns.wait(Turn::Claim, &BOB, NOW) > 0);
        assert_eq!(turns.wait(Turn::Join, &BOB, NOW), 0);
    }

    #[test]
    fn a_kept_place_is_for_its_author_alone_until_it_is_used_or_time_is_up() {
        let mut turns = Turns::new();
        assert!(turns.may_keep(&ALICE, Keeping::Admin, NOW));
        turns.keep(ALICE, Keeping::Admin, NOW);
        assert_eq!(turns.wait(Turn::Change, &ALICE, NOW), 0);
        assert_eq!(turns.wait(Turn::Change, &BOB, NOW), 10_000);
        assert_eq!(turns.wait(Turn::Change, &BOB, NOW.after(KEPT_PLACE)), 0);
        assert_eq!(turns.wait(Turn::Change, &BOB, UnixMillis(0)), 0, "a clock that was set back");
        assert!(!turns.may_keep(&BOB, Keeping::Eviction, NOW), "it is kept already");
        turns.taken(&BOB);
        assert!(turns.wait(Turn::Change, &BOB, NOW) > 0);
        turns.taken(&ALICE);
        assert_eq!(turns.wait(Turn::Change, &BOB, NOW), 0);
    }

    #[test]
    fn an_admin_who_evicts_waits_for_no_place_of_a_member() {
        let mut turns = Turns::new();
        turns.keep(BOB, Keeping::Member, NOW);
        assert!(!turns.may_keep(&ALICE, Keeping::Member, NOW));
        assert!(!turns.may_keep(&ALICE, Keeping::Admin, NOW));
        assert!(turns.may_keep(&ALICE, Keeping::Eviction, NOW));
        turns.keep(ALICE, Keeping::Eviction, NOW);
        assert_eq!(turns.wait(Turn::Change, &ALICE, NOW), 0);
        assert_eq!(turns.wait(Turn::Change, &BOB, NOW), 10_000);
    }

    #[test]
    fn nobody_keeps_places_all_the_time() {
        for claim in [Keeping::Member, Keeping::Admin, Keeping::Eviction] {
            let kept = places_kept(claim, |_| ALICE);
            assert!(kept <= KEPT_PLACE_BURST + 10, "{kept} times ten seconds of ten minutes");
        }
    }

    #[test]
    fn members_have_one_bucket_however_many_they_are() {
        let kept = places_kept(Keeping::Member, |second| Fingerprint([second; 32]));
        assert!(kept <= KEPT_PLACE_BURST + 10, "{kept} times ten seconds of ten minutes");
    }

    /// How often a place is kept in ten minutes in which somebody asks every second.
    fn places_kept(claim: Keeping, author: impl Fn(u8) -> Fingerprint) -> u32 {
        let mut turns = Turns::new();
        let mut kept = 0;
        for second in 0..600_u64 {
            let now = NOW.after(Duration::from_secs(second));
            let author = author(u8::try_from(second % 256).unwrap());
            if turns.may_keep(&author, claim, now) {
                turns.keep(author, claim, now);
                kept += 1;
            }
        }
        kept
    }
}
