//! The connection to the relay as the session sees it: frames in, frames out, and word of each
//! time it comes or goes. Behind it one task dials, reads, writes and dials again.

use crate::{
    backoff::Backoff,
    dial::{DialError, Dialer, Dialled},
    outside::os_random,
};
use openchat_pki::CaCertificate;
use openchat_wire::{
    frame::{FrameDecoder, FrameError, to_frame},
    limits::{MAX_FRAME, PING_INTERVAL},
    relay::{Goodbye, ToClient, ToServer},
};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// The engine pings after [`PING_INTERVAL`] of silence; without an answer in this time the
/// connection is dead, whatever TCP thinks.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which a connection is given up: under `IDLE_TIMEOUT`, so the client is the first
/// to know.
const MAX_SILENCE: Duration = PING_INTERVAL.saturating_add(ANSWER_TIMEOUT);

/// How long a broken connection is still read, to learn why it broke.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes taken from the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Reads that may wait for the session; then TCP itself holds the server back. A waiting read
/// holds at most its bytes and one frame that they complete.
const WAITING_READS: usize = 8;

/// What happens to the connection.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// It stands, to a server of this CA. What is sent now goes through this sender until it is down.
    Up(Outgoing, Box<CaCertificate>),
    /// The relay said something.
    Frames(Vec<ToClient>),
    /// It is down; the next try comes after `retry`.
    Down {
        /// Why, for the person.
        cause: DialError,
        /// Until the next try.
        retry: Duration,
    },
    /// It is down, and trying again would not help. Nothing comes after this.
    Ended(DialError),
}

/// Takes frames for the relay.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing(mpsc::UnboundedSender<Vec<u8>>);

impl Outgoing {
    /// Sends in the background. On a connection that has broken meanwhile this does nothing: the
    /// session hears of it, and the engine asks again on the next one.
    pub(crate) fn send(&self, frame: &ToServer) {
        let _ = self.0.send(to_frame(frame));
    }
}

/// A task that keeps a connection to the relay.
pub(crate) struct Link {
    dialer: watch::Sender<Dialer>,
    events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Link {
    pub(crate) fn start(dialer: Dialer) -> Self {
        let (sender, events) = mpsc::channel(WAITING_READS);
        let (dialer, current) = watch::channel(dialer);
        let task = tokio::spawn(async move {
            // An error says that the session is gone: there is nobody left to tell.
            let _: Result<(), Gone> = keep(&current, &sender).await;
        });
        Self { dialer, events, task }
    }

    /// Shows the server another certificate from the next connection on.
    pub(crate) fn dial_as(&self, dialer: Dialer) {
        self.dialer.send_replace(dialer);
    }

    /// The next event; `None` after [`LinkEvent::Ended`].
    pub(crate) async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }

    /// The next event that is there already.
    pub(crate) fn try_next(&mut self) -> Option<LinkEvent> {
        self.events.try_recv().ok()
    }

