//! The part of the configuration file that is about the screen: settings, keys, themes.

use crate::{
    keys::{Action, Chord, KEYS, Keys},
    note::{Notify, Show},
    theme::Theme,
};
use std::collections::BTreeMap;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What a person has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The theme's name.
    pub theme: Option<String>,
    /// Themes of one's own, beside the built-in ones.
    pub themes: BTreeMap<String, Theme>,
    /// The keys.
    pub keys: Keys,
    /// What is told when somebody writes to this person.
    pub notify: Notify,
    /// Whether the mouse scrolls; the terminal then selects no text by itself.
    pub mouse: bool,
    /// Whether the members are shown, where there is room.
    pub members: bool,
    /// Conversations of which nothing is counted.
    pub muted: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            theme: None,
            themes: BTreeMap::new(),
            keys: Keys::default(),
            notify: Notify::default(),
            mouse: false,
            members: true,
            muted: Vec::new(),
        }
    }
}

/// What is wrong with the file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ConfigError {
    /// Counted from one.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What stands at a place of the text.
type Fault = (usize, String);

impl Config {
    /// Reads it: the tables `[screen]`, `[notify]`, `[keys]` and `[theme.NAME]`. What else is in the file belongs
    /// to others.
    ///
    /// ```toml
    /// [screen]
    /// theme = "mine"
    /// mouse = true
    /// members = true
    /// muted = ["#build"]
    ///
    /// [notify]
    /// desktop = true
    /// bell = false
    /// show = "text"
    ///
    /// [keys]
    /// switcher = ["ctrl+p", "alt+s"]
    ///
    /// [theme.mine]
    /// base = "dark"
    /// alarm = "bold white on red"
    /// ```
    ///
    /// # Errors
    /// The first mistake, with its line.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let fault = |(at, message): Fault| ConfigError { line: line_of(text, at), message };
        let file = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            fault((at, error.message().to_owned()))
        })?;
        let mut config = Self::default();
        for (key, value) in file.get_ref() {
            let read = match key.get_ref().as_ref() {
                "screen" => table(value).and_then(|table| config.read_screen(table)),
                "notify" => table(value).and_then(|table| config.read_notify(table)),
                "keys" => table(value).and_then(|table| config.read_keys(table)),
                "theme" => table(value).and_then(|table| config.read_themes(table)),
                _ => Ok(()),
            };
            read.map_err(fault)?;
        }
        config.check_theme(file.get_ref()).map_err(fault)?;
        Ok(config)
    }

    /// The theme with this name, built in or one's own.
    #[must_use]
    pub fn theme_named(&self, name: &str) -> Option<Theme> {
        self.themes.get(name).cloned().or_else(|| Theme::named(name))
    }

    /// The names of all themes.
    #[must_use]
    pub fn theme_names(&self) -> Vec<String> {
        let built_in = Theme::BUILT_IN.iter().map(|name| (*name).to_owned());
        let own = self.themes.keys().filter(|name| Theme::named(name).is_none()).cloned();
        built_in.chain(own).collect()
    }

    fn read_screen(&mut self, table: &DeTable<'_>) -> Result<(), Fault> {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "theme" => self.theme = Some(string(value)?.to_owned()),
                "bell" => {
                    let message = "bell stands in the table [notify]".to_owned();
                    return Err((key.span().start, message));
                }
                "mouse" => self.mouse = flag(value)?,
                "members" => self.members = flag(value)?,
                "muted" => self.muted = strings(value)?.map(ToOwned::to_owned).collect(),
                other => {
                    let known = "theme, mouse, members, muted";
                    return Err(unknown(key.span().start, other, known));
                }
            }
        }
        Ok(())
    }

    fn read_notify(&mut self, table: &DeTable<'_>) -> Result<(), Fault> {
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "desktop" => self.notify.desktop = flag(value)?,
                "bell" => self.notify.bell = flag(value)?,
                "show" => {
                    let wrong = || (value.span().start, "show is \"name\" or \"text\"".to_owned());
                    self.notify.show = Show::named(string(value)?).ok_or_else(wrong)?;
                }
                other => {
                    return Err(unknown(key.span().start, other, "desktop, bell, show"));
                }
            }
        }
        Ok(())
    }

    fn read_keys(&mut self, table: &DeTable<'_>) -> Result<(), Fault> {
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some(row) = KEYS.iter().find(|row| row.name == name) else {
                let known = KEYS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
                return Err(unknown(key.span().start, name, &known));
            };
            let mut chords = Vec::new();
            for text in strings(value)? {
                let chord: Chord =
                    text.parse().map_err(|error| (value.span().start, format!("{error}")))?;
                if let Some(other) = taken.insert(chord.to_string(), row.name) {
                    let message = format!("{chord} is already the key of {other}");
                    return Err((value.span().start, message));
                }
                if chord.writes().is_some() {
                    let message = format!("{chord} is needed for writing; add ctrl+ or alt+");
                    return Err((value.span().start, message));
                }
                chords.push(chord);
            }
            self.keys.bind(row.action, &chords);
        }
        self.can_quit(table)
    }

    /// Nobody is locked in.
    fn can_quit(&self, table: &DeTable<'_>) -> Result<(), Fault> {
        for action in [Action::Clear, Action::Send] {
            if self.keys.first_of(action).is_none() {
                let at = table.keys().next().map_or(0, |key| key.span().start);
                return Err((at, "clear and send each need a key".to_owned()));
            }
        }
        Ok(())
    }

    fn read_themes(&mut self, themes: &DeTable<'_>) -> Result<(), Fault> {
        for (name, value) in themes {
            let styles = table(value)?;
            let base = match styles.get("base") {
                None => Theme::dark(),
                Some(base) => Theme::named(string(base)?).ok_or_else(|| {
                    let known = Theme::BUILT_IN.join(", ");
                    (base.span().start, format!("base is one of: {known}"))
                })?,
            };
            let mut theme = Theme { name: name.get_ref().clone().into_owned(), ..base };
            for (style, value) in styles.iter().filter(|(style, _)| style.get_ref() != "base") {
                let set = theme.set(style.get_ref(), string(value)?);
                set.map_err(|error| (style.span().start, error.to_string()))?;
            }
            self.themes.insert(theme.name.clone(), theme);
        }
        Ok(())
    }

    fn check_theme(&self, file: &DeTable<'_>) -> Result<(), Fault> {
        let Some(name) = &self.theme else { return Ok(()) };
        if self.theme_named(name).is_some() {
            return Ok(());
        }
        let screen = file.get("screen").and_then(|screen| screen.get_ref().get("theme"));
        let at = screen.map_or(0, |value| value.span().start);
        Err((
            at,
            format!("there is no theme {name}; themes are: {}", self.theme_names().join(", ")),
        ))
    }
}

