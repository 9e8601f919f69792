//! Files of others, coming part by part (`docs/protocol.md` §6.5). Which parts are there is known here;
//! the bytes go into the vault with the message that brought them.

use std::collections::{BTreeMap, BTreeSet};

use openchat_wire::{Blob, Fingerprint, GroupId, MessageId, Seq};
use serde::{Deserialize, Serialize};

use crate::{
    body::{MessageRef, Offer, chunk_len, chunks},
    chunk::{Chunk, chunk_id},
    conversation::Conversation,
    event::{Event, Progress},
    missed::Named,
    output::Pen,
    reading::UPDATE,
    record::{Change, Key},
    shared::Now,
};

/// Files of one member that are under way. With one more the oldest is given up: a member who offers and
/// never sends costs no more than this.
const MAX_UNDER_WAY: usize = 32;

/// Files that nothing is known of and that the person was told of, so that it is told once.
const MAX_STRAYS: usize = 64;

/// A file that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Download {
    name: String,
    size: u64,
    /// Where it was offered.
    offered: Seq,
    /// A bit for each part that is there.
    have: Blob,
}

impl Download {
    fn new(offer: &Offer, offered: Seq) -> Self {
        let bytes = usize::try_from(offer.chunks().div_ceil(8)).unwrap_or_default();
        let (name, size) = (offer.name.clone(), offer.size);
        Self { name, size, offered, have: Blob(vec![0; bytes]) }
    }

    /// Whether it was not there yet.
    fn take(&mut self, index: u32) -> bool {
        let at = usize::try_from(index.checked_div(8).unwrap_or_default()).unwrap_or(usize::MAX);
        let bit = 1_u8 << (index & 7);
        self.have.0.get_mut(at).is_some_and(|byte| {
            let is_new = *byte & bit == 0;
            *byte |= bit;
            is_new
        })
    }

    fn count(&self) -> u32 {
        self.have.0.iter().map(|byte| byte.count_ones()).sum()
    }

    fn is_whole(&self) -> bool {
        self.count() >= chunks(self.size)
    }

    fn done(&self) -> u64 {
        if self.is_whole() {
            return self.size;
        }
        chunk_len(u64::MAX, 0).saturating_mul(self.count().into()).min(self.size)
    }
}

/// The files of others that are under way here.
#[derive(Debug, Default)]
pub(crate) struct Downloads {
    items: BTreeMap<Named, Download>,
    strays: BTreeSet<Named>,
}

impl Downloads {
    pub(crate) fn load(&mut self, author: Fingerprint, id: MessageId, download: Download) {
        self.items.insert((author, id), download);
    }

    fn begin(&mut self, pen: &mut Pen, group: GroupId, file: Named, download: Download) {
        pen.put(Key::download(group, file), &download);
        self.items.insert(file, download);
        let of_author = |(named, _): &(&Named, &Download)| named.0 == file.0;
        while self.items.iter().filter(of_author).count() > MAX_UNDER_WAY {
            let oldest = self.items.iter().filter(of_author).min_by_key(|(_, it)| it.offered);
            let Some(oldest) = oldest.map(|(named, _)| *named) else { return };
            self.forget(pen, group, oldest);
            pen.file(Change::DropFile { group, file: named(oldest) });
        }
    }

    fn forget(&mut self, pen: &mut Pen, group: GroupId, file: Named) {
        if self.items.remove(&file).is_some() {
            pen.delete(Key::download(group, file));
        }
    }

    /// Whether the person is to be told of a part of something unknown.
    fn is_news(&mut self, file: Named) -> bool {
        self.strays.len() < MAX_STRAYS && self.strays.insert(file)
    }
}

impl Conversation {
    /// Somebody has offered a file.
    pub(crate) fn offered(&mut self, now: &mut Now<'_>, seq: Seq, file: Named, offer: &Offer) {
        let Some(group) = self.id() else { return };
        let download = Download::new(offer, seq);
        self.downloads.begin(&mut now.shared.pen, group, file, download);
        self.file_came(now, group, file);
    }

    /// A file is not wanted any more by its author.
    pub(crate) fn take_back_file(&mut self, now: &mut Now<'_>, file: Named) {
        if let Some(group) = self.id() {
            self.downloads.forget(&mut now.shared.pen, group, file);
        }
    }

