//! Files of this device's own on their way into the log (`docs/protocol.md` §6.5).
//!
//! The bytes stay in the vault. A few parts at a time are asked for, sealed and sent, and only while no
//! text waits: so a text never stands behind more of a file than is on the wire already.

use std::collections::{BTreeMap, BTreeSet};

use openchat_group::{Content, Group};
use openchat_wire::{Blob, Epoch, Fingerprint, MessageId, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::{
    askers::{Askers, MAX_ASKERS},
    body::{MessageRef, Offer, chunk_len, chunks},
    chunk::{Chunk, chunk_id},
    conversation::Conversation,
    event::{Event, Progress},
    failure::Failure,
    outbox::Outgoing,
    output::{Pen, Want},
    record::{Key, Local},
    said::Audience,
    shared::Now,
};

/// Parts of files under way at once: half a megabyte fills a line of a hundred milliseconds with the
/// relay's pace, and a text waits for no more.
const AT_ONCE: usize = 4;

/// Files that are in the log whose parts can be said again: those of some minutes of lively talk.
const MAX_KEPT: usize = 16;

/// How often a file is said again in all, counted in its parts: once to as many as a text is.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "a constant that fits")]
const MAX_AGAIN: u32 = MAX_ASKERS as u32;

/// A file of this device's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    name: String,
    size: u64,
    /// When it was offered.
    time: UnixMillis,
    /// Parts that went into the outbox.
    next: u32,
    /// Parts that are in the log.
    logged: u32,
    /// The epoch that its offer was sealed in. Nobody who came later is told again what it is.
    epoch: Option<Epoch>,
    /// Parts that were said again.
    again: u32,
    /// The person was told that it is not said again.
    told: bool,
    /// The relay has refused a part of it: it waits for its person.
    stopped: bool,
}

impl Upload {
    fn new(offer: &Offer, time: UnixMillis) -> Self {
        Self {
            name: offer.name.clone(),
            size: offer.size,
            time,
            next: 0,
            logged: 0,
            epoch: None,
            again: 0,
            told: false,
            stopped: false,
        }
    }

    fn chunks(&self) -> u32 {
        chunks(self.size)
    }

    fn is_in_log(&self) -> bool {
        self.logged >= self.chunks() && self.epoch.is_some()
    }

    /// Bytes of it that are in the log.
    fn done(&self) -> u64 {
        if self.logged >= self.chunks() {
            return self.size;
        }
        chunk_len(u64::MAX, 0).saturating_mul(self.logged.into())
    }
}

/// This device's files.
#[derive(Debug)]
pub(crate) struct Uploads {
    local: Local,
    items: BTreeMap<MessageId, Upload>,
    /// Parts that were asked of the vault in this process.
    asked: BTreeSet<(MessageId, u32)>,
    /// Parts that somebody has missed, to be said again.
    again: BTreeSet<(MessageId, u32)>,
    /// Who has asked for parts of which file in this process. What all have asked for is kept in the file.
    askers: BTreeMap<MessageId, Askers>,
    /// Which parts the messages carry that were made, once somebody has asked: to name them costs a hash
    /// each, and whoever asks may ask again at once.
    parts: Option<BTreeMap<MessageId, (MessageId, u32)>>,
}

impl Uploads {
    pub(crate) const fn new(local: Local) -> Self {
        Self {
            local,
            items: BTreeMap::new(),
            asked: BTreeSet::new(),
            again: BTreeSet::new(),
            askers: BTreeMap::new(),
            parts: None,
        }
    }

    pub(crate) fn load(&mut self, id: MessageId, upload: Upload) {
        self.items.insert(id, upload);
    }

