//! What every command needs to know: where things are, who one is, how to print.

use crate::{
    args::{Global, NewVaultArgs},
    config::Config,
    fault::{Fault, Hints},
    out::Out,
    passphrase::{self, Given},
};
use openchat_client::{Identity, Keeping, Places, ProfileName, Unlock, Vault};
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
    /// Whether a person may be asked for a passphrase, which is typed at the terminal whatever stdin is.
    pub(crate) may_ask: bool,
    /// What opens the vault.
    pub(crate) unlock: Unlock<'static>,
    /// A passphrase that was given.
    given: Option<Given>,
}

impl Context {
    /// Flags, then the environment (both in `global`), then the file.
    pub(crate) fn new(global: Global) -> Result<Self, Fault> {
        let places = Places::from_env()?;
        let config = Config::load(global.config.as_deref(), &places)?;
        Self::with(global, places, config)
    }

    /// The same with this configuration, whatever the file says.
    pub(crate) fn with(mut global: Global, places: Places, config: Config) -> Result<Self, Fault> {
        global.color = global.color.or(config.color);
        let profile = match (&global.profile, &config.profile) {
            (Some(named), _) => named.clone(),
            (None, Some(named)) => named.parse().map_err(|error| {
                Fault::usage(format!("profile of the configuration: {error}"), "openchat -P NAME …")
            })?,
            (None, None) => ProfileName::default(),
        };
        let may_ask = io::stderr().is_terminal() && !global.no_input && !global.json;
        let given = global.passphrase_file.take().map(Given::of).transpose();
        let given = given.map_err(|error| hints(&profile).vault(&error))?;
        Ok(Self {
            hints: hints(&profile),
            out: Out::of(&global),
            interactive: may_ask && io::stdin().is_terminal(),
            may_ask,
            unlock: passphrase::unlock(given.clone(), may_ask),
            given,
            places,
            profile,
            config,
        })
    }

    /// The directory of the profile.
    pub(crate) fn directory(&self) -> PathBuf {
        self.places.profile(&self.profile)
    }

    /// Opens the vault to use it.
    pub(crate) fn open(&self) -> Result<Vault, Fault> {
        let vault = Vault::open_with(&self.directory(), &self.unlock);
        vault.map_err(|error| self.hints.vault(&error))
    }

    /// Settles how the key of this profile's vault is kept, if it is about to be made. Gives whether it
    /// is.
    pub(crate) fn settle_new_vault(&self, new: NewVaultArgs) -> Result<bool, Fault> {
        if Vault::exists(&self.directory()) {
            let hint = || self.hints.command("vault passphrase");
            let late = || Err(Fault::usage("this profile has a vault already", hint()));
            return if new.passphrase { late() } else { Ok(false) };
        }
        if new.passphrase || self.given.is_some() {
            let chosen = match &self.given {
                Some(given) => given.get().map_err(Into::into),
                None => passphrase::choose(None, self.may_ask, "Passphrase of this profile"),
            };
            let chosen = chosen.map_err(|error| error.fault("--passphrase-file"))?;
            self.unlock.keep_new(Keeping::Passphrase(chosen));
        }
        Ok(true)
    }

    /// Looks at the enrolled identity, whether or not the profile is in use.
    pub(crate) fn look(&self) -> Result<(Vault, Identity), Fault> {
        let fault = |error| self.hints.vault(&error);
        let vault = Vault::look_with(&self.directory(), &self.unlock).map_err(fault)?;
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
