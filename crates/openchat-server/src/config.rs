//! The configuration: flags win over the environment, the environment over the file, the file over
//! the defaults; and each setting remembers which it was.

mod command;
mod file;
mod keep;
mod limits;
mod setting;

pub(crate) use command::run;
pub(crate) use file::File;
pub(crate) use keep::Keep;
pub(crate) use limits::Limits;
pub(crate) use setting::{MetricsAddress, PassphraseFile, Setting};

use crate::{
    cli::{Global, LogFormat, SettingArgs},
    data_dir::DataDir,
    failure::Failure,
};
use openchat_pki::HostName;
use setting::Environment;
use std::{
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// A configuration file with every default.
pub(crate) const EXAMPLE: &str = include_str!("config/example.toml");

/// The file's name in a data directory.
pub(crate) const FILE: &str = "config.toml";

/// Where a package puts the file. Whoever names a data directory does not mean that one.
const SYSTEM_FILE: &str = "/etc/openchat-server/config.toml";

/// Port of clients, unless it is said.
const PORT: u16 = 7443;

/// The data directory of this command, and the file that was found on the way.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) data: DataDir,
    pub(crate) file: Option<(PathBuf, File)>,
}

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) listen: Setting<SocketAddr>,
    pub(crate) hosts: Setting<Vec<HostName>>,
    pub(crate) log_format: Setting<LogFormat>,
    pub(crate) metrics_listen: Setting<MetricsAddress>,
    pub(crate) metrics_remote: Setting<bool>,
    pub(crate) passphrase_file: Setting<PassphraseFile>,
    pub(crate) limits: Limits,
    pub(crate) keep: Keep,
}

impl Located {
    /// # Errors
    /// If there is a configuration that can't be used, or no place for data is known.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        if let Some(path) = &global.config {
            let file = File::read(path)?;
            let data = DataDir::find(global.data.clone(), file.data.clone(), Some(path))?;
            return Ok(Self { data, file: Some((path.clone(), file)) });
        }
        let system = Path::new(SYSTEM_FILE);
        if global.data.is_none() && system.exists() {
            let file = File::read(system)?;
            let data = DataDir::find(None, file.data.clone(), None)?;
            return Ok(Self { data, file: Some((system.to_owned(), file)) });
        }
        let data = DataDir::find(global.data.clone(), None, None)?;
        let path = data.join(FILE);
        let file = if path.exists() { Some((path.clone(), File::read(&path)?)) } else { None };
        Ok(Self { data, file })
    }

    /// The file with the CA's passphrase, for a command with this flag.
    ///
    /// # Errors
    /// As [`config`](Self::config).
    pub(crate) fn passphrase_file(&self, flag: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        let passphrase_file = flag.map(Path::to_owned);
        let config = self.config(&SettingArgs { passphrase_file, ..SettingArgs::default() })?;
        Ok(config.passphrase_file.value.0)
    }

    /// The settings, with what else was said on the command line.
    ///
    /// # Errors
    /// For the first setting that can't be used, with the place it comes from.
    pub(crate) fn config(&self, flags: &SettingArgs) -> Result<Config, Failure> {
        let said = self.file.as_ref().map(|(_, file)| file.clone()).unwrap_or_default();
        Config::layered(flags, &Environment::of_process(), said)
    }
}

