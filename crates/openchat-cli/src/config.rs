//! The configuration file: what one would otherwise type every time. Flags and variables win.

use crate::{args::Color, fault::Fault};
use openchat_client::Places;
use serde::{Deserialize, de::IgnoredAny};
use std::{io::ErrorKind, path::Path};

/// The file's keys, all optional.
#[derive(Debug, Default, PartialEq, Deserialize)]
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
    /// The tables `screen`, `notify`, `keys` and `theme`, which are the full screen's.
    #[serde(skip)]
    pub(crate) full: openchat_tui::Config,
    #[serde(rename = "screen", default)]
    _screen: IgnoredAny,
    #[serde(rename = "notify", default)]
    _notify: IgnoredAny,
    #[serde(rename = "keys", default)]
    _keys: IgnoredAny,
    #[serde(rename = "theme", default)]
    _theme: IgnoredAny,
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
        let place = path.display();
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Fault::usage(
                format!("{place}: line {line}: {}", error.message()),
                "keys are: profile = \"NAME\", color = \"auto|always|never\", target = \"#NAME\", \
                 delivered = true|false; tables: [screen], [notify], [keys], [theme.NAME]",
            )
        })?;
        let full = openchat_tui::Config::parse(text).map_err(|error| {
            let hint = "mend that line; the guide lists what the screen can be told";
            Fault::usage(format!("{place}: {error}"), hint)
        })?;
        Ok(Self { full, ..config })
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
        let wrong = parse("color = \"never\"\nprofiel = \"bob\"").unwrap_err().message;
        assert!(wrong.contains("profiel") && wrong.contains("line 2"), "{wrong}");
    }

    #[test]
    fn the_full_screen_has_its_tables() {
        let parse = |text| Config::parse(text, Path::new("c.toml"));
        let config = parse("target = \"#ops\"\n[notify]\nbell = false").unwrap();
        assert!(!config.full.notify.bell);
        let wrong = parse("[keys]\nhelp = \"x\"").unwrap_err().message;
        assert!(wrong.starts_with("c.toml: line 2: "), "{wrong}");
    }
}
