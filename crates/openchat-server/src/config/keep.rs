//! How much the server keeps, and for how long.

use crate::{
    cli::{Days, DaysError},
    config::{
        Setting,
        command::{Entry, entry},
        file,
        setting::Environment,
    },
    failure::Failure,
};
use openchat_relay::Quotas;
use std::{fmt, str::FromStr, time::Duration};

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) retention: Setting<Retention>,
    pub(crate) quota_log: Setting<Quota>,
    pub(crate) quota_person: Setting<Quota>,
}

/// How long bodies of messages are kept; `None` is for ever. At least a day: clients take a relay for
/// a liar that has dropped what has only just come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention(Option<Days>);

/// How many bytes; `None` is as many as the disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota(Option<u64>);

/// A text that is no retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RetentionError {
    #[error(transparent)]
    Days(#[from] DaysError),
    #[error("less than a day; \"off\" keeps everything")]
    Short,
}

/// A text that is no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a size such as 512MiB, 4GiB or 1TiB, nor \"off\"")]
pub(crate) struct QuotaError;

/// The units of sizes, the largest first.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Keep {
    /// # Errors
    /// For the first one that can't be used.
    pub(crate) fn layered(env: &Environment, file: &file::Keep) -> Result<Self, Failure> {
        let Quotas { log, person } = Quotas::default();
        Ok(Self {
            retention: env.one("OPENCHAT_SERVER_RETENTION", file.retention)?.or(Retention(None)),
            quota_log: env.one("OPENCHAT_SERVER_QUOTA_LOG", file.quota_log)?.or(Quota(log)),
            quota_person: env
                .one("OPENCHAT_SERVER_QUOTA_PERSON", file.quota_person)?
                .or(Quota(person)),
        })
    }

    /// As they are shown.
    pub(crate) fn entries(&self) -> [Entry; 3] {
        let quoted = |value: &dyn fmt::Display| format!("\"{value}\"");
        [
            entry("keep.retention", quoted(&self.retention.value), &self.retention),
            entry("keep.quota_log", quoted(&self.quota_log.value), &self.quota_log),
            entry("keep.quota_person", quoted(&self.quota_person.value), &self.quota_person),
        ]
    }

    pub(crate) const fn quotas(&self) -> Quotas {
        Quotas { log: self.quota_log.value.0, person: self.quota_person.value.0 }
    }
}

#[cfg(test)]
impl Keep {
    /// The defaults, but for this.
    pub(crate) fn for_days(retention: &str) -> Self {
        let retention = retention.parse().ok();
        let file = file::Keep { retention, ..file::Keep::default() };
        Self::layered(&Environment::of(&[]), &file).unwrap()
    }
}

impl Retention {
    /// How long bodies are kept, unless it is for ever.
    pub(crate) fn age(self) -> Option<Duration> {
        self.0.map(|Days(days)| Duration::from_hours(u64::from(days).saturating_mul(24)))
    }
}

impl Retention {
    /// The same in days.
    pub(crate) fn days(self) -> Option<u32> {
        self.0.map(|Days(days)| days)
    }
}

impl FromStr for Retention {
    type Err = RetentionError;

    fn from_str(text: &str) -> Result<Self, RetentionError> {
        match text {
            "off" => Ok(Self(None)),
            text => match text.parse()? {
                Days(0) => Err(RetentionError::Short),
                days => Ok(Self(Some(days))),
            },
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Days(days)) => write!(f, "{days}d"),
            None => f.write_str("off"),
        }
    }
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        if text == "off" {
            return Ok(Self(None));
        }
        let unit = UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
        let (number, shift) = unit.unwrap_or((text, 0));
        let number = number.strip_suffix(' ').unwrap_or(number);
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| plain);
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes.filter(|bytes| *bytes > 0).map(|bytes| Self(Some(bytes))).ok_or(QuotaError)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(bytes) = self.0 else { return f.write_str("off") };
        let fits = |(_, shift): &&(&str, u32)| bytes.trailing_zeros() >= *shift;
        match UNITS.iter().find(fits) {
            Some((unit, shift)) => write!(f, "{}{unit}", bytes >> shift),
            None => write!(f, "{bytes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_they_are_written() {
        for text in ["off", "4GiB", "1536MiB", "1TiB", "7KiB", "1023", "1025TiB"] {
            assert_eq!(text.parse::<Quota>().unwrap().to_string(), text);
        }
        assert_eq!("2048 MiB".parse::<Quota>().unwrap().to_string(), "2GiB");
        for text in ["", "0", "0GiB", "GiB", "4GB", "4gib", "-1", "+1", "1.5GiB", "16777216TiB"] {
            assert_eq!(text.parse::<Quota>(), Err(QuotaError), "{text}");
        }
    }

    #[test]
    fn nothing_is_kept_for_less_than_a_day() {
        for (text, shown) in [("off", "off"), ("90d", "90d"), ("2y", "730d"), ("1", "1d")] {
            assert_eq!(text.parse::<Retention>().unwrap().to_string(), shown);
        }
        assert_eq!("0d".parse::<Retention>(), Err(RetentionError::Short));
        assert_eq!("12h".parse::<Retention>(), Err(RetentionError::Days(DaysError)));
        let day = "1d".parse::<Retention>().unwrap().age();
        assert_eq!(day, Some(Duration::from_hours(24)));
    }
}
