//! Two signed statements of one server that can't both be true, in a file that a third person can
//! check with nothing but the pin (`docs/protocol.md` §9, T9).
//!
//! A log that only went back is no evidence: a server that was set up again from a backup signs heads
//! that its old ones contain. What it logs from there on differs, and that is.

use crate::{
    origin::{FileError, Origin, OriginError, from_file, to_file},
    signed::SignedError,
    statement::{ServerKeys, verify_receipt},
    transparency::{Head, HeadError, UnverifiedHead},
    tree::Consistency,
};
use openchat_wire::{
    Blob, Digest,
    relay::{Receipt, SignedReceipt},
};
use serde::{Deserialize, Serialize};

/// Evidence that a server showed two histories, not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    origin: Origin,
    contradiction: Contradiction,
}

/// Statements that can't both be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contradiction {
    /// Two signed heads of one size.
    Heads {
        /// One.
        one: Blob,
        /// The other.
        other: Blob,
    },
    /// Two signed heads of different sizes, of which the larger does not begin with the smaller.
    Parted {
        /// The head of the smaller size.
        smaller: Blob,
        /// The head of the larger.
        larger: Blob,
        /// The root that the larger log had at the smaller size.
        root: Digest,
        /// The proof of that.
        consistency: Consistency,
    },
    /// Two receipts of the relay about one group's log.
    Receipts {
        /// One.
        one: SignedReceipt,
        /// The other.
        other: SignedReceipt,
    },
}

/// What evidence proves, when its server's keys and the pin are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The pin of the CA whose server this is.
    pub pin: Digest,
    /// What it did.
    pub what: Deceit,
}

/// How a server lied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deceit {
    /// It signed two transparency logs.
    TwoLogs {
        /// The head of the smaller size, or of the same.
        one: Head,
        /// The other.
        other: Head,
    },
    /// It signed two histories of a group.
    TwoHistories {
        /// One receipt.
        one: Receipt,
        /// The other.
        other: Receipt,
    },
}

/// The first line of a file of evidence.
const MAGIC: &str = "openchat evidence 1\n";

/// Bytes of a file of evidence: certificates of 16 KiB, two statements, a path of forty hashes.
const MAX_EVIDENCE: usize = 32 * 1024;

impl Evidence {
    /// Evidence against the server of this origin.
    #[must_use]
    pub const fn new(origin: Origin, contradiction: Contradiction) -> Self {
        Self { origin, contradiction }
    }

    /// The file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        to_file(MAGIC, self)
    }

    /// Reads a file; nothing is verified.
    ///
    /// # Errors
    /// [`EvidenceError::File`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        Ok(from_file(MAGIC, bytes, MAX_EVIDENCE)?)
    }

    /// What this proves of the server whose CA has the pin. Without one the verdict's pin is the
    /// reader's to compare: anybody can make a server that lies.
    ///
    /// # Errors
    /// [`EvidenceError`] if it proves nothing.
    pub fn verify(&self, pin: Option<&Digest>) -> Result<Verdict, EvidenceError> {
        let server = self.origin.verify(pin)?;
        let what = match &self.contradiction {
            Contradiction::Heads { one, other } => heads(&server.keys, one, other)?,
            Contradiction::Parted { smaller, larger, root, consistency } => {
                parted(&server.keys, [smaller, larger], root, consistency)?
            }
            Contradiction::Receipts { one, other } => receipts(&server.keys, one, other)?,
        };
        Ok(Verdict { pin: server.pin, what })
    }
}

fn heads(keys: &ServerKeys, one: &Blob, other: &Blob) -> Result<Deceit, EvidenceError> {
    let (one, other) = (head(keys, one)?, head(keys, other)?);
    if one.size == other.size && one.root != other.root {
        Ok(Deceit::TwoLogs { one, other })
    } else {
        Err(EvidenceError::NoContradiction)
    }
}

fn parted(
    keys: &ServerKeys,
    [smaller, larger]: [&Blob; 2],
    root: &Digest,
    consistency: &Consistency,
) -> Result<Deceit, EvidenceError> {
    let (one, other) = (head(keys, smaller)?, head(keys, larger)?);
    let differs = one.size < other.size && *root != one.root;
    if !differs {
        return Err(EvidenceError::NoContradiction);
    }
    if !consistency.verify((one.size, root), (other.size, &other.root)) {
        return Err(EvidenceError::Consistency);
    }
    Ok(Deceit::TwoLogs { one, other })
}

fn head(keys: &ServerKeys, signed: &Blob) -> Result<Head, EvidenceError> {
    Ok(UnverifiedHead::decode(signed.as_ref())?.verify(&keys.log_key, &keys.log_id)?)
}

fn receipts(
    keys: &ServerKeys,
    one: &SignedReceipt,
    other: &SignedReceipt,
) -> Result<Deceit, EvidenceError> {
    let one = verify_receipt(one, &keys.relay_key)?;
    let other = verify_receipt(other, &keys.relay_key)?;
    if contradict(&one, &other) {
        Ok(Deceit::TwoHistories { one, other })
    } else {
        Err(EvidenceError::NoContradiction)
    }
}

/// Whether no one history of a group has both: what a place says is fixed, an epoch has one interim
/// hash, and epochs never go back along the log.
fn contradict(one: &Receipt, other: &Receipt) -> bool {
    let said = |receipt: &Receipt| (receipt.log_hash, receipt.epoch, receipt.interim);
    let goes_back =
        |early: &Receipt, late: &Receipt| early.seq < late.seq && early.epoch > late.epoch;
    one.group == other.group
        && (one.seq == other.seq && said(one) != said(other)
            || one.epoch == other.epoch && one.interim != other.interim
            || goes_back(one, other)
            || goes_back(other, one))
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not a file of evidence.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not of a server of this CA.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// A head is not the log's.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A receipt is not the relay's.
    #[error("a receipt: {0}")]
    Receipt(#[from] SignedError),
    /// The larger log is not shown to have had that root.
    #[error("T9: the proof does not lead from the larger log to the smaller")]
    Consistency,
    /// Both statements can be true.
    #[error("T9: the two statements do not contradict each other")]
    NoContradiction,
}
