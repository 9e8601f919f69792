//! Conversations as people write them: `#ops`, `@bob`, and `#ops~1a2b` where `#ops` is another one.

use core::{fmt, str::FromStr};

use openchat_wire::{GroupId, GroupName, Name};

/// Digits of a tag that are always shown.
pub(crate) const SHORTEST_TAG: usize = 4;

/// Digits of a whole group id.
const LONGEST_TAG: usize = 64;

/// A conversation, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A group by its name: `#ops`.
    Group(GroupName),
    /// The direct conversation with a person: `@bob`.
    Person(Name),
    /// A group by its name and the beginning of its id: `#ops~1a2b`, the newer of two that have the
    /// same name. `#~1a2b` is a group whose name this device does not know.
    Tagged {
        /// Its name, if it is known.
        name: Option<GroupName>,
        /// What its id begins with.
        tag: Tag,
    },
}

/// The beginning of a group's id: 4 to 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a conversation is written '#group' or '@person', in lower case")]
pub struct TargetError;

impl Tag {
    /// This many digits of a group's id.
    pub(crate) fn of(group: &GroupId, digits: usize) -> Self {
        Self(group.to_string().chars().take(digits.clamp(SHORTEST_TAG, LONGEST_TAG)).collect())
    }

    /// Whether the group's id begins so.
    #[must_use]
    pub fn fits(&self, group: &GroupId) -> bool {
        group.to_string().starts_with(&self.0)
    }
}

impl Target {
    /// Whether this, as somebody wrote it, means the conversation with this label and group: its
    /// tag may be written longer or shorter.
    #[must_use]
    pub fn means(&self, label: &Self, group: Option<&GroupId>) -> bool {
        match self {
            Self::Tagged { tag, .. } => group.is_some_and(|group| tag.fits(group)),
            plain => label == plain,
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = (SHORTEST_TAG..=LONGEST_TAG).contains(&text.len());
        (fits && text.bytes().all(is_digit)).then(|| Self(text.to_owned())).ok_or(TargetError)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "#{name}"),
            Self::Person(name) => write!(f, "@{name}"),
            Self::Tagged { name: Some(name), tag } => write!(f, "#{name}~{tag}"),
            Self::Tagged { name: None, tag } => write!(f, "#~{tag}"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(name) = text.strip_prefix('@') {
            return name.parse().map(Self::Person).map_err(|_| TargetError);
        }
        let text = text.strip_prefix('#').ok_or(TargetError)?;
        let Some((name, tag)) = text.split_once('~') else {
            return text.parse().map(Self::Group).map_err(|_| TargetError);
        };
        let name = match name {
            "" => None,
            name => Some(name.parse().map_err(|_| TargetError)?),
        };
        Ok(Self::Tagged { name, tag: tag.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["#ops", "@bob", "#ops~1a2b", "#~00ff", &format!("#ops~{}", "a".repeat(64))] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nothing_else_is_a_target() {
        for text in [
            "",
            "#",
            "@",
            "ops",
            "#Ops",
            "@Bob",
            "#ops~",
            "#ops~1a2",
            "#ops~1A2B",
            "#ops~1a2g",
            "@bob~1a2b",
            "#ops~1a2b~1a2b",
            "##ops",
            "#~",
            &format!("#ops~{}", "a".repeat(65)),
        ] {
            assert_eq!(text.parse::<Target>(), Err(TargetError), "{text}");
        }
    }

    #[test]
    fn a_tag_fits_the_ids_that_begin_with_it() {
        let group = GroupId([0x1a; 32]);
        assert!("1a1a".parse::<Tag>().unwrap().fits(&group));
        assert!(!"1a1b".parse::<Tag>().unwrap().fits(&group));
        assert!(Tag::of(&group, 0).fits(&group));
        assert_eq!(Tag::of(&group, 100).to_string(), group.to_string());
    }
}
