//! Where a person's things are on this machine: XDG places, or one directory named by
//! `OPENCHAT_HOME`. Only paths are computed here; nothing is created.

use openchat_wire::admin;
use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Holds `profiles/`.
    data: PathBuf,
    /// Holds `config.toml`.
    config: PathBuf,
    /// The data directory of a server on this machine.
    server: PathBuf,
}

/// Why no place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Neither `OPENCHAT_HOME` nor a home directory is known.
    #[error("no home directory is known: HOME is not set")]
    NoHome,
    /// A profile's name would not be a safe file name.
    #[error("a profile is 1 to 32 characters: a-z first, then a-z, 0-9 or '-'")]
    ProfileName,
}

impl Places {
    /// The places that this process's environment names.
    ///
    /// # Errors
    /// [`PlaceError::NoHome`]
    pub fn from_env() -> Result<Self, PlaceError> {
        Self::resolve(|name| std::env::var_os(name))
    }

    fn resolve(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, PlaceError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // The XDG specification: a relative path in these variables is to be ignored.
        let xdg = |name, fallback: &str| {
            let named = set(name).filter(|path: &PathBuf| path.is_absolute());
            named.or_else(|| set("HOME").map(|home| home.join(fallback)))
        };
        let share = || xdg("XDG_DATA_HOME", ".local/share").ok_or(PlaceError::NoHome);
        let config = || xdg("XDG_CONFIG_HOME", ".config").ok_or(PlaceError::NoHome);
        let (data, config) = match set("OPENCHAT_HOME") {
            Some(home) => (home.clone(), home),
            None => (share()?.join("openchat"), config()?.join("openchat")),
        };
        // Without a home there is no default server either; a relative path then finds none.
        let default_server = || share().unwrap_or_default().join("openchat-server");
        let server = set("OPENCHAT_SERVER_HOME").unwrap_or_else(default_server);
        Ok(Self { data, config, server })
    }

    /// The directory of one profile.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> PathBuf {
        self.data.join("profiles").join(&name.0)
    }

    /// The configuration file that is read unless another is named.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The admin socket of a server on this machine, whether or not one runs.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.server.join(admin::SOCKET)
    }
}

/// Which person one is on this machine: a directory of its own, so a file name that is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileName(String);

impl Default for ProfileName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for ProfileName {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let safe = text.parse::<openchat_wire::Name>().map_err(|_| PlaceError::ProfileName)?;
        Ok(Self(safe.as_str().to_owned()))
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn places(variables: &[(&str, &str)]) -> Result<Places, PlaceError> {
        Places::resolve(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn xdg_defaults_lie_under_home() {
        let places = places(&[("HOME", "/h")]).unwrap();
        let bob = "bob".parse().unwrap();
        assert_eq!(places.profile(&bob), Path::new("/h/.local/share/openchat/profiles/bob"));
        assert_eq!(places.config_file(), Path::new("/h/.config/openchat/config.toml"));
        assert_eq!(places.admin_socket(), Path::new("/h/.local/share/openchat-server/admin.sock"));
    }

    #[test]
    fn openchat_home_makes_all_portable() {
        let places = places(&[("OPENCHAT_HOME", "/stick"), ("XDG_DATA_HOME", "/x")]).unwrap();
        let default = ProfileName::default();
        assert_eq!(places.profile(&default), Path::new("/stick/profiles/default"));
        assert_eq!(places.config_file(), Path::new("/stick/config.toml"));
    }

    #[test]
    fn relative_and_empty_variables_are_ignored() {
        let variables = [
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "rel"),
            ("OPENCHAT_HOME", ""),
            ("XDG_CONFIG_HOME", ""),
        ];
        assert_eq!(places(&variables), places(&[("HOME", "/h")]));
    }

    #[test]
    fn without_a_home_nothing_is_guessed() {
        assert_eq!(places(&[]), Err(PlaceError::NoHome));
        assert!(places(&[("OPENCHAT_HOME", "/stick")]).is_ok());
    }

    #[test]
    fn a_profile_never_leaves_its_directory() {
        for bad in ["", ".", "..", "a/b", "A", "../bob", "a\0"] {
            assert_eq!(bad.parse::<ProfileName>(), Err(PlaceError::ProfileName), "{bad:?}");
        }
    }
}
