//! The end of the socket that answers.

use super::{VERSION, lines, socket};
use crate::{
    join::{
        Answers,
        input::{self, Action, Refusal},
    },
    json::{self, Reference},
    once::named,
    wish::{What, Wish},
};
use openchat_client::{
    Ask, Guest, GuestEnd, GuestEvent, GuestId, Report,
    engine::{Event, Target},
};
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Processes that are served at once: more than one person starts. The next ones wait to be let in.
const MAX_GUESTS: usize = 64;
const MAX_PERMITS: u32 = 64;

/// Reports that may wait for one process. What it misses of the messages is read from the vault.
const WAITING_REPORTS: usize = 1024;

/// What processes do that may wait for the session; then their sockets fill.
const WAITING_EVENTS: usize = 64;

/// How long somebody who connects may take to say hello.
const HELLO: Duration = Duration::from_secs(5);

/// How long the last words may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// After an error of the system, such as too many open files.
const RECOVERY: Duration = Duration::from_millis(200);

/// Lets processes in.
pub(crate) struct Door {
    accepting: JoinHandle<()>,
    inside: Arc<Semaphore>,
}

impl Door {
    /// Lets nobody in any more, and waits for the last words to be written.
    pub(crate) async fn close(self) {
        self.accepting.abort();
        // Whoever does not read learns of the end by the socket's.
        let _ = timeout(LAST_WORDS, self.inside.acquire_many(MAX_PERMITS)).await;
    }
}

/// Begins to let processes in.
pub(super) fn open(
    directory: &Path,
) -> io::Result<(mpsc::Receiver<GuestEvent>, Door, socket::SocketFile)> {
    let (listener, file) = socket::listen(directory)?;
    let (events, taken) = mpsc::channel(WAITING_EVENTS);
    let inside = Arc::new(Semaphore::new(MAX_GUESTS));
    let accepting = tokio::spawn(accept(listener, events, Arc::clone(&inside)));
    Ok((taken, Door { accepting, inside }, file))
}

async fn accept(listener: UnixListener, events: mpsc::Sender<GuestEvent>, inside: Arc<Semaphore>) {
    for id in 1.. {
        let Ok(place) = Arc::clone(&inside).acquire_owned().await else { return };
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "nobody can be let in");
                    sleep(RECOVERY).await;
                }
            }
        };
        let events = events.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, id, events).await {
                tracing::debug!(%error, "a process was shown out");
            }
            drop(place);
        });
    }
}

