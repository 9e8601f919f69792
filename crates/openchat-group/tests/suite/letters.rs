//! W1 to W4: letters that are lost, forged, moved or spoilt. Nobody is accused, nothing changes but
//! what the log says, and whoever was added comes in by a rejoin.

use openchat_crypto::{KeyPair, Label, PublicKey, Secret, fernet::MessageKey, hash};
use openchat_group::{
    Effect, LetterFault, PrivateFault, Proposal,
    letter::{self, Occasion},
};
use openchat_roster::{CommitEntry, Naming, PrekeyKind, Roster};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, encode, limits::MAX_LETTER};

use crate::kit::{
    Act, World,
    post::{WelcomeView, open_welcome, seal_welcome, token, welcome_key},
    world::{commit_of, naming},
};

/// A closed group of three whose second member is about to add a fourth device.
struct Stage {
    world: World,
    before: Roster,
    entry: Vec<u8>,
    letter: Blob,
    key: Secret,
}

impl Stage {
    fn new() -> Self {
        let mut world = World::closed(1, 3, 2);
        let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
        let entry = world.devices[1].propose(Proposal { adds, ..Proposal::default() }).unwrap();
        let letter = world.devices[1].letters_with(&entry).remove(0).sealed;
        let before = world.roster().clone();
        let member = world.fingerprint(3);
        let key = welcome_key(&world.devices[3].ring, &before, &commit_of(&entry), &member);
        Self { world, before, entry, letter, key }
    }

    /// What the newcomer makes of the commit with this letter.
    fn with(&self, letter: Option<Blob>) -> Effect {
        let device = &self.world.devices[3];
        let mut ring = device.ring.clone();
        let place = (*self.before.group(), self.before.epoch().next());
        if let Some(letter) = letter {
            ring.letters.insert(place, letter);
        }
        let mut group = device.group.clone();
        let outcome = group.commit(&commit_of(&self.entry), &ring);
        let openchat_group::CommitOutcome::Valid { effect, .. } = outcome else {
            panic!("{outcome:?}")
        };
        if !matches!(effect, Effect::Added { .. }) {
            assert!(group.secrets().is_none() && group.epochs().next().is_none());
            assert!(group.take_changes().is_empty(), "nothing to store");
        }
        effect
    }

    fn refuses(&self, letter: Blob, fault: LetterFault) {
        assert_eq!(self.with(Some(letter)), Effect::LeftBehind(PrivateFault::Welcome(fault)));
    }

    fn welcome(&self) -> WelcomeView {
        open_welcome(&self.key, &self.letter)
    }

    /// A changed Welcome, sealed and signed by the adder.
    fn changed(&self, change: impl FnOnce(&mut WelcomeView)) -> Blob {
        let mut welcome = self.welcome();
        change(&mut welcome);
        seal_welcome(&self.key, &self.world.devices[1].key, &welcome)
    }

    /// The honest letter comes, and everybody talks.
    fn accepts(mut self) {
        let events = self.world.publish(self.entry);
        assert_eq!(events[3].effect(), Effect::Added { naming: Some(naming()) });
        self.world.assert_agree();
        self.world.assert_all_talk();
    }
}

#[test]
fn no_letter_at_all() {
    let stage = Stage::new();
    let effect = stage.with(None);
    assert_eq!(effect, Effect::LeftBehind(PrivateFault::NoWelcome));
    assert!(!PrivateFault::NoWelcome.is_authors());
    stage.accepts();
}

#[test]
fn w1_a_letter_cut_short_or_with_any_bit_flipped() {
    let stage = Stage::new();
    let good = stage.letter.0.clone();
    for length in 0..good.len() {
        stage.refuses(Blob(good[..length].to_vec()), LetterFault::Sealed);
    }
    for byte in 0..good.len() {
        let mut flipped = good.clone();
        flipped[byte] ^= 1 << (byte % 8);
        stage.refuses(Blob(flipped), LetterFault::Sealed);
    }
    stage.refuses(Blob([&good[..], &[0; 16]].concat()), LetterFault::Sealed);
    stage.accepts();
}

