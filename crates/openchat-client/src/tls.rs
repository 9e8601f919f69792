//! Whom the client trusts at the other end of TLS: the CA whose key hashes to the pin that came with
//! the invitation, and no other. TLS 1.3 only, no session resumption, so that every connection
//! shows its certificates anew.

use openchat_crypto::sha256;
use openchat_wire::Digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, PeerIncompatible,
    RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::ParsedCertificate,
    version::TLS13,
};
use std::sync::Arc;

/// What a device shows of itself to the messenger.
pub(crate) struct ClientIdentity {
    /// Its certificate in DER.
    pub(crate) certificate: Vec<u8>,
    /// Its key in PKCS#8.
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
}

/// TLS to the server whose CA has `pin`, speaking `alpn` only.
///
/// # Errors
/// What rustls finds wrong with the key or the certificate of `identity`.
pub(crate) fn config(
    alpn: &[u8],
    pin: Digest,
    identity: Option<ClientIdentity>,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(PinnedCa::new(pin, &provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_auth_cert(
            vec![CertificateDer::from(identity.certificate)],
            PrivateKeyDer::Pkcs8(identity.key),
        )?,
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The server shows a CA that is not the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server shows another CA than the pinned one")]
pub(crate) struct AnotherCa {
    /// The pin of the CA it shows, if it shows one at all.
    pub(crate) found: Option<Digest>,
}

/// Accepts a server whose certificate is issued, for the name that was asked for, by the CA with
/// this pin. The server sends the CA's certificate itself; the pin says that it is the right one.
#[derive(Debug)]
struct PinnedCa {
    pin: Digest,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCa {
    fn new(pin: Digest, provider: &CryptoProvider) -> Self {
        Self { pin, algorithms: provider.signature_verification_algorithms }
    }

    fn root<'a>(&self, shown: &'a [CertificateDer<'a>]) -> Result<&'a CertificateDer<'a>, Error> {
        let pinned = |cert: &&CertificateDer<'_>| pin_of(cert).is_some_and(|pin| pin == self.pin);
        shown.iter().find(pinned).ok_or_else(|| {
            let fault = AnotherCa { found: shown.last().and_then(pin_of) };
            CertificateError::Other(OtherError(Arc::new(fault))).into()
        })
    }
}

/// SHA-256 of the certificate's `SubjectPublicKeyInfo`; nothing if it can't be read.
fn pin_of(certificate: &CertificateDer<'_>) -> Option<Digest> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(sha256(&parsed.subject_public_key_info()))
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root(intermediates)?.clone())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        // No intermediates: the CA issues server certificates itself, and nobody else may.
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], now, algorithms)?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
