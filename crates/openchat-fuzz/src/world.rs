//! Devices around one log, and a relay that is honest about what counts.

use std::{collections::BTreeMap, sync::OnceLock};

use openchat_crypto::{Label, PublicKey, Signature, Tag};
use openchat_group::{ContentKind, Group, Proposal};
use openchat_roster::{CommitEntry, LogEntry, Policy, Roster};
use openchat_wire::{Blob, Seq, relay::Letter};

use crate::device::{Device, Verdict, naming};

/// Has created the group.
pub(crate) const ALICE: usize = 0;
/// Is a member.
pub(crate) const BOB: usize = 1;
/// Is a member too, and lies.
pub(crate) const MALLORY: usize = 2;
/// Watches, and may be added.
pub(crate) const CAROL: usize = 3;
/// Watches, and lies.
pub(crate) const DAVE: usize = 4;

/// Those who keep to the protocol.
pub(crate) const HONEST: [usize; 3] = [ALICE, BOB, CAROL];

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) devices: Vec<Device>,
    /// What the relay knows.
    pub(crate) relay: Roster,
    pub(crate) closed: bool,
    /// The last leave request, for whoever wants to use it.
    pub(crate) leave: Option<openchat_roster::LeaveEntry>,
    /// What has happened.
    pub(crate) tally: Tally,
    /// Those that counted.
    pub(crate) commits: Vec<CommitEntry>,
    seq: u64,
}

/// What conversations have come to, to see that they reach what they are for.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Commits that counted.
    pub commits: usize,
    /// Why others did not.
    pub faults: BTreeMap<String, usize>,
    /// Honest devices that a commit left behind.
    pub left_behind: usize,
    /// Messages that somebody opened.
    pub opened: usize,
}

impl World {
    /// Alice, Bob and Mallory are seated and have claimed their seats; Carol and Dave watch.
    pub(crate) fn base(closed: bool) -> Self {
        static OPEN: OnceLock<World> = OnceLock::new();
        static CLOSED: OnceLock<World> = OnceLock::new();
        let base = if closed { &CLOSED } else { &OPEN };
        base.get_or_init(|| Self::new(closed)).clone()
    }

    fn new(closed: bool) -> Self {
        let mut devices: Vec<Device> =
            ["alice", "bob", "mallory", "carol", "dave"].map(Device::new).into();
        let naming = naming();
        let policy =
            if closed { Policy::closed(&naming) } else { Policy::open("general".parse().unwrap()) };
        let (author, _, rng) = devices[ALICE].parts();
        let created = Group::create(&author, policy, None, Proposal::default(), rng).unwrap();
        let entry = created.pending().unwrap().entry.clone();
        let group = *created.roster().group();
        devices[ALICE].group = created;
        for device in &mut devices[1..] {
            device.group = Group::new(group, device.fingerprint());
        }
        let relay = Roster::new(group);
        let mut world = Self {
            devices,
            relay,
            closed,
            leave: None,
            tally: Tally::default(),
            commits: Vec::new(),
            seq: 0,
        };
        world.publish(&entry.0, &[]);
        for newcomer in [BOB, MALLORY] {
            if closed {
                let adds = vec![world.devices[newcomer].as_new_member(false)];
                world.propose(ALICE, Proposal { adds, ..Proposal::default() });
                world.propose(newcomer, Proposal::update());
            } else {
                world.join(newcomer);
            }
        }
        world.assert_honest_talk();
        world
    }

    /// Somebody makes a commit of its proposal, if it may, and it goes into the log.
    pub(crate) fn propose(&mut self, who: usize, proposal: Proposal) {
        let naming = self.closed.then(naming);
        let (author, group, rng) = self.devices[who].parts();
        if group.propose(&author, naming.as_ref(), proposal, rng).is_ok() {
            self.publish_pending(who);
        }
    }

    pub(crate) fn join(&mut self, who: usize) {
        let (author, group, rng) = self.devices[who].parts();
        if group.join(&author, None, rng).is_ok() {
            self.publish_pending(who);
        }
    }

    pub(crate) fn rejoin(&mut self, who: usize) {
        let (author, group, rng) = self.devices[who].parts();
        if group.rejoin(&author, Vec::new(), rng).is_ok() {
            self.publish_pending(who);
        }
    }

    fn publish_pending(&mut self, who: usize) {
        let pending = self.devices[who].group.pending().unwrap();
        let (entry, letters) = (pending.entry.clone(), pending.letters.clone());
        let current = self.current();
        let epoch = self.relay.epoch();
        self.publish(&entry.0, &letters);
        let is_honest = HONEST.contains(&who);
        assert!(!is_honest || self.relay.epoch() > epoch, "an honest commit was refused");
        let still = current.iter().filter(|who| self.devices[**who].group.is_seated());
        let lost = still.into_iter().find(|who| !self.devices[**who].is_current());
        assert!(!is_honest || lost.is_none(), "an honest commit has left {lost:?} behind");
    }

