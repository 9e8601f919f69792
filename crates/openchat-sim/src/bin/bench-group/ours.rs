//! Our side: the same scenes with `openchat-group`, and what only ours promises.

use crate::scenes::{Outcome, Protocol, Sample, Sent, Stage, serve};
use core::convert::Infallible;
use openchat_crypto::{IdentityKey, KeyPair, Secret, sha256};
use openchat_group::{
    Author, CommitOutcome, Content, ContentKind, Group, Keyring, NewMember, Proposal,
};
use openchat_roster::{
    HeadRef, Leave, LeaveEntry, LogEntry, Policy, Prekey, PrekeyKind, Reason, Role, SignedPrekey,
};
use openchat_wire::limits::{MAX_MEMBERS, MAX_UNCLAIMED};
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, GroupId, MessageId, Name, Seq, UnixMillis, relay::Letter,
};
use rand_core::{TryCryptoRng, TryRng};
use std::collections::BTreeMap;
use std::time::Instant;

/// Plays what it is told to.
pub(crate) fn worker() -> Outcome<()> {
    let mut stage = Stage::<Ours>::new();
    let mut log: Option<LongLog> = None;
    serve(|scene, n| match scene {
        "replay" => {
            if log.is_none() {
                log = Some(LongLog::of(n)?);
            }
            log.as_ref().ok_or("no log")?.replay()
        }
        "memory" => Ok(vec![("peak memory bytes", peak_memory()?)]),
        _ => stage.play(scene, n),
    })
}

/// A server's log and everybody's keys.
#[derive(Default)]
struct Ours {
    log: Vec<Vec<u8>>,
    group: Option<GroupId>,
    /// The letters that came with each commit, by addressee.
    letters: BTreeMap<Fingerprint, (Epoch, Blob)>,
    people: BTreeMap<String, IdentityKey>,
    /// Who has helped to fill the group, and so has a state already.
    helpers: BTreeMap<Fingerprint, Member>,
    drawn: Drawn,
}

#[derive(Clone)]
struct Device {
    name: Name,
    key: IdentityKey,
    prekey: SignedPrekey,
    pair: KeyPair,
}

struct Member {
    name: Name,
    key: IdentityKey,
    group: Group,
    ring: Ring,
    /// Entries of the log that it has read.
    read: usize,
}

impl Protocol for Ours {
    const MOST: Option<usize> = Some(MAX_MEMBERS);

    type Device = Device;
    type Member = Member;

    fn device(&mut self, name: &str) -> Outcome<Device> {
        let key = IdentityKey::generate(&mut self.drawn);
        let pair = KeyPair::derive(&Secret::random(&mut self.drawn));
        let prekey = Prekey {
            owner: key.fingerprint(),
            kind: PrekeyKind::OneTime,
            id: self.drawn.id(),
            key: *pair.public(),
            not_before: UnixMillis(0),
            not_after: UnixMillis(u64::MAX),
        };
        let prekey = SignedPrekey::sign(&prekey, &key);
        self.people.insert(name.to_owned(), key.clone());
        Ok(Device { name: name.parse()?, key, prekey, pair })
    }

    /// One person adds [`MAX_UNCLAIMED`] at most, so larger groups are filled by several.
    fn found(&mut self, founder: Device, others: &[Device]) -> Outcome<(Member, Sent)> {
        let mut parts = others.chunks(MAX_UNCLAIMED);
        let mut founder = self.member(founder, GroupId([0; 32]));
        let name = "bench".parse()?;
        let proposal = Proposal { adds: adds(parts.next().unwrap_or(&[])), ..Proposal::default() };
        let author = Author { key: &founder.key, name: &founder.name, head: HEAD };
        let drawn = &mut self.drawn;
        founder.group = Group::create(&author, Policy::open(name), None, proposal, drawn)?;
        self.group = Some(*founder.group.roster().group());
        let mut sent = self.append(&mut founder)?;
        for (part, helper) in parts.zip(others.iter().skip(HELPERS)) {
            let mut helper = self.newcomer(helper)?;
            let proposal = Proposal { adds: adds(part), ..Proposal::default() };
            sent.commit.extend(self.propose(&mut helper, proposal)?.commit);
            self.helpers.insert(helper.key.fingerprint(), helper);
        }
        self.catch_up(&mut founder)?;
        Ok((founder, sent))
    }

