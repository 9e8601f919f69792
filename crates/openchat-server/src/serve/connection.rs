//! One TCP connection, from its first byte to what it turns out to be.

use crate::{
    metrics::METRICS,
    output::Event,
    serve::{
        Server,
        address::Address,
        enrollment,
        gate::Place,
        refusal::Refused,
        session::{self, Member},
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
use tokio_rustls::server::TlsStream;

/// How long an alert or a last frame may travel.
const LINGER: Duration = Duration::from_secs(1);

/// Bytes that are read and dropped meanwhile.
const MAX_LINGER: u64 = 64 * 1024;

/// Attends to a connection until its end.
pub(crate) async fn attend(server: &Server, tcp: TcpStream, peer: SocketAddr) {
    let place = server.gate.enter(Address::of(peer.ip()));
    match arrive(server, &place, tcp).await {
        Ok(Arrived::Newcomer(stream)) => newcomer(server, &place, *stream, peer).await,
        Ok(Arrived::Member(stream, who, until)) => {
            drop(place);
            METRICS.sessions.one();
            session::serve(server, *stream, Member { who, peer, until }).await;
        }
        Err(Failed { why, tcp }) => {
            refuse(server, peer, &why);
            if let Some(mut tcp) = tcp {
                linger(&mut tcp).await;
            }
        }
    }
}

async fn arrive(server: &Server, place: &Place<'_>, tcp: TcpStream) -> Result<Arrived, Failed> {
    let only = |why| Failed { why, tcp: None };
    // Without it an answer waits for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(|error| only(error.into()))?;
    tokio::select! {
        arrived = timeout(HANDSHAKE_TIMEOUT, server.tls.accept(tcp)) => {
            arrived.unwrap_or(Err(only(Refused::Late)))
        }
        () = place.evicted() => Err(only(Refused::Crowded)),
        () = server.phase.draining() => Err(only(Refused::Stopping)),
    }
}

/// A newcomer has proved nothing yet, so it keeps its place, and may lose it.
async fn newcomer(
    server: &Server,
    place: &Place<'_>,
    mut stream: TlsStream<TcpStream>,
    peer: SocketAddr,
) {
    let enrolled = tokio::select! {
        enrolled = timeout(ENROLL_TIMEOUT, enrollment::serve(server, &mut stream, peer)) => {
            enrolled.unwrap_or(Err(Refused::NoRequest))
        }
        () = place.evicted() => Err(Refused::Crowded),
        () = server.phase.closing() => Err(Refused::Stopping),
    };
    if let Err(why) = enrolled {
        refuse(server, peer, &why);
    }
    linger(&mut stream).await;
}

/// Shows a refusal to the operator.
pub(crate) fn refuse(server: &Server, peer: SocketAddr, why: &Refused) {
    METRICS.refuse(why.kind());
    let reason = why.to_string();
    server.console.show(&Event::Refused { peer, reason: &reason });
    tracing::info!(%peer, reason, "refused");
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
