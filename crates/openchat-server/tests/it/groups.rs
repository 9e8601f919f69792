//! Groups of people with real keys, over the real server.

use crate::{
    server::Server,
    tls::{Connection, Device},
};
use getrandom::{SysRng, rand_core::UnwrapErr};
use openchat_group::{Author, Content, ContentKind, Group, Invited, Proposal};
use openchat_pki::UnverifiedHead;
use openchat_roster::{CommitEntry, HeadRef, LogEntry, Person, Policy, Reason, inbox};
use openchat_wire::{
    Blob, GroupId, MessageId, Name, Seq, UnixMillis,
    limits::MAX_LETTER,
    relay::{Answer, InboxEntry, Letter, Refusal, Request, ToClient},
};

/// Somebody who talks to the server.
pub(crate) struct Peer {
    name: Name,
    pub(crate) device: Device,
    pub(crate) connection: Connection,
}

impl Peer {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let device = server.enroll(name).await;
        let connection = server.connect(&device).await;
        Self { name: name.parse().unwrap(), device, connection }
    }

    async fn head(&mut self, server: &Server) -> HeadRef {
        let Ok(Answer::Head(bytes)) = self.connection.ask(Request::Head).await else { panic!() };
        let keys = (server.place.key("tlog.key"), server.place.key("relay.key"));
        let keys = openchat_pki::ServerKeys::new(*keys.0.public(), *keys.1.public());
        let head = UnverifiedHead::decode(&bytes.0).unwrap();
        let head = head.verify(&keys.log_key, &keys.log_id).unwrap();
        HeadRef { size: head.size, root: head.root }
    }

    const fn author(&self, head: HeadRef) -> Author<'_> {
        Author { key: &self.device.key, name: &self.name, head }
    }

    /// An open group of this name, with its first commit in the log.
    pub(crate) async fn begin(&mut self, server: &Server, name: &str) -> Group {
        let head = self.head(server).await;
        let policy = Policy::open(name.parse().unwrap());
        let made = Group::create(&self.author(head), policy, None, Proposal::default(), &mut rng());
        let mut group = made.unwrap();
        self.send_pending(&mut group).await;
        group
    }

    /// The group after this peer has joined it.
    pub(crate) async fn join(&mut self, server: &Server, log: GroupId) -> Group {
        let head = self.head(server).await;
        let mut group = Group::new(log, self.device.key.fingerprint());
        self.catch_up(&mut group).await;
        group.join(&self.author(head), None, &mut rng()).unwrap();
        self.send_pending(&mut group).await;
        group
    }

    async fn commit(&mut self, server: &Server, group: &mut Group, proposal: Proposal) -> Seq {
        self.catch_up(group).await;
        let head = self.head(server).await;
        group.propose(&self.author(head), None, proposal, &mut rng()).unwrap();
        self.send_pending(group).await
    }

    pub(crate) async fn catch_up(&mut self, group: &mut Group) {
        let mut all = self.commits(*group.roster().group()).await;
        all.drain(..usize::try_from(group.roster().epoch().0).unwrap());
        for commit in &all {
            group.commit(commit, &());
        }
    }

    async fn commits(&mut self, log: GroupId) -> Vec<CommitEntry> {
        let request = Request::ReadCommits { log, after: Seq(0) };
        let Ok(Answer::Entries { entries, complete: true }) = self.connection.ask(request).await
        else {
            panic!()
        };
        entries.iter().filter_map(|(_, entry)| commit(entry)).collect()
    }

    async fn send_pending(&mut self, group: &mut Group) -> Seq {
        let pending = group.pending().unwrap();
        let (entry, letters) = (pending.entry.clone(), pending.letters.clone());
        let made = commit(&entry).unwrap();
        let seq = self.append(*group.roster().group(), entry, letters).await.unwrap();
        group.commit(&made, &());
        seq
    }

    async fn append(
        &mut self,
        log: GroupId,
        entry: Blob,
        letters: Vec<Letter>,
    ) -> Result<Seq, Refusal> {
        match self.connection.ask(Request::Append { log, entry, letters, follows: false }).await {
            Ok(Answer::Appended(seq)) => Ok(seq),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        }
    }

    async fn message(&mut self, group: &mut Group, text: &str) -> Result<Seq, Refusal> {
        let id = MessageId([text.len().to_le_bytes()[0]; 16]);
        self.bytes(group, id, text.as_bytes().to_vec()).await
    }

    /// A message of any bytes.
    pub(crate) async fn bytes(
        &mut self,
        group: &mut Group,
        id: MessageId,
        body: Vec<u8>,
    ) -> Result<Seq, Refusal> {
        let content = Content { time: UnixMillis(1), kind: ContentKind::TEXT, body: Blob(body) };
        let message = group.seal(&self.device.key, id, &content).unwrap();
        let entry = Blob(LogEntry::Message(message).to_bytes());
        self.append(*group.roster().group(), entry, Vec::new()).await
    }

    pub(crate) async fn tail(&mut self, log: GroupId, after: Seq) -> Result<Answer, Refusal> {
        self.connection.ask(Request::Tail { log, after }).await
    }

    /// The next entry of a tail.
    async fn entry(&mut self) -> (GroupId, Seq, Blob) {
        match self.connection.receive().await {
            Some(ToClient::Entry { log, seq, entry }) => (log, seq, entry),
            frame => panic!("{frame:?}"),
        }
    }
}

