//! Files, part by part: one's own, which the engine asks for, and those of others, which it brings.

use super::{NO_GROUP, Survive, Vault, VaultError, ends};
use crate::outside::now;
use openchat_engine::{MessageRef, Offer};
use openchat_wire::{Digest, Fingerprint, GroupId, MessageId, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Some of it is here.
    Coming {
        /// Bytes.
        done: u64,
    },
    /// All of it is here, and it is what was offered.
    Whole,
    /// It was another one than was offered, and is not kept.
    Wrong,
    /// The rest of it was not waited for: its sender had too many others under way.
    GivenUp,
}

/// A file of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The message that has offered it.
    pub message: MessageRef,
    /// The conversation; nothing of one's own.
    pub group: Option<GroupId>,
    /// Where the message stands that has offered it; nothing before that was said.
    pub offered_in: Option<GroupId>,
    /// Who has offered it; nothing before that was said.
    pub sender: Option<String>,
    /// When, by its author's clock, and where.
    pub offered: Option<(UnixMillis, Seq)>,
    /// What its sender calls it.
    pub offer: Offer,
    /// How it stands.
    pub state: FileState,
}

const COMING: i64 = 0;
const WHOLE: i64 = 1;
const WRONG: i64 = 2;
const GIVEN_UP: i64 = 3;

impl Vault {
    /// Begins to keep a file of one's own, part by part.
    ///
    /// # Errors
    /// The database's.
    pub fn begin_file(&mut self, file: &MessageRef, offer: &Offer) -> Result<(), VaultError> {
        self.surviving(Survive::Kill, |vault| {
            insert(&vault.database, NO_GROUP, file, offer, COMING)
        })
    }

