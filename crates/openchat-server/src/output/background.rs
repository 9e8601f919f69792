//! A thread that writes lines, so that a console nobody reads stops nobody.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that wait for a slow terminal; more are counted, not kept.
const WAITING: usize = 4_096;

/// How long the end of the process waits for a terminal.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The thread's owner.
#[derive(Debug)]
pub(crate) struct Background {
    lines: Lines,
}

/// Where lines are put.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

impl Background {
    /// Starts a thread that writes to `stream`; `told` makes the line that stands in for lost ones.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub(crate) fn spawn(
        name: &str,
        stream: impl Write + Send + 'static,
        told: fn(u64) -> String,
    ) -> io::Result<Self> {
        let (sender, messages) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let lines = Lines { sender, lost: Arc::clone(&lost) };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write_all(stream, &messages, &lost, told))?;
        Ok(Self { lines })
    }

    pub(crate) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// Waits until everything put so far is written, but not for ever.
    pub(crate) fn finish(&self) {
        let (done, finished) = sync_channel(1);
        if self.lines.sender.try_send(Message::Flush(done)).is_ok() {
            // In either case there is nothing more to do.
            let _ = finished.recv_timeout(LAST_WORDS);
        }
    }
}

impl Lines {
    /// Adds whole lines; they are written later, or counted as lost.
    pub(crate) fn put(&self, bytes: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(bytes)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(
    mut stream: impl Write,
    messages: &Receiver<Message>,
    lost: &AtomicU64,
    told: fn(u64) -> String,
) {
    // A terminal that was closed must not end the server: errors end only the writing.
    let mut open = true;
    for message in messages {
        match message {
            Message::Line(line) => {
                open = open && stream.write_all(&line).is_ok();
                let missing = lost.swap(0, Ordering::Relaxed);
                if missing > 0 {
                    open = open && stream.write_all(told(missing).as_bytes()).is_ok();
                }
                open = open && stream.flush().is_ok();
            }
            Message::Flush(done) => drop(done.try_send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(lines: u64) -> String {
        format!("lost {lines}\n")
    }

    #[test]
    fn finish_waits_for_what_was_put() {
        let screen = Screen::default();
        let background = Background::spawn("t", screen.clone(), told).unwrap();
        for i in 0..100 {
            background.lines().put(format!("{i}\n").into_bytes());
        }
        background.finish();
        let expected: String = (0..100).flat_map(|i| [i.to_string(), "\n".to_owned()]).collect();
        assert_eq!(screen.0.lock().unwrap().as_slice(), expected.as_bytes());
    }

    #[test]
    fn a_screen_that_blocks_blocks_nobody_and_the_loss_is_told() {
        let screen = Screen::default();
        let background = Background::spawn("t", screen.clone(), told).unwrap();
        let blocked = screen.0.lock().unwrap();
        for _ in 0..WAITING + 10 {
            background.lines().put(b"x\n".to_vec());
        }
        background.finish();
        drop(blocked);
        let told = || screen.0.lock().unwrap().windows(6).any(|shown| shown == b"\nlost ");
        let waiting = (0..10_000).find(|_| {
            thread::sleep(Duration::from_millis(1));
            told()
        });
        assert!(waiting.is_some(), "the loss is told");
    }

    #[test]
    fn a_closed_screen_is_survived() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let background = Background::spawn("t", Closed, told).unwrap();
        background.lines().put(b"x\n".to_vec());
        background.finish();
        background.lines().put(b"x\n".to_vec());
        background.finish();
    }
}