fn rng() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

fn commit(entry: &Blob) -> Option<CommitEntry> {
    match LogEntry::decode(&entry.0).unwrap() {
        LogEntry::Commit(commit) => Some(commit),
        _ => None,
    }
}

fn evicting(who: &Peer) -> Proposal {
    let removes = vec![(who.device.key.fingerprint(), Reason::Evicted)];
    Proposal { removes, ..Proposal::default() }
}

#[tokio::test]
async fn a_removed_members_tail_ends_with_the_commit_that_removed_it() {
    let server = Server::start();
    let (mut alice, mut bob) = (Peer::new(&server, "alice").await, Peer::new(&server, "bob").await);
    let mut group = alice.begin(&server, "general").await;
    let log = *group.roster().group();
    bob.join(&server, log).await;
    bob.tail(log, Seq(2)).await.unwrap();
    // Another device's connection that has not read anything yet.
    let mut later = server.connect(&bob.device).await;
    alice.catch_up(&mut group).await;
    alice.message(&mut group, "for bob too").await.unwrap();
    let last = alice.commit(&server, &mut group, evicting(&bob)).await;
    for text in ["not", "for", "bobby"] {
        alice.message(&mut group, text).await.unwrap();
    }
    assert_eq!(bob.entry().await.1, Seq(3));
    let (from, seq, entry) = bob.entry().await;
    assert_eq!((from, seq), (log, last));
    assert!(commit(&entry).is_some());
    // Had there been more, it would come before these answers.
    for _ in 0..3 {
        assert!(bob.connection.is_served().await);
    }
    assert_eq!(bob.tail(log, last).await, Err(Refusal::NoAccess));

    let tail = Request::Tail { log, after: Seq(2) };
    assert_eq!(later.ask(tail).await, Ok(Answer::Done));
    for seq in [Seq(3), last] {
        let Some(ToClient::Entry { seq: next, .. }) = later.receive().await else { panic!() };
        assert_eq!(next, seq);
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(later.is_served().await);

    // Who comes back reads on where the other was not to.
    let mut lifted = Proposal::default();
    lifted.lifts.push(bob.device.key.fingerprint());
    alice.commit(&server, &mut group, lifted).await;
    bob.join(&server, log).await;
    bob.tail(log, last).await.unwrap();
    assert_eq!(bob.entry().await.1, last.next());
}

#[tokio::test]
async fn a_letter_comes_to_whoever_tails_its_inbox() {
    let server = Server::start();
    let (mut alice, mut bob) = (Peer::new(&server, "alice").await, Peer::new(&server, "bob").await);
    let me = bob.device.key.fingerprint();
    let theirs = alice.device.key.fingerprint();
    bob.tail(inbox(&me), Seq(0)).await.unwrap();
    assert_eq!(bob.tail(inbox(&theirs), Seq(0)).await, Err(Refusal::NoAccess));
    let mut group = alice.begin(&server, "general").await;
    let log = *group.roster().group();
    let head = alice.head(&server).await;
    let person = Person { name: bob.name.clone(), fingerprint: me };
    let admits = vec![Invited { person, prekey: None }];
    let proposal = Proposal { admits, ..Proposal::default() };
    group.propose(&alice.author(head), None, proposal, &mut rng()).unwrap();
    let entry = group.pending().unwrap().entry.clone();
    let sealed = Blob(vec![7; MAX_LETTER]);
    let letters = vec![Letter { to: me, sealed: sealed.clone() }];
    assert_eq!(alice.append(log, entry, letters).await, Ok(Seq(2)));
    let (from, seq, entry) = bob.entry().await;
    assert_eq!((from, seq), (inbox(&me), Seq(1)));
    let expected = InboxEntry { from: theirs, group: log, seq: Seq(2), letter: sealed };
    assert_eq!(InboxEntry::decode(&entry.0), Ok(expected));
    assert_eq!(bob.connection.ask(Request::Groups).await, Ok(Answer::Groups(vec![log])));
}
