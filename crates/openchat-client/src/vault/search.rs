//! Finding messages by their words.

use super::{Vault, VaultError, ends, history, words};
use crate::outside::now;
use openchat_engine::StoredMessage;
use openchat_wire::{GroupId, Name};
use rusqlite::params;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Each of these occurs: words side by side, the last one also as the beginning of a longer one,
    /// without regard to case and accents.
    pub words: Vec<String>,
    /// Only there.
    pub group: Option<GroupId>,
    /// Only from this one.
    pub sender: Option<Name>,
    /// At most so many, those that came last.
    pub limit: u32,
}

impl Vault {
    /// The messages in which all the words occur, in the order in which they came.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn search(&self, search: &Search) -> Result<Vec<StoredMessage>, VaultError> {
        let query = words::query(&search.words);
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = self.database.prepare_cached(&format!(
            "SELECT {} FROM search s JOIN messages m ON m.row = s.rowid
             JOIN conversations c ON c.grp = m.grp
             WHERE s.text MATCH ?1 AND (?2 IS NULL OR m.grp = ?2) AND (?3 IS NULL OR m.sender = ?3)
             AND {} ORDER BY s.rowid DESC LIMIT ?4",
            history::COLUMNS,
            ends::lasting("?5")
        ))?;
        let group = search.group.map(|group| group.0);
        let sender = search.sender.as_ref().map(Name::as_str);
        let wanted = params![query, group, sender, search.limit, ends::millis(now())];
        let rows = found.query_map(wanted, |row| Ok(history::read(row)))?;
        let mut messages = rows.map(|row| row?).collect::<Result<Vec<_>, VaultError>>()?;
        messages.reverse();
        Ok(messages)
    }
}
