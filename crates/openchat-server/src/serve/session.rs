//! A member's connection: requests in, answers and tailed entries out.

use crate::{
    output::Event,
    serve::{
        Server,
        connection::{linger, refuse},
        mailbox::{Mailbox, Parting},
        refusal::Refused,
        relay_thread::{Asked, Job, Jobs},
        writer,
    },
};
use openchat_relay::Identity;
use openchat_wire::{
    Name,
    frame::{FrameDecoder, FrameError, to_frame},
    limits::{IDLE_TIMEOUT, MAX_FRAME, MAX_SESSIONS_A_PERSON},
    relay::{Goodbye, Request, ToClient, ToServer},
};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

/// Requests of one session on their way. It keeps the relay busy over a round trip; whoever has
/// more to ask waits without holding up others.
const WINDOW: u16 = 32;

/// Bytes of an entry that is alone on its way.
const LARGE: usize = 64 * 1024;

/// How long a connection that ends may still take what waits for it.
const PARTING: Duration = Duration::from_secs(2);

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
    /// The writer did what it was told to.
    #[error("parted")]
    Parted,
}

impl Ended {
    const fn parting(&self) -> Parting {
        match self {
            Self::Malformed(_) => Parting::Saying(Goodbye::Malformed),
            Self::Stopping => Parting::Saying(Goodbye::ShuttingDown),
            _ => Parting::Silent,
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Lost(error.kind())
    }
}

/// Serves a member until either side has enough.
pub(crate) async fn serve(
    server: &Server,
    stream: TlsStream<TcpStream>,
    who: Identity,
    peer: SocketAddr,
) {
    let Some(seat) = server.sessions.enter(&who.name) else {
        refuse(server, peer, &Refused::TooMany(who.name));
        return turn_away(stream).await;
    };
    server.console.show(&Event::Connected { name: &who.name, peer });
    tracing::debug!(name = %who.name, key = %who.fingerprint, %peer, "connected");
    let who = Arc::new(who);
    let mailbox = Arc::new(Mailbox::default());
    let ended = talk(server, stream, &who, &mailbox).await;
    mailbox.close();
    // Before anybody sees that it ended, so that it may be replaced at once.
    drop(seat);
    tracing::debug!(name = %who.name, %peer, reason = %ended, "disconnected");
    let reason = ended.to_string();
    server.console.show(&Event::Disconnected { name: &who.name, peer, reason: &reason });
}

async fn turn_away(mut stream: TlsStream<TcpStream>) {
    let goodbye = to_frame(&ToClient::Goodbye(Goodbye::TooManySessions));
    // Whoever does not listen to the reason gets the end alone.
    let _ = stream.write_all(&goodbye).await;
    linger(&mut stream).await;
}

/// Reads and writes at once, in one task. When the reading ends, what waits is still written.
async fn talk(
    server: &Server,
    stream: TlsStream<TcpStream>,
    who: &Arc<Identity>,
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let (mut input, output) = tokio::io::split(stream);
    let mut writer = pin!(writer::run(output, mailbox, &server.readers));
    let ended = tokio::select! {
        ended = &mut writer => return ended,
        ended = read(&server.jobs, &mut input, who, mailbox) => ended,
        () = server.phase.draining() => Ended::Stopping,
    };
    if matches!(ended, Ended::Stopping) {
        // Answers to what was asked before come until the relay has ended.
        tokio::select! {
            ended = &mut writer => return ended,
            () = server.phase.closing() => {}
        }
    }
    mailbox.part(ended.parting());
    if timeout(PARTING, writer).await.is_ok() && matches!(ended, Ended::Malformed(_)) {
        // Closing while it still sends would reset the connection, and lose the goodbye.
        let _ = timeout(PARTING, drain(&mut input)).await;
    }
    ended
}

/// Takes requests until there are no more.
async fn read(
    jobs: &Jobs,
    input: &mut (impl AsyncRead + Unpin),
    who: &Arc<Identity>,
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let window = Arc::new(Semaphore::new(WINDOW.into()));
    let mut decoder = FrameDecoder::<ToServer>::new(MAX_FRAME);
    // Small, because ten thousand idle sessions have one each.
    let mut chunk = [0; 2048];
    loop {
        let bytes = match timeout(IDLE_TIMEOUT, input.read(&mut chunk)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(error)) => return error.into(),
            Ok(Ok(0)) => return Ended::Closed,
            Ok(Ok(read)) => chunk.get(..read).unwrap_or_default(),
        };
        decoder.push(bytes);
        loop {
            let frame = match decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
            let Ok(window) = Arc::clone(&window).acquire_many_owned(cost(&frame)).await else {
                return Ended::Failed;
            };
            let (who, mailbox) = (Arc::clone(who), Arc::clone(mailbox));
            if !jobs.put(Job::Request(Asked { who, mailbox, frame, window })).await {
                return Ended::Stopping;
            }
        }
    }
}

