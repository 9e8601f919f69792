//! Lines that begin with `/`: one table, from which parsing, completion, help and "did you mean" come.

mod table;

pub use table::{Arg, COMMANDS, SlashCommand, Where};

use super::{What, Wish};
use crate::{Pick, Say, spoken::span_of, standing, target, text::safe};
use openchat_engine::{Bring, Grounds, GroupKind, SafetyNumberError, Target};
use openchat_wire::Name;
use std::{fmt::Write, path::PathBuf};

/// A line that begins with `/`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slash {
    /// Something about a conversation or a person.
    Wish(Wish),
    /// Something that the full screen does itself.
    Shown(Shown),
    /// What may be typed.
    Help,
    /// The end.
    Quit,
}

/// What only the full screen does: it is about what is shown there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Says that one does something.
    Me(String),
    /// Writes to somebody and goes there.
    Msg(Name, String),
    /// Answers the chosen message.
    Reply(String),
    /// Reacts to the chosen message.
    React(String),
    /// Puts another text in place of one's own message; without one, it is edited.
    Edit(Option<String>),
    /// Takes one's own message back.
    Delete,
    /// Says what the conversation is about.
    Topic(String),
    /// Counts what comes in a conversation no longer, or again.
    Mute(Option<Target>),
    /// Tells what is known of somebody.
    Whois(Name),
    /// Tells how things stand.
    Status,
    /// Looks for messages.
    Search(Option<String>),
    /// Goes to the next conversation with something new.
    Unread,
    /// Shows the settings, or changes one.
    Set(Option<(String, String)>),
    /// Shows the themes, or changes to one.
    Theme(Option<String>),
}

impl Shown {
    /// What it says about the last message, where there is none to choose.
    #[must_use]
    pub fn say(self) -> Option<Say> {
        Some(match self {
            Self::Me(text) => Say::Action(text),
            Self::Reply(text) => Say::Reply { to: Pick::Last, text },
            Self::React(emoji) => Say::React { to: Pick::Last, emoji, on: true },
            Self::Edit(Some(text)) => Say::Edit { of: Pick::Last, text },
            Self::Delete => Say::Delete { of: Pick::Last },
            Self::Topic(topic) => Say::Topic(topic),
            _ => return None,
        })
    }
}

/// Why a line was not understood: what is wrong, and what to type.
pub type Mistake = (String, String);

/// What `/help` says in line mode.
#[must_use]
pub fn help() -> String {
    /// Wider ones get a line of their own.
    const WIDTH: usize = 34;
    let mut lines = String::new();
    let here = COMMANDS.iter().filter(|command| command.place == Where::Everywhere);
    let rows = here.map(|command| (command.usage, command.help));
    for (usage, help) in rows.chain([("//text", "send /text")]) {
        let gap = if usage.chars().count() < WIDTH { "" } else { "\n" };
        let pad = if gap.is_empty() { WIDTH.saturating_sub(usage.chars().count()) } else { WIDTH };
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{usage}{gap}{:pad$}{help}", "");
    }
    lines + "Ctrl-R                            show again what you have typed\n"
}

/// The names of the commands that begin so, without `/`.
pub fn complete(beginning: &str) -> impl Iterator<Item = &'static SlashCommand> {
    COMMANDS.iter().filter(move |command| command.name.starts_with(beginning))
}

/// Reads a command without its `/`.
///
/// # Errors
/// A [`Mistake`]: nothing may be sent then.
pub fn slash(line: &str) -> Result<Slash, Mistake> {
    let line = line.trim();
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if name.is_empty() {
        return Ok(Slash::Help);
    }
    let Some(command) = COMMANDS.iter().find(|known| known.name == name) else {
        let message = format!("there is no command /{}; nothing was sent", safe(name));
        return Err((message, nearest(name)));
    };
    let fault = |why: String| (format!("/{name}: {why}"), command.usage.to_owned());
    let words: Vec<&str> = rest.split_whitespace().collect();
    match command.place {
        Where::Screen => shown(name, &words, rest.trim()).map(Slash::Shown).map_err(fault),
        Where::Everywhere => match name {
            "help" => Ok(Slash::Help),
            "quit" => Ok(Slash::Quit),
            "me" | "reply" | "react" | "edit" | "delete" | "topic" => {
                shown(name, &words, rest.trim()).map(Slash::Shown).map_err(fault)
            }
            "file" | "save" => of_file(name, rest.trim()).map(Slash::Wish).map_err(fault),
            _ => wish(name, &words).map(Slash::Wish).map_err(fault),
        },
    }
}

