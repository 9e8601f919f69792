//! The prekeys of this device: what it leaves with the relay so that others can add it while it is
//! away, and the private parts with which it then finds its way in (`docs/protocol.md` §4.6).

use core::time::Duration;
use std::collections::BTreeMap;

use openchat_crypto::{CryptoRng, IdentityKey, KeyPair, Secret};
use openchat_roster::{Prekey, PrekeyKind, SignedPrekey};
use openchat_wire::{
    Blob, Digest, UnixMillis,
    limits::{MAX_PREKEYS, PREKEY_GRACE, PREKEY_LIFE},
};
use serde::{Deserialize, Serialize};

use crate::{output::Pen, record::Key};

/// How old prekeys are at least when they are replaced with the keys of a group.
const RENEWAL: Duration = Duration::from_hours(24);

/// Prekeys are valid from a little before they are made, because no two clocks agree.
const SLACK: Duration = Duration::from_hours(1);

/// One-time prekeys whose private parts are kept, also of publications of which no answer came.
/// Beyond it the oldest go, so that a network that fails at the wrong moment for ever fills no disk.
const MAX_PRIVATE: usize = 10 * MAX_PREKEYS;

/// The private part of a prekey. Serialised for the vault only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Private {
    pair: KeyPair,
    kind: PrekeyKind,
    not_after: UnixMillis,
    /// The relay was asked to forget it: it serves only those who have it already.
    retired: bool,
}

/// What is to be left with the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publication {
    /// Whether the relay is to forget all others.
    pub(crate) replace: bool,
    /// Signed prekeys.
    pub(crate) prekeys: Vec<Blob>,
}

/// What the relay has, as it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stock {
    pub(crate) one_time: u32,
    pub(crate) last_resort: Option<UnixMillis>,
}

#[derive(Debug, Default)]
pub(crate) struct Prekeys {
    private: BTreeMap<Digest, Private>,
    /// This device has renewed its keys in a group, so that it renews these too.
    renew: bool,
    /// That was not looked into yet.
    wish: bool,
}

impl Prekeys {
    pub(crate) fn load(&mut self, hash: Digest, private: Private) {
        self.private.insert(hash, private);
    }

    /// The key pair behind a prekey of this device.
    pub(crate) fn pair(&self, hash: &Digest) -> Option<&KeyPair> {
        self.private.get(hash).map(|private| &private.pair)
    }

    /// The device has renewed its keys in a group: whoever has a copy of its secrets is to lose
    /// these too, as soon as they are a day old, so that many groups cost no more than one.
    pub(crate) fn renew(&mut self) {
        (self.renew, self.wish) = (true, true);
    }

    /// Whether the relay's stock is to be looked at, for the first time since the renewal.
    pub(crate) fn take_wish(&mut self) -> bool {
        core::mem::take(&mut self.wish)
    }

    /// Makes what the relay's stock lacks; `None` if it lacks nothing. What the relay has and this
    /// device has not, because it lost its records, is replaced.
    pub(crate) fn replenish(
        &mut self,
        pen: &mut Pen,
        stock: Stock,
        (owner, now): (&IdentityKey, UnixMillis),
        rng: &mut dyn CryptoRng,
    ) -> Option<Publication> {
        let renews = self.renew && self.is_a_day_old(now);
        let replace = renews || self.is_foreign(stock) || self.is_half_through(now);
        if replace {
            self.renew = false;
            self.retire(pen, now);
        }
        let left = if replace { 0 } else { usize::try_from(stock.one_time).unwrap_or(usize::MAX) };
        let missing = MAX_PREKEYS.saturating_sub(left);
        // Half of the stock may be used up before it is filled again.
        let one_time = if left < MAX_PREKEYS / 2 { missing } else { 0 };
        let last_resort = replace || stock.last_resort.is_none_or(|end| is_half_over(end, now));
        let mut prekeys = Vec::new();
        for _ in 0..one_time {
            prekeys.push(self.make(pen, PrekeyKind::OneTime, (owner, now), rng));
        }
        if last_resort {
            self.retire_last_resort(pen);
            prekeys.push(self.make(pen, PrekeyKind::LastResort, (owner, now), rng));
        }
        self.forget_surplus(pen);
        (!prekeys.is_empty()).then_some(Publication { replace, prekeys })
    }

