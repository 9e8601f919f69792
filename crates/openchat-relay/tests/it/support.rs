//! A relay on a store in memory, and people who hold real keys and make real commits.

use crate::people::{Member, Person, TestRng};
use openchat_crypto::IdentityKey;
use openchat_group::{Group, NewMember, Proposal};
use openchat_pki::{
    CertificateAuthority, Head, Inclusion, MerkleLog, Profiles, ServerKeys, UnverifiedHead,
    verify_receipt,
};
use openchat_relay::{
    EnrollOutcome, Invited, Keys, Limit, Outcome, Page, Relay, Store as _,
    memory::{Faults, MemoryStore},
    store::{Body, Which},
};
use openchat_roster::{
    CommitEntry, HeadRef, LogEntry, Naming, Policy, Reason, Role, Seen, SignedPrekey, inbox,
};
use openchat_wire::{
    Blob, Digest, Fingerprint, GroupId, Name, Seq, UnixMillis,
    enroll::EnrollRequest,
    relay::{Answer, InboxEntry, Letter, Receipt, Refusal, Request},
};

pub(crate) const START: UnixMillis = UnixMillis(1_782_864_000_000);

const PLENTY: Limit = Limit { entries: 100_000, bytes: 1_000_000_000 };

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
        let store = self.relay.into_store().crash();
        let relay = opened(store, &self.ca, &self.log, &self.receipts);
        Self { relay, ..self }
    }

    /// The same world, whose transparency log has grown by this, and the proof of it.
    pub(crate) fn with_recorded(self, index: u64, entry: &[u8]) -> (Self, Inclusion) {
        let now = self.now;
        let world = self.with_store(|store| store.record(index, now, entry).unwrap());
        let mut tree = MerkleLog::default();
        for recorded in world.relay.store().recorded(0, usize::MAX).unwrap() {
            tree.push(&recorded.entry);
        }
        (world, tree.prove(index).unwrap())
    }

    /// The same world, in whose store somebody has changed something while the relay was away.
    pub(crate) fn with_store(self, change: impl FnOnce(&mut MemoryStore)) -> Self {
        let mut store = self.relay.into_store();
        change(&mut store);
        store.flush().unwrap();
        let relay = opened(store, &self.ca, &self.log, &self.receipts);
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
        self.ask(who, &append(log, entry))
    }

    /// Appends what has to be taken, and returns its place.
    pub(crate) fn place(&mut self, who: &Person, log: GroupId, entry: &Blob) -> Seq {
        self.post(who, log, entry, &[])
    }

    /// The same with letters.
    pub(crate) fn post(
        &mut self,
        who: &Person,
        log: GroupId,
        entry: &Blob,
        letters: &[Letter],
    ) -> Seq {
        let (entry, letters) = (entry.clone(), letters.to_vec());
        match self.ask(who, &Request::Append { log, entry, letters, follows: false }).answer {
            Ok(Answer::Appended(seq)) => seq,
            other => panic!("{other:?}"),
        }
    }

    /// Why the relay does not append this. Nothing may have changed by that.
    pub(crate) fn refusal(&mut self, who: &Person, log: GroupId, entry: &Blob) -> Refusal {
        self.refusal_of(who, &append(log, entry))
    }

    /// Why the relay does not do this. Nothing may have changed by that.
    pub(crate) fn refusal_of(&mut self, who: &Person, request: &Request) -> Refusal {
        let before = self.everything();
        let outcome = self.ask(who, request);
        assert!(outcome.publish.is_empty() && outcome.ends.is_empty() && outcome.tail.is_none());
        assert!(self.everything() == before, "a refused request changed something");
        outcome.answer.unwrap_err()
    }

    fn everything(&self) -> MemoryStore {
        self.relay.store().clone()
    }

    /// The letters in somebody's inbox.
    pub(crate) fn letters(&self, who: &Person) -> Vec<InboxEntry> {
        let entries = self.entries(inbox(&who.identity.fingerprint)).entries;
        entries
            .into_iter()
            .map(|(_, it)| InboxEntry::decode(&it.whole().unwrap()).unwrap())
            .collect()
    }

    pub(crate) fn entries(&self, log: GroupId) -> Page {
        self.relay.store().read(&log, Seq(0), Which::All, PLENTY).unwrap()
    }

    /// The entries of a log that are whole.
    pub(crate) fn bytes(&self, log: GroupId) -> Vec<(Seq, Vec<u8>)> {
        let whole = |(seq, body): (Seq, Body)| Some((seq, body.whole().ok()?));
        self.entries(log).entries.into_iter().filter_map(whole).collect()
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
        let (member, entry) = self.begin(who, open(group));
        self.place(who, member.log(), &entry);
        self.synced(member)
    }

    pub(crate) fn closed_group(&mut self, who: &Person) -> Member {
        let (member, entry) = self.begin(who, Policy::closed(&naming()));
        self.place(who, member.log(), &entry);
        self.synced(member)
    }

    /// A group of which the relay knows nothing yet, and the commit that begins it.
    pub(crate) fn begin(&mut self, who: &Person, policy: Policy) -> (Member, Blob) {
        let (member, entry, _) = self.begin_with(who, policy, Proposal::default());
        (member, entry)
    }

    /// A seated member that has lost everything but its key.
    pub(crate) fn arrived_by_log(&self, who: &Person, log: GroupId) -> Member {
        let group = Group::new(log, who.identity.fingerprint);
        self.synced(Member { group, person: who.clone() })
    }

    /// The commit with which a member comes back.
    pub(crate) fn prepare_rejoin(&mut self, member: Member) -> (Member, Blob) {
        let mut member = self.synced(member);
        let head = self.head_ref();
        let author = member.person.author(head);
        let entry = member.group.rejoin(&author, Vec::new(), &mut self.rng).unwrap().entry.clone();
        (member, entry)
    }

    /// The same with people in it from the beginning.
    pub(crate) fn begin_with(
        &mut self,
        who: &Person,
        policy: Policy,
        proposal: Proposal,
    ) -> (Member, Blob, Vec<Letter>) {
        let (head, naming) = (self.head_ref(), naming());
        let is_closed = policy == Policy::closed(&naming);
        let (author, naming) = (who.author(head), is_closed.then_some(&naming));
        let group = Group::create(&author, policy, naming, proposal, &mut self.rng).unwrap();
        let pending = group.pending().unwrap();
        let (entry, letters) = (pending.entry.clone(), pending.letters.clone());
        (Member { group, person: who.clone() }, entry, letters)
    }

    /// What `member` would commit now.
    pub(crate) fn prepare(
        &mut self,
        member: Member,
        proposal: Proposal,
    ) -> (Member, Blob, Vec<Letter>) {
        let mut member = self.synced(member);
        let (head, naming) = (self.head_ref(), naming());
        let author = member.person.author(head);
        let pending = member.group.propose(&author, Some(&naming), proposal, &mut self.rng);
        let pending = pending.unwrap();
        let (entry, letters) = (pending.entry.clone(), pending.letters.clone());
        (member, entry, letters)
    }

    /// Puts this commit of `member` in the log.
    pub(crate) fn commit(&mut self, member: Member, proposal: Proposal) -> Member {
        let (member, entry, letters) = self.prepare(member, proposal);
        self.post(&member.person, member.log(), &entry, &letters);
        self.synced(member)
    }

    /// A prekey that somebody has, as the relay would give it out.
    pub(crate) fn prekey(&mut self, who: &Person) -> SignedPrekey {
        who.ring.one_time(&who.key, self.now, &mut self.rng)
    }

    /// What adds somebody by a fresh prekey.
    pub(crate) fn adding(&mut self, who: &Person) -> Proposal {
        Proposal { adds: vec![self.new_member(who)], ..Proposal::default() }
    }

    pub(crate) fn new_member(&mut self, who: &Person) -> NewMember {
        let prekey = self.prekey(who);
        NewMember { name: who.identity.name.clone(), key: *who.key.public(), prekey }
    }

    /// The group of somebody who was added, with everything in its log.
    pub(crate) fn arrived(&mut self, who: &Person, log: GroupId) -> Member {
        let me = who.identity.fingerprint;
        for InboxEntry { group, seq, letter, .. } in self.letters(who) {
            let epoch = self.relay.store().point(&group, seq).unwrap().unwrap().commit.epoch;
            who.ring.put_letter(group, epoch, letter);
        }
        self.synced(Member { group: Group::new(log, me), person: who.clone() })
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

    /// The commit with which somebody would join who may not, made as a modified client makes it.
    pub(crate) fn prepare_join_unasked(&mut self, who: &Person, log: GroupId) -> (Member, Blob) {
        let open = self.person("host");
        let open = self.open_group(&open, "unasked").log();
        let (member, entry) = self.prepare_join(who, open);
        let mut forged = commit(&entry.0).unwrap();
        let mut said = forged.view().unwrap();
        said.group = log;
        forged.commit = said.to_bytes();
        let signed = CommitEntry::signed_bytes(&forged.commit, &forged.tag);
        forged.signature = who.key.sign(openchat_crypto::Label::Commit, &signed);
        (member, Blob(LogEntry::Commit(forged).to_bytes()))
    }

    pub(crate) fn prepare_join_with(
        &mut self,
        who: &Person,
        log: GroupId,
        head: HeadRef,
    ) -> (Member, Blob) {
        let me = who.identity.fingerprint;
        let commits: Vec<CommitEntry> =
            self.bytes(log).iter().filter_map(|(_, entry)| commit(entry)).collect();
        let mut group = Group::restore(log, me, &commits, None, []).unwrap();
        let entry = group.join(&who.author(head), None, &mut self.rng).unwrap().entry.clone();
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
        for (seq, body) in page.entries {
            let entry = body.whole().unwrap();
            if let Some(commit) = commit(&entry) {
                member.group.commit(&commit, &*member.person.ring);
            }
            member.group.advance(seq, &entry);
        }
        member
    }

    /// The member after its own join, whose commit is the log's newest entry.
    fn caught_up(&self, mut member: Member) -> Member {
        let entries = self.bytes(member.log());
        let newest = entries.last().and_then(|(_, entry)| commit(entry)).unwrap();
        member.group.commit(&newest, &*member.person.ring);
        member
    }

    /// Puts an update of `member` in the log.
    pub(crate) fn update(&mut self, member: Member) -> Member {
        self.commit(member, Proposal::update())
    }

    pub(crate) fn prepare_update(&mut self, member: Member) -> (Member, Blob) {
        let (member, entry, _) = self.prepare(member, Proposal::update());
        (member, entry)
    }
}

