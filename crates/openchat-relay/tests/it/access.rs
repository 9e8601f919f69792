//! Whatever happens in a group, the relay lets in whom the log lets in, and nobody else.

use crate::{
    people::{Member, Person},
    support::{World, evicting},
};
use core::time::Duration;
use openchat_group::{Group, Invited, Proposal};
use openchat_roster::{Leave, LeaveEntry, LogEntry, Person as Named, Reason, Roster};
use openchat_wire::{
    Blob, Epoch, GroupId, Seq,
    relay::{Answer, Request},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Something that alice does with another one, or the other one does.
#[derive(Debug, Clone, Copy)]
enum Step {
    Admit,
    Add,
    Evict,
    Lift,
    Join,
    AskToLeave,
    LetGo,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{Add, Admit, AskToLeave, Crash, Evict, Join, LetGo, Lift};
    prop::sample::select(vec![Admit, Admit, Add, Evict, Lift, Join, Join, AskToLeave, LetGo, Crash])
}

struct Play {
    world: World,
    alice: Member,
    /// Requests that nobody has answered by a commit.
    asked: BTreeMap<usize, (Epoch, LeaveEntry)>,
}

impl Play {
    fn log(&self) -> GroupId {
        self.alice.log()
    }

    /// Does it if the group allows it.
    fn play(mut self, step: Step, number: usize, other: &Person) -> Self {
        let who = other.identity.fingerprint;
        let named = Named { name: other.identity.name.clone(), fingerprint: who };
        let proposal = match step {
            Step::Admit => Proposal {
                admits: vec![Invited { person: named, prekey: None }],
                ..Proposal::default()
            },
            Step::Add => self.world.adding(other),
            Step::Evict => evicting(other),
            Step::Lift => Proposal { lifts: vec![who], ..Proposal::default() },
            Step::LetGo => {
                let Some((_, leave)) = self.asked.get(&number).cloned() else { return self };
                let removes = vec![(who, Reason::Left(leave))];
                Proposal { removes, ..Proposal::default() }
            }
            Step::Join => return self.join(other),
            Step::AskToLeave => return self.ask_to_leave(number, other),
            Step::Crash => return Self { world: self.world.crash(), ..self },
        };
        self.alice = self.world.synced(self.alice);
        let head = self.world.head_ref();
        let author = self.alice.person.author(head);
        let naming = crate::support::naming();
        let made = self.alice.group.propose(&author, Some(&naming), proposal, &mut self.world.rng);
        let Ok(pending) = made else { return self };
        let (entry, letters) = (pending.entry.clone(), pending.letters.clone());
        self.world.post(&self.alice.person, self.alice.log(), &entry, &letters);
        self
    }

    fn join(mut self, other: &Person) -> Self {
        let log = self.log();
        let group = Group::new(log, other.identity.fingerprint);
        let mut member = self.world.synced(Member { group, person: other.clone() });
        let head = self.world.head_ref();
        let made = member.group.join(&other.author(head), None, &mut self.world.rng);
        let Ok(entry) = made.map(|pending| pending.entry.clone()) else { return self };
        self.world.place(other, log, &entry);
        self
    }

    fn ask_to_leave(mut self, number: usize, other: &Person) -> Self {
        let (log, author) = (self.log(), other.identity.fingerprint);
        let Some((since, key)) = standing(&self.roster(), other) else { return self };
        let leave = Leave { author, group: log, since, key };
        let leave = LeaveEntry::sign(&leave, &other.key);
        let entry = Blob(LogEntry::Leave(leave.clone()).to_bytes());
        self.world.place(other, log, &entry);
        self.asked.insert(number, (since, leave));
        self
    }

    fn roster(&self) -> Roster {
        let group = Group::new(self.log(), self.alice.person.identity.fingerprint);
        let reader = Member { group, person: self.alice.person.clone() };
        self.world.synced(reader).group.roster().clone()
    }

    fn check(&mut self, number: usize, other: &Person) {
        let (log, roster) = (self.log(), self.roster());
        let who = other.identity.fingerprint;
        let standing = standing(&roster, other).map(|(since, _)| since);
        let asked = self.asked.get(&number).is_some_and(|(since, _)| Some(*since) == standing);
        let groups = self.world.ask(other, &Request::Groups).answer;
        let listed = if standing.is_some() && !asked { vec![log] } else { Vec::new() };
        assert_eq!(groups, Ok(Answer::Groups(listed)));
        let read = Request::ReadCommits { log, after: Seq(0) };
        assert_eq!(self.world.ask(other, &read).answer.is_ok(), standing.is_some());
        let after = self.world.entries(log).entries.last().unwrap().0;
        let tail = self.world.ask(other, &Request::Tail { log, after });
        assert_eq!(tail.answer.is_ok(), roster.seat(&who).is_some());
    }
}

/// Since when somebody has its seat or admission, and the key that a leave request names.
fn standing(roster: &Roster, who: &Person) -> Option<(Epoch, Option<openchat_crypto::PublicKey>)> {
    let fingerprint = who.identity.fingerprint;
    let seat = roster.seat(&fingerprint).map(|seat| (seat.seated, None));
    let admitted = roster.admitted(&fingerprint);
    seat.or_else(|| admitted.map(|admitted| (admitted.since, Some(*who.key.public()))))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn who_is_in_and_who_reads_is_what_the_log_says(
        steps in prop::collection::vec((step(), 0..3_usize), 1..40),
    ) {
        let mut world = World::new();
        let alice = world.person("alice");
        let others = ["bob", "carol", "dave"].map(|name| world.person(name));
        let alice = world.closed_group(&alice);
        let mut play = Play { world, alice, asked: BTreeMap::new() };
        for (step, number) in steps {
            // Paces are others' to test.
            play.world.wait(Duration::from_mins(2));
            play = play.play(step, number, &others[number]);
            for (number, other) in others.iter().enumerate() {
                play.check(number, other);
            }
        }
    }
}
