//! Lines that begin with `/`.

use super::{What, Wish};
use crate::{
    args::{InviteWord, JoinWord, RoleWord},
    target,
    text::safe,
};
use clap::ValueEnum;
use openchat_client::engine::{Bring, Grounds, GroupKind, SafetyNumberError};
use openchat_wire::Name;

/// A line that begins with `/`, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slash {
    Wish(Wish),
    Help,
    Quit,
}

/// What `/help` says.
pub(crate) const HELP: &str = "\
/names                 who is in
/invite WHO…           ask people to come       /add WHO…   put them in at once
/kick WHO              put somebody out         /leave      give up your own seat
/role WHO admin|member /policy join anyone|admitted   /policy invite members|admins
/join TARGET           open #GROUP or @PERSON, accept an invitation; /decline TARGET
/new NAME [WHO…]       begin a closed group and invite these people
/verify WHO            the number to compare   /verify WHO NUMBER   record that it is the same
/trust WHO             accept a key that has changed, without comparing
/rejoin                come back with new keys, after this device lost its own
/help                  this                     /quit       wait for what is queued, and end
//text                 send /text               Ctrl-R      show again what you have typed
";

/// Every command, with how it is typed.
const COMMANDS: [(&str, &str); 16] = [
    ("add", "/add WHO…"),
    ("decline", "/decline TARGET"),
    ("help", "/help"),
    ("invite", "/invite WHO…"),
    ("join", "/join TARGET"),
    ("kick", "/kick WHO"),
    ("leave", "/leave"),
    ("names", "/names"),
    ("new", "/new NAME [WHO…]"),
    ("policy", "/policy join anyone|admitted, or /policy invite members|admins"),
    ("quit", "/quit"),
    ("rejoin", "/rejoin"),
    ("role", "/role WHO admin|member"),
    ("trust", "/trust WHO"),
    ("verify", "/verify WHO [NUMBER]"),
    ("", "/help"),
];

/// Why a line was not understood: what is wrong, and what to type.
pub(crate) type Mistake = (String, String);

/// Reads a command without its `/`.
pub(crate) fn slash(line: &str) -> Result<Slash, Mistake> {
    let mut words = line.split_whitespace();
    let command = words.next().unwrap_or_default();
    let words: Vec<&str> = words.collect();
    let Some((_, usage)) = COMMANDS.iter().find(|(known, _)| *known == command) else {
        let message = format!("there is no command /{}; nothing was sent", safe(command));
        return Err((message, nearest(command)));
    };
    let fault = |why: String| (format!("/{command}: {why}"), (*usage).to_owned());
    match command {
        "help" | "" => Ok(Slash::Help),
        "quit" => Ok(Slash::Quit),
        _ => wish(command, &words).map(Slash::Wish).map_err(fault),
    }
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
        ("role", [who, role]) => here(What::Role(person(who)?, word::<RoleWord>(role)?.into())),
        ("trust", [who]) => here(What::Trust(person(who)?, Grounds::Accepted)),
        ("verify", [who]) => here(What::Compare(person(who)?)),
        ("verify", [who, number @ ..]) => {
            let number =
                number.concat().parse().map_err(|error: SafetyNumberError| error.to_string())?;
            here(What::Trust(person(who)?, Grounds::Compared(number)))
        }
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
        (_, []) => Err("something is missing".to_owned()),
        _ => Err("that is too much".to_owned()),
    }
}

fn policy(words: &[&str]) -> Result<What, String> {
    let (mut join, mut invite) = (None, None);
    for pair in words.chunks(2) {
        match pair {
            ["join", who] => join = Some(word::<JoinWord>(who)?.into()),
            ["invite", who] => invite = Some(word::<InviteWord>(who)?.into()),
            _ => return Err("join or invite, and who may".to_owned()),
        }
    }
    Ok(What::Policy { join, invite })
}

/// A word of a fixed set, as on the command line.
pub(crate) fn word<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        format!("{} is not one of: {}", safe(text), known.join(", "))
    })
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
    let by_distance = COMMANDS.iter().map(|(known, usage)| (distance(typed, known), usage));
    match by_distance.min() {
        Some((steps, usage)) if steps <= FARTHEST => {
            format!("did you mean {usage}? //text sends /text")
        }
        _ => "/help; //text sends /text".to_owned(),
    }
}

/// Characters to insert, delete or replace to come from one to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    // Nothing that long is near to any command.
    for (at, character) in from.chars().take(32).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_client::engine::{Inviting, Joining, Role};

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
        for (command, _) in COMMANDS {
            assert!(HELP.contains(&format!("/{command}")), "{command}");
        }
    }

    #[test]
    fn distances_are_right() {
        for (from, to, steps) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(from, to), steps);
        }
    }
}
