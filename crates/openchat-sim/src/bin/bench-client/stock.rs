//! A past for a conversation: put into the vault while nobody uses it, as if it had been read.

use openchat_client::{
    Survive, Vault,
    engine::{Body, Change, StoredMessage, Trust},
};
use openchat_sim::{Person, Server, entries};
use openchat_wire::{Fingerprint, GroupId, MessageId, Seq, UnixMillis};

/// Stands in one of a thousand messages.
pub(crate) const RARE: &str = "albatross";

/// What only the newest message says.
pub(crate) const NEWEST: &str = "lastofall";

/// In one transaction.
const TURN: usize = 1_000;

/// Where the made-up past begins: behind what was really said.
const FIRST: u64 = 1_000;

/// Words of every message.
const WORDS: [&str; 16] = [
    "deploy", "at", "noon", "the", "build", "is", "green", "again", "who", "has", "looked", "into",
    "that", "lunch", "tomorrow", "thanks",
];

/// Gives a person so many messages of `#general`, the first group that there was.
pub(crate) fn fill(server: &Server, person: &Person, messages: u32) {
    let entries = entries(&server.data());
    let first = entries.iter().find(|entry| entry.kind() == "commit").expect("a group");
    let group = GroupId(first.log.as_slice().try_into().expect("32 bytes"));
    let mut vault = Vault::open(&person.profile()).expect("the vault");
    let all: Vec<Change> = (1..=messages)
        .map(|number| Change::Message(message(group, number, number == messages)))
        .collect();
    for turn in all.chunks(TURN) {
        vault.apply(turn, Survive::PowerCut).expect("there is room");
    }
}

fn message(group: GroupId, number: u32, newest: bool) -> StoredMessage {
    let mut random = random(number);
    let words: Vec<&str> =
        random.by_ref().take(12).map(|it| WORDS[usize::from(it.to_be_bytes()[0] % 16)]).collect();
    let mut text = words.join(" ");
    for (word, is_there) in [(RARE, number.is_multiple_of(1_000)), (NEWEST, newest)] {
        if is_there {
            text = format!("{word} {text}");
        }
    }
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    StoredMessage {
        group,
        target: "#general".to_owned(),
        seq: Seq(FIRST + u64::from(number)),
        id: MessageId(id),
        sender: "bob".parse().expect("a name"),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Certified,
        time: UnixMillis(1_700_000_000_000 + u64::from(number) * 60_000),
        body: Body::Text(text),
        own: false,
    }
}

/// Numbers that are the same in every run (Knuth's MMIX generator; its high bits are the good ones).
pub(crate) fn random(seed: u32) -> impl Iterator<Item = u64> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    core::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    })
}
