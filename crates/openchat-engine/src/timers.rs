//! When a conversation has to act by itself. All jitter is drawn here.

use core::time::Duration;

use openchat_crypto::CryptoRng;
use openchat_wire::UnixMillis;

/// A device renews its keys after this long …
const HEAL_AFTER: Duration = Duration::from_hours(24);

/// … or this many own messages, each ±20 %, so that members don't all commit at once.
pub(crate) const HEAL_MESSAGES: u64 = 1_000;

/// A member that hears no heartbeat for this long, and up to half as long again, sends one.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// Who was left behind waits up to this long for a rejoin that it can follow.
const REJOIN_WAIT: Duration = Duration::from_secs(4);

/// Who was told to slow down tries again after half to all of this more.
const RETRY: Duration = Duration::from_secs(1);

/// Whatever a relay says, nobody waits longer than this before asking again.
const MAX_TOLD: Duration = Duration::from_mins(1);

/// A renewal that has not come into the log is tried again after half to all of this.
const HEAL_RETRY: Duration = Duration::from_mins(1);

/// After its first lost race a newcomer waits up to this long, after each further one up to twice
/// as long as before, and at most [`RETRY`]. A join takes some milliseconds.
const LOST_RACE: Duration = Duration::from_millis(20);

/// An order whose commit has lost a race is tried again after up to this long, after each further
/// loss after up to twice as long as before, and at most [`RETRY`].
const LOST_ORDER: Duration = Duration::from_millis(40);

/// Who has read something new says so after a quarter to all of this …
const MARK_WAIT: Duration = Duration::from_secs(1);

/// … or of this much for each member, if that is longer: they must not all speak at once.
const MARK_WAIT_EACH: Duration = Duration::from_millis(100);

/// It says so again no sooner than after this …
const MARK_PAUSE: Duration = Duration::from_secs(2);

/// … or this much for each member, so that a group hears at most four of them a second.
const MARK_PAUSE_EACH: Duration = Duration::from_millis(250);

/// No wait for a mark is longer: larger groups have none.
const LONGEST_MARK: Duration = Duration::from_secs(16);

/// A newcomer who was added claims its leaf after up to this long …
const CLAIM_WAIT: Duration = Duration::from_secs(5);

/// … or this long for each unclaimed member, if that is longer …
const CLAIM_WAIT_EACH: Duration = Duration::from_secs(1);

/// … and after each lost race it waits twice as long as before, at most this.
const LONGEST_CLAIM_WAIT: Duration = Duration::from_mins(1);

/// A member sees to another's leave request after up to this long, if nobody else has.
pub(crate) const LEAVE_WAIT: Duration = Duration::from_secs(5);

/// Whose key was revoked is removed after a tenth to all of this …
const REVOCATION_WAIT: Duration = Duration::from_secs(2);

/// … or of this much for each member, if that is longer: the first one's commit does it for all …
const REVOCATION_WAIT_EACH: Duration = Duration::from_millis(20);

/// … and at most this: a group of a thousand is re-keyed within seconds.
const LONGEST_REVOCATION_WAIT: Duration = Duration::from_secs(20);

/// A removal that the relay refuses is tried again after twice as long each time, at most this.
pub(crate) const LONGEST_REVOCATION_RETRY: Duration = Duration::from_mins(1);

/// Who is not the first to tell a group's name waits this long and up to as long again, and up to
/// 100 ms more for each member: one answer is enough.
const NAMING_WAIT: Duration = Duration::from_secs(3);

/// No wait for a claim is longer: it takes a group of 10,000 unclaimed members.
const LONGEST_CLAIM: Duration = Duration::from_secs(10_000);

/// Entries that others have and the relay does not show within this time are held back.
pub(crate) const HELD_BACK: Duration = Duration::from_secs(15);

/// The relay has shown after that that it is there: what it had to show before has this long to come
/// behind its word, which may overtake.
pub(crate) const LAST_CHANCE: Duration = Duration::from_secs(4);

