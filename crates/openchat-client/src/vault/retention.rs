//! For how long messages are kept on this device.

use super::{NO_GROUP, Vault, VaultError, ends, history::sortable, schema};
use openchat_wire::{GroupId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::BTreeSet, time::Duration};

impl Vault {
    /// For how long messages of `group` are kept, or, of none, those of all groups of which nothing
    /// else was said; nothing: for ever.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn retention(&self, group: Option<&GroupId>) -> Result<Option<Duration>, VaultError> {
        let mut kept =
            self.database.prepare_cached("SELECT seconds FROM retention WHERE grp = ?1")?;
        let seconds = kept.query_row([bytes(group)], |row| row.get::<_, i64>(0)).optional()?;
        let duration = |seconds| u64::try_from(seconds).map(Duration::from_secs);
        seconds.map(duration).transpose().map_err(|_| VaultError::Damaged("a retention"))
    }

    /// Sets it, and deletes what is older already, for good; gives the number of messages deleted.
    /// Without a time it is as if nothing had been said.
    ///
    /// # Errors
    /// The database's.
    pub fn set_retention(
        &mut self,
        group: Option<&GroupId>,
        kept: Option<Duration>,
        now: UnixMillis,
    ) -> Result<usize, VaultError> {
        match kept {
            None => {
                self.database.execute("DELETE FROM retention WHERE grp = ?1", [bytes(group)])?;
            }
            Some(kept) => {
                let seconds = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX).max(1);
                let put = "INSERT OR REPLACE INTO retention (grp, seconds) VALUES (?1, ?2)";
                self.database.execute(put, params![bytes(group), seconds])?;
            }
        }
        self.expire(now)
    }

    /// Deletes what is over; gives how many, and in which groups.
    pub(super) fn delete_expired(
        &mut self,
        now: UnixMillis,
    ) -> Result<(usize, BTreeSet<GroupId>), VaultError> {
        let transaction = self.database.transaction()?;
        ends::begin_at_last(&transaction, now)?;
        let (mut expired, mut groups) = (0_i64, BTreeSet::new());
        let rules = rules(&transaction, now)?;
        for rule in &rules {
            expired = expired.saturating_add(count(&transaction, &rule.which, &rule.values)?);
        }
        if expired == 0 {
            transaction.commit()?;
            return Ok((0, groups));
        }
        for rule in &rules {
            ends::count_missed(&transaction, &rule.which, &rule.values)?;
            groups.extend(rule.groups(&transaction)?);
        }
        let delete = || {
            let mut deleted = 0_usize;
            for rule in &rules {
                let mut delete = transaction
                    .prepare_cached(&format!("DELETE FROM messages AS m WHERE {}", rule.which))?;
                let values = rusqlite::params_from_iter(&rule.values);
                deleted = deleted.saturating_add(delete.execute(values)?);
            }
            Ok(deleted)
        };
        let are_many = expired > FEW && {
            let left = count(&transaction, "TRUE", &[])?.saturating_sub(expired);
            expired > left / DEARER
        };
        let deleted = if are_many { schema::delete_many(&transaction, delete)? } else { delete()? };
        transaction.commit()?;
        Ok((deleted, groups))
    }
}

/// So many are always deleted one by one.
const FEW: i64 = 100;

/// Taking a message out of the index costs this many times as much as putting one in (measured: 4 to 8).
const DEARER: i64 = 4;

/// What expires of messages `m`: in one group, in those of which nothing was said, or by a timer.
struct Rule {
    which: String,
    values: Vec<Vec<u8>>,
}

impl Rule {
    /// Where there is something of it.
    fn groups(&self, database: &Connection) -> Result<Vec<GroupId>, VaultError> {
        let groups = format!("SELECT DISTINCT m.grp FROM messages m WHERE {}", self.which);
        let mut groups = database.prepare_cached(&groups)?;
        let values = rusqlite::params_from_iter(&self.values);
        let rows = groups.query_map(values, |row| Ok(GroupId(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn rules(database: &Connection, now: UnixMillis) -> Result<Vec<Rule>, VaultError> {
    let over = Rule { which: "m.due <= ?1".to_owned(), values: vec![sortable(now.0).to_vec()] };
    let mut rules = database.prepare_cached("SELECT grp, seconds FROM retention")?;
    let rows =
        rules.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?)))?;
    let kept = rows.map(|row| {
        let (group, seconds) = row?;
        let kept = u64::try_from(seconds).unwrap_or(u64::MAX).saturating_mul(1000);
        let before = sortable(now.0.saturating_sub(kept)).to_vec();
        Ok(if group == NO_GROUP {
            let which = "m.stored < ?1 AND m.grp NOT IN (SELECT grp FROM retention)".to_owned();
            Rule { which, values: vec![before] }
        } else {
            let which = "m.stored < ?1 AND m.grp = ?2".to_owned();
            Rule { which, values: vec![before, group.to_vec()] }
        })
    });
    core::iter::once(Ok(over)).chain(kept).collect()
}

fn count(database: &Connection, which: &str, values: &[Vec<u8>]) -> Result<i64, VaultError> {
    let count = format!("SELECT count(*) FROM messages m WHERE {which}");
    let mut count = database.prepare_cached(&count)?;
    Ok(count.query_row(rusqlite::params_from_iter(values), |row| row.get(0))?)
}

fn bytes(group: Option<&GroupId>) -> [u8; 32] {
    group.map_or(NO_GROUP, |group| group.0)
}