#[test]
fn w1_what_is_inside_is_one_signed_welcome() {
    let stage = Stage::new();
    let signer = &stage.world.devices[1].key;
    let body = encode(&stage.welcome());
    let label = Label::WelcomeLetter;
    for bytes in [&[][..], &[1; 63]] {
        let sealed = MessageKey::new(stage.key.clone()).seal(bytes);
        stage.refuses(Blob(sealed), LetterFault::Encoding);
    }
    let no_signature = [&body[..], &[0; 64]].concat();
    let sealed = MessageKey::new(stage.key.clone()).seal(&no_signature);
    stage.refuses(Blob(sealed), LetterFault::Encoding);
    for bad in [&body[..body.len() - 1], &[&body[..], &[0]].concat(), &[]] {
        stage.refuses(token(&stage.key, signer, label, bad), LetterFault::Encoding);
    }
    // Signed by another member, or for another purpose.
    let other = &stage.world.devices[0].key;
    stage.refuses(token(&stage.key, other, label, &body), LetterFault::Signature);
    for label in Label::ALL.iter().filter(|it| **it != Label::WelcomeLetter) {
        stage.refuses(token(&stage.key, signer, *label, &body), LetterFault::Signature);
    }
    stage.accepts();
}

#[test]
fn w1_another_author_or_addressee() {
    let stage = Stage::new();
    let other = stage.world.fingerprint(0);
    stage.refuses(stage.changed(|welcome| welcome.author = other), LetterFault::Parties);
    stage.refuses(stage.changed(|welcome| welcome.member = other), LetterFault::Parties);
    stage.accepts();
}

#[test]
fn w2_another_commit() {
    let stage = Stage::new();
    let epoch = stage.welcome().epoch;
    let refuses = |change: &dyn Fn(&mut WelcomeView)| {
        stage.refuses(stage.changed(change), LetterFault::Commit);
    };
    refuses(&|welcome| welcome.group = GroupId([0; 32]));
    refuses(&|welcome| welcome.epoch = epoch.next());
    refuses(&|welcome| welcome.epoch = Epoch(0));
    refuses(&|welcome| welcome.interim = Digest([0; 32]));
    refuses(&|welcome| welcome.interim = *stage.before.interim());
    stage.accepts();
}

#[test]
fn w3_another_name() {
    let stage = Stage::new();
    let other_name = Naming { name: "ops2".parse().unwrap(), ..naming() };
    let other_salt = Naming { salt: Digest([0; 32]), ..naming() };
    for wrong in [None, Some(other_name), Some(other_salt)] {
        let letter = stage.changed(|welcome| welcome.naming = wrong);
        stage.refuses(letter, LetterFault::Naming);
    }
    stage.accepts();
}

#[test]
fn w4_another_secret() {
    let stage = Stage::new();
    let letter = stage.changed(|welcome| welcome.joiner = Secret::from_bytes([0; 32]));
    stage.refuses(letter, LetterFault::Secret);
    stage.accepts();
}

