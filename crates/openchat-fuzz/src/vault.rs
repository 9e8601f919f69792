//! What a device finds in its own vault, should the disk have changed it.

use std::sync::OnceLock;

use openchat_group::{ContentKind, Group, StateKey};
use openchat_roster::{CommitEntry, LogEntry};
use openchat_wire::Blob;

use crate::{
    device::Device,
    input::Input,
    world::{BOB, MALLORY, World},
};

/// One record is another, or has another key: the group can't be restored, or it can be used
/// without a panic.
pub fn group_records(data: &[u8]) {
    let mut input = Input::new(data);
    let Vault { commits, records, device, next } = vault();
    let mut records = records.clone();
    let at = input.below(records.len());
    if input.flag() {
        change(&mut records[at].1.0, &mut input);
    } else if let Some(key) = StateKey::from_bytes(input.bytes()) {
        records[at].0 = key;
    }
    let (group, me) = (*device.group.roster().group(), device.fingerprint());
    let Ok(group) = Group::restore(group, me, commits, device.group.seen(), records) else {
        return;
    };
    let mut device = Device { group, ..device.clone() };
    device.seal(ContentKind::TEXT, b"hello");
    for entry in next {
        device.judge(entry);
    }
    let (author, group, rng) = device.parts();
    let _may_fail = group.update(&author, rng).map(|pending| pending.letters.len());
    let _may_fail = group.rejoin(&author, Vec::new(), rng).map(|pending| pending.letters.len());
    drop(group.take_changes());
}

/// Some bytes are other ones.
fn change(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let from = usize::from(u16::from_be_bytes(input.array())).min(bytes.len());
    let to = from.saturating_add(input.below(64)).min(bytes.len());
    bytes.splice(from..to, input.bytes().iter().copied());
}

/// Bob's, and what comes next in the log.
struct Vault {
    commits: Vec<CommitEntry>,
    records: Vec<(StateKey, Blob)>,
    device: Device,
    next: Vec<LogEntry>,
}

fn vault() -> &'static Vault {
    static VAULT: OnceLock<Vault> = OnceLock::new();
    VAULT.get_or_init(|| {
        let mut world = World::base(false);
        let device = world.devices[BOB].clone();
        let records = device.stored.iter().map(|(key, value)| (*key, value.clone())).collect();
        let message = world.devices[MALLORY].seal(ContentKind::TEXT, b"hello").unwrap();
        let (author, group, rng) = world.devices[MALLORY].parts();
        let update = group.update(&author, rng).unwrap().entry.clone();
        let update = LogEntry::decode(&update.0).unwrap();
        Vault { commits: world.commits.clone(), records, device, next: vec![message, update] }
    })
}
