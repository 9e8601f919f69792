//! What the operator's tools and the server say over the admin socket. File permissions and peer
//! credentials say who may; one question, one answer. Lists come in pages: a question says where
//! the next one begins.

use crate::{Blob, Fingerprint, Name, UnixMillis};
use serde::{Deserialize, Serialize};

/// File name of the socket in the server's data directory.
pub const SOCKET: &str = "admin.sock";

/// Lines of one page of a list; so many fit a frame whatever is in them.
pub const PAGE: usize = 64;

/// A question to the running server. Further ones are appended: the order is their encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminRequest {
    /// A new invitation for this name. Answered [`AdminAnswer::Invitation`].
    Invite(Name),
    /// Invitations behind this id. Answered [`AdminAnswer::Invitations`].
    Invitations {
        /// The last id of the page before.
        after: Option<[u8; 16]>,
    },
    /// The invitation with this id is to be worthless. Answered [`AdminAnswer::Revoked`].
    RevokeInvitation([u8; 16]),
    /// The transparency log from this index on. Answered [`AdminAnswer::Recorded`].
    Recorded {
        /// The first one asked for.
        from: u64,
    },
    /// A certificate. Answered [`AdminAnswer::Certificate`].
    Certificate(WhichCertificate),
    /// Who is connected. Answered [`AdminAnswer::Online`].
    Online {
        /// The last name of the page before.
        after: Option<Name>,
    },
    /// How the server does. Answered [`AdminAnswer::Status`].
    Status,
    /// Whether the server is in order. Answered [`AdminAnswer::Health`].
    Health,
    /// The key that a name has now. Answered [`AdminAnswer::KeyOf`].
    KeyOf(Name),
    /// The key of this name is to count no more, for ever. Answered [`AdminAnswer::KeyRevoked`].
    RevokeKeyOf(Name),
    /// This name is to get another key. Answered [`AdminAnswer::Reset`].
    Reset(Name),
}

/// A certificate that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhichCertificate {
    /// The authority's own.
    Ca,
    /// The one that the server shows to clients.
    Server,
    /// The newest one of a member's key.
    Member(Fingerprint),
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminAnswer {
    /// The invitation as one string, and the CA's certificate in DER.
    Invitation {
        /// `openchat://…`, see [`crate::invitation`].
        invitation: String,
        /// The CA's certificate.
        ca: Blob,
    },
    /// It was not done, and why.
    Failed(String),
    /// A page of invitations by id; the last one if it is not full.
    Invitations(Vec<InvitationRecord>),
    /// What became of the invitation that was to be revoked.
    Revoked(Revoked),
    /// A page of the transparency log; the last one if it is not full.
    Recorded(Vec<RecordedEntry>),
    /// `None` if there is no such certificate.
    Certificate(Option<CertificateRecord>),
    /// A page of names, each with its connections; the last one if it is not full.
    Online(Vec<(Name, u32)>),
    /// Figures.
    Status(Box<Status>),
    /// What was looked at.
    Health(Vec<Check>),
    /// None of a name that nobody has, or that waits for another key.
    KeyOf(Option<Fingerprint>),
    /// None if nobody has the name, or its key was revoked before.
    KeyRevoked(Option<KeyRevoked>),
    /// None if nobody has the name.
    Reset(Option<Reset>),
}

/// An invitation as the operator may see it: without what is in the invited person's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRecord {
    /// Names it.
    pub id: [u8; 16],
    /// Who is invited.
    pub name: Name,
    /// Its end.
    pub expires: UnixMillis,
    /// Wrong secrets so far.
    pub wrong: u32,
    /// The key that used it.
    pub used: Option<Fingerprint>,
}

/// A certificate, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// In DER.
    pub der: Blob,
    /// Serial number in hex; empty for the CA's own.
    pub serial: String,
    /// Whom it names: a member, hosts, or nobody.
    pub names: Vec<String>,
    /// SHA-256 of its key's `SubjectPublicKeyInfo`; for the CA's own what devices pin.
    pub fingerprint: Fingerprint,
    /// Its first second.
    pub not_before: UnixMillis,
    /// Its last second.
    pub not_after: UnixMillis,
}

