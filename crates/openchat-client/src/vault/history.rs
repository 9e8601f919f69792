//! The messages, and how far each conversation was shown.

use super::{Survive, Vault, VaultError};
use crate::trust;
use openchat_engine::StoredMessage;
use openchat_wire::{Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

impl Vault {
    /// The oldest messages of `group` that were not shown yet, at most `limit` of them.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn unshown(&self, group: &GroupId, limit: u32) -> Result<Vec<StoredMessage>, VaultError> {
        let mut unshown = self.database.prepare_cached(
            "SELECT m.grp, c.target, m.seq, m.id, m.sender, m.fingerprint, m.trust, m.time, m.text,
                    m.own
             FROM conversations c JOIN messages m ON m.grp = c.grp AND m.seq > c.shown
             WHERE c.grp = ?1 ORDER BY m.seq LIMIT ?2",
        )?;
        let rows = unshown.query_map(params![group.0, limit], |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// How many messages of others were not shown yet, of each group that has any.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn waiting(&self) -> Result<BTreeMap<GroupId, u64>, VaultError> {
        let mut waiting = self.database.prepare_cached(
            "SELECT m.grp, count(*)
             FROM conversations c JOIN messages m ON m.grp = c.grp AND m.seq > c.shown
             WHERE NOT m.own GROUP BY m.grp",
        )?;
        let rows =
            waiting.query_map([], |row| Ok((GroupId(row.get(0)?), row.get::<_, i64>(1)?)))?;
        rows.map(|row| {
            let (group, count) = row?;
            Ok((group, u64::try_from(count).map_err(|_| VaultError::Damaged("a count"))?))
        })
        .collect()
    }

    /// Remembers that the messages of these groups up to these places were shown.
    ///
    /// This survives the death of the process, not that of the machine: then a message that was
    /// shown is shown again, which costs less than a wait for the disk at every message.
    ///
    /// # Errors
    /// The database's.
    pub fn mark_shown(&mut self, places: &[(GroupId, Seq)]) -> Result<(), VaultError> {
        if places.is_empty() {
            return Ok(());
        }
        self.surviving(Survive::Kill, |vault| vault.mark(places))
    }

    fn mark(&mut self, places: &[(GroupId, Seq)]) -> Result<(), VaultError> {
        let transaction = self.database.transaction()?;
        for (group, seq) in places {
            let mut mark = transaction.prepare_cached(
                "UPDATE conversations SET shown = ?2 WHERE grp = ?1 AND shown < ?2",
            )?;
            mark.execute(params![group.0, sortable(seq.0)])?;
        }
        Ok(transaction.commit()?)
    }
}

/// Adds a message. A second one at the same place of the log is not possible; should it come all
/// the same, history is not rewritten.
pub(super) fn insert(database: &Connection, message: &StoredMessage) -> Result<(), VaultError> {
    let mut conversation = database.prepare_cached(
        "INSERT INTO conversations (grp, target, shown) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    conversation.execute(params![message.group.0, message.target, sortable(0)])?;
    let mut insert = database.prepare_cached(
        "INSERT INTO messages (grp, seq, id, sender, fingerprint, trust, time, text, own)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (grp, seq) DO NOTHING",
    )?;
    insert.execute(params![
        message.group.0,
        sortable(message.seq.0),
        message.id.0,
        message.sender.as_str(),
        message.fingerprint.0,
        trust::word(message.trust),
        sortable(message.time.0),
        message.text,
        message.own,
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<StoredMessage, VaultError> {
    let sender: String = row.get(4)?;
    let word: String = row.get(6)?;
    Ok(StoredMessage {
        group: GroupId(row.get(0)?),
        target: row.get(1)?,
        seq: Seq(u64::from_be_bytes(row.get(2)?)),
        id: MessageId(row.get(3)?),
        sender: sender.parse().map_err(|_| VaultError::Damaged("a sender's name"))?,
        fingerprint: Fingerprint(row.get(5)?),
        trust: trust::of_word(&word).ok_or(VaultError::Damaged("a trust word"))?,
        time: UnixMillis(u64::from_be_bytes(row.get(7)?)),
        text: row.get(8)?,
        own: row.get(9)?,
    })
}

/// See [`super::schema`] for why not an integer.
const fn sortable(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}
