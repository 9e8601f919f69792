//! From an address to a TLS stream whose other end is the server of the pinned CA, and what goes
//! wrong on the way, told apart by what the person has to do.

use crate::tls::{AnotherCa, ShownCa, Tls};
use openchat_wire::{Digest, limits::HANDSHAKE_TIMEOUT, relay::Goodbye};
use rustls::{
    AlertDescription, CertificateError,
    pki_types::{InvalidDnsNameError, ServerName},
};
use std::{fmt, io, str::FromStr, sync::Arc};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A verified connection to the server.
pub(crate) type ServerStream = TlsStream<TcpStream>;

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The network or the server is down; trying again may help.
    #[error("{0}")]
    Unreachable(String),
    /// What answers is not an openchat server of this version; trying again may help.
    #[error("what answers there does not speak this version of openchat")]
    NotOpenchat,
    /// Another CA than the pinned one.
    #[error("{}", another_ca(expected, found.as_ref()))]
    AnotherCa {
        /// The pin that came with the invitation.
        expected: Digest,
        /// The pin of the CA that the server shows, if it shows one.
        found: Option<Digest>,
    },
    /// Of the pinned CA, but not valid: expired, for another host, wrongly signed.
    #[error("the server's certificate is not acceptable: {0}")]
    ServerCertificate(String),
    /// The server says that this device's certificate has expired, or is not valid yet.
    #[error("the certificate of this device is not valid at this time, by the server's clock")]
    Expired,
    /// The server says that this device's certificate is revoked.
    #[error("the certificate of this device is revoked")]
    Revoked,
    /// The server does not accept this device's certificate, and says no more.
    #[error("the server does not accept the certificate of this device")]
    Refused,
    /// This device's own key or certificate can't be used.
    #[error("the key or certificate of this device can't be used: {0}")]
    OwnIdentity(String),
}

impl DialError {
    /// Whether trying again, with nobody doing anything, may help.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NotOpenchat)
    }

    fn unreachable(cause: impl fmt::Display) -> Self {
        Self::Unreachable(cause.to_string())
    }
}

impl From<Goodbye> for DialError {
    fn from(why: Goodbye) -> Self {
        let cause = match why {
            Goodbye::Revoked => return Self::Revoked,
            Goodbye::ShuttingDown => "the server is shutting down",
            Goodbye::TooManySessions => "too many connections of yours are open",
            Goodbye::Malformed => "the server did not understand this program",
            Goodbye::TooSlow => "this device was too slow to read",
        };
        Self::unreachable(cause)
    }
}

fn another_ca(expected: &Digest, found: Option<&Digest>) -> String {
    let found = found.map_or_else(|| "shows no CA".to_owned(), |pin| format!("shows SHA256:{pin}"));
    format!("the server's CA changed: this device trusts SHA256:{expected}, the server {found}")
}

/// `host:port` as invitations write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// The text is not `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server's address is HOST:PORT")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name: Result<_, InvalidDnsNameError> = ServerName::try_from(bare.to_owned());
        let port = port.parse().map_err(|_| AddressError)?;
        Ok(Self { host: bare.to_owned(), port, name: name.map_err(|_| AddressError)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where to, and whom to trust there.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) address: Address,
    pub(crate) tls: Tls,
}

/// A verified connection, and the CA of the server at its other end.
pub(crate) struct Dialled {
    pub(crate) stream: ServerStream,
    pub(crate) shown: ShownCa,
}

impl Dialer {
    /// Connects; the TLS handshake is done and the server verified when this returns.
    ///
    /// Whether the server accepts this device's certificate shows only at the first read
    /// (TLS 1.3 clients finish first): see [`Dialer::read_error`].
    ///
    /// # Errors
    /// [`DialError`], after at most [`HANDSHAKE_TIMEOUT`].
    pub(crate) async fn dial(&self) -> Result<Dialled, DialError> {
        let seconds = HANDSHAKE_TIMEOUT.as_secs();
        timeout(HANDSHAKE_TIMEOUT, self.handshake()).await.unwrap_or_else(|_| {
            Err(DialError::Unreachable(format!("no answer within {seconds} s")))
        })
    }

    async fn handshake(&self) -> Result<Dialled, DialError> {
        let target = (self.address.host.as_str(), self.address.port);
        let tcp = TcpStream::connect(target).await.map_err(DialError::unreachable)?;
        tcp.set_nodelay(true).map_err(DialError::unreachable)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls.config));
        let stream = connector
            .connect(self.address.name.clone(), tcp)
            .await
            .map_err(|error| self.read_error(&error))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        if agreed != self.tls.config.alpn_protocols.first().map(Vec::as_slice) {
            return Err(DialError::NotOpenchat);
        }
        let shown = self.tls.trusted.settle().ok_or(DialError::NotOpenchat)?;
        Ok(Dialled { stream, shown })
    }

    /// What an error of the stream means.
    pub(crate) fn read_error(&self, error: &io::Error) -> DialError {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => alerted(*alert),
            Some(rustls::Error::InvalidCertificate(fault)) => self.certificate_fault(fault),
            Some(_) => DialError::NotOpenchat,
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                DialError::unreachable("the server closed the connection")
            }
            None => DialError::unreachable(error),
        }
    }

    fn certificate_fault(&self, fault: &CertificateError) -> DialError {
        if let CertificateError::Other(other) = fault
            && let Some(another) = other.0.downcast_ref::<AnotherCa>()
        {
            return DialError::AnotherCa { expected: self.tls.trusted.pin(), found: another.found };
        }
        DialError::ServerCertificate(match fault {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                "it is not valid at this time; is this machine's clock right?".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("it is not for the host {}", self.address.host)
            }
            other => other.to_string(),
        })
    }
}

/// The standard alerts go to holders of a certificate of the CA; all else is one and the same.
const fn alerted(alert: AlertDescription) -> DialError {
    match alert {
        AlertDescription::CertificateExpired => DialError::Expired,
        AlertDescription::CertificateRevoked => DialError::Revoked,
        AlertDescription::NoApplicationProtocol | AlertDescription::ProtocolVersion => {
            DialError::NotOpenchat
        }
        _ => DialError::Refused,
    }
}

#[cfg(test)]
mod tests;