    fn join(&mut self, device: Device, _: &Sent) -> Outcome<Member> {
        match self.helpers.remove(&device.key.fingerprint()) {
            Some(mut helper) => self.catch_up(&mut helper).map(|()| helper),
            None => self.newcomer(&device),
        }
    }

    fn update(&mut self, author: &mut Member) -> Outcome<Sent> {
        self.propose(author, Proposal::update())
    }

    fn add(&mut self, author: &mut Member, device: &Device) -> Outcome<Sent> {
        let adds = adds(core::slice::from_ref(device));
        self.propose(author, Proposal { adds, ..Proposal::default() })
    }

    /// Evicts, or if the author may not, grants a wish to leave.
    fn remove(&mut self, author: &mut Member, name: &str, _: u32) -> Outcome<Sent> {
        let key = self.people.get(name).ok_or("nobody of that name")?;
        let roster = author.group.roster();
        let is_admin =
            roster.seat(&author.key.fingerprint()).is_some_and(|s| s.role == Role::Admin);
        let member = key.fingerprint();
        let reason = if is_admin {
            Reason::Evicted
        } else {
            let since = roster.seat(&member).ok_or("not seated")?.seated;
            let leave = Leave { author: member, group: *roster.group(), since, key: None };
            Reason::Left(LeaveEntry::sign(&leave, key))
        };
        self.propose(author, Proposal { removes: vec![(member, reason)], ..Proposal::update() })
    }

    fn promote(&mut self, by: &mut Member, name: &str) -> Outcome<Option<Sent>> {
        let member = self.people.get(name).ok_or("nobody of that name")?.fingerprint();
        if member == by.key.fingerprint() {
            return Ok(None);
        }
        let roles = vec![(member, Role::Admin)];
        self.propose(by, Proposal { roles, ..Proposal::default() }).map(Some)
    }

    fn receive(&mut self, member: &mut Member, _: &Sent) -> Outcome<()> {
        self.catch_up(member)
    }

    fn seal(&mut self, author: &mut Member, text: &[u8]) -> Outcome<Vec<u8>> {
        let content = Content {
            time: UnixMillis(1_700_000_000_000),
            kind: ContentKind::TEXT,
            body: Blob(text.to_vec()),
        };
        let id = MessageId(self.drawn.id());
        let entry = LogEntry::Message(author.group.seal(&author.key, id, &content)?).to_bytes();
        self.log.push(entry.clone());
        self.catch_up(author)?;
        Ok(entry)
    }

    fn open(&mut self, reader: &mut Member, sealed: &[u8]) -> Outcome<Vec<u8>> {
        let LogEntry::Message(message) = LogEntry::decode(sealed)? else {
            return Err("no message".into());
        };
        let opened = reader.group.open(&message)?;
        self.catch_up(reader)?;
        Ok(opened.content.body.0)
    }

    fn save(&mut self, member: &mut Member) -> Outcome<usize> {
        let changes = member.group.take_changes();
        let size = |record: &Option<Blob>| record.as_ref().map_or(0, |record| record.0.len());
        Ok(changes.iter().map(|(key, record)| key.to_bytes().len() + size(record)).sum())
    }
}

/// The first of those who help to fill a large group: members whom no scene plays with.
const HELPERS: usize = 600;

/// The transparency head that everybody names; who checks certificates is not measured here.
const HEAD: HeadRef = HeadRef { size: 1, root: Digest([1; 32]) };

impl Ours {
    fn member(&self, device: Device, group: GroupId) -> Member {
        let me = device.key.fingerprint();
        let ring = Ring {
            prekey: (device.prekey.hash(), device.pair),
            letter: self.letters.get(&me).cloned(),
        };
        let group = Group::new(group, me);
        Member { name: device.name, key: device.key, group, ring, read: 0 }
    }

    /// Somebody who was added, once it has read the log.
    fn newcomer(&self, device: &Device) -> Outcome<Member> {
        let group = self.group.ok_or("no group")?;
        let mut member = self.member(device.clone(), group);
        self.catch_up(&mut member)?;
        let is_seated = member.group.is_seated() && !member.group.is_left_behind();
        if is_seated { Ok(member) } else { Err("not in the group".into()) }
    }