    /// A part of somebody's file.
    pub(crate) fn take_chunk(&mut self, now: &mut Now<'_>, seq: Seq, by: Named, body: &Blob) {
        let (author, id) = by;
        // This device's own files are where they came from.
        if author == now.shared.me {
            return;
        }
        let Ok(Chunk { of, index, bytes }) = Chunk::read(body) else {
            let cause = "a part of a file that is not what its kind says";
            return self.unreadable_because(now, seq, cause, UPDATE);
        };
        let (Some(group), file) = (self.id(), (author, of)) else { return };
        let Some(download) = self.downloads.items.get_mut(&file) else {
            return self.stray(now, seq, file);
        };
        let len = u64::try_from(bytes.0.len()).unwrap_or(u64::MAX);
        if id != chunk_id(named(file), index)
            || index >= chunks(download.size)
            || len != chunk_len(download.size, index)
        {
            let cause = "a part that is not one of the file that it names";
            return self.unreadable_because(now, seq, cause, FAULTY);
        }
        if download.take(index) {
            now.shared.pen.put(Key::download(group, file), &*download);
            now.shared.pen.file(Change::Chunk { group, file: named(file), index, bytes });
            self.file_came(now, group, file);
        }
    }

    /// More of a file is there, or all of it.
    fn file_came(&mut self, now: &mut Now<'_>, group: GroupId, file: Named) {
        let Some(download) = self.downloads.items.get(&file) else { return };
        now.shared.pen.event(Event::Progress(Progress {
            target: self.target(),
            group,
            file: named(file),
            name: download.name.clone(),
            done: download.done(),
            size: download.size,
            own: false,
        }));
        if download.is_whole() {
            self.downloads.forget(&mut now.shared.pen, group, file);
            self.owe_mark(now, file.0);
        }
    }

    fn stray(&mut self, now: &mut Now<'_>, seq: Seq, file: Named) {
        if self.downloads.is_news(file) {
            let cause = "a part of a file that was offered before this device came, or not at all";
            self.unreadable_because(now, seq, cause, "Ask its author to send the file again.");
        }
    }
}

const FAULTY: &str = "Ask its author to send the file again; they may have to update openchat.";

const fn named((author, id): Named) -> MessageRef {
    MessageRef { author, id }
}

#[cfg(test)]
mod tests {
    use openchat_wire::Digest;

    use super::*;

    fn offer(size: u64) -> Offer {
        Offer { name: "a".to_owned(), size, hash: Digest([0; 32]) }
    }

    #[test]
    fn a_file_is_whole_when_each_part_has_come_in_any_order_and_however_often() {
        let part = chunk_len(u64::MAX, 0);
        let mut download = Download::new(&offer(part * 9 + 1), Seq(1));
        let mut taken = BTreeSet::new();
        for index in [9, 0, 3, 8, 1, 2, 3, 7, 6, 4, 9] {
            assert!(!download.is_whole());
            assert_eq!(download.take(index), taken.insert(index), "{index}");
        }
        assert!(download.take(5) && download.is_whole());
        assert_eq!(download.done(), part * 9 + 1);
        assert!(!download.take(16) && !download.take(u32::MAX));
    }

    #[test]
    fn nobody_has_more_files_under_way_than_some_and_the_oldest_goes_first() {
        let (mut downloads, mut pen) = (Downloads::default(), Pen::default());
        let file = |n: u8| (Fingerprint([1; 32]), MessageId([n; 16]));
        let other = (Fingerprint([2; 32]), MessageId([0; 16]));
        let group = GroupId([3; 32]);
        downloads.begin(&mut pen, group, other, Download::new(&offer(9), Seq(0)));
        for n in 0..=32 {
            let seq = Seq(100 - u64::from(n));
            downloads.begin(&mut pen, group, file(n), Download::new(&offer(9), seq));
        }
        assert_eq!(downloads.items.len(), MAX_UNDER_WAY + 1, "the other's is not touched");
        assert!(!downloads.items.contains_key(&file(32)), "offered first, by its place");
        let dropped =
            pen.take().changes.into_iter().filter(|it| matches!(it, Change::DropFile { .. }));
        assert_eq!(dropped.count(), 1);
    }
}
