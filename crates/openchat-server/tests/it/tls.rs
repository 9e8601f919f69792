//! Clients that speak raw TLS to a server, and frames in it.

use crate::server::Server;
use openchat_crypto::IdentityKey;
use openchat_wire::{
    Blob, Fingerprint, enroll,
    frame::{FrameDecoder, to_frame},
    relay::{self, Answer, Refusal, Request, ToClient, ToServer},
};
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    sign::CertifiedKey,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::VecDeque, io, net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate, and the key to prove it with, which need not belong together.
pub(crate) struct Device {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: IdentityKey,
}

/// A TLS connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
    /// Who has come and gone, as it was told beside everything else.
    presence: VecDeque<(Vec<Fingerprint>, Vec<Fingerprint>)>,
    /// Heads of the transparency log, likewise.
    heads: VecDeque<Blob>,
}

impl Server {
    pub(crate) async fn connect(&self, device: &Device) -> Connection {
        self.dial(&[relay::ALPN], Some(device)).await.unwrap()
    }

    pub(crate) async fn connect_to_enroll(&self) -> Connection {
        self.dial(&[enroll::ALPN], None).await.unwrap()
    }

    /// How the server refuses a member with this certificate.
    pub(crate) async fn refuses(&self, device: Option<&Device>) -> AlertDescription {
        self.alert(&[relay::ALPN], device).await
    }

    /// The alert that ends a connection, during the handshake or after it.
    pub(crate) async fn alert(&self, alpn: &[&[u8]], device: Option<&Device>) -> AlertDescription {
        let error = match self.dial(alpn, device).await {
            Ok(mut connection) => {
                // As a client does that takes itself for accepted.
                let _ = connection.stream.write_all(&ping(1)).await;
                connection.stream.read_u8().await.unwrap_err()
            }
            Err(error) => error,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("{error:?}"),
        }
    }

    pub(crate) async fn dial(
        &self,
        alpn: &[&[u8]],
        device: Option<&Device>,
    ) -> io::Result<Connection> {
        self.dial_as("127.0.0.1", alpn, device).await
    }

    /// Connects, and accepts only a server that the CA certified for `host`.
    pub(crate) async fn dial_as(
        &self,
        host: &'static str,
        alpn: &[&[u8]],
        device: Option<&Device>,
    ) -> io::Result<Connection> {
        self.dial_on(self.tcp().await, host, alpn, device).await
    }

    /// Connects as a member from another of this machine's own addresses.
    pub(crate) async fn connect_from(
        &self,
        from: Ipv4Addr,
        device: &Device,
    ) -> io::Result<Connection> {
        self.finish(self.tcp_from(from).await?, device).await
    }

    /// Goes on with a connection that has begun as a member's.
    pub(crate) async fn finish(&self, tcp: TcpStream, device: &Device) -> io::Result<Connection> {
        self.dial_on(tcp, "127.0.0.1", &[relay::ALPN], Some(device)).await
    }

    async fn dial_on(
        &self,
        tcp: TcpStream,
        host: &'static str,
        alpn: &[&[u8]],
        device: Option<&Device>,
    ) -> io::Result<Connection> {
        let mut roots = RootCertStore::empty();
        roots.add(self.place.certificate("ca.crt")).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match device {
            None => builder.with_no_client_auth(),
            Some(device) => builder.with_client_cert_resolver(Arc::new(device.shown())),
        };
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let name = ServerName::try_from(host).unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        let stream = timeout(PATIENCE, connecting).await.unwrap()?;
        Ok(Connection::new(stream))
    }

    pub(crate) async fn tcp_from(&self, from: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let tcp = socket.connect(self.address.parse().unwrap()).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }
}

impl Connection {
    pub(crate) fn new(stream: TlsStream<TcpStream>) -> Self {
        let (presence, heads) = (VecDeque::new(), VecDeque::new());
        Self { stream, received: Vec::new(), presence, heads }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Whether the other side takes it.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The next frame; `None` when the server has ended the connection properly.
    pub(crate) async fn receive<T: Serialize + DeserializeOwned>(&mut self) -> Option<T> {
        self.try_receive().await.unwrap()
    }

    /// The same, or how else the connection ended.
    pub(crate) async fn try_receive<T: Serialize + DeserializeOwned>(
        &mut self,
    ) -> io::Result<Option<T>> {
        loop {
            let mut decoder = FrameDecoder::new(4_000_000);
            decoder.push(&self.received);
            if let Some(frame) = decoder.next_frame().unwrap() {
                let bytes = to_frame(&frame);
                self.received.drain(..bytes.len());
                match aside(&bytes) {
                    Some(ToClient::Presence { online, offline, .. }) => {
                        self.presence.push_back((online, offline));
                        continue;
                    }
                    Some(ToClient::Head(head)) => {
                        self.heads.push_back(head);
                        continue;
                    }
                    _ => {}
                }
                return Ok(Some(frame));
            }
            let mut chunk = vec![0; 16_384];
            let read = timeout(PATIENCE, self.stream.read(&mut chunk)).await.unwrap()?;
            if read == 0 {
                return Ok(None);
            }
            self.received.extend_from_slice(&chunk[..read]);
        }
    }

    pub(crate) async fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.send(&to_frame(&ToServer { id: 7, request })).await;
        match self.receive().await {
            Some(ToClient::Answer { id: 7, answer }) => answer,
            frame => panic!("{frame:?}"),
        }
    }

    /// The next word about who has come and who has gone.
    pub(crate) async fn presence(&mut self) -> (Vec<Fingerprint>, Vec<Fingerprint>) {
        loop {
            if let Some(presence) = self.presence.pop_front() {
                return presence;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(self.is_served().await);
        }
    }

    /// Whether anything was told of who comes and goes.
    pub(crate) async fn has_presence(&mut self) -> bool {
        assert!(self.is_served().await);
        !self.presence.is_empty()
    }

    /// The next head; waits for it.
    pub(crate) async fn head(&mut self) -> Blob {
        loop {
            if let Some(head) = self.heads.pop_front() {
                return head;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(self.is_served().await);
        }
    }

    /// Heads that were told so far.
    pub(crate) async fn heads(&mut self) -> Vec<Blob> {
        assert!(self.is_served().await);
        self.heads.drain(..).collect()
    }

    /// Whether the server answers.
    pub(crate) async fn is_served(&mut self) -> bool {
        self.ask(Request::Ping).await == Ok(Answer::Done)
    }

    pub(crate) fn tickets(&self) -> u32 {
        self.stream.get_ref().1.tls13_tickets_received()
    }
}

/// A frame that may come beside what somebody waits for.
fn aside(frame: &[u8]) -> Option<ToClient> {
    let mut decoder = FrameDecoder::<ToClient>::new(4_000_000);
    decoder.push(frame);
    decoder.next_frame().ok().flatten()
}

pub(crate) fn ping(id: u32) -> Vec<u8> {
    to_frame(&ToServer { id, request: Request::Ping })
}

impl Device {
    pub(crate) fn shown(&self) -> Shown {
        let der = PrivatePkcs8KeyDer::from(self.key.to_pkcs8().to_vec());
        let key = aws_lc_rs::sign::any_ecdsa_type(&PrivateKeyDer::Pkcs8(der)).unwrap();
        Shown(Arc::new(CertifiedKey::new(vec![self.certificate.clone()], key)))
    }
}

/// Shows a certificate, whatever the server asks for.
#[derive(Debug)]
pub(crate) struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
