//! TLS 1.3 on one port: two protocols told apart by ALPN, no resumption, so that every connection
//! shows its certificate.

use crate::serve::{
    certificate::ServerIdentity,
    refusal::Refused,
    verifier::{ClientVerifier, Trust},
};
use openchat_relay::Identity;
use openchat_wire::{UnixMillis, enroll, relay};
use rustls::{
    Error, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{
        Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCert,
        danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
    version::TLS13,
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, server::TlsStream};
use zeroize::Zeroize;

/// The alert `no_application_protocol` as a record in the clear (RFC 8446 §5.1, §6.2). rustls
/// sends it only to clients that offered some protocol, and then too late for a choice.
const NO_APPLICATION_PROTOCOL: [u8; 7] = [21, 3, 3, 0, 2, 2, 120];

/// What a finished handshake leads to.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Somebody without a certificate.
    Newcomer(Box<TlsStream<TcpStream>>),
    /// A member, and when its certificate ends.
    Member(Box<TlsStream<TcpStream>>, Identity, UnixMillis),
}

/// What a failed handshake leaves: the reason, and the connection for as long as its alert travels.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: Refused,
    pub(crate) tcp: Option<TcpStream>,
}

/// Both protocols' settings.
#[derive(Debug)]
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    trust: Arc<Trust>,
    shown: Arc<dyn ResolvesServerCert>,
    enrollment: Arc<ServerConfig>,
}

impl Tls {
    /// # Errors
    /// None with this build's provider, which speaks TLS 1.3.
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        trust: Arc<Trust>,
        shown: Arc<dyn ResolvesServerCert>,
    ) -> Result<Self, Error> {
        let enrollment = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown));
        let enrollment = Arc::new(strict(enrollment, enroll::ALPN));
        Ok(Self { provider, trust, shown, enrollment })
    }

    /// Does the handshake, as whichever protocol the client offers.
    ///
    /// # Errors
    /// [`Failed`]; the alert is on its way then.
    pub(crate) async fn accept(&self, tcp: TcpStream) -> Result<Arrived, Failed> {
        let mut acceptor = Box::pin(LazyConfigAcceptor::new(Acceptor::default(), tcp));
        match acceptor.as_mut().await {
            Ok(start) => match offered(&start.client_hello()) {
                Some(Protocol::Messenger) => self.accept_member(start).await,
                Some(Protocol::Enrollment) => self.accept_newcomer(start).await,
                None => Err(refuse_protocol(start.io).await),
            },
            Err(error) => Err(Failed { why: error.into(), tcp: acceptor.take_io() }),
        }
    }

    async fn accept_newcomer(&self, start: StartHandshake<TcpStream>) -> Result<Arrived, Failed> {
        let handshake = start.into_stream(Arc::clone(&self.enrollment)).into_fallible();
        match Box::pin(handshake).await {
            Ok(stream) => Ok(Arrived::Newcomer(Box::new(stream))),
            Err((error, tcp)) => Err(Failed { why: error.into(), tcp: Some(tcp) }),
        }
    }

    async fn accept_member(&self, start: StartHandshake<TcpStream>) -> Result<Arrived, Failed> {
        let verifier = Arc::new(ClientVerifier::new(&self.trust));
        let config = match self.messenger(verifier.clone()) {
            Ok(config) => config,
            Err(error) => return Err(Failed { why: error.into(), tcp: Some(start.io) }),
        };
        let handshake = start.into_stream(config).into_fallible();
        match (Box::pin(handshake).await, verifier.conclude()) {
            (Ok(stream), Ok((who, until))) => Ok(Arrived::Member(Box::new(stream), who, until)),
            (Ok(_), Err(why)) => {
                Err(Failed { why: why.unwrap_or(Refused::NoCertificate), tcp: None })
            }
            (Err((error, tcp)), judged) => {
                let why = judged.err().flatten().unwrap_or_else(|| error.into());
                Err(Failed { why, tcp: Some(tcp) })
            }
        }
    }

    /// Settings for one connection, since its verifier is for one client.
    fn messenger(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<Arc<ServerConfig>, Error> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.shown));
        Ok(Arc::new(strict(config, relay::ALPN)))
    }
}

/// One protocol, and nothing that would let a client come back without its certificate.
fn strict(mut config: ServerConfig, alpn: &[u8]) -> ServerConfig {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Messenger,
    Enrollment,
}

/// What the client offers; the messenger if both.
fn offered(hello: &ClientHello<'_>) -> Option<Protocol> {
    let offers: Vec<&[u8]> = hello.alpn()?.collect();
    if offers.contains(&relay::ALPN) {
        Some(Protocol::Messenger)
    } else {
        offers.contains(&enroll::ALPN).then_some(Protocol::Enrollment)
    }
}

async fn refuse_protocol(mut tcp: TcpStream) -> Failed {
    // A peer that is gone already misses nothing.
    let _ = tcp.write_all(&NO_APPLICATION_PROTOCOL).await;
    Failed { why: Refused::Protocol, tcp: Some(tcp) }
}

/// The certificate that is shown, replaced when it is renewed.
#[derive(Debug)]
pub(crate) struct Shown {
    key: RwLock<Arc<CertifiedKey>>,
}

impl Shown {
    pub(crate) fn new(identity: &ServerIdentity, ca: &[Vec<u8>]) -> Result<Self, Error> {
        Ok(Self { key: RwLock::new(Arc::new(certified(identity, ca)?)) })
    }

    /// The certificate that is shown, in DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        key.cert.first().map(|der| der.to_vec()).unwrap_or_default()
    }

    /// Shows this one from now on; connections that stand are not touched.
    pub(crate) fn replace(&self, identity: &ServerIdentity, ca: &[Vec<u8>]) -> Result<(), Error> {
        let new = Arc::new(certified(identity, ca)?);
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

/// The CA's certificates go along: a newcomer has only its pin, and who was away an earlier one.
fn certified(identity: &ServerIdentity, ca: &[Vec<u8>]) -> Result<CertifiedKey, Error> {
    let der = PrivatePkcs8KeyDer::from(identity.key().to_pkcs8().to_vec());
    let mut der = PrivateKeyDer::Pkcs8(der);
    let key = aws_lc_rs::sign::any_ecdsa_type(&der);
    der.zeroize();
    let chain = std::iter::once(identity.der()).chain(ca.iter().map(Vec::as_slice));
    let chain = chain.map(|der| CertificateDer::from(der.to_vec())).collect();
    Ok(CertifiedKey::new(chain, key?))
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
