//! What messages do to others (`docs/protocol.md` §6.4): edits, deletions, reactions, topics, timers.
//!
//! All of it is decided when a message comes, in the order of the log, and written with it: what is read
//! afterwards is how things stand.

use super::{Vault, VaultError, ends, files, history::sortable, words};
use crate::outside::now;
use openchat_engine::{Body, MessageRef, StoredMessage};
use openchat_wire::{GroupId, MessageId, Name};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Reactions that are kept to one message: more than a screen shows, and nobody makes another's vault
/// grow by signs.
const MAX_REACTIONS: i64 = 256;

/// Of messages `m` those that stand by themselves: not what changed others. What was deleted does.
pub(super) const STANDING: &str = "(m.kind NOT IN (6, 7) AND (m.kind != 8 OR m.body = m.id))";

/// What is on a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Its author has put another text in place of the first one.
    pub edited: bool,
    /// The signs on it, in the order in which they came.
    pub reactions: Vec<Reacted>,
}

/// A sign on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reacted {
    /// Which.
    pub emoji: String,
    /// Whose.
    pub by: Name,
    /// This device's.
    pub own: bool,
}

/// What holds in a conversation until somebody says another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What it is about, and who said so.
    pub topic: Option<(String, Name)>,
    /// For how long members are asked to keep what is said, and who asked.
    pub timer: Option<(Duration, Name)>,
}

impl Vault {
    /// A message as it stands.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn message(
        &self,
        group: &GroupId,
        which: &MessageRef,
    ) -> Result<Option<StoredMessage>, VaultError> {
        self.first(
            "m.grp = ?2 AND m.id = ?3 AND m.fingerprint = ?4 ORDER BY m.row",
            params![group.0, which.id.0, which.author.0],
        )
    }

    /// The first message under this identifier, whoever has written it.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn message_called(
        &self,
        group: &GroupId,
        id: MessageId,
    ) -> Result<Option<StoredMessage>, VaultError> {
        self.first("m.grp = ?2 AND m.id = ?3 ORDER BY m.row", params![group.0, id.0])
    }

    /// Which of these are not here any more: taken back by their authors, or over.
    ///
    /// # Errors
    /// The database's.
    pub fn gone(
        &self,
        group: &GroupId,
        which: &[MessageRef],
    ) -> Result<Vec<MessageRef>, VaultError> {
        let mut here = self.database.prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM messages m WHERE m.grp = ?2 AND m.id = ?3
             AND m.fingerprint = ?4 AND m.kind != 8 AND {})",
            ends::lasting("?1")
        ))?;
        let (now, mut gone) = (ends::millis(now()), Vec::new());
        for one in which {
            let wanted = params![now, group.0, one.id.0, one.author.0];
            if !here.query_row(wanted, |row| row.get::<_, bool>(0))? {
                gone.push(*one);
            }
        }
        Ok(gone)
    }

    /// The newest message that says something and is this device's own, or of somebody else.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn last_said(
        &self,
        group: &GroupId,
        own: bool,
    ) -> Result<Option<StoredMessage>, VaultError> {
        let which =
            "m.grp = ?2 AND m.own = ?3 AND m.kind NOT IN (6, 7, 8, 10, 13) ORDER BY m.seq DESC";
        self.first(which, params![group.0, own])
    }

    fn first(
        &self,
        which: &str,
        wanted: &[&dyn rusqlite::ToSql],
    ) -> Result<Option<StoredMessage>, VaultError> {
        let mut found = self.database.prepare_cached(&format!(
            "SELECT {} FROM messages m JOIN conversations c ON c.grp = m.grp
             WHERE {} AND {which} LIMIT 1",
            super::history::COLUMNS,
            ends::lasting("?1")
        ))?;
        let now = ends::millis(now());
        let now: &dyn rusqlite::ToSql = &now;
        let wanted: Vec<_> = core::iter::once(now).chain(wanted.iter().copied()).collect();
        found.query_row(&*wanted, |row| Ok(super::history::read(row))).optional()?.transpose()
    }

    /// What is on a message.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn marks(&self, group: &GroupId, on: &MessageRef) -> Result<Marks, VaultError> {
        let mut edited = self.database.prepare_cached(
            "SELECT max(edited) FROM messages WHERE grp = ?1 AND id = ?2 AND fingerprint = ?3",
        )?;
        let wanted = params![group.0, on.id.0, on.author.0];
        let edited = edited.query_row(wanted, |row| row.get::<_, Option<bool>>(0))?;
        let mut reactions = self.database.prepare_cached(
            "SELECT emoji, sender, own FROM reactions WHERE grp = ?1 AND id = ?2 AND author = ?3
             ORDER BY seq",
        )?;
        let rows = reactions
            .query_map(wanted, |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
        let reacted = |row: rusqlite::Result<(String, String, bool)>| {
            let (emoji, by, own) = row?;
            Ok(Reacted { emoji, by: name(&by)?, own })
        };
        let reactions = rows.map(reacted).collect::<Result<_, VaultError>>()?;
        Ok(Marks { edited: edited.unwrap_or_default(), reactions })
    }

    /// What holds in a conversation.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn holding(&self, group: &GroupId) -> Result<Holding, VaultError> {
        let topic = match held(&self.database, group, &Body::Topic(String::new()))? {
            Some((Body::Topic(topic), by)) if !topic.is_empty() => Some((topic, by)),
            _ => None,
        };
        let timer = match held(&self.database, group, &Body::Timer(None))? {
            Some((Body::Timer(Some(time)), by)) => Some((time, by)),
            _ => None,
        };
        Ok(Holding { topic, timer })
    }
}

