//! What stands in the relay's database, read past the server by somebody who only has the file.

use openchat_crypto::sha256;
use openchat_roster::LogEntry;
use openchat_wire::relay::InboxEntry;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// An entry of some group's log, as the relay stores it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The group's id.
    pub log: Vec<u8>,
    /// Its place.
    pub seq: i64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// What the relay can tell it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match LogEntry::decode(&self.bytes) {
            Ok(LogEntry::Commit(_)) => "commit",
            Ok(LogEntry::Message(_)) => "message",
            Ok(LogEntry::Notice(_)) => "notice",
            Ok(LogEntry::Leave(_)) => "leave",
            Err(_) if InboxEntry::decode(&self.bytes).is_ok() => "letter",
            Err(_) => "unreadable",
        }
    }

    /// SHA-256 of its bytes, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256(&self.bytes).to_string()
    }

    /// Which key seals it, if it is a message: group, epoch, slot and generation name one key.
    #[must_use]
    pub fn message_key(&self) -> Option<(Vec<u8>, u64, u32, u32)> {
        match LogEntry::decode(&self.bytes) {
            Ok(LogEntry::Message(message)) => {
                let header = message.header;
                Some((self.log.clone(), header.epoch.0, header.slot.0, header.generation.0))
            }
            _ => None,
        }
    }
}

/// All entries of all groups in a server's data directory, in the order of each log.
///
/// # Panics
/// If there is no readable database.
#[must_use]
pub fn entries(data: &Path) -> Vec<Entry> {
    read(&data.join("openchat.db")).expect("the server's database")
}

fn read(database: &Path) -> rusqlite::Result<Vec<Entry>> {
    let database = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut all = database.prepare(
        "SELECT logs.name, seq, entries.bytes FROM entries JOIN logs ON logs.id = entries.log
         ORDER BY logs.id, seq",
    )?;
    let rows = all.query_map([], |row| {
        Ok(Entry { log: row.get(0)?, seq: row.get(1)?, bytes: row.get(2)? })
    })?;
    rows.collect()
}
