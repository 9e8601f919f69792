//! Devices around one log, with an honest relay unless a test plays another one.

use openchat_group::{CommitOutcome, Effect, Proposal};
use openchat_roster::{
    Access, Claim, CommitEntry, LeaveEntry, LogEntry, MessageEntry, Naming, Policy, PrekeyKind,
    Reason, Roster,
};
use openchat_wire::{Digest, Fingerprint, GroupId};

use super::{
    device::{Act, Device, Event},
    rng::TestRng,
};

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) devices: Vec<Device>,
    pub(crate) rng: TestRng,
}

impl World {
    /// An open group of `seated` members, who came in this order, and `outside` more devices that
    /// watch.
    pub(crate) fn new(seed: u64, seated: usize, outside: usize) -> Self {
        let mut world = Self::empty(seed, seated + outside, open_policy());
        for joiner in 1..seated {
            world.act(joiner, Act::Join);
        }
        world
    }

    /// A closed group of `seated` members, all but the first of them added and claimed, and
    /// `outside` more devices.
    pub(crate) fn closed(seed: u64, seated: usize, outside: usize) -> Self {
        let mut world = Self::empty(seed, seated + outside, Policy::closed(&naming()));
        for newcomer in 1..seated {
            world.add(0, newcomer);
            world.act(newcomer, Act::Update);
        }
        world
    }

    /// `count` devices; the first has created the group.
    pub(crate) fn empty(seed: u64, count: usize, policy: Policy) -> Self {
        let rng = TestRng::new(seed);
        let mut creator = Device::new(0, GroupId([0; 32]), &rng);
        creator.naming = Some(naming()).filter(|_| matches!(policy.access, Access::Closed { .. }));
        let log = vec![creator.create(policy)];
        let group = *creator.group.roster().group();
        let others = (1..count).map(|index| Device::new(index, group, &rng));
        let devices = core::iter::once(creator).chain(others).collect();
        let mut world = Self { log, devices, rng };
        world.deliver();
        world
    }

    /// Two people: the first has created their direct group with the other in it, who was away.
    pub(crate) fn direct(seed: u64, outside: usize) -> Self {
        let rng = TestRng::new(seed);
        let mut devices: Vec<Device> =
            (0..2 + outside).map(|index| Device::new(index, GroupId([0; 32]), &rng)).collect();
        let prints = [0, 1].map(|index: usize| devices[index].key.fingerprint());
        let adds = vec![devices[1].as_new_member(PrekeyKind::OneTime)];
        let policy = Policy::direct(prints[0], prints[1]);
        let proposal = Proposal { adds, ..Proposal::default() };
        let entry = devices[0].create_with(policy, proposal).unwrap();
        let group = *devices[0].group.roster().group();
        for device in &mut devices[1..] {
            device.group = openchat_group::Group::new(group, device.key.fingerprint());
        }
        let mut world = Self { log: Vec::new(), devices, rng };
        world.publish(entry);
        world
    }

    /// `who` commits what it proposes and everybody reads it: one event for each device.
    pub(crate) fn propose(&mut self, who: usize, proposal: Proposal) -> Vec<Event> {
        let entry = self.devices[who].propose(proposal).unwrap();
        let events = self.publish(entry);
        assert_eq!(events[who].effect(), Effect::Own, "d{who}");
        events
    }

    /// `who` seats a device at once, by a one-time prekey.
    pub(crate) fn add(&mut self, who: usize, newcomer: usize) -> Vec<Event> {
        self.add_by(who, newcomer, PrekeyKind::OneTime)
    }

    pub(crate) fn add_by(&mut self, who: usize, newcomer: usize, kind: PrekeyKind) -> Vec<Event> {
        let adds = vec![self.devices[newcomer].as_new_member(kind)];
        self.propose(who, Proposal { adds, ..Proposal::default() })
    }

    /// `who` invites a device.
    pub(crate) fn admit(&mut self, who: usize, invited: usize) -> Vec<Event> {
        let admits = vec![self.devices[invited].as_invited()];
        self.propose(who, Proposal { admits, ..Proposal::default() })
    }

    /// `who` throws devices out.
    pub(crate) fn evict(&mut self, who: usize, whom: &[usize]) -> Vec<Event> {
        let removes = whom.iter().map(|&it| (self.fingerprint(it), Reason::Evicted)).collect();
        self.propose(who, Proposal { removes, ..Proposal::default() })
    }

    /// `who` asks to be let go: the entry, which everybody has read.
    pub(crate) fn leave(&mut self, who: usize) -> LeaveEntry {
        let device = &self.devices[who];
        let leave = device.group.leave_request(&device.key).unwrap();
        let entry = LogEntry::Leave(leave.clone()).to_bytes();
        for event in self.publish(entry) {
            assert!(matches!(event, Event::Leave(Ok(_))), "{event:?}");
        }
        leave
    }

    /// `who` lets somebody go.
    pub(crate) fn remove_leaver(
        &mut self,
        who: usize,
        leaver: usize,
        leave: &LeaveEntry,
    ) -> Vec<Event> {
        let removes = vec![(self.fingerprint(leaver), Reason::Left(leave.clone()))];
        self.propose(who, Proposal { removes, ..Proposal::default() })
    }

    pub(crate) fn fingerprint(&self, device: usize) -> Fingerprint {
        self.devices[device].key.fingerprint()
    }

    pub(crate) fn claim(&self, device: usize) -> Claim {
        self.roster().seat(&self.fingerprint(device)).unwrap().claim
    }

