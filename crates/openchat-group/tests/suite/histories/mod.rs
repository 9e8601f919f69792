//! Random histories against a model: commits, messages that come late, races, restarts, lost
//! secrets, wrong path keys, and thieves who listen.

mod model;

use std::collections::BTreeSet;

use openchat_roster::{LogEntry, Roster};
use proptest::prelude::*;

use self::model::{Keys, Told, View};
use crate::kit::{
    Act, Liar, Lie, Reference, SecretsView, Thief, World,
    world::{commit_of, message_of, open_policy},
};

const DEVICES: usize = 6;

/// One step of a history; what can't be done at its time is left out.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Joins, or if it is seated renews itself in one way or the other.
    Commit(usize, Act),
    /// The relay logs it even if it has lost its race.
    CommitLogged(usize, Act),
    /// Tries to, whether or not it may.
    Try(usize, Act),
    Say(usize),
    /// Seals a message that is sent later.
    Seal(usize),
    /// Seals one, whether or not it has keys.
    TrySeal(usize),
    Send,
    Sleep(usize),
    Wake(usize),
    Restart(usize),
    LoseSecrets(usize),
    /// A wrong key in the path, on this level.
    Lie(usize, u8),
    /// Somebody reads this device's memory.
    Steal(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = prop_oneof![Just(Act::Join), Just(Act::Update), Just(Act::Rejoin)];
    let act = prop_oneof![2 => Just(Act::Update), 1 => Just(Act::Rejoin)];
    let device = 0..DEVICES;
    prop_oneof![
        10 => (device.clone(), act.clone()).prop_map(|(who, act)| Step::Commit(who, act)),
        3 => (device.clone(), act).prop_map(|(who, act)| Step::CommitLogged(who, act)),
        1 => (device.clone(), any).prop_map(|(who, act)| Step::Try(who, act)),
        5 => device.clone().prop_map(Step::Say),
        4 => device.clone().prop_map(Step::Seal),
        1 => device.clone().prop_map(Step::TrySeal),
        3 => Just(Step::Send),
        2 => device.clone().prop_map(Step::Sleep),
        3 => device.clone().prop_map(Step::Wake),
        2 => device.clone().prop_map(Step::Restart),
        1 => device.clone().prop_map(Step::LoseSecrets),
        1 => (device.clone(), 1_u8..=3).prop_map(|(who, level)| Step::Lie(who, level)),
        2 => device.prop_map(Step::Steal),
    ]
}

proptest! {
    // Each case is a whole history; `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig {
        cases: 64,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_histories_go_as_the_model_says(
        seed: u64,
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut play = Play::new(seed);
        for step in steps {
            play.step(step);
        }
        play.end();
    }
}

struct Play {
    world: World,
    story: Vec<Told>,
    views: Vec<View>,
    /// The log as the relay judges it.
    relay: Roster,
    relay_view: View,
    asleep: BTreeSet<usize>,
    /// Sealed messages that were not sent.
    unsent: Vec<(Vec<u8>, Told)>,
    reference: Reference,
    thief: Thief,
    /// Devices whose leaf secret is the one that was stolen.
    stolen: BTreeSet<usize>,
    /// Whether there was a wrong path key.
    lied: bool,
    commits: usize,
}

impl Play {
    fn new(seed: u64) -> Self {
        let world = World::empty(seed, DEVICES, open_policy());
        let group = *world.roster().group();
        let mut relay = Roster::new(group);
        let transition = relay.check(&commit_of(&world.log[0])).unwrap();
        relay.apply(transition);
        let reference = Reference::of_log(group, &world.log);
        Self {
            world,
            story: vec![created()],
            views: (0..DEVICES).map(View::new).collect(),
            relay,
            relay_view: View::new(DEVICES),
            asleep: BTreeSet::new(),
            unsent: Vec::new(),
            reference,
            thief: Thief::default(),
            stolen: BTreeSet::new(),
            lied: false,
            commits: 0,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit(who, act) => self.commit(who, self.possible(who, act), false),
            Step::CommitLogged(who, act) => self.commit(who, self.possible(who, act), true),
            Step::Try(who, act) => self.commit(who, act, false),
            Step::Say(who) => {
                self.seal(self.current_from(who));
                self.send();
            }
            Step::Seal(who) => self.seal(self.current_from(who)),
            Step::TrySeal(who) => self.seal(who),
            Step::Send => self.send(),
            Step::Sleep(who) => drop(self.asleep.insert(who)),
            Step::Wake(who) => drop(self.asleep.remove(&who)),
            Step::Restart(who) => self.world.devices[who].restart(),
            Step::LoseSecrets(who) => {
                self.world.devices[who].lose_secrets();
                self.views[who].lose();
            }
            Step::Lie(who, level) => self.lie(self.current_from(who), level),
            Step::Steal(who) => self.steal(self.current_from(who)),
        }
        self.everybody_reads();
    }