    /// Files that are not in the log and whose way there is not stopped.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = MessageId> {
        let is_under_way = |(_, it): &(&MessageId, &Upload)| !it.is_in_log() && !it.stopped;
        self.items.iter().filter(is_under_way).map(|(id, _)| *id)
    }

    /// A file was offered.
    fn begin(&mut self, pen: &mut Pen, id: MessageId, upload: Upload) {
        self.items.insert(id, upload);
        self.save(pen, id);
    }

    fn save(&self, pen: &mut Pen, id: MessageId) {
        let key = Key::upload(self.local, id);
        match self.items.get(&id) {
            Some(upload) => pen.put(key, upload),
            None => pen.delete(key),
        }
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self, pen: &mut Pen) {
        for id in core::mem::take(&mut self.items).into_keys() {
            self.save(pen, id);
        }
        self.again.clear();
        self.askers.clear();
        self.parts = None;
    }

    fn forget(&mut self, pen: &mut Pen, id: MessageId) -> Option<Upload> {
        let upload = self.items.remove(&id)?;
        self.again.retain(|(of, _)| *of != id);
        self.askers.remove(&id);
        if let Some(parts) = &mut self.parts {
            parts.retain(|_, (of, _)| *of != id);
        }
        self.save(pen, id);
        Some(upload)
    }

    /// Of the files that are in the log only the newest can be said again.
    fn forget_old(&mut self, pen: &mut Pen) {
        let finished = |(_, it): &(&MessageId, &Upload)| it.is_in_log();
        while self.items.iter().filter(finished).count() > MAX_KEPT {
            let oldest = self.items.iter().filter(finished).min_by_key(|(_, it)| it.time);
            let Some(id) = oldest.map(|(id, _)| *id) else { return };
            self.forget(pen, id);
        }
    }

    /// Whether it is a refused part that a file would go on with.
    pub(crate) fn needs(&self, outgoing: &Outgoing) -> bool {
        outgoing.part().is_some_and(|part| self.items.contains_key(&part.of))
    }

    /// The next part to ask the vault for: of the oldest file first, then what is only said again.
    fn next(&self) -> Option<(MessageId, u32)> {
        let is_free = |it: &(MessageId, u32)| !self.asked.contains(it);
        let goes = |(_, it): &(&MessageId, &Upload)| !it.stopped && it.next < it.chunks();
        let mut going: Vec<_> = self.items.iter().filter(goes).collect();
        going.sort_by_key(|(_, it)| it.time);
        let fresh = going.iter().find_map(|(id, it)| {
            (it.next..it.chunks()).take(AT_ONCE).map(|index| (**id, index)).find(is_free)
        });
        fresh.or_else(|| self.again.iter().copied().find(is_free))
    }

    /// Which part of which file a message carries.
    fn part(&mut self, author: Fingerprint, message: MessageId) -> Option<(MessageId, u32)> {
        let parts = self.parts.get_or_insert_with(|| {
            let of_file = |(id, upload): (&MessageId, &Upload)| {
                let file = MessageRef { author, id: *id };
                (0..upload.next).map(move |index| (chunk_id(file, index), (file.id, index)))
            };
            self.items.iter().flat_map(of_file).collect()
        });
        parts.get(&message).copied()
    }

    /// Somebody has missed a part: whether it is to be said again, to this asker.
    fn ask(&mut self, file: MessageId, index: u32, asker: Fingerprint) -> bool {
        let Some(upload) = self.items.get(&file) else { return false };
        let all = upload.chunks().saturating_mul(MAX_AGAIN);
        upload.again < all
            && !self.again.contains(&(file, index))
            && self.askers.entry(file).or_default().grant(asker, upload.chunks())
            && self.again.insert((file, index))
    }
}

impl Conversation {
    /// What the person said that is not all in the log.
    pub(crate) fn queued(&self) -> usize {
        let parts = self.uploads.under_way().filter(|id| !self.outbox.contains(*id)).count();
        self.outbox.len().saturating_add(parts)
    }

    /// Files whose parts may be wanted, or that are not offered yet.
    pub(crate) fn files(&self) -> impl Iterator<Item = MessageId> {
        self.uploads.items.keys().copied()
    }

    /// Puts what the person says into the outbox; of a file, the parts follow.
    pub(crate) fn queue(&mut self, pen: &mut Pen, outgoing: Outgoing) {
        if let Some(offer) = outgoing.offer() {
            let upload = Upload::new(&offer, outgoing.content.time);
            self.uploads.begin(pen, outgoing.id, upload);
        }
        self.outbox.push(pen, outgoing);
    }

    /// Asks the vault for parts of files, if nothing else waits.
    pub(crate) fn want_chunks(&mut self, now: &mut Now<'_>) {
        if !self.outbox.is_free() {
            return;
        }
        while self.outbox.chunks().saturating_add(self.uploads.asked.len()) < AT_ONCE {
            let Some((file, index)) = self.uploads.next() else { return };
            self.uploads.asked.insert((file, index));
            now.shared.pen.want(Want { conversation: self.local, file, index });
        }
    }