/// What only the full screen does; `rest` is all behind the command, as it was typed.
fn shown(name: &str, words: &[&str], rest: &str) -> Result<Shown, String> {
    let text = || Some(rest.to_owned()).filter(|text| !text.is_empty());
    let needed = || text().ok_or_else(missing);
    Ok(match (name, words) {
        ("me", _) => Shown::Me(needed()?),
        ("reply", _) => Shown::Reply(needed()?),
        ("react", _) => Shown::React(needed()?),
        ("topic", _) => Shown::Topic(needed()?),
        ("edit", _) => Shown::Edit(text()),
        ("search", _) => Shown::Search(text()),
        ("msg", [who, _, ..]) => {
            let text = rest.strip_prefix(who).unwrap_or_default().trim_start();
            Shown::Msg(person(who)?, text.to_owned())
        }
        ("whois", [who]) => Shown::Whois(person(who)?),
        ("mute", []) => Shown::Mute(None),
        ("mute", [at]) => Shown::Mute(Some(target::target(at)?)),
        ("delete", []) => Shown::Delete,
        ("status", []) => Shown::Status,
        ("unread", []) => Shown::Unread,
        ("set", []) => Shown::Set(None),
        ("set", [key, value]) => Shown::Set(Some(((*key).to_owned(), (*value).to_owned()))),
        ("theme", []) => Shown::Theme(None),
        ("theme", [theme]) => Shown::Theme(Some((*theme).to_owned())),
        ("msg" | "whois", []) | ("msg" | "set", [_]) => return Err(missing()),
        _ => return Err(too_much()),
    })
}

fn missing() -> String {
    "something is missing".to_owned()
}

fn too_much() -> String {
    "that is too much".to_owned()
}

/// What is about files: a path may have blanks.
fn of_file(command: &str, path: &str) -> Result<Wish, String> {
    let what = match (command, path) {
        ("file", "") => return Err(missing()),
        ("file", path) => What::Say(Say::File(home(path))),
        (_, "") => What::Save { file: Pick::Last, to: ".".into() },
        (_, path) => What::Save { file: Pick::Last, to: home(path) },
    };
    Ok(Wish { target: None, what })
}

/// No shell reads this line, so nobody else knows what `~` is.
fn home(path: &str) -> PathBuf {
    let rest = path.strip_prefix("~/");
    let home = rest.and_then(|rest| Some(PathBuf::from(std::env::var_os("HOME")?).join(rest)));
    home.unwrap_or_else(|| path.into())
}

fn timer(word: &str) -> Result<What, String> {
    let time = match word {
        "off" => None,
        word => Some(span_of(word).ok_or("30m, 12h, 7d or the like, or off")?),
    };
    Ok(What::Say(Say::Timer(time)))
}

fn wish(command: &str, words: &[&str]) -> Result<Wish, String> {
    let here = |what| Ok(Wish { target: None, what });
    match (command, words) {
        ("names", []) => here(What::Names),
        ("leave", []) => here(What::Leave),
        ("rejoin", []) => here(What::Rejoin),
        ("invite", [_, ..]) => here(What::Invite(people(words)?)),
        ("add", [_, ..]) => here(What::Add(people(words)?)),
        ("kick", [who]) => here(What::Kick(person(who)?)),
        ("role", [who, role]) => here(What::Role(person(who)?, standing::role_of(role)?)),
        ("trust", [who]) => here(What::Trust(person(who)?, Grounds::Accepted)),
        ("verify", [who]) => here(What::Compare(person(who)?)),
        ("verify", [who, number @ ..]) => {
            let number =
                number.concat().parse().map_err(|error: SafetyNumberError| error.to_string())?;
            here(What::Trust(person(who)?, Grounds::Compared(number)))
        }
        ("timer", [time]) => here(timer(time)?),
        ("resume", [id]) => here(What::Resume(target::message_id(id)?)),
        ("policy", [_, ..]) => here(policy(words)?),
        ("new", [name, who @ ..]) => {
            let name = target::group_name(name).map_err(|error| error.to_string())?;
            let (kind, how) = (GroupKind::Closed, Bring::Invite);
            here(What::New { name, kind, people: people(who)?, how })
        }
        ("join" | "decline" | "leave" | "rejoin" | "names", [at]) => {
            let what = match command {
                "join" => What::Join,
                "decline" => What::Decline,
                "leave" => What::Leave,
                "rejoin" => What::Rejoin,
                _ => What::Names,
            };
            Ok(Wish { target: Some(target::target(at)?), what })
        }
        (_, []) => Err(missing()),
        _ => Err(too_much()),
    }
}

