//! A fan-out in memory over mutual TLS and nothing else: what this machine and this load program
//! can do at most. Whoever sends the byte `S` is a receiver; all else is payloads for all of them.

use crate::broker::{Found, PAYLOAD, Stream, moment};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

type Receivers = Arc<Mutex<Vec<mpsc::UnboundedSender<Arc<[u8]>>>>>;

/// Says its port and serves until stdin ends.
pub(crate) async fn serve(data: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    std::io::stdout().flush().expect("stdout");
    let acceptor = TlsAcceptor::from(Arc::new(config(data)));
    let receivers = Receivers::default();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (acceptor, receivers) = (acceptor.clone(), Arc::clone(&receivers));
        tokio::spawn(async move {
            stream.set_nodelay(true).expect("a socket");
            if let Ok(stream) = acceptor.accept(stream).await {
                talk(stream, &receivers).await;
            }
        });
    }
}

async fn talk(mut stream: TlsStream<TcpStream>, receivers: &Receivers) {
    let Ok(first) = stream.read_u8().await else { return };
    if first == b'S' {
        let (sender, mut queue) = mpsc::unbounded_channel::<Arc<[u8]>>();
        receivers.lock().expect("no panics").push(sender);
        if stream.write_all(b"S").await.is_err() {
            return;
        }
        let mut bytes = Vec::new();
        while let Some(first) = queue.recv().await {
            bytes.clear();
            bytes.extend_from_slice(&first);
            while bytes.len() < 64 * 1024
                && let Ok(more) = queue.try_recv()
            {
                bytes.extend_from_slice(&more);
            }
            if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
        return;
    }
    let mut payload = vec![first; PAYLOAD];
    let mut filled = 1;
    while stream.read_exact(&mut payload[filled..]).await.is_ok() {
        filled = 0;
        let shared: Arc<[u8]> = payload.as_slice().into();
        let mut receivers = receivers.lock().expect("no panics");
        receivers.retain(|receiver| receiver.send(Arc::clone(&shared)).is_ok());
    }
}

fn config(data: &Path) -> ServerConfig {
    let certificates = |name: &str| {
        let all = CertificateDer::pem_file_iter(data.join(name)).expect("a file");
        all.map(|certificate| certificate.expect("a certificate")).collect::<Vec<_>>()
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificates("ca.crt").remove(0)).expect("a CA");
    let key = PrivateKeyDer::from_pem_file(data.join("server.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(certificates("server.crt"), key)
        .expect("the certificate fits the key");
    config.send_tls13_tickets = 0;
    config
}

pub(crate) async fn subscribe(stream: &mut Stream) {
    stream.write_all(b"S").await.expect("it takes a byte");
    assert_eq!(stream.read_u8().await.expect("a byte"), b'S');
}

pub(crate) fn find(bytes: &[u8]) -> Option<Found> {
    let payload = bytes.get(..PAYLOAD)?;
    Some(Found::Delivery { sent: moment(payload), used: PAYLOAD, reply: None })
}