/// A letter for one who is added is no use to another who is added by the same commit, nor to the
/// same person elsewhere.
#[test]
fn a_letter_for_somebody_else_or_of_another_commit() {
    let mut world = World::closed(2, 3, 2);
    let adds = |world: &mut World| {
        [3, 4].map(|device: usize| world.devices[device].as_new_member(PrekeyKind::OneTime))
    };
    // The first attempt loses its race; the second one wins.
    let lost = Proposal { adds: adds(&mut world).into(), ..Proposal::default() };
    let lost = world.devices[1].propose(lost).unwrap();
    let of_lost = world.devices[1].letters_with(&lost);
    world.act(0, Act::Update);
    let again = Proposal { adds: adds(&mut world).into(), ..Proposal::default() };
    let entry = world.devices[1].propose(again).unwrap();
    let letters = world.devices[1].letters_with(&entry);
    assert_eq!(letters.len(), 2);
    let place = (*world.roster().group(), world.roster().epoch().next());
    for letter in [&of_lost[0], &letters[1]] {
        let device = &world.devices[3];
        let mut ring = device.ring.clone();
        ring.letters.insert(place, letter.sealed.clone());
        let mut group = device.group.clone();
        let outcome = group.commit(&commit_of(&entry), &ring);
        let openchat_group::CommitOutcome::Valid { effect, .. } = outcome else { panic!() };
        let fault = PrivateFault::Welcome(LetterFault::Sealed);
        assert_eq!(effect, Effect::LeftBehind(fault));
    }
    // The relay hands nothing out of a lost append; the winner's letters are right.
    let events = world.publish(entry);
    assert!([3, 4].iter().all(|&d| matches!(events[d].effect(), Effect::Added { .. })));
    world.assert_agree();
    world.assert_all_talk();
}

/// The same Welcome, once its device was removed and added again.
#[test]
fn a_welcome_played_again() {
    let mut world = World::closed(3, 2, 1);
    world.add(0, 2);
    let old = world.devices[2].ring.letters.values().next().unwrap().clone();
    world.evict(0, &[2]);
    let adds = vec![world.devices[2].as_new_member(PrekeyKind::OneTime)];
    let entry = world.devices[0].propose(Proposal { adds, ..Proposal::default() }).unwrap();
    let place = (*world.roster().group(), world.roster().epoch().next());
    let mut group = world.devices[2].group.clone();
    let mut ring = world.devices[2].ring.clone();
    ring.letters.insert(place, old);
    let outcome = group.commit(&commit_of(&entry), &ring);
    let openchat_group::CommitOutcome::Valid { effect, .. } = outcome else { panic!() };
    assert_eq!(effect, Effect::LeftBehind(PrivateFault::Welcome(LetterFault::Sealed)));
    world.publish(entry);
    world.assert_all_talk();
}

#[test]
fn letters_are_short() {
    let mut world = World::closed(4, 3, 1);
    for who in 0..4 {
        world.devices[who].naming = Some(long_naming());
    }
    let policy = openchat_roster::Policy::closed(&long_naming());
    let adds = vec![world.devices[3].as_new_member(PrekeyKind::OneTime)];
    let admits = vec![world.devices[2].as_invited()];
    let proposal = Proposal { adds, admits, ..Proposal::default() };
    let entry = world.devices[0].create_with(policy, proposal).unwrap();
    let letters = world.devices[0].letters_with(&entry);
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert!(letter.sealed.0.len() <= 700, "{} bytes", letter.sealed.0.len());
        assert!(letter.sealed.0.len() <= MAX_LETTER);
    }
}

fn long_naming() -> Naming {
    Naming { name: "a".repeat(32).parse().unwrap(), salt: Digest([9; 32]) }
}

/// What a reader takes an invitation's commit for.
struct Told {
    group: GroupId,
    epoch: Epoch,
    author: PublicKey,
    me: Fingerprint,
}

/// An invitation, and what its reader knows of the commit that it came with.
struct Invited {
    world: World,
    entry: CommitEntry,
    letter: Blob,
}

impl Invited {
    fn new() -> Self {
        let mut world = World::closed(5, 3, 2);
        let admits = vec![world.devices[3].as_invited()];
        let proposal = Proposal { admits, ..Proposal::default() };
        let entry = world.devices[1].propose(proposal).unwrap();
        let letter = world.devices[1].letters_with(&entry).remove(0).sealed;
        Self { world, entry: commit_of(&entry), letter }
    }

    fn interim(&self) -> Digest {
        let before = self.world.roster().interim();
        CommitEntry::interim(&CommitEntry::confirmed(before, &self.entry.commit), &self.entry.tag)
    }