impl Config {
    fn layered(flags: &SettingArgs, env: &Environment, file: File) -> Result<Self, Failure> {
        let flags = flags.clone();
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        let hosts = (!flags.host.is_empty()).then_some(flags.host);
        let remote = flags.metrics_remote.then_some(true);
        let config = Self {
            listen: env
                .one("OPENCHAT_SERVER_LISTEN", file.listen)?
                .under("--listen", flags.listen)
                .or(any),
            hosts: env
                .list("OPENCHAT_SERVER_HOSTS", file.hosts)?
                .under("--host", hosts)
                .or(Vec::new()),
            log_format: env
                .choice("OPENCHAT_SERVER_LOG_FORMAT", file.log_format)?
                .under("--log-format", flags.log_format)
                .or(LogFormat::Text),
            metrics_listen: env
                .one("OPENCHAT_SERVER_METRICS_LISTEN", file.metrics_listen)?
                .under("--metrics-listen", flags.metrics_listen)
                .or(MetricsAddress(None)),
            metrics_remote: env
                .one("OPENCHAT_SERVER_METRICS_REMOTE", file.metrics_remote)?
                .under("--metrics-remote", remote)
                .or(false),
            passphrase_file: env
                .one("OPENCHAT_SERVER_PASSPHRASE_FILE", file.passphrase)?
                .under(
                    "--passphrase-file",
                    flags.passphrase_file.map(|path| PassphraseFile(Some(path))),
                )
                .or(PassphraseFile(None)),
            limits: Limits::layered(env, &file.limits)?,
            keep: Keep::layered(env, &file.keep)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Failure> {
        let Some(address) = self.metrics_listen.value.0 else { return Ok(()) };
        if address.ip().to_canonical().is_loopback() || self.metrics_remote.value {
            return Ok(());
        }
        let message = format!(
            "metrics_listen ({}) is {address}, which other machines reach, and nothing protects it",
            self.metrics_listen.source
        );
        let hint = "take 127.0.0.1, or say --metrics-remote if your network protects it";
        Err(Failure::config("config", message, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use setting::Source;

    fn layered(
        flags: &SettingArgs,
        env: &[(&'static str, &str)],
        file: &str,
    ) -> Result<Config, Failure> {
        Config::layered(flags, &Environment::of(env), File::parse("f", file)?)
    }

    fn values(config: &Config) -> Vec<String> {
        config.entries().into_iter().map(|entry| entry.value).collect()
    }

    #[test]
    fn the_example_states_the_defaults() {
        let defaults = layered(&SettingArgs::default(), &[], "").unwrap();
        let example = layered(&SettingArgs::default(), &[], EXAMPLE).unwrap();
        assert_eq!(values(&example), values(&defaults));
        for entry in example.entries() {
            assert_eq!(entry.source, Source::File.to_string(), "{} is in it", entry.key);
        }
        let all = EXAMPLE.replace("# data =", "data =");
        assert!(File::parse("f", &all).unwrap().data.is_some());
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "listen = '[::]:1'\nlog_format = 'json'\nhosts = ['a']";
        let env = [("OPENCHAT_SERVER_LISTEN", "[::]:2"), ("OPENCHAT_SERVER_HOSTS", "b, c")];
        let flags = SettingArgs { listen: "[::]:3".parse().ok(), ..SettingArgs::default() };
        let config = layered(&flags, &env, file).unwrap();
        assert_eq!(config.listen.value.port(), 3);
        assert_eq!(config.listen.source, Source::Flag("--listen"));
        assert_eq!(config.hosts.value, ["b".parse().unwrap(), "c".parse().unwrap()]);
        assert_eq!(config.hosts.source, Source::Environment("OPENCHAT_SERVER_HOSTS"));
        assert_eq!(config.log_format, Setting { value: LogFormat::Json, source: Source::File });
        assert_eq!(config.metrics_remote.source, Source::Default);
    }

    #[test]
    fn what_can_not_be_is_refused_with_its_place() {
        for (env, file, what) in [
            (("OPENCHAT_SERVER_LISTEN", "x"), "", "OPENCHAT_SERVER_LISTEN"),
            (("OPENCHAT_SERVER_LOG_FORMAT", "x"), "", "OPENCHAT_SERVER_LOG_FORMAT"),
            (("OPENCHAT_SERVER_HANDSHAKES", "15"), "", "OPENCHAT_SERVER_HANDSHAKES"),
            (("X", ""), "[limits]\nhandshakes = 65537", "limits.handshakes (file)"),
            (("X", ""), "[limits]\nsessions_a_person = 0", "limits.sessions_a_person (file)"),
            (("OPENCHAT_SERVER_ENTRIES_A_SECOND", "0"), "", "OPENCHAT_SERVER_ENTRIES_A_SECOND"),
            (("X", ""), "[limits]\nhandshakes_an_address = 0", "limits.handshakes_an_address"),
            (("X", ""), "[limits]\nconnections_an_address = 0", "limits.connections_an_address"),
            (("X", ""), "[limits]\nrequests_a_second = 7", "limits.requests_a_second (file)"),
            (("X", ""), "[limits]\nbytes_a_second = 524287", "limits.bytes_a_second (file)"),
            (("OPENCHAT_SERVER_RETENTION", "12h"), "", "OPENCHAT_SERVER_RETENTION"),
            (("OPENCHAT_SERVER_QUOTA_LOG", "many"), "", "OPENCHAT_SERVER_QUOTA_LOG"),
            (("X", ""), "[keep]\nquota_person = '0'", "f:2: "),
            (("X", ""), "[keep]\nretention = '0d'", "f:2: "),
            (("X", ""), "metrics_listen = '0.0.0.0:1'", "metrics_listen (file)"),
            (("X", ""), "metrics_listen = '[::]:1'", "metrics_listen (file)"),
        ] {
            let failure = layered(&SettingArgs::default(), &[env], file).unwrap_err();
            assert_eq!(failure.code, "config");
            assert!(failure.message.contains(what), "{}", failure.message);
        }
    }

    #[test]
    fn figures_leave_the_machine_only_when_that_is_said() {
        for file in [
            "metrics_listen = '127.0.0.1:1'",
            "metrics_listen = '[::1]:1'",
            "metrics_listen = '[::ffff:127.0.0.1]:1'",
            "metrics_listen = '0.0.0.0:1'\nmetrics_remote = true",
        ] {
            assert!(layered(&SettingArgs::default(), &[], file).is_ok(), "{file}");
        }
    }
}
