//! A fan-out in memory over mutual TLS and nothing else: what this machine and this load program
//! can do at most.
//!
//! A client says nine bytes at a time: what it wants, and a topic. `H` is answered and that is all;
//! who says `S` is answered and receives from then on; after `P` come payloads.

use crate::broker::{Found, PAYLOAD, Stream, What};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use std::{
    collections::BTreeMap,
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

/// By topic.
type Receivers = Arc<Mutex<BTreeMap<[u8; 8], Vec<mpsc::UnboundedSender<Arc<[u8]>>>>>>;

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
    let mut said = [0; 9];
    while stream.read_exact(&mut said).await.is_ok() {
        let [what, topic @ ..] = said;
        match what {
            b'S' => return receive(stream, receivers, topic).await,
            b'P' => return publish(stream, receivers, topic).await,
            _ => {
                if stream.write_all(&[what]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn receive(mut stream: TlsStream<TcpStream>, receivers: &Receivers, topic: [u8; 8]) {
    let (sender, mut queue) = mpsc::unbounded_channel::<Arc<[u8]>>();
    receivers.lock().expect("no panics").entry(topic).or_default().push(sender);
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
}

/// Hands on each payload for itself, as a relay that looks at each one does.
async fn publish(mut stream: TlsStream<TcpStream>, receivers: &Receivers, topic: [u8; 8]) {
    let mut bytes = Vec::with_capacity(64 * 1024);
    while matches!(stream.read_buf(&mut bytes).await, Ok(read) if read > 0) {
        let mut all = receivers.lock().expect("no panics");
        let receivers = all.entry(topic).or_default();
        for payload in bytes.chunks_exact(PAYLOAD) {
            let shared: Arc<[u8]> = payload.into();
            receivers.retain(|receiver| receiver.send(Arc::clone(&shared)).is_ok());
        }
        drop(all);
        bytes.drain(..bytes.len() - bytes.len() % PAYLOAD);
    }
    // Whoever is still there has nothing to wait for.
    receivers.lock().expect("no panics").remove(&topic);
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

pub(crate) async fn ping(stream: &mut Stream) {
    ask(stream, b'H', "").await;
}

pub(crate) async fn subscribe(stream: &mut Stream, topic: &str) {
    ask(stream, b'S', topic).await;
}

pub(crate) async fn announce(stream: &mut Stream, topic: &str) {
    stream.write_all(&words(b'P', topic)).await.expect("it takes bytes");
}

async fn ask(stream: &mut Stream, what: u8, topic: &str) {
    stream.write_all(&words(what, topic)).await.expect("it takes bytes");
    assert_eq!(stream.read_u8().await.expect("a byte"), what);
}

/// Topics are told apart by the last eight characters of their names: a clock's lowest digits.
fn words(what: u8, topic: &str) -> [u8; 9] {
    let mut words = [what; 9];
    for (to, from) in words.iter_mut().rev().zip(topic.bytes().rev().take(8)) {
        *to = from;
    }
    words
}

pub(crate) fn find(bytes: &[u8]) -> Option<Found<'_>> {
    let payload = bytes.get(..PAYLOAD)?;
    Some(Found { what: What::Delivery(payload), used: PAYLOAD, reply: None })
}
