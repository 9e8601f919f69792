//! What a client and the relay say to each other, after mutual TLS with ALPN [`ALPN`].
//!
//! A client asks, each request with an id of its choice; answers carry that id and come in the
//! order of the requests. Between them the relay pushes the entries of tailed logs.

use crate::{Blob, Digest, Epoch, Fingerprint, GroupId, GroupName, Seq};
use serde::{Deserialize, Serialize};

/// ALPN protocol name of the messenger: a client certificate is required.
pub const ALPN: &[u8] = b"openchat/1";

/// A client's frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToServer {
    /// Chosen by the client, returned in the answer.
    pub id: u32,
    /// What is asked.
    pub request: Request,
}

/// What a client may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Is the relay there? Answered [`Answer::Done`].
    Ping,
    /// The newest signed transparency head. Answered [`Answer::Head`].
    Head,
    /// Which group has this open name? Answered [`Answer::Group`].
    FindGroup(GroupName),
    /// The certificate of an identity key. Answered [`Answer::Certificate`].
    Certificate(Fingerprint),
    /// Commits of a log after a place. Answered [`Answer::Entries`].
    ReadCommits {
        /// The log.
        log: GroupId,
        /// Commits after this place.
        after: Seq,
    },
    /// Push every entry after a place, now and as they come. Answered [`Answer::Done`] first.
    Tail {
        /// The log.
        log: GroupId,
        /// Entries after this place.
        after: Seq,
    },
    /// Append an entry. The same bytes again get the same answer and no second entry.
    /// Answered [`Answer::Appended`].
    Append {
        /// The log.
        log: GroupId,
        /// A `LogEntry`, encoded.
        entry: Blob,
    },
    /// What the relay claims a log is at a place, under its signature. Answered [`Answer::Receipt`].
    Receipt {
        /// The log.
        log: GroupId,
        /// The place of a commit, or `None` for the tail.
        at: Option<Seq>,
    },
    /// Hand a signed heartbeat to everyone who tails the log, without logging it.
    /// Answered [`Answer::Done`].
    Heartbeat {
        /// The log.
        log: GroupId,
        /// A heartbeat, encoded and signed.
        beat: Blob,
    },
}

/// The relay's frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// The answer to a request.
    Answer {
        /// The request's id.
        id: u32,
        /// What came of it.
        answer: Result<Answer, Refusal>,
    },
    /// An entry of a tailed log, in order and without gaps from where tailing began.
    Entry {
        /// The log.
        log: GroupId,
        /// Its place.
        seq: Seq,
        /// A `LogEntry`, encoded.
        entry: Blob,
    },
    /// A member's heartbeat, with the relay's own claim about the log at this moment.
    Heartbeat {
        /// The log.
        log: GroupId,
        /// As the member sent it.
        beat: Blob,
        /// The relay's.
        receipt: SignedReceipt,
    },
    /// The relay goes away, or has had enough of this connection.
    Goodbye(Goodbye),
}

/// What a granted request brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Nothing to say.
    Done,
    /// A signed transparency head, encoded.
    Head(Blob),
    /// The group with that name.
    Group(GroupId),
    /// A certificate in DER.
    Certificate(Blob),
    /// Entries in order; ask again after the last one until `complete`.
    Entries {
        /// Place and bytes.
        entries: Vec<(Seq, Blob)>,
        /// No further commit was in the log.
        complete: bool,
    },
    /// The entry's place; it is on disk.
    Appended(Seq),
    /// The relay's claim.
    Receipt(SignedReceipt),
}

/// Why a request is refused. None of these changed anything at the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such group, or none that this person may use: outsiders can't tell which.
    #[error("no such group, or no access to it")]
    NoAccess,
    /// No such name or key.
    #[error("not found")]
    NotFound,
    /// Another commit took that epoch's place.
    #[error("another commit came first")]
    Conflict {
        /// The winner's place.
        seq: Seq,
        /// The winner.
        entry: Blob,
    },
    /// The open group's name belongs to another group already.
    #[error("the group's name is taken")]
    NameTaken(GroupId),
    /// The message's epoch or seat no longer counts: seal it again.
    #[error("sealed for an epoch that has passed")]
    Stale,
    /// A public check of `docs/protocol.md` failed, named.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Larger than its kind may be.
    #[error("too large")]
    TooLarge,
    /// Too fast: try again after this many milliseconds.
    #[error("too fast, try again in {retry_ms} ms")]
    Paced {
        /// Milliseconds.
        retry_ms: u32,
    },
    /// The relay itself failed; its operator's trace says why.
    #[error("the server failed")]
    Internal,
}

/// Why the relay closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goodbye {
    /// The server stops; it will be back.
    ShuttingDown,
    /// This person has too many connections.
    TooManySessions,
    /// The frames made no sense.
    Malformed,
    /// Too slow to take what was pushed; reconnect and read on.
    TooSlow,
}

/// What a log is at a place, as the relay claims (§6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The log.
    pub group: GroupId,
    /// The place.
    pub seq: Seq,
    /// The log hash there.
    pub log_hash: Digest,
    /// The epoch there.
    pub epoch: Epoch,
    /// The interim hash of that epoch.
    pub interim: Digest,
}

/// A receipt as it travels: the signed bytes and the relay's signature, both unverified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// `encode(&Receipt)` behind the relay key's fingerprint; see `openchat-pki`.
    pub body: Blob,
    /// 64 bytes, checked by `openchat-pki`.
    pub signature: Blob,
}