fn unknown(at: usize, name: &str, known: &str) -> Fault {
    let name = openchat_client::text::safe(name);
    (at, format!("there is no {name} here; known are: {known}"))
}

fn table<'a, 'b>(value: &'a Spanned<DeValue<'b>>) -> Result<&'a DeTable<'b>, Fault> {
    let wrong = || (value.span().start, "this has to be a table".to_owned());
    value.get_ref().as_table().ok_or_else(wrong)
}

fn string<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<&'a str, Fault> {
    let wrong = || (value.span().start, "this has to be a text in quotes".to_owned());
    value.get_ref().as_str().ok_or_else(wrong)
}

fn flag(value: &Spanned<DeValue<'_>>) -> Result<bool, Fault> {
    let wrong = || (value.span().start, "this has to be true or false".to_owned());
    value.get_ref().as_bool().ok_or_else(wrong)
}

/// One text, or several in brackets.
fn strings<'a>(value: &'a Spanned<DeValue<'_>>) -> Result<impl Iterator<Item = &'a str>, Fault> {
    let texts = match value.get_ref() {
        DeValue::Array(values) => values.iter().map(string).collect::<Result<Vec<_>, _>>()?,
        _ => vec![string(value)?],
    };
    Ok(texts.into_iter())
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::style::Color;

    #[test]
    fn all_of_it_is_read() {
        let config = Config::parse(
            "profile = \"bob\"\n[screen]\ntheme = \"mine\"\nmouse = true\n\
             muted = [\"#build\"]\n[notify]\nbell = false\nshow = \"text\"\n[keys]\nswitcher = [\"ctrl+p\", \"alt+s\"]\nhelp = \"f2\"\n\
             [theme.mine]\nbase = \"light\"\nalarm = \"bold white on red\"\n",
        )
        .unwrap();
        assert!(config.mouse && config.members);
        assert_eq!(config.notify, Notify { desktop: true, bell: false, show: Show::Text });
        assert_eq!(config.muted, ["#build"]);
        assert_eq!(config.keys.of(Action::Switcher), "Ctrl+P, Alt+S");
        assert_eq!(config.keys.of(Action::Help), "F2");
        let mine = config.theme_named(config.theme.as_deref().unwrap()).unwrap();
        assert_eq!((mine.alarm.bg, mine.sender.fg), (Some(Color::Red), Some(Color::Blue)));
        assert_eq!(config.theme_names(), ["dark", "light", "mono", "mine"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line, part) in [
            ("[screen]\n\nmouse = 1", 3, "true or false"),
            ("[screen]\nmose = true", 2, "known are: theme, mouse"),
            ("[screen]\nbell = true", 2, "table [notify]"),
            ("[notify]\n\ndesktop = \"yes\"", 3, "true or false"),
            ("[notify]\nbell = true\nshow = \"all\"", 3, "\"name\" or \"text\""),
            ("[notify]\nsound = true", 2, "known are: desktop, bell, show"),
            ("[keys]\nswitch = \"x\"", 2, "there is no switch"),
            ("[keys]\nswitcher = \"hyper+x\"", 2, "is no key"),
            ("[keys]\nswitcher = \"x\"", 2, "needed for writing"),
            ("[keys]\nhelp = \"f2\"\nsearch = \"f2\"", 3, "already the key of help"),
            ("[keys]\nclear = []", 2, "clear and send"),
            ("[keys]\nclear = \"alt+x\"\nhelp = 3", 3, "text in quotes"),
            ("[theme.x]\nbase = \"none\"", 2, "base is one of"),
            ("[theme.x]\ntxt = \"red\"", 2, "there is no style txt"),
            ("[theme.x]\ntext = \"rde\"", 2, "neither a colour"),
            ("\n[screen]\ntheme = \"x\"", 3, "themes are: dark"),
            ("a = 1\nb = ", 2, ""),
            ("screen = 1", 1, "a table"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in any::<String>()) {
            let _ = Config::parse(&text);
        }

        #[test]
        fn no_value_makes_it_panic(
            key in "(screen|notify|keys|theme)\\.[a-z-]{1,8}(\\.[a-z]{1,4})?",
            value in "(\"[^\"\\\\\n]*\"|[0-9]{1,3}|true|\\[\\]|\\{\\})",
        ) {
            let _ = Config::parse(&format!("{key} = {value}"));
        }
    }
}
