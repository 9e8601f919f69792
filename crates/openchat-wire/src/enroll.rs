//! What a device without a certificate and the CA say, after TLS with ALPN [`ALPN`]: one question,
//! one answer, then the connection ends.

use crate::{Blob, Name};
use serde::{Deserialize, Serialize};

/// ALPN protocol name of enrollment: no client certificate; the server proves the pinned CA.
pub const ALPN: &[u8] = b"openchat-enroll/1";

/// Asks for a certificate for a key made on this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The name the invitation is for.
    pub name: Name,
    /// Which invitation.
    pub invitation: [u8; 16],
    /// Proof that it was received.
    pub secret: [u8; 16],
    /// PKCS#10 in DER.
    pub csr: Blob,
}

/// The CA's answer.
pub type EnrollAnswer = Result<Enrolled, EnrollRefusal>;

/// What a new member of the server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The device's certificate in DER.
    pub certificate: Blob,
    /// All that the server shows of its CA, in DER, one certificate behind the other; the receiver
    /// compares it with its pin (`docs/protocol.md` §9, T11–T13).
    pub ca: Blob,
    /// The server's own keys, stated under the CA's signature (`openchat-pki`).
    pub server_keys: Blob,
    /// Index of this issue in the transparency log.
    pub index: u64,
    /// A signed head that covers it.
    pub head: Blob,
}

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum EnrollRefusal {
    /// Unknown, used, expired, locked, for another name, or the secret is wrong: not told apart.
    #[error("the invitation is not valid")]
    Invitation,
    /// The name has another key, for ever.
    #[error("the name is taken")]
    NameTaken,
    /// The key has another name, for ever.
    #[error("the key belongs to another name")]
    KeyTaken,
    /// The request is not a well-formed, self-signed P-256 request.
    #[error("the certification request is not acceptable")]
    Csr,
    /// The server itself failed.
    #[error("the server failed")]
    Internal,
    /// The key was revoked, for ever; its holder needs another one.
    #[error("the key of this device was revoked")]
    Revoked,
}
