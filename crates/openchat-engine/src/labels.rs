//! How conversations are written: by name where that says which one, otherwise with the beginning
//! of the group's id.

use std::collections::BTreeMap;

use openchat_wire::{GroupId, GroupName};

use crate::{
    conversation::{About, Conversation, Wish},
    record::Local,
    target::{SHORTEST_TAG, Tag, Target},
};

/// The open group that everybody opens who names none. No closed group is written like it: whoever
/// makes one chooses its name, and could have there said what was meant for all.
const LOBBY: &str = "general";

/// A group, for the choice of its label.
struct Entry {
    /// It may not go by its name alone.
    is_tagged: bool,
    is_out: bool,
    local: Local,
    id: GroupId,
}

/// Labels all conversations. A name is that of the group that had it first; those that this device
/// is out of come last.
pub(crate) fn relabel(conversations: &mut BTreeMap<Local, Conversation>) {
    let mut groups: BTreeMap<Option<GroupName>, Vec<Entry>> = BTreeMap::new();
    for (local, conversation) in conversations.iter_mut() {
        let name = match &conversation.card.about {
            About::Direct(name) => {
                conversation.label = Target::Person(name.clone());
                continue;
            }
            About::Open(name) => Some(name.clone()),
            About::Closed(naming) => naming.as_ref().map(|naming| naming.name.clone()),
            About::Former(_) | About::Unknown => None,
        };
        let is_closed = matches!(conversation.card.about, About::Closed(_));
        let is_tagged = is_closed && name.as_ref().is_some_and(|name| name.as_str() == LOBBY);
        let is_out = conversation.card.wish == Wish::Out;
        let id = conversation.id().unwrap_or_else(|| provisional(*local));
        groups.entry(name).or_default().push(Entry { is_tagged, is_out, local: *local, id });
    }
    for (name, mut entries) in groups {
        entries.sort_by_key(|entry| (entry.is_tagged, entry.is_out, entry.local));
        let mut ids: Vec<GroupId> = entries.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        for (at, entry) in entries.iter().enumerate() {
            let label = match &name {
                Some(name) if at == 0 && !entry.is_tagged => Target::Group(name.clone()),
                name => Target::Tagged { name: name.clone(), tag: shortest_tag(&entry.id, &ids) },
            };
            if let Some(conversation) = conversations.get_mut(&entry.local) {
                conversation.label = label;
            }
        }
    }
}

/// The shortest beginning of an id that no other one of these has, which are sorted.
fn shortest_tag(of: &GroupId, sorted: &[GroupId]) -> Tag {
    let at = sorted.partition_point(|id| id < of);
    let before = at.checked_sub(1).and_then(|before| sorted.get(before));
    let after = sorted.get(at.saturating_add(1));
    let shared = before.into_iter().chain(after).map(|other| shared_digits(of, other)).max();
    Tag::of(of, shared.map_or(SHORTEST_TAG, |shared| shared.saturating_add(1)))
}

/// Hexadecimal digits that both begin with.
fn shared_digits(one: &GroupId, other: &GroupId) -> usize {
    let digits = |id: &GroupId| id.0.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits(one).zip(digits(other)).take_while(|(one, other)| one == other).count()
}

/// What stands for the id of a group that has none yet.
fn provisional(local: Local) -> GroupId {
    let mut id = [0; 32];
    let [.., high, low] = local.to_be_bytes();
    (id[0], id[1]) = (high, low);
    GroupId(id)
}

#[cfg(test)]
mod tests {
    use openchat_roster::Naming;
    use openchat_wire::Digest;

    use super::*;
    use crate::conversation::Card;

    fn closed(name: &str, id: [u8; 3], wish: Wish) -> Card {
        let naming = Naming { name: name.parse().unwrap(), salt: Digest([0; 32]) };
        let mut group = [0; 32];
        group[..3].copy_from_slice(&id);
        let about = About::Closed(Some(naming));
        Card { about, group: Some(GroupId(group)), wish, inviter: None }
    }

    fn labels(cards: Vec<Card>) -> Vec<String> {
        let nameless = Target::Person("nobody".parse().unwrap());
        let conversation =
            |(local, card)| (local, Conversation::new(local, card, nameless.clone()));
        let mut all = (1..).zip(cards).map(conversation).collect();
        relabel(&mut all);
        all.values().map(|conversation| conversation.label.to_string()).collect()
    }

    #[test]
    fn the_first_of_a_name_has_it_and_the_others_can_be_told_apart() {
        let cards = vec![
            closed("ops", [0x1a, 0x2b, 0x30], Wish::Out),
            closed("ops", [0x1a, 0x2b, 0x00], Wish::In),
            closed("ops", [0x1a, 0x2b, 0x31], Wish::In),
            closed("ops", [0x99, 0x99, 0x99], Wish::In),
            closed("dev", [0x99, 0x99, 0x99], Wish::Out),
        ];
        assert_eq!(labels(cards), ["#ops~1a2b30", "#ops", "#ops~1a2b31", "#ops~9999", "#dev"]);
    }

    #[test]
    fn no_closed_group_is_taken_for_the_lobby() {
        let open = || Card {
            about: About::Open("general".parse().unwrap()),
            ..closed("x", [0xab, 0xcd, 0], Wish::In)
        };
        let squatter = || closed("general", [0x1a, 0x2b, 0], Wish::In);
        assert_eq!(labels(vec![squatter()]), ["#general~1a2b"]);
        assert_eq!(labels(vec![squatter(), open()]), ["#general~1a2b", "#general"]);
    }

    #[test]
    fn what_has_no_name_goes_by_its_id_and_people_by_their_names() {
        let nameless = |about| Card { about, ..closed("x", [0xab, 0xcd, 0], Wish::Told) };
        let cards = vec![
            nameless(About::Unknown),
            nameless(About::Direct("bob".parse().unwrap())),
            nameless(About::Open("bob".parse().unwrap())),
        ];
        assert_eq!(labels(cards), ["#~abcd", "@bob", "#bob"]);
    }
}
