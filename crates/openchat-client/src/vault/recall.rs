//! This device's own messages, for who has missed them (`docs/protocol.md` §6.2): what is gone here is not
//! said again.

use super::{Vault, VaultError, history};
use crate::outside::now;
use openchat_engine::{Body, MessageRef, StoredMessage};
use openchat_wire::{GroupId, MessageId, UnixMillis};
use rusqlite::{OptionalExtension, params};

impl Vault {
    /// When one's own message was written and what it says, as it stands. Nothing if it is not here any
    /// more, if its time is over, or if it is a sign, a topic or a timer that another one has replaced.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn recall(
        &self,
        group: &GroupId,
        id: MessageId,
    ) -> Result<Option<(UnixMillis, Body)>, VaultError> {
        let mut found = self.database.prepare_cached(&format!(
            "SELECT {} FROM messages m JOIN conversations c ON c.grp = m.grp
             WHERE m.grp = ?1 AND m.id = ?2 AND m.own = 1 AND (m.due IS NULL OR m.due > ?3)
             ORDER BY m.row LIMIT 1",
            history::COLUMNS
        ))?;
        let wanted = params![group.0, id.0, history::sortable(now().0)];
        let message = found.query_row(wanted, |row| Ok(history::read(row))).optional()?;
        let Some(message) = message.transpose()? else { return Ok(None) };
        let stands = match &message.body {
            Body::Reaction { to, emoji, on } => self.is_left_so(&message, to, (emoji, *on))?,
            Body::Topic(_) | Body::Timer(_) => self.holds(&message)?,
            _ => true,
        };
        Ok(stands.then_some((message.time, message.body)))
    }

    /// Whether a sign is as its author has left it: put there by this message, or not there.
    fn is_left_so(
        &self,
        message: &StoredMessage,
        to: &MessageRef,
        sign: (&str, bool),
    ) -> Result<bool, VaultError> {
        let (emoji, on) = sign;
        let mut found = self.database.prepare_cached(
            "SELECT seq FROM reactions
             WHERE grp = ?1 AND author = ?2 AND id = ?3 AND fingerprint = ?4 AND emoji = ?5",
        )?;
        let which = params![message.group.0, to.author.0, to.id.0, message.fingerprint.0, emoji];
        let put_by = found.query_row(which, |row| row.get::<_, [u8; 8]>(0)).optional()?;
        Ok(put_by == on.then(|| history::sortable(message.seq.0)))
    }

    /// Whether this is the topic or the timer that holds.
    fn holds(&self, message: &StoredMessage) -> Result<bool, VaultError> {
        let mut found = self.database.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM holding
             WHERE grp = ?1 AND kind = ?2 AND sender = ?3 AND time = ?4 AND body = ?5)",
        )?;
        let StoredMessage { group, body, sender, time, .. } = message;
        let time = history::sortable(time.0);
        let which = params![group.0, body.kind(), sender.as_str(), time, body.to_bytes()];
        Ok(found.query_row(which, |row| row.get(0))?)
    }
}

#[cfg(test)]
mod tests;