    /// The leaf that came of a prekey was made this device's own: a prekey for one group has done
    /// its work.
    pub(crate) fn claimed(&mut self, pen: &mut Pen, hash: &Digest) {
        if self.private.get(hash).is_some_and(|private| private.kind == PrekeyKind::OneTime) {
            self.forget(pen, *hash);
        }
    }

    /// Forgets what has ended long ago. To be called only while every group was read to its end.
    pub(crate) fn expire(&mut self, pen: &mut Pen, now: UnixMillis, in_use: &[Digest]) {
        let is_over = |(hash, private): (&Digest, &Private)| {
            let over = private.not_after.after(PREKEY_GRACE) < now && !in_use.contains(hash);
            over.then_some(*hash)
        };
        let over: Vec<Digest> = self.private.iter().filter_map(is_over).collect();
        for hash in over {
            self.forget(pen, hash);
        }
    }

    /// Whether the relay has prekeys whose private parts are not here.
    fn is_foreign(&self, stock: Stock) -> bool {
        let current = || self.private.values().filter(|private| !private.retired);
        let one_time = current().filter(|private| private.kind == PrekeyKind::OneTime).count();
        let mut last_resort = current().filter(|private| private.kind == PrekeyKind::LastResort);
        let is_known =
            stock.last_resort.is_none_or(|end| last_resort.any(|it| it.not_after == end));
        usize::try_from(stock.one_time).unwrap_or(usize::MAX) > one_time || !is_known
    }

    fn is_half_through(&self, now: UnixMillis) -> bool {
        let mut current = self.private.values();
        current.any(|private| {
            let counts = !private.retired && private.kind == PrekeyKind::OneTime;
            counts && is_half_over(private.not_after, now)
        })
    }

    fn is_a_day_old(&self, now: UnixMillis) -> bool {
        let end = now.after(PREKEY_LIFE.saturating_sub(SLACK).saturating_sub(RENEWAL));
        self.private.values().any(|private| !private.retired && private.not_after < end)
    }

    fn make(
        &mut self,
        pen: &mut Pen,
        kind: PrekeyKind,
        (owner, now): (&IdentityKey, UnixMillis),
        rng: &mut dyn CryptoRng,
    ) -> Blob {
        let pair = KeyPair::derive(&Secret::random(rng));
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let slack = u64::try_from(SLACK.as_millis()).unwrap_or(0);
        let not_before = UnixMillis(now.0.saturating_sub(slack));
        let not_after = not_before.after(PREKEY_LIFE);
        let key = *pair.public();
        let prekey = Prekey { owner: owner.fingerprint(), kind, id, key, not_before, not_after };
        let signed = SignedPrekey::sign(&prekey, owner);
        let private = Private { pair, kind, not_after, retired: false };
        pen.put(Key::prekey(&signed.hash()), &private);
        self.private.insert(signed.hash(), private);
        signed.to_bytes()
    }

    /// The relay gives them out no more. Who has fetched one adds this device within moments, so
    /// that the time after which they go begins now.
    fn retire(&mut self, pen: &mut Pen, now: UnixMillis) {
        for (hash, private) in self.private.iter_mut().filter(|(_, private)| !private.retired) {
            private.retired = true;
            private.not_after = private.not_after.min(now);
            pen.put(Key::prekey(hash), private);
        }
    }

