//! What waits for a session's writer: answers in the order of the requests, new tails among them,
//! and which tails have something new. Entries themselves wait in their feeds.

use crate::serve::feed::Tail;
use openchat_relay::chain::Chains;
use openchat_wire::{
    GroupId,
    limits::{MAX_QUEUE_BYTES, MAX_TAILS},
    relay::{Answer, Goodbye, Refusal, Request},
};
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Bytes of an answer that always has room: the window bounds how many of them there are.
const SMALL_ANSWER: usize = 1024;

/// One session's.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    content: Mutex<Content>,
    /// What is refused so that nothing overtakes what was refused before.
    chains: Mutex<Chains>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Content {
    mail: Mail,
    bytes: usize,
    /// Tails by their logs, with their numbers.
    tailed: HashMap<GroupId, u64>,
    /// Nobody will look any more.
    closed: bool,
}

/// What the writer takes out at once.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub(crate) letters: Vec<Letter>,
    /// Tails with something new.
    pub(crate) changed: Vec<GroupId>,
    /// The connection ends after this.
    pub(crate) parting: Option<Parting>,
}

/// Something to be written in order.
#[derive(Debug)]
pub(crate) enum Letter {
    /// An answer's frame, and the place in the window that its request takes until it is written.
    Answer(Vec<u8>, OwnedSemaphorePermit),
    /// From here on the session tails this log.
    Tail(Tail),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parting {
    Silent,
    Saying(Goodbye),
}

impl Mailbox {
    /// Whether the relay may decide about this request, the next one of this session.
    ///
    /// # Errors
    /// The refusal for an entry whose predecessor was refused.
    pub(crate) fn admit(&self, request: &Request) -> Result<(), Refusal> {
        self.chains().admit(request)
    }

    /// What came of a request that appends to this log.
    pub(crate) fn note(&self, log: Option<GroupId>, answer: &Result<Answer, Refusal>) {
        self.chains().note(log, answer);
    }

    fn chains(&self) -> MutexGuard<'_, Chains> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an answer of this size may wait. A large one may if nothing else does.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let bytes = self.lock().bytes;
        len <= SMALL_ANSWER || bytes == 0 || bytes.saturating_add(len) <= MAX_QUEUE_BYTES
    }

    /// Whether this log may be tailed beside the others.
    pub(crate) fn may_tail(&self, log: &GroupId) -> bool {
        let content = self.lock();
        content.tailed.len() < MAX_TAILS || content.tailed.contains_key(log)
    }

    pub(crate) fn put(&self, letter: Letter) {
        let mut content = self.lock();
        if content.closed {
            drop(content);
            // Outside the lock, because dropping a tail takes the lock of its feed.
            drop(letter);
            return;
        }
        match &letter {
            Letter::Answer(frame, _) => content.bytes = content.bytes.saturating_add(frame.len()),
            Letter::Tail(tail) => {
                content.tailed.insert(tail.log(), tail.number());
            }
        }
        content.mail.letters.push(letter);
        self.filled.notify_one();
    }

    /// A tail has ended. One of the same log that came later goes on.
    pub(crate) fn ended(&self, tail: &Tail) {
        let mut content = self.lock();
        if content.tailed.get(&tail.log()) == Some(&tail.number()) {
            content.tailed.remove(&tail.log());
        }
    }

    /// A tailed log has something new.
    pub(crate) fn changed(&self, log: GroupId) {
        let mut content = self.lock();
        if !content.closed {
            content.mail.changed.push(log);
            self.filled.notify_one();
        }
    }

    /// Ends the connection when everything before it is written.
    pub(crate) fn part(&self, parting: Parting) {
        self.lock().mail.parting = Some(parting);
        self.filled.notify_one();
    }

    /// Drops what nobody will take.
    pub(crate) fn close(&self) {
        let mut content = self.lock();
        content.closed = true;
        let mail = mem::take(&mut content.mail);
        drop(content);
        drop(mail);
    }

    /// What there is, at once.
    pub(crate) fn take(&self) -> Mail {
        let mut content = self.lock();
        content.bytes = 0;
        mem::take(&mut content.mail)
    }

    /// Waits until there is something. Only one task may wait.
    pub(crate) async fn wait(&self) -> Mail {
        loop {
            // Permits of `notify_one` are kept, so nothing put before this line is missed.
            self.filled.notified().await;
            let mail = self.take();
            if !mail.is_empty() {
                return mail;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.changed.is_empty() && self.parting.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    fn answer(bytes: usize) -> Letter {
        let window = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Letter::Answer(vec![0; bytes], window)
    }

    #[tokio::test]
    async fn what_is_put_before_the_wait_is_not_missed() {
        let mailbox = Mailbox::default();
        mailbox.put(answer(1));
        mailbox.changed(GroupId([1; 32]));
        mailbox.part(Parting::Silent);
        let mail = mailbox.wait().await;
        assert_eq!((mail.letters.len(), mail.changed.len()), (1, 1));
        assert_eq!(mail.parting, Some(Parting::Silent));
        assert!(mailbox.take().is_empty());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mailbox = Mailbox::default();
        assert!(mailbox.has_room(usize::MAX), "one answer of any size");
        mailbox.put(answer(MAX_QUEUE_BYTES));
        assert!(!mailbox.has_room(SMALL_ANSWER + 1) && mailbox.has_room(SMALL_ANSWER));
        drop(mailbox.take());
        assert!(mailbox.has_room(MAX_QUEUE_BYTES));
    }

    #[test]
    fn a_closed_mailbox_keeps_nothing() {
        let mailbox = Mailbox::default();
        mailbox.put(answer(1));
        mailbox.close();
        mailbox.put(answer(1));
        mailbox.changed(GroupId([1; 32]));
        assert!(mailbox.take().is_empty());
    }
}