/// The deadlines of one conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timers {
    pub(crate) heal_at: UnixMillis,
    pub(crate) heal_messages: u64,
    pub(crate) beat_at: UnixMillis,
    pub(crate) retry_at: Option<UnixMillis>,
    pub(crate) rejoin_at: Option<UnixMillis>,
    /// When this device makes its leaf its own.
    pub(crate) claim_at: Option<UnixMillis>,
    /// Until when orders wait after a lost race.
    pub(crate) work_at: Option<UnixMillis>,
    /// When this device tells the group's name to somebody who has lost it.
    pub(crate) naming_at: Option<UnixMillis>,
    /// When this device says how far it has read.
    pub(crate) mark_at: Option<UnixMillis>,
    /// When it may say so again.
    next_mark: UnixMillis,
    /// Races lost in a row.
    losses: u32,
    /// Claims that have lost a race, in a row.
    lost_claims: u32,
    /// Removals of revoked keys that could not be made or were refused, in a row.
    pub(crate) revocations_refused: u32,
}

impl Default for Timers {
    /// Nothing is due, ever.
    fn default() -> Self {
        let never = UnixMillis(u64::MAX);
        Self {
            heal_at: never,
            heal_messages: u64::MAX,
            beat_at: never,
            retry_at: None,
            rejoin_at: None,
            claim_at: None,
            work_at: None,
            naming_at: None,
            mark_at: None,
            next_mark: UnixMillis(0),
            losses: 0,
            lost_claims: 0,
            revocations_refused: 0,
        }
    }
}

impl Timers {
    /// Draws the deadlines of a new connection.
    pub(crate) fn arm(&mut self, healed_at: UnixMillis, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let Self { losses, lost_claims, mark_at, next_mark, .. } = *self;
        *self = Self { mark_at, next_mark, losses, lost_claims, ..Self::default() };
        self.healed(healed_at.min(now), rng);
        self.beaten(now, rng);
    }

    /// A clock that was set back must not put off for years what is due within a day.
    pub(crate) fn draw_near(&mut self, now: UnixMillis) {
        let at_most = |at: UnixMillis, longest: Duration| at.min(now.after(longest));
        self.heal_at = at_most(self.heal_at, HEAL_AFTER.saturating_mul(2));
        self.beat_at = at_most(self.beat_at, HEARTBEAT.saturating_mul(2));
        let longest = MAX_TOLD.saturating_add(RETRY);
        self.retry_at = self.retry_at.map(|at| at_most(at, longest));
        self.rejoin_at = self.rejoin_at.map(|at| at_most(at, REJOIN_WAIT));
        self.claim_at = self.claim_at.map(|at| at_most(at, LONGEST_CLAIM));
        self.work_at = self.work_at.map(|at| at_most(at, RETRY));
        self.naming_at = self.naming_at.map(|at| at_most(at, LONGEST_CLAIM));
        self.mark_at = self.mark_at.map(|at| at_most(at, LONGEST_MARK));
        self.next_mark = at_most(self.next_mark, LONGEST_MARK);
    }

    pub(crate) fn healed(&mut self, at: UnixMillis, rng: &mut dyn CryptoRng) {
        self.heal_at = at.after(HEAL_AFTER.mul_f64(around_one(rng)));
        self.heal_messages = per_mille(HEAL_MESSAGES, 800, 1_200, rng);
    }

    /// A renewal was tried: it counts once the log has it.
    pub(crate) fn heal_tried(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.heal_at = now.after(between(HEAL_RETRY, 500, 1_000, rng));
        self.heal_messages = u64::MAX;
    }

    pub(crate) fn beaten(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        self.beat_at = now.after(between(HEARTBEAT, 1_000, 1_500, rng));
    }

    /// When this device removes whose key was revoked, if nobody else has by then.
    pub(crate) fn revocation_wait(
        members: u32,
        refused: u32,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) -> UnixMillis {
        let each = REVOCATION_WAIT_EACH.saturating_mul(members).min(LONGEST_REVOCATION_WAIT);
        let first = REVOCATION_WAIT.max(each);
        let wait = first.saturating_mul(1_u32.checked_shl(refused).unwrap_or(u32::MAX));
        now.after(between(wait.min(LONGEST_REVOCATION_RETRY), 100, 1_000, rng))
    }

    /// There is something to say about how far this device has read, in a group of so many.
    pub(crate) fn mark(&mut self, members: u32, now: UnixMillis, rng: &mut dyn CryptoRng) {
        if self.mark_at.is_none() {
            let longest = MARK_WAIT.max(MARK_WAIT_EACH.saturating_mul(members)).min(LONGEST_MARK);
            let soon = now.after(between(longest, 250, 1_000, rng));
            self.mark_at = Some(soon.max(self.next_mark));
        }
    }

