//! The messages, and how far each conversation was shown.

use super::{Survive, Vault, VaultError, contents, ends, words};
use crate::{outside::now, trust};
use openchat_engine::{Body, StoredMessage};
use openchat_wire::{Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// What of a conversation is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// From this time on, by the authors' clocks.
    pub since: UnixMillis,
    /// Before this time.
    pub until: Option<UnixMillis>,
    /// Behind this place.
    pub after: Option<Seq>,
    /// Before this place.
    pub before: Option<Seq>,
}

impl Range {
    /// All of it.
    pub const ALL: Self = Self { since: UnixMillis(0), until: None, after: None, before: None };
}

/// The columns that [`read`] takes, of messages `m` of conversations `c`.
pub(super) const COLUMNS: &str = "m.grp, c.target, m.seq, m.id, m.sender, m.fingerprint, m.trust, m.time, m.text, m.own, m.kind, m.body";

impl Vault {
    /// The conversations that have messages, with what they were called first.
    ///
    /// # Errors
    /// The database's.
    pub fn kept_conversations(&self) -> Result<Vec<(GroupId, String)>, VaultError> {
        let mut all =
            self.database.prepare("SELECT grp, target FROM conversations ORDER BY target")?;
        let rows = all.query_map([], |row| Ok((GroupId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest messages, as they stand now, of `group` in `range`, at most `limit` of them, oldest first.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn newest(
        &self,
        group: &GroupId,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, VaultError> {
        let mut messages = self.page(group, range, limit, "DESC")?;
        messages.reverse();
        Ok(messages)
    }

    /// The oldest messages of `group` in `range`, at most `limit` of them, oldest first.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn oldest(
        &self,
        group: &GroupId,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, VaultError> {
        self.page(group, range, limit, "ASC")
    }

    fn page(
        &self,
        group: &GroupId,
        range: &Range,
        limit: u32,
        order: &str,
    ) -> Result<Vec<StoredMessage>, VaultError> {
        let after = range.after.map_or(Some(0), |seq| seq.0.checked_add(1));
        let Some(first) = after else { return Ok(Vec::new()) };
        let last = range.before.map_or(Some(u64::MAX), |seq| seq.0.checked_sub(1));
        let Some(last) = last else { return Ok(Vec::new()) };
        let mut page = self.database.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages m JOIN conversations c ON c.grp = m.grp
             WHERE m.grp = ?1 AND {} AND m.seq BETWEEN ?2 AND ?3 AND m.time >= ?4 AND (?5 IS NULL OR m.time < ?5)
             AND {} ORDER BY m.seq {order} LIMIT ?6",
            contents::STANDING,
            ends::lasting("?7")
        ))?;
        let (since, until) = (sortable(range.since.0), range.until.map(|time| sortable(time.0)));
        let now = ends::millis(now());
        let wanted = params![group.0, sortable(first), sortable(last), since, until, limit, now];
        let rows = page.query_map(wanted, |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// The oldest messages of `group` that were not shown yet, at most `limit` of them.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn unshown(&self, group: &GroupId, limit: u32) -> Result<Vec<StoredMessage>, VaultError> {
        let mut unshown = self.database.prepare_cached(&format!(
            "SELECT {COLUMNS}
             FROM conversations c JOIN messages m ON m.grp = c.grp AND m.seq > c.shown
             WHERE c.grp = ?1 AND {} ORDER BY m.seq LIMIT ?2",
            ends::lasting("?3")
        ))?;
        let wanted = params![group.0, limit, ends::millis(now())];
        let rows = unshown.query_map(wanted, |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// How many messages of others were not shown yet, of each group that has any.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn waiting(&self) -> Result<BTreeMap<GroupId, u64>, VaultError> {
        let mut waiting = self.database.prepare_cached(&format!(
            "SELECT m.grp, count(*)
             FROM conversations c JOIN messages m ON m.grp = c.grp AND m.seq > c.shown
             WHERE m.own = 0 AND m.kind NOT IN (6, 7, 8) AND {} GROUP BY m.grp",
            ends::lasting("?1")
        ))?;
        let now = [ends::millis(now())];
        let rows =
            waiting.query_map(now, |row| Ok((GroupId(row.get(0)?), row.get::<_, i64>(1)?)))?;
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
            ends::mark_shown(&transaction, group, *seq, now())?;
        }
        Ok(transaction.commit()?)
    }
}

/// The messages after a place, at most `limit` of them, in their order.
pub(super) fn after(
    database: &Connection,
    group: &GroupId,
    seq: Seq,
    limit: u32,
) -> Result<Vec<StoredMessage>, VaultError> {
    let mut after = database.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM conversations c JOIN messages m ON m.grp = c.grp
         WHERE c.grp = ?1 AND m.seq > ?2 AND {} ORDER BY m.seq LIMIT ?3",
        ends::lasting("?4")
    ))?;
    let wanted = params![group.0, sortable(seq.0), limit, ends::millis(now())];
    let rows = after.query_map(wanted, |row| Ok(read(row)))?;
    rows.map(|row| row?).collect()
}

/// Adds a message. A second one at the same place of the log is not possible; should it come all
/// the same, history is not rewritten.
pub(super) fn insert(database: &Connection, message: &StoredMessage) -> Result<(), VaultError> {
    let mut conversation = database.prepare_cached(
        "INSERT INTO conversations (grp, target, shown) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    conversation.execute(params![message.group.0, message.target, sortable(0)])?;
    let mut insert = database.prepare_cached(
        "INSERT INTO messages
         (grp, seq, id, sender, fingerprint, trust, time, stored, own, kind, text, words, body, due)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (grp, seq) DO NOTHING",
    )?;
    let (stored, text) = (now(), contents::found_by(&message.body));
    let due = ends::due(database, message, stored)?;
    let added = insert.execute(params![
        message.group.0,
        sortable(message.seq.0),
        message.id.0,
        message.sender.as_str(),
        message.fingerprint.0,
        trust::word(message.trust),
        sortable(message.time.0),
        sortable(stored.0),
        message.own,
        message.body.kind(),
        text,
        words::apart(text),
        contents::kept(&message.body),
        due,
    ])?;
    if added > 0 { contents::apply(database, message) } else { Ok(()) }
}

pub(super) fn read(row: &Row<'_>) -> Result<StoredMessage, VaultError> {
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
        body: body(row.get(10)?, row.get(8)?, row.get(11)?),
        own: row.get(9)?,
    })
}

/// What it says. A member may have sent anything under the number of a kind that this program knows and
/// an earlier one did not (M10): that hides no other message.
pub(super) fn body(kind: u16, text: String, bytes: Option<Vec<u8>>) -> Body {
    let Some(bytes) = bytes else { return Body::Text(text) };
    Body::from_bytes(kind, &bytes).unwrap_or(Body::Unknown { kind, bytes })
}

/// See [`super::schema`] for why not an integer.
pub(super) const fn sortable(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}
