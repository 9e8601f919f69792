//! All styles of the screen, in sixteen colours and the terminal's own background, so that each
//! terminal's palette keeps them readable. Nothing is told by colour alone.

use ratatui::style::{Color, Modifier, Style};

/// A style for each kind of thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// What `/theme` calls it.
    pub name: String,
    /// First and last line.
    pub bar: Style,
    /// Lines between the panes, days.
    pub rule: Style,
    /// What is said.
    pub text: Style,
    /// Times, hints, and what is no longer news.
    pub dim: Style,
    /// Other people's names.
    pub sender: Style,
    /// One's own name.
    pub mine: Style,
    /// The conversation that is in view, what is chosen in a list.
    pub chosen: Style,
    /// Headings.
    pub heading: Style,
    /// Numbers of unread messages; the "new" line.
    pub unread: Style,
    /// What names this person.
    pub mention: Style,
    /// `certified`
    pub certified: Style,
    /// `verified`
    pub verified: Style,
    /// `CHANGED`
    pub changed: Style,
    /// `queued`
    pub queued: Style,
    /// `online`, `delivered`
    pub good: Style,
    /// Notices.
    pub notice: Style,
    /// Warnings, and what failed.
    pub warning: Style,
    /// Alarms.
    pub alarm: Style,
    /// Quotes.
    pub quote: Style,
    /// Links.
    pub link: Style,
}

/// Why there is no such style.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// Not among the styles.
    #[error("there is no style {0}; styles are: {names}", names = Theme::STYLES.join(", "))]
    Style(String),
    /// Not understood.
    #[error("{0} is neither a colour nor bold, dim, italic, underline, reverse or plain")]
    Word(String),
}

