//! Which conversations are muted: nothing of them is counted, rung or told.

use super::{Vault, VaultError};
use openchat_wire::GroupId;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

/// Beside the tables of the format: a vault without it is one in which nobody has muted anything.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS mutes (
    grp BLOB PRIMARY KEY CHECK (length(grp) = 32),
    muted INTEGER NOT NULL
) STRICT;
";

impl Vault {
    /// The conversations of which somebody has said whether they are muted, and what.
    ///
    /// # Errors
    /// The database's.
    pub fn mutes(&self) -> Result<BTreeMap<GroupId, bool>, VaultError> {
        let is_there = "SELECT count(*) FROM sqlite_schema WHERE name = 'mutes'";
        if self.database.query_row(is_there, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(BTreeMap::new());
        }
        let mut mutes = self.database.prepare("SELECT grp, muted FROM mutes")?;
        let mutes = mutes.query_map([], |row| Ok((GroupId(row.get(0)?), row.get(1)?)))?;
        Ok(mutes.collect::<Result<_, _>>()?)
    }

    /// Says whether a conversation is muted. This is the one thing that whoever only looks may write: no
    /// session keeps it in memory, and no key depends on it.
    ///
    /// # Errors
    /// The database's.
    pub fn mute(&self, group: &GroupId, muted: bool) -> Result<(), VaultError> {
        let only_looks = self.lock.is_none();
        if only_looks {
            self.database.pragma_update(None, "query_only", false)?;
        }
        let written = put(&self.database, group, muted);
        if only_looks {
            self.database.pragma_update(None, "query_only", true)?;
        }
        written
    }
}

fn put(database: &Connection, group: &GroupId, muted: bool) -> Result<(), VaultError> {
    database.execute_batch(TABLE)?;
    let put = "INSERT OR REPLACE INTO mutes (grp, muted) VALUES (?1, ?2)";
    database.execute(put, params![group.0, muted])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::Unlock;
    use openchat_engine::{Change, Key};
    use openchat_wire::Blob;

    #[test]
    fn who_only_looks_may_mute_beside_a_session_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let session = Vault::open(place.path()).unwrap();
        let mut look = Vault::look_with(place.path(), &Unlock::alone()).unwrap().unwrap();
        assert!(look.mutes().unwrap().is_empty());
        let (one, two) = (GroupId([1; 32]), GroupId([2; 32]));
        look.mute(&one, true).unwrap();
        session.mute(&two, true).unwrap();
        look.mute(&two, false).unwrap();
        let expected = BTreeMap::from([(one, true), (two, false)]);
        assert_eq!(session.mutes().unwrap(), expected);
        let put = Change::Put {
            key: Key { kind: 1, group: None, sub: Vec::new() },
            value: Blob(vec![1]),
        };
        assert!(look.apply(&[put], crate::Survive::PowerCut).is_err(), "it still only looks");
        drop((session, look));
        assert_eq!(Vault::open(place.path()).unwrap().mutes().unwrap(), expected);
    }
}
