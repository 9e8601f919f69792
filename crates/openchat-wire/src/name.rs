//! Names of people and of open groups: one canonical alphabet, so that no two look alike.

use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Characters of the longest name. A DNS label allows 63; half of it fits a terminal's column.
pub const MAX_NAME: usize = 32;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 32 characters: a-z first, then a-z, 0-9 or '-'")]
pub struct NameError;

/// Declares a name type over the common alphabet.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                is_name(text).then(|| Self(text.to_owned())).ok_or(NameError)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

name!(
    /// Name of a person, unique for ever at one server: `[a-z][a-z0-9-]{0,31}`.
    Name
);
name!(
    /// Name of an open group without its `#`, of the same alphabet.
    GroupName
);

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= MAX_NAME
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_canonical() {
        for good in ["a", "bob", "bob-2", "a-", &"a".repeat(32)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in
            ["", "Bob", "1a", "-a", "a.b", "a b", "a\0", "b\u{43e}b", "*", "a_b", &"a".repeat(33)]
        {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