    /// Everybody wakes, and whoever has no keys comes back; then all talk.
    fn end(mut self) {
        self.asleep.clear();
        self.everybody_reads();
        for who in 0..DEVICES {
            if self.views[who].is_seated(who) && self.views[who].keys != Keys::Current {
                self.commit(who, Act::Rejoin, false);
                self.everybody_reads();
            }
        }
        self.world.assert_agree();
        let by_slot = self.world.roster().seats().map(|seat| seat.name.to_string());
        let expected = self.relay_view.slots.iter().map(|device| format!("d{device}"));
        assert!(by_slot.eq(expected));
        self.world.assert_all_talk();
    }

    /// The next device with keys, if there is one.
    fn current_from(&self, who: usize) -> usize {
        let round = (who..DEVICES).chain(0..who);
        let mut current = round.filter(|&who| self.views[who].keys == Keys::Current);
        current.next().unwrap_or(who)
    }

    fn possible(&self, who: usize, act: Act) -> Act {
        match (self.views[who].is_seated(who), self.views[who].keys) {
            (false, _) => Act::Join,
            (true, Keys::Current) => act,
            (true, _) => Act::Rejoin,
        }
    }

    /// Makes a commit; not while another one is pending, which is only sent again.
    fn commit(&mut self, who: usize, act: Act, log_anyway: bool) {
        let view = &mut self.views[who];
        let device = &mut self.world.devices[who];
        let may = match act {
            Act::Join => !view.is_seated(who),
            Act::Update => view.keys == Keys::Current,
            Act::Rejoin => view.is_seated(who),
        };
        if view.pending.is_some() || !may {
            let refused = view.pending.is_none() && device.make(act).is_ok();
            assert!(!refused, "d{who} made a commit it may not make");
            return;
        }
        let entry = device.make(act).unwrap();
        view.pending = Some(self.commits);
        let wraps_for = match view.keys {
            Keys::StuckAt(epoch) if act == Act::Rejoin => Some(epoch),
            _ => None,
        };
        let on_tail = view.epoch == self.relay_view.epoch;
        let told =
            Told::Commit { id: self.commits, author: who, act, lie: 0, wraps_for, counts: on_tail };
        self.commits += 1;
        assert_eq!(self.relay.check(&commit_of(&entry)).is_ok(), on_tail);
        if on_tail || log_anyway {
            self.log(entry, told);
        }
    }

    fn log(&mut self, entry: Vec<u8>, told: Told) {
        if let Told::Commit { counts: true, author, lie, .. } = told {
            let commit = commit_of(&entry);
            let transition = self.relay.check(&commit).unwrap();
            self.relay.apply(transition);
            let before = self.reference.clone();
            self.reference.apply(&commit);
            self.stolen.remove(&author);
            self.thief.listen(&before, &commit, &self.reference);
            self.thief_must_be_outside_or_in(lie > 0);
            let event = self.watched(&commit);
            self.relay_view.read(&told, &event).unwrap();
        }
        self.world.log.push(entry);
        self.story.push(told);
    }

    /// Who listens is inside if and only if some stolen leaf is still its member's; but a wrong
    /// path key locks a thief out as it does the victim.
    fn thief_must_be_outside_or_in(&mut self, is_lie: bool) {
        self.lied |= is_lie;
        let knows = self.thief.knows(self.reference.epoch);
        assert!(!knows || !self.stolen.is_empty(), "a thief is inside after its victims healed");
        assert!(knows || self.stolen.is_empty() || self.lied, "the model of a thief is too weak");
    }

