//! The writing half of a session: answers first, then what the tails have, in turn.

use crate::{
    metrics::METRICS,
    serve::{
        feed::{Found, Tail},
        heads::Heads,
        mailbox::{Letter, Mail, Mailbox, Parting},
        readers::Readers,
        session::Ended,
    },
};
use openchat_relay::store::Body;
use openchat_wire::{
    Blob, GroupId, Seq,
    frame::to_frame,
    limits::IDLE_TIMEOUT,
    relay::{Goodbye, ToClient},
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
    time::timeout,
};

/// Bytes of one tail before it is another's turn, and of all before new answers are looked for.
const PIECE: usize = 64 * 1024;

/// How long a receiver that took nothing may take to hear that it was too slow.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Writes for a session until the connection ends; returns why it did.
pub(crate) async fn run(
    out: impl AsyncWrite + Unpin,
    mailbox: &Mailbox,
    readers: &Readers,
    mut heads: Heads,
) -> Ended {
    let (tails, ready) = (HashMap::new(), VecDeque::new());
    let mut writer = Writer { out, mailbox, readers, tails, ready };
    loop {
        let mail = if writer.ready.is_empty() {
            tokio::select! {
                mail = mailbox.wait() => mail,
                () = heads.due() => Mail::default(),
            }
        } else {
            mailbox.take()
        };
        let parting = mail.parting;
        if let Err(ended) = writer.turn(mail, heads.take()).await {
            return ended;
        }
        if let Some(parting) = parting {
            // The other side may be gone already, which ends the connection as well.
            let _ = writer.part(parting).await;
            return Ended::Parted;
        }
    }
}

struct Writer<'a, W> {
    out: W,
    mailbox: &'a Mailbox,
    readers: &'a Readers,
    tails: HashMap<GroupId, Tail>,
    /// Tails that may have something, each once.
    ready: VecDeque<GroupId>,
}

/// What is written at once. The window's places come back when it is.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    window: Vec<OwnedSemaphorePermit>,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    /// The newest head if one is due, all answers, and a piece of what the tails have.
    async fn turn(&mut self, mail: Mail, head: Option<Arc<[u8]>>) -> Result<(), Ended> {
        let mut piece = Piece::default();
        if let Some(frame) = head {
            piece.bytes.extend_from_slice(&frame);
        }
        for letter in mail.letters {
            match letter {
                Letter::Answer(frame, window) => {
                    piece.bytes.extend_from_slice(&frame);
                    piece.window.push(window);
                }
                Letter::Tail(tail) => {
                    let log = tail.log();
                    self.tails.insert(log, tail);
                    self.is_ready(log);
                }
            }
        }
        mail.changed.into_iter().for_each(|log| self.is_ready(log));
        while piece.bytes.len() < PIECE
            && let Some(log) = self.ready.pop_front()
        {
            self.follow(log, &mut piece.bytes).await?;
        }
        self.write(&piece.bytes).await?;
        drop(piece.window);
        Ok(())
    }

    fn is_ready(&mut self, log: GroupId) {
        if !self.ready.contains(&log) {
            self.ready.push_back(log);
        }
    }

    /// Adds the next piece of a tail, and queues it again unless that was all.
    async fn follow(&mut self, log: GroupId, bytes: &mut Vec<u8>) -> Result<(), Ended> {
        let Some(tail) = self.tails.get_mut(&log) else { return Ok(()) };
        match tail.take(PIECE) {
            Found::Frames(frames) if frames.is_empty() => return Ok(()),
            Found::Frames(frames) => {
                for frame in &frames {
                    bytes.extend_from_slice(frame);
                }
            }
            Found::Behind { after, floor, end } => {
                let range = Range { after, floor, end };
                let reached = catch_up(self.readers, log, range, bytes).await?;
                tail.caught_up(reached);
            }
            Found::Ended => {
                self.mailbox.ended(tail);
                self.tails.remove(&log);
                return Ok(());
            }
        }
        self.is_ready(log);
        Ok(())
    }

    async fn part(&mut self, parting: Parting) -> io::Result<()> {
        if let Parting::Saying(goodbye) = parting {
            self.out.write_all(&to_frame(&ToClient::Goodbye(goodbye))).await?;
        }
        self.out.shutdown().await
    }

    /// Writes whole frames as fast as the other side takes them. Progress counts, not the whole.
    async fn write(&mut self, frames: &[u8]) -> Result<(), Ended> {
        let mut rest = frames;
        while !rest.is_empty() {
            let Ok(written) = timeout(IDLE_TIMEOUT, self.out.write(rest)).await else {
                return Err(self.give_up(begun(frames, rest)).await);
            };
            rest =
                rest.get(written?..).filter(|left| left.len() < rest.len()).ok_or(Ended::Closed)?;
        }
        match timeout(IDLE_TIMEOUT, self.out.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(self.give_up(&[]).await),
        }
    }

    /// The receiver may still wake up: then it gets the frame that it has the beginning of, and the
    /// reason of the end. It finds everything else in the log when it comes back.
    async fn give_up(&mut self, begun: &[u8]) -> Ended {
        METRICS.too_slow.one();
        let last = [begun, &to_frame(&ToClient::Goodbye(Goodbye::TooSlow))].concat();
        let saying = async {
            self.out.write_all(&last).await?;
            self.out.shutdown().await
        };
        // Whoever sleeps on finds the end alone.
        let _ = timeout(LAST_WORD, saying).await;
        Ended::Stalled
    }
}

/// What is left of the frame in whose middle `rest` begins, which is the end of `frames`.
fn begun<'a>(frames: &[u8], rest: &'a [u8]) -> &'a [u8] {
    let written = frames.len().saturating_sub(rest.len());
    let mut end = 0_usize;
    while end < written
        && let Some(length) = frames.get(end..).and_then(<[u8]>::first_chunk)
    {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        end = end.saturating_add(length).saturating_add(4);
    }
    rest.get(..end.saturating_sub(written)).unwrap_or_default()
}

/// What to read from the store. Nothing behind `end`, and `floor` lies at or before it unless the
/// reader's end does.
struct Range {
    after: Seq,
    floor: Seq,
    end: Seq,
}

/// Entries behind `after` from the store. The whole page counts when it is complete, or goes beyond
/// the end: what was flushed before the floor was looked at is in it.
async fn catch_up(
    readers: &Readers,
    log: GroupId,
    Range { after, floor, end }: Range,
    bytes: &mut Vec<u8>,
) -> Result<Seq, Ended> {
    let page = readers.read(log, after).await.map_err(|error| {
        tracing::error!(%error, %log, "a log can't be read");
        Ended::Failed
    })?;
    let mut reached = if page.complete { floor } else { after };
    for (seq, body) in page.entries {
        if seq > end {
            return Ok(reached.max(floor));
        }
        reached = reached.max(seq);
        let frame = match body {
            Body::Whole(entry) => ToClient::Entry { log, seq, entry: Blob(entry) },
            Body::Dropped(hash) => ToClient::Dropped { log, seq, hash },
        };
        bytes.extend_from_slice(&to_frame(&frame));
    }
    Ok(reached)
}

#[cfg(test)]
mod tests;
