//! What a client and the relay say to each other, after mutual TLS with ALPN [`ALPN`].
//!
//! A client asks, each request with an id of its choice; answers carry that id and come in the
//! order of the requests. Between them the relay pushes the entries of tailed logs.

use crate::{
    Blob, DecodeError, Digest, Epoch, Fingerprint, GroupId, GroupName, Name, Seq, UnixMillis,
    decode, encode,
    limits::{MAX_LETTER, MAX_PREKEYS},
};
use serde::{Deserialize, Deserializer, Serialize, de};

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
    /// Which direct group do I have with this person? Answered [`Answer::Group`].
    FindDirect(Fingerprint),
    /// The groups in which I am seated or admitted. Answered [`Answer::Groups`].
    Groups,
    /// The certificate of an identity key. Answered [`Answer::Certificate`].
    Certificate(Fingerprint),
    /// The certificate of the key that has this name. Answered [`Answer::Certificate`].
    CertificateOf(Name),
    /// Keep these prekeys of mine beside those that are there; one of last resort replaces the
    /// one before. Answered [`Answer::Prekeys`].
    PublishPrekeys {
        /// Whether all that were there are to be forgotten first.
        replace: bool,
        /// Signed prekeys, encoded. More than a person may have don't decode.
        #[serde(deserialize_with = "bounded_prekeys")]
        prekeys: Vec<Blob>,
    },
    /// How many prekeys of mine are left. Answered [`Answer::Prekeys`].
    CountPrekeys,
    /// A prekey of this person, never to be given to anybody again unless it is the last resort.
    /// Answered [`Answer::Prekey`].
    FetchPrekey(Fingerprint),
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
        /// For the inboxes of those whom a commit adds or admits, if it is logged.
        letters: Vec<Letter>,
        /// Whether an entry of this connection for this log is not answered yet: if that is refused
        /// and may come again, this one is refused too, so that it does not come first.
        follows: bool,
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
    /// Entries of the transparency log from this index on. Answered [`Answer::Recorded`].
    ReadTransparency(u64),
    /// A further certificate for my name and key, by this PKCS#10 request in DER. Answered
    /// [`Answer::Certificate`].
    Renew(Blob),
}

/// What an author sends to one person along with a commit (`docs/protocol.md` §4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// Whom the commit adds or admits.
    pub to: Fingerprint,
    /// Only that person can read it.
    pub sealed: Blob,
}

/// An entry of an inbox, written by the relay when the commit was logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxEntry {
    /// The commit's author.
    pub from: Fingerprint,
    /// The group.
    pub group: GroupId,
    /// The commit's place in the group's log.
    pub seq: Seq,
    /// The author's letter.
    pub letter: Blob,
}

/// Version of everything in a log; the first byte of each entry.
const ENTRY_VERSION: u8 = 1;

/// Bytes that an inbox's entry adds around a letter: two hashes, a place, a length.
const INBOX_ENVELOPE: usize = 96;

