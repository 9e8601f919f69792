//! P1 to P3: commits that are publicly valid and that some or all members can't follow. Nobody is
//! lost by one: the public state goes on, and rejoins bring everybody back.

use openchat_crypto::Label;
use openchat_group::{Effect, PrivateFault, SealError, StateKey, Unreadable};
use openchat_roster::{CommitFault, Operation, Wrap};
use openchat_wire::Epoch;

use crate::kit::{
    Act, Event, Liar, Lie, World,
    device::Vault,
    insider::resigned,
    world::{commit_of, invalid},
};

const FOLLOWED: Effect = Effect::Followed { back: false };
const BACK: Effect = Effect::Followed { back: true };
const BEHIND: Effect = Effect::LeftBehind(PrivateFault::Behind);

fn lie(world: &mut World, who: usize, act: Act, lie: &Lie) -> Vec<Effect> {
    let entry = Liar { device: &mut world.devices[who] }.commit(act, lie);
    effects(&world.publish(entry))
}

fn effects(events: &[Event]) -> Vec<Effect> {
    events.iter().map(Event::effect).collect()
}

fn act(world: &mut World, who: usize, act: Act) -> Vec<Effect> {
    effects(&world.act(who, act))
}

fn without_pending(mut vault: Vault) -> Vault {
    vault.remove(&StateKey::Pending).unwrap();
    vault
}

/// Whoever is stuck rejoins, one after the other, until nobody is.
fn everybody_rejoins(world: &mut World) {
    for _ in 0..world.devices.len() {
        let Some(first) = world.stuck().first().copied() else { break };
        for (device, effect) in act(world, first, Act::Rejoin).into_iter().enumerate() {
            let blames = matches!(&effect, Effect::LeftBehind(fault) if fault.is_authors());
            assert!(!blames, "d{device} blames d{first}: {effect:?}");
        }
    }
    world.assert_agree();
    world.assert_all_talk();
}

#[test]
fn the_second_implementation_makes_honest_commits() {
    let mut world = World::new(1, 5, 1);
    for (who, act) in [(3, Act::Update), (0, Act::Rejoin), (5, Act::Join)] {
        let effects = lie(&mut world, who, act, &Lie::Nothing);
        for (device, effect) in effects.into_iter().enumerate() {
            let expected = match device {
                _ if device == who => Effect::Own,
                5 => Effect::Watched,
                _ => FOLLOWED,
            };
            assert_eq!(effect, expected, "d{device}");
        }
        world.assert_agree();
        world.assert_all_talk();
    }
}

#[test]
fn p1_a_path_key_at_every_level_of_a_tree_of_sixteen() {
    let mut world = World::new(2, 16, 0);
    for (liar, level) in [(0, 1), (5, 2), (15, 3), (6, 4), (9, 1), (0, 4)] {
        let honest = world.devices[(liar + 1) % 16].make(Act::Update).unwrap();
        let effects = lie(&mut world, liar, Act::Update, &Lie::Path(vec![level]));
        let below = |device: usize| device >> level == liar >> level;
        for (device, effect) in effects.into_iter().enumerate() {
            let expected = match device {
                _ if device == liar => Effect::Own,
                _ if below(device) => Effect::LeftBehind(PrivateFault::PathKey),
                _ => FOLLOWED,
            };
            assert_eq!(effect, expected, "d{device}, level {level}");
        }
        world.assert_agree();
        let stuck: Vec<usize> = (0..16).filter(|&d| d != liar && below(d)).collect();
        assert_eq!(world.stuck(), stuck);
        world.assert_refused(&honest, &invalid(CommitFault::Place));
        // The others go on talking, and committing.
        world.assert_heard(&[liar]);
        act(&mut world, liar, Act::Update);
        // One that is stuck can follow nobody's update, and one rejoin brings all of them back.
        let effects = act(&mut world, stuck[0], Act::Rejoin);
        assert!(stuck[1..].iter().all(|&device| effects[device] == BACK), "{effects:?}");
        world.assert_agree();
        world.assert_heard(&[liar, stuck[0]]);
        assert_eq!(world.stuck(), Vec::<usize>::new());
    }
    world.assert_all_talk();
}

