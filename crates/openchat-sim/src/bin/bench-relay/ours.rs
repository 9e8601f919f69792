//! Our relay: a group that is publicly valid and whose secrets nobody has, which is all that the
//! relay can tell.

use crate::{
    broker::{Broker, Found, PAYLOAD, Stream, What},
    stage::{Person, Stage},
};
use openchat_crypto::{KeyPair, Label, PublicKey, Secret, Tag};
use openchat_pki::UnverifiedHead;
use openchat_roster::{
    Commit, CommitEntry, Entrant, HeadRef, LogEntry, MessageEntry, MessageHeader, Naming,
    Operation, Policy, Prekey, PrekeyKind, Roster, Seen, SignedPrekey, group_id, log_hash_start,
};
use openchat_wire::{
    Blob, Digest, Epoch, Generation, GroupId, MessageId, Seq, Slot, UnixMillis,
    frame::{FrameDecoder, to_frame},
    limits::MAX_FRAME,
    relay::{Answer, Request, ToClient, ToServer},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A group on the relay.
pub(crate) struct Group {
    id: GroupId,
    confirmed: Digest,
}

/// The people of a group: the first one makes it and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Group {
    /// A group of these people, made with one commit.
    pub(crate) async fn create(broker: &Broker, stage: &Stage, members: Members) -> Self {
        let mut stream = broker.connect(stage, members.first).await;
        let Answer::Head(head) = ask(&mut stream, Request::Head).await else { panic!("no head") };
        let head = head_of(&head, stage);
        let (id, commit) = creation(stage, members, head);
        let bytes = commit.to_bytes();
        let entry = Blob(LogEntry::Commit(signed(&stage.people[members.first], &bytes)).to_bytes());
        let append = Request::Append { log: id, entry, letters: Vec::new(), follows: false };
        let answer = ask(&mut stream, append).await;
        assert!(matches!(answer, Answer::Appended(_)), "{answer:?}");
        let confirmed = CommitEntry::confirmed(&Digest([0; 32]), &bytes);
        Self { id, confirmed }
    }

    /// A message by whoever made the group, sealed for nobody.
    pub(crate) fn append(&self, payload: &[u8; PAYLOAD], number: u32) -> Vec<u8> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&payload[..8]);
        id[8..12].copy_from_slice(&number.to_be_bytes());
        let header = MessageHeader {
            epoch: Epoch(1),
            confirmed: MessageHeader::prefix(&self.confirmed),
            slot: Slot(0),
            generation: Generation(number),
            id: MessageId(id),
        };
        let message = MessageEntry { header, token: Blob(payload.to_vec()) };
        let entry = Blob(LogEntry::Message(message).to_bytes());
        let request = Request::Append { log: self.id, entry, letters: Vec::new(), follows: false };
        to_frame(&ToServer { id: number, request })
    }
}

pub(crate) async fn subscribe(stream: &mut Stream, group: &Group) {
    // The newest entry is the commit at place 1: only what comes now is of interest.
    let tail = Request::Tail { log: group.id, after: Seq(1) };
    assert_eq!(ask(stream, tail).await, Answer::Done);
}

/// An entry's payload is the end of its frame.
pub(crate) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?);
    let used = usize::try_from(length).ok()?.checked_add(4)?;
    let frame = bytes.get(..used)?;
    // Version, then the kind: 1 is an entry.
    let what = match frame.get(5) {
        Some(1) => What::Delivery(frame.get(used.checked_sub(PAYLOAD)?..)?),
        _ => told(frame),
    };
    Some(Found { what, used, reply: None })
}

/// What any other frame says.
fn told(frame: &[u8]) -> What<'static> {
    let mut decoder: FrameDecoder<ToClient> = FrameDecoder::new(MAX_FRAME);
    decoder.push(frame);
    match decoder.next_frame().expect("a frame").expect("a whole frame") {
        ToClient::Answer { id, answer: Ok(_) } => What::Ack(id),
        ToClient::Answer { answer: Err(why), .. } => What::Refused(why.to_string()),
        ToClient::Goodbye(why) => What::Refused(format!("{why:?}")),
        _ => What::Other,
    }
}