    /// The entry is the next one of the log, whether or not it counts. All decide it alike.
    pub(crate) fn publish(&mut self, bytes: &[u8], letters: &[Letter]) {
        let Ok(entry) = LogEntry::decode(bytes) else { return };
        for letter in letters {
            let addressee = self.devices.iter_mut().find(|one| one.fingerprint() == letter.to);
            let epoch = self.relay.epoch().next();
            addressee.map(|device| device.ring.letters.insert(epoch, letter.sealed.clone()));
        }
        self.seq += 1;
        match &entry {
            LogEntry::Commit(commit) => self.publish_commit(commit, &entry),
            LogEntry::Message(message) => {
                let seat = self.relay.seat_at(message.header.slot).map(|seat| seat.fingerprint);
                let counts = seat.is_some_and(|author| {
                    self.relay.check_message(&message.header, &author).is_ok()
                });
                for device in &mut self.devices {
                    let verdict = device.judge(&entry);
                    let opened = verdict != Verdict::Refused;
                    assert!(counts || !opened, "a message that does not count opens");
                    self.tally.opened += usize::from(opened);
                }
            }
            LogEntry::Notice(notice) => {
                let counts = self.relay.check_notice(notice).is_ok();
                self.assert_all(&entry, counts);
            }
            LogEntry::Leave(leave) => {
                let counts = self.relay.check_leave(leave).is_ok();
                self.assert_all(&entry, counts);
            }
        }
        for device in &mut self.devices {
            device.advance(Seq(self.seq), bytes);
        }
    }

    fn publish_commit(&mut self, commit: &CommitEntry, entry: &LogEntry) {
        crate::records::look_at(commit);
        let current = self.current().len();
        let transition = self.relay.check(commit);
        let counts = transition.is_ok();
        match transition {
            Err(fault) => *self.tally.faults.entry(format!("{fault:?}")).or_default() += 1,
            Ok(transition) => {
                self.relay.apply(transition);
                self.commits.push(commit.clone());
                self.tally.commits += 1;
            }
        }
        self.assert_all(entry, counts);
        self.tally.left_behind += current.saturating_sub(self.current().len());
        for device in &self.devices {
            let roster = device.group.roster();
            assert_eq!(roster.interim(), self.relay.interim(), "{} has another", device.name);
            assert_eq!(roster.tree().hash(), self.relay.tree().hash());
            assert!(roster.seats().eq(self.relay.seats()));
        }
    }

    fn assert_all(&mut self, entry: &LogEntry, counts: bool) {
        for device in &mut self.devices {
            let verdict = device.judge(entry);
            assert_eq!(verdict == Verdict::Counts, counts, "{} judges otherwise", device.name);
        }
    }

    /// The honest ones who have the current keys.
    pub(crate) fn current(&self) -> Vec<usize> {
        HONEST.into_iter().filter(|who| self.devices[*who].is_current()).collect()
    }

    /// Whoever was left behind comes back by itself.
    pub(crate) fn heal(&mut self) {
        for who in HONEST {
            if self.devices[who].group.is_left_behind() {
                let notice = self.devices[who].group.notice(&self.devices[who].key);
                self.publish(&LogEntry::Notice(notice).to_bytes(), &[]);
                self.rejoin(who);
                assert!(self.devices[who].is_current(), "a rejoin brings nobody back");
            }
        }
    }

    /// Every honest member with keys hears every other one.
    pub(crate) fn assert_honest_talk(&mut self) {
        for author in self.current() {
            let from = self.devices[author].fingerprint();
            let entry = self.devices[author].seal(ContentKind::TEXT, b"hello").unwrap();
            let heard = Verdict::Opened(from, Blob(b"hello".to_vec()));
            for who in self.current() {
                let verdict = (who != author).then(|| self.devices[who].judge(&entry));
                assert!(verdict.is_none_or(|verdict| verdict == heard), "d{who} is deaf");
            }
            let bytes = entry.to_bytes();
            self.seq += 1;
            for device in &mut self.devices {
                device.advance(Seq(self.seq), &bytes);
            }
        }
    }
}

/// Somebody who reads the log judges an entry as its next one; what does not count changes nothing.
pub(crate) fn judge_by_a_reader(entry: &LogEntry) {
    let mut world = World::base(false);
    world.devices[BOB].judge(entry);
}

/// What a reader agrees on with everybody.
pub(crate) fn reader() -> Roster {
    World::base(false).relay
}

/// The signed bytes of a commit in an entry, under Mallory's signature.
pub(crate) fn signed_by_a_member(commit: &[u8]) -> CommitEntry {
    let (commit, tag) = (Blob(commit.to_vec()), Tag([0; 32]));
    let key = &World::base(false).devices[MALLORY].key;
    let signature = key.sign(Label::Commit, &CommitEntry::signed_bytes(&commit, &tag));
    CommitEntry { commit, tag, signature }
}

/// Mallory's signature.
pub(crate) fn signature(label: Label, body: &[u8]) -> Signature {
    World::base(false).devices[MALLORY].key.sign(label, body)
}

/// Mallory's key.
pub(crate) fn member_key() -> PublicKey {
    *World::base(false).devices[MALLORY].key.public()
}
