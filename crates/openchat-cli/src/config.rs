//! The configuration file: what one would otherwise type every time. Flags and variables win.

use crate::{args::Color, fault::Fault};
use openchat_client::Places;
use serde::Deserialize;
use std::{io::ErrorKind, path::Path};

/// The file's keys, all optional.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// As `--profile`.
    pub(crate) profile: Option<String>,
    /// As `--color`.
    pub(crate) color: Option<Color>,
    /// The conversation that `openchat join` opens.
    pub(crate) target: Option<String>,
    /// Whether others are told soon what was read on this device; they are, unless it is false.
    pub(crate) delivered: Option<bool>,
}

impl Config {
    /// Reads the file that was named, or the usual one if there is one.
    pub(crate) fn load(named: Option<&Path>, places: &Places) -> Result<Self, Fault> {
        let usual = places.config_file();
        let path = named.unwrap_or(&usual);
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
                Ok(Self::default())
            }
            Err(error) => Err(Fault::usage(
                format!("{} can't be read: {error}", path.display()),
                "openchat --config FILE …",
            )),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Fault> {
        toml::from_str(text).map_err(|error| {
            Fault::usage(
                format!("{}: {}", path.display(), error.message()),
                "keys are: profile = \"NAME\", color = \"auto|always|never\", target = \"#NAME\", \
                 delivered = true|false",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_optional_and_others_refused() {
        let parse = |text| Config::parse(text, Path::new("c.toml"));
        assert_eq!(parse("").unwrap(), Config::default());
        let all = parse("profile = \"bob\"\ncolor = \"never\"\ntarget = \"#ops\"").unwrap();
        assert_eq!(parse("delivered = false").unwrap().delivered, Some(false));
        assert_eq!(all.color, Some(Color::Never));
        assert!(parse("profiel = \"bob\"").unwrap_err().message.contains("profiel"));
    }
}
