//! What a thief of a device's memory can follow, and until when; what a newcomer can't read.

use openchat_crypto::Secret;
use openchat_group::{Effect, PrivateFault, Proposal, Unreadable};
use openchat_roster::{LogEntry, MessageFault, PrekeyKind, Roster};
use openchat_wire::{Epoch, GroupId};

use crate::kit::{Act, Device, Event, SecretsView, Thief, World, world::commit_of};

/// A thief beside a world: after each commit it tries everything that it has.
struct Heist {
    world: World,
    thief: Thief,
}

impl Heist {
    fn new(seed: u64, members: usize, outside: usize) -> Self {
        let world = World::new(seed, members, outside);
        Self { world, thief: Thief::default() }
    }

    fn closed(seed: u64, members: usize, outside: usize) -> Self {
        Self { world: World::closed(seed, members, outside), thief: Thief::default() }
    }

    fn steal(&mut self, from: usize) {
        self.thief.steal(&SecretsView::of(&self.world.devices[from].group));
    }

    fn act(&mut self, who: usize, act: Act) {
        self.step(|world| {
            world.act(who, act);
        });
    }

    fn step(&mut self, step: impl FnOnce(&mut World)) {
        let before = self.world.roster().clone();
        step(&mut self.world);
        let entry = commit_of(self.world.log.last().unwrap());
        self.thief.listen(&before, &entry, self.world.roster());
    }

    fn thief_is_inside(&self) -> bool {
        self.thief.knows(self.world.roster().epoch())
    }
}

#[test]
fn a_thief_who_listens_is_out_when_its_victim_renews_its_keys() {
    for healing in [Act::Update, Act::Rejoin] {
        for victim in [0, 2, 4] {
            let mut heist = Heist::new(1, 5, 2);
            heist.steal(victim);
            for (who, act) in [(1, Act::Update), (3, Act::Rejoin), (5, Act::Join)] {
                heist.act(who, act);
                assert!(heist.thief_is_inside(), "others' commits heal nobody else");
            }
            heist.act(victim, healing);
            assert!(!heist.thief_is_inside());
            for (who, act) in [(1, Act::Update), (3, Act::Rejoin), (6, Act::Join), (0, Act::Update)]
            {
                heist.act(who, act);
                assert!(!heist.thief_is_inside(), "d{victim} healed by {healing:?}");
            }
        }
    }
}

#[test]
fn two_snapshots_pooled_are_worth_as_much_as_the_last_that_is_not_healed() {
    let mut heist = Heist::new(2, 4, 0);
    heist.steal(0);
    heist.act(3, Act::Update);
    heist.steal(2);
    heist.act(0, Act::Update);
    assert!(heist.thief_is_inside(), "d2's leaf is still the stolen one");
    heist.act(2, Act::Rejoin);
    assert!(!heist.thief_is_inside());
    heist.steal(1);
    assert!(heist.thief_is_inside(), "stolen again");
}

/// Whoever has a newcomer's prekey reads until its claim, and not after it; the same of whoever has
/// read its adder's memory, once the adder has renewed its keys.
#[test]
fn a_stolen_prekey_is_worth_something_until_the_claim() {
    let mut heist = Heist::closed(11, 4, 1);
    heist.thief.steal_prekeys(&heist.world.devices[4].ring);
    assert!(!heist.thief_is_inside());
    let newcomer = heist.world.devices[4].as_new_member(PrekeyKind::OneTime);
    heist.thief.steal_prekeys(&heist.world.devices[4].ring);
    heist.step(|world| {
        let adds = vec![newcomer];
        world.propose(1, Proposal { adds, ..Proposal::default() });
    });
    // The leaf alone is not enough: what is new in an epoch comes from the one before.
    assert!(!heist.thief_is_inside());
    heist.steal(4);
    assert!(heist.thief_is_inside());
    for who in [1, 2, 1] {
        heist.act(who, Act::Update);
        assert!(heist.thief_is_inside(), "it follows with the prekey");
    }
    heist.act(4, Act::Update);
    assert!(!heist.thief_is_inside());
    heist.act(1, Act::Update);
    assert!(!heist.thief_is_inside());
}

/// What a thief could know of an adder's other leaves is healed with its own.
#[test]
fn an_adders_update_heals_the_leaves_that_it_has_set() {
    let mut heist = Heist::closed(12, 4, 2);
    for newcomer in [4, 5] {
        heist.step(|world| {
            world.add(1, newcomer);
        });
    }
    // A thief who was there when they were drawn.
    heist.steal(1);
    heist.steal(4);
    heist.steal(5);
    heist.act(2, Act::Update);
    assert!(heist.thief_is_inside());
    heist.act(1, Act::Update);
    assert!(!heist.thief_is_inside());
    for (who, act) in [(4, Act::Update), (3, Act::Rejoin), (5, Act::Update)] {
        heist.act(who, act);
        assert!(!heist.thief_is_inside());
    }
}

/// A leaf stolen from somebody silent does not open the epochs before the theft.
#[test]
fn a_silent_members_memory_opens_no_earlier_epoch() {
    let mut world = World::new(3, 3, 0);
    for who in [1, 2, 1, 2] {
        world.act(who, Act::Update);
    }
    let stolen = SecretsView::of(&world.devices[0].group);
    assert!(closure_over(&world, &stolen, stolen.epoch).is_empty());
}