#[test]
fn whoever_is_stuck_keeps_still() {
    let mut world = World::new(3, 4, 0);
    world.devices[1].make(Act::Update).unwrap();
    let before = world.devices[1].vault();
    lie(&mut world, 0, Act::Update, &Lie::Path(vec![1]));
    let after = world.devices[1].vault();
    assert_eq!(after, without_pending(before), "secrets stay at the last good epoch");
    assert_eq!(world.devices[1].seal("lost").unwrap_err(), SealError::NoKeys);
    assert_eq!(world.devices[1].make(Act::Update), Err(CommitFault::Authority.into()));
    assert_eq!(world.devices[1].make(Act::Join), Err(CommitFault::Authority.into()));
    // Others' messages are shown as what they are.
    let events = world.say(2, "without you");
    assert_eq!(events[1], Event::Unreadable(Unreadable::NoEpoch));
    // Its notice counts with everybody, and names the commit.
    let named = *world.roster().interim();
    let notice = world.devices[1].notice();
    for event in world.publish(notice) {
        let Event::Notice(Ok(notice)) = event else { panic!("{event:?}") };
        assert_eq!(notice.interim, named);
        assert_eq!(notice.author, world.devices[1].key.fingerprint());
    }
    everybody_rejoins(&mut world);
}

#[test]
fn p2_and_p3_by_a_member_or_a_stranger() {
    let faults = [
        (Lie::External, PrivateFault::External),
        (Lie::Tag, PrivateFault::Tag),
        (Lie::Path(vec![1, 2, 3]), PrivateFault::PathKey),
    ];
    let mut world = World::new(4, 5, 4);
    for (stranger, (what, fault)) in (5..).zip(faults) {
        for (liar, how) in [(2, Act::Update), (1, Act::Rejoin), (stranger, Act::Join)] {
            let honest = world.stuck().is_empty();
            assert!(honest);
            let before = world.roster().tree().members();
            let effects = lie(&mut world, liar, how, &what);
            for device in world.stuck() {
                assert_eq!(effects[device], Effect::LeftBehind(fault), "d{device} {how:?}");
            }
            // A path key is seen by those below it, the others by everybody.
            let deaf = world.stuck().len();
            assert!(fault == PrivateFault::PathKey || deaf + 1 == world.seated().len());
            assert!(deaf > 0);
            world.assert_agree();
            let joined = u32::from(how == Act::Join);
            assert_eq!(world.roster().tree().members(), before + joined);
            everybody_rejoins(&mut world);
        }
    }
}

#[test]
fn p2_a_wrap_that_holds_another_secret() {
    let mut world = World::new(5, 4, 1);
    for (liar, how) in [(1, Act::Rejoin), (4, Act::Join)] {
        let tail = world.roster().epoch();
        let effects = lie(&mut world, liar, how, &Lie::Wrap(vec![tail]));
        for device in world.stuck() {
            assert_eq!(effects[device], Effect::LeftBehind(PrivateFault::External));
        }
        assert_eq!(world.stuck().len() + 1, world.seated().len());
        everybody_rejoins(&mut world);
    }
    // Right for the tail, wrong for those who are stuck: only they are lied to.
    let stuck_at = world.roster().epoch();
    lie(&mut world, 0, Act::Update, &Lie::Path(vec![1]));
    assert_eq!(world.stuck(), [1]);
    let epochs = [world.roster().epoch(), stuck_at];
    let entry = Liar { device: &mut world.devices[0] }.commit_for(
        Act::Rejoin,
        &Lie::Wrap(vec![stuck_at]),
        &epochs,
    );
    let effects = effects(&world.publish(entry));
    assert_eq!(effects[1], Effect::LeftBehind(PrivateFault::External));
    assert_eq!(effects[2..], [FOLLOWED, FOLLOWED, FOLLOWED]);
    everybody_rejoins(&mut world);
}

#[test]
fn a_group_that_a_stranger_has_stuck_still_takes_newcomers() {
    for what in [Lie::External, Lie::Tag, Lie::Path(vec![1, 2, 3])] {
        let mut world = World::new(6, 5, 3);
        let members = [0, 1, 2, 3, 4];
        let stuck_at = world.roster().epoch();
        let said_before = world.devices[2].seal("said before, logged after").unwrap();
        lie(&mut world, 5, Act::Join, &what);
        // A second stranger does it again before anybody could answer.
        let effects = lie(&mut world, 6, Act::Join, &what);
        assert!(members.iter().all(|&m| effects[m] == BEHIND || effects[m] == FOLLOWED));
        // What was sealed at the last good epoch opens for those who have it.
        let events = world.publish(said_before);
        assert!(members.iter().all(|&m| m == 2 || events[m].text().is_some()));
        // The public state suffices to join; nobody inside can follow yet.
        let effects = act(&mut world, 7, Act::Join);
        assert_eq!(effects[7], Effect::Own);
        let stuck = world.stuck();
        let first = *stuck.iter().find(|&&d| d < 5).unwrap();
        let rejoin = world.devices[first].make(Act::Rejoin).unwrap();
        let commit = commit_of(&rejoin).view().unwrap();
        let [Operation::Rejoin { wraps, .. }] = &commit.operations[..] else { panic!() };
        let epochs: Vec<Epoch> = wraps.iter().map(|wrap| wrap.epoch).collect();
        assert_eq!(epochs, [world.roster().epoch(), stuck_at]);
        let effects = self::effects(&world.publish(rejoin));
        assert_eq!(effects[7], FOLLOWED, "a newcomer follows");
        assert!(stuck.iter().filter(|&&d| d < 4 && d != first).all(|&d| effects[d] == BACK));
        everybody_rejoins(&mut world);
    }
}