    /// Sends what waits, says goodbye to TLS and ends, within a moment. Drop all senders first.
    pub(crate) async fn close(mut self) {
        self.events.close();
        let _ = timeout(LAST_WORDS, &mut self.task).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The session no longer listens.
struct Gone;

impl<T> From<mpsc::error::SendError<T>> for Gone {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self
    }
}

async fn keep(
    current: &watch::Receiver<Dialer>,
    events: &mpsc::Sender<LinkEvent>,
) -> Result<(), Gone> {
    let mut backoff = Backoff::new();
    loop {
        let start = Instant::now();
        let dialer = current.borrow().clone();
        let cause = match dialer.dial().await {
            Ok(dialled) => converse(dialled, &dialer, events).await?,
            Err(error) => error,
        };
        if !cause.may_pass() {
            return Ok(events.send(LinkEvent::Ended(cause)).await?);
        }
        backoff.ended(start.elapsed());
        let retry = backoff.wait(&mut os_random());
        tracing::debug!(%cause, ?retry, "disconnected");
        events.send(LinkEvent::Down { cause, retry }).await?;
        tokio::select! {
            () = sleep(retry) => {}
            () = events.closed() => return Err(Gone),
        }
    }
}

/// Reads and writes until the connection ends; tells why it did.
async fn converse(
    Dialled { stream, shown }: Dialled,
    dialer: &Dialer,
    events: &mpsc::Sender<LinkEvent>,
) -> Result<DialError, Gone> {
    let (reader, writer) = tokio::io::split(stream);
    let (sender, queue) = mpsc::unbounded_channel();
    events.send(LinkEvent::Up(Outgoing(sender), Box::new(shown.ca))).await?;
    let mut reading = std::pin::pin!(read(reader, dialer, events));
    tokio::select! {
        end = &mut reading => end,
        // Why writing failed, only the stream's last bytes tell: an alert, a goodbye.
        () = write(writer, queue) => timeout(LAST_WORDS, reading)
            .await
            .unwrap_or_else(|_| Ok(DialError::Unreachable("connection lost".to_owned()))),
    }
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    dialer: &Dialer,
    events: &mpsc::Sender<LinkEvent>,
) -> Result<DialError, Gone> {
    let mut decoder = FrameDecoder::new(MAX_FRAME);
    let mut buffer = vec![0; READ_BYTES];
    let mut goodbye = None;
    loop {
        let length = match timeout(MAX_SILENCE, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => return Ok(closed(goodbye)),
            Ok(Ok(length)) => length,
            Ok(Err(error)) => return Ok(broken(goodbye, dialer.read_error(&error))),
            Err(_) => return Ok(DialError::Unreachable("the server fell silent".to_owned())),
        };
        decoder.push(buffer.get(..length).unwrap_or_default());
        let Ok(frames) = frames(&mut decoder) else {
            return Ok(DialError::NotOpenchat);
        };
        goodbye = goodbye.or_else(|| frames.iter().find_map(said_goodbye));
        if !frames.is_empty() {
            events.send(LinkEvent::Frames(frames)).await?;
        }
    }
}

fn frames(decoder: &mut FrameDecoder<ToClient>) -> Result<Vec<ToClient>, FrameError> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

const fn said_goodbye(frame: &ToClient) -> Option<Goodbye> {
    match frame {
        ToClient::Goodbye(why) => Some(*why),
        _ => None,
    }
}

fn closed(goodbye: Option<Goodbye>) -> DialError {
    broken(goodbye, DialError::Unreachable("the server closed the connection".to_owned()))
}

/// What the relay said before is a better reason than the way TCP ended, except for a verdict on
/// this device's certificate.
fn broken(goodbye: Option<Goodbye>, error: DialError) -> DialError {
    match goodbye {
        Some(why) if error.may_pass() => why.into(),
        _ => error,
    }
}

/// Writes what is queued, all that waits at once. Ends when the queue is closed and empty, or the
/// stream takes no more.
async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(mut bytes) = queue.recv().await {
        while let Ok(more) = queue.try_recv() {
            bytes.extend_from_slice(&more);
        }
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
    // A peer that is gone already needs no goodbye.
    let _ = writer.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls;
    use openchat_wire::{
        Digest,
        limits::IDLE_TIMEOUT,
        relay::{ALPN, Answer},
    };

    #[test]
    fn a_goodbye_explains_the_end_but_does_not_hide_a_verdict() {
        let lost = DialError::Unreachable("reset".to_owned());
        let told = broken(Some(Goodbye::ShuttingDown), lost.clone());
        assert_eq!(told, DialError::Unreachable("the server is shutting down".to_owned()));
        assert_eq!(broken(None, lost.clone()), lost);
        assert_eq!(broken(Some(Goodbye::Malformed), DialError::Revoked), DialError::Revoked);
    }

    fn dialer() -> Dialer {
        let pin = Digest([0; 32]);
        let tls = tls::config(ALPN, pin, None).unwrap();
        Dialer { address: "localhost:1".parse().unwrap(), tls }
    }

    /// What reading a stream of these bytes, which then falls silent, gives.
    async fn reading(bytes: &[u8]) -> (Vec<LinkEvent>, DialError) {
        let (near, mut far) = tokio::io::duplex(1024);
        let (sender, mut events) = mpsc::channel(9);
        far.write_all(bytes).await.unwrap();
        let Ok(end) = read(near, &dialer(), &sender).await else { panic!("nobody listens") };
        drop(sender);
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(event);
        }
        (told, end)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection_before_the_server_does() {
        let start = Instant::now();
        let pong = ToClient::Answer { id: 1, answer: Ok(Answer::Done) };
        let (told, end) = reading(&to_frame(&pong)).await;
        assert!(matches!(&told[..], [LinkEvent::Frames(frames)] if *frames == [pong]));
        assert_eq!(end, DialError::Unreachable("the server fell silent".to_owned()));
        assert_eq!(start.elapsed(), PING_INTERVAL + ANSWER_TIMEOUT);
        assert!(MAX_SILENCE < IDLE_TIMEOUT);
    }

    #[tokio::test]
    async fn what_is_no_frame_ends_a_connection() {
        for bytes in [&[0; 4][..], &[0xff; 4], &[0, 0, 0, 2, 9, 0], &[0, 0, 0, 2, 1, 0xff]] {
            let (told, end) = reading(bytes).await;
            assert!(told.is_empty());
            assert_eq!(end, DialError::NotOpenchat, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_waits_is_written_in_order_and_then_the_stream_is_shut() {
        let (near, mut far) = tokio::io::duplex(1024);
        let (sender, queue) = mpsc::unbounded_channel();
        for byte in 1..=3 {
            sender.send(vec![byte; 2]).unwrap();
        }
        drop(sender);
        write(near, queue).await;
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [1, 1, 2, 2, 3, 3]);
    }
}
