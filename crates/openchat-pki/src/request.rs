//! Certification requests (PKCS#10, RFC 2986): made by a device, judged by the authority.
//!
//! Of a request the authority takes nothing but the public key, whose possession its signature
//! proves. What else it asks decides nothing; still, one that asks for a name or a power it won't
//! get is refused, so that nobody is left thinking to have got it.

use crate::{
    der::{ECDSA_WITH_SHA256, Frame},
    signer::Signer,
};
use openchat_crypto::{IdentityKey, PublicKey};
use openchat_wire::{Name, limits::MAX_CSR};
use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};
use x509_parser::{
    certification_request::X509CertificationRequestInfo,
    cri_attributes::ParsedCriAttribute,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    x509::X509Version,
};

/// The request, in DER, of the device that holds `key` for a certificate on `name`.
///
/// # Errors
/// [`CsrError::Malformed`] if the encoder can't write it, which no name leads to.
pub fn certification_request(key: &IdentityKey, name: &Name) -> Result<Vec<u8>, CsrError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    let alternative = name.as_str().try_into().map_err(|_| CsrError::Malformed)?;
    params.subject_alt_names = vec![SanType::DnsName(alternative)];
    let request = params.serialize_request(&Signer(key)).map_err(|_| CsrError::Malformed)?;
    Ok(request.der().to_vec())
}

/// A request as it came: readable, and nothing more is known about it.
#[derive(Debug)]
pub struct UnverifiedCsr<'a> {
    frame: Frame<'a>,
    info: X509CertificationRequestInfo<'a>,
}

/// A request whose sender holds the key, for a name that the request does not contradict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    name: Name,
    public_key: PublicKey,
}

impl<'a> UnverifiedCsr<'a> {
    /// Takes a request apart: at most [`MAX_CSR`] bytes, no byte after it.
    ///
    /// # Errors
    /// [`CsrError::TooLong`], [`CsrError::Malformed`], [`CsrError::Algorithm`].
    pub fn decode(der: &'a [u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CSR {
            return Err(CsrError::TooLong);
        }
        let frame = Frame::split(der).ok_or(CsrError::Malformed)?;
        // The frame's body is one element, so nothing is left after it.
        let (_, info) =
            X509CertificationRequestInfo::from_der(frame.body).map_err(|_| CsrError::Malformed)?;
        if info.version != X509Version::V1 {
            return Err(CsrError::Malformed);
        }
        if frame.algorithm != ECDSA_WITH_SHA256 {
            return Err(CsrError::Algorithm);
        }
        Ok(Self { frame, info })
    }

    /// Checks the request's own signature, and that it asks for nothing but a member's
    /// certificate on `name`.
    ///
    /// # Errors
    /// [`CsrError`], the first that applies in the order of its variants.
    pub fn verify_for(self, name: &Name) -> Result<VerifiedCsr, CsrError> {
        let public_key = self.possessed()?;
        self.check_subject(name)?;
        self.check_extensions(name)?;
        Ok(VerifiedCsr { name: name.clone(), public_key })
    }

    /// The key of a request whose other fields decide nothing: a CA's to its root, which an operator
    /// carries there. Its signature must be by that key.
    ///
    /// # Errors
    /// [`CsrError::Key`], [`CsrError::Signature`].
    pub fn verify_possession(self) -> Result<PublicKey, CsrError> {
        self.possessed()
    }

    fn possessed(&self) -> Result<PublicKey, CsrError> {
        let public_key =
            PublicKey::from_spki(self.info.subject_pki.raw).map_err(|_| CsrError::Key)?;
        public_key
            .verify_der(self.frame.body, self.frame.signature)
            .map_err(|_| CsrError::Signature)?;
        Ok(public_key)
    }

    fn check_subject(&self, name: &Name) -> Result<(), CsrError> {
        let mut names = self.info.subject.iter_common_name();
        let own = names.all(|asked| asked.as_str().is_ok_and(|asked| asked == name.as_str()));
        own.then_some(()).ok_or(CsrError::OtherName)
    }

    fn check_extensions(&self, name: &Name) -> Result<(), CsrError> {
        let requests = self.info.attributes().iter().filter_map(|attribute| {
            match attribute.parsed_attribute() {
                ParsedCriAttribute::ExtensionRequest(request) => Some(&request.extensions),
                _ => None,
            }
        });
        requests
            .flatten()
            .try_for_each(|extension| check_extension(extension.parsed_extension(), name))
    }
}

impl VerifiedCsr {
    /// The name it was checked against.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The key that the sender holds.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

fn check_extension(asked: &ParsedExtension<'_>, name: &Name) -> Result<(), CsrError> {
    let authority = match asked {
        ParsedExtension::BasicConstraints(constraints) => constraints.ca,
        ParsedExtension::KeyUsage(usage) => usage.key_cert_sign() || usage.crl_sign(),
        ParsedExtension::SubjectAlternativeName(names) => {
            return names.general_names.iter().try_for_each(|asked| check_name(asked, name));
        }
        ParsedExtension::ParseError { .. } => return Err(CsrError::Malformed),
        _ => false,
    };
    if authority { Err(CsrError::Authority) } else { Ok(()) }
}

fn check_name(asked: &GeneralName<'_>, name: &Name) -> Result<(), CsrError> {
    match asked {
        GeneralName::DNSName(asked) if *asked == name.as_str() => Ok(()),
        _ => Err(CsrError::OtherName),
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// More than [`MAX_CSR`] bytes.
    #[error("the request is longer than {MAX_CSR} bytes")]
    TooLong,
    /// Not one request in DER and nothing else.
    #[error("the request is malformed")]
    Malformed,
    /// Signed with another algorithm than ecdsa-with-SHA256.
    #[error("the request's signature algorithm is not ecdsa-with-SHA256")]
    Algorithm,
    /// The key is not on P-256, or not in uncompressed form.
    #[error("the request's key is not on P-256")]
    Key,
    /// The sender does not hold the key, or the request was changed.
    #[error("the request's signature is wrong")]
    Signature,
    /// It asks for another name, or for one beside its own.
    #[error("the request asks for another name")]
    OtherName,
    /// It asks to be a CA, or for a key that signs certificates or revocations.
    #[error("the request asks for a CA's power")]
    Authority,
}
