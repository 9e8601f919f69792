//! When messages end (`docs/protocol.md` §6.4): by a timer, and by how long this person keeps them. What is
//! over is read no more from that moment on, whatever runs; it is deleted when a session runs.
//!
//! A timer counts from when a message was shown. It needs no role to set one, and in an open group not
//! even an invitation: counted from when a message comes, it would take away what nobody has read.

use super::{Vault, VaultError, contents, history::sortable};
use openchat_engine::{Body, StoredMessage};
use openchat_wire::{GroupId, Name, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Set in `due` of what was not shown yet; the rest is for how long it is kept from then on, in
/// milliseconds. It sorts behind every time.
const UNSHOWN: u64 = 1 << 63;

/// What a device has shown nobody for so long counts as shown then: longer than most people are away. A
/// device that only listens keeps its promise so much later.
pub(super) const SHOWN_AT_LAST: Duration = Duration::from_hours(30 * 24);

/// Of messages `m` those that are not over at the time `now`: a parameter, in milliseconds.
pub(super) fn lasting(now: &str) -> String {
    let before = bytes(&format!("max({now} - r.seconds * 1000, 0)"));
    let kept = |of| format!("(SELECT {before} FROM retention r WHERE r.grp = {of})");
    let (here, elsewhere) = (kept("m.grp"), kept("zeroblob(32)"));
    let now = bytes(now);
    format!(
        "((m.due IS NULL OR m.due > {now})
         AND m.stored >= coalesce({here}, {elsewhere}, zeroblob(8)))"
    )
}

/// A number as the tables have it, see [`super::schema`].
fn bytes(number: &str) -> String {
    format!("unhex(printf('%016X', {number}))")
}

/// A time for [`lasting`].
pub(super) fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// When a message that comes now is to go. What one has said oneself was seen then.
pub(super) fn due(
    database: &Connection,
    message: &StoredMessage,
    now: UnixMillis,
) -> Result<Option<[u8; 8]>, VaultError> {
    let held = contents::held(database, &message.group, &Body::Timer(None))?;
    let Some((Body::Timer(Some(time)), _)) = held else { return Ok(None) };
    let is_seen = message.own || message.seq <= shown(database, &message.group)?;
    let due = if is_seen { ending(now, time) } else { UNSHOWN | in_millis(time) };
    Ok(Some(sortable(due)))
}

fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX) & !UNSHOWN
}

fn ending(now: UnixMillis, time: Duration) -> u64 {
    now.0.saturating_add(in_millis(time)).min(UNSHOWN - 1)
}

/// Up to where the conversation was shown.
fn shown(database: &Connection, group: &GroupId) -> Result<Seq, VaultError> {
    let mut shown = database.prepare_cached("SELECT shown FROM conversations WHERE grp = ?1")?;
    let shown = shown.query_row([group.0], |row| row.get(0)).optional()?;
    Ok(Seq(shown.map_or(0, u64::from_be_bytes)))
}

/// The conversation was shown up to this place: the timers of what is new in it begin to count.
pub(super) fn mark_shown(
    database: &Connection,
    group: &GroupId,
    seq: Seq,
    now: UnixMillis,
) -> Result<(), VaultError> {
    let before = shown(database, group)?;
    if before >= seq {
        return Ok(());
    }
    let mut mark = database.prepare_cached("UPDATE conversations SET shown = ?2 WHERE grp = ?1")?;
    mark.execute(params![group.0, sortable(seq.0)])?;
    // By its place, not by `due`: of that there may be many more.
    let new = "grp = ?1 AND seq > ?2 AND seq <= ?3 AND +due >= ?4";
    let values = params![group.0, sortable(before.0), sortable(seq.0), sortable(UNSHOWN)];
    begin(database, new, values, now)
}

/// The same of what has waited for too long.
pub(super) fn begin_at_last(database: &Connection, now: UnixMillis) -> Result<(), VaultError> {
    let waited = u64::try_from(SHOWN_AT_LAST.as_millis()).unwrap_or(u64::MAX);
    let before = sortable(now.0.saturating_sub(waited));
    begin(database, "due >= ?1 AND stored <= ?2", params![sortable(UNSHOWN), before], now)
}

fn begin(
    database: &Connection,
    which: &str,
    values: &[&dyn rusqlite::ToSql],
    now: UnixMillis,
) -> Result<(), VaultError> {
    let mut found =
        database.prepare_cached(&format!("SELECT row, due FROM messages WHERE {which}"))?;
    let rows = found.query_map(values, |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut set = database.prepare_cached("UPDATE messages SET due = ?2 WHERE row = ?1")?;
    for (row, due) in rows {
        let time = Duration::from_millis(u64::from_be_bytes(due) & !UNSHOWN);
        set.execute(params![row, sortable(ending(now, time))])?;
    }
    Ok(())
}

/// Counts what goes before it was shown, or told to a listener. `which` says it of messages `m`.
pub(super) fn count_missed(
    database: &Connection,
    which: &str,
    values: &[Vec<u8>],
) -> Result<(), VaultError> {
    let readers = [
        "SELECT '', m.grp, count(*) FROM messages m
         JOIN conversations r ON r.grp = m.grp AND r.shown < m.seq",
        "SELECT r.name, m.grp, count(*) FROM messages m
         JOIN listeners r ON r.grp = m.grp AND r.seq < m.seq",
    ];
    for (reader, by) in readers.into_iter().zip(["m.grp", "m.grp, r.name"]) {
        let mut count = database.prepare_cached(&format!(
            "INSERT INTO missed (name, grp, messages) {reader}
             WHERE m.own = 0 AND {} AND {which} GROUP BY {by}
             ON CONFLICT (name, grp) DO UPDATE SET messages = messages + excluded.messages",
            contents::STANDING
        ))?;
        count.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

impl Vault {
    /// How many messages went because their time was over before this listener was told of them, or,
    /// if none is named, before they were shown; told once.
    ///
    /// # Errors
    /// The database's.
    pub fn take_missed(
        &mut self,
        listener: Option<&Name>,
        group: &GroupId,
    ) -> Result<u64, VaultError> {
        let mut take = self
            .database
            .prepare_cached("DELETE FROM missed WHERE name = ?1 AND grp = ?2 RETURNING messages")?;
        let name = listener.map_or("", Name::as_str);
        let count =
            take.query_row(params![name, group.0], |row| row.get::<_, i64>(0)).optional()?;
        Ok(u64::try_from(count.unwrap_or_default()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