    /// Keeps some more parts of it, the first of which is `from`.
    ///
    /// # Errors
    /// The database's.
    pub fn add_parts(
        &mut self,
        file: &MessageRef,
        from: u32,
        parts: &[Vec<u8>],
    ) -> Result<(), VaultError> {
        self.surviving(Survive::Kill, |vault| {
            let transaction = vault.database.transaction()?;
            for (index, bytes) in (from..).zip(parts) {
                put_in(&transaction, NO_GROUP, file, index, bytes)?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// A file of one's own is all here. What follows depends on it: it survives a power cut.
    ///
    /// # Errors
    /// The database's.
    pub fn end_file(&mut self, file: &MessageRef, offer: &Offer) -> Result<(), VaultError> {
        self.surviving(Survive::PowerCut, |vault| {
            let mut end = vault.database.prepare_cached(
                "UPDATE files SET size = ?4, hash = ?5, state = ?6
                 WHERE grp = ?1 AND author = ?2 AND id = ?3",
            )?;
            let size = i64::try_from(offer.size).unwrap_or(i64::MAX);
            end.execute(params![NO_GROUP, file.author.0, file.id.0, size, offer.hash.0, WHOLE])?;
            Ok(())
        })
    }

    /// Forgets a file of one's own.
    ///
    /// # Errors
    /// The database's.
    pub fn forget_own_file(&mut self, file: &MessageRef) -> Result<(), VaultError> {
        let delete = "DELETE FROM files WHERE grp = ?1 AND author = ?2 AND id = ?3";
        self.database.execute(delete, params![NO_GROUP, file.author.0, file.id.0])?;
        Ok(())
    }

    /// Files of one's own that no message has offered.
    ///
    /// # Errors
    /// The database's.
    pub fn unoffered_files(&self) -> Result<Vec<MessageRef>, VaultError> {
        let mut all = self.database.prepare_cached(UNOFFERED)?;
        let rows = all.query_map([NO_GROUP], |row| {
            Ok(MessageRef { author: Fingerprint(row.get(0)?), id: MessageId(row.get(1)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A part of a file, if it is there. One's own has no group.
    ///
    /// # Errors
    /// The database's.
    pub fn part(
        &self,
        group: Option<&GroupId>,
        file: &MessageRef,
        index: u32,
    ) -> Result<Option<Vec<u8>>, VaultError> {
        let mut part = self.database.prepare_cached(
            "SELECT bytes FROM file_parts WHERE grp = ?1 AND author = ?2 AND id = ?3 AND part = ?4",
        )?;
        let wanted = params![bytes(group), file.author.0, file.id.0, index];
        Ok(part.query_row(wanted, |row| row.get(0)).optional()?)
    }

    /// Takes note of whether a file that is all here is what was offered. If it is not, nothing of it is
    /// kept.
    ///
    /// # Errors
    /// The database's.
    pub fn compared(
        &mut self,
        group: &GroupId,
        file: &MessageRef,
        is_right: bool,
    ) -> Result<(), VaultError> {
        self.surviving(Survive::Kill, |vault| {
            let transaction = vault.database.transaction()?;
            set_state(&transaction, group, file, if is_right { WHOLE } else { WRONG })?;
            if !is_right {
                remove_parts(&transaction, group, file)?;
            }
            Ok(transaction.commit()?)
        })
    }

    /// Files of others that are not compared yet, of which all parts are here.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn uncompared(&self) -> Result<Vec<KeptFile>, VaultError> {
        let mut coming = self.select(&of_others(STILL_COMING), params![])?;
        coming.retain(|file| file.state == FileState::Coming { done: file.offer.size });
        Ok(coming)
    }

    /// All files of a conversation, or of all, in the order in which they were offered.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn files(&self, group: Option<&GroupId>) -> Result<Vec<KeptFile>, VaultError> {
        match group {
            Some(group) => self.select(&listed(THERE, OWN_THERE), params![group.0]),
            None => self.select(&listed("TRUE", "TRUE"), params![]),
        }
    }

    /// The file of somebody else that was offered last in a conversation.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn last_file(&self, group: &GroupId) -> Result<Option<KeptFile>, VaultError> {
        let last = format!("{} ORDER BY m.row DESC LIMIT 1", of_others(THERE));
        Ok(self.select(&last, params![group.0])?.pop())
    }

    /// The file that a message of this author has offered there; one's own has no group.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn file(
        &self,
        group: Option<&GroupId>,
        file: &MessageRef,
    ) -> Result<Option<KeptFile>, VaultError> {
        let (author, id) = (file.author.0, file.id.0);
        let found = match group {
            Some(group) => self.select(&of_others(NAMED), params![group.0, author, id]),
            None => self.select(&of_one_s_own(OWN_NAMED), params![author, id]),
        };
        Ok(found?.pop())
    }

    /// The files that messages of this id have offered. Authors choose their ids, so that there may be
    /// several: of different authors, and in different conversations.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn files_called(&self, id: MessageId) -> Result<Vec<KeptFile>, VaultError> {
        self.select(&listed(CALLED, CALLED), params![id.0])
    }

    fn select(
        &self,
        which: &str,
        wanted: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<KeptFile>, VaultError> {
        let mut found = self.database.prepare_cached(which)?;
        let now = ends::millis(now());
        let now: &dyn rusqlite::ToSql = &now;
        let wanted: Vec<_> = core::iter::once(now).chain(wanted.iter().copied()).collect();
        let rows = found.query_map(&*wanted, |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }
}

const UNOFFERED: &str = "SELECT author, id FROM files f WHERE grp = ?1 AND NOT EXISTS
    (SELECT 1 FROM messages m
     WHERE m.id = f.id AND m.fingerprint = f.author AND m.own = 1 AND m.kind = 11)";

const COLUMNS: &str = "f.grp, f.author, f.id, f.name, f.size, f.hash, f.state,
    CASE f.state WHEN 0 THEN (SELECT sum(length(p.bytes)) FROM file_parts p
        WHERE p.grp = f.grp AND p.author = f.author AND p.id = f.id) END,
    m.sender, m.time, m.seq, m.grp, m.row AS place";

/// Which files, behind the time, by columns that have an index: what others offer must not make looking for one slower.
const THERE: &str = "f.grp = ?2";
const OWN_THERE: &str = "m.grp = ?2";
const NAMED: &str = "f.grp = ?2 AND f.author = ?3 AND f.id = ?4";
const OWN_NAMED: &str = "f.author = ?2 AND f.id = ?3";
const CALLED: &str = "f.id = ?2";
const STILL_COMING: &str = "f.state = 0";

/// Files of others with the messages that have offered them.
fn of_others(which: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM files f LEFT JOIN messages m
            ON m.grp = f.grp AND m.id = f.id AND m.fingerprint = f.author
         WHERE f.grp != zeroblob(32) AND {} AND {which}",
        shown()
    )
}

/// Files of one's own with the messages that have offered them, wherever they were said. To look for
/// both in one query would make SQLite walk all messages.
fn of_one_s_own(which: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM files f LEFT JOIN messages m
            ON m.id = f.id AND m.fingerprint = f.author AND m.own = 1 AND m.kind = 11
         WHERE f.grp = zeroblob(32) AND {} AND {which}",
        shown()
    )
}

/// Those whose message is not over; one's own may have none yet.
fn shown() -> String {
    format!("(m.row IS NULL OR {})", ends::lasting("?1"))
}

/// Both, in the order in which they were offered.
fn listed(others: &str, own: &str) -> String {
    let (others, own) = (of_others(others), of_one_s_own(own));
    format!("SELECT * FROM ({others} UNION ALL {own}) ORDER BY place IS NULL, place")
}

fn read(row: &Row<'_>) -> Result<KeptFile, VaultError> {
    let group: [u8; 32] = row.get(0)?;
    let number = |at| -> Result<u64, VaultError> {
        let number: Option<i64> = row.get(at)?;
        u64::try_from(number.unwrap_or_default()).map_err(|_| VaultError::Damaged("a file's size"))
    };
    let state = match row.get(6)? {
        WHOLE => FileState::Whole,
        WRONG => FileState::Wrong,
        GIVEN_UP => FileState::GivenUp,
        _ => FileState::Coming { done: number(7)? },
    };
    let (time, seq): (Option<[u8; 8]>, Option<[u8; 8]>) = (row.get(9)?, row.get(10)?);
    let offered = time
        .zip(seq)
        .map(|(time, seq)| (UnixMillis(u64::from_be_bytes(time)), Seq(u64::from_be_bytes(seq))));
    Ok(KeptFile {
        group: (group != NO_GROUP).then_some(GroupId(group)),
        offered_in: row.get::<_, Option<[u8; 32]>>(11)?.map(GroupId),
        message: MessageRef { author: Fingerprint(row.get(1)?), id: MessageId(row.get(2)?) },
        sender: row.get(8)?,
        offered,
        offer: Offer { name: row.get(3)?, size: number(4)?, hash: Digest(row.get(5)?) },
        state,
    })
}

/// Somebody has offered a file.
pub(super) fn offered(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
    offer: &Offer,
) -> Result<(), VaultError> {
    insert(database, group.0, file, offer, COMING)
}

fn insert(
    database: &Connection,
    group: [u8; 32],
    file: &MessageRef,
    offer: &Offer,
    state: i64,
) -> Result<(), VaultError> {
    let mut insert = database.prepare_cached(
        "INSERT INTO files (grp, author, id, name, size, hash, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    let Offer { name, size, hash } = offer;
    let size = i64::try_from(*size).unwrap_or(i64::MAX);
    insert.execute(params![group, file.author.0, file.id.0, name, size, hash.0, state])?;
    Ok(())
}

/// Keeps a part of somebody's file, if the file is still wanted here.
pub(super) fn put_part(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
    index: u32,
    bytes: &[u8],
) -> Result<(), VaultError> {
    put_in(database, group.0, file, index, bytes)
}

fn put_in(
    database: &Connection,
    group: [u8; 32],
    file: &MessageRef,
    index: u32,
    bytes: &[u8],
) -> Result<(), VaultError> {
    let mut put = database.prepare_cached(
        "INSERT INTO file_parts (grp, author, id, part, bytes)
         SELECT grp, author, id, ?4, ?5 FROM files
         WHERE grp = ?1 AND author = ?2 AND id = ?3 AND state = 0 ON CONFLICT DO NOTHING",
    )?;
    put.execute(params![group, file.author.0, file.id.0, index, bytes])?;
    Ok(())
}

/// The rest of somebody's file does not come.
pub(super) fn drop_parts(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
) -> Result<(), VaultError> {
    set_state(database, group, file, GIVEN_UP)?;
    remove_parts(database, group, file)
}

/// Forgets somebody's file, or one's own, with its parts.
pub(super) fn forget(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
) -> Result<(), VaultError> {
    let mut forget = database.prepare_cached(
        "DELETE FROM files WHERE grp IN (?1, zeroblob(32)) AND author = ?2 AND id = ?3",
    )?;
    forget.execute(params![group.0, file.author.0, file.id.0])?;
    Ok(())
}

fn set_state(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
    state: i64,
) -> Result<(), VaultError> {
    let mut set = database
        .prepare_cached("UPDATE files SET state = ?4 WHERE grp = ?1 AND author = ?2 AND id = ?3")?;
    set.execute(params![group.0, file.author.0, file.id.0, state])?;
    Ok(())
}

fn remove_parts(
    database: &Connection,
    group: &GroupId,
    file: &MessageRef,
) -> Result<(), VaultError> {
    let mut remove = database
        .prepare_cached("DELETE FROM file_parts WHERE grp = ?1 AND author = ?2 AND id = ?3")?;
    remove.execute(params![group.0, file.author.0, file.id.0])?;
    Ok(())
}

fn bytes(group: Option<&GroupId>) -> [u8; 32] {
    group.map_or(NO_GROUP, |group| group.0)
}

#[cfg(test)]
mod tests;
