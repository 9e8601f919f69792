//! The configuration file: TOML, in which every unknown word is an error with its line.

use crate::{
    cli::LogFormat,
    config::{
        MetricsAddress, PassphraseFile,
        keep::{Quota, Retention},
    },
    data_dir,
    failure::Failure,
};
use openchat_pki::HostName;
use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// What a file says; what it does not say is `None`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(default)]
    pub(crate) data: Option<PathBuf>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "texts")]
    pub(crate) hosts: Option<Vec<HostName>>,
    #[serde(default)]
    pub(crate) log_format: Option<LogFormat>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) metrics_listen: Option<MetricsAddress>,
    #[serde(default)]
    pub(crate) metrics_remote: Option<bool>,
    #[serde(default, rename = "passphrase_file", deserialize_with = "text")]
    pub(crate) passphrase: Option<PassphraseFile>,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default)]
    pub(crate) keep: Keep,
}

/// The table `[keep]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keep {
    #[serde(default, deserialize_with = "text")]
    pub(crate) retention: Option<Retention>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) quota_log: Option<Quota>,
    #[serde(default, deserialize_with = "text")]
    pub(crate) quota_person: Option<Quota>,
}

/// The table `[limits]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    #[serde(default)]
    pub(crate) handshakes: Option<usize>,
    #[serde(default)]
    pub(crate) handshakes_an_address: Option<usize>,
    #[serde(default)]
    pub(crate) connections_an_address: Option<usize>,
    #[serde(default)]
    pub(crate) sessions_a_person: Option<usize>,
    #[serde(default)]
    pub(crate) requests_a_second: Option<usize>,
    #[serde(default)]
    pub(crate) entries_a_second: Option<usize>,
    #[serde(default)]
    pub(crate) bytes_a_second: Option<usize>,
}

impl File {
    /// The file at a path that must exist.
    ///
    /// # Errors
    /// If it can't be read, or what [`parse`](Self::parse) says.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = data_dir::read_whole(path).map_err(|error| {
            let message = format!("can't read the configuration {}: {error}", path.display());
            Failure::config("config", message, format!("ls -l {}", data_dir::quoted(path)))
        })?;
        Self::parse(&path.display().to_string(), &String::from_utf8_lossy(&bytes))
    }

    /// # Errors
    /// For the first thing that is not as it should be, with its line.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            let what = error.message().lines().collect::<Vec<_>>().join("; ");
            let message = format!("{name}:{line}: {}", what.escape_debug());
            Failure::config("config", message, "openchat-server config example")
        })
    }
}

/// A value that is written as text.
fn text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(Text(PhantomData)).map(Some)
}

fn texts<'de, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let all = Vec::<String>::deserialize(deserializer)?;
    let parsed = all.iter().map(|one| one.parse().map_err(|e| said::<T, _>(one, &e)));
    parsed.collect::<Result<_, _>>().map(Some)
}

fn said<T: FromStr, E: de::Error>(text: &str, error: &T::Err) -> E
where
    T::Err: fmt::Display,
{
    E::custom(format!("{text:?}: {error}"))
}

struct Text<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|e| said::<T, E>(text, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        for (text, line, what) in [
            ("\nlissten = 1\n", 2, "unknown field `lissten`"),
            ("[limits]\n\nhandshakess = 1", 3, "unknown field `handshakess`"),
            ("listen = 'localhost'", 1, "\\\"localhost\\\": invalid socket address"),
            ("# c\nlisten = 7443", 2, "expected a text in quotes"),
            ("hosts = [\"a\",\n \"b c\"]", 1, "\\\"b c\\\""),
            ("log_format = 'xml'", 1, "unknown variant `xml`"),
            ("metrics_listen = 'on'", 1, "\\\"on\\\""),
            ("[limits]\nhandshakes = -1", 2, "-1"),
            ("listen = '[::]:1'\nlisten = '[::]:2'", 2, "duplicate key"),
            ("[limit]", 1, "unknown field `limit`"),
            ("listen = ", 1, ""),
        ] {
            let failure = File::parse("f.toml", text).unwrap_err();
            assert_eq!((failure.exit, failure.code), (Exit::Config, "config"));
            let start = format!("f.toml:{line}: ");
            assert!(failure.message.starts_with(&start), "{text:?}: {}", failure.message);
            assert!(failure.message.contains(what), "{text:?}: {}", failure.message);
            assert!(!failure.message.contains('\n'));
        }
    }

    #[test]
    fn nothing_said_is_nothing_set() {
        let file = File::parse("f", "").unwrap();
        assert!(file.listen.is_none() && file.hosts.is_none() && file.limits.handshakes.is_none());
    }
}
