//! Coming back without showing a certificate: there is no way.

use crate::{
    operator::said,
    server::Server,
    tls::{Connection, Device},
};
use openchat_wire::{enroll, relay};
use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, RootCertStore,
    client::{ClientSessionMemoryCache, Resumption},
    crypto::aws_lc_rs,
    pki_types::ServerName,
};
use std::{io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A client that would resume, with early data, if it were let.
fn eager(server: &Server, device: Option<&Device>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(server.place.certificate("ca.crt")).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let (mut config, alpn) = match device {
        None => (builder.with_no_client_auth(), enroll::ALPN),
        Some(device) => (builder.with_client_cert_resolver(Arc::new(device.shown())), relay::ALPN),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(32)));
    config.enable_early_data = true;
    TlsConnector::from(Arc::new(config))
}

async fn connect(server: &Server, tls: &TlsConnector) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    tls.connect(name, server.tcp().await).await
}

#[tokio::test]
async fn every_handshake_is_a_whole_one_and_leaves_no_ticket() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    for device in [Some(&bob), None] {
        let tls = eager(&server, device);
        for _ in 0..3 {
            let stream = connect(&server, &tls).await.unwrap();
            let ours = stream.get_ref().1;
            assert_eq!(ours.handshake_kind(), Some(HandshakeKind::Full));
            assert!(!ours.is_early_data_accepted());
            let mut connection = Connection::new(stream);
            if device.is_some() {
                // A ticket would have come before this answer.
                assert!(connection.is_served().await);
            }
            assert_eq!(connection.tickets(), 0);
        }
    }
}

#[tokio::test]
async fn a_revoked_client_that_would_resume_shows_its_certificate_and_is_refused() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let tls = eager(&server, Some(&bob));
    let mut before = Connection::new(connect(&server, &tls).await.unwrap());
    assert!(before.is_served().await);
    said(&server.place, &["user", "revoke", "bob"]);
    let refused = match connect(&server, &tls).await {
        Err(error) => error,
        Ok(stream) => Connection::new(stream).try_receive::<relay::ToClient>().await.unwrap_err(),
    };
    let alert = refused.get_ref().and_then(|inner| inner.downcast_ref());
    let revoked = rustls::Error::AlertReceived(AlertDescription::CertificateRevoked);
    assert_eq!(alert, Some(&revoked), "{refused}");
}
