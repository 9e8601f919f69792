#![allow(clippy::arithmetic_side_effects, reason = "a test may fail by a panic")]

use super::*;
use openchat_wire::GroupId;

const LOG: GroupId = GroupId([7; 32]);

fn who(n: u32) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Fingerprint(bytes)
}

/// A presence with sessions that look when they are rung for, and the truth beside it.
#[derive(Default)]
struct World {
    now: Millis,
    presence: Presence<u64>,
    next: u64,
    /// Open tails: whose, what it was told is online, when it was told last.
    tails: BTreeMap<u64, (u32, BTreeSet<Fingerprint>, Option<Millis>)>,
    frames: usize,
}

impl World {
    fn come(&mut self, person: u32) -> u64 {
        self.next += 1;
        self.presence.arrive(self.now, LOG, (who(person), self.next), self.next);
        self.tails.insert(self.next, (person, BTreeSet::new(), None));
        self.next
    }

    fn arrive(&mut self, person: u32) -> u64 {
        let number = self.come(person);
        self.look(number);
        number
    }

    fn depart(&mut self, number: u64) {
        self.tails.remove(&number);
        self.presence.depart(self.now, LOG, number);
    }

    fn look(&mut self, number: u64) {
        let Some(changes) = self.presence.take(self.now, LOG, number) else { return };
        let Some((person, known, at)) = self.tails.get_mut(&number) else {
            panic!("somebody who is gone is told something");
        };
        assert!(at.is_none_or(|at| at + PACE <= self.now), "more than one a second");
        assert!(changes.len() <= MAX_CHANGES && changes.len() > 0);
        assert!(!changes.online.contains(&who(*person)), "nobody is told of itself");
        known.extend(&changes.online);
        known.retain(|key| !changes.offline.contains(key));
        *at = Some(self.now);
        self.frames += 1;
    }

    /// Lets time pass; whoever is rung for looks.
    fn run(&mut self, millis: Millis) {
        let end = self.now + millis;
        while let Some(at) = self.presence.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for number in self.presence.tick(self.now) {
                self.look(number);
            }
            let again = self.presence.next_deadline();
            assert!(again.is_none_or(|at| at > self.now), "the task would spin");
        }
        self.now = end;
    }

    fn known(&self, number: u64) -> Vec<Fingerprint> {
        self.tails[&number].1.iter().copied().collect()
    }

    fn people(&self) -> BTreeSet<u32> {
        self.tails.values().map(|(person, ..)| *person).collect()
    }

    fn assert_true(&self) {
        for (person, known, _) in self.tails.values() {
            let others = self.people().into_iter().filter(|other| other != person);
            assert_eq!(*known, others.map(who).collect(), "what {person} knows");
        }
    }
}

#[test]
fn everybody_knows_of_everybody_else_and_each_person_counts_once() {
    let mut world = World::default();
    let alice = world.arrive(1);
    let bob = world.arrive(2);
    assert_eq!(world.known(bob), [who(1)], "all of them at once");
    let second = world.arrive(2);
    world.run(10);
    assert_eq!(world.known(alice), [who(2)]);
    let frames = world.frames;
    world.depart(bob);
    world.run(60_000);
    assert_eq!(
        (world.frames, world.known(alice)),
        (frames, vec![who(2)]),
        "one connection is left"
    );
    world.depart(second);
    world.run(GRACE - 1);
    assert_eq!(world.known(alice), [who(2)]);
    world.run(1);
    assert_eq!(world.known(alice), []);
}

#[test]
fn a_connection_that_comes_back_at_once_is_no_news() {
    let mut world = World::default();
    world.arrive(1);
    let mut bob = world.arrive(2);
    world.run(PACE);
    let frames = world.frames;
    for _ in 0..20 {
        world.depart(bob);
        world.run(GRACE - 1);
        bob = world.arrive(2);
        world.run(PACE);
    }
    assert_eq!(world.frames, frames + 20, "only the one who comes hears who is there");
    world.assert_true();
}

#[test]
fn what_happens_within_a_second_comes_together() {
    let mut world = World::default();
    world.arrive(0);
    for person in 1..=100 {
        world.arrive(person);
        world.run(9);
    }
    world.run(PACE);
    world.assert_true();
    assert!(world.frames <= 101 * 3, "{} frames", world.frames);
}

#[test]
fn whoever_loses_its_seat_hears_nothing_more_and_is_gone_at_once() {
    let mut world = World::default();
    let alice = world.arrive(1);
    let bob = world.arrive(2);
    world.run(PACE);
    world.presence.expel(world.now, LOG, &who(2));
    world.run(0);
    assert_eq!(world.known(alice), []);
    world.arrive(3);
    world.run(60_000);
    assert_eq!(world.known(bob), [who(1)], "as it was before");
    assert_eq!(world.presence.take(world.now, LOG, bob), None);
    // Its tail ends later, and counts for nobody then.
    world.depart(bob);
    world.run(60_000);
    world.assert_true();
}