    /// It was said, to so many.
    pub(crate) fn marked(&mut self, members: u32, now: UnixMillis) {
        let pause = MARK_PAUSE.max(MARK_PAUSE_EACH.saturating_mul(members)).min(LONGEST_MARK);
        (self.mark_at, self.next_mark) = (None, now.after(pause));
    }

    pub(crate) fn retry(&mut self, now: UnixMillis, at_least_ms: u32, rng: &mut dyn CryptoRng) {
        let told = Duration::from_millis(at_least_ms.into()).min(MAX_TOLD);
        self.retry_at = Some(now.after(told).after(between(RETRY, 500, 1_000, rng)));
    }

    pub(crate) fn lost_race(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let doubled = LOST_RACE.saturating_mul(1_u32.checked_shl(self.losses).unwrap_or(u32::MAX));
        self.losses = self.losses.saturating_add(1);
        self.retry_at = Some(now.after(between(doubled.min(RETRY), 0, 1_000, rng)));
    }

    /// An order's commit has lost its race.
    pub(crate) fn lost_order(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let doubled = LOST_ORDER.saturating_mul(1_u32.checked_shl(self.losses).unwrap_or(u32::MAX));
        self.losses = self.losses.saturating_add(1);
        self.work_at = Some(now.after(between(doubled.min(RETRY), 0, 1_000, rng)));
    }

    /// An own commit is in the log.
    pub(crate) fn won(&mut self) {
        (self.losses, self.lost_claims, self.work_at) = (0, 0, None);
        self.revocations_refused = 0;
    }

    /// There is a leaf to claim, as there are to so many others.
    pub(crate) fn claim(&mut self, unclaimed: usize, now: UnixMillis, rng: &mut dyn CryptoRng) {
        if self.claim_at.is_none() {
            let each = u32::try_from(unclaimed).unwrap_or(u32::MAX);
            let longest = CLAIM_WAIT.max(CLAIM_WAIT_EACH.saturating_mul(each)).min(LONGEST_CLAIM);
            self.claim_at = Some(now.after(between(longest, 0, 1_000, rng)));
        }
    }

    /// The claim has lost its race.
    pub(crate) fn lost_claim(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        let factor = 1_u32.checked_shl(self.lost_claims).unwrap_or(u32::MAX);
        let doubled = CLAIM_WAIT_EACH.saturating_mul(factor).min(LONGEST_CLAIM_WAIT);
        self.lost_claims = self.lost_claims.saturating_add(1);
        self.claim_at = Some(now.after(between(doubled, 0, 1_000, rng)));
    }

    /// Somebody asks for the group's name; the one who sits first answers at once.
    pub(crate) fn tell_name(
        &mut self,
        is_first: bool,
        members: usize,
        now: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        if is_first {
            self.naming_at = Some(now);
        } else if self.naming_at.is_none() {
            let members = u32::try_from(members).unwrap_or(u32::MAX);
            let spread =
                NAMING_WAIT.saturating_add(Duration::from_millis(100).saturating_mul(members));
            let wait = between(spread, 0, 1_000, rng).saturating_add(NAMING_WAIT);
            self.naming_at = Some(now.after(wait.min(LONGEST_CLAIM)));
        }
    }

    /// When to see to a leave request.
    pub(crate) fn leave_wait(now: UnixMillis, rng: &mut dyn CryptoRng) -> UnixMillis {
        now.after(between(LEAVE_WAIT, 0, 1_000, rng))
    }

    pub(crate) fn rejoin(&mut self, now: UnixMillis, rng: &mut dyn CryptoRng) {
        if self.rejoin_at.is_none() {
            self.rejoin_at = Some(now.after(between(REJOIN_WAIT, 0, 1_000, rng)));
        }
    }
}

fn around_one(rng: &mut dyn CryptoRng) -> f64 {
    let per_mille = u32::try_from(per_mille(1_000, 800, 1_200, rng)).unwrap_or(1_000);
    f64::from(per_mille) / 1_000.0
}

fn between(whole: Duration, low: u64, high: u64, rng: &mut dyn CryptoRng) -> Duration {
    let whole = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(per_mille(whole, low, high, rng))
}

/// `whole` times a factor drawn from `low` to `high` thousandths.
fn per_mille(whole: u64, low: u64, high: u64, rng: &mut dyn CryptoRng) -> u64 {
    let span = high.saturating_sub(low).saturating_add(1);
    let drawn = low.saturating_add(rng.next_u64().checked_rem(span).unwrap_or(0));
    whole.saturating_mul(drawn).checked_div(1_000).unwrap_or(0)
}