    fn open_as(
        &self,
        device: usize,
        letter: &[u8],
        change: impl FnOnce(&mut Told),
    ) -> Result<Option<Naming>, LetterFault> {
        let roster = self.world.roster();
        let mut told = Told {
            group: *roster.group(),
            epoch: roster.epoch().next(),
            author: *self.world.devices[1].key.public(),
            me: self.world.fingerprint(device),
        };
        change(&mut told);
        let occasion = Occasion {
            group: &told.group,
            epoch: told.epoch,
            interim: &self.interim(),
            policy: roster.policy().unwrap(),
            author: &told.author,
            me: &told.me,
        };
        let ring = &self.world.devices[device].ring;
        letter::open_invitation(letter, &occasion, ring).map(|invite| invite.naming)
    }

    fn open(&self, letter: &[u8]) -> Result<Option<Naming>, LetterFault> {
        self.open_as(3, letter, |_| ())
    }

    /// An invitation from scratch, as §4.6 has it.
    fn forged(&self, signer: usize, label: Label, change: impl FnOnce(&mut View)) -> Vec<u8> {
        let prekey_hash = self.letter.0[..32].to_vec();
        let pair = KeyPair::derive(&Secret::from_bytes([3; 32]));
        let mut hash_of_prekey = [0; 32];
        hash_of_prekey.copy_from_slice(&prekey_hash);
        let prekey = &self.world.devices[3].ring.prekeys[&Digest(hash_of_prekey)];
        let roster = self.world.roster();
        let (author, member) = (self.world.fingerprint(1), self.world.fingerprint(3));
        let epoch = roster.epoch().next();
        let bound = [
            &roster.group().0[..],
            &epoch.0.to_be_bytes(),
            &author.0,
            &member.0,
            &prekey_hash,
            &pair.public().as_bytes()[..],
        ];
        let bound = hash(Label::Admission, &[&bound.concat()]);
        let shared = pair.agree(prekey.public());
        let prk = Secret::extract(&bound.0, shared.expose());
        let key = prk.expand(Label::GroupInvitation, b"");
        let group = *roster.group();
        let mut view =
            View { author, member, group, epoch, interim: self.interim(), naming: Some(naming()) };
        change(&mut view);
        let signer = &self.world.devices[signer].key;
        let token = token(&key, signer, label, &encode(&view));
        [&prekey_hash[..], pair.public().as_bytes(), &token.0].concat()
    }
}

#[derive(serde::Serialize)]
struct View {
    author: Fingerprint,
    member: Fingerprint,
    group: GroupId,
    epoch: Epoch,
    interim: Digest,
    naming: Option<Naming>,
}

#[test]
fn w1_to_w3_of_an_invitation() {
    let it = Invited::new();
    let purpose = Label::InvitationLetter;
    assert_eq!(it.open(&it.letter.0), Ok(Some(naming())));
    assert_eq!(it.open(&it.forged(1, purpose, |_| ())), Ok(Some(naming())), "the forger works");
    let refuses = |signer: usize, label: Label, fault, change: &dyn Fn(&mut View)| {
        assert_eq!(it.open(&it.forged(signer, label, change)), Err(fault));
    };
    let other = it.world.fingerprint(0);
    refuses(0, purpose, LetterFault::Signature, &|_| ());
    for label in Label::ALL.iter().filter(|label| **label != purpose) {
        refuses(1, *label, LetterFault::Signature, &|_| ());
    }
    refuses(1, purpose, LetterFault::Parties, &|view| view.author = other);
    refuses(1, purpose, LetterFault::Parties, &|view| view.member = other);
    refuses(1, purpose, LetterFault::Commit, &|view| view.group = GroupId([0; 32]));
    refuses(1, purpose, LetterFault::Commit, &|view| view.epoch = Epoch(1));
    refuses(1, purpose, LetterFault::Commit, &|view| view.interim = Digest([0; 32]));
    refuses(1, purpose, LetterFault::Naming, &|view| view.naming = None);
    let wrong = Naming { salt: Digest([1; 32]), ..naming() };
    refuses(1, purpose, LetterFault::Naming, &|view| view.naming = Some(wrong.clone()));
}