/// One request on a connection that nothing else uses yet.
pub(crate) async fn ask(stream: &mut Stream, request: Request) -> Answer {
    let frame = to_frame(&ToServer { id: u32::MAX, request });
    stream.write_all(&frame).await.expect("it takes a request");
    let mut decoder: FrameDecoder<ToClient> = FrameDecoder::new(MAX_FRAME);
    let (mut bytes, mut granted) = ([0; 4096], None);
    loop {
        while let Some(frame) = decoder.next_frame().expect("a frame") {
            if let ToClient::Answer { id: u32::MAX, answer } = frame {
                granted = Some(answer.expect("it is granted"));
            }
        }
        // Who is there follows the answer; nothing is left half read for those who read on.
        if let Some(granted) = granted.take_if(|_| decoder.pending() == 0) {
            return granted;
        }
        let read = stream.read(&mut bytes).await.expect("an answer");
        assert!(read > 0, "the relay closes");
        decoder.push(&bytes[..read]);
    }
}

fn head_of(signed: &Blob, stage: &Stage) -> HeadRef {
    let keys = stage.server_keys.as_ref().expect("somebody has enrolled");
    let head = UnverifiedHead::decode(&signed.0).expect("a head");
    let head = head.verify(&keys.log_key, &keys.log_id).expect("signed");
    HeadRef { size: head.size, root: head.root }
}

fn creation(stage: &Stage, members: Members, head: HeadRef) -> (GroupId, Commit) {
    let nonce = Digest(*Secret::random(&mut crate::load::rng()).expose());
    let naming = Naming { name: "bench".parse().expect("a name"), salt: nonce };
    let policy = Policy::closed(&naming);
    let author = stage.people[members.first].key.fingerprint();
    let group = group_id(&author, &nonce, &policy);
    let mut operations =
        vec![Operation::Create { nonce, policy, entrant: entrant(stage, members.first) }];
    let others = members.first + 1..members.first + members.count;
    operations.extend(others.map(|who| add(stage, who)));
    let roster = Roster::new(group);
    let outline = roster.outline(&author, &operations, &head).expect("a sound creation");
    let mut commit = Commit {
        author,
        group,
        epoch: Epoch(0),
        interim: Digest([0; 32]),
        seen: Seen { seq: Seq(0), log_hash: log_hash_start(&group) },
        operations,
        ephemeral: outline.needs_ephemeral().then(fresh),
        leaves: outline.leaves().map(|(slot, _)| (slot, fresh())).collect(),
        nodes: outline.agreements().into_iter().map(|at| (at, fresh())).collect(),
        tree_hash: Digest([0; 32]),
        external: fresh(),
        head,
    };
    commit.tree_hash = *roster.draft(outline, &commit).expect("sound keys").tree_hash();
    (group, commit)
}

fn add(stage: &Stage, who: usize) -> Operation {
    let owner = &stage.people[who].key;
    let since = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
    let now = u64::try_from(since.as_millis()).expect("a clock of this age");
    let prekey = Prekey {
        owner: owner.fingerprint(),
        kind: PrekeyKind::OneTime,
        id: [0; 16],
        key: fresh(),
        not_before: UnixMillis(now),
        not_after: UnixMillis(now.saturating_add(86_400_000)),
    };
    Operation::Add { entrant: entrant(stage, who), prekey: SignedPrekey::sign(&prekey, owner) }
}

fn entrant(stage: &Stage, who: usize) -> Entrant {
    let person = &stage.people[who];
    Entrant { name: person.name.clone(), key: *person.key.public() }
}

fn fresh() -> PublicKey {
    *KeyPair::derive(&Secret::random(&mut crate::load::rng())).public()
}

fn signed(author: &Person, commit: &Blob) -> CommitEntry {
    let tag = Tag([0; 32]);
    let body = CommitEntry::signed_bytes(commit, &tag);
    let signature = author.key.sign(Label::Commit, &body);
    CommitEntry { commit: commit.clone(), tag, signature }
}
