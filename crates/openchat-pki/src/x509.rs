//! What certificates of every kind have in common, taken from a parsed one and checked.

use crate::{
    der::{ECDSA_WITH_SHA256, Frame},
    fault::{Fault, NotOurs},
    serial::Serial,
};
use openchat_crypto::PublicKey;
use openchat_wire::{UnixMillis, limits::MAX_CERTIFICATE};
use x509_parser::{
    certificate::{TbsCertificate, TbsCertificateParser},
    extensions::{
        BasicConstraints, ExtendedKeyUsage, GeneralName, KeyUsage, NameConstraints,
        ParsedExtension, SubjectAlternativeName,
    },
    nom::Parser as _,
    oid_registry::OID_SIG_ECDSA_WITH_SHA256,
    time::ASN1Time,
    x509::X509Version,
};

/// A certificate taken apart; nothing about it is verified.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) frame: Frame<'a>,
    pub(crate) tbs: TbsCertificate<'a>,
}

impl<'a> Unverified<'a> {
    /// Takes `der` apart: one certificate, no byte more, of an algorithm that our CA signs with.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Self, NotOurs> {
        if der.len() > MAX_CERTIFICATE {
            return Err(NotOurs::TooLong);
        }
        let frame = Frame::split(der).ok_or(NotOurs::Malformed)?;
        // The frame's body is one element, so nothing is left after it.
        let (_, tbs) =
            TbsCertificateParser::new().parse(frame.body).map_err(|_| NotOurs::Malformed)?;
        let inner = &tbs.signature;
        let same = inner.algorithm == OID_SIG_ECDSA_WITH_SHA256 && inner.parameters.is_none();
        if frame.algorithm != ECDSA_WITH_SHA256 || !same {
            return Err(NotOurs::Algorithm);
        }
        Ok(Self { der, frame, tbs })
    }

    /// Checks that `issuer` signed it and is named in it.
    pub(crate) fn check_issuer(&self, subject: &[u8], issuer: &PublicKey) -> Result<(), NotOurs> {
        if self.tbs.issuer.as_raw() != subject {
            return Err(NotOurs::Issuer);
        }
        issuer.verify_der(self.frame.body, self.frame.signature).map_err(|_| NotOurs::Signature)
    }

    /// The fields that every kind of certificate has, each within this PKI's bounds.
    pub(crate) fn common(&self) -> Result<Common, Fault> {
        if self.tbs.version != X509Version::V3 {
            return Err(Fault::Version);
        }
        let (not_before, not_after) = self.period()?;
        Ok(Common { serial: self.serial()?, public_key: self.public_key()?, not_before, not_after })
    }

    /// The extensions that are understood. Any other one must not be critical.
    pub(crate) fn extensions(&self) -> Result<Extensions<'_>, Fault> {
        self.tbs.extensions_map().map_err(|_| Fault::Extensions)?;
        let mut known = Extensions::default();
        for extension in self.tbs.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(value) => known.basic_constraints = Some(value),
                ParsedExtension::KeyUsage(value) => known.key_usage = Some(value),
                ParsedExtension::ExtendedKeyUsage(value) => known.extended_key_usage = Some(value),
                ParsedExtension::SubjectAlternativeName(value) => known.names = Some(value),
                ParsedExtension::NameConstraints(value) => known.name_constraints = Some(value),
                ParsedExtension::ParseError { .. } => return Err(Fault::Extensions),
                _ if extension.critical => return Err(Fault::UnknownCritical),
                _ => {}
            }
        }
        Ok(known)
    }

    fn public_key(&self) -> Result<PublicKey, Fault> {
        PublicKey::from_spki(self.tbs.subject_pki.raw).map_err(|_| Fault::Key)
    }

    fn serial(&self) -> Result<Serial, Fault> {
        Serial::from_der(self.tbs.raw_serial()).ok_or(Fault::Serial)
    }

    fn period(&self) -> Result<(UnixMillis, UnixMillis), Fault> {
        let validity = &self.tbs.validity;
        let not_before = millis(&validity.not_before).ok_or(Fault::Period)?;
        let not_after = millis(&validity.not_after).ok_or(Fault::Period)?;
        (not_before <= not_after).then_some((not_before, not_after)).ok_or(Fault::Period)
    }
}

/// The fields that every kind of certificate has.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) serial: Serial,
    pub(crate) public_key: PublicKey,
    pub(crate) not_before: UnixMillis,
    pub(crate) not_after: UnixMillis,
}

/// The extensions that are understood, each present at most once.
#[derive(Debug, Default)]
pub(crate) struct Extensions<'a> {
    pub(crate) basic_constraints: Option<&'a BasicConstraints>,
    pub(crate) key_usage: Option<&'a KeyUsage>,
    pub(crate) extended_key_usage: Option<&'a ExtendedKeyUsage<'a>>,
    pub(crate) name_constraints: Option<&'a NameConstraints<'a>>,
    names: Option<&'a SubjectAlternativeName<'a>>,
}

impl<'a> Extensions<'a> {
    /// The alternative names, none if there is no such extension.
    pub(crate) fn names(&self) -> &'a [GeneralName<'a>] {
        self.names.map_or(&[], |names| &names.general_names)
    }

    /// May the key certify others, by either of the extensions that say so?
    pub(crate) fn has_authority(&self) -> bool {
        self.basic_constraints.is_some_and(|constraints| constraints.ca)
            || self.key_usage.is_some_and(|usage| usage.key_cert_sign() || usage.crl_sign())
    }

    /// Whether a CA may certify for TLS, in both roles, and for nothing else.
    pub(crate) fn is_for_tls_alone(&self) -> bool {
        let usage = self.extended_key_usage;
        usage.is_some_and(|it| it.client_auth && it.server_auth && !has_other_usage(it))
    }

    /// The rules of both leaf profiles: no authority, no limits of one, and a key that signs.
    pub(crate) fn check_leaf(&self) -> Result<(), Fault> {
        if self.name_constraints.is_some() {
            return Err(Fault::UnknownCritical);
        }
        if self.has_authority() {
            return Err(Fault::Authority);
        }
        let signs = self.key_usage.is_some_and(KeyUsage::digital_signature);
        signs.then_some(()).ok_or(Fault::KeyUsage)
    }

    /// What TLS role the certificate is for. webpki would take a missing extension for every role.
    pub(crate) fn role(&self) -> Role {
        match self.extended_key_usage {
            Some(usage) if has_other_usage(usage) => Role::Other,
            Some(usage) if usage.client_auth && !usage.server_auth => Role::Client,
            Some(usage) if usage.server_auth && !usage.client_auth => Role::Server,
            _ => Role::Other,
        }
    }
}

/// The one TLS role that a leaf certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
    /// None, both, or something else besides.
    Other,
}

fn has_other_usage(usage: &ExtendedKeyUsage<'_>) -> bool {
    usage.any
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty()
}

fn millis(time: &ASN1Time) -> Option<UnixMillis> {
    u64::try_from(time.timestamp()).ok()?.checked_mul(1000).map(UnixMillis)
}
