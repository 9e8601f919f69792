//! One setting: its value, and who said so.

use crate::failure::Failure;
use clap::ValueEnum;
use std::{
    collections::BTreeMap, convert::Infallible, fmt, net::SocketAddr, path::PathBuf, str::FromStr,
};

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// Who said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File,
    Environment(&'static str),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment(name) | Self::Flag(name) => name,
        })
    }
}

/// Where figures are served, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetricsAddress(pub(crate) Option<SocketAddr>);

/// A text that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address with a port, as 127.0.0.1:9464, nor \"off\"")]
pub(crate) struct MetricsAddressError;

impl FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    fn from_str(text: &str) -> Result<Self, MetricsAddressError> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| MetricsAddressError)
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("off"),
        }
    }
}

/// Where the CA's passphrase is, or nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PassphraseFile(pub(crate) Option<PathBuf>);

impl FromStr for PassphraseFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Some(text).filter(|text| !text.is_empty()).map(PathBuf::from)))
    }
}

impl fmt::Display for PassphraseFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |path| path.display().fmt(f))
    }
}

/// A setting that nobody may have said anything about.
#[derive(Debug)]
pub(crate) struct Unsettled<T>(Option<Setting<T>>);

impl<T> Unsettled<T> {
    /// The command line's word, if it has one, in place of what was said so far.
    pub(crate) fn under(self, flag: &'static str, said: Option<T>) -> Self {
        match said {
            Some(value) => Self(Some(Setting { value, source: Source::Flag(flag) })),
            None => self,
        }
    }

    /// What was said, or else this.
    pub(crate) fn or(self, default: T) -> Setting<T> {
        self.0.unwrap_or(Setting { value: default, source: Source::Default })
    }
}

/// The environment's variables.
#[derive(Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    /// This process's. One that is no text says nothing.
    pub(crate) fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(variables.iter().map(owned).collect())
    }

    /// A value of this variable, or else the file's.
    pub(crate) fn one<T: FromStr<Err: fmt::Display>>(
        &self,
        variable: &'static str,
        file: Option<T>,
    ) -> Result<Unsettled<T>, Failure> {
        self.parsed(variable, file, |text| text.parse().map_err(|e: T::Err| e.to_string()))
    }

    /// Values with commas between them.
    pub(crate) fn list<T: FromStr<Err: fmt::Display>>(
        &self,
        variable: &'static str,
        file: Option<Vec<T>>,
    ) -> Result<Unsettled<Vec<T>>, Failure> {
        self.parsed(variable, file, |text| {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| part.parse().map_err(|e: T::Err| e.to_string())).collect()
        })
    }

    /// One of a few words.
    pub(crate) fn choice<T: ValueEnum>(
        &self,
        variable: &'static str,
        file: Option<T>,
    ) -> Result<Unsettled<T>, Failure> {
        self.parsed(variable, file, |text| T::from_str(text, false))
    }

    fn parsed<T>(
        &self,
        variable: &'static str,
        file: Option<T>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Unsettled<T>, Failure> {
        let Some(text) = self.0.get(variable).filter(|text| !text.is_empty()) else {
            return Ok(Unsettled(file.map(|value| Setting { value, source: Source::File })));
        };
        let value = parse(text).map_err(|why| {
            let message = format!("{variable} is {text:?}: {why}");
            Failure::config("config", message, format!("unset {variable}"))
        })?;
        Ok(Unsettled(Some(Setting { value, source: Source::Environment(variable) })))
    }
}
