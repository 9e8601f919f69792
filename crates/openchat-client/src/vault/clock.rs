//! A clock that was set far ahead deletes nothing that a clock which is right would keep.
//!
//! What is over is not read any more at once; that can be undone by setting the clock right. Its bytes
//! are not deleted before it has gone on from there for a while.

use super::{Vault, VaultError, history::sortable};
use openchat_wire::UnixMillis;
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

/// By so much a clock goes on between two runs of a program that is used daily. More may be a mistake, or
/// an absence.
const LEAP: Duration = Duration::from_hours(24);

/// So long after a leap it counts as right: whoever set it wrong, or a machine that asks the network for
/// the time, has had time to notice.
const SETTLES: Duration = Duration::from_hours(1);

/// Of the time that was seen last, older than this, a new one is written down.
const NOTED: Duration = Duration::from_mins(10);

/// Beside the tables of the format, as the listeners are.
pub(super) const TABLE: &str = "
-- What the clock was when a session ran last, and where it went on from if it had leapt; one row at most.
CREATE TABLE IF NOT EXISTS clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seen BLOB NOT NULL CHECK (length(seen) = 8),
    leapt BLOB CHECK (length(leapt) = 8)
) STRICT;
";

/// What is known of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    seen: UnixMillis,
    leapt: Option<UnixMillis>,
}

impl Clock {
    /// What is known after it has shown this.
    fn shows(self, now: UnixMillis) -> Self {
        let is_leap = now > self.seen.after(LEAP);
        match self.leapt {
            // Set back behind the leap, or gone on from it for long enough.
            Some(leapt) if now >= leapt && now < leapt.after(SETTLES) => self,
            Some(leapt) if now >= leapt => Self { seen: now, leapt: None },
            _ if is_leap => Self { leapt: Some(now), ..self },
            _ => Self { seen: now, leapt: None },
        }
    }
}

impl Vault {
    /// Whether the clock shows what it may be believed to.
    pub(super) fn believes(&self, now: UnixMillis) -> Result<bool, VaultError> {
        let time = |bytes| UnixMillis(u64::from_be_bytes(bytes));
        let mut read = self.database.prepare_cached("SELECT seen, leapt FROM clock")?;
        let known = read.query_row([], |row| {
            let leapt: Option<[u8; 8]> = row.get(1)?;
            Ok(Clock { seen: time(row.get(0)?), leapt: leapt.map(time) })
        });
        let known = known.optional()?;
        let clock = known.unwrap_or(Clock { seen: now, leapt: None }).shows(now);
        let is_news = known.is_none_or(|known| {
            known.leapt != clock.leapt || clock.seen.0.abs_diff(known.seen.0) >= noted()
        });
        if is_news {
            let mut write = self.database.prepare_cached(
                "INSERT OR REPLACE INTO clock (one, seen, leapt) VALUES (1, ?1, ?2)",
            )?;
            let leapt = clock.leapt.map(|leapt| sortable(leapt.0));
            write.execute(params![sortable(clock.seen.0), leapt])?;
        }
        Ok(clock.leapt.is_none())
    }
}

fn noted() -> u64 {
    u64::try_from(NOTED.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_795_206_000_000);

    fn hours(hours: u64) -> UnixMillis {
        START.after(Duration::from_hours(hours))
    }

    #[test]
    fn m20_a_clock_that_leaps_is_believed_when_it_has_gone_on_from_there() {
        let place = tempfile::tempdir().unwrap();
        let vault = Vault::open(place.path()).unwrap();
        let years = 10 * 365 * 24;
        for (at, is_believed, why) in [
            (0, true, "the first time"),
            (5, true, "it goes on"),
            (3, true, "set back a little"),
            (years, false, "ten years ahead"),
            (years, false, "and still"),
            (4, true, "set right again"),
            (4 + 24 * 7, false, "a week without a session"),
            (4 + 24 * 7 + 1, true, "the hour after"),
            (4 + 24 * 14, false, "the next week"),
            (4 + 24 * 21, true, "who comes once a week"),
            (years, false, "ahead"),
            (years - 1, false, "another leap"),
            (years, true, "from which it went on"),
        ] {
            assert_eq!(vault.believes(hours(at)).unwrap(), is_believed, "{at}: {why}");
        }
    }
}