    /// The vault has found a part, or has not.
    pub(crate) fn take_part(
        &mut self,
        now: &mut Now<'_>,
        (file, index): (MessageId, u32),
        bytes: Option<Vec<u8>>,
    ) {
        if !self.uploads.asked.remove(&(file, index)) {
            return;
        }
        if self.may_send(now) {
            match (bytes, self.uploads.items.get(&file)) {
                (_, None) => {}
                (Some(bytes), Some(upload)) if is_part(&bytes, upload.size, index) => {
                    self.send_part(now, (file, index), bytes);
                }
                (_, Some(_)) => self.lose_file(now, file),
            }
        }
        self.flush(now);
    }

    fn send_part(&mut self, now: &mut Now<'_>, (file, index): (MessageId, u32), bytes: Vec<u8>) {
        let name = MessageRef { author: now.shared.me, id: file };
        let id = chunk_id(name, index);
        let Some(upload) = self.uploads.items.get_mut(&file) else { return };
        let content = Chunk { of: file, index, bytes: Blob(bytes) }.into_content(upload.time);
        let pen = &mut now.shared.pen;
        if index == upload.next && !upload.stopped {
            upload.next = upload.next.saturating_add(1);
            if let Some(parts) = &mut self.uploads.parts {
                parts.insert(id, (file, index));
            }
            self.uploads.save(pen, file);
            self.outbox.push(pen, Outgoing::new(id, content));
        } else if self.uploads.again.remove(&(file, index))
            && let Some(epoch) = upload.epoch
            && !self.outbox.contains(id)
        {
            upload.again = upload.again.saturating_add(1);
            self.uploads.save(pen, file);
            self.outbox.push(pen, Outgoing::again(id, content, epoch));
        }
    }

    /// The vault does not have a file that was offered.
    fn lose_file(&mut self, now: &mut Now<'_>, file: MessageId) {
        if let Some(upload) = self.uploads.forget(&mut now.shared.pen, file)
            && !upload.is_in_log()
        {
            self.fail_text(now, file, Failure::file_lost(&upload.name));
        }
    }

    /// This device's own offer is in the log.
    pub(crate) fn offer_logged(&mut self, now: &mut Now<'_>, file: MessageId, epoch: Epoch) {
        if let Some(upload) = self.uploads.items.get_mut(&file) {
            upload.epoch.get_or_insert(epoch);
            self.uploads.save(&mut now.shared.pen, file);
            self.tell_progress(now, file);
        }
    }

    /// A part of this device's own is in the log, for the first time.
    pub(crate) fn part_logged(&mut self, now: &mut Now<'_>, content: &Content) {
        let Ok(Chunk { of, .. }) = Chunk::read(&content.body) else { return };
        if let Some(upload) = self.uploads.items.get_mut(&of) {
            upload.logged = upload.logged.saturating_add(1);
            self.uploads.save(&mut now.shared.pen, of);
            self.tell_progress(now, of);
        }
    }

    fn tell_progress(&mut self, now: &mut Now<'_>, file: MessageId) {
        let (target, group) = (self.target(), self.id());
        let Some(upload) = self.uploads.items.get_mut(&file) else { return };
        let Some(group) = group else { return };
        now.shared.pen.event(Event::Progress(Progress {
            target,
            group,
            file: MessageRef { author: now.shared.me, id: file },
            name: upload.name.clone(),
            done: upload.done(),
            size: upload.size,
            own: true,
        }));
        if upload.is_in_log() {
            // Nothing needs its name any more, and it may be deleted from the vault.
            upload.name.clear();
            self.uploads.save(&mut now.shared.pen, file);
            self.uploads.forget_old(&mut now.shared.pen);
        }
    }

    /// The relay will not have a part: the file waits for its person, who is told once.
    pub(crate) fn part_refused(&mut self, now: &mut Now<'_>, content: &Content, why: Failure) {
        let Ok(Chunk { of, .. }) = Chunk::read(&content.body) else { return };
        let Some(upload) = self.uploads.items.get_mut(&of) else { return };
        // What is only said again is nobody's loss here.
        if !upload.is_in_log() && !core::mem::replace(&mut upload.stopped, true) {
            let failure = why.stops(&upload.name, upload.logged, upload.chunks());
            self.uploads.save(&mut now.shared.pen, of);
            self.fail_text(now, of, failure);
        }
    }

    /// The person wants a file that has stopped to go on.
    pub(crate) fn resume_file(&mut self, now: &mut Now<'_>, order: u64, file: MessageId) {
        match self.uploads.items.get_mut(&file) {
            Some(upload) if !upload.is_in_log() => {
                upload.stopped = false;
                self.uploads.save(&mut now.shared.pen, file);
                let is_part = |it: &Outgoing| it.part().is_some_and(|part| part.of == file);
                self.outbox.allow(&mut now.shared.pen, is_part);
                self.done(now, Some(order));
                self.flush(now);
            }
            _ => self.report(now, Some(order), Failure::no_file()),
        }
    }

