//! Where each listener goes on: one place a conversation, under the name that the listener was
//! given. What the screens and lines of this person have shown is counted elsewhere.

use super::{Survive, Vault, VaultError, history};
use openchat_engine::StoredMessage;
use openchat_wire::{GroupId, MessageId, Name, Seq, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

/// Beside the tables of the format: a vault without it is one in which nobody has listened yet.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS listeners (
    name TEXT NOT NULL,
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    seq BLOB NOT NULL CHECK (length(seq) = 8),
    PRIMARY KEY (name, grp)
) STRICT;

-- How many messages went before a listener was told of them, or, without a name, before they were shown.
CREATE TABLE IF NOT EXISTS missed (
    name TEXT NOT NULL,
    grp BLOB NOT NULL CHECK (length(grp) = 32),
    messages INTEGER NOT NULL,
    PRIMARY KEY (name, grp)
) STRICT;
";

pub(super) fn create(database: &Connection) -> Result<(), VaultError> {
    Ok(database.execute_batch(TABLE)?)
}

impl Vault {
    /// Up to where this listener has got; nothing if it never was in this conversation.
    ///
    /// # Errors
    /// The database's.
    pub fn heard(&self, listener: &Name, group: &GroupId) -> Result<Option<Seq>, VaultError> {
        let mut heard = self
            .database
            .prepare_cached("SELECT seq FROM listeners WHERE name = ?1 AND grp = ?2")?;
        let seq = heard.query_row(params![listener.as_str(), group.0], |row| row.get(0));
        Ok(seq.optional()?.map(|seq| Seq(u64::from_be_bytes(seq))))
    }

    /// Remembers up to where this listener has got. It never goes back.
    ///
    /// This survives the death of the process, as in [`Vault::mark_shown`].
    ///
    /// # Errors
    /// The database's.
    pub fn mark_heard(
        &mut self,
        listener: &Name,
        group: &GroupId,
        seq: Seq,
    ) -> Result<(), VaultError> {
        self.surviving(Survive::Kill, |vault| {
            let mut mark = vault.database.prepare_cached(
                "INSERT INTO listeners (name, grp, seq) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name, grp) DO UPDATE SET seq = max(seq, excluded.seq)",
            )?;
            mark.execute(params![listener.as_str(), group.0, seq.0.to_be_bytes()])?;
            Ok(())
        })
    }

    /// Up to where this conversation was shown.
    ///
    /// # Errors
    /// The database's.
    pub fn shown(&self, group: &GroupId) -> Result<Seq, VaultError> {
        self.place("SELECT shown FROM conversations WHERE grp = ?1", params![group.0])
            .map(|place| place.unwrap_or(Seq(0)))
    }

    /// The place of the newest message here.
    ///
    /// # Errors
    /// The database's.
    pub fn newest_place(&self, group: &GroupId) -> Result<Seq, VaultError> {
        self.place(
            "SELECT seq FROM messages WHERE grp = ?1 ORDER BY seq DESC LIMIT 1",
            params![group.0],
        )
        .map(|place| place.unwrap_or(Seq(0)))
    }

    /// The place of the first message of this id. Authors choose their ids: a later one of somebody else's
    /// leads nobody past what stands before it.
    ///
    /// # Errors
    /// The database's.
    pub fn place_of(&self, group: &GroupId, id: MessageId) -> Result<Option<Seq>, VaultError> {
        let first = "SELECT seq FROM messages WHERE grp = ?1 AND id = ?2 ORDER BY seq LIMIT 1";
        self.place(first, params![group.0, id.0])
    }

    /// The place of this message of one's own, if the log was seen to have it.
    ///
    /// # Errors
    /// The database's.
    pub fn own_place_of(&self, group: &GroupId, id: MessageId) -> Result<Option<Seq>, VaultError> {
        let own = "SELECT seq FROM messages WHERE grp = ?1 AND id = ?2 AND own = 1";
        self.place(own, params![group.0, id.0])
    }

    /// The place of the first message that was written at this time or later, by its author's clock.
    ///
    /// # Errors
    /// The database's.
    pub fn place_at(&self, group: &GroupId, time: UnixMillis) -> Result<Option<Seq>, VaultError> {
        self.place(
            "SELECT seq FROM messages WHERE grp = ?1 AND time >= ?2 ORDER BY seq LIMIT 1",
            params![group.0, time.0.to_be_bytes()],
        )
    }

    /// The messages after a place, at most `limit` of them, in their order.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn after(
        &self,
        group: &GroupId,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<StoredMessage>, VaultError> {
        history::after(&self.database, group, seq, limit)
    }

    fn place(
        &self,
        question: &str,
        values: impl rusqlite::Params,
    ) -> Result<Option<Seq>, VaultError> {
        let place = self.database.prepare_cached(question)?.query_row(values, |row| row.get(0));
        Ok(place.optional()?.map(|seq| Seq(u64::from_be_bytes(seq))))
    }
}