#[test]
fn a_newcomers_memory_opens_no_earlier_epoch() {
    let mut world = World::new(4, 3, 1);
    let early = world.devices[0].seal("before you came").unwrap();
    let early = LogEntry::decode(&early).unwrap();
    world.say(1, "also before");
    world.act(3, Act::Join);
    let newcomer = SecretsView::of(&world.devices[3].group);
    assert!(closure_over(&world, &newcomer, newcomer.epoch).is_empty());
    let LogEntry::Message(early) = early else { panic!() };
    // Logged after its join, within the window: it counts, and still it does not open.
    assert_eq!(world.devices[3].group.open(&early), Err(Unreadable::NoEpoch));
    assert!(world.devices[2].group.open(&early).is_ok());
}

/// The epochs before `until` that a thief of `stolen` comes to know by the whole log.
fn closure_over(world: &World, stolen: &SecretsView, until: Epoch) -> Vec<Epoch> {
    let mut thief = Thief::default();
    thief.steal(stolen);
    let mut roster = Roster::new(*world.roster().group());
    let mut known = Vec::new();
    for entry in &world.log {
        let Ok(LogEntry::Commit(entry)) = LogEntry::decode(entry) else { continue };
        let before = roster.clone();
        let transition = roster.check(&entry).unwrap();
        roster.apply(transition);
        if roster.epoch() < until {
            thief.listen(&before, &entry, &roster);
            known.extend(Some(roster.epoch()).filter(|epoch| thief.knows(*epoch)));
        }
    }
    known
}

/// The same through the crate itself: a device that runs on with the stolen records.
#[test]
fn a_stolen_vault_follows_until_its_owner_renews() {
    for healing in [Act::Update, Act::Rejoin] {
        let mut world = World::new(5, 4, 0);
        let stolen = world.devices[1].vault();
        let mut thief = Device::new(9, *world.roster().group(), &world.rng);
        thief.key =
            openchat_crypto::IdentityKey::from_pkcs8(&world.devices[1].key.to_pkcs8()).unwrap();
        thief.group = openchat_group::Group::new(*world.roster().group(), thief.key.fingerprint());
        thief.read(&world.log);
        thief.restart_with(&stolen);
        world.act(0, Act::Update);
        world.say(2, "overheard");
        let events = thief.read(&world.log);
        assert_eq!(events[0].effect(), Effect::Followed { back: false });
        assert_eq!(events[1].text(), Some("overheard"));
        world.act(1, healing);
        let told = if healing == Act::Rejoin { Effect::Reseated } else { Effect::NotMine };
        assert_eq!(thief.read(&world.log)[0].effect(), told);
        for act in [Act::Update, Act::Rejoin] {
            world.act(3, act);
            world.say(2, "not for you");
            let events = thief.read(&world.log);
            assert_eq!(events[0].effect(), Effect::LeftBehind(PrivateFault::Behind));
            assert_eq!(events[1], Event::Unreadable(Unreadable::NoEpoch));
        }
    }
}

/// Keys that were used are gone from the records: neither a stolen vault nor its owner opens a
/// message again, and the next one of the same sender opens.
#[test]
fn a_stolen_vault_does_not_open_what_its_owner_has_read() {
    let mut world = World::new(6, 3, 0);
    let read = world.devices[0].seal("read").unwrap();
    let next = world.devices[0].seal("not read yet").unwrap();
    world.publish(read.clone());
    world.devices[1].restart();
    let thief = &mut world.devices[1];
    assert_eq!(thief.judge(&read), Event::Unreadable(Unreadable::Spent));
    assert_eq!(thief.judge(&next).text(), Some("not read yet"));
}

/// Weak random numbers alone don't open an epoch: the last one's hedge goes into them.
#[test]
fn the_hedge_keeps_a_leaf_secret_when_random_numbers_are_known() {
    let mut world = World::new(7, 3, 0);
    let secrets = SecretsView::of(&world.devices[1].group);
    let mut known = world.devices[1].rng.clone();
    world.act(1, Act::Update);
    let leaf = SecretsView::of(&world.devices[1].group).leaf;
    assert_eq!(leaf, Secret::hedged(&secrets.hedge, &mut known.clone()), "what it should be");
    assert_ne!(leaf, Secret::random(&mut known));
}

#[test]
fn diagnostics_show_no_secret() {
    let mut world = World::new(9, 2, 0);
    world.devices[0].make(Act::Update).unwrap();
    let secrets = SecretsView::of(&world.devices[0].group);
    let shown = format!("{:?}{:#?}", world.devices[0].group, world.devices[0].group);
    for secret in [&secrets.leaf, &secrets.init, &secrets.hedge] {
        let bytes = secret.expose();
        let hex = openchat_wire::Digest(*bytes).to_string();
        let list = format!("{:?}", &bytes[..8]);
        assert!(!shown.to_lowercase().contains(&hex[..16]));
        assert!(!shown.contains(list.trim_matches(['[', ']'])));
    }
}

#[test]
fn who_never_had_a_seat_has_no_keys() {
    let mut world = World::new(8, 3, 1);
    let entry = world.devices[0].seal("for members").unwrap();
    let events = world.publish(entry);
    assert_eq!(events[3], Event::Unreadable(Unreadable::NoEpoch));
    assert_eq!(world.devices[3].vault().len(), 0);
    let elsewhere = GroupId([1; 32]);
    let mut lost = Device::new(3, elsewhere, &world.rng);
    let message = lost.judge(world.log.last().unwrap());
    let fault = MessageFault::NotSeated;
    assert_eq!(message, Event::Unreadable(Unreadable::Fault(fault)));
}
