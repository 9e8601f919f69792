//! Hashes and bytes as a script wrote them down from `docs/protocol.md` §3, §4.1, §4.8 and §6.1,
//! with the points 1·G to 8·G of P-256 as keys.

use openchat_crypto::{IdentityKey, Label, PublicKey, Signature, Tag, sha256};
use openchat_roster::{
    Commit, CommitEntry, Entrant, HeadRef, MessageHeader, NodeIndex, Operation, Policy, Roster,
    Seen, Wrap, group_id, log_hash_next, log_hash_start,
};
use openchat_wire::{Digest, Epoch, Generation, GroupId, MessageId, Seq, Slot, encode};

use crate::scribe::Draw;

/// x and y of 1·G to 8·G.
const POINTS: [&str; 8] = [
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
     4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978\
     07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1",
    "5ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c\
     8734640c4998ff7e374b06ce1a64a2ecd82ab036384fb83d9a79b127a27d5032",
    "e2534a3532d08fbba02dde659ee62bd0031fe2db785596ef509302446b030852\
     e0f1575a4c633cc719dfee5fda862d764efc96c3f30ee0055c42c23f184ed8c6",
    "51590b7a515140d2d784c85608668fdfef8c82fd1f5be52421554a0dc3d033ed\
     e0c17da8904a727d8ae1bf36bf8a79260d012f00d4d80888d1d0bb44fda16da4",
    "b01a172a76a4602c92d3242cb897dde3024c740debb215b4c6b0aae93c2291a9\
     e85c10743237dad56fec0e2dfba703791c00f7701c7e16bdfd7c48538fc77fe2",
    "8e533b6fa0bf7b4625bb30667c01fb607ef9f8b8a80fef5b300628703187b2a3\
     73eb1dbde03318366d069f83a6f5900053c73633cb041b21c55e1a86c1f400b4",
    "62d9779dbee9b0534042742d3ab54cadc1d238980fce97dbb4dd9dc1db6fb393\
     ad5accbd91e9d8244ff15d771167cee0a2ed51f6bbe76a78da540a6a0f09957e",
];

const GROUP: &str = "3d41bf5ff185e45328d95dc309ac4d9f05b975870d91298f0231a79261934513";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn digest(text: &str) -> Digest {
    Digest(hex(text).try_into().unwrap())
}

/// k·G.
fn point(k: usize) -> PublicKey {
    PublicKey::from_bytes(&[vec![4], hex(POINTS[k - 1])].concat()).unwrap()
}

fn policy() -> Policy {
    Policy::open("general".parse().unwrap())
}

/// Replaying asks for no signature, so any one will do.
fn any_signature() -> Signature {
    IdentityKey::generate(&mut Draw(0)).sign(Label::Commit, b"")
}

/// Alice, 1·G, creates the group with leaf 3·G; bob, 2·G, joins with leaf 4·G and node 5·G.
fn commits() -> [Commit; 2] {
    let (alice, bob) = (point(1), point(2));
    let nonce = Digest([2; 32]);
    let create = Commit {
        author: alice.fingerprint(),
        group: group_id(&alice.fingerprint(), &nonce, &policy()),
        epoch: Epoch(0),
        interim: Digest([0; 32]),
        seen: Seen { seq: Seq(0), log_hash: Digest([0; 32]) },
        operations: vec![Operation::Create {
            nonce,
            policy: policy(),
            entrant: Entrant { name: "alice".parse().unwrap(), key: alice },
        }],
        ephemeral: None,
        leaves: vec![(Slot(0), point(3))],
        nodes: Vec::new(),
        tree_hash: digest("7a14449b592b375c1b3b9779ca7b4fb49adcf61d3c6c1bae54ed14c607521207"),
        external: point(6),
        head: HeadRef { size: 300, root: Digest([9; 32]) },
    };
    let join = Commit {
        author: bob.fingerprint(),
        epoch: Epoch(1),
        interim: digest("5a66b1b8bddcce65bc3f5b7b3472d198783e07bcf3709b60f48a5a490650a1ee"),
        operations: vec![Operation::Join {
            entrant: Entrant { name: "bob".parse().unwrap(), key: bob },
            wrap: Wrap { epoch: Epoch(1), wrapped: Digest([11; 32]) },
            ephemeral: point(8),
            replaces: None,
        }],
        ephemeral: None,
        leaves: vec![(Slot(1), point(4))],
        nodes: vec![(NodeIndex { level: 1, index: 0 }, point(5))],
        tree_hash: digest("dc951dda652cbf6e4d149019f464d9a97d95378426ad7cd485eed679d012f80d"),
        external: point(7),
        ..create.clone()
    };
    [create, join]
}

