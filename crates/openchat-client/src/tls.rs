//! Whom the client trusts at the other end of TLS: the CA whose key hashes to the pin that came with
//! the invitation, or that its changes lead to from there, and no other. TLS 1.3 only, no session resumption, so that every connection
//! shows its certificates anew.

use crate::authority;
use openchat_pki::{CaCertificate, CaError, Validity};
use openchat_wire::{Digest, UnixMillis};
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a device shows of itself to the messenger.
pub(crate) struct ClientIdentity {
    /// Its certificate in DER.
    pub(crate) certificate: Vec<u8>,
    /// Its key in PKCS#8.
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
}

/// TLS to one server, and whom it has to show.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) trusted: Arc<PinnedCa>,
}

/// TLS to the server whose CA has `pin`, speaking `alpn` only.
///
/// # Errors
/// What rustls finds wrong with the key or the certificate of `identity`.
pub(crate) fn config(
    alpn: &[u8],
    pin: Digest,
    identity: Option<ClientIdentity>,
) -> Result<Tls, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let trusted = Arc::new(PinnedCa::new(pin, &provider));
    let verifier: Arc<PinnedCa> = Arc::clone(&trusted);
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
    Ok(Tls { config: Arc::new(config), trusted })
}

/// The server shows a CA that is not the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server shows another CA than the pinned one")]
pub(crate) struct AnotherCa {
    /// The pin of the CA it shows, if it shows one at all.
    pub(crate) found: Option<Digest>,
}

/// Accepts a server whose certificate is issued, for the name that was asked for, by the CA with
/// this pin, or by the one that this CA has become. The server sends the CA's certificates itself; the
/// pin says that they are the right ones.
#[derive(Debug)]
pub(crate) struct PinnedCa {
    state: Mutex<Pinned>,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
struct Pinned {
    pin: Digest,
    /// What the server of the last handshake has shown: its certificates, and the CA that they are of.
    shown: Option<ShownCa>,
}

/// The CA of a server, as it showed it.
#[derive(Debug, Clone)]
pub(crate) struct ShownCa {
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) ca: CaCertificate,
}

impl PinnedCa {
    fn new(pin: Digest, provider: &CryptoProvider) -> Self {
        let state = Mutex::new(Pinned { pin, shown: None });
        Self { state, algorithms: provider.signature_verification_algorithms }
    }

    /// The key that is trusted now.
    pub(crate) fn pin(&self) -> Digest {
        self.state().pin
    }

    /// The CA of a server that has proved itself, which is trusted from now on in place of the one
    /// before.
    pub(crate) fn settle(&self) -> Option<ShownCa> {
        let mut state = self.state();
        let shown = state.shown.take()?;
        state.pin = shown.ca.pin();
        Some(shown)
    }

    fn state(&self) -> MutexGuard<'_, Pinned> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self, certificates: &[CertificateDer<'_>], now: UnixTime) -> Result<ShownCa, Error> {
        let now = UnixMillis(now.as_secs().saturating_mul(1000));
        let certificates: Vec<Vec<u8>> = certificates.iter().map(|der| der.to_vec()).collect();
        let why = match authority::shown(&certificates, &self.pin(), now) {
            Ok(ca) => return Ok(ShownCa { certificates, ca }),
            Err(why) => why,
        };
        let found = authority::claimed(&certificates, now);
        // The right one, by a wrong clock.
        let is_ours = found == Some(self.pin());
        match why {
            CaError::Change(Validity::Expired) if is_ours => Err(CertificateError::Expired.into()),
            CaError::Change(Validity::NotYet) if is_ours => {
                Err(CertificateError::NotValidYet.into())
            }
            _ => Err(CertificateError::Other(OtherError(Arc::new(AnotherCa { found }))).into()),
        }
    }
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
        let shown = self.shown(intermediates, now)?;
        // The last of them is the pinned one, or where its changes lead. Below a root there is one
        // between it and the server.
        let mut chain: Vec<_> =
            shown.ca.chain().map(|der| CertificateDer::from(der.to_vec())).collect();
        let mut roots = RootCertStore::empty();
        roots.add(chain.pop().ok_or(CertificateError::UnknownIssuer)?)?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &chain, now, algorithms)?;
        verify_server_name(&certificate, server_name)?;
        self.state().shown = Some(shown);
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