fn policy(words: &[&str]) -> Result<What, String> {
    let (mut join, mut invite) = (None, None);
    for pair in words.chunks(2) {
        match pair {
            ["join", who] => join = Some(standing::joining_of(who)?),
            ["invite", who] => invite = Some(standing::inviting_of(who)?),
            _ => return Err("join or invite, and who may".to_owned()),
        }
    }
    Ok(What::Policy { join, invite })
}

fn people(words: &[&str]) -> Result<Vec<Name>, String> {
    words.iter().map(|word| person(word)).collect()
}

fn person(word: &str) -> Result<Name, String> {
    target::person(word).map_err(|error| format!("{}: {error}", safe(word)))
}

/// What was probably meant.
fn nearest(typed: &str) -> String {
    const FARTHEST: usize = 2;
    let distances = COMMANDS.iter().map(|known| (distance(typed, known.name), known.usage));
    match distances.min() {
        Some((steps, usage)) if steps <= FARTHEST => {
            format!("did you mean {usage}? //text sends /text")
        }
        _ => "/help; //text sends /text".to_owned(),
    }
}

/// Characters to insert, delete or replace to come from one to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    /// Nothing that long is near to any command.
    const LONGEST: usize = 32;
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, character) in from.chars().take(LONGEST).enumerate() {
        let (mut diagonal, mut left) = (at, at.saturating_add(1));
        let mut next = vec![left];
        for (other, above) in to.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(character != *other));
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_engine::{Inviting, Joining, Role};

    fn meant(line: &str) -> Wish {
        match slash(line) {
            Ok(Slash::Wish(wish)) => wish,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(meant("invite bob @carol").what, What::Invite(names(&["bob", "carol"])));
        assert_eq!(meant("add  bob ").what, What::Add(names(&["bob"])));
        assert_eq!(meant("kick bob").what, What::Kick("bob".parse().unwrap()));
        let role = |role| What::Role("bob".parse().unwrap(), role);
        assert_eq!(meant("role bob admin").what, role(Role::Admin));
        assert_eq!(meant("role @bob member").what, role(Role::Member));
        let join = meant("join @bob");
        assert_eq!((join.target.unwrap().to_string().as_str(), join.what), ("@bob", What::Join));
        assert_eq!(meant("leave"), Wish { target: None, what: What::Leave });
        assert_eq!(meant("leave #ops").target.unwrap().to_string(), "#ops");
        assert_eq!(slash("quit").unwrap(), Slash::Quit);
        assert_eq!(slash("help ").unwrap(), Slash::Help);
    }

    #[test]
    fn a_number_is_written_as_it_is_shown() {
        let groups = "12345 ".repeat(12);
        let what = meant(&format!("verify bob {groups}")).what;
        let number = groups.parse().unwrap();
        assert_eq!(what, What::Trust("bob".parse().unwrap(), Grounds::Compared(number)));
        assert_eq!(meant("verify bob").what, What::Compare("bob".parse().unwrap()));
        assert_eq!(
            meant("trust @bob").what,
            What::Trust("bob".parse().unwrap(), Grounds::Accepted)
        );
        let (message, hint) = slash("verify bob 12345").unwrap_err();
        assert!(message.contains("60 digits") && hint == "/verify WHO [NUMBER]", "{message}");
    }

    #[test]
    fn policies_are_words_in_pairs() {
        let (join, invite) = (Some(Joining::Admitted), Some(Inviting::Admins));
        let both = What::Policy { join, invite };
        assert_eq!(meant("policy join admitted invite admins").what, both);
        for bad in ["policy", "policy join", "policy join all", "policy admins"] {
            assert!(slash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_understood_says_how_to_type_it() {
        for (line, usage) in [
            ("kick", "/kick WHO"),
            ("kick bob carol", "/kick WHO"),
            ("invite Bob", "/invite WHO…"),
            ("role bob king", "/role WHO admin|member"),
            ("join ops", "/join TARGET"),
        ] {
            let (message, hint) = slash(line).unwrap_err();
            assert!(message.starts_with('/') && hint == usage, "{line}: {message} {hint}");
        }
    }

    #[test]
    fn an_unknown_command_shows_the_nearest() {
        for (line, near) in
            [("qiut", "/quit"), ("names2", "/names"), ("kik bob", "/kick"), ("lave", "/leave")]
        {
            let (message, hint) = slash(line).unwrap_err();
            assert!(message.contains("nothing was sent"), "{message}");
            assert!(hint.starts_with(&format!("did you mean {near}")), "{line}: {hint}");
        }
        assert!(slash("etc/passwd").unwrap_err().1.starts_with("/help"));
        assert!(slash(&"x".repeat(100_000)).unwrap_err().1.starts_with("/help"));
        let (message, _) = slash("\u{1b}[2J").unwrap_err();
        assert!(!message.contains('\u{1b}'), "{message}");
    }

    #[test]
    fn the_help_has_every_command() {
        for command in COMMANDS {
            let listed = help().contains(command.usage);
            assert_eq!(listed, command.place == Where::Everywhere, "{}", command.name);
        }
        assert!(help().lines().all(|line| line.chars().count() <= 100), "{}", help());
    }

    #[test]
    fn every_command_is_written_as_its_usage_says() {
        for command in COMMANDS {
            assert!(command.usage.starts_with(&format!("/{}", command.name)), "{}", command.usage);
            let Err((message, hint)) = slash(&format!("{} \u{1}", command.name)) else { continue };
            assert!(message.starts_with(&format!("/{}: ", command.name)), "{message}");
            assert_eq!(hint, command.usage);
        }
        assert!(COMMANDS.is_sorted_by_key(|command| command.name), "so that people find them");
    }

    #[test]
    fn what_the_screen_does_keeps_its_text_as_it_was_typed() {
        let shown = |line: &str| match slash(line) {
            Ok(Slash::Shown(shown)) => shown,
            other => panic!("{line}: {other:?}"),
        };
        let bob = || "bob".parse::<Name>().unwrap();
        assert_eq!(shown("me  waves   twice "), Shown::Me("waves   twice".to_owned()));
        assert_eq!(shown("msg @bob a  b"), Shown::Msg(bob(), "a  b".to_owned()));
        assert_eq!(shown("msg bob bob"), Shown::Msg(bob(), "bob".to_owned()));
        assert_eq!(shown("edit"), Shown::Edit(None));
        assert_eq!(shown("set bell off"), Shown::Set(Some(("bell".into(), "off".into()))));
        assert_eq!(shown("mute #ops"), Shown::Mute(Some("#ops".parse().unwrap())));
        for bad in ["me", "msg bob", "react", "delete it", "whois", "set bell", "theme a b"] {
            assert!(slash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_said_about_messages_and_files_is_understood() {
        let said = |line: &str| match slash(line) {
            Ok(Slash::Shown(shown)) => shown.say(),
            Ok(Slash::Wish(Wish { target: None, what: What::Say(say) })) => Some(say),
            other => panic!("{line}: {other:?}"),
        };
        let text = || "it is".to_owned();
        assert_eq!(said("me  it is "), Some(Say::Action(text())));
        assert_eq!(said("reply it is"), Some(Say::Reply { to: Pick::Last, text: text() }));
        assert_eq!(said("edit it is"), Some(Say::Edit { of: Pick::Last, text: text() }));
        assert_eq!(said("edit"), None, "that needs a screen");
        assert_eq!(said("delete"), Some(Say::Delete { of: Pick::Last }));
        let emoji = "👍".to_owned();
        assert_eq!(said("react 👍"), Some(Say::React { to: Pick::Last, emoji, on: true }));
        assert_eq!(said("timer off"), Some(Say::Timer(None)));
        let week = std::time::Duration::from_hours(7 * 24);
        assert_eq!(said("timer 7d"), Some(Say::Timer(Some(week))));
        assert_eq!(said("file a b.txt"), Some(Say::File("a b.txt".into())));
        let save = |to: &str| What::Save { file: Pick::Last, to: to.into() };
        assert_eq!(meant("save").what, save("."));
        assert_eq!(meant("save /tmp/a b").what, save("/tmp/a b"));
        let id = "0123456789abcdef0123456789abcdef";
        let resumed = target::message_id(id).unwrap();
        assert_eq!(meant(&format!("resume {id}")).what, What::Resume(resumed));
        for bad in ["file", "timer", "timer 1y", "timer 1h 2h", "resume", "resume 12", "reply"] {
            assert!(slash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn beginnings_are_completed() {
        let names = |typed: &str| complete(typed).map(|command| command.name).collect::<Vec<_>>();
        assert_eq!(names("re"), ["react", "rejoin", "reply", "resume"]);
        assert_eq!(names("").len(), COMMANDS.len());
        assert!(names("x").is_empty());
    }

    #[test]
    fn distances_are_right() {
        for (from, to, steps) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), steps);
        }
    }
}