/// What a message is found by. An edit's words are its message's.
pub(super) fn found_by(body: &Body) -> &str {
    match body {
        Body::Edit { .. } | Body::Reaction { .. } => "",
        body => body.text(),
    }
}

/// What is kept of a body beside its text.
pub(super) fn kept(body: &Body) -> Option<Vec<u8>> {
    (!matches!(body, Body::Text(_))).then(|| body.to_bytes())
}

/// Does to others what a message says that has just come.
pub(super) fn apply(database: &Connection, message: &StoredMessage) -> Result<(), VaultError> {
    match &message.body {
        Body::Edit { of, text } => edit(database, message, *of, text),
        Body::Delete { of } => delete(database, message, *of),
        Body::Reaction { to, emoji, on } => react(database, message, to, (emoji, *on)),
        Body::Topic(_) | Body::Timer(_) => hold(database, message),
        Body::File(offer) if !message.own => {
            files::offered(database, &message.group, &message.named(), offer)
        }
        Body::Text(_)
        | Body::Reply { .. }
        | Body::Action(_)
        | Body::File(_)
        | Body::Unknown { .. } => Ok(()),
    }
}

/// The row of a message that stands before another one of the same author, with its body.
fn before(
    database: &Connection,
    message: &StoredMessage,
    of: MessageId,
) -> Result<Option<(i64, Body)>, VaultError> {
    let mut found = database.prepare_cached(
        "SELECT m.row, m.kind, m.text, m.body FROM messages m
         WHERE m.grp = ?1 AND m.id = ?2 AND m.fingerprint = ?3 AND m.seq < ?4 AND m.kind != 8
         ORDER BY m.row LIMIT 1",
    )?;
    let wanted = params![message.group.0, of.0, message.fingerprint.0, sortable(message.seq.0)];
    let row = found.query_row(wanted, |row| {
        Ok((row.get(0)?, super::history::body(row.get(1)?, row.get(2)?, row.get(3)?)))
    });
    Ok(row.optional()?)
}

fn edit(
    database: &Connection,
    message: &StoredMessage,
    of: MessageId,
    text: &str,
) -> Result<(), VaultError> {
    let Some((row, body)) = before(database, message, of)? else { return Ok(()) };
    let text = text.to_owned();
    let body = match body {
        Body::Text(_) => Body::Text(text),
        Body::Reply { to, .. } => Body::Reply { to, text },
        Body::Action(_) => Body::Action(text),
        _ => return Ok(()),
    };
    forget_edits(database, message, of)?;
    let mut write = database.prepare_cached(
        "UPDATE messages SET text = ?2, words = ?3, body = ?4, edited = 1 WHERE row = ?1",
    )?;
    write.execute(params![row, body.text(), words::apart(body.text()), kept(&body)])?;
    Ok(())
}

