//! Help, keys, commands and the guide say the same.

use crate::kit::Kit;
use openchat_client::wish::COMMANDS;
use openchat_tui::{Action, Config, KEYS, Keys};
use std::path::Path;

/// All of the help.
fn help(config: Config) -> String {
    let mut kit = Kit::with(crate::kit::setup((120, 200)), config);
    kit.press("f1");
    kit.screen()
}

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/user-guide.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_help_has_every_key_and_every_command() {
    let help = help(Config::default());
    let keys = Keys::default();
    for row in KEYS.iter().filter(|row| !matches!(row.action, Action::Nth(_))) {
        let line = help.lines().find(|line| line.contains(row.help)).unwrap_or_default();
        assert!(line.trim_start().starts_with(&keys.of(row.action)), "{}: {line}", row.name);
    }
    assert!(help.contains("Alt+1 … Alt+9"));
    for command in COMMANDS {
        assert!(help.contains(command.usage) && help.contains(command.help), "{}", command.name);
    }
}

#[test]
fn the_help_shows_the_keys_as_they_are_bound() {
    let config = Config::parse("[keys]\nsearch = \"alt+s\"\nconversation-3 = \"f3\"").unwrap();
    let help = help(config);
    let has = |keys: &str, what: &str| {
        help.lines().any(|line| line.trim_start().starts_with(keys) && line.contains(what))
    };
    assert!(has("Alt+S", "find messages") && !help.contains("Ctrl+F"), "{help}");
    assert!(has("F3", "conversation 3 of the list") && has("Alt+2", "conversation 2"), "{help}");
}

#[test]
fn the_guide_has_every_key_every_command_and_every_setting() {
    let guide = guide();
    let keys = Keys::default();
    for row in KEYS.iter().filter(|row| !matches!(row.action, Action::Nth(_))) {
        let line = format!("| {} | {} | `{}` |", keys.of(row.action), row.help, row.name);
        assert!(guide.contains(&line), "the guide lacks: {line}");
    }
    for command in COMMANDS {
        let usage = command.usage.replace('|', "\\|");
        let line = format!("| `{usage}` | {} |", command.help);
        assert!(guide.contains(&line), "the guide lacks: {line}");
    }
}

#[test]
fn the_configuration_in_the_guide_is_good() {
    let guide = guide();
    let example = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let config = Config::parse(example.expect("an example")).unwrap();
    assert_ne!(config, Config::default());
    let theme = config.theme.clone().unwrap();
    assert!(config.themes.contains_key(&theme));
}
