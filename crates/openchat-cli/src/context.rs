//! What every command needs to know: where things are, who one is, how to print.

use crate::{
    args::Global,
    config::Config,
    fault::{Fault, Hints},
    out::Out,
};
use openchat_client::{Identity, Places, ProfileName, Vault};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};
use tokio::runtime::{self, Runtime};

/// A command's surroundings.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) places: Places,
    pub(crate) profile: ProfileName,
    pub(crate) config: Config,
    pub(crate) hints: Hints,
    pub(crate) out: Out,
    /// Whether a person at a terminal may be asked.
    pub(crate) interactive: bool,
}

impl Context {
    /// Flags, then the environment (both in `global`), then the file.
    pub(crate) fn new(mut global: Global) -> Result<Self, Fault> {
        let places = Places::from_env()?;
        let config = Config::load(global.config.as_deref(), &places)?;
        global.color = global.color.or(config.color);
        let profile = match (&global.profile, &config.profile) {
            (Some(named), _) => named.clone(),
            (None, Some(named)) => named.parse().map_err(|error| {
                Fault::usage(format!("profile of the configuration: {error}"), "openchat -P NAME …")
            })?,
            (None, None) => ProfileName::default(),
        };
        let people = io::stdin().is_terminal() && io::stderr().is_terminal();
        Ok(Self {
            hints: hints(&profile),
            out: Out::of(&global),
            interactive: people && !global.no_input && !global.json,
            places,
            profile,
            config,
        })
    }

    /// The directory of the profile.
    pub(crate) fn directory(&self) -> PathBuf {
        self.places.profile(&self.profile)
    }

    /// Looks at the enrolled identity, whether or not the profile is in use.
    pub(crate) fn look(&self) -> Result<(Vault, Identity), Fault> {
        let fault = |error| self.hints.vault(&error);
        let vault = Vault::look(&self.directory()).map_err(fault)?;
        let vault = vault.ok_or_else(|| self.hints.not_enrolled())?;
        let identity = vault.identity().map_err(fault)?;
        Ok((vault, identity.ok_or_else(|| self.hints.not_enrolled())?))
    }
}

/// Hints name the profile unless it is the one that is meant anyway.
fn hints(profile: &ProfileName) -> Hints {
    Hints::new(if *profile == ProfileName::default() {
        "openchat".to_owned()
    } else {
        format!("openchat -P {profile}")
    })
}

/// Two threads: this one decides, stores and prints, the other one moves bytes meanwhile.
pub(crate) fn runtime() -> Result<Runtime, Fault> {
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|error| {
        Fault::new(
            crate::fault::Exit::Failure,
            "system",
            format!("no runtime: {error}"),
            "ulimit -a",
        )
    })
}
