//! A root whose key never meets the server: it certifies the server's CA, for a few years, for the
//! server's hosts, and is then put away again (`docs/protocol.md` §9, T12).
//!
//! Devices pin the root. Whoever takes the server takes a CA that ends, that can't certify another,
//! and that the root can replace without any device being asked.

use crate::{
    authority::{AuthorityError, is_organisation, key_identifier, params, subject},
    ca::CaCertificate,
    constraints,
    host::HostName,
    profile::RootProfiles,
    signer::{Signer, Subject},
};
use openchat_crypto::{CryptoRng, IdentityKey, PublicKey, sha256};
use openchat_wire::{Digest, UnixMillis};
use rcgen::{CertificateParams, Issuer};

/// The root: its key, its certificate and its profiles.
#[derive(Debug)]
pub struct OfflineRoot {
    key: IdentityKey,
    org: String,
    der: Vec<u8>,
    not_after: UnixMillis,
    profiles: RootProfiles,
}

impl OfflineRoot {
    /// A new root for an organisation.
    ///
    /// # Errors
    /// [`AuthorityError::Organisation`], [`AuthorityError::Time`].
    pub fn create(
        org: &str,
        key: IdentityKey,
        profiles: &RootProfiles,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, AuthorityError> {
        if !is_organisation(org) {
            return Err(AuthorityError::Organisation);
        }
        let name = profiles.root().common_name(org);
        let until = now.after(profiles.root().validity());
        let params = params(profiles.root(), &name, key.public(), (now, until), rng)?;
        let der = params.self_signed(&Signer(&key))?.der().to_vec();
        Self::load(org, key, &der, profiles)
    }

    /// The root with this key and certificate, of the organisation it was created for.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] unless the certificate is a root's and for this key;
    /// [`AuthorityError::Subject`] if it is another organisation's.
    pub fn load(
        org: &str,
        key: IdentityKey,
        der: &[u8],
        profiles: &RootProfiles,
    ) -> Result<Self, AuthorityError> {
        let root = CaCertificate::root(der, &pin(&key))?;
        let not_after = root.not_after();
        if root.common_name() != Some(profiles.root().common_name(org).as_str()) {
            return Err(AuthorityError::Subject);
        }
        let (org, der, profiles) = (org.to_owned(), der.to_vec(), profiles.clone());
        Ok(Self { key, org, der, not_after, profiles })
    }

    /// The root's certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.der
    }

    /// What devices pin.
    #[must_use]
    pub fn pin(&self) -> Digest {
        pin(&self.key)
    }

    /// The certificate in DER of the CA of a server at these hosts, and not of the excluded domains.
    /// It ends with the root's at the latest. Of addresses the CA may certify those of its hosts
    /// alone.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] if devices would refuse it: the root's own key, say.
    pub fn certify(
        &self,
        key: &PublicKey,
        hosts: &[HostName],
        excluded_domains: &[HostName],
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, AuthorityError> {
        let profile = self.profiles.intermediate();
        let until = now.after(profile.validity()).min(self.not_after);
        let name = profile.common_name(&self.org);
        let mut params = params(profile, &name, key, (now, until), rng)?;
        params.name_constraints = Some(constraints::written(hosts, excluded_domains));
        let der = params.signed_by(&Subject(key), &self.issuer())?.der().to_vec();
        CaCertificate::from_chain(&[&der, &self.der], &self.pin())?.valid_at(now)?;
        Ok(der)
    }

    fn issuer(&self) -> Issuer<'_, Signer<'_>> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&self.profiles.root().common_name(&self.org));
        params.key_identifier_method = key_identifier(self.key.public());
        Issuer::new(params, Signer(&self.key))
    }
}

fn pin(key: &IdentityKey) -> Digest {
    sha256(&key.public().to_spki())
}
