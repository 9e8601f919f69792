//! A newcomer's connection: one request, one answer.

use crate::{
    metrics::METRICS,
    output::Event,
    serve::{Server, refusal::Refused, relay_thread::Job},
};
use openchat_wire::{
    enroll::EnrollRequest,
    frame::{FrameDecoder, to_frame},
    limits::MAX_ENROLL_FRAME,
};
use std::{io, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// Answers a request to enroll.
///
/// # Errors
/// Why there was no request, or no certificate.
pub(crate) async fn serve(
    server: &Server,
    stream: &mut TlsStream<TcpStream>,
    peer: SocketAddr,
) -> Result<(), Refused> {
    let request = read(stream).await?;
    let name = request.name.clone();
    let outcome = server.jobs.ask(|reply| Job::Enroll(request, reply)).await;
    let outcome = outcome.ok_or(Refused::Stopping)?;
    // A device that missed the answer asks again, with the same invitation.
    let _ = stream.write_all(&to_frame(&outcome.answer)).await;
    match &outcome.answer {
        Ok(enrolled) => {
            METRICS.enrolled.one();
            server.console.show(&Event::Enrolled { name: &name, peer, index: enrolled.index });
            tracing::info!(%name, %peer, index = enrolled.index, "{}", outcome.reason);
            Ok(())
        }
        Err(_) => Err(Refused::Enrollment { name, reason: outcome.reason }),
    }
}

async fn read(stream: &mut TlsStream<TcpStream>) -> Result<EnrollRequest, Refused> {
    let mut decoder = FrameDecoder::new(MAX_ENROLL_FRAME);
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk).await?;
        let bytes = chunk.get(..read).filter(|bytes| !bytes.is_empty());
        decoder.push(bytes.ok_or(Refused::Lost(io::ErrorKind::UnexpectedEof))?);
        if let Some(request) = decoder.next_frame()? {
            return Ok(request);
        }
    }
}
