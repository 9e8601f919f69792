//! What the operator's commands read, beside the store and without holding it up.

use crate::{
    SqliteReader,
    convert::{failed, number},
    read,
    store::kind,
};
use openchat_relay::{
    StoreError,
    store::{Record, Recorded, Table},
};
use rusqlite::{OptionalExtension as _, params};

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Logs.
    pub logs: u64,
    /// Entries that were ever appended to them.
    pub entries: u64,
    /// Entries of the transparency log.
    pub recorded: u64,
}

impl SqliteReader {
    /// Records of a table whose keys are behind `after`, in the order of the keys, at most `max`;
    /// [`Record::rest`] is the whole key.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn records(
        &self,
        table: Table,
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        const RECORDS: &str = "
            SELECT key, value FROM records
            WHERE kind = ?1 AND (?2 IS NULL OR key > ?2) ORDER BY key LIMIT ?3";
        let mut statement = self.0.prepare_cached(RECORDS).map_err(failed)?;
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![kind(table), after, max], |row| {
                Ok(Record { rest: row.get(0)?, value: row.get(1)? })
            })
            .map_err(failed)?;
        rows.map(|row| row.map_err(failed)).collect()
    }

    /// One record.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn record(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        read::record(&self.0, table, key)
    }

    /// The record of a table with the last key.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn newest(&self, table: Table) -> Result<Option<Record>, StoreError> {
        const NEWEST: &str =
            "SELECT key, value FROM records WHERE kind = ?1 ORDER BY key DESC LIMIT 1";
        let record = self.0.query_row(NEWEST, params![kind(table)], |row| {
            Ok(Record { rest: row.get(0)?, value: row.get(1)? })
        });
        record.optional().map_err(failed)
    }

    /// At most `max` entries of the transparency log from `index` on.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn recorded(&self, index: u64, max: usize) -> Result<Vec<Recorded>, StoreError> {
        read::recorded(&self.0, index, max)
    }

    /// How much there is. Takes no longer for a large database: rows are numbered as they come.
    ///
    /// # Errors
    /// As SQLite fails.
    pub fn figures(&self) -> Result<Figures, StoreError> {
        const FIGURES: &str = "
            SELECT (SELECT count(*) FROM logs),
                   (SELECT coalesce(max(rowid), 0) FROM entries),
                   (SELECT coalesce(max(place) + 1, 0) FROM transparency)";
        let found =
            self.0.query_row(FIGURES, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (logs, entries, recorded) = found.map_err(failed)?;
        Ok(Figures { logs: number(logs)?, entries: number(entries)?, recorded: number(recorded)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqliteStore;
    use openchat_relay::Store as _;
    use openchat_wire::UnixMillis;

    #[test]
    fn records_come_in_pages() {
        let place = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&place.path().join("db")).unwrap();
        for key in [3_u8, 1, 2] {
            store.put(Table::Invitation, &[key], None, &[key]).unwrap();
            store.put(Table::Name, &[key], None, b"other").unwrap();
        }
        store.record(0, UnixMillis(7), b"a").unwrap();
        store.flush().unwrap();
        let reader = store.reader().unwrap();
        let keys = |after: Option<&[u8]>, max| {
            let records = reader.records(Table::Invitation, after, max).unwrap();
            records.into_iter().map(|record| record.rest).collect::<Vec<_>>()
        };
        assert_eq!(keys(None, 2), [[1], [2]]);
        assert_eq!(keys(Some(&[2]), 2), [[3]]);
        assert_eq!(keys(Some(&[3]), 2), [[0_u8; 1]; 0]);
        assert_eq!(reader.newest(Table::Invitation).unwrap().unwrap().rest, [3]);
        assert!(reader.newest(Table::Head).unwrap().is_none());
        assert_eq!(reader.record(Table::Invitation, &[2]).unwrap(), Some(vec![2]));
        assert_eq!(reader.record(Table::Member, &[2]).unwrap(), None);
        assert_eq!(reader.recorded(0, 9).unwrap().len(), 1);
        assert!(reader.recorded(1, 9).unwrap().is_empty());
        let figures = reader.figures().unwrap();
        assert_eq!((figures.logs, figures.entries, figures.recorded), (0, 0, 1));
    }
}