/// With wrong keys on all levels, a rejoin from the other half of the tree brings back that half;
/// it can't mend what lies below, and whoever stays stuck blames nobody new for it.
#[test]
fn a_rejoin_above_somebody_elses_wrong_key_is_not_blamed() {
    let mut world = World::new(7, 16, 0);
    let all_levels = Lie::Path(vec![1, 2, 3, 4]);
    let effects = lie(&mut world, 0, Act::Update, &all_levels);
    assert!(effects[1..].iter().all(|e| *e == Effect::LeftBehind(PrivateFault::PathKey)));
    for (rejoiner, back) in [(8, 9..16), (4, 5..8), (2, 3..4), (1, 2..2), (0, 1..1)] {
        let effects = act(&mut world, rejoiner, Act::Rejoin);
        for (device, effect) in effects.into_iter().enumerate() {
            let expected = match device {
                _ if device == rejoiner => Effect::Own,
                _ if back.contains(&device) => BACK,
                _ if device < rejoiner => BEHIND,
                _ => FOLLOWED,
            };
            assert_eq!(effect, expected, "d{device} after d{rejoiner}");
        }
    }
    world.assert_agree();
    world.assert_all_talk();
}

/// The liar's nearest neighbour sees the lowest wrong key; its path covers all the others.
#[test]
fn the_rejoin_of_the_liars_neighbour_brings_everybody_back() {
    let mut world = World::new(7, 16, 0);
    lie(&mut world, 6, Act::Update, &Lie::Path(vec![1, 2, 3, 4]));
    let effects = act(&mut world, 7, Act::Rejoin);
    for (device, effect) in effects.into_iter().enumerate() {
        let expected = match device {
            6 => FOLLOWED,
            7 => Effect::Own,
            _ => BACK,
        };
        assert_eq!(effect, expected, "d{device}");
    }
    world.assert_agree();
    world.assert_all_talk();
}

#[test]
fn one_rejoin_wraps_for_at_most_three_who_are_stuck_elsewhere() {
    let mut world = World::new(8, 6, 0);
    let mut old = Vec::new();
    for device in 1..5 {
        old.push((world.roster().epoch(), device, world.devices[device].vault()));
        act(&mut world, 0, Act::Update);
    }
    // Four devices come back from a backup, each of another epoch.
    for (_, device, vault) in &old {
        world.devices[*device].restart_with(vault);
    }
    assert_eq!(world.stuck(), [1, 2, 3, 4]);
    let epochs: Vec<Epoch> = old.iter().rev().map(|(epoch, ..)| *epoch).collect();
    let tail = [world.roster().epoch()];
    let device = &mut world.devices[5];
    let for_three = [&tail, &epochs[..3]].concat();
    let three = Liar { device }.commit_for(Act::Rejoin, &Lie::Nothing, &for_three);
    let mut too_many = commit_of(&three).view().unwrap();
    let [Operation::Rejoin { wraps, .. }] = &mut too_many.operations[..] else { panic!() };
    wraps.push(Wrap { epoch: epochs[3], ..wraps[0] });
    let too_many = resigned(&world.devices[5].key, &too_many, commit_of(&three).tag);
    world.assert_refused(&too_many, &invalid(CommitFault::Wraps));
    let effects = effects(&world.publish(three));
    assert_eq!(effects, [FOLLOWED, BEHIND, BACK, BACK, BACK, Effect::Own]);
    everybody_rejoins(&mut world);
}

/// Every later liar is named by those who follow until then, and every lie is signed.
#[test]
fn a_fault_names_its_author() {
    let mut world = World::new(9, 4, 0);
    for liar in [1, 2] {
        let device = &mut world.devices[liar];
        let entry = Liar { device }.commit(Act::Update, &Lie::Tag);
        let commit = commit_of(&entry);
        let events = world.publish(entry);
        let Event::Commit(openchat_group::CommitOutcome::Valid { fingerprint, author, .. }) =
            &events[3]
        else {
            panic!()
        };
        assert_eq!(author.as_str(), format!("d{liar}"));
        let seat = world.roster().seat(fingerprint).unwrap();
        let signed = openchat_roster::CommitEntry::signed_bytes(&commit.commit, &commit.tag);
        assert!(seat.key.verify(Label::Commit, &signed, &commit.signature).is_ok());
        everybody_rejoins(&mut world);
    }
}