pub(super) async fn serve(
    stream: UnixStream,
    id: GuestId,
    events: mpsc::Sender<GuestEvent>,
) -> io::Result<()> {
    if !socket::is_ours(&stream)? {
        tracing::warn!("another user at the socket");
        return Ok(());
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    writer.write_all(json::hello("agent", VERSION).as_bytes()).await?;
    let hello = timeout(HELLO, lines::next(&mut reader, input::MAX_LINE)).await??;
    if !hello.is_some_and(|line| is_hello(&line)) {
        let error =
            json::Error::about("agent-version", "no hello of this version", "openchat", None);
        return writer.write_all(json::line(&error).as_bytes()).await;
    }
    let (queue, lines) = mpsc::channel(WAITING_REPORTS);
    let answers = Arc::new(Mutex::new(Answers::default()));
    let talker = Talker { id, answers: Arc::clone(&answers), back: queue.downgrade() };
    let front = Box::new(Front { queue, answers });
    if events.send(GuestEvent::Come(id, front)).await.is_err() {
        return Ok(());
    }
    let mut writing = tokio::spawn(write(writer, lines));
    tokio::select! {
        read = talker.read(&mut reader, &events) => {
            // A session that is gone needs not be told.
            let _ = events.send(GuestEvent::Gone(id)).await;
            let _ = timeout(LAST_WORDS, &mut writing).await;
            writing.abort();
            read
        }
        _ = &mut writing => {
            let _ = events.send(GuestEvent::Gone(id)).await;
            Ok(())
        }
    }
}

fn is_hello(line: &str) -> bool {
    let hello: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    hello["type"] == "hello" && hello["agent"] == VERSION
}

/// Writes what is queued, all that waits at once, until nobody queues any more.
async fn write(mut writer: OwnedWriteHalf, mut lines: mpsc::Receiver<String>) {
    while let Some(mut text) = lines.recv().await {
        while let Ok(line) = lines.try_recv() {
            text += &line;
        }
        if writer.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}

/// Takes orders.
struct Talker {
    id: GuestId,
    answers: Arc<Mutex<Answers>>,
    /// Only as long as the session writes there, too.
    back: mpsc::WeakSender<String>,
}

impl Talker {
    async fn read(
        &self,
        reader: &mut BufReader<OwnedReadHalf>,
        events: &mpsc::Sender<GuestEvent>,
    ) -> io::Result<()> {
        while let Some(line) = lines::next(reader, input::MAX_LINE).await? {
            if line.trim().is_empty() {
                continue;
            }
            match self.asks(input::object(&line)) {
                Ok(asks) => {
                    for ask in asks {
                        if events.send(GuestEvent::Ask(self.id, ask)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                Err(Refusal { code, message, hint, reference }) => {
                    let error = json::Error::about(code, &message, &hint, reference);
                    let Some(back) = self.back.upgrade() else { return Ok(()) };
                    // Whoever writes faster than it reads answers waits here.
                    if back.send(json::line(&error)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn asks(&self, action: Action) -> Result<Vec<Ask>, Refusal> {
        let mut answers = lock(&self.answers);
        match action {
            Action::Send { target, id, text, reference } => {
                let Some(target) = target else { return Err(no_target(reference)) };
                if let Some(reference) = reference {
                    answers.name(id, reference);
                }
                Ok(vec![Ask::Send { target, id, text }])
            }
            Action::Say { target, id, what, reference } => {
                let Some(target) = target else { return Err(no_target(reference)) };
                if let Some(reference) = reference {
                    answers.name(id, reference);
                }
                Ok(vec![Ask::Say { target, id, what }])
            }
            Action::Wish { wish: Wish { target, what }, reference } => {
                let target = target.or_else(|| named(&what)).or_else(|| nowhere(&what));
                let Some(target) = target else { return Err(no_target(reference)) };
                let first = answers.expect(&what, reference);
                Ok(what.ask(target, first))
            }
            Action::Listen { follow, reference } => {
                Ok(vec![Ask::Follow { order: answers.expect_one(reference), follow }])
            }
            Action::Shown { target, seq, listener, reference } => {
                let order = reference.map(|reference| answers.expect_one(Some(reference)));
                Ok(vec![Ask::Shown { order, target, seq, listener }])
            }
            Action::Refuse(refusal) => Err(refusal),
            // Not among objects.
            Action::Nothing | Action::Quit | Action::Help => Ok(Vec::new()),
        }
    }
}

/// A wish that is about no conversation still has to name one.
fn nowhere(what: &What) -> Option<Target> {
    matches!(what, What::Renew).then(|| "#general".parse().ok())?
}

fn no_target(reference: Option<Reference>) -> Refusal {
    let (message, hint) = ("\"target\" is missing".to_owned(), "name the conversation".to_owned());
    Refusal { code: "bad-input", message, hint, reference }
}

/// Hands reports over.
struct Front {
    queue: mpsc::Sender<String>,
    answers: Arc<Mutex<Answers>>,
}

impl Front {
    /// There is room, or the session would not have told it.
    fn say(&self, line: String) {
        if !line.is_empty() {
            let _ = self.queue.try_send(line);
        }
    }

    fn done(&self, order: u64, target: &str) -> String {
        let done = lock(&self.answers).done(order);
        done.map_or_else(String::new, |(reference, _)| json::done(target, reference))
    }
}

impl Guest for Front {
    fn opened(&mut self, target: &str) {
        self.say(json::opened(target));
    }

    fn following(&mut self, target: &str, seq: openchat_wire::Seq) {
        self.say(json::following(target, seq.0));
    }

    fn tell(&mut self, report: &Report) {
        let line = match report {
            Report::Event(Event::Message(message)) => json::told(message),
            Report::Event(Event::Progress(progress)) => json::told_file(progress, None),
            Report::File { progress, is_right } => json::told_file(progress, Some(*is_right)),
            Report::Event(Event::Done { order, target }) => self.done(*order, target),
            Report::Event(Event::Ack { id, .. }) => {
                let reference = lock(&self.answers).of_message(id);
                json::report(report, reference)
            }
            // A file may be refused after the acknowledgement, which has used up its name.
            Report::Event(Event::Failed { id: Some(id), .. }) => {
                let reference = lock(&self.answers).of_message(id);
                json::report(report, reference.or_else(|| Some(Reference::of(id))))
            }
            Report::Event(Event::Failed { order: Some(order), .. }) => {
                let reference = lock(&self.answers).failed(*order);
                json::report(report, reference)
            }
            _ => json::report(report, None),
        };
        self.say(line);
    }

    fn room(&self) -> usize {
        self.queue.capacity()
    }

    fn end(&mut self, end: &GuestEnd) {
        let taken = lock(&self.answers).references(&end.taken);
        self.say(json::end(end, &taken));
    }
}

/// Nothing is left half done by whoever panics while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
