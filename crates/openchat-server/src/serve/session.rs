//! A member's connection: requests in, answers and tailed entries out.

mod census;

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
    limits::{IDLE_TIMEOUT, MAX_FRAME},
    relay::{Goodbye, Request, ToClient, ToServer},
};
use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
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

/// Bytes of a frame beyond which it is large. A person sends one such frame at a time, over all its
/// connections: the largest takes megabytes, and some more of memory until it is decided.
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
        refuse(server, peer, &Refused::TooMany(who.name, server.sessions.max()));
        return turn_away(stream).await;
    };
    server.console.show(&Event::Connected { name: &who.name, peer });
    tracing::debug!(name = %who.name, key = %who.fingerprint, %peer, "connected");
    let who = Arc::new(who);
    let mailbox = Arc::new(Mailbox::default());
    let ended = talk(server, stream, (&who, &seat), &mailbox).await;
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
    (who, seat): (&Arc<Identity>, &Seat<'_>),
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let (mut input, output) = tokio::io::split(stream);
    let mut writer = pin!(writer::run(output, mailbox, &server.readers));
    let ended = tokio::select! {
        ended = &mut writer => return ended,
        ended = read(&server.jobs, &mut input, (who, seat), mailbox) => ended,
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
    (who, seat): (&Arc<Identity>, &Seat<'_>),
    mailbox: &Arc<Mailbox>,
) -> Ended {
    let window = Arc::new(Semaphore::new(WINDOW.into()));
    let mut decoder = FrameDecoder::<ToServer>::new(MAX_FRAME);
    // Small, because ten thousand idle sessions have one each.
    let mut chunk = [0; 2048];
    let mut large = None;
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
            let large = large.take();
            // What may be large goes alone: what waits in memory is bounded by bytes too.
            let brings_much =
                matches!(frame.request, Request::ReadCommits { .. } | Request::ReadTransparency(_));
            let is_alone = large.is_some() || brings_much;
            let places = if is_alone { WINDOW.into() } else { 1 };
            let Ok(window) = Arc::clone(&window).acquire_many_owned(places).await else {
                return Ended::Failed;
            };
            let (who, mailbox) = (Arc::clone(who), Arc::clone(mailbox));
            if !jobs.put(Job::Request(Asked { who, mailbox, frame, window, large })).await {
                return Ended::Stopping;
            }
        }
        if decoder.pending() > LARGE && large.is_none() {
            large = Arc::clone(&seat.large).acquire_owned().await.ok();
        }
    }
}

async fn drain(input: &mut (impl AsyncRead + Unpin)) {
    let mut chunk = [0; 4096];
    while input.read(&mut chunk).await.is_ok_and(|read| read > 0) {}
}

/// How many connections each person has.
#[derive(Debug)]
pub(crate) struct Sessions {
    people: Mutex<HashMap<Name, Present>>,
    max: AtomicUsize,
}

/// A person with connections.
#[derive(Debug)]
struct Present {
    connections: usize,
    large: Arc<Semaphore>,
}

/// One of a person's connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    sessions: &'a Sessions,
    name: Name,
    /// Whoever holds its one permit may send a large frame.
    large: Arc<Semaphore>,
}

impl Sessions {
    fn enter(&self, name: &Name) -> Option<Seat<'_>> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let present = people.entry(name.clone()).or_insert_with(Present::new);
        if present.connections >= self.max() {
            return None;
        }
        present.connections = present.connections.saturating_add(1);
        let large = Arc::clone(&present.large);
        drop(people);
        Some(Seat { sessions: self, name: name.clone(), large })
    }
}

impl Present {
    fn new() -> Self {
        Self { connections: 0, large: Arc::new(Semaphore::new(1)) }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut people = self.sessions.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = people.get_mut(&self.name) {
            present.connections = present.connections.saturating_sub(1);
            if present.connections == 0 {
                people.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Fingerprint, GroupId, Seq, limits::MAX_SESSIONS_A_PERSON};

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
        let (who, mailbox, sessions) = (bob(), Arc::default(), Sessions::default());
        let seat = sessions.enter(&who.name).unwrap();
        let reading = read(&jobs, &mut ours, (&who, &seat), &mailbox);
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

    /// Two connections of one person send a large frame each; gives how many were read.
    async fn large_frames_read(one: &Arc<Identity>, other: &Arc<Identity>) -> usize {
        let (jobs, mut queue) = Jobs::channel();
        let sessions = Sessions::default();
        let entry = openchat_wire::Blob(vec![0; 3 * LARGE]);
        let request = Request::Append { log: GroupId([1; 32]), entry, letters: Vec::new() };
        let frame = to_frame(&ToServer { id: 0, request });
        let talks = [one, other].map(|who| {
            let (jobs, sessions, frame) = (&jobs, &sessions, &frame);
            async move {
                let (mut theirs, mut ours) = tokio::io::duplex(1_000_000);
                theirs.write_all(frame).await.unwrap();
                let seat = sessions.enter(&who.name).unwrap();
                let mailbox = Arc::default();
                let reading = read(jobs, &mut ours, (who, &seat), &mailbox);
                assert!(timeout(Duration::from_secs(1), reading).await.is_err());
            }
        });
        let [one, other] = talks;
        tokio::join!(one, other);
        let mut asked = Vec::new();
        while let Ok(job) = queue.try_recv() {
            asked.push(job);
        }
        asked.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_sends_one_large_frame_at_a_time() {
        let (bob, fingerprint) = (bob(), Fingerprint([2; 32]));
        assert_eq!(large_frames_read(&bob, &bob).await, 1, "the first one waits in the queue");
        let carol = Arc::new(Identity { name: "carol".parse().unwrap(), fingerprint });
        assert_eq!(large_frames_read(&bob, &carol).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_given_up() {
        let (jobs, _queue) = Jobs::channel();
        let (_theirs, mut ours) = tokio::io::duplex(10);
        let (who, sessions) = (bob(), Sessions::default());
        let seat = sessions.enter(&who.name).unwrap();
        let ended = read(&jobs, &mut ours, (&who, &seat), &Arc::default()).await;
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
        assert!(sessions.people.lock().unwrap().is_empty());
    }
}
