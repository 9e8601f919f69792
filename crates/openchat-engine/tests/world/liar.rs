//! What a relay may do with the truth before it leaves.

use crate::world::Who;
use openchat_crypto::IdentityKey;
use openchat_pki::{sign_receipt, verify_receipt};
use openchat_roster::{LogEntry, log_hash_next, log_hash_over};
use openchat_wire::{
    Blob, Digest, Epoch, GroupId, Seq,
    relay::{Answer, Receipt, Refusal, Request, SignedReceipt, ToClient},
};
use std::collections::BTreeMap;

/// What is said to a request.
pub(crate) type Said = Result<Answer, Refusal>;

/// A relay's honesty: each step that a lie can be told at. The defaults tell none.
pub(crate) trait Lies {
    /// An answer without asking the relay.
    fn instead(&mut self, _from: Who, _request: &Request) -> Option<Said> {
        None
    }

    /// Whether nothing is said to a request.
    fn is_silent(&mut self, _from: Who, _request: &Request) -> bool {
        false
    }

    /// What is told in place of the relay's answer.
    fn answer(&mut self, _to: Who, _request: &Request, answer: Said) -> Said {
        answer
    }

    /// What is pushed in place of a frame.
    fn push(&mut self, _to: Who, frame: ToClient) -> Vec<ToClient> {
        vec![frame]
    }
}

/// Tells the truth.
pub(crate) struct Honest;

impl Lies for Honest {}

/// Answers some requests by itself.
pub(crate) struct Instead<F>(pub(crate) F);

impl<F: FnMut(Who, &Request) -> Option<Said>> Lies for Instead<F> {
    fn instead(&mut self, from: Who, request: &Request) -> Option<Said> {
        (self.0)(from, request)
    }
}

/// Does as it is asked and tells something else.
pub(crate) struct Answers<F>(pub(crate) F);

impl<F: FnMut(Who, &Request, Said) -> Said> Lies for Answers<F> {
    fn answer(&mut self, to: Who, request: &Request, answer: Said) -> Said {
        (self.0)(to, request, answer)
    }
}

/// Pushes something else.
pub(crate) struct Pushes<F>(pub(crate) F);

impl<F: FnMut(Who, ToClient) -> Vec<ToClient>> Lies for Pushes<F> {
    fn push(&mut self, to: Who, frame: ToClient) -> Vec<ToClient> {
        (self.0)(to, frame)
    }
}

/// What becomes of an entry before it is shown: any number of entries, at places that grow.
pub(crate) type Edit = Box<dyn FnMut(Who, Seq, Vec<u8>) -> Vec<(Seq, Vec<u8>)>>;

/// The strongest lie: each victim is shown a history of its own, under receipts that fit it and
/// that the relay's key has signed. Only what other members say can contradict it.
pub(crate) struct Fork {
    log: GroupId,
    key: IdentityKey,
    /// What each victim was shown last.
    tails: BTreeMap<Who, (Seq, Digest)>,
    /// The epoch that each victim is told of from its first false commit on.
    epochs: BTreeMap<Who, (Epoch, Digest)>,
    /// The epoch when the lie began.
    first: (Epoch, Digest),
    edit: Edit,
    /// What hash it tells of an entry whose body it does not show.
    pub(crate) dropped: fn(Digest) -> Digest,
}

impl Fork {
    /// Lies to these from here on: `tail` is the log's end as everybody has seen it.
    pub(crate) fn new(tail: &Receipt, key: IdentityKey, victims: &[Who], edit: Edit) -> Self {
        let tails = victims.iter().map(|who| (*who, (tail.seq, tail.log_hash))).collect();
        Self {
            log: tail.group,
            key,
            tails,
            epochs: BTreeMap::new(),
            first: (tail.epoch, tail.interim),
            edit,
            dropped: |hash| hash,
        }
    }

    fn show(&mut self, to: Who, seq: Seq, entry: &[u8]) -> Vec<ToClient> {
        let mut frames = Vec::new();
        let is_commit = matches!(LogEntry::decode(entry), Ok(LogEntry::Commit(_)));
        let shown = (self.edit)(to, seq, entry.to_vec());
        if is_commit && !shown.iter().any(|(_, shown)| *shown == entry) {
            self.epochs.entry(to).or_insert(self.first);
        }
        for (seq, entry) in shown {
            let tail = self.tails.get_mut(&to).unwrap();
            *tail = (seq, log_hash_next(&tail.1, seq, &entry));
            frames.push(ToClient::Entry { log: self.log, seq, entry: Blob(entry) });
        }
        frames
    }

    fn receipt(&self, to: Who, honest: SignedReceipt) -> SignedReceipt {
        let Some((seq, log_hash)) = self.tails.get(&to) else { return honest };
        let receipt = verify_receipt(&honest, self.key.public()).unwrap();
        let honest = (receipt.epoch, receipt.interim);
        let (epoch, interim) = self.epochs.get(&to).copied().unwrap_or(honest);
        let (seq, log_hash) = (*seq, *log_hash);
        sign_receipt(&Receipt { seq, log_hash, epoch, interim, ..receipt }, &self.key)
    }
}

impl Lies for Fork {
    fn answer(&mut self, to: Who, request: &Request, answer: Said) -> Said {
        match (request, answer) {
            (Request::Receipt { at: None, .. }, Ok(Answer::Receipt(honest))) => {
                Ok(Answer::Receipt(self.receipt(to, honest)))
            }
            (_, answer) => answer,
        }
    }

    fn push(&mut self, to: Who, frame: ToClient) -> Vec<ToClient> {
        if !self.tails.contains_key(&to) {
            return vec![frame];
        }
        match frame {
            ToClient::Entry { seq, entry, .. } => self.show(to, seq, &entry.0),
            ToClient::Dropped { log, seq, hash } => {
                let hash = (self.dropped)(hash);
                let tail = self.tails.get_mut(&to).unwrap();
                *tail = (seq, log_hash_over(&tail.1, seq, &hash));
                vec![ToClient::Dropped { log, seq, hash }]
            }
            ToClient::Heartbeat { log, beat, receipt } => {
                vec![ToClient::Heartbeat { log, beat, receipt: self.receipt(to, receipt) }]
            }
            frame => vec![frame],
        }
    }
}