    /// The person does not want a file to be sent any more, or nobody is to have it.
    pub(crate) fn cancel_file(&mut self, now: &mut Now<'_>, file: MessageId) {
        self.uploads.forget(&mut now.shared.pen, file);
    }

    /// No file goes on from here.
    pub(crate) fn cancel_files(&mut self, now: &mut Now<'_>, failure: &Failure) {
        let under_way: Vec<_> = self.uploads.under_way().collect();
        for id in under_way {
            // Whoever waits for the offer is told of that.
            let is_offered = !self.outbox.contains(id);
            self.uploads.forget(&mut now.shared.pen, id);
            if is_offered {
                self.fail_text(now, id, failure.clone());
            }
        }
    }

    /// Some messages could not be opened by a member: those that are parts of files are said again.
    /// Returns of how many files nothing is, because somebody has come since.
    pub(crate) fn say_parts_again(
        &mut self,
        now: &mut Now<'_>,
        ids: &[MessageId],
        audience: Audience,
    ) -> usize {
        if ids.is_empty() || self.uploads.items.is_empty() {
            return 0;
        }
        let mut late = 0_usize;
        for id in ids {
            let Some((file, index)) = self.uploads.part(now.shared.me, *id) else { continue };
            let Some(upload) = self.uploads.items.get_mut(&file) else { continue };
            let Some(epoch) = upload.epoch.filter(|epoch| *epoch >= audience.since) else {
                continue;
            };
            if audience.newest <= epoch {
                self.uploads.ask(file, index, audience.asker);
            } else if !core::mem::replace(&mut upload.told, true) {
                self.uploads.save(&mut now.shared.pen, file);
                late = late.saturating_add(1);
            }
        }
        late
    }

    /// Whether something of this device's own may go into the log now.
    pub(crate) fn may_send(&mut self, now: &mut Now<'_>) -> bool {
        self.is_open(now)
            && self.group.as_ref().is_some_and(|group: &Group| !group.is_left_behind())
    }
}

fn is_part(bytes: &[u8], size: u64, index: u32) -> bool {
    index < chunks(size)
        && u64::try_from(bytes.len()).is_ok_and(|len| len == chunk_len(size, index))
}

#[cfg(test)]
mod tests {
    use openchat_wire::{Digest, limits::FILE_CHUNK};

    use super::*;

    const FILE: MessageId = MessageId([1; 16]);

    /// A file of two parts that was offered and sent.
    fn uploads() -> Uploads {
        let size = u64::try_from(FILE_CHUNK).unwrap() + 1;
        let offer = Offer { name: "photo".to_owned(), size, hash: Digest([7; 32]) };
        let mut uploads = Uploads::new(1);
        let upload = Upload { next: 2, logged: 2, ..Upload::new(&offer, UnixMillis(1)) };
        uploads.load(FILE, upload);
        uploads
    }

    #[test]
    fn m23_one_member_has_a_file_said_again_once_and_others_have_it_too() {
        let mut uploads = uploads();
        let [mallory, bob] = [4, 5].map(|it| Fingerprint([it; 32]));
        for _ in 0..2 {
            assert!(uploads.ask(FILE, 0, mallory));
            uploads.again.clear();
        }
        assert!(!uploads.ask(FILE, 1, mallory), "as many parts as it has");
        assert!(uploads.ask(FILE, 0, bob));
        assert!(!uploads.ask(FILE, 0, mallory), "it is on its way already");
        uploads.again.clear();
        uploads.items.get_mut(&FILE).unwrap().again = 2 * MAX_AGAIN;
        assert!(!uploads.ask(FILE, 1, bob), "all together are bounded, too");
    }

    #[test]
    fn a_part_is_found_by_its_message_until_its_file_is_forgotten() {
        let (mut uploads, author) = (uploads(), Fingerprint([9; 32]));
        let named = |id, index| chunk_id(MessageRef { author, id }, index);
        assert_eq!(uploads.part(author, named(FILE, 1)), Some((FILE, 1)));
        assert_eq!(uploads.part(author, named(FILE, 2)), None);
        uploads.forget(&mut Pen::default(), FILE);
        assert_eq!(uploads.part(author, named(FILE, 1)), None);
    }
}
