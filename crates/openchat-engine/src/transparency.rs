//! This device's mirror of the transparency log, and how it is read from the relay
//! (`docs/protocol.md` §9.2).
//!
//! Reads are numbered. Whoever needs the log as it is *now* asks for a read and keeps its number: an
//! honest server has in it whatever was certified before it was asked.

use openchat_pki::{Extended, Mirror, MirrorFault, ServerKeys, Watch};
use openchat_wire::{Blob, Digest, Fingerprint, Name};

use crate::{archive::Archive, output::Pen, record::Key};

/// Bytes of entries that may wait for the head which commits to them: three hundred thousand. A
/// server that goes on and on shows no head that could be checked.
pub(crate) const MAX_UNPROVEN: usize = 64 << 20;

/// The mirror, its entries, and the read that is under way.
#[derive(Debug)]
pub(crate) struct Transparency {
    mirror: Mirror,
    archive: Archive,
    reading: Reading,
    /// Whether the mirror knows which entry made this device's certificate.
    watches: bool,
}

/// A read of the log that somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

#[derive(Debug, Default)]
struct Reading {
    /// Reads that were begun, were ended, and ended well.
    begun: u64,
    ended: u64,
    succeeded: u64,
    active: bool,
    /// Somebody wants to know what the log says after the one that is under way.
    again: bool,
    entries: Vec<Blob>,
    bytes: usize,
}

/// What to ask of the relay next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The entries from an index on.
    Ask(u64),
    /// Nothing: it was asked already, or there is no more.
    Nothing,
}

/// Why a read ended without a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadFault {
    #[error(transparent)]
    Mirror(#[from] MirrorFault),
    #[error("the server shows a transparency log without an end")]
    Endless,
}

impl Transparency {
    pub(crate) fn new(keys: &ServerKeys) -> Self {
        Self::with(Mirror::new(keys), Archive::default())
    }

    fn with(mirror: Mirror, archive: Archive) -> Self {
        Self { mirror, archive, reading: Reading::default(), watches: false }
    }

    /// What was stored. `None` if the entries are not those of the head.
    pub(crate) fn restore(
        keys: &ServerKeys,
        archive: Archive,
        head: Option<&Blob>,
        checkpoint: Option<&Blob>,
    ) -> Option<Self> {
        let restored = checkpoint.and_then(|bytes| Mirror::restore(keys, &bytes.0).ok());
        let mut mirror = restored.unwrap_or_else(|| Mirror::new(keys));
        if let Some(head) = head {
            let entries = archive.since(mirror.size())?;
            // What it found was told, and kept, when it came.
            let _told = mirror.extend(&entries, &head.0).ok()?;
        }
        (mirror.size() == archive.len()).then(|| Self::with(mirror, archive))
    }

    pub(crate) const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Watches the own name and key from the entry on that made this device's certificate.
    pub(crate) fn watch(&mut self, watch: Watch) {
        self.watches = true;
        self.mirror.watch(watch);
    }

    pub(crate) const fn watches(&self) -> bool {
        self.watches
    }

    pub(crate) const fn watch_mut(&mut self) -> Option<&mut Watch> {
        self.mirror.watch_mut()
    }

    /// A read that begins after this moment.
    pub(crate) fn fresh(&mut self) -> (Ticket, Next) {
        let reading = &mut self.reading;
        if reading.active {
            reading.again = true;
            return (Ticket(reading.begun.saturating_add(1)), Next::Nothing);
        }
        reading.begun = reading.begun.saturating_add(1);
        reading.active = true;
        (Ticket(reading.begun), self.next())
    }

    /// Where an unfinished read goes on, as after a pause.
    pub(crate) fn next(&self) -> Next {
        if !self.reading.active {
            return Next::Nothing;
        }
        let waiting = u64::try_from(self.reading.entries.len()).unwrap_or(u64::MAX);
        Next::Ask(self.mirror.size().saturating_add(waiting))
    }

    /// Whether the read is over, however it went.
    pub(crate) const fn is_over(&self, ticket: Ticket) -> bool {
        self.reading.ended >= ticket.0
    }

    /// Whether the log was read to a head after the ticket was given.
    pub(crate) const fn is_read(&self, ticket: Ticket) -> bool {
        self.reading.succeeded >= ticket.0
    }

    /// The connection is gone, and what was read without its end.
    pub(crate) fn disconnected(&mut self) {
        let reading = &mut self.reading;
        reading.ended = reading.begun;
        (reading.active, reading.again) = (false, false);
        self.forget_page();
    }

    /// A part of the log.
    pub(crate) fn page(&mut self, entries: Vec<Blob>, is_last: bool) -> Result<(), ReadFault> {
        let reading = &mut self.reading;
        let bytes = |entry: &Blob| entry.0.len().saturating_add(size_of::<Blob>());
        let more: usize = entries.iter().map(bytes).sum();
        let is_stuck = entries.is_empty() && !is_last;
        reading.bytes = reading.bytes.saturating_add(more);
        if is_stuck || reading.bytes > MAX_UNPROVEN {
            return Err(ReadFault::Endless);
        }
        reading.entries.extend(entries);
        Ok(())
    }

    /// The entries that have come and that no head was checked against yet, from this index on.
    pub(crate) fn unproven(&self) -> (u64, &[Blob]) {
        (self.mirror.size(), &self.reading.entries)
    }

    /// The read has come to the log's end: follows it there.
    pub(crate) fn follow(&mut self, pen: &mut Pen, head: &Blob) -> Result<Extended, ReadFault> {
        let mut entries = core::mem::take(&mut self.reading.entries);
        let is_first = self.mirror.head().is_none();
        let extended = self.mirror.extend(&entries, &head.0)?;
        entries.truncate(extended.taken);
        if extended.taken > 0 || is_first {
            pen.put_bytes(Key::head(), head.0.clone());
        }
        self.archive.push(pen, entries);
        if self.mirror.checkpoint_due()
            && let Some(checkpoint) = self.mirror.checkpoint(self.archive.reader())
        {
            pen.put_bytes(Key::mirror(), checkpoint);
        }
        Ok(extended)
    }

    /// The read is over. Says whether somebody wants another one.
    pub(crate) fn end(&mut self, is_good: bool) -> bool {
        self.forget_page();
        let reading = &mut self.reading;
        reading.active = false;
        reading.ended = reading.begun;
        if is_good {
            reading.succeeded = reading.begun;
        }
        core::mem::take(&mut reading.again)
    }

    fn forget_page(&mut self) {
        (self.reading.entries, self.reading.bytes) = (Vec::new(), 0);
    }

    /// The root that the log had at an earlier size.
    pub(crate) fn root_at(&self, size: u64) -> Option<Digest> {
        self.mirror.root_at(size, self.archive.reader())
    }

    pub(crate) const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The name that the CA gave to a key first.
    pub(crate) fn name_of(&self, key: &Fingerprint) -> Option<Name> {
        self.mirror.name_of(key)
    }
}