#[test]
fn a_creation_and_a_join() {
    let mut roster = Roster::new(GroupId(digest(GROUP).0));
    let bytes = [
        (446, "3955afa73371b2e225dd842301475313bc3e0786d073b84d810b655c3bd99bcd"),
        (567, "d79d1c49436c7e897a3f3475c2ad04d952dcbeaf8c365f439f65c0e0a073d088"),
    ];
    let after = [
        (
            "74418ad3d6bedb603c4f2ada9446a81771f14f4fd6563855b2f7676070afa7fe",
            "5a66b1b8bddcce65bc3f5b7b3472d198783e07bcf3709b60f48a5a490650a1ee",
        ),
        (
            "4547de13f50cb65f0fdffdcba7824650988500be027310d4bb1c54478b2e9ad2",
            "08e8e93690adb646973bd6037160f04cf67be93d02c75391bfd7c482643c9b1a",
        ),
    ];
    let tags = [Tag([10; 32]), Tag([12; 32])];
    for (step, commit) in commits().into_iter().enumerate() {
        let body = commit.to_bytes();
        assert_eq!((body.0.len(), sha256(&body.0)), (bytes[step].0, digest(bytes[step].1)));
        let entry = CommitEntry { commit: body, tag: tags[step], signature: any_signature() };
        assert_eq!(entry.view().unwrap(), commit);
        let transition = roster.replay(&entry).unwrap();
        assert_eq!(*transition.confirmed(), digest(after[step].0));
        assert_eq!(*transition.interim(), digest(after[step].1));
        roster.apply(transition);
        assert_eq!(*roster.confirmed(), digest(after[step].0));
    }
}

#[test]
fn a_groups_id_and_its_log_hashes() {
    let group = group_id(&point(1).fingerprint(), &Digest([2; 32]), &policy());
    assert_eq!(group.0, digest(GROUP).0);
    let start = log_hash_start(&group);
    let known = "e3bac7c190324799f2ac8caaf311730ea80c4b2fa161f8610ca7019e3f77eec2";
    assert_eq!(start, digest(known));
    let known = "fa0d5f10a7653d3af1158c41b8eb11aaf53c416b61a34b208c47e8df33cdf977";
    assert_eq!(log_hash_next(&start, Seq(258), &[1, 2, 3]), digest(known));
}

#[test]
fn a_messages_header() {
    let confirmed = digest("4547de13f50cb65f0fdffdcba7824650988500be027310d4bb1c54478b2e9ad2");
    let header = MessageHeader {
        epoch: Epoch(300),
        confirmed: MessageHeader::prefix(&confirmed),
        slot: Slot(1),
        generation: Generation(1_000),
        id: MessageId([13; 16]),
    };
    let bytes = "ac024547de13f50cb65f0fdffdcba782465001e8070d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d";
    assert_eq!(encode(&header), hex(bytes));
    let known = "8e980e0c1a18029c5a037c68bfa807ae17d7d7ed56b7c8dfefb05dbebf078481";
    assert_eq!(header.hash(&GroupId(digest(GROUP).0)), digest(known));
}
