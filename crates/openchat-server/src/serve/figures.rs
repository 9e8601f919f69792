//! Figures for Prometheus over plain HTTP, on an address of their own.
//!
//! One request a connection, four connections at once, four KiB and five seconds each: so small a
//! part of HTTP is read here in sixty lines, where a library would bring a protocol that the rest
//! of the server has no use for.

mod text;

use crate::{failure::Failure, serve::admin::Operator};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Readers at once; Prometheus is one.
const MAX_READERS: usize = 4;

/// Bytes of a request's head.
const MAX_HEAD: usize = 4 * 1024;

/// From the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the port.
///
/// # Errors
/// If the system does not grant it.
pub(crate) async fn open(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error: io::Error| {
        let message = format!("can't serve figures at {address}: {error}");
        Failure::config("metrics_listen", message, "choose another --metrics-listen, or off")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Answers for as long as the server runs.
pub(crate) async fn serve(listener: TcpListener, operator: Arc<Operator>) {
    let readers = Arc::new(Semaphore::new(MAX_READERS));
    loop {
        let place = Arc::clone(&readers).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let operator = Arc::clone(&operator);
                tokio::spawn(async move {
                    // Who does not finish in time gets no figures.
                    let _ = timeout(PATIENCE, attend(stream, &operator)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the figures' port accepts nobody");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn attend(mut stream: TcpStream, operator: &Operator) -> io::Result<()> {
    let answer = match asked(&head(&mut stream).await?) {
        Asked::Figures => match text::figures(operator).await {
            Some(figures) => response("200 OK", &figures),
            None => response("503 Service Unavailable", "the store can't be read\n"),
        },
        Asked::Elsewhere => response("404 Not Found", "figures are at /metrics\n"),
        Asked::Otherwise => response("405 Method Not Allowed", "only GET\n"),
        Asked::Nonsense => response("400 Bad Request", "not HTTP\n"),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Everything up to the empty line, or as much as may be.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let (mut head, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        let read = stream.read(&mut chunk).await?;
        head.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let ended = head.windows(4).any(|four| four == b"\r\n\r\n");
        if ended || read == 0 || head.len() >= MAX_HEAD {
            return Ok(head);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Figures,
    Elsewhere,
    Otherwise,
    Nonsense,
}

fn asked(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        [method, path, version] if version.starts_with(b"HTTP/1.") => {
            let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
            match (method, path) {
                (b"GET", b"/metrics") => Asked::Figures,
                (b"GET", _) => Asked::Elsewhere,
                _ => Asked::Otherwise,
            }
        }
        _ => Asked::Nonsense,
    }
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_thing_can_be_asked() {
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Asked::Figures),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Asked::Figures),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::Otherwise),
            ("GET /metrics\r\n\r\n", Asked::Nonsense),
            ("GET /metrics HTTP/2\r\n\r\n", Asked::Nonsense),
            ("", Asked::Nonsense),
        ] {
            assert_eq!(asked(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let flood = tokio::spawn(async move {
            let mut theirs = theirs;
            while theirs.write_all(&[b'a'; 64]).await.is_ok() {}
        });
        let read = head(&mut ours).await.unwrap();
        assert!((MAX_HEAD..MAX_HEAD + 512).contains(&read.len()));
        drop(ours);
        flood.await.unwrap();
    }
}
