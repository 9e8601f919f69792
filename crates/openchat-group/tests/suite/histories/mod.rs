//! Random histories: whole lives of groups, in which some devices run the first implementation and
//! some the second, some people lie, and some devices are robbed. After every commit all must have
//! the group that the second implementation has, every member the same secrets, and the closure of
//! what people know (`knowledge`) must be the members' alone.

mod compare;
mod forgery;
mod knowledge;
mod person;
mod play;
mod steps;
mod theft;

use std::collections::BTreeMap;

use proptest::prelude::*;

use self::{play::Play, steps::Step};
use crate::kit::plain::wish::Dice;

/// Of the test that counts, at most: it ends when everything has happened.
const HISTORIES: u64 = 150;

fn step() -> impl Strategy<Value = Step> {
    (any::<u8>(), any::<u8>(), any::<u16>()).prop_map(|(kind, who, seed)| Step {
        kind,
        who: usize::from(who),
        seed: seed.into(),
    })
}

proptest! {
    // Each case is a whole history; `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig {
        cases: 64,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn members_and_nobody_else_derive_every_epoch(
        seed: u64,
        count in 2_usize..=9,
        policy in 0_usize..5,
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut play = Play::new(seed, count, policy);
        for step in steps {
            play.step(&step);
        }
        play.end();
    }
}

/// What has to happen in some hundreds of histories, or they show nothing.
const MUST_HAPPEN: &[&str] = &[
    "a thief inside",
    "a thief outside",
    "effect Added",
    "effect Back",
    "effect Behind",
    "effect Followed",
    "effect Invalid(\"C1\")",
    "effect Invalid(\"C10\")",
    "effect Invalid(\"C11\")",
    "effect Invalid(\"C12\")",
    "effect Invalid(\"C2\")",
    "effect Invalid(\"C3\")",
    "effect Invalid(\"C4\")",
    "effect Invalid(\"C7\")",
    "effect Invalid(\"C8\")",
    "effect Invalid(\"C9\")",
    "effect Invalid(\"C14\")",
    "effect Invalid(\"C15\")",
    "effect Invalid(\"C16\")",
    "effect Invalid(\"C17\")",
    "effect Invalid(\"C18\")",
    "effect Invalid(\"C5\")",
    "effect Invalid(\"C6\")",
    "effect Invited",
    "effect Own",
    "effect Removed",
    "effect Watched",
    "halves dropped",
    "lie External",
    "lie Leaf",
    "lie Path",
    "lie Tag",
    "lie Welcome",
    "lie Wrap",
    "messages not opened",
    "messages opened",
    "operation Add",
    "operation Admit",
    "operation Create",
    "operation Join",
    "operation Lift",
    "operation Rejoin",
    "operation Remove",
    "operation Remove left",
    "operation Remove revoked",
    "operation Role",
    "operation Rules",
    "operation Update",
    "races",
    "refused to make C5",
    "seats removed",
];

#[test]
fn histories_reach_everything() {
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let mut dice = Dice::new(seed + 1);
        let mut play = Play::new(seed, 2 + dice.below(8), dice.below(5));
        for _ in 0..30 {
            let (kind, who, seed) = (dice.below(256), dice.below(256), dice.below(65_536));
            play.step(&Step {
                kind: kind.try_into().unwrap(),
                who,
                seed: seed.try_into().unwrap(),
            });
        }
        play.end();
        for (what, count) in play.tally {
            *tally.entry(what).or_default() += count;
        }
        if MUST_HAPPEN.iter().all(|what| tally.contains_key(*what)) {
            return;
        }
    }
    let missing: Vec<_> = MUST_HAPPEN.iter().filter(|what| !tally.contains_key(**what)).collect();
    panic!("{missing:?} never happened; {tally:#?}");
}
