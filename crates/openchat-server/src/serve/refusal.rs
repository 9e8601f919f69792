//! Why a connection came to nothing. The operator reads it; the peer is told less.

use crate::serve::address::Address;
use openchat_pki::{MemberError, Validity};
use openchat_relay::EnrollReason;
use openchat_wire::{
    Name,
    frame::FrameError,
    limits::{ENROLL_TIMEOUT, HANDSHAKE_TIMEOUT},
};
use rustls::PeerIncompatible;
use std::io;

/// A reason, without anything that a stranger could have written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no certificate")]
    NoCertificate,
    #[error("certificate {0}")]
    Certificate(MemberError),
    #[error("this is not the registered key of {0}")]
    Unregistered(Name),
    #[error("the key of {0} was revoked")]
    Revoked(Name),
    #[error("the key of the certificate was not proved")]
    Unproved,
    #[error("{validity}: {name}")]
    Period { name: Name, validity: Validity },
    #[error("no protocol of this server was offered")]
    Protocol,
    #[error("TLS 1.3 was not offered")]
    Version,
    #[error("not TLS")]
    NotTls,
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    #[error("the connection was lost: {0}")]
    Lost(io::ErrorKind),
    #[error("no handshake within {} s", HANDSHAKE_TIMEOUT.as_secs())]
    Late,
    #[error("the oldest handshake gave way to newer ones")]
    Crowded,
    #[error("{0} has {1} connections already")]
    TooMany(Name, usize),
    #[error("{0} has {1} connections already")]
    Crowd(Address, usize),
    #[error("no request to enroll within {} s", ENROLL_TIMEOUT.as_secs())]
    NoRequest,
    #[error("request to enroll: {0}")]
    Frame(#[from] FrameError),
    #[error("{name} does not enroll: {reason}")]
    Enrollment { name: Name, reason: EnrollReason },
    #[error("the server stops")]
    Stopping,
}

impl Refused {
    /// One word for figures; see [`crate::metrics::REFUSALS`].
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::NoCertificate
            | Self::Certificate(_)
            | Self::Unregistered(_)
            | Self::Revoked(_)
            | Self::Unproved
            | Self::Period { .. } => "certificate",
            Self::Protocol | Self::Version | Self::NotTls | Self::Tls(_) => "tls",
            Self::Lost(_) => "lost",
            Self::Late | Self::NoRequest => "late",
            Self::Crowded => "crowded",
            Self::TooMany(..) => "too_many",
            Self::Crowd(..) => "address",
            Self::Frame(_) | Self::Enrollment { .. } => "enrollment",
            Self::Stopping => "stopping",
        }
    }
}

/// What a failed handshake was about.
impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let kind = error.kind();
        match error.into_inner().and_then(|inner| inner.downcast::<rustls::Error>().ok()) {
            Some(error) => Self::from(*error),
            None => Self::Lost(kind),
        }
    }
}

impl From<rustls::Error> for Refused {
    fn from(error: rustls::Error) -> Self {
        use PeerIncompatible as Without;
        match error {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            rustls::Error::PeerIncompatible(
                Without::SupportedVersionsExtensionRequired
                | Without::ServerDoesNotSupportTls12Or13
                | Without::ServerTlsVersionIsDisabledByOurConfig
                | Without::Tls12NotOffered
                | Without::Tls12NotOfferedOrEnabled,
            ) => Self::Version,
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            other => Self::Tls(other),
        }
    }
}
