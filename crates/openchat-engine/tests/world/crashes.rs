//! A device dies at every step that it takes, before and after the step is on its disk.

use crate::{
    answers::is_commit,
    cases::deaths,
    forge::{Fault, faulty_join},
    liar::Answers,
    person::Death,
    world::{HOUR, MINUTE, SECOND, Who, World},
};
use openchat_engine::AlarmCode;
use openchat_wire::{
    MessageId,
    relay::{Refusal, Request},
};
use std::collections::{BTreeMap, BTreeSet};

/// Three people come in and talk, over one another, while one of them may die.
struct Story {
    world: World,
    all: Vec<Who>,
    said: BTreeMap<String, Who>,
    /// What was heard before the last one came in.
    since_all_are_in: usize,
}

impl Story {
    fn tell(seed: u64, victim: usize, death: Option<(usize, Death)>) -> Self {
        let mut world = World::new(seed);
        let all: Vec<Who> = ["alice", "bob", "carol"].map(|name| world.enroll(name)).into();
        if let Some((step, death)) = death {
            world.dies(all[victim], step, death);
        }
        let mut story = Self { world, all, said: BTreeMap::new(), since_all_are_in: 0 };
        for at in 0..3 {
            story.world.start(story.all[at]);
            story.world.run(300);
            story.talk(1, at + 1);
        }
        story.world.run(5 * SECOND);
        story.since_all_are_in = story.world.person(story.all[0]).heard().len();
        story.talk(2, 3);
        story.world.run(30 * SECOND);
        story
    }

    /// A person who finds the device dead says it again when it is back; who can't tell whether
    /// the words were kept says them under the same id.
    fn talk(&mut self, rounds: usize, people: usize) {
        for round in 0..rounds {
            for at in 0..people {
                let who = self.all[at];
                let text = format!("{who:?} {round} of {}", self.said.len());
                let id = self.world.say(who, &text);
                if self.world.person(who).engine.is_none() {
                    let back = |world: &World| world.person(who).engine.is_some();
                    assert!(self.world.run_until(MINUTE, back));
                    self.world.say_as(who, id, &text);
                }
                self.said.insert(text, who);
            }
            self.world.run(30);
        }
    }

    fn check(&self, note: &str) {
        let Self { world, all, said, .. } = self;
        world.assert_no_alarms();
        for who in all {
            assert_eq!(world.queued(*who), 0, "{note}");
        }
        let heard = world.person(all[0]).heard();
        assert_eq!(heard.len(), said.len(), "{note}: each once");
        let kept: BTreeSet<&String> = heard.iter().map(|(.., text)| text).collect();
        assert!(said.keys().all(|text| kept.contains(text)), "{note}: none lost");
        for who in &all[1..] {
            // Who came later has not read the earliest, nor what was on its way just then.
            let later = world.person(*who).heard();
            let of_the_end = heard.len() - self.since_all_are_in;
            let (theirs, ours) = (end(&later, of_the_end), end(&heard, of_the_end));
            assert_eq!(theirs, ours, "{note}: one order");
            assert!(later.iter().all(|line| heard.contains(line)), "{note}: the same place");
            let told = said.values().filter(|author| *author == who).count();
            let name = world.person(*who).identity.name.to_string();
            let own = later.iter().filter(|(_, sender, _)| *sender == name).count();
            assert_eq!(told, own, "{note}: every word of its own");
        }
    }
}

fn end<T>(all: &[T], length: usize) -> &[T] {
    &all[all.len().saturating_sub(length)..]
}

fn dies_at_every_step(victim: usize) {
    let whole = Story::tell(30, victim, None);
    whole.check("nobody dies");
    let steps = whole.world.people[victim].steps;
    assert!(steps > 15, "{steps} steps are worth dying at");
    for (step, death) in deaths(steps) {
        let story = Story::tell(30, victim, Some((step, death)));
        story.check(&format!("{victim} dies at step {step}, {death:?}"));
    }
}

#[test]
fn the_first_one_dies_at_any_step() {
    dies_at_every_step(0);
}

#[test]
fn a_newcomer_dies_at_any_step() {
    dies_at_every_step(1);
}

/// Members renew their keys, a stranger leaves them behind, they come back, and talk all the while;
/// the relay denies bob's first commit although it has logged it. Bob may die.
fn troubles(death: Option<(usize, Death)>) -> (World, usize) {
    let (mut world, all) = World::with(31, &["alice", "bob"]);
    let (mallory, bob) = (world.enroll("mallory"), all[1]);
    world.sleep(30 * HOUR);
    let mut truthful = false;
    world.liar = Box::new(Answers(move |who, request: &Request, answer| {
        let lies = !truthful && who == bob && is_commit(request);
        truthful |= lies;
        if lies { Err(Refusal::Invalid("C12".to_owned())) } else { answer }
    }));
    let begin = world.person(bob).steps;
    if let Some((step, death)) = death {
        world.dies(bob, begin + step, death);
    }
    for round in 0..4 {
        if round == 2 {
            let entry = faulty_join(&mut world, mallory, Fault::PathKey);
            let log = world.general();
            world.append(
                mallory,
                &Request::Append { log, entry, letters: Vec::new(), follows: false },
            );
        }
        world.say(all[0], &format!("alice {round}"));
        let (text, id) = (format!("bob {round}"), MessageId([round; 16]));
        world.say_as(bob, id, &text);
        world.run(SECOND);
        // Whoever saw the device die says it again.
        world.say_as(bob, id, &text);
        world.run(2 * SECOND);
    }
    world.run(2 * MINUTE);
    let steps = world.person(bob).steps - begin;
    (world, steps)
}

fn assert_overcome(world: &World, note: &str) {
    let (alice, bob) = (Who(0), Who(1));
    world.assert_same(&[alice, bob]);
    assert_eq!(world.person(alice).texts().len(), 8, "{note}: each once");
    assert_eq!((world.queued(alice), world.queued(bob)), (0, 0), "{note}");
    for who in [alice, bob] {
        let alarms = world.alarms(who);
        let mallorys = |code: &AlarmCode| *code == AlarmCode::BadCommit;
        assert!(alarms.iter().all(mallorys), "{note}: {who:?} {alarms:?}");
        assert_eq!(world.person(who).unreadable(), [], "{note}: {who:?}");
    }
}

#[test]
fn a_member_in_trouble_dies_at_any_step() {
    let (world, steps) = troubles(None);
    assert_overcome(&world, "nobody dies");
    assert!(steps > 20, "{steps} steps are worth dying at");
    for (step, death) in deaths(steps) {
        let (world, _) = troubles(Some((step, death)));
        assert_overcome(&world, &format!("bob dies at step {step}, {death:?}"));
    }
}
