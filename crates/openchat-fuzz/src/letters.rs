//! Letters that come with a commit, and the tokens that they are made of (`docs/protocol.md` §4.6).

use std::sync::OnceLock;

use openchat_crypto::{KeyPair, Label, Secret, fernet::MessageKey, hash};
use openchat_group::{
    CommitOutcome, Effect, Proposal,
    letter::{Occasion, open_invitation},
};
use openchat_roster::{CommitEntry, LogEntry, Policy};
use openchat_wire::{Blob, Digest};

use crate::{
    device::{Device, naming},
    world::{ALICE, CAROL, World},
};

/// An invitation to a closed group: the whole letter, and what is in a letter that opens.
pub fn invitation(data: &[u8]) {
    let Occurred { device, policy, entry, world } = admitted();
    let letter = [prefix(data), sealed(data)];
    for bytes in [data.to_vec(), letter.concat()] {
        let alice = world.devices[ALICE].key.public();
        let me = device.fingerprint();
        let occasion = Occasion {
            group: world.relay.group(),
            epoch: world.relay.epoch(),
            interim: world.relay.interim(),
            policy,
            author: alice,
            me: &me,
        };
        if let Ok(invite) = open_invitation(&bytes, &occasion, &device.ring) {
            assert_eq!(invite.naming, Some(naming()), "another group's name");
        }
        // The commit counts whatever its letter says.
        let mut device = device.clone();
        device.ring.letters.insert(world.relay.epoch(), Blob(bytes));
        let outcome = device.group.commit(entry, &device.ring);
        assert!(matches!(outcome, CommitOutcome::Valid { effect: Effect::Invited(_), .. }));
    }
}

/// The Welcome of somebody who was added: it is the genuine one, or it leaves its reader behind.
pub fn welcome(data: &[u8]) {
    let Occurred { device, entry, world, .. } = added();
    let genuine = &device.ring.letters[&world.relay.epoch()].0;
    let mixed = genuine.iter().zip(data.iter().chain(core::iter::repeat(&0)));
    let mixed: Vec<u8> = mixed.map(|(one, other)| one ^ other).collect();
    for bytes in [data.to_vec(), mixed, sealed(data)] {
        let is_genuine = bytes == *genuine;
        let mut device = device.clone();
        device.ring.letters.insert(world.relay.epoch(), Blob(bytes));
        let outcome = device.group.commit(entry, &device.ring);
        let CommitOutcome::Valid { effect, .. } = outcome else { unreachable!("it counts") };
        assert_eq!(matches!(effect, Effect::Added { .. }), is_genuine, "{effect:?}");
        assert_eq!(device.is_current(), is_genuine);
    }
}

/// A token opens under its key and no other, to what was sealed.
pub fn token(data: &[u8]) {
    let key = || MessageKey::new(Secret::extract(b"", b"fuzz"));
    assert!(key().open(data).is_err(), "nobody has sealed it");
    let sealed = key().seal(data);
    assert_eq!(key().open(&sealed).unwrap(), data);
    assert!(MessageKey::new(Secret::extract(b"", b"other")).open(&sealed).is_err());
}

/// Bytes that the bodies take.
pub(crate) fn samples(target: &str) -> Vec<Vec<u8>> {
    let of = match target {
        "invitation_letter" => admitted(),
        "welcome_letter" => added(),
        _ => return Vec::new(),
    };
    vec![of.device.ring.letters[&of.world.relay.epoch()].0.clone(), vec![0; 400]]
}

/// A commit that concerns Carol, and Carol before it.
struct Occurred {
    device: Device,
    policy: Policy,
    entry: CommitEntry,
    /// After it.
    world: World,
}

fn admitted() -> &'static Occurred {
    static ADMITTED: OnceLock<Occurred> = OnceLock::new();
    ADMITTED.get_or_init(|| {
        Occurred::new(|carol| Proposal { admits: vec![carol.as_invited()], ..Proposal::default() })
    })
}

fn added() -> &'static Occurred {
    static ADDED: OnceLock<Occurred> = OnceLock::new();
    ADDED.get_or_init(|| {
        let add = |carol: &mut Device| vec![carol.as_new_member(false)];
        Occurred::new(|carol| Proposal { adds: add(carol), ..Proposal::default() })
    })
}

impl Occurred {
    fn new(proposal: impl FnOnce(&mut Device) -> Proposal) -> Self {
        let mut world = World::base(true);
        let proposal = proposal(&mut world.devices[CAROL]);
        let mut device = world.devices[CAROL].clone();
        let (author, group, rng) = world.devices[ALICE].parts();
        let pending = group.propose(&author, Some(&naming()), proposal, rng).unwrap();
        let (bytes, letters) = (pending.entry.clone(), pending.letters.clone());
        world.publish(&bytes.0, &letters);
        device.ring.letters.clone_from(&world.devices[CAROL].ring.letters);
        let Ok(LogEntry::Commit(entry)) = LogEntry::decode(&bytes.0) else {
            unreachable!("it was one when it was made")
        };
        let policy = world.relay.policy().unwrap().clone();
        Self { device, policy, entry, world }
    }
}

/// What stands before the token of an invitation made with a prekey that Carol has.
fn prefix(data: &[u8]) -> Vec<u8> {
    let (prekey_hash, ephemeral) = (prekey_hash(), ephemeral(data));
    [&prekey_hash.0, ephemeral.public().as_bytes().as_slice()].concat()
}

fn prekey_hash() -> Digest {
    *admitted().device.ring.prekeys.keys().next().unwrap()
}

fn ephemeral(data: &[u8]) -> KeyPair {
    KeyPair::derive(&Secret::extract(b"ephemeral", data))
}

/// The token of an invitation that says just this, signed by Alice.
fn sealed(data: &[u8]) -> Vec<u8> {
    let Occurred { device, world, .. } = admitted();
    let alice = &world.devices[ALICE];
    let (prekey_hash, ephemeral) = (prekey_hash(), ephemeral(data));
    let parts: [&[u8]; 6] = [
        &world.relay.group().0,
        &world.relay.epoch().0.to_be_bytes(),
        &alice.fingerprint().0,
        &device.fingerprint().0,
        &prekey_hash.0,
        ephemeral.public().as_bytes(),
    ];
    let context = hash(Label::Admission, &parts);
    let shared = ephemeral.agree(device.ring.prekeys[&prekey_hash].public());
    let key = Secret::extract(&context.0, shared.expose()).expand(Label::GroupInvitation, b"");
    let signature = alice.key.sign(Label::InvitationLetter, data);
    MessageKey::new(key).seal(&[data, signature.as_bytes()].concat())
}
