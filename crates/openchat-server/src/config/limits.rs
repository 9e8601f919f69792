//! The limits that an operator may set: each with its key, its variable, its default and what is
//! sound.

use crate::{
    config::{
        Setting,
        command::{Entry, entry},
        file,
        setting::Environment,
    },
    failure::Failure,
};
use openchat_wire::limits::{MAX_HANDSHAKES, MAX_SESSIONS_A_PERSON};
use std::ops::RangeInclusive;

/// A limit that can be set.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) key: &'static str,
    variable: &'static str,
    default: usize,
    range: RangeInclusive<usize>,
}

/// Fewer would refuse an office that comes back after a power cut; more than 65,536 half-open
/// connections would take over a gigabyte.
const HANDSHAKES: Bound = Bound {
    key: "limits.handshakes",
    variable: "OPENCHAT_SERVER_HANDSHAKES",
    default: MAX_HANDSHAKES,
    range: 16..=65_536,
};

/// Half of all: whoever fills its own share leaves as much to others. A company behind one address
/// still gets 12,000 a second of 10 ms each, which is more than two cores can do.
const HANDSHAKES_AN_ADDRESS: Bound = Bound {
    key: "limits.handshakes_an_address",
    variable: "OPENCHAT_SERVER_HANDSHAKES_AN_ADDRESS",
    default: MAX_HANDSHAKES / 2,
    range: 1..=65_536,
};

/// Two devices each of 2,000 people behind one address, in 80 MB; enough are left of the files that a
/// process may have open.
const CONNECTIONS_AN_ADDRESS: Bound = Bound {
    key: "limits.connections_an_address",
    variable: "OPENCHAT_SERVER_CONNECTIONS_AN_ADDRESS",
    default: 4_096,
    range: 1..=1_048_576,
};

/// A person with a thousand devices is a program gone wrong.
const SESSIONS_A_PERSON: Bound = Bound {
    key: "limits.sessions_a_person",
    variable: "OPENCHAT_SERVER_SESSIONS_A_PERSON",
    default: MAX_SESSIONS_A_PERSON,
    range: 1..=1_024,
};

/// Of any kind; see `serve/session/pace.rs` for what counts as several, and for the burst. The
/// 4,096 of a burst and 4 s more take a device in 1,024 groups through its start; so many small ones a
/// second cost the relay half a hundredth of its time.
const REQUESTS_A_SECOND: Bound = Bound {
    key: "limits.requests_a_second",
    variable: "OPENCHAT_SERVER_REQUESTS_A_SECOND",
    default: 512,
    range: 8..=1_000_000,
};

/// A script that posts 10,000 lines is done after 70 s. With the pauses between them they keep the
/// relay busy for less than a hundredth of the time, so nobody else's p99 moves.
const ENTRIES_A_SECOND: Bound = Bound {
    key: "limits.entries_a_second",
    variable: "OPENCHAT_SERVER_ENTRIES_A_SECOND",
    default: 128,
    range: 1..=1_000_000,
};

/// 16 chunks of files a second, after 32 MiB at once. With less than 512 KiB the largest commit would
/// take longer than a client waits for an answer.
const BYTES_A_SECOND: Bound = Bound {
    key: "limits.bytes_a_second",
    variable: "OPENCHAT_SERVER_BYTES_A_SECOND",
    default: 4 * 1024 * 1024,
    range: 512 * 1024..=256 * 1024 * 1024,
};

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) handshakes: Setting<usize>,
    pub(crate) handshakes_an_address: Setting<usize>,
    pub(crate) connections_an_address: Setting<usize>,
    pub(crate) sessions_a_person: Setting<usize>,
    pub(crate) requests_a_second: Setting<usize>,
    pub(crate) entries_a_second: Setting<usize>,
    pub(crate) bytes_a_second: Setting<usize>,
}

impl Limits {
    /// # Errors
    /// For the first one that is not a number, or beyond what is sound.
    pub(crate) fn layered(env: &Environment, file: &file::Limits) -> Result<Self, Failure> {
        Ok(Self {
            handshakes: HANDSHAKES.layered(env, file.handshakes)?,
            handshakes_an_address: HANDSHAKES_AN_ADDRESS
                .layered(env, file.handshakes_an_address)?,
            connections_an_address: CONNECTIONS_AN_ADDRESS
                .layered(env, file.connections_an_address)?,
            sessions_a_person: SESSIONS_A_PERSON.layered(env, file.sessions_a_person)?,
            requests_a_second: REQUESTS_A_SECOND.layered(env, file.requests_a_second)?,
            entries_a_second: ENTRIES_A_SECOND.layered(env, file.entries_a_second)?,
            bytes_a_second: BYTES_A_SECOND.layered(env, file.bytes_a_second)?,
        })
    }

    /// As they are shown.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let number = |(bound, setting): (Bound, &Setting<usize>)| {
            entry(bound.key, setting.value.to_string(), setting)
        };
        self.all().map(number).into_iter()
    }

    const fn all(&self) -> [(Bound, &Setting<usize>); 7] {
        [
            (HANDSHAKES, &self.handshakes),
            (HANDSHAKES_AN_ADDRESS, &self.handshakes_an_address),
            (CONNECTIONS_AN_ADDRESS, &self.connections_an_address),
            (SESSIONS_A_PERSON, &self.sessions_a_person),
            (REQUESTS_A_SECOND, &self.requests_a_second),
            (ENTRIES_A_SECOND, &self.entries_a_second),
            (BYTES_A_SECOND, &self.bytes_a_second),
        ]
    }
}

impl Bound {
    fn layered(self, env: &Environment, file: Option<usize>) -> Result<Setting<usize>, Failure> {
        let setting = env.one(self.variable, file)?.or(self.default);
        if self.range.contains(&setting.value) {
            return Ok(setting);
        }
        let (low, high) = (self.range.start(), self.range.end());
        let Setting { value, source } = &setting;
        let message = format!("{} ({source}) is {value}, and must be {low} to {high}", self.key);
        Err(Failure::config("config", message, "openchat-server config example"))
    }
}
