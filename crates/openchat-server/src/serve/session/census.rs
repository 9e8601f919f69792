//! Who is connected, for the operator, and how many connections a person may have.

use super::Sessions;
use openchat_wire::Name;
use std::sync::atomic::Ordering;

impl Sessions {
    /// How many connections a person may have.
    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// So many from now on; nobody loses one for it.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many people, and with how many connections in all.
    pub(crate) fn totals(&self) -> (usize, usize) {
        let people = self.people();
        let connections = people.by_name.values().map(|present| present.chairs.len());
        let here = connections.filter(|connections| *connections > 0);
        here.fold((0, 0), |(people, all): (usize, usize), connections| {
            (people.saturating_add(1), all.saturating_add(connections))
        })
    }

    /// People behind `after` with their connections, by name.
    pub(crate) fn page(&self, after: Option<&Name>, max: usize) -> Vec<(Name, u32)> {
        let people = self.people();
        let here = people.by_name.iter().filter(|(_, present)| !present.chairs.is_empty());
        let behind = here.filter(|(name, _)| after.is_none_or(|after| *name > after));
        let mut page: Vec<_> = behind
            .map(|(name, present)| {
                (name.clone(), u32::try_from(present.chairs.len()).unwrap_or(u32::MAX))
            })
            .collect();
        drop(people);
        page.sort();
        page.truncate(max);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_relay::Identity;
    use openchat_wire::Fingerprint;

    #[tokio::test]
    async fn people_are_listed_in_pages() {
        let sessions = Sessions::default();
        let names = ["carol", "alice", "bob"].map(|name| name.parse::<Name>().unwrap());
        let who = |name: &Name| Identity { name: name.clone(), fingerprint: Fingerprint([1; 32]) };
        let gone = sessions.enter(&who(&"abel".parse().unwrap())).unwrap();
        drop(gone);
        let _seats: Vec<_> = names
            .iter()
            .chain(&names[..1])
            .map(|name| sessions.enter(&who(name)).unwrap())
            .collect();
        assert_eq!(sessions.totals(), (3, 4));
        let page = sessions.page(None, 2);
        assert_eq!(page, [(names[1].clone(), 1), (names[2].clone(), 1)]);
        assert_eq!(sessions.page(Some(&names[2]), 2), [(names[0].clone(), 2)]);
        sessions.set_max(2);
        assert!(sessions.enter(&who(&names[0])).is_none());
        assert!(sessions.enter(&who(&names[1])).is_some());
    }
}
