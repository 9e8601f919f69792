//! News in words, the same in lines and on the full screen.

use crate::{text, trust};
use openchat_engine::{Contact, MemberChange};
use openchat_wire::Name;

/// What the server keeps no more, by its places in the log.
#[must_use]
pub fn dropped(count: u64, first: u64, last: u64) -> String {
    match count {
        1 => format!("1 message (entry {first}) is no longer kept by the server"),
        _ => {
            format!("{count} messages (entries {first} to {last}) are no longer kept by the server")
        }
    }
}

/// What went before anybody was shown it.
#[must_use]
pub fn forgotten(unshown: u64) -> String {
    match unshown {
        1 => "1 message is gone: its time was over before it was shown here".to_owned(),
        _ => {
            format!("{unshown} messages are gone: their time was over before they were shown here")
        }
    }
}

/// What changed for somebody, and by whom.
#[must_use]
pub fn changed(name: &Name, change: MemberChange, by: Option<&Name>, count: u32) -> String {
    let now = format!("{} now", people(count));
    match (change, by) {
        (MemberChange::Joined, _) => format!("{name} joined, {now}"),
        (MemberChange::Rejoined, _) => format!("{name} rejoined with new keys, {now}"),
        (MemberChange::Added, Some(by)) => format!("{by} added {name}, {now}"),
        (MemberChange::Added, None) => format!("{name} was added, {now}"),
        (MemberChange::Invited, Some(by)) => format!("{by} invited {name}"),
        (MemberChange::Invited, None) => format!("{name} was invited"),
        (MemberChange::Declined, None) => format!("{name} declined the invitation"),
        (MemberChange::Declined, Some(by)) => format!("{by} took the invitation of {name} back"),
        (MemberChange::Left, _) => format!("{name} left, {now}"),
        (MemberChange::Removed, Some(by)) => format!("{by} removed {name}, {now}"),
        (MemberChange::Removed, None) => format!("{name} was removed, {now}"),
        (MemberChange::Revoked, _) => format!("the key of {name} was revoked, {now}"),
        (MemberChange::Claimed, _) => format!("{name} has come and set a key of their own"),
        (MemberChange::Admin, Some(by)) => format!("{by} made {name} an admin"),
        (MemberChange::Admin, None) => format!("{name} is an admin now"),
        (MemberChange::Member, Some(by)) => {
            format!("{by} made {name} a member, no longer an admin")
        }
        (MemberChange::Member, None) => format!("{name} is no longer an admin"),
        (MemberChange::Lifted, Some(by)) => format!("{by} lets {name} come back"),
        (MemberChange::Lifted, None) => format!("{name} may come back"),
    }
}

/// How this device lost its seat, and what to do, if something can be done.
#[must_use]
pub fn gone(change: MemberChange, by: Option<&Name>) -> (String, Option<String>) {
    match (change, by) {
        (MemberChange::Left, _) => ("you left".to_owned(), None),
        (MemberChange::Revoked, _) => (
            "you were removed, because your key was revoked".to_owned(),
            Some("ask the operator".to_owned()),
        ),
        (_, Some(by)) => (
            format!("{by} removed you; you read nothing more of it"),
            Some(format!("ask {by} in person")),
        ),
        (_, None) => (
            "you were removed; you read nothing more of it".to_owned(),
            Some("openchat group list".to_owned()),
        ),
    }
}

/// The number to compare, in three lines, as people read it to each other.
#[must_use]
pub fn contact(contact: &Contact) -> String {
    let groups = contact.number.to_string();
    let groups: Vec<&str> = groups.split(' ').collect();
    let lines: Vec<String> =
        groups.chunks(4).map(|four| "  ".to_owned() + &four.join(" ")).collect();
    let (name, word) = (&contact.name, trust::word(contact.trust));
    format!("{name}  {word}  key {}\n{}\n", text::fingerprint(&contact.key.0), lines.join("\n"))
}

fn people(count: u32) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    #[test]
    fn changes_name_who_and_by_whom() {
        let (bob, alice) = (name("bob"), name("alice"));
        for (change, by, words) in [
            (MemberChange::Joined, None, "bob joined, 2 members now"),
            (MemberChange::Added, Some(&alice), "alice added bob, 2 members now"),
            (MemberChange::Removed, Some(&alice), "alice removed bob, 2 members now"),
            (MemberChange::Left, None, "bob left, 2 members now"),
            (MemberChange::Invited, Some(&alice), "alice invited bob"),
            (MemberChange::Declined, None, "bob declined the invitation"),
            (MemberChange::Declined, Some(&alice), "alice took the invitation of bob back"),
            (MemberChange::Admin, Some(&alice), "alice made bob an admin"),
        ] {
            assert_eq!(changed(&bob, change, by, 2), words);
        }
    }
}