    fn retire_last_resort(&mut self, pen: &mut Pen) {
        let is_it = |private: &Private| !private.retired && private.kind == PrekeyKind::LastResort;
        for (hash, private) in self.private.iter_mut().filter(|(_, private)| is_it(private)) {
            private.retired = true;
            pen.put(Key::prekey(hash), private);
        }
    }

    fn forget_surplus(&mut self, pen: &mut Pen) {
        while self.private.len() > MAX_PRIVATE {
            let oldest = self.private.iter().min_by_key(|(_, private)| private.not_after);
            let Some(hash) = oldest.map(|(hash, _)| *hash) else { return };
            self.forget(pen, hash);
        }
    }

    fn forget(&mut self, pen: &mut Pen, hash: Digest) {
        self.private.remove(&hash);
        pen.delete(Key::prekey(&hash));
    }
}

/// Half of a prekey's life has passed.
fn is_half_over(end: UnixMillis, now: UnixMillis) -> bool {
    let half = PREKEY_LIFE.checked_div(2).unwrap_or(PREKEY_LIFE);
    end < now.after(half)
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use openchat_crypto::sha256;
    use rand_core::{TryCryptoRng, TryRng};

    use super::*;
    use crate::output::Output;

    const DAY: Duration = Duration::from_hours(24);
    const START: UnixMillis = UnixMillis(1_782_864_000_000);

    struct Counting(u64);

    impl TryRng for Counting {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            let mut bytes = [0; 4];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u32::from_be_bytes(bytes))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            let mut bytes = [0; 8];
            self.try_fill_bytes(&mut bytes)?;
            Ok(u64::from_be_bytes(bytes))
        }

        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
            self.0 += 1;
            let block = sha256(&self.0.to_be_bytes());
            to.copy_from_slice(&block.0[..to.len()]);
            Ok(())
        }
    }

    impl TryCryptoRng for Counting {}

    struct Shelf {
        prekeys: Prekeys,
        pen: Pen,
        owner: IdentityKey,
        rng: Counting,
    }

    impl Shelf {
        fn new() -> Self {
            let mut rng = Counting(0);
            let owner = IdentityKey::generate(&mut rng);
            Self { prekeys: Prekeys::default(), pen: Pen::default(), owner, rng }
        }

        fn replenish(
            &mut self,
            one_time: u32,
            last: Option<u64>,
            now: UnixMillis,
        ) -> Option<Publication> {
            let stock = Stock { one_time, last_resort: last.map(UnixMillis) };
            self.prekeys.replenish(&mut self.pen, stock, (&self.owner, now), &mut self.rng)
        }

        fn verified(&self, publication: &Publication) -> Vec<Prekey> {
            let verified = |bytes: &Blob| {
                let signed = SignedPrekey::decode(&bytes.0).unwrap();
                assert!(self.prekeys.pair(&signed.hash()).is_some());
                signed.verify(self.owner.public()).unwrap()
            };
            publication.prekeys.iter().map(verified).collect()
        }
    }

    fn is_last_resort(prekey: &Prekey) -> bool {
        prekey.kind == PrekeyKind::LastResort
    }

    #[test]
    fn a_new_device_fills_its_stock_and_then_rests() {
        let mut shelf = Shelf::new();
        let all = shelf.replenish(0, None, START).unwrap();
        let made = shelf.verified(&all);
        assert_eq!((made.len(), made.iter().filter(|it| is_last_resort(it)).count()), (101, 1));
        for prekey in &made {
            assert!(prekey.is_valid_at(START) && prekey.is_valid_at(START.after(DAY * 29)));
            assert!(!prekey.is_valid_at(START.after(DAY * 31)));
        }
        let end = made.iter().find(|it| is_last_resort(it)).unwrap().not_after;
        assert_eq!(shelf.replenish(100, Some(end.0), START), None);
        assert_eq!(shelf.replenish(50, Some(end.0), START), None);
        let more = shelf.replenish(49, Some(end.0), START).unwrap();
        assert_eq!((more.prekeys.len(), more.replace), (51, false));
    }

    #[test]
    fn what_is_half_through_its_life_is_replaced() {
        let mut shelf = Shelf::new();
        let all = shelf.replenish(0, None, START).unwrap();
        let end = shelf.verified(&all)[0].not_after.0;
        assert_eq!(shelf.replenish(80, Some(end), START.after(DAY * 14)), None);
        let anew = shelf.replenish(80, Some(end), START.after(DAY * 16)).unwrap();
        assert_eq!((anew.prekeys.len(), anew.replace), (101, true));
        assert_eq!(shelf.verified(&all).len(), 101, "who has an old one can still use it");
    }

    #[test]
    fn a_renewal_replaces_them_once_a_day_and_the_old_ones_go_a_week_later() {
        let mut shelf = Shelf::new();
        let all = shelf.replenish(0, None, START).unwrap();
        let end = shelf.verified(&all)[100].not_after.0;
        shelf.prekeys.renew();
        assert_eq!(shelf.replenish(100, Some(end), START.after(DAY * 23 / 24)), None);
        let later = START.after(DAY * 25 / 24);
        let anew = shelf.replenish(100, Some(end), later).unwrap();
        assert_eq!((anew.prekeys.len(), anew.replace), (101, true));
        assert_eq!(shelf.verified(&all).len(), 101, "who has an old one can still use it");
        let end = shelf.verified(&anew)[100].not_after.0;
        assert_eq!(shelf.replenish(100, Some(end), later.after(DAY * 2)), None, "nothing renewed");
        shelf.prekeys.renew();
        assert!(shelf.replenish(100, Some(end), later.after(DAY * 2)).is_some());
        let Shelf { prekeys, pen, .. } = &mut shelf;
        let hash = |of: &Publication| SignedPrekey::decode(&of.prekeys[0].0).unwrap().hash();
        prekeys.expire(pen, later.after(DAY * 7), &[]);
        assert!(prekeys.pair(&hash(&all)).is_some());
        prekeys.expire(pen, later.after(DAY * 8), &[]);
        assert!(prekeys.pair(&hash(&all)).is_none() && prekeys.pair(&hash(&anew)).is_some());
    }

    #[test]
    fn what_this_device_does_not_know_is_replaced() {
        let end = START.after(DAY * 30).0;
        for (one_time, last) in [(1, None), (0, Some(end))] {
            let anew = Shelf::new().replenish(one_time, last, START).unwrap();
            assert_eq!((anew.prekeys.len(), anew.replace), (101, true));
        }
    }

    #[test]
    fn private_parts_go_when_they_have_served_or_ended_and_not_before() {
        let mut shelf = Shelf::new();
        let all = shelf.replenish(0, None, START).unwrap();
        let hash = |at: usize| SignedPrekey::decode(&all.prekeys[at].0).unwrap().hash();
        let Shelf { prekeys, pen, .. } = &mut shelf;
        let (first, second, last) = (hash(0), hash(1), hash(100));
        prekeys.claimed(pen, &first);
        prekeys.claimed(pen, &last);
        assert!(prekeys.pair(&first).is_none() && prekeys.pair(&last).is_some());
        prekeys.expire(pen, START.after(DAY * 36), &[]);
        assert!(prekeys.pair(&second).is_some());
        prekeys.expire(pen, START.after(DAY * 37), &[second]);
        assert!(prekeys.pair(&second).is_some() && prekeys.pair(&last).is_none());
        let Output { changes, .. } = shelf.pen.take();
        assert!(changes.contains(&crate::record::Change::Delete(Key::prekey(&last))));
    }

    #[test]
    fn answers_that_never_come_fill_no_disk() {
        let mut shelf = Shelf::new();
        for _ in 0..15 {
            shelf.replenish(0, None, START);
        }
        assert_eq!(shelf.prekeys.private.len(), MAX_PRIVATE);
    }
}
