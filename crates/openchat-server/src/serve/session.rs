//! A member's connection: requests in, answers and tailed entries out.

mod census;
mod pace;
mod seats;

pub(crate) use seats::Sessions;

use crate::{
    clock,
    metrics::METRICS,
    output::Event,
    serve::{
        Server,
        connection::{linger, refuse},
        heads::Herald,
        mailbox::{Letter, Mailbox, Parting},
        members::Standing,
        phase::PhaseWatch,
        readers::Readers,
        refusal::Refused,
        relay_thread::{Asked, Job, Jobs},
        writer,
    },
};
use openchat_relay::{Identity, chain::appends_to};
use openchat_wire::{
    UnixMillis,
    frame::{FrameDecoder, FrameError, to_frame},
    limits::{IDLE_TIMEOUT, MAX_FRAME},
    relay::{Goodbye, Request, ToClient, ToServer},
};
use pace::Excess;
use seats::Seat;
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::server::TlsStream;

/// Requests of one session on their way: as many as share a sync of the disk with one another, which
/// takes as long as deciding fifty of them. Whoever has more to ask waits without holding up others.
const WINDOW: u16 = 128;

/// Bytes of a frame beyond which it is large. A person sends one such frame at a time, over all its
/// connections: the largest takes megabytes, and some more of memory until it is decided.
const LARGE: usize = 64 * 1024;

/// Bytes that a session reads at once when there is little: ten thousand idle ones have so many each.
const RESTING: usize = 2 * 1024;

/// The same once that was too little: what a TLS record carries at most.
const BUSY: usize = 16 * 1024;

/// How long a connection that ends may still take what waits for it.
const PARTING: Duration = Duration::from_secs(2);

/// The same for one that is cut: whoever is revoked is gone within a second.
const CUTTING: Duration = Duration::from_millis(500);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("closed by the client")]
    Closed,
    #[error("connection lost: {0}")]
    Lost(io::ErrorKind),
    #[error("silent for {} s", IDLE_TIMEOUT.as_secs())]
    Silent,
    #[error("took nothing for {} s", IDLE_TIMEOUT.as_secs())]
    Stalled,
    #[error("malformed: {0}")]
    Malformed(#[from] FrameError),
    #[error("the server stops")]
    Stopping,
    #[error("the store failed")]
    Failed,
    #[error("the certificate has expired")]
    Expired,
    #[error("{}", cut_for(*.0))]
    Cut(Goodbye),
    /// The writer did what it was told to.
    #[error("parted")]
    Parted,
}

impl Ended {
    const fn parting(&self) -> Parting {
        match self {
            Self::Malformed(_) => Parting::Saying(Goodbye::Malformed),
            Self::Stopping => Parting::Saying(Goodbye::ShuttingDown),
            Self::Cut(goodbye) => Parting::Saying(*goodbye),
            // Whoever comes back with an expired certificate is told by TLS.
            _ => Parting::Silent,
        }
    }

    const fn patience(&self) -> Duration {
        if matches!(self, Self::Cut(_)) { CUTTING } else { PARTING }
    }
}

const fn cut_for(goodbye: Goodbye) -> &'static str {
    match goodbye {
        Goodbye::Revoked => "the certificate was revoked",
        _ => "the server wants it to end",
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.kind())
    }
}

/// A member at the door: who it is, from where, and until when its certificate holds.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) who: Identity,
    pub(crate) peer: SocketAddr,
    pub(crate) until: UnixMillis,
}

/// Serves a member until either side has enough.
pub(crate) async fn serve(server: &Server, stream: TlsStream<TcpStream>, member: Member) {
    let Member { who, peer, until } = member;
    let Some(seat) = server.sessions.enter(&who) else {
        refuse(server, peer, &Refused::TooMany(who.name, server.sessions.max()));
        return turn_away(stream, Goodbye::TooManySessions).await;
    };
    // Looked at again from the place where a cut would be noticed: a revocation in between has missed
    // both the handshake and this connection.
    if server.members.standing(&who) != Standing::Good {
        refuse(server, peer, &Refused::Revoked(who.name));
        return turn_away(stream, Goodbye::Revoked).await;
    }
    server.console.show(&Event::Connected { name: &who.name, peer });
    tracing::debug!(name = %who.name, key = %who.fingerprint, %peer, "connected");
    let who = Arc::new(who);
    let mailbox = Arc::new(Mailbox::default());
    let ended = talk(server.into(), stream, (&who, &seat, until), &mailbox).await;
    mailbox.close();
    // Before anybody sees that it ended, so that it may be replaced at once.
    drop(seat);
    tracing::debug!(name = %who.name, %peer, reason = %ended, "disconnected");
    let reason = ended.to_string();
    server.console.show(&Event::Disconnected { name: &who.name, peer, reason: &reason });
}

async fn turn_away(mut stream: TlsStream<TcpStream>, goodbye: Goodbye) {
    // Whoever does not listen to the reason gets the end alone.
    let _ = stream.write_all(&to_frame(&ToClient::Goodbye(goodbye))).await;
    linger(&mut stream).await;
}

/// What a session needs of the server.
#[derive(Clone, Copy)]
struct House<'a> {
    jobs: &'a Jobs,
    readers: &'a Readers,
    phase: &'a PhaseWatch,
    herald: &'a Herald,
}