    /// The event of somebody without a seat; only the relay's own view is told by it.
    fn watched(&self, commit: &openchat_roster::CommitEntry) -> crate::kit::Event {
        let author = commit.view().unwrap().author;
        let seat = self.relay.seat(&author).unwrap();
        crate::kit::Event::Commit(openchat_group::CommitOutcome::Valid {
            author: seat.name.clone(),
            fingerprint: author,
            kind: openchat_group::CommitKind::Updated,
            effect: openchat_group::Effect::Watched,
        })
    }

    fn seal(&mut self, who: usize) {
        let text = format!("{who} says {}", self.story.len());
        let sealed = self.world.devices[who].seal(&text);
        assert_eq!(sealed.is_ok(), self.views[who].keys == Keys::Current);
        let Ok(entry) = sealed else { return };
        let header = message_of(&entry).header;
        assert_eq!(header.epoch.0, self.views[who].epoch);
        let (epoch, generation) = (header.epoch.0, header.generation.0);
        self.unsent.push((entry, Told::Message { author: who, epoch, generation, text }));
    }

    /// The newest message is sent first, so that some come after what was sealed behind them.
    fn send(&mut self) {
        let Some((entry, told)) = self.unsent.pop() else { return };
        let Told::Message { author, epoch, .. } = &told else { return };
        let fingerprint = self.world.devices[*author].key.fingerprint();
        let checked = self.relay.check_message(&message_of(&entry).header, &fingerprint);
        assert_eq!(checked.is_ok(), self.relay_view.takes(*author, *epoch), "{checked:?}");
        if checked.is_ok() {
            self.log(entry, told);
        }
    }

    /// Everybody is awake, one member lies in its path, and one who is stuck rejoins.
    fn lie(&mut self, who: usize, level: u8) {
        self.asleep.clear();
        self.everybody_reads();
        let height = self.reference.height();
        if self.views[who].keys != Keys::Current || level > height {
            return;
        }
        let before = self.views[who].epoch;
        let device = &mut self.world.devices[who];
        let entry =
            Liar { device, log: &self.world.log }.commit(Act::Update, &Lie::Path(vec![level]));
        let sibling_is_empty =
            commit_of(&entry).view().unwrap().nodes.iter().all(|n| n.0.level != level);
        let lie = if sibling_is_empty { 0 } else { level };
        self.views[who].pending = Some(self.commits);
        let told = Told::Commit {
            id: self.commits,
            author: who,
            act: Act::Update,
            lie,
            wraps_for: None,
            counts: true,
        };
        self.commits += 1;
        self.log(entry, told);
        self.everybody_reads();
        let stuck = |view: &View| view.keys == Keys::StuckAt(before);
        match self.views.iter().position(stuck) {
            Some(first) => self.commit(first, Act::Rejoin, false),
            // Nobody below has seen the wrong key; its author takes it back.
            None => self.commit(who, Act::Update, false),
        }
        self.everybody_reads();
        assert!(!self.views.iter().any(stuck), "one rejoin brings all of them back");
    }

    fn steal(&mut self, who: usize) {
        let view = &self.views[who];
        if view.keys == Keys::Current && view.epoch == self.relay_view.epoch {
            self.thief.steal(&SecretsView::of(&self.world.devices[who].group));
            self.stolen.insert(who);
        }
    }

    fn everybody_reads(&mut self) {
        for (who, device) in self.world.devices.iter_mut().enumerate() {
            if self.asleep.contains(&who) {
                continue;
            }
            let first = device.read;
            let events = device.read(&self.world.log);
            for (told, event) in self.story[first..].iter().zip(&events) {
                self.views[who].read(told, event).unwrap();
            }
            assert_eq!(device.group.roster().epoch().0, self.views[who].epoch);
            assert_eq!(device.group.is_seated(), self.views[who].is_seated(who));
            assert_eq!(device.is_current(), self.views[who].keys == Keys::Current);
        }
    }
}

/// The creation stands first in every log; no view reads it from the story.
fn created() -> Told {
    Told::Commit {
        id: usize::MAX,
        author: 0,
        act: Act::Join,
        lie: 0,
        wraps_for: None,
        counts: true,
    }
}

#[test]
fn a_log_that_was_played_decodes() {
    let mut play = Play::new(7);
    for who in 1..4 {
        play.step(Step::Commit(who, Act::Join));
        play.step(Step::Say(who));
    }
    assert!(play.world.log.iter().all(|entry| LogEntry::decode(entry).is_ok()));
    play.end();
}
