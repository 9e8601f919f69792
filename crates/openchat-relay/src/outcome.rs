//! Who asks, and what comes of a request.

use crate::{store::StoreError, transparency::HeadFault};
use openchat_pki::MemberCertificate;
use openchat_roster::{CommitFault, MessageFault, NoticeFault};
use openchat_wire::{
    DecodeError, Fingerprint, GroupId, Name, Seq,
    relay::{Answer, Refusal, SignedReceipt},
};
use std::sync::Arc;

/// Who a mutual TLS session has proved to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certified name.
    pub name: Name,
    /// The identity key.
    pub fingerprint: Fingerprint,
}

impl From<&MemberCertificate> for Identity {
    fn from(certificate: &MemberCertificate) -> Self {
        Self { name: certificate.name().clone(), fingerprint: certificate.fingerprint() }
    }
}

/// What comes of a request: to be told after the flush that follows it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// For the one who asked.
    pub answer: Result<Answer, Refusal>,
    /// For every session that tails the log, that of the one who asked too.
    pub publish: Option<Publish>,
    /// The session tails a log from here on; set exactly when a tail was granted.
    pub tail: Option<Tailing>,
}

/// What goes to every session that tails a log.
#[derive(Debug, Clone)]
pub enum Publish {
    /// A new entry.
    Entry {
        /// The log.
        log: GroupId,
        /// Its place.
        seq: Seq,
        /// Its bytes.
        entry: Arc<[u8]>,
    },
    /// A member's heartbeat.
    Heartbeat {
        /// The log.
        log: GroupId,
        /// As the member sent it.
        beat: Arc<[u8]>,
        /// The relay's own claim at this moment.
        receipt: SignedReceipt,
    },
}

/// A tail that was granted. Entries behind `after` up to `end` are to be read from the store, once
/// it is flushed; those behind `end` will be published, in the order of the outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tailing {
    /// The log.
    pub log: GroupId,
    /// The last place that the session has.
    pub after: Seq,
    /// The log's tail when the request was handled.
    pub end: Seq,
}

impl Outcome {
    pub(crate) const fn answer(answer: Answer) -> Self {
        Self { answer: Ok(answer), publish: None, tail: None }
    }

    pub(crate) const fn refused(refusal: Refusal) -> Self {
        Self { answer: Err(refusal), publish: None, tail: None }
    }
}

/// Why a request goes no further.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It may not. Nothing was staged for it.
    Refused(Refusal),
    /// The store failed: the batch is lost.
    Failed(StoreError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLong { .. } => Refusal::TooLarge.into(),
            error => Self::invalid(&error),
        }
    }
}

impl From<CommitFault> for Stop {
    fn from(fault: CommitFault) -> Self {
        Self::invalid(&fault)
    }
}

impl From<MessageFault> for Stop {
    fn from(fault: MessageFault) -> Self {
        match fault {
            MessageFault::Stale => Refusal::Stale.into(),
            fault => Self::invalid(&fault),
        }
    }
}

impl From<NoticeFault> for Stop {
    fn from(fault: NoticeFault) -> Self {
        Self::invalid(&fault)
    }
}

impl From<HeadFault> for Stop {
    fn from(fault: HeadFault) -> Self {
        Self::invalid(&fault)
    }
}

impl Stop {
    /// The refusal that names the check which failed.
    fn invalid(check: &impl ToString) -> Self {
        Refusal::Invalid(check.to_string()).into()
    }
}