impl<'a> From<&'a Server> for House<'a> {
    fn from(server: &'a Server) -> Self {
        let Server { jobs, readers, phase, herald, .. } = server;
        Self { jobs, readers, phase, herald }
    }
}

/// Reads and writes at once, in one task. When the reading ends, what waits is still written.
async fn talk(
    House { jobs, readers, phase, herald }: House<'_>,
    stream: impl AsyncRead + AsyncWrite,
    (who, seat, until): (&Arc<Identity>, &Seat<'_>, UnixMillis),
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let (mut input, output) = tokio::io::split(stream);
    let mut writer = pin!(writer::run(output, mailbox, readers, herald.heads()));
    let ended = tokio::select! {
        ended = &mut writer => return ended,
        ended = read(jobs, &mut input, (who, seat), mailbox) => ended,
        () = phase.draining() => Ended::Stopping,
        goodbye = seat.cut() => Ended::Cut(goodbye),
        () = clock::reaches(until) => Ended::Expired,
    };
    if matches!(ended, Ended::Stopping) {
        // Answers to what was asked before come until the relay has ended.
        tokio::select! {
            ended = &mut writer => return ended,
            () = phase.closing() => {}
        }
    }
    mailbox.part(ended.parting());
    if timeout(ended.patience(), writer).await.is_ok() && matches!(ended, Ended::Malformed(_)) {
        // Closing while it still sends would reset the connection, and lose the goodbye.
        let _ = timeout(PARTING, drain(&mut input)).await;
    }
    ended
}

/// Takes requests until there are no more.
async fn read(
    jobs: &Jobs,
    input: &mut (impl AsyncRead + Unpin),
    (who, seat): (&Arc<Identity>, &Seat<'_>),
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let asking =
        Asking { jobs, who, seat, mailbox, window: Arc::new(Semaphore::new(WINDOW.into())) };
    let mut decoder = FrameDecoder::<ToServer>::new(MAX_FRAME);
    let mut chunk = vec![0; RESTING];
    let mut large = None;
    loop {
        let bytes = match timeout(IDLE_TIMEOUT, input.read(&mut chunk)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(error)) => return error.into(),
            Ok(Ok(0)) => return Ended::Closed,
            Ok(Ok(read)) => chunk.get(..read).unwrap_or_default(),
        };
        let read = bytes.len();
        seat.shared.allowance.bytes(read).await;
        decoder.push(bytes);
        fit(&mut chunk, read);
        loop {
            let frame = match decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
            if let Err(ended) = asking.ask(frame, large.take()).await {
                return ended;
            }
        }
        if decoder.pending() > LARGE && large.is_none() {
            large = Arc::clone(&seat.shared.large).acquire_owned().await.ok();
        }
    }
}

/// Fits what is read at once to how much there was.
fn fit(chunk: &mut Vec<u8>, read: usize) {
    if read == chunk.len() {
        chunk.resize(BUSY, 0);
    } else if read < RESTING && chunk.len() > RESTING {
        chunk.truncate(RESTING);
        chunk.shrink_to_fit();
    }
}

/// The way of a session's requests to the relay.
struct Asking<'a> {
    jobs: &'a Jobs,
    who: &'a Arc<Identity>,
    seat: &'a Seat<'a>,
    mailbox: &'a Arc<Mailbox>,
    /// Places for what is under way, from the request to the written answer.
    window: Arc<Semaphore>,
}

impl Asking<'_> {
    /// Asks the relay when it is this person's turn.
    async fn ask(&self, frame: ToServer, large: Option<OwnedSemaphorePermit>) -> Result<(), Ended> {
        if let Err(excess) = self.seat.shared.allowance.request(&frame.request).await {
            return self.refuse(&frame, excess).await;
        }
        // What may be large goes alone: what waits in memory is bounded by bytes too.
        let brings_much =
            matches!(frame.request, Request::ReadCommits { .. } | Request::ReadTransparency(_));
        let is_alone = large.is_some() || brings_much;
        let window = self.places(if is_alone { WINDOW } else { 1 }).await?;
        let turn = Arc::clone(&self.seat.shared.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Ended::Failed)?;
        let (who, mailbox) = (Arc::clone(self.who), Arc::clone(self.mailbox));
        let asked = Asked { who, mailbox, frame, window, turn, large };
        if self.jobs.put(Job::Request(asked)).await { Ok(()) } else { Err(Ended::Stopping) }
    }

    /// Answers in the relay's place, behind the answers to everything before.
    async fn refuse(&self, frame: &ToServer, excess: Excess) -> Result<(), Ended> {
        METRICS.paced.one();
        tracing::info!(name = %self.who.name, limit = excess.kind().name(), "asks for too much");
        let window = self.places(WINDOW).await?;
        let answer = Err(excess.refusal());
        self.mailbox.note(appends_to(&frame.request), &answer);
        let answer = to_frame(&ToClient::Answer { id: frame.id, answer });
        self.mailbox.put(Letter::Answer(answer, window));
        Ok(())
    }

    async fn places(&self, count: u16) -> Result<OwnedSemaphorePermit, Ended> {
        let places = Arc::clone(&self.window).acquire_many_owned(count.into()).await;
        places.map_err(|_| Ended::Failed)
    }
}

async fn drain(input: &mut (impl AsyncRead + Unpin)) {
    let mut chunk = [0; 4096];
    while input.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests;
