//! Why a certificate gives no access, so that the operator's trace can say it.
//!
//! Three questions are kept apart. *Is it ours?*, issued by the pinned CA, decides what a stranger
//! is told; *is it right?* decides whether its holder gets in ([`MemberError`]). Whether it is
//! valid at a moment is the third, asked with a clock ([`Validity`]).

use openchat_wire::UnixMillis;

/// Why a certificate gives no access. The first half is a stranger's, the second our CA's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The pinned CA did not issue it.
    #[error("not issued by this CA: {0}")]
    NotOurs(#[from] NotOurs),
    /// The pinned CA issued it, but for something else.
    #[error("issued by this CA, but {0}")]
    NotAMember(#[from] Fault),
}

/// Why a certificate can't have been issued by the CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Larger than any certificate of this PKI.
    #[error("too long")]
    TooLong,
    /// Not one certificate in DER and nothing else.
    #[error("malformed")]
    Malformed,
    /// Signed with another algorithm than ecdsa-with-SHA256.
    #[error("another signature algorithm")]
    Algorithm,
    /// It names another issuer: foreign or self-signed.
    #[error("another issuer")]
    Issuer,
    /// It names the CA, whose signature it is not.
    #[error("the signature is wrong")]
    Signature,
}

/// What a certificate that our CA signed has wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not X.509 version 3.
    #[error("it is not of version 3")]
    Version,
    /// Not 16 bytes that begin with the bits 01.
    #[error("its serial number is not of this PKI")]
    Serial,
    /// Not on P-256, or not in uncompressed form.
    #[error("its key is not on P-256")]
    Key,
    /// Before 1970, or it ends before it begins.
    #[error("its period is impossible")]
    Period,
    /// An extension twice, or one that can't be read.
    #[error("its extensions are malformed")]
    Extensions,
    /// A critical extension that this program does not know (RFC 5280 §4.2).
    #[error("it has an unknown critical extension")]
    UnknownCritical,
    /// It may issue certificates.
    #[error("it is a CA's")]
    Authority,
    /// The key may not sign.
    #[error("its key usage lacks digitalSignature")]
    KeyUsage,
    /// Extended key usage is serverAuth: a server's certificate.
    #[error("it is a server's")]
    ServerAuthOnly,
    /// Extended key usage is not clientAuth alone: absent, another, or more.
    #[error("its extended key usage is not clientAuth alone")]
    ClientAuthMissing,
    /// Extended key usage is not serverAuth alone.
    #[error("its extended key usage is not serverAuth alone")]
    ServerAuthMissing,
    /// A member's has not exactly one canonical DNS name; or a server's a name that is none.
    #[error("its alternative names are not those of its kind")]
    Name,
    /// A name or address that the root did not allow this CA to certify.
    #[error("its names are not those that the CA may certify")]
    Constrained,
}

/// A certificate of ours outside its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Validity {
    /// Its time has not come; or the clock is slow.
    #[error("the certificate is not yet valid")]
    NotYet,
    /// Its time is over; or the clock is fast.
    #[error("the certificate has expired")]
    Expired,
}

/// X.509 counts in whole seconds, and the last one belongs to the period (RFC 5280 §4.1.2.5).
pub(crate) fn valid_at(
    from: UnixMillis,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<(), Validity> {
    if now < from {
        Err(Validity::NotYet)
    } else if now.seconds() > until.seconds() {
        Err(Validity::Expired)
    } else {
        Ok(())
    }
}
