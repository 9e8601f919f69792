//! The entries of the transparency log, as they came: whoever has them can show what the log said,
//! and can build the mirror anew.

use openchat_pki::MAX_LOGGED;
use openchat_wire::{Blob, DecodeError, decode, encode};
use std::collections::BTreeMap;

use crate::{output::Pen, record::Key};

/// Entries in a record: as many as one hash of the mirror stands for, so that a proof reads whole
/// records, and few enough to be written again whenever one comes.
const PER_RECORD: usize = 32;

/// Bytes of a record.
const MAX_RECORD: usize = PER_RECORD * (MAX_LOGGED + 2) + 2;

/// All entries that the mirror holds.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    /// Records that are full, as they are stored.
    full: Vec<Blob>,
    /// The entries after those.
    last: Vec<Blob>,
}

impl Archive {
    pub(crate) fn len(&self) -> u64 {
        let full = self.full.len().saturating_mul(PER_RECORD);
        u64::try_from(full.saturating_add(self.last.len())).unwrap_or(u64::MAX)
    }

    /// Keeps entries that the mirror has taken.
    pub(crate) fn push(&mut self, pen: &mut Pen, entries: impl IntoIterator<Item = Blob>) {
        for entry in entries {
            self.last.push(entry);
            if self.last.len() == PER_RECORD {
                self.write(pen);
                self.full.push(Blob(encode(&self.last)));
                self.last.clear();
            }
        }
        if !self.last.is_empty() {
            self.write(pen);
        }
    }

    fn write(&self, pen: &mut Pen) {
        let number = u64::try_from(self.full.len()).unwrap_or(u64::MAX);
        pen.put(Key::logged(number), &self.last);
    }

    /// What was stored, by number: every record but the last is full.
    pub(crate) fn load(records: BTreeMap<u64, Blob>) -> Result<Self, DecodeError> {
        let numbers = records.keys().copied();
        if !numbers.eq(0..u64::try_from(records.len()).unwrap_or(u64::MAX)) {
            return Err(DecodeError::Malformed);
        }
        let mut full: Vec<Blob> = records.into_values().collect();
        let Some(record) = full.pop() else { return Ok(Self::default()) };
        let last: Vec<Blob> = decode(&record.0, MAX_RECORD)?;
        if last.len() < PER_RECORD {
            return Ok(Self { full, last });
        }
        full.push(record);
        Ok(Self { full, last: Vec::new() })
    }

    /// The entries from an index on.
    pub(crate) fn since(&self, index: u64) -> Option<Vec<Vec<u8>>> {
        let mut read = self.reader();
        (index..self.len()).map(&mut read).collect()
    }

    /// Reads single entries; neighbours cost nothing.
    pub(crate) fn reader(&self) -> impl FnMut(u64) -> Option<Vec<u8>> + '_ {
        let mut open: Option<(usize, Vec<Blob>)> = None;
        move |index| {
            let index = usize::try_from(index).ok()?;
            let (record, within) = (index / PER_RECORD, index % PER_RECORD);
            if record == self.full.len() {
                return self.last.get(within).map(|entry| entry.0.clone());
            }
            if open.as_ref().is_none_or(|(number, _)| *number != record) {
                open = Some((record, decode(&self.full.get(record)?.0, MAX_RECORD).ok()?));
            }
            let (_, entries) = open.as_ref()?;
            entries.get(within).map(|entry| entry.0.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Change;

    fn entry(number: u64) -> Blob {
        Blob(format!("entry {number}").into_bytes())
    }

    fn stored(pen: &mut Pen, disk: &mut BTreeMap<u64, Blob>) {
        for change in pen.take().changes {
            let Change::Put { key, value } = change else { panic!("only written") };
            disk.insert(key.number().unwrap(), value);
        }
    }

    #[test]
    fn entries_come_back_from_the_disk_whatever_their_number() {
        let (mut archive, mut pen, mut disk) =
            (Archive::default(), Pen::default(), BTreeMap::new());
        for size in 0..100_u64 {
            let loaded = Archive::load(disk.clone()).unwrap();
            assert_eq!(loaded.len(), size);
            let wanted: Vec<Vec<u8>> = (0..size).map(|it| entry(it).0).collect();
            assert_eq!(loaded.since(0).unwrap(), wanted);
            assert_eq!(loaded.reader()(size), None);
            archive.push(&mut pen, [entry(size)]);
            stored(&mut pen, &mut disk);
        }
        archive.push(&mut pen, (100..1_000).map(entry));
        stored(&mut pen, &mut disk);
        let loaded = Archive::load(disk.clone()).unwrap();
        assert_eq!(loaded.reader()(777), Some(entry(777).0));
        assert_eq!(loaded.since(998).unwrap().len(), 2);
        disk.remove(&3);
        assert!(Archive::load(disk).is_err(), "a record that is missing is no shorter log");
    }
}
