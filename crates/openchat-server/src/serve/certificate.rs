//! The server's own certificate: issued and renewed by the server itself.

use crate::{
    clock,
    data_dir::{DataDir, file},
    failure::Failure,
    keys,
};
use openchat_crypto::IdentityKey;
use openchat_pki::{
    AuthorityError, CaCertificate, CertificateAuthority, HostName, MemberError, Profile,
    ServerCertificate,
};
use openchat_wire::UnixMillis;

/// The part of a certificate's life over which renewals are spread.
const SPREAD: u64 = 20;

/// A TLS key and the certificate that the CA issued for it.
#[derive(Debug)]
pub(crate) struct ServerIdentity {
    key: IdentityKey,
    der: Vec<u8>,
    read: ServerCertificate,
}

/// Makes a new key and its certificate. Every certificate has a key of its own, so that a stolen
/// one is of use until the next renewal only.
pub(crate) fn issue(
    ca: &CertificateAuthority,
    hosts: &[HostName],
    now: UnixMillis,
) -> Result<ServerIdentity, AuthorityError> {
    let key = keys::generate();
    let hosts: Vec<HostName> = allowed(ca.ca(), hosts.to_vec());
    let der = ca.issue_server(key.public(), &hosts, now, &mut clock::rng())?;
    let read = ca.ca().verify_server(&der)?;
    Ok(ServerIdentity { key, der, read })
}

/// The hosts that the CA may certify: below a root not every address that this machine has today.
pub(crate) fn allowed(ca: &CaCertificate, mut hosts: Vec<HostName>) -> Vec<HostName> {
    hosts.retain(|host| ca.may_certify(host));
    hosts
}

impl ServerIdentity {
    pub(crate) const fn key(&self) -> &IdentityKey {
        &self.key
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) const fn certificate(&self) -> &ServerCertificate {
        &self.read
    }

    /// Keeps both. After a crash between the two files they don't match, which
    /// [`load`](Self::load) finds.
    pub(crate) fn store(&self, data: &DataDir) -> Result<(), Failure> {
        keys::store_key(data, file::SERVER_KEY, &self.key)?;
        keys::store_certificate(data, file::SERVER_CERTIFICATE, &self.der)
    }

    /// What the data directory has, or why it can't be used; a new one does as well.
    pub(crate) fn load(data: &DataDir, ca: &CaCertificate) -> Result<Self, Due> {
        let key = keys::load_key(data, file::SERVER_KEY).map_err(Due::Unreadable)?;
        let der =
            keys::load_certificate(data, file::SERVER_CERTIFICATE).map_err(Due::Unreadable)?;
        let read = ca.verify_server(&der).map_err(Due::NotOurs)?;
        if read.public_key() == key.public() {
            Ok(Self { key, der, read })
        } else {
            Err(Due::OtherKey)
        }
    }
}

/// Why a new certificate is needed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Due {
    #[error("{}", .0.message)]
    Unreadable(Failure),
    #[error("{0}")]
    NotOurs(MemberError),
    #[error("the key is another one's")]
    OtherKey,
    #[error("it does not name {0}")]
    Host(HostName),
    #[error("its time is nearly over, or has not come")]
    Time,
}

/// Whether a certificate has to be replaced now.
pub(crate) fn due(
    certificate: &ServerCertificate,
    profile: &Profile,
    wanted: &[HostName],
    now: UnixMillis,
) -> Option<Due> {
    if certificate.valid_at(now).is_err() || renew_at(certificate, profile) <= now {
        return Some(Due::Time);
    }
    let missing = wanted.iter().find(|host| !certificate.hosts().contains(host))?;
    Some(Due::Host(missing.clone()))
}

/// When a certificate is to be replaced: at the end of its profile's part of its life, and some more, so
/// that servers which were set up together don't all work at once. Every certificate has a key of its own, so
/// its hash is as good as drawn, and the same after a restart.
fn renew_at(certificate: &ServerCertificate, profile: &Profile) -> UnixMillis {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    let hash = certificate.public_key().fingerprint().0;
    let drawn = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let most = to.0.saturating_sub(from.0) / SPREAD;
    let later = drawn.checked_rem(most).unwrap_or(0);
    UnixMillis(profile.renew_at(from, to).0.saturating_add(later))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_pki::Profiles;
    use std::time::Duration;

    const DAY: Duration = Duration::from_hours(24);

    fn authority(now: UnixMillis) -> CertificateAuthority {
        let profiles = Profiles::builtin().unwrap();
        let key = keys::generate();
        CertificateAuthority::create("T", key, &profiles, now, &mut clock::rng()).unwrap()
    }

    fn hosts(names: &[&str]) -> Vec<HostName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn it_is_renewed_after_two_thirds_and_when_a_host_is_missing() {
        let now = clock::now();
        let ca = authority(now);
        let had = hosts(&["a.example", "::1"]);
        let identity = issue(&ca, &had, now).unwrap();
        let due = |wanted: &[HostName], now| {
            due(identity.certificate(), ca.profiles().server(), wanted, now)
        };
        assert!(due(&had, now).is_none());
        assert!(due(&had, now.after(59 * DAY)).is_none());
        assert!(matches!(due(&had, now.after(64 * DAY)), Some(Due::Time)));
        let year = 365 * DAY;
        assert!(matches!(due(&had, now.after(year)), Some(Due::Time)));
        assert!(matches!(due(&had, UnixMillis(now.0 - 365 * 86_400_000)), Some(Due::Time)));
        assert!(matches!(due(&had, UnixMillis(now.0 - 3_600_000)), Some(Due::Time)));
        assert!(matches!(due(&hosts(&["b.example"]), now), Some(Due::Host(_))));
    }

    #[test]
    fn renewals_are_spread_and_each_has_one_time() {
        let now = clock::now();
        let ca = authority(now);
        let profile = ca.profiles().server();
        let mut times: Vec<u64> = Vec::new();
        for _ in 0..50 {
            let identity = issue(&ca, &hosts(&["a"]), now).unwrap();
            let read = ca.ca().verify_server(identity.der()).unwrap();
            let at = renew_at(identity.certificate(), profile);
            assert_eq!(at, renew_at(&read, profile));
            assert!(now.after(59 * DAY) < at && at < now.after(64 * DAY));
            times.push(at.0);
        }
        times.sort_unstable();
        assert!(times[49] - times[0] > 86_400_000, "over more than a day: {times:?}");
    }

    #[test]
    fn what_does_not_fit_together_is_found() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::at(&place.path().join("d")).unwrap();
        data.create().unwrap();
        let now = clock::now();
        let ca = authority(now);
        let load = |ca: &CertificateAuthority| ServerIdentity::load(&data, ca.ca());
        assert!(matches!(load(&ca), Err(Due::Unreadable(_))));
        issue(&ca, &hosts(&["a"]), now).unwrap().store(&data).unwrap();
        assert!(load(&ca).is_ok());
        assert!(matches!(load(&authority(now)), Err(Due::NotOurs(_))));
        keys::store_key(&data, file::SERVER_KEY, &keys::generate()).unwrap();
        assert!(matches!(load(&ca), Err(Due::OtherKey)));
    }
}
