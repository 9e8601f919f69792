//! What is measured, the same for every group protocol: this file is compiled into our side and, by
//! its path, into `peers`.
//!
//! A worker keeps one group and plays a scene when it is told to, so that whoever tells several
//! workers in turn measures them side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// A commit as it is sent.
pub(crate) struct Sent {
    pub(crate) commit: Vec<u8>,
    /// What else goes to those whom it adds; of several letters of equal length, the first.
    pub(crate) welcome: Vec<u8>,
}

/// A group protocol with everybody's devices and what a server would keep.
pub(crate) trait Protocol: Default {
    /// The most members that a group may have.
    const MOST: Option<usize> = None;

    /// Somebody who is no member yet but whom others can add.
    type Device;
    /// A member's state of the group.
    type Member;

    fn device(&mut self, name: &str) -> Outcome<Self::Device>;
    /// A new group of `founder`, who adds `others` at once.
    fn found(
        &mut self,
        founder: Self::Device,
        others: &[Self::Device],
    ) -> Outcome<(Self::Member, Sent)>;
    /// The state of a device that was added.
    fn join(&mut self, device: Self::Device, sent: &Sent) -> Outcome<Self::Member>;
    /// Renews the author's keys. Here and below, the author has followed its own commit.
    fn update(&mut self, author: &mut Self::Member) -> Outcome<Sent>;
    fn add(&mut self, author: &mut Self::Member, device: &Self::Device) -> Outcome<Sent>;
    fn remove(&mut self, author: &mut Self::Member, name: &str, leaf: u32) -> Outcome<Sent>;
    /// Lets somebody remove others, where that is not everybody's right.
    fn promote(&mut self, _by: &mut Self::Member, _name: &str) -> Outcome<Option<Sent>> {
        Ok(None)
    }
    fn receive(&mut self, member: &mut Self::Member, sent: &Sent) -> Outcome<()>;
    fn seal(&mut self, author: &mut Self::Member, text: &[u8]) -> Outcome<Vec<u8>>;
    fn open(&mut self, reader: &mut Self::Member, sealed: &[u8]) -> Outcome<Vec<u8>>;
    /// Stores what has changed since the last time; the bytes of it.
    fn save(&mut self, member: &mut Self::Member) -> Outcome<usize>;
}

/// One measurement: the row's name, and microseconds or bytes.
pub(crate) type Sample = (&'static str, f64);

/// Plays the scenes that standard input asks for, `SCENE N` a line. An answer is one line, the
/// samples separated by tabs, each `name=value`.
pub(crate) fn serve(mut play: impl FnMut(&str, u32) -> Outcome<Vec<Sample>>) -> Outcome<()> {
    let (input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    for line in input.lines() {
        let line = line?;
        let (scene, n) = line.split_once(' ').ok_or("a scene and a number")?;
        let samples = play(scene, n.parse()?)?;
        let samples: Vec<_> = samples.iter().map(|(row, value)| format!("{row}={value}")).collect();
        writeln!(output, "{}", samples.join("\t"))?;
        output.flush()?;
    }
    Ok(())
}

/// The scenes of one protocol. Keeps the group of the size that was asked for last.
pub(crate) struct Stage<P: Protocol> {
    group: Option<Group<P>>,
    joiners: Option<Joiners<P>>,
}

impl<P: Protocol> Stage<P> {
    pub(crate) const fn new() -> Self {
        Self { group: None, joiners: None }
    }

    pub(crate) fn play(&mut self, scene: &str, n: u32) -> Outcome<Vec<Sample>> {
        match scene {
            "build" => build::<P>(n),
            "join" => self.join(n),
            "owner" => remove_owner::<P>(n),
            "update" => self.group(n)?.update(),
            "members" => self.group(n)?.members(),
            "message" => self.group(n)?.messages(),
            _ => Err("no such scene".into()),
        }
    }

    /// Those who were added to a fresh group take their first state of it.
    fn join(&mut self, n: u32) -> Outcome<Vec<Sample>> {
        self.group = None;
        if self.joiners.as_ref().is_none_or(|joiners| joiners.n != n || joiners.waiting.is_empty())
        {
            self.joiners = Some(Joiners::of(n)?);
        }
        let joiners = self.joiners.as_mut().ok_or("nobody waits")?;
        let device = joiners.waiting.pop().ok_or("nobody waits")?;
        let (time, member) = timed(|| joiners.protocol.join(device, &joiners.sent));
        member?;
        Ok(vec![("join", time)])
    }

    fn group(&mut self, n: u32) -> Outcome<&mut Group<P>> {
        self.joiners = None;
        if self.group.as_ref().is_none_or(|group| group.n != n) {
            self.group = None;
            self.group = Some(Group::warm(n)?);
        }
        self.group.as_mut().ok_or_else(|| "no group".into())
    }
}

/// After much was freed, the next allocation tidies up for long. It had better be this one than one
/// that is measured.
fn tidy_memory() {
    std::hint::black_box(vec![0_u8; 1 << 20]);
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed().as_secs_f64() * 1e6, done)
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "sizes are below 2^53")]
const fn bytes(count: usize) -> f64 {
    count as f64
}