fn opened(
    store: MemoryStore,
    (key, certificate): &(IdentityKey, Vec<u8>),
    log: &IdentityKey,
    receipts: &IdentityKey,
) -> Relay<MemoryStore> {
    let profiles = Profiles::builtin().unwrap();
    let ca = CertificateAuthority::load(key.clone(), certificate, &profiles).unwrap();
    Relay::open(store, Keys { ca, log: log.clone(), relay: receipts.clone() }).unwrap()
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

pub(crate) fn open(group: &str) -> Policy {
    Policy::open(group.parse().unwrap())
}

/// What the closed groups are called.
pub(crate) fn naming() -> Naming {
    Naming { name: "secret".parse().unwrap(), salt: Digest([1; 32]) }
}

pub(crate) fn append(log: GroupId, entry: &Blob) -> Request {
    Request::Append { log, entry: entry.clone(), letters: Vec::new(), follows: false }
}

/// What removes somebody against its will.
pub(crate) fn evicting(who: &Person) -> Proposal {
    let removes = vec![(who.identity.fingerprint, Reason::Evicted)];
    Proposal { removes, ..Proposal::default() }
}

/// What makes somebody an admin.
pub(crate) fn promoting(who: &Person) -> Proposal {
    Proposal { roles: vec![(who.identity.fingerprint, Role::Admin)], ..Proposal::default() }
}

pub(crate) fn invalid(check: &str) -> Refusal {
    Refusal::Invalid(check.to_owned())
}

pub(crate) fn is_invalid(refusal: &Refusal, check: &str) {
    let Refusal::Invalid(found) = refusal else { panic!("{refusal:?}") };
    assert!(found.starts_with(check), "{found}");
}

pub(crate) const NOBODY: Fingerprint = Fingerprint([9; 32]);
