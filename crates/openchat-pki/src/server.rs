//! The certificate that a server shows to clients.

use crate::{
    fault::{Fault, Validity, valid_at},
    host::HostName,
    serial::Serial,
    x509::{Common, Role, Unverified},
};
use core::net::IpAddr;
use openchat_crypto::PublicKey;
use openchat_wire::UnixMillis;
use x509_parser::extensions::GeneralName;

/// The certificate that a server shows, issued by the pinned CA and by `pki/server.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerCertificate {
    hosts: Vec<HostName>,
    public_key: PublicKey,
    serial: Serial,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl ServerCertificate {
    /// The names and addresses it is for, in the certificate's order.
    #[must_use]
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    /// The server's TLS key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The certificate's serial number.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Start of validity.
    #[must_use]
    pub const fn not_before(&self) -> UnixMillis {
        self.not_before
    }

    /// End of validity; the second it names is the last one.
    #[must_use]
    pub const fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// Checks the period.
    ///
    /// # Errors
    /// [`Validity`] outside it.
    pub fn valid_at(&self, now: UnixMillis) -> Result<(), Validity> {
        valid_at(self.not_before, self.not_after, now)
    }

    pub(crate) fn read(unverified: &Unverified<'_>) -> Result<Self, Fault> {
        let Common { serial, public_key, not_before, not_after } = unverified.common()?;
        let extensions = unverified.extensions()?;
        extensions.check_leaf()?;
        if extensions.role() != Role::Server {
            return Err(Fault::ServerAuthMissing);
        }
        let hosts = extensions.names().iter().map(host).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(Fault::Name);
        }
        Ok(Self { hosts, public_key, serial, not_before, not_after })
    }
}

fn host(name: &GeneralName<'_>) -> Result<HostName, Fault> {
    match name {
        GeneralName::DNSName(name) => name.parse().map_err(|_| Fault::Name),
        GeneralName::IPAddress(octets) => address(octets).map(HostName::Ip).ok_or(Fault::Name),
        _ => Err(Fault::Name),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