impl InboxEntry {
    /// The entry's bytes: `version ‖ postcard`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![ENTRY_VERSION];
        bytes.extend(encode(self));
        bytes
    }

    /// The entry that `bytes` are.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown version and for anything not canonical or too long.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&ENTRY_VERSION, body)) = bytes.split_first() else {
            return Err(DecodeError::Malformed);
        };
        decode(body, MAX_LETTER.saturating_add(INBOX_ENVELOPE))
    }
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
    /// An entry of a tailed log whose body the relay does not keep any more, in the place of
    /// [`Entry`](Self::Entry): no commit ever.
    Dropped {
        /// The log.
        log: GroupId,
        /// Its place.
        seq: Seq,
        /// SHA-256 of the entry, which the log hash covers.
        hash: Digest,
    },
    /// Who else tails a log, as the relay says; nothing that anybody signed. All of them first, then
    /// what changes.
    Presence {
        /// The log.
        log: GroupId,
        /// Who has come.
        online: Vec<Fingerprint>,
        /// Who has gone.
        offline: Vec<Fingerprint>,
    },
    /// The transparency log has grown: its newest signed head, encoded.
    Head(Blob),
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
    /// One's groups.
    Groups(Vec<GroupId>),
    /// A certificate in DER.
    Certificate(Blob),
    /// What is left of one's own prekeys.
    Prekeys {
        /// One-time prekeys.
        one_time: u32,
        /// When the one of last resort expires, if there is one.
        last_resort: Option<UnixMillis>,
    },
    /// A signed prekey, encoded.
    Prekey(Blob),
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
    /// Consecutive entries of the transparency log; ask again after the last one until `complete`.
    Recorded {
        /// Canonical bytes.
        entries: Vec<Blob>,
        /// The newest signed head, encoded: of all entries up to the last one if `complete`.
        head: Blob,
        /// No further entry was in the log.
        complete: bool,
    },
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
    /// The open group's name, or the pair of people, belongs to another group already.
    #[error("there is such a group already")]
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
    /// This person is in as many groups as anybody may be, or was put into as many by the one who
    /// asks as anybody may be by another.
    #[error("a person would be in too many groups")]
    TooManyGroups(Fingerprint),
    /// This log, or what this person has in all logs, is as large as the operator lets it be.
    #[error("no room: {0}")]
    Quota(Quota),
}

/// Whose room is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Quota {
    /// The log's.
    #[error("the conversation has as many bytes as the server keeps of one")]
    Log,
    /// That of the person who appends.
    #[error("the server keeps as many bytes of this person as of anybody")]
    Person,
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
    /// The certificate of this connection was revoked.
    Revoked,
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

/// All of a person's, and the one of last resort. A list of empty ones would otherwise take 24 times
/// the memory of its frame.
fn bounded_prekeys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Blob>, D::Error> {
    struct Bounded;
    impl<'de> de::Visitor<'de> for Bounded {
        type Value = Vec<Blob>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("a list of prekeys")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut prekeys = Vec::new();
            while let Some(prekey) = list.next_element()? {
                if prekeys.len() > MAX_PREKEYS {
                    return Err(de::Error::custom("too many prekeys"));
                }
                prekeys.push(prekey);
            }
            Ok(prekeys)
        }
    }
    deserializer.deserialize_seq(Bounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_FRAME;

    fn publish(count: usize) -> Result<Request, DecodeError> {
        let prekeys = vec![Blob::default(); count];
        decode(&encode(&Request::PublishPrekeys { replace: true, prekeys }), MAX_FRAME)
    }

    #[test]
    fn more_prekeys_than_a_person_may_have_do_not_decode() {
        assert!(publish(MAX_PREKEYS + 1).is_ok());
        assert_eq!(publish(MAX_PREKEYS + 2), Err(DecodeError::Malformed));
    }

    fn inbox_entry(letter: usize) -> InboxEntry {
        let letter = Blob(vec![7; letter]);
        InboxEntry {
            from: Fingerprint([1; 32]),
            group: GroupId([2; 32]),
            seq: Seq(u64::MAX),
            letter,
        }
    }

    #[test]
    fn an_inbox_entry_of_the_largest_letter_comes_back() {
        let entry = inbox_entry(MAX_LETTER);
        assert_eq!(InboxEntry::decode(&entry.to_bytes()), Ok(entry));
    }

    #[test]
    fn an_inbox_entry_of_another_version_or_size_is_refused() {
        let mut bytes = inbox_entry(1).to_bytes();
        bytes[0] = 2;
        assert_eq!(InboxEntry::decode(&bytes), Err(DecodeError::Malformed));
        assert_eq!(InboxEntry::decode(&[]), Err(DecodeError::Malformed));
        let long = InboxEntry::decode(&inbox_entry(MAX_LETTER + 100).to_bytes());
        assert!(matches!(long, Err(DecodeError::TooLong { .. })), "{long:?}");
    }
}
