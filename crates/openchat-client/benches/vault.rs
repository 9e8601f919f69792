//! What the vault costs with 100,000 messages and a transparency log of 100,000 entries: a row a line,
//! `scripts/bench vault`. Files lie in the folder that `TMPDIR` names: a disk, if disks are to count.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails by a panic and prints")]
#![allow(clippy::arithmetic_side_effects, reason = "a bench may fail by a panic")]

use openchat_client::{
    Keeping, Passphrase, Range, Search, Survive, Unlock, Vault,
    engine::{Change, Key, StoredMessage, Trust},
};
use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use std::{path::Path, time::Instant};

const MESSAGES: u64 = 100_000;
const CATCH_UP: u64 = 10_000;
/// Messages that a session stores in one transaction when it catches up.
const TURN: u64 = 256;
const GROUP: GroupId = GroupId([9; 32]);

fn main() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("vault");
    let mut vault = Vault::open(&directory).unwrap();
    let words = vocabulary();
    store(&mut vault, 1, MESSAGES - CATCH_UP, &words);
    timed("store a catch-up, in turns that survive a power cut", CATCH_UP, || {
        store(&mut vault, MESSAGES - CATCH_UP + 1, MESSAGES, &words);
    });
    log_records(&mut vault);
    one_by_one(&mut vault);
    drop(vault);
    let size = std::fs::metadata(directory.join("vault.db")).unwrap().len();
    println!(
        "{{\"work\":\"size of the file\",\"n\":{MESSAGES},\"unit\":\"MB\",\"ours\":{}}}",
        size / 1_000_000
    );
    opened(&directory);
    found(&directory, &words);
    changed(&directory);
}

fn opened(directory: &Path) {
    let vault = timed("open", 1, || Vault::open(directory).unwrap());
    let records =
        timed("load 1,600 records of 4 KiB and one of 5 MB", 1601, || vault.records().unwrap());
    assert_eq!(records.len(), 1602);
    let newest = |vault: &Vault| vault.newest(&GROUP, &Range::ALL, 500).unwrap().len();
    timed("open a conversation: its newest 500, first time", 500, || newest(&vault));
    timed("open a conversation: its newest 500, again", 500, || newest(&vault));
    timed("count what waits, all unread", MESSAGES, || vault.waiting().unwrap());
    let back = Range { before: Some(Seq(MESSAGES / 2)), ..Range::ALL };
    timed("scroll to the middle", 500, || vault.newest(&GROUP, &back, 500).unwrap());
}

fn found(directory: &Path, words: &[String]) {
    let wanted = [
        ("rare", words[3500].clone()),
        ("common", words[0].clone()),
        ("two", format!("{} {}", words[3], words[9])),
        ("absent", "nowhereatall".to_owned()),
        ("a single letter", "e".to_owned()),
    ];
    for (what, text) in wanted {
        let vault = Vault::open(directory).unwrap();
        let words = text.split(' ').map(str::to_owned).collect();
        let search = Search { words, group: None, sender: None, limit: 50 };
        for time in ["first time", "again"] {
            timed(&format!("search, {what}, {time}"), MESSAGES, || vault.search(&search).unwrap());
        }
    }
}

fn changed(directory: &Path) {
    let vault = Vault::open(directory).unwrap();
    let passphrase = Passphrase::new("correct horse".to_owned());
    let keeping = Keeping::Passphrase(passphrase.clone());
    drop(timed("seal anew under a passphrase", MESSAGES, || vault.keep(&keeping).unwrap()));
    let unlock = Unlock::new(|_| Ok(passphrase.clone()));
    let mut vault =
        timed("open with a passphrase", 1, || Vault::open_with(directory, &unlock).unwrap());
    let later = UnixMillis(u64::MAX);
    let second = std::time::Duration::from_secs(1);
    let gone = timed("delete all by retention", MESSAGES, || {
        vault.set_retention(Some(&GROUP), Some(second), later).unwrap()
    });
    assert_eq!(u64::try_from(gone).unwrap(), MESSAGES);
}

/// A message at a time, as they come while one talks.
fn one_by_one(vault: &mut Vault) {
    let changes = [put(14, vec![0], vec![7; 300])];
    timed("store one change that survives a power cut, of 100", 100, || {
        for _ in 0..100 {
            vault.apply(&changes, Survive::PowerCut).unwrap();
        }
    });
}

fn log_records(vault: &mut Vault) {
    let chunk = |number: u32| put(30, number.to_be_bytes().to_vec(), vec![7; 4096]);
    let mut changes: Vec<_> = (0..1600).map(chunk).collect();
    changes.push(put(31, Vec::new(), vec![7; 5 << 20]));
    vault.apply(&changes, Survive::PowerCut).unwrap();
}

fn put(kind: u8, sub: Vec<u8>, value: Vec<u8>) -> Change {
    Change::Put { key: Key { kind, group: None, sub }, value: Blob(value) }
}

fn store(vault: &mut Vault, first: u64, last: u64, words: &[String]) {
    let seqs: Vec<u64> = (first..=last).collect();
    for turn in seqs.chunks(usize::try_from(TURN).unwrap()) {
        let changes: Vec<_> =
            turn.iter().map(|seq| Change::Message(message(*seq, words))).collect();
        vault.apply(&changes, Survive::PowerCut).unwrap();
    }
}

fn message(seq: u64, words: &[String]) -> StoredMessage {
    let mut random = Random(seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let count = 4 + random.below(24);
    let text: Vec<&str> = (0..count).map(|_| words[random.skewed(4000)].as_str()).collect();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next().to_be_bytes());
    StoredMessage {
        group: GROUP,
        target: "#general".to_owned(),
        seq: Seq(seq),
        id: MessageId(id),
        sender: "bob".parse().unwrap(),
        fingerprint: Fingerprint([3; 32]),
        trust: Trust::Certified,
        time: UnixMillis(seq * 1000),
        body: openchat_engine::Body::Text(text.join(" ")),
        own: false,
    }
}

fn vocabulary() -> Vec<String> {
    let mut random = Random(88_172_645_463_325_252);
    let mut word = || {
        let count = 2 + random.below(9);
        let letter = |_| char::from(b"etaoinshrdlucmfwypvbgkjqxz"[random.skewed(26)]);
        (0..count).map(letter).collect::<String>()
    };
    (0..4000).map(|_| word()).collect()
}

/// Xorshift: the same texts in every run.
#[derive(Clone, Copy)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Small numbers are far more frequent than others.
    fn skewed(&mut self, limit: usize) -> usize {
        let most = 1 + self.below(limit);
        self.below(most)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next() >> 16) % u64::try_from(limit).unwrap()).unwrap()
    }
}

fn timed<T>(work: &str, n: u64, act: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = act();
    let ours = begun.elapsed().as_micros();
    println!("{{\"work\":\"{work}\",\"n\":{n},\"unit\":\"us\",\"ours\":{ours}}}");
    done
}