/// Places in the window. A read's answer may be large, so it goes alone.
fn cost(frame: &ToServer) -> u32 {
    match &frame.request {
        Request::ReadCommits { .. } => WINDOW.into(),
        // So large a one goes alone too: what waits in memory is bounded by bytes, not by number.
        Request::Append { entry, .. } if entry.0.len() > LARGE => WINDOW.into(),
        _ => 1,
    }
}

async fn drain(input: &mut (impl AsyncRead + Unpin)) {
    let mut chunk = [0; 4096];
    while input.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
}

/// How many connections each person has.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    counts: Mutex<HashMap<Name, usize>>,
}

/// One of a person's connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    sessions: &'a Sessions,
    name: Name,
}

impl Sessions {
    fn enter(&self, name: &Name) -> Option<Seat<'_>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.clone()).or_default();
        if *count >= MAX_SESSIONS_A_PERSON {
            return None;
        }
        *count = count.saturating_add(1);
        drop(counts);
        Some(Seat { sessions: self, name: name.clone() })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut counts = self.sessions.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Fingerprint, GroupId, Seq};

    fn bob() -> Arc<Identity> {
        let fingerprint = Fingerprint([1; 32]);
        Arc::new(Identity { name: "bob".parse().unwrap(), fingerprint })
    }

    fn frames(request: &Request) -> Vec<u8> {
        let frame = |id| to_frame(&ToServer { id, request: request.clone() });
        (0..1_000).flat_map(frame).collect()
    }

    /// How many requests are under way when none is answered.
    async fn under_way(request: Request) -> usize {
        let (jobs, mut queue) = Jobs::channel();
        let (mut theirs, mut ours) = tokio::io::duplex(1_000_000);
        theirs.write_all(&frames(&request)).await.unwrap();
        let (who, mailbox) = (bob(), Arc::default());
        let reading = read(&jobs, &mut ours, &who, &mailbox);
        assert!(timeout(Duration::from_secs(1), reading).await.is_err());
        let mut asked = Vec::new();
        while let Ok(job) = queue.try_recv() {
            asked.push(job);
        }
        asked.len()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_take_answers_is_not_heard() {
        assert_eq!(under_way(Request::Ping).await, usize::from(WINDOW));
        let read = Request::ReadCommits { log: GroupId([1; 32]), after: Seq(0) };
        assert_eq!(under_way(read).await, 1, "its answer may be large");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() {
        let (jobs, _queue) = Jobs::channel();
        let (_theirs, mut ours) = tokio::io::duplex(10);
        let ended = read(&jobs, &mut ours, &bob(), &Arc::default()).await;
        assert!(matches!(ended, Ended::Silent));
    }

    #[test]
    fn a_person_has_so_many_connections_and_gets_them_back() {
        let sessions = Sessions::default();
        let bob: Name = "bob".parse().unwrap();
        let mut seats: Vec<_> =
            (0..MAX_SESSIONS_A_PERSON).map(|_| sessions.enter(&bob).unwrap()).collect();
        assert!(sessions.enter(&bob).is_none());
        assert!(sessions.enter(&"carol".parse().unwrap()).is_some());
        seats.pop();
        assert!(sessions.enter(&bob).is_some());
        drop(seats);
        assert!(sessions.counts.lock().unwrap().is_empty());
    }
}