#[test]
fn a_crowd_is_not_told_and_costs_nothing() {
    let mut world = World::default();
    let most = u32::try_from(MAX_ONLINE).unwrap();
    let mut numbers: Vec<u64> = (0..most).map(|person| world.arrive(person)).collect();
    world.run(PACE);
    world.assert_true();
    numbers.push(world.arrive(most));
    world.run(2 * PACE);
    assert!(world.tails.values().all(|(_, known, _)| known.is_empty()), "all are taken back");
    let frames = world.frames;
    numbers.extend((1..2_000).map(|more| world.arrive(most + more)));
    world.run(60_000);
    assert_eq!(world.frames, frames);
    // Down to the limit nothing changes, for nobody is to flicker there.
    for number in numbers.split_off(NO_CROWD + 1) {
        world.depart(number);
    }
    world.run(60_000);
    assert_eq!(world.frames, frames);
    world.depart(numbers.remove(0));
    world.run(GRACE + 2 * PACE);
    world.assert_true();
    assert_eq!(world.people().len(), NO_CROWD);
}

#[test]
fn a_session_that_never_looks_costs_one_ring_and_hears_the_end() {
    let mut world = World::default();
    let slow = world.arrive(0);
    for round in 0..200 {
        let number = world.come(1 + round);
        for bell in world.presence.tick(world.now) {
            assert!(bell != slow || round == 0, "rung for twice");
        }
        world.run_without(slow, GRACE + PACE);
        world.depart(number);
    }
    world.run_without(slow, GRACE + PACE);
    assert!(world.presence.next_deadline().is_none(), "nothing is pending for it");
    world.look(slow);
    world.run(60_000);
    world.assert_true();
    let log = &world.presence.logs[&LOG];
    assert_eq!(
        (log.people.len(), log.journal.len(), log.gone.len()),
        (1, 1, 0),
        "all is forgotten"
    );
}

#[test]
fn more_changes_than_a_frame_holds_come_in_several() {
    let mut world = World::default();
    let slow = world.arrive(0);
    for person in 0..900 {
        let number = world.come(1 + person);
        world.run_without(slow, GRACE);
        world.depart(number);
    }
    let last = world.come(5_000);
    world.run_without(slow, 2 * GRACE);
    world.look(last);
    world.look(slow);
    assert_eq!(world.known(slow), [], "the first half is about those who are gone");
    world.run(3 * PACE);
    world.assert_true();
}

#[test]
fn nothing_is_left_when_all_are_gone() {
    let mut world = World::default();
    let numbers: Vec<u64> = (0..50).map(|person| world.arrive(person)).collect();
    world.run(300);
    for number in numbers {
        world.depart(number);
        world.run(100);
    }
    assert!(world.presence.logs.is_empty() && world.presence.agenda.is_empty());
    world.presence.depart(world.now, LOG, 1);
    world.presence.expel(world.now, LOG, &who(1));
    assert_eq!(world.presence.take(world.now, LOG, 1), None);
}

impl World {
    /// Lets time pass; all but one look when they are rung for.
    fn run_without(&mut self, slow: u64, millis: Millis) {
        let end = self.now + millis;
        while let Some(at) = self.presence.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for number in self.presence.tick(self.now) {
                if number != slow {
                    self.look(number);
                }
            }
        }
        self.now = end;
    }
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[test]
fn whatever_happens_everybody_knows_the_truth_in_the_end() {
    for seed in 1..=100 {
        let (mut world, mut dice) = (World::default(), Dice(seed * 0x9e37_79b9));
        // Around the limit in some worlds, where a crowd comes and goes.
        let people = if seed % 50 == 0 { 300 } else { 12 };
        for _ in 0..people * 8 {
            let open = world.tails.keys().copied().collect::<Vec<_>>();
            let any = usize::try_from(dice.roll(u64::MAX)).unwrap_or(0);
            let any = open.get(any.checked_rem(open.len()).unwrap_or(0)).copied();
            match (dice.roll(10), any) {
                (0..=4, _) | (_, None) => {
                    let number = world.come(u32::try_from(dice.roll(people)).unwrap());
                    if dice.roll(3) > 0 {
                        world.look(number);
                    }
                }
                (5..=7, Some(number)) => world.depart(number),
                (8, Some(number)) => {
                    let (person, ..) = world.tails[&number];
                    world.presence.expel(world.now, LOG, &who(person));
                    world.tails.retain(|_, (other, ..)| *other != person);
                }
                (_, Some(_)) => world.run(dice.roll(3_000)),
            }
        }
        // Those who have not looked yet do, as they would when their tails begin.
        let fresh = world.tails.iter().filter(|(_, (.., at))| at.is_none());
        for number in fresh.map(|(number, _)| *number).collect::<Vec<_>>() {
            world.look(number);
        }
        world.run(GRACE + 3 * PACE);
        let online = world.people().len();
        if online <= NO_CROWD {
            world.assert_true();
        } else if online > MAX_ONLINE {
            assert!(world.tails.values().all(|(_, known, _)| known.is_empty()));
        }
        assert_eq!(world.presence.next_deadline(), None, "seed {seed}: something is pending");
    }
}
