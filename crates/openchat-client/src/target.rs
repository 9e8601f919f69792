//! Conversations and people as they are typed.

use openchat_engine::Target;
use openchat_wire::{GroupName, MessageId, Name, NameError};

/// `#GROUP` or `@PERSON`.
///
/// # Errors
/// What to write instead.
pub fn target(text: &str) -> Result<Target, String> {
    text.parse().map_err(|error| {
        if text.parse::<GroupName>().is_ok() {
            format!("is it the group '#{text}' or the person @{text}?")
        } else {
            format!("{error}")
        }
    })
}

/// `NAME` or `@NAME`.
///
/// # Errors
/// Why it is no name.
pub fn person(text: &str) -> Result<Name, NameError> {
    text.strip_prefix('@').unwrap_or(text).parse()
}

/// `NAME` or `#NAME`.
///
/// # Errors
/// Why it is no name.
pub fn group_name(text: &str) -> Result<GroupName, NameError> {
    text.strip_prefix('#').unwrap_or(text).parse()
}

/// The target as one would type it into a shell, to which `#` begins a comment.
#[must_use]
pub fn quoted(target: &str) -> String {
    if target.starts_with('#') { format!("'{target}'") } else { target.to_owned() }
}

/// A message, as its author names it.
///
/// # Errors
/// What is expected.
pub fn message_id(text: &str) -> Result<MessageId, String> {
    let expected = || "32 hexadecimal digits name a message".to_owned();
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| digits);
    number.map(|number| MessageId(number.to_be_bytes())).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_say_what_they_are() {
        for good in ["#general", "@bob"] {
            assert_eq!(target(good).unwrap().to_string(), good);
        }
        for bad in ["", "#", "#General", "##a", "@", "@Bob", "bob", "bob@host"] {
            assert!(target(bad).is_err(), "{bad}");
        }
        assert_eq!(target("ops").unwrap_err(), "is it the group '#ops' or the person @ops?");
    }

    #[test]
    fn the_mark_may_be_left_out_where_only_one_kind_is_meant() {
        assert_eq!(person("@bob").unwrap(), person("bob").unwrap());
        assert_eq!(group_name("#ops").unwrap(), group_name("ops").unwrap());
        assert!(person("#bob").is_err() && group_name("@ops").is_err());
    }

    #[test]
    fn a_shell_gets_groups_in_quotes() {
        assert_eq!((quoted("#ops").as_str(), quoted("@bob").as_str()), ("'#ops'", "@bob"));
    }
}
