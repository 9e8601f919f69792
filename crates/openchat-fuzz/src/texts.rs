//! What people paste and type.

use core::{fmt::Display, str::FromStr};

use openchat_wire::{GroupName, Name, invitation::Invitation};

/// An invitation to a server.
pub fn server_invitation(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(invitation) = text.parse::<Invitation>() else { return };
    assert_eq!(invitation.to_string(), text.trim(), "an invitation has two texts");
    assert!(invitation.address.chars().all(|c| c.is_ascii_graphic()));
}

/// Names of people and of groups.
pub fn names(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    name::<Name>(text);
    name::<GroupName>(text);
}

fn name<T: FromStr + Display>(text: &str) {
    let Ok(name) = text.parse::<T>() else { return };
    assert_eq!(name.to_string(), text, "a name has two texts");
    assert!((1..=32).contains(&text.len()) && text.starts_with(|c: char| c.is_ascii_lowercase()));
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(text.chars().all(allowed));
}