    /// `who` commits and everybody reads it: one event for each device.
    pub(crate) fn act(&mut self, who: usize, act: Act) -> Vec<Event> {
        let entry = self.devices[who].make(act).unwrap();
        let events = self.publish(entry);
        assert_eq!(events[who].effect(), Effect::Own, "d{who} {act:?}");
        events
    }

    /// `who` writes and everybody reads it.
    pub(crate) fn say(&mut self, who: usize, text: &str) -> Vec<Event> {
        let entry = self.devices[who].seal(text).unwrap();
        self.publish(entry)
    }

    /// An entry that everybody who is at the tail reads: one event for each device.
    pub(crate) fn publish(&mut self, entry: Vec<u8>) -> Vec<Event> {
        self.deliver();
        self.deliver_letters(&entry);
        self.log.push(entry);
        self.deliver().into_iter().map(|mut events| events.pop().unwrap()).collect()
    }

    /// The relay puts the letters of a commit into inboxes.
    pub(crate) fn deliver_letters(&mut self, entry: &[u8]) {
        let letters: Vec<_> =
            self.devices.iter().flat_map(|device| device.letters_with(entry)).collect();
        let place = (*self.roster().group(), self.roster().epoch().next());
        for letter in letters {
            let to = self.devices.iter_mut().find(|it| it.key.fingerprint() == letter.to);
            if let Some(to) = to {
                to.ring.letters.insert(place, letter.sealed);
            }
        }
    }

    /// Everybody reads to the tail.
    pub(crate) fn deliver(&mut self) -> Vec<Vec<Event>> {
        self.devices.iter_mut().map(|device| device.read(&self.log)).collect()
    }

    /// The group as the first device has it.
    pub(crate) fn roster(&self) -> &Roster {
        self.devices[0].group.roster()
    }

    /// Whoever is seated, by device.
    pub(crate) fn seated(&self) -> Vec<usize> {
        self.indices(|device| device.group.is_seated())
    }

    /// Whoever is seated and has the current keys.
    pub(crate) fn current(&self) -> Vec<usize> {
        self.indices(Device::is_current)
    }

    /// Whoever is seated and has not.
    pub(crate) fn stuck(&self) -> Vec<usize> {
        self.indices(|device| device.group.is_left_behind())
    }

    fn indices(&self, wanted: impl Fn(&Device) -> bool) -> Vec<usize> {
        (0..self.devices.len()).filter(|&index| wanted(&self.devices[index])).collect()
    }

    /// Each of `speakers` says something that every device with the current keys opens.
    pub(crate) fn assert_heard(&mut self, speakers: &[usize]) {
        let current = self.current();
        for &speaker in speakers {
            let text = format!("d{speaker} at {}", self.log.len());
            let events = self.say(speaker, &text);
            for (listener, event) in events.iter().enumerate() {
                if listener == speaker {
                    assert_eq!(*event, Event::OwnMessage);
                } else if current.contains(&listener) {
                    assert_eq!(event.text(), Some(&text[..]), "d{listener} hears d{speaker}");
                } else {
                    assert!(matches!(event, Event::Unreadable(_)), "d{listener}: {event:?}");
                }
            }
        }
    }

    /// Everybody seated has the current keys, and hears everybody.
    pub(crate) fn assert_all_talk(&mut self) {
        assert_eq!(self.stuck(), Vec::<usize>::new());
        self.assert_heard(&self.current());
    }

    /// All devices have the same public state, and those with keys the same keys.
    pub(crate) fn assert_agree(&self) {
        let first = self.roster();
        for device in &self.devices {
            let roster = device.group.roster();
            assert_eq!(roster.interim(), first.interim());
            assert_eq!(roster.tree().hash(), first.tree().hash());
            assert!(roster.seats().eq(first.seats()));
        }
        let epoch = first.epoch();
        let current = self.current();
        let keys = |index: usize| self.devices[index].group.ratchets(epoch).unwrap().confirmed;
        assert!(current.windows(2).all(|pair| keys(pair[0]) == keys(pair[1])));
    }

    /// Nobody's state is changed by `entry`, of which each device says the same; its author knows
    /// its own message.
    pub(crate) fn assert_refused(&mut self, entry: &[u8], expected: &Event) {
        for (index, device) in self.devices.iter_mut().enumerate() {
            let before = device.snapshot();
            let event = device.judge(entry);
            assert!(event == *expected || event == Event::OwnMessage, "d{index}: {event:?}");
            assert_eq!(device.snapshot(), before, "d{index} changed");
        }
    }
}

pub(crate) fn open_policy() -> Policy {
    Policy::open("general".parse().unwrap())
}

/// What the closed groups of these tests are called.
pub(crate) fn naming() -> Naming {
    Naming { name: "ops".parse().unwrap(), salt: Digest([9; 32]) }
}

/// The commit in an entry.
pub(crate) fn commit_of(entry: &[u8]) -> CommitEntry {
    match LogEntry::decode(entry) {
        Ok(LogEntry::Commit(commit)) => commit,
        other => panic!("no commit: {other:?}"),
    }
}

/// The message in an entry.
pub(crate) fn message_of(entry: &[u8]) -> MessageEntry {
    match LogEntry::decode(entry) {
        Ok(LogEntry::Message(message)) => message,
        other => panic!("no message: {other:?}"),
    }
}

/// The event of a commit that everybody skips.
pub(crate) fn invalid(fault: openchat_roster::CommitFault) -> Event {
    Event::Commit(CommitOutcome::Invalid(fault))
}
