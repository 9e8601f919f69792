//! A relay on a store in memory, and people who hold real keys and make real commits.

use core::convert::Infallible;
use openchat_crypto::{CryptoRng, IdentityKey, sha256};
use openchat_group::{Author, Content, ContentKind, Group, Saved};
use openchat_pki::{
    CertificateAuthority, Head, Profiles, ServerKeys, UnverifiedHead, certification_request,
    verify_receipt,
};
use openchat_relay::{
    EnrollOutcome, Identity, Invited, Keys, Limit, Outcome, Page, Relay, Store as _,
    memory::{Faults, MemoryStore},
    store::Which,
};
use openchat_roster::{CommitEntry, HeadRef, LogEntry, Policy, Seen};
use openchat_wire::{
    Blob, Digest, GroupId, MessageId, Name, Seq, UnixMillis,
    enroll::EnrollRequest,
    relay::{Answer, Receipt, Refusal, Request},
};
use rand_core::{TryCryptoRng, TryRng};

pub(crate) const START: UnixMillis = UnixMillis(1_782_864_000_000);

const PLENTY: Limit = Limit { entries: 100_000, bytes: 1_000_000_000 };

/// SHA-256 in counter mode: the same numbers in every run.
pub(crate) struct TestRng(u64);

impl TestRng {
    pub(crate) const fn seeded(seed: u32) -> Self {
        Self((seed as u64) << 32)
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&sha256(&self.0.to_be_bytes()).0[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// A relay, its keys, its clock.
pub(crate) struct World {
    pub(crate) relay: Relay<MemoryStore>,
    pub(crate) faults: Faults,
    pub(crate) now: UnixMillis,
    pub(crate) rng: TestRng,
    pub(crate) public: ServerKeys,
    ca: (IdentityKey, Vec<u8>),
    log: IdentityKey,
    receipts: IdentityKey,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut rng = TestRng::seeded(0);
        let mut key = || IdentityKey::generate(&mut rng);
        let (ca_key, log, receipts) = (key(), key(), key());
        let profiles = Profiles::builtin().unwrap();
        let ca = CertificateAuthority::create("Test", ca_key.clone(), &profiles, START, &mut rng)
            .unwrap();
        let certificate = ca.certificate().to_vec();
        let public = ServerKeys::new(*log.public(), *receipts.public());
        let store = MemoryStore::new();
        let faults = store.faults();
        let keys = Keys { ca, log: log.clone(), relay: receipts.clone() };
        let relay = Relay::open(store, keys).unwrap();
        let ca = (ca_key, certificate);
        Self { relay, faults, now: START, rng, public, ca, log, receipts }
    }

    /// Power fails and comes back: what was not flushed is gone.
    pub(crate) fn crash(self) -> Self {
        let (key, certificate) = &self.ca;
        let profiles = Profiles::builtin().unwrap();
        let ca = CertificateAuthority::load(key.clone(), certificate, &profiles).unwrap();
        let keys = Keys { ca, log: self.log.clone(), relay: self.receipts.clone() };
        let relay = Relay::open(self.relay.into_store().crash(), keys).unwrap();
        Self { relay, ..self }
    }

    pub(crate) fn wait(&mut self, time: core::time::Duration) {
        self.now = self.now.after(time);
    }

    pub(crate) fn invite(&mut self, name: &str) -> Invited {
        let invited = self.relay.invite(&self::name(name), self.now, &mut self.rng).unwrap();
        self.relay.flush().unwrap();
        invited
    }

    pub(crate) fn enroll(&mut self, request: &EnrollRequest) -> EnrollOutcome {
        let outcome = self.relay.enroll(request, self.now, &mut self.rng);
        self.relay.flush().unwrap();
        outcome
    }

    /// A person with a certificate.
    pub(crate) fn person(&mut self, name: &str) -> Person {
        let person = Person::new(name, &mut self.rng);
        let invited = self.invite(name);
        self.enroll(&person.request(&invited)).answer.unwrap();
        person
    }

    /// One request in a batch of its own.
    pub(crate) fn ask(&mut self, who: &Person, request: &Request) -> Outcome {
        let outcome = self.relay.handle(&who.identity, request, self.now);
        self.relay.flush().unwrap();
        outcome
    }

    pub(crate) fn append(&mut self, who: &Person, log: GroupId, entry: &Blob) -> Outcome {
        self.ask(who, &Request::Append { log, entry: entry.clone() })
    }

    /// Appends what has to be taken, and returns its place.
    pub(crate) fn place(&mut self, who: &Person, log: GroupId, entry: &Blob) -> Seq {
        match self.append(who, log, entry).answer {
            Ok(Answer::Appended(seq)) => seq,
            other => panic!("{other:?}"),
        }
    }

    /// Why the relay does not append this. Nothing may have changed by that.
    pub(crate) fn refusal(&mut self, who: &Person, log: GroupId, entry: &Blob) -> Refusal {
        let before = self.everything(log);
        let outcome = self.append(who, log, entry);
        assert!(outcome.publish.is_none() && outcome.tail.is_none());
        assert_eq!(self.everything(log), before, "a refused request changed something");
        outcome.answer.unwrap_err()
    }

    fn everything(&self, log: GroupId) -> (Page, usize) {
        let recorded = self.relay.store().recorded(0, usize::MAX).unwrap().len();
        (self.entries(log), recorded)
    }

    pub(crate) fn entries(&self, log: GroupId) -> Page {
        self.relay.store().read(&log, Seq(0), Which::All, PLENTY).unwrap()
    }

    pub(crate) fn head(&mut self) -> Head {
        let somebody = Person::new("nobody", &mut TestRng::seeded(1 << 30));
        let Ok(Answer::Head(bytes)) = self.ask(&somebody, &Request::Head).answer else {
            panic!("no head")
        };
        let head = UnverifiedHead::decode(&bytes.0).unwrap();
        head.verify(&self.public.log_key, &self.public.log_id).unwrap()
    }

    pub(crate) fn head_ref(&mut self) -> HeadRef {
        let Head { size, root, .. } = self.head();
        HeadRef { size, root }
    }

    /// `who` begins an open group of this name.
    pub(crate) fn open_group(&mut self, who: &Person, group: &str) -> Member {
        let policy = Policy::Open { name: group.parse().unwrap() };
        let (member, entry) = self.begin(who, policy);
        self.place(who, member.log(), &entry);
        self.synced(member)
    }

    pub(crate) fn closed_group(&mut self, who: &Person) -> Member {
        let (member, entry) = self.begin(who, Policy::Closed { name_hash: Digest([1; 32]) });
        self.place(who, member.log(), &entry);
        self.synced(member)
    }

    /// A group of which the relay knows nothing yet, and the commit that begins it.
    pub(crate) fn begin(&mut self, who: &Person, policy: Policy) -> (Member, Blob) {
        let head = self.head_ref();
        let group = Group::create(&who.author(head), policy, &mut self.rng).unwrap();
        let entry = group.pending().unwrap().entry.clone();
        (Member { group, person: who.clone() }, entry)
    }

    /// `who` joins a group by what its log says now.
    pub(crate) fn join(&mut self, who: &Person, log: GroupId) -> Member {
        let (member, entry) = self.prepare_join(who, log);
        let seq = self.place(who, log, &entry);
        let receipt = self.receipt(who, log, Some(seq));
        let mut member = self.caught_up(member);
        member.group.begin_reading(Seen { seq: receipt.seq, log_hash: receipt.log_hash });
        member
    }

    /// The commit with which `who` would join now.
    pub(crate) fn prepare_join(&mut self, who: &Person, log: GroupId) -> (Member, Blob) {
        let head = self.head_ref();
        self.prepare_join_with(who, log, head)
    }

    pub(crate) fn prepare_join_with(
        &mut self,
        who: &Person,
        log: GroupId,
        head: HeadRef,
    ) -> (Member, Blob) {
        let me = who.identity.fingerprint;
        let commits: Vec<CommitEntry> =
            self.entries(log).entries.iter().filter_map(|(_, entry)| commit(entry)).collect();
        let mut group = Group::restore(log, me, &commits, Saved::default()).unwrap();
        let entry = group.join(&who.author(head), &mut self.rng).unwrap().entry.clone();
        (Member { group, person: who.clone() }, entry)
    }

    pub(crate) fn receipt(&mut self, who: &Person, log: GroupId, at: Option<Seq>) -> Receipt {
        match self.ask(who, &Request::Receipt { log, at }).answer {
            Ok(Answer::Receipt(signed)) => verify_receipt(&signed, &self.public.relay_key).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The member with everything that is in the log.
    pub(crate) fn synced(&self, mut member: Member) -> Member {
        let after = member.group.seen().unwrap().seq;
        let page = self.relay.store().read(&member.log(), after, Which::All, PLENTY).unwrap();
        for (seq, entry) in page.entries {
            if let Some(commit) = commit(&entry) {
                member.group.commit(&commit);
            }
            member.group.advance(seq, &entry);
        }
        member
    }

    /// The member after its own join, whose commit is the log's newest entry.
    fn caught_up(&self, mut member: Member) -> Member {
        let entries = self.entries(member.log()).entries;
        let newest = entries.last().and_then(|(_, entry)| commit(entry)).unwrap();
        member.group.commit(&newest);
        member
    }

    /// Puts an update of `member` in the log.
    pub(crate) fn update(&mut self, member: Member) -> Member {
        let (member, entry) = self.prepare_update(member);
        self.place(&member.person, member.log(), &entry);
        self.synced(member)
    }

    pub(crate) fn prepare_update(&mut self, member: Member) -> (Member, Blob) {
        let mut member = self.synced(member);
        let head = self.head_ref();
        let author = member.person.author(head);
        let entry = member.group.update(&author, &mut self.rng).unwrap().entry.clone();
        (member, entry)
    }
}

/// Somebody with an identity key.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) identity: Identity,
    pub(crate) key: IdentityKey,
}

impl Person {
    pub(crate) fn new(name: &str, rng: &mut impl CryptoRng) -> Self {
        let key = IdentityKey::generate(rng);
        let identity = Identity { name: self::name(name), fingerprint: key.fingerprint() };
        Self { identity, key }
    }

    pub(crate) fn request(&self, invited: &Invited) -> EnrollRequest {
        EnrollRequest {
            name: self.identity.name.clone(),
            invitation: invited.id,
            secret: invited.secret,
            csr: Blob(certification_request(&self.key, &self.identity.name).unwrap()),
        }
    }

    pub(crate) fn author(&self, head: HeadRef) -> Author<'_> {
        Author { key: &self.key, name: &self.identity.name, head }
    }
}

/// A person with a group's state.
pub(crate) struct Member {
    pub(crate) person: Person,
    pub(crate) group: Group,
}

impl Member {
    pub(crate) fn log(&self) -> GroupId {
        *self.group.roster().group()
    }

    /// A sealed message, as an entry.
    pub(crate) fn message(&mut self, text: &str) -> Blob {
        let content =
            Content { time: START, kind: ContentKind::TEXT, body: Blob(text.as_bytes().to_vec()) };
        let id = MessageId(sha256(text.as_bytes()).0[..16].try_into().unwrap());
        let entry = self.group.seal(&self.person.key, id, &content).unwrap();
        Blob(LogEntry::Message(entry).to_bytes())
    }
}

pub(crate) fn name(name: &str) -> Name {
    name.parse().unwrap()
}

pub(crate) fn commit(entry: &[u8]) -> Option<CommitEntry> {
    match LogEntry::decode(entry).unwrap() {
        LogEntry::Commit(commit) => Some(commit),
        _ => None,
    }
}
