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
use rusqlite::{Connection, OpenFlags};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{cipher_suite, default_provider, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::TLS13,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Bytes of the largest answer while enrolling.
const MAX_ANSWER: usize = 64 * 1024;

/// The limits of what one person and one address may ask, out of the way: the load comes from few
/// of them, and no peer has any.
pub(crate) const UNLIMITED: &str = "[limits]\n\
    handshakes = 65536\nhandshakes_an_address = 65536\nconnections_an_address = 1048576\n\
    requests_a_second = 1000000\nentries_a_second = 1000000\nbytes_a_second = 268435456\n";

/// The limits that a server has by itself.
pub(crate) const LIMITED: &str = "";

/// Somebody with a certificate.
pub(crate) struct Person {
    pub(crate) name: Name,
    pub(crate) key: IdentityKey,
    /// Mutual TLS as this person, with our protocol and without one. Made once: a peer's figure is
    /// not to hold what it costs to read a key.
    messenger: TlsConnector,
    plain: TlsConnector,
}

/// The server that certifies, and everybody it has certified.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) people: Vec<Person>,
    /// What the CA says of the server's own keys.
    pub(crate) server_keys: Option<ServerKeys>,
    /// Bytes of database that each of the people takes.
    pub(crate) bytes_a_person: f64,
}

impl Stage {
    /// A new server, configured by this, and so many people.
    pub(crate) async fn set(count: usize, config: &str) -> Self {
        let mut server = Server::prepare(&[]);
        std::fs::write(server.data().join("config.toml"), config).expect("a configuration");
        server.run();
        let mut stage =
            Self { server, people: Vec::new(), server_keys: None, bytes_a_person: f64::NAN };
        let before = stage.database_bytes();
        let mut roots = RootCertStore::empty();
        for number in 0..count {
            let (person, enrolled) = enroll(&stage.server, &mut roots, number).await;
            stage.server_keys.get_or_insert(enrolled);
            stage.people.push(person);
        }
        stage.bytes_a_person = ratio(stage.database_bytes().saturating_sub(before), count);
        stage
    }

    /// Mutual TLS as somebody, to our server.
    pub(crate) fn messenger(&self, who: usize) -> &TlsConnector {
        &self.people[who % self.people.len()].messenger
    }

    /// Mutual TLS as somebody, to another server with a certificate of this CA.
    pub(crate) fn plain(&self, who: usize) -> &TlsConnector {
        &self.people[who % self.people.len()].plain
    }

    /// Bytes of the server's database, also those that are in its write-ahead log only.
    pub(crate) fn database_bytes(&self) -> u64 {
        let file = self.server.data().join("openchat.db");
        let database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = database.expect("a database");
        let pragma = |name| database.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        u64::from(pragma("page_count").expect("a number"))
            * u64::from(pragma("page_size").expect("a number"))
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address().parse().expect("an address")
    }
}

/// A client's settings. One suite and one key exchange, which every peer knows: left to themselves
/// they would agree on different ones.
fn client() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![kx_group::X25519],
        ..default_provider()
    };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
}

/// Mutual TLS with what somebody was given.
fn mutual(
    roots: &Arc<RootCertStore>,
    key: &IdentityKey,
    certificate: &[u8],
    alpn: Option<&[u8]>,
) -> TlsConnector {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec()));
    let mut config = client()
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(vec![certificate.to_vec().into()], key)
        .expect("the certificate fits the key");
    config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

/// Bytes for each of so many.
pub(crate) fn ratio(bytes: u64, count: usize) -> f64 {
    let float = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    float(bytes) / float(u64::try_from(count).unwrap_or(u64::MAX))
}

/// A connection to a server on this machine.
pub(crate) async fn connect(tls: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    upgrade(tls, stream).await
}

/// The same with a socket that has been set up.
pub(crate) async fn connect_from(
    socket: TcpSocket,
    tls: &TlsConnector,
    address: SocketAddr,
) -> TlsStream<TcpStream> {
    upgrade(tls, socket.connect(address).await.expect("the server listens")).await
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
    let key = IdentityKey::generate(&mut crate::load::rng());
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
    let trusted = Arc::new(roots.clone());
    let certificate = &enrolled.certificate.0;
    let messenger = mutual(&trusted, &key, certificate, Some(openchat_wire::relay::ALPN));
    let plain = mutual(&trusted, &key, certificate, None);
    let ca = CaCertificate::pinned(&enrolled.ca.0, &invitation.ca_pin).expect("a CA");
    let stated = ServerKeys::verify(&enrolled.server_keys.0, &ca).expect("stated");
    (Person { name, key, messenger, plain }, stated)
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