/// What became of an invitation that was to be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Revoked {
    /// It is worthless now.
    Done,
    /// There is none with this id.
    Unknown,
    /// Somebody enrolled with it; taking it back would take nothing back.
    Used,
}

/// A key that was revoked just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Whose connections end.
    pub key: Fingerprint,
    /// The index of the transparency log's entry that says so.
    pub index: u64,
    /// Connections that were cut.
    pub connections: u32,
}

/// A name that waits for another key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// The key that it had, unless that was revoked before.
    pub revoked: Option<KeyRevoked>,
    /// For the key to come: `openchat://…`.
    pub invitation: String,
}

/// An entry of the transparency log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedEntry {
    /// When it was recorded.
    pub time: UnixMillis,
    /// Its canonical bytes.
    pub entry: Blob,
}

/// How a server does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// When it started.
    pub started: UnixMillis,
    /// Where clients find it.
    pub address: String,
    /// End of the CA's certificate.
    pub ca_not_after: UnixMillis,
    /// End of the certificate that it shows.
    pub certificate_not_after: UnixMillis,
    /// Entries of the transparency log.
    pub recorded: u64,
    /// Registered keys.
    pub registered: u64,
    /// People with a connection.
    pub online: u64,
    /// Connections of members.
    pub sessions: u64,
    /// Connections that have not proved anything yet.
    pub handshakes: u64,
    /// Logs.
    pub logs: u64,
    /// Entries ever appended to them.
    pub entries: u64,
    /// Bytes of the entries whose bodies are kept.
    pub kept_bytes: u64,
    /// When the oldest message came that is kept.
    pub oldest: Option<UnixMillis>,
    /// Bytes that may be kept of one log, if there is a limit.
    pub quota_log: Option<u64>,
    /// Bytes that may be kept of one person, if there is a limit.
    pub quota_person: Option<u64>,
    /// For how many days messages are kept, unless it is for ever.
    pub retention_days: Option<u32>,
    /// Bytes of the database with its write-ahead log.
    pub database_bytes: u64,
    /// Bytes that its disk has left.
    pub free_bytes: u64,
    /// Requests answered since the start.
    pub requests: u64,
    /// Connections refused since the start.
    pub refused: u64,
    /// Batches that could not be stored since the start.
    pub failed_batches: u64,
    /// When the backup was made that this server goes on from, if it does.
    pub restored: Option<UnixMillis>,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is in order.
    pub ok: bool,
    /// How it is.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        frame::to_frame,
        limits::{MAX_ADMIN_FRAME, MAX_CERTIFICATE},
        name::MAX_NAME,
    };

    fn longest_name() -> Name {
        "n".repeat(MAX_NAME).parse().unwrap()
    }

    #[test]
    fn the_longest_answers_fit_a_frame() {
        let last = UnixMillis(u64::MAX);
        let invitation = InvitationRecord {
            id: [255; 16],
            name: longest_name(),
            expires: last,
            wrong: u32::MAX,
            used: Some(Fingerprint([255; 32])),
        };
        let entry = RecordedEntry { time: last, entry: Blob(vec![255; 512]) };
        let certificate = CertificateRecord {
            der: Blob(vec![255; MAX_CERTIFICATE]),
            serial: "f".repeat(40),
            names: vec!["n".repeat(253); 64],
            fingerprint: Fingerprint([255; 32]),
            not_before: last,
            not_after: last,
        };
        for answer in [
            AdminAnswer::Invitations(vec![invitation; PAGE]),
            AdminAnswer::Recorded(vec![entry; PAGE]),
            AdminAnswer::Online(vec![(longest_name(), u32::MAX); PAGE]),
            AdminAnswer::Certificate(Some(certificate)),
        ] {
            assert!(to_frame(&answer).len() <= MAX_ADMIN_FRAME);
        }
    }
}