    fn propose(&mut self, author: &mut Member, proposal: Proposal) -> Outcome<Sent> {
        let Member { name, key, group, .. } = &mut *author;
        group.propose(&Author { key, name, head: HEAD }, None, proposal, &mut self.drawn)?;
        self.append(author)
    }

    /// The relay takes the pending commit, and its author reads it.
    fn append(&mut self, author: &mut Member) -> Outcome<Sent> {
        let pending = author.group.pending().ok_or("nothing pending")?;
        let epoch = author.group.roster().epoch().next();
        let commit = pending.entry.0.clone();
        let welcome =
            pending.letters.first().map_or_else(Vec::new, |letter| letter.sealed.0.clone());
        for Letter { to, sealed } in &pending.letters {
            self.letters.insert(*to, (epoch, sealed.clone()));
        }
        self.log.push(commit.clone());
        self.catch_up(author)?;
        Ok(Sent { commit, welcome })
    }

    /// Takes the commits that a member has not read; goes past messages, which are measured apart.
    fn catch_up(&self, member: &mut Member) -> Outcome<()> {
        for (bytes, seq) in self.log.iter().zip(1..).skip(member.read) {
            if let LogEntry::Commit(commit) = LogEntry::decode(bytes)? {
                let outcome = member.group.commit(&commit, &member.ring);
                if let CommitOutcome::Invalid(fault) = outcome {
                    return Err(fault.into());
                }
            }
            member.group.advance(Seq(seq), bytes);
        }
        member.read = self.log.len();
        Ok(())
    }
}

fn adds(devices: &[Device]) -> Vec<NewMember> {
    let add = |Device { name, key, prekey, .. }: &Device| NewMember {
        name: name.clone(),
        key: *key.public(),
        prekey: prekey.clone(),
    };
    devices.iter().map(add).collect()
}

/// The one prekey and the one letter of a device.
struct Ring {
    prekey: (Digest, KeyPair),
    letter: Option<(Epoch, Blob)>,
}

impl Keyring for Ring {
    fn prekey(&self, hash: &Digest) -> Option<KeyPair> {
        (self.prekey.0 == *hash).then(|| self.prekey.1.clone())
    }

    fn letter(&self, _: &GroupId, epoch: Epoch) -> Option<Blob> {
        let (at, letter) = self.letter.as_ref()?;
        (*at == epoch).then(|| letter.clone())
    }
}

/// Numbers that are the same in every run: SHA-256 of a counter.
#[derive(Default)]
struct Drawn(u64);

impl Drawn {
    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        match self.try_fill_bytes(&mut id) {
            Ok(()) => id,
            Err(never) => match never {},
        }
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            let block = sha256(&self.0.to_be_bytes()).0;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// A group with a past: two of its members have renewed their keys in turn.
struct LongLog(Ours);

const LONG: usize = 10_000;

impl LongLog {
    fn of(n: u32) -> Outcome<Self> {
        let mut ours = Ours::default();
        let founder = ours.device("founder")?;
        let names = (1..n).map(|leaf| format!("member-{leaf}"));
        let others: Vec<Device> = names.map(|name| ours.device(&name)).collect::<Outcome<_>>()?;
        ours.found(founder, &others)?;
        // Not the founder, who with its own keys renews all that nobody has claimed.
        let (first, last) = (others.first().ok_or("alone")?, others.last().ok_or("alone")?);
        let mut authors = [ours.newcomer(first)?, ours.newcomer(last)?];
        for turn in (0..2).cycle().take(LONG - ours.log.len()) {
            ours.catch_up(&mut authors[turn])?;
            ours.update(&mut authors[turn])?;
        }
        Ok(Self(ours))
    }

    /// Somebody who has never seen the group judges every commit.
    fn replay(&self) -> Outcome<Vec<Sample>> {
        let group = self.0.group.ok_or("no group")?;
        let mut watcher = Group::new(group, Fingerprint([0; 32]));
        let start = Instant::now();
        for (bytes, seq) in self.0.log.iter().zip(1..) {
            let LogEntry::Commit(commit) = LogEntry::decode(bytes)? else { continue };
            if let CommitOutcome::Invalid(fault) = watcher.commit(&commit, &()) {
                return Err(fault.into());
            }
            watcher.advance(Seq(seq), bytes);
        }
        Ok(vec![("replay 10,000 commits", start.elapsed().as_secs_f64() * 1e6)])
    }
}

/// The most memory that this process has ever had.
fn peak_memory() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0)
}