/// Nothing is left of a message but that it was there, nor of what was put in its place.
fn delete(database: &Connection, message: &StoredMessage, of: MessageId) -> Result<(), VaultError> {
    let Some((row, body)) = before(database, message, of)? else { return Ok(()) };
    if !body.is_said() {
        return Ok(());
    }
    forget_edits(database, message, of)?;
    let gone = Body::Delete { of };
    let mut write = database.prepare_cached(
        "UPDATE messages SET kind = ?2, text = '', words = NULL, body = ?3, edited = 0
         WHERE row = ?1",
    )?;
    write.execute(params![row, gone.kind(), gone.to_bytes()])?;
    let author = message.fingerprint.0;
    database
        .prepare_cached("DELETE FROM reactions WHERE grp = ?1 AND author = ?2 AND id = ?3")?
        .execute(params![message.group.0, author, of.0])?;
    files::forget(database, &message.group, &MessageRef { author: message.fingerprint, id: of })
}

/// What was put in place of a message before is nobody's business any more.
fn forget_edits(
    database: &Connection,
    message: &StoredMessage,
    of: MessageId,
) -> Result<(), VaultError> {
    let mut forget = database.prepare_cached(
        "DELETE FROM messages WHERE grp = ?1 AND fingerprint = ?2 AND kind = 7 AND seq < ?3
         AND substr(body, 1, 16) = ?4",
    )?;
    let seq = sortable(message.seq.0);
    forget.execute(params![message.group.0, message.fingerprint.0, seq, of.0])?;
    Ok(())
}

fn react(
    database: &Connection,
    message: &StoredMessage,
    to: &MessageRef,
    (emoji, on): (&str, bool),
) -> Result<(), VaultError> {
    let on_it = params![message.group.0, to.author.0, to.id.0];
    database
        .prepare_cached(
            "DELETE FROM reactions
             WHERE grp = ?1 AND author = ?2 AND id = ?3 AND fingerprint = ?4 AND emoji = ?5",
        )?
        .execute(params![message.group.0, to.author.0, to.id.0, message.fingerprint.0, emoji])?;
    if !on {
        return Ok(());
    }
    let there: bool = database
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM messages
             WHERE grp = ?1 AND fingerprint = ?2 AND id = ?3 AND kind NOT IN (6, 7, 8))",
        )?
        .query_row(on_it, |row| row.get(0))?;
    let count: i64 = database
        .prepare_cached(
            "SELECT count(*) FROM reactions WHERE grp = ?1 AND author = ?2 AND id = ?3",
        )?
        .query_row(on_it, |row| row.get(0))?;
    if !there || count >= MAX_REACTIONS {
        return Ok(());
    }
    let mut put = database.prepare_cached(
        "INSERT INTO reactions (grp, author, id, fingerprint, emoji, sender, own, seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    put.execute(params![
        message.group.0,
        to.author.0,
        to.id.0,
        message.fingerprint.0,
        emoji,
        message.sender.as_str(),
        message.own,
        sortable(message.seq.0),
    ])?;
    Ok(())
}

fn hold(database: &Connection, message: &StoredMessage) -> Result<(), VaultError> {
    let mut put = database.prepare_cached(
        "INSERT OR REPLACE INTO holding (grp, kind, sender, time, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let StoredMessage { group, body, sender, time, .. } = message;
    put.execute(params![group.0, body.kind(), sender.as_str(), sortable(time.0), body.to_bytes()])?;
    Ok(())
}

/// What holds of the kind of `like`, and who said so.
pub(super) fn held(
    database: &Connection,
    group: &GroupId,
    like: &Body,
) -> Result<Option<(Body, Name)>, VaultError> {
    let mut found =
        database.prepare_cached("SELECT body, sender FROM holding WHERE grp = ?1 AND kind = ?2")?;
    let row = found.query_row(params![group.0, like.kind()], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
    });
    let Some((bytes, sender)) = row.optional()? else { return Ok(None) };
    // One that an earlier program took and this one would not holds no more.
    let Ok(body) = Body::from_bytes(like.kind(), &bytes) else { return Ok(None) };
    Ok(Some((body, name(&sender)?)))
}

fn name(text: &str) -> Result<Name, VaultError> {
    text.parse().map_err(|_| VaultError::Damaged("a sender's name"))
}

#[cfg(test)]
pub(super) mod tests;