impl Theme {
    /// The themes that are always there.
    pub const BUILT_IN: [&'static str; 3] = ["dark", "light", "mono"];

    /// What can be set in a theme.
    pub const STYLES: [&'static str; 20] = [
        "bar",
        "rule",
        "text",
        "dim",
        "sender",
        "mine",
        "chosen",
        "heading",
        "unread",
        "mention",
        "certified",
        "verified",
        "changed",
        "queued",
        "good",
        "notice",
        "warning",
        "alarm",
        "quote",
        "link",
    ];

    /// A built-in theme.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "dark" => Some(Self::dark()),
            "light" => Some(Self::light()),
            "mono" => Some(Self::mono()),
            _ => None,
        }
    }

    /// For light letters on a dark ground.
    #[must_use]
    pub fn dark() -> Self {
        let of = |color| Style::new().fg(color);
        let bold = |color| of(color).add_modifier(Modifier::BOLD);
        Self {
            name: "dark".to_owned(),
            bar: Style::new().add_modifier(Modifier::REVERSED),
            rule: of(Color::DarkGray),
            text: Style::new(),
            dim: of(Color::DarkGray),
            sender: of(Color::Cyan),
            mine: of(Color::Green),
            chosen: Style::new().add_modifier(Modifier::REVERSED),
            heading: Style::new().add_modifier(Modifier::BOLD),
            unread: bold(Color::Yellow),
            mention: bold(Color::Magenta),
            certified: of(Color::Gray),
            verified: of(Color::Green),
            changed: bold(Color::Red),
            queued: of(Color::Yellow),
            good: of(Color::Green),
            notice: of(Color::Blue),
            warning: of(Color::Yellow),
            alarm: bold(Color::Red),
            quote: of(Color::DarkGray),
            link: Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }

    /// For dark letters on a light ground.
    #[must_use]
    pub fn light() -> Self {
        let of = |color| Style::new().fg(color);
        let bold = |color| of(color).add_modifier(Modifier::BOLD);
        Self {
            name: "light".to_owned(),
            sender: of(Color::Blue),
            mine: of(Color::Green),
            unread: bold(Color::Blue),
            certified: of(Color::DarkGray),
            queued: of(Color::Magenta),
            warning: of(Color::Magenta),
            ..Self::dark()
        }
    }

    /// Without any colour: for `NO_COLOR`.
    #[must_use]
    pub fn mono() -> Self {
        let (plain, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        let dim = Style::new().add_modifier(Modifier::DIM);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
            name: "mono".to_owned(),
            bar: reversed,
            rule: dim,
            text: plain,
            dim,
            sender: plain,
            mine: bold,
            chosen: reversed,
            heading: bold,
            unread: bold,
            mention: bold,
            certified: plain,
            verified: plain,
            changed: bold,
            queued: plain,
            good: plain,
            notice: plain,
            warning: bold,
            alarm: reversed,
            quote: dim,
            link: Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }

    /// Sets one style, written like `bold red on white`.
    ///
    /// # Errors
    /// [`ThemeError`]
    pub fn set(&mut self, name: &str, style: &str) -> Result<(), ThemeError> {
        let style = parse(style)?;
        *self.slot(name).ok_or_else(|| ThemeError::Style(name.to_owned()))? = style;
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Option<&mut Style> {
        Some(match name {
            "bar" => &mut self.bar,
            "rule" => &mut self.rule,
            "text" => &mut self.text,
            "dim" => &mut self.dim,
            "sender" => &mut self.sender,
            "mine" => &mut self.mine,
            "chosen" => &mut self.chosen,
            "heading" => &mut self.heading,
            "unread" => &mut self.unread,
            "mention" => &mut self.mention,
            "certified" => &mut self.certified,
            "verified" => &mut self.verified,
            "changed" => &mut self.changed,
            "queued" => &mut self.queued,
            "good" => &mut self.good,
            "notice" => &mut self.notice,
            "warning" => &mut self.warning,
            "alarm" => &mut self.alarm,
            "quote" => &mut self.quote,
            "link" => &mut self.link,
            _ => return None,
        })
    }
}

fn parse(text: &str) -> Result<Style, ThemeError> {
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        style = match word {
            "plain" => style,
            "bold" => style.add_modifier(Modifier::BOLD),
            "dim" => style.add_modifier(Modifier::DIM),
            "italic" => style.add_modifier(Modifier::ITALIC),
            "underline" => style.add_modifier(Modifier::UNDERLINED),
            "reverse" => style.add_modifier(Modifier::REVERSED),
            "on" => style.bg(color(words.next().unwrap_or_default())?),
            other => style.fg(color(other)?),
        };
    }
    Ok(style)
}

/// The sixteen, and those of a palette of 256 or by `#rrggbb`, for who wants them.
fn color(word: &str) -> Result<Color, ThemeError> {
    word.parse().map_err(|_| ThemeError::Word(openchat_client::text::safe(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_style_has_a_name_and_can_be_set() {
        let mut theme = Theme::mono();
        for name in Theme::STYLES {
            theme.set(name, "bold red on white").unwrap();
            let set = Style::new().fg(Color::Red).bg(Color::White).add_modifier(Modifier::BOLD);
            assert_eq!(theme.slot(name), Some(&mut set.clone()), "{name}");
        }
        assert!(theme.set("txet", "red").unwrap_err().to_string().contains("sender"));
        assert!(theme.set("text", "read").unwrap_err().to_string().starts_with("read is neither"));
        assert!(theme.set("text", "red on").is_err());
    }

    #[test]
    fn the_built_in_ones_use_no_more_than_sixteen_colours() {
        for name in Theme::BUILT_IN {
            let mut theme = Theme::named(name).unwrap();
            assert_eq!(theme.name, name);
            for style in Theme::STYLES {
                let style = *theme.slot(style).unwrap();
                for color in [style.fg, style.bg].into_iter().flatten() {
                    assert!(!matches!(color, Color::Rgb(..) | Color::Indexed(_)), "{color}");
                    assert_ne!(name, "mono", "has none at all");
                }
            }
        }
        assert_eq!(Theme::named("solarized"), None);
    }
}