fn name_of(leaf: u32) -> String {
    format!("member-{leaf}")
}

fn devices<P: Protocol>(protocol: &mut P, leaves: std::ops::Range<u32>) -> Outcome<Vec<P::Device>> {
    leaves.map(|leaf| protocol.device(&name_of(leaf))).collect()
}

fn build<P: Protocol>(n: u32) -> Outcome<Vec<Sample>> {
    let mut protocol = P::default();
    let founder = protocol.device(&name_of(0))?;
    let others = devices(&mut protocol, 1..n)?;
    let (time, group) = timed(|| protocol.found(founder, &others));
    let (_, sent) = group?;
    Ok(vec![("build", time), ("build bytes", bytes(sent.commit.len()))])
}

/// A fresh group whose founder, who made everybody's keys, is removed by another.
fn remove_owner<P: Protocol>(n: u32) -> Outcome<Vec<Sample>> {
    let mut joiners = Joiners::<P>::of(n)?;
    let device = joiners.waiting.pop().ok_or("nobody waits")?;
    let mut member = joiners.protocol.join(device, &joiners.sent)?;
    let (time, removed) = timed(|| joiners.protocol.remove(&mut member, &name_of(0), 0));
    let size = bytes(removed?.commit.len());
    Ok(vec![("remove owner of all", time), ("remove owner of all bytes", size)])
}

/// A group in which nobody but its founder has done anything.
struct Joiners<P: Protocol> {
    n: u32,
    protocol: P,
    waiting: Vec<P::Device>,
    sent: Sent,
}

impl<P: Protocol> Joiners<P> {
    fn of(n: u32) -> Outcome<Self> {
        let mut protocol = P::default();
        let founder = protocol.device(&name_of(0))?;
        let waiting = devices(&mut protocol, 1..n)?;
        let (_, sent) = protocol.found(founder, &waiting)?;
        Ok(Self { n, protocol, waiting, sent })
    }
}

/// A group whose tree is warm: on the way of whoever is measured no node is blank.
///
/// Only some members have a state here; those are enough to warm every node beside the ways of the
/// committer, its neighbour, the last leaf and the one that is removed.
struct Group<P: Protocol> {
    n: u32,
    protocol: P,
    members: BTreeMap<u32, P::Member>,
    /// The name at the leaf that is removed and filled again.
    victim: String,
    /// How many have come after the first n.
    newcomers: u32,
}

const TEXT: &[u8] = &[b'x'; 32];
const MESSAGES: u32 = 20;

impl<P: Protocol> Group<P> {
    fn warm(n: u32) -> Outcome<Self> {
        let mut protocol = P::default();
        let founder = protocol.device(&name_of(0))?;
        let others = devices(&mut protocol, 1..n)?;
        let (founder, sent) = protocol.found(founder, &others)?;
        let wanted = warmers(n);
        let mut members = BTreeMap::from([(0, founder)]);
        for (leaf, device) in (1..).zip(others) {
            if wanted.contains(&leaf) {
                members.insert(leaf, protocol.join(device, &sent)?);
            }
        }
        let victim = name_of(victim_of(n));
        let mut group = Self { n, protocol, members, victim, newcomers: 0 };
        for leaf in wanted.into_iter().rev() {
            group.update_by(leaf)?;
        }
        let committer = name_of(committer_of(n));
        let founder = group.members.get_mut(&0).ok_or("nobody there")?;
        if let Some(sent) = group.protocol.promote(founder, &committer)? {
            group.received(0, &sent)?;
        }
        Ok(group)
    }

    /// A renewal, its bytes, and how it is received far and near.
    fn update(&mut self) -> Outcome<Vec<Sample>> {
        let committer = committer_of(self.n);
        let (time, sent) = self.by(committer, P::update)?;
        let mut samples =
            vec![("update committer", time), ("update bytes", bytes(sent.commit.len()))];
        for (leaf, time) in self.received(committer, &sent)? {
            // Of a group of two the other is both.
            if leaf == self.n - 1 {
                samples.push(("update receive far", time));
            }
            if leaf == committer + 1 {
                samples.push(("update receive near", time));
            }
        }
        Ok(samples)
    }

    /// One comes as the last and goes; one in the middle goes and another comes there. In between
    /// and after, the tree is warm again. Of a full group the other is the one that comes.
    fn members(&mut self) -> Outcome<Vec<Sample>> {
        let last = self.n;
        let is_full =
            P::MOST.is_some_and(|most| u32::try_from(most).is_ok_and(|most| most <= last));
        let mut samples = Vec::new();
        if !is_full {
            let (name, device) = self.newcomer()?;
            samples.extend(self.add(&device)?.0);
            self.remove(&name, last)?;
            self.update_by(last - 1)?;
        }
        let (leaf, victim) = (victim_of(self.n), self.victim.clone());
        let gone = self.members.remove(&leaf);
        samples.extend(self.remove(&victim, leaf)?);
        let added = self.refill(leaf)?;
        if is_full {
            samples.extend(added);
        }
        drop(gone);
        tidy_memory();
        Ok(samples)
    }

