//! Who asks, and what comes of a request.

use crate::{fault::RuleFault, store::StoreError, transparency::HeadFault};
use openchat_pki::MemberCertificate;
use openchat_roster::{CommitFault, MessageFault, NoticeFault, PrekeyFault, inbox};
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
    /// For every session that tails the log it is of, that of the one who asked too; in this order.
    pub publish: Vec<Publish>,
    /// Tails that end with what is published.
    pub ends: Vec<TailEnd>,
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
    /// Who reads.
    pub reader: Fingerprint,
    /// The last entry that is for this reader, who has no seat any more; `None` while it has.
    pub last: Option<Seq>,
}

impl Tailing {
    /// Whether it is the reader's own inbox, which nobody shares.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.log == inbox(&self.reader)
    }
}

/// Somebody has lost its seat: its tails of the log have this entry as their last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailEnd {
    /// The log.
    pub log: GroupId,
    /// Who lost it.
    pub reader: Fingerprint,
    /// The place of the commit that took it.
    pub last: Seq,
}

impl Outcome {
    /// Nothing but an answer.
    #[must_use]
    pub const fn answer(answer: Answer) -> Self {
        Self { answer: Ok(answer), publish: Vec::new(), ends: Vec::new(), tail: None }
    }

    /// Nothing but a refusal.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Self {
        Self { answer: Err(refusal), publish: Vec::new(), ends: Vec::new(), tail: None }
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

impl From<PrekeyFault> for Stop {
    fn from(fault: PrekeyFault) -> Self {
        Self::invalid(&fault)
    }
}

impl From<RuleFault> for Stop {
    fn from(fault: RuleFault) -> Self {
        Self::invalid(&fault)
    }
}

impl Stop {
    /// Whether the same entry may be there already.
    pub(crate) const fn may_be_repeated(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Failed(StoreError::Conflict(_)))
    }

    /// The refusal that names the check which failed.
    pub(crate) fn invalid(check: &impl ToString) -> Self {
        Refusal::Invalid(check.to_string()).into()
    }
}
