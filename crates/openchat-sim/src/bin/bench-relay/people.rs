//! A server, and people with certificates of its CA.

use openchat_crypto::IdentityKey;
use openchat_pki::{CaCertificate, ServerKeys, certification_request};
use openchat_sim::Server;
use openchat_wire::{
    Blob, Name,
    admin::{AdminAnswer, AdminRequest, SOCKET},
    enroll::{self, EnrollAnswer, EnrollRequest},
    frame::{FrameDecoder, to_frame},
    invitation::Invitation,
};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::TLS13,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Bytes of the largest answer while enrolling.
const MAX_ANSWER: usize = 64 * 1024;

/// Somebody with a certificate.
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
    certificate: CertificateDer<'static>,
}

/// The server that certifies, and everybody it has certified.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    /// What the CA says of the server's own keys.
    pub(crate) server_keys: Option<ServerKeys>,
    roots: Arc<RootCertStore>,
}

impl Stage {
    /// A new server and so many people.
    pub(crate) async fn set(count: usize) -> Self {
        let server = Server::start();
        let mut roots = RootCertStore::empty();
        let mut server_keys = None;
        let mut people = Vec::with_capacity(count);
        for number in 0..count {
            let (person, enrolled) = enroll(&server, &mut roots, number).await;
            server_keys.get_or_insert(enrolled);
            people.push(person);
        }
        Self { server, people, server_keys, roots: Arc::new(roots) }
    }

    /// Mutual TLS as somebody, to any server with a certificate of this CA.
    pub(crate) fn tls(&self, who: usize, alpn: Option<&[u8]>) -> TlsConnector {
        let person = &self.people[who % self.people.len()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(person.key.to_pkcs8().to_vec()));
        let mut config = client()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(vec![person.certificate.clone()], key)
            .expect("the certificate fits the key");
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        config.resumption = Resumption::disabled();
        TlsConnector::from(Arc::new(config))
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address().parse().expect("an address")
    }
}

fn client() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
}

/// A connection to a server on this machine.
pub(crate) async fn connect(tls: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    upgrade(tls, stream).await
}

/// TLS on a connection that has begun without.
pub(crate) async fn upgrade(tls: &TlsConnector, stream: TcpStream) -> TlsStream<TcpStream> {
    stream.set_nodelay(true).expect("a socket");
    let name = ServerName::try_from("localhost").expect("a name");
    tls.connect(name, stream).await.expect("mutual TLS")
}

async fn enroll(server: &Server, roots: &mut RootCertStore, number: usize) -> (Person, ServerKeys) {
    let name: Name = format!("n{number}").parse().expect("a name");
    let mut admin = UnixStream::connect(server.data().join(SOCKET)).await.expect("the socket");
    let invited: AdminAnswer = ask(&mut admin, &AdminRequest::Invite(name.clone())).await;
    let AdminAnswer::Invitation { invitation, ca } = invited else { panic!("no invitation") };
    if roots.is_empty() {
        roots.add(CertificateDer::from(ca.0)).expect("a CA");
    }
    let invitation: Invitation = invitation.parse().expect("an invitation");
    let key = IdentityKey::generate(&mut crate::work::rng());
    let csr = Blob(certification_request(&key, &name).expect("a request"));
    let mut config = client().with_root_certificates(roots.clone()).with_no_client_auth();
    config.alpn_protocols = vec![enroll::ALPN.to_vec()];
    let tls = TlsConnector::from(Arc::new(config));
    let address = server.address().parse().expect("an address");
    let mut stream = connect(&tls, address).await;
    let request = EnrollRequest {
        name: name.clone(),
        invitation: invitation.id,
        secret: invitation.secret,
        csr,
    };
    let enrolled: EnrollAnswer = ask(&mut stream, &request).await;
    let enrolled = enrolled.expect("a certificate");
    let certificate = enrolled.certificate.0.clone().into();
    let ca = CaCertificate::pinned(&enrolled.ca.0, &invitation.ca_pin).expect("a CA");
    let stated = ServerKeys::verify(&enrolled.server_keys.0, &ca).expect("stated");
    (Person { name, key, certificate }, stated)
}

/// One question, one answer.
async fn ask<Q: Serialize, A: DeserializeOwned + Serialize>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    question: &Q,
) -> A {
    stream.write_all(&to_frame(question)).await.expect("it takes the question");
    let mut decoder = FrameDecoder::new(MAX_ANSWER);
    let mut bytes = [0; 4096];
    loop {
        if let Some(answer) = decoder.next_frame().expect("a frame") {
            return answer;
        }
        let read = stream.read(&mut bytes).await.expect("an answer");
        assert!(read > 0, "it closes without an answer");
        decoder.push(&bytes[..read]);
    }
}