    fn messages(&mut self) -> Outcome<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut author = self.members.remove(&committer_of(self.n)).ok_or("nobody there")?;
        let reader = self.members.get_mut(&(self.n - 1)).ok_or("nobody there")?;
        for _ in 0..MESSAGES {
            let (time, sealed) = timed(|| self.protocol.seal(&mut author, TEXT));
            let sealed = sealed?;
            samples.push(("seal 32 B", time));
            let (time, opened) = timed(|| self.protocol.open(reader, &sealed));
            if opened? != TEXT {
                return Err("another text".into());
            }
            samples.push(("open 32 B", time));
            samples.push(("overhead bytes", bytes(sealed.len() - TEXT.len())));
        }
        self.members.insert(committer_of(self.n), author);
        samples.push(("state bytes a message", self.first_message()?));
        Ok(samples)
    }

    /// What is stored for the first message of an epoch, which for some is the most. Apart from
    /// the others, because storing half a megabyte leaves cold caches.
    fn first_message(&mut self) -> Outcome<f64> {
        let committer = committer_of(self.n);
        self.update_by(committer)?;
        let mut author = self.members.remove(&committer).ok_or("nobody there")?;
        let reader = self.members.get_mut(&(self.n - 1)).ok_or("nobody there")?;
        self.protocol.save(&mut author)?;
        self.protocol.save(reader)?;
        let sealed = self.protocol.seal(&mut author, TEXT)?;
        self.protocol.open(reader, &sealed)?;
        let written = self.protocol.save(&mut author)?.max(self.protocol.save(reader)?);
        self.members.insert(committer, author);
        Ok(bytes(written))
    }

    fn newcomer(&mut self) -> Outcome<(String, P::Device)> {
        self.newcomers += 1;
        let name = format!("newcomer-{}", self.newcomers);
        let device = self.protocol.device(&name)?;
        Ok((name, device))
    }

    fn add(&mut self, device: &P::Device) -> Outcome<(Vec<Sample>, Sent)> {
        let committer = committer_of(self.n);
        let (time, sent) = self.by(committer, |protocol, author| protocol.add(author, device))?;
        self.received(committer, &sent)?;
        let samples = vec![
            ("add committer", time),
            ("add bytes", bytes(sent.commit.len())),
            ("welcome bytes", bytes(sent.welcome.len())),
        ];
        Ok((samples, sent))
    }

    fn remove(&mut self, name: &str, leaf: u32) -> Outcome<[Sample; 2]> {
        let committer = committer_of(self.n);
        let (time, sent) =
            self.by(committer, |protocol, author| protocol.remove(author, name, leaf))?;
        self.received(committer, &sent)?;
        Ok([("remove committer", time), ("remove bytes", bytes(sent.commit.len()))])
    }

    /// Another device for the free leaf, which renews its keys and so warms its way.
    fn refill(&mut self, leaf: u32) -> Outcome<Vec<Sample>> {
        let (name, device) = self.newcomer()?;
        let (samples, sent) = self.add(&device)?;
        let member = self.protocol.join(device, &sent)?;
        self.members.insert(leaf, member);
        self.victim = name;
        self.update_by(leaf)?;
        Ok(samples)
    }

    fn update_by(&mut self, leaf: u32) -> Outcome<()> {
        let (_, sent) = self.by(leaf, P::update)?;
        self.received(leaf, &sent).map(drop)
    }

    fn by(
        &mut self,
        leaf: u32,
        act: impl FnOnce(&mut P, &mut P::Member) -> Outcome<Sent>,
    ) -> Outcome<(f64, Sent)> {
        let author = self.members.get_mut(&leaf).ok_or("nobody there")?;
        let (time, sent) = timed(|| act(&mut self.protocol, author));
        Ok((time, sent?))
    }

    /// How long each took to follow what `author` has sent.
    fn received(&mut self, author: u32, sent: &Sent) -> Outcome<Vec<(u32, f64)>> {
        let mut times = Vec::new();
        for (&leaf, member) in self.members.iter_mut().filter(|(leaf, _)| **leaf != author) {
            let (time, followed) = timed(|| self.protocol.receive(member, sent));
            followed?;
            times.push((leaf, time));
        }
        Ok(times)
    }
}

/// Who acts when it is measured. Not the founder, who has made everybody's keys; but of two it is.
const fn committer_of(n: u32) -> u32 {
    if n == 2 { 0 } else { 2 }
}

/// The leaf that is removed and filled again: far from the committer, not at the edge.
const fn victim_of(n: u32) -> u32 {
    if n == 2 { 1 } else { n - n / 4 }
}

/// One leaf below every node beside the ways from these leaves to the root, and they themselves.
fn warmers(n: u32) -> BTreeSet<u32> {
    let ends = [committer_of(n), committer_of(n) + 1, victim_of(n), n - 1, 0];
    let beside = |leaf: u32| (0..31).map(move |level| ((leaf >> level) ^ 1) << level);
    ends.into_iter().chain(ends.into_iter().flat_map(beside)).filter(|&leaf| leaf < n).collect()
}
