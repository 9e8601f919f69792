//! One TCP connection, from its first byte to what it turns out to be.

use crate::{
    output::Event,
    serve::{
        Server, enrollment,
        gate::Place,
        refusal::Refused,
        session,
        tls::{Arrived, Failed},
    },
};
use openchat_wire::limits::{ENROLL_TIMEOUT, HANDSHAKE_TIMEOUT};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an alert or a last frame may travel.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that are read and dropped meanwhile.
const MAX_LINGER: u64 = 64 * 1024;

/// Attends to a connection until its end, and shows a refusal.
pub(crate) async fn attend(server: &Server, tcp: TcpStream, peer: SocketAddr) {
    if let Err(failed) = arrive(server, tcp, peer).await {
        let reason = failed.why.to_string();
        server.console.show(&Event::Refused { peer, reason: &reason });
        tracing::info!(%peer, reason, "refused");
        if let Some(mut tcp) = failed.tcp {
            linger(&mut tcp).await;
        }
    }
}

async fn arrive(server: &Server, tcp: TcpStream, peer: SocketAddr) -> Result<(), Failed> {
    // Without it an answer waits for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(|error| only(error.into()))?;
    let place = server.gate.enter();
    let handshake = timeout(HANDSHAKE_TIMEOUT, server.tls.accept(tcp));
    let arrived = tokio::select! {
        arrived = handshake => arrived.map_err(|_| only(Refused::Late))??,
        () = place.evicted() => return Err(only(Refused::Crowded)),
    };
    match arrived {
        Arrived::Newcomer(stream) => newcomer(server, &place, *stream, peer).await,
        Arrived::Member(stream, who) => {
            drop(place);
            session::serve(server, *stream, who, peer).await
        }
    }
    .map_err(only)
}

/// A newcomer has proved nothing yet, so it keeps its place, and may lose it.
async fn newcomer(
    server: &Server,
    place: &Place<'_>,
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    peer: SocketAddr,
) -> Result<(), Refused> {
    tokio::select! {
        result = timeout(ENROLL_TIMEOUT, enrollment::serve(server, stream, peer)) => {
            result.unwrap_or(Err(Refused::NoRequest))
        }
        () = place.evicted() => Err(Refused::Crowded),
    }
}

const fn only(why: Refused) -> Failed {
    Failed { why, tcp: None }
}

/// Ends our side and waits for the other's. Closed at once, with bytes of the peer unread, TCP
/// would reset the connection, and the peer might lose what was written last.
pub(crate) async fn linger(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let ending = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MAX_LINGER), &mut tokio::io::sink()).await
    };
    // The connection is over, however it ended.
    let _ = timeout(LINGER, ending).await;
}
