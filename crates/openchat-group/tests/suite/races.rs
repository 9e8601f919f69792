//! Many commit on the same epoch; one of them counts, the others try again.

use openchat_group::{CommitOutcome, Effect};
use openchat_roster::CommitFault;

use crate::kit::{Act, Event, World, world::invalid};

const RACERS: usize = 64;

/// 8 members and 56 newcomers commit at once, and all of it is logged.
#[test]
fn one_of_64_commits_on_an_epoch_counts() {
    let members = 8;
    let mut world = World::new(1, members, RACERS - members);
    let act = |who: usize| match who {
        _ if who >= members => Act::Join,
        _ if who.is_multiple_of(2) => Act::Update,
        _ => Act::Rejoin,
    };
    let mut waiting: Vec<usize> = (0..RACERS).collect();
    for round in 0..3 {
        let mut race: Vec<_> =
            waiting.iter().map(|&who| (who, world.devices[who].make(act(who)).unwrap())).collect();
        let shift = (round * 29) % race.len();
        race.rotate_left(shift);
        let winner = race[0].0;
        let epoch = world.roster().epoch();
        world.log.extend(race.into_iter().map(|(_, entry)| entry));
        for (device, events) in world.deliver().into_iter().enumerate() {
            assert_eq!(events[0].effect() == Effect::Own, device == winner);
            assert!(events[1..].iter().all(|event| *event == invalid(CommitFault::Place)));
            assert!(world.devices[device].group.pending().is_none());
        }
        assert_eq!(world.roster().epoch(), epoch.next());
        world.assert_agree();
        waiting.retain(|&who| who != winner);
    }
    assert_eq!(waiting.len(), RACERS - 3);
    world.assert_heard(&[0]);
}

/// The losers draw afresh on top of the winner until all have had their turn.
#[test]
fn all_who_race_get_in() {
    let newcomers = 20;
    let mut world = World::new(2, 1, newcomers);
    let mut waiting: Vec<usize> = (1..=newcomers).collect();
    while !waiting.is_empty() {
        // Three are in time for the same epoch; the first at the relay wins.
        let racing: Vec<usize> = waiting.iter().copied().take(3).collect();
        let entries: Vec<_> =
            racing.iter().map(|&who| world.devices[who].make(Act::Join).unwrap()).collect();
        let winner = waiting.len() % racing.len();
        world.publish(entries[winner].clone());
        waiting.retain(|&who| who != racing[winner]);
    }
    assert_eq!(world.seated().len(), newcomers + 1);
    world.assert_agree();
    world.assert_heard(&[0, newcomers]);
}

/// Messages that were sealed while commits raced open behind them.
#[test]
fn commits_in_a_row_lose_no_message() {
    let mut world = World::new(3, 4, 14);
    let sealed: Vec<_> =
        (0..4).map(|who| (who, world.devices[who].seal(&format!("by {who}")).unwrap())).collect();
    for newcomer in 4..18 {
        world.act(newcomer, Act::Join);
    }
    for (who, entry) in sealed {
        let events = world.publish(entry);
        for listener in (0..4).filter(|&listener| listener != who) {
            assert_eq!(events[listener].text(), Some(&format!("by {who}")[..]));
        }
    }
}

/// A relay that shows different winners to halves of a group: neither takes the other's next one.
#[test]
fn halves_that_were_shown_different_commits_part() {
    let mut world = World::new(4, 4, 0);
    let (left, right) =
        (world.devices[0].make(Act::Update).unwrap(), world.devices[2].make(Act::Update).unwrap());
    for (device, entry) in [(0, &left), (1, &left), (2, &right), (3, &right)] {
        let event = world.devices[device].judge(entry);
        assert!(matches!(event, Event::Commit(CommitOutcome::Valid { .. })));
    }
    let message = world.devices[0].seal("to the left").unwrap();
    assert_eq!(world.devices[1].judge(&message).text(), Some("to the left"));
    let fork = openchat_roster::MessageFault::Fork;
    let fork = Event::Unreadable(openchat_group::Unreadable::Fault(fork));
    assert_eq!(world.devices[3].judge(&message), fork);
    let next = world.devices[1].make(Act::Update).unwrap();
    assert_eq!(world.devices[3].judge(&next), invalid(CommitFault::Place));
    assert_eq!(world.devices[2].judge(&left), invalid(CommitFault::Place));
}
