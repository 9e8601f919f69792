//! `openchat-server config check|show|example`. None of them touches what the server keeps.

use crate::{
    cli::{ConfigCommand, LogFormat},
    config::{Config, EXAMPLE, Located, Setting},
    failure::Failure,
    output::Output,
};
use serde_json::{Map, Value, json};
use std::{fmt::Write as _, process::ExitCode};

/// Does what was asked.
///
/// # Errors
/// If the configuration can't be used.
pub(crate) fn run(
    located: &Located,
    command: &ConfigCommand,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check(args) => check(located, &located.config(&args.settings)?, output),
        ConfigCommand::Show(args) => show(located, &located.config(&args.settings)?, output),
        ConfigCommand::Example => {
            let object = json!({"v": 1, "type": "config_example", "text": EXAMPLE});
            output.data(EXAMPLE.trim_end(), &object)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

/// A setting as it is shown: TOML's key and value, and the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

impl Config {
    /// All settings in the order of the example.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let hosts: Vec<String> =
            self.hosts.value.iter().map(|host| format!("\"{host}\"")).collect();
        let format = match self.log_format.value {
            LogFormat::Text => "\"text\"",
            LogFormat::Json => "\"json\"",
        };
        let mut entries = vec![
            entry("listen", format!("\"{}\"", self.listen.value), &self.listen),
            entry("hosts", format!("[{}]", hosts.join(", ")), &self.hosts),
            entry("log_format", format.to_owned(), &self.log_format),
            entry(
                "metrics_listen",
                format!("\"{}\"", self.metrics_listen.value),
                &self.metrics_listen,
            ),
            entry("metrics_remote", self.metrics_remote.value.to_string(), &self.metrics_remote),
            entry(
                "passphrase_file",
                format!("{:?}", self.passphrase_file.value.to_string()),
                &self.passphrase_file,
            ),
        ];
        entries.extend(self.limits.entries());
        entries.extend(self.keep.entries());
        entries
    }
}

pub(crate) fn entry<T>(key: &'static str, value: String, setting: &Setting<T>) -> Entry {
    Entry { key, value, source: setting.source.to_string() }
}

fn check(located: &Located, config: &Config, output: Output) -> Result<(), Failure> {
    let file = file(located);
    let text = match &file {
        Some(path) => format!("ok  {path}"),
        None => "ok  no configuration file".to_owned(),
    };
    let said = config.entries().into_iter().filter(|entry| entry.source != "default").count();
    let object = json!({"v": 1, "type": "config_ok", "file": file, "set": said});
    output.data(&text, &object)
}

fn show(located: &Located, config: &Config, output: Output) -> Result<(), Failure> {
    let data = located.data.path().display().to_string();
    let file = file(located);
    let mut text = match &file {
        Some(path) => format!("# {path}\n"),
        None => "# no configuration file\n".to_owned(),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "data = {data:?}  # {}", located.data.source());
    let mut settings = Map::new();
    for Entry { key, value, source } in config.entries() {
        let _ = writeln!(text, "{key} = {value}  # {source}");
        settings.insert(key.to_owned(), json!({"value": parsed(&value), "source": source}));
    }
    let object = json!({
        "v": 1, "type": "config", "file": file, "data": data, "settings": settings
    });
    output.data(text.trim_end(), &object)
}

/// The values above are written as TOML and JSON alike.
fn parsed(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| value.into())
}

fn file(located: &Located) -> Option<String> {
    located.file.as_ref().map(|(path, _)| path.display().to_string())
}