#[test]
fn w1_an_invitation_cut_short_or_with_any_bit_flipped() {
    let it = Invited::new();
    let good = &it.letter.0;
    for length in 0..good.len() {
        let fault = it.open(&good[..length]).unwrap_err();
        let expected = if length < 97 { LetterFault::Encoding } else { LetterFault::Sealed };
        assert_eq!(fault, expected, "{length} bytes");
    }
    for byte in 0..good.len() {
        let mut flipped = good.clone();
        flipped[byte] ^= 1 << (byte % 8);
        let expected = match byte {
            0..32 => LetterFault::Prekey,
            // Not a point any more, by all probability.
            32..97 => LetterFault::Encoding,
            _ => LetterFault::Sealed,
        };
        assert_eq!(it.open(&flipped), Err(expected), "byte {byte}");
    }
}

/// What the letter's key is bound to is another's commit, or another reader.
#[test]
fn an_invitation_opens_at_its_own_commit_only() {
    let it = Invited::new();
    let sealed = Err(LetterFault::Sealed);
    let other = it.world.fingerprint(0);
    let group = GroupId([0; 32]);
    assert_eq!(it.open_as(3, &it.letter.0, |at| at.group = group), sealed);
    assert_eq!(it.open_as(3, &it.letter.0, |at| at.epoch = Epoch(1)), sealed);
    assert_eq!(it.open_as(3, &it.letter.0, |at| at.me = other), sealed);
    let key = *it.world.devices[0].key.public();
    assert_eq!(it.open_as(3, &it.letter.0, |at| at.author = key), sealed);
    assert_eq!(it.open_as(4, &it.letter.0, |_| ()), Err(LetterFault::Prekey));
    // A Welcome is no invitation, and the other way round.
    let welcome = Stage::new();
    assert!(it.open(&welcome.letter.0).is_err());
    welcome.refuses(it.letter.clone(), LetterFault::Sealed);
}

#[test]
fn an_invitation_is_told_when_its_commit_is_read() {
    let mut world = World::closed(6, 2, 2);
    let events = world.admit(1, 2);
    assert_eq!(events[2].effect(), Effect::Invited(Ok(Some(naming()))));
    assert_eq!(events[3].effect(), Effect::Watched);
    assert_eq!(world.devices[2].naming, Some(naming()));
    // One that is lost, or whose prekey is gone, leaves the admission as it is.
    let admits = vec![world.devices[3].as_invited()];
    let entry = world.devices[0].propose(Proposal { admits, ..Proposal::default() }).unwrap();
    world.devices[3].ring.prekeys.clear();
    let events = world.publish(entry);
    assert_eq!(events[3].effect(), Effect::Invited(Err(LetterFault::Prekey)));
    world.act(3, Act::Join);
    world.act(2, Act::Join);
    world.assert_agree();
    world.assert_all_talk();
}

#[test]
fn who_is_admitted_without_a_letter_is_told_so() {
    let mut world = World::closed(7, 1, 1);
    let person = world.devices[1].as_person();
    let admits = vec![openchat_group::Invited { person, prekey: None }];
    let events = world.propose(0, Proposal { admits, ..Proposal::default() });
    assert_eq!(events[1].effect(), Effect::Invited(Err(LetterFault::Missing)));
    world.act(1, Act::Join);
    world.assert_all_talk();
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 32,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Whatever a letter is, and whatever its author seals in it, nothing panics and nothing opens.
    #[test]
    fn letters_of_any_bytes(sealed: Vec<u8>, inside: Vec<u8>) {
        let stage = Stage::new();
        stage.refuses(Blob(sealed.clone()), LetterFault::Sealed);
        let token = token(&stage.key, &stage.world.devices[1].key, Label::WelcomeLetter, &inside);
        stage.refuses(token, LetterFault::Encoding);
        let it = Invited::new();
        proptest::prop_assert!(it.open(&sealed).is_err());
    }
}
