//! What people do, drawn from the seed.

use crate::simulation::{
    broken::Broken,
    chance::Chance,
    device::{Device, Who},
    disk::Disk,
    vault::Named,
    world::{Happening, START, World},
};
use openchat_engine::{
    Body, Bring, Command, GroupKind, Input, Inviting, Joining, Order, Role, Rules, Standing,
    Summary, Target,
};
use openchat_wire::{MessageId, Name};
use rand_core::Rng as _;

/// Everybody who may come.
const NAMES: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

/// What groups are called. Two groups may want the same name.
const GROUPS: [&str; 4] = ["ops", "dev", "lunch", "night"];

/// The people's minds.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) chance: Chance,
    /// What was said, by whom and when.
    pub(crate) texts: Vec<Text>,
    pub(crate) operations: u64,
    /// How many are still to come.
    pub(crate) left: u64,
    orders: u64,
}

/// Something that somebody has said and the device has kept.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) author: Who,
    pub(crate) named: Named,
    pub(crate) words: String,
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Copy)]
enum Deed {
    Say,
    Direct,
    New,
    Open,
    Invite,
    Add,
    Answer,
    Leave,
    Kick,
    Role,
    Rules,
    Rejoin,
    Enroll,
}

const DEEDS: [(u64, Deed); 13] = [
    (120, Deed::Say),
    (10, Deed::Direct),
    (3, Deed::New),
    (14, Deed::Open),
    (8, Deed::Invite),
    (10, Deed::Add),
    (10, Deed::Answer),
    (4, Deed::Leave),
    (5, Deed::Kick),
    (6, Deed::Role),
    (3, Deed::Rules),
    (3, Deed::Rejoin),
    (2, Deed::Enroll),
];

impl People {
    pub(crate) const fn new(chance: Chance) -> Self {
        Self { chance, texts: Vec::new(), operations: 0, left: 0, orders: 0 }
    }

    fn name(&mut self, count: usize) -> Name {
        NAMES[self.chance.place(count)].parse().expect("a name")
    }

    fn order(&mut self, what: Order) -> Command {
        self.orders += 1;
        Command::Order { order: self.orders, what }
    }
}

impl<D: Disk> World<D> {
    /// Somebody does something, and somebody else later.
    pub(crate) fn deed(&mut self) -> Result<(), Broken> {
        if self.people.left == 0 {
            return Ok(());
        }
        let pause = self.people.chance.between(5..=1_200);
        let pause = if self.people.chance.one_in(3) { pause / 20 } else { pause };
        self.after(pause, Happening::Deed);
        let who = Who(self.people.chance.place(self.devices.len()));
        let deed = self.people.chance.weighed(&DEEDS);
        if matches!(deed, Deed::Enroll) {
            return self.newcomer();
        }
        let Some(command) = self.intend(who, deed) else { return Ok(()) };
        self.people.left -= 1;
        self.people.operations += 1;
        self.command(who, &command)
    }

    /// Gives somebody an identity and a device, if there is anybody left.
    pub(crate) fn newcomer(&mut self) -> Result<(), Broken> {
        let Some(name) = NAMES.get(self.devices.len()) else { return Ok(()) };
        if !self.server.is_up() {
            return Ok(());
        }
        // Whatever waits for the disk goes first.
        self.flush()?;
        if !self.server.is_up() {
            return Ok(());
        }
        let name: Name = name.parse().expect("a name");
        let enrolled = self.server.enroll(&name, self.now, &mut self.keys);
        let Ok(Some((identity, key, enrolled))) = enrolled else { return Ok(()) };
        self.people.operations += 1;
        self.trace.note(self.now - START, &format!("{name} enrolls"));
        let device = Device::new(identity, &key, enrolled, self.server.pin());
        self.devices.push(device);
        self.boot(Who(self.devices.len() - 1))
    }

    /// Says something everywhere where somebody is a member.
    pub(crate) fn last_words(&mut self) -> Result<(), Broken> {
        for who in (0..self.devices.len()).map(Who) {
            for summary in self.devices[who.0].conversations() {
                if summary.standing == Standing::Member {
                    let command = self.say(who, summary.target);
                    self.command(who, &command)?;
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, who: Who, command: &Command) -> Result<(), Broken> {
        self.trace.note(self.now - START, &format!("{who:?} wants {command:?}"));
        let said = match command {
            Command::Send { target, id, what } => {
                Some((target.clone(), *id, what.text().to_owned()))
            }
            _ => None,
        };
        // Its author dies, or the words are kept from here on.
        let is_kept = !matches!(
            self.devices[who.0].death,
            Some(crate::simulation::device::Death::BeforeStored)
        );
        self.input(who, Input::Command(command.clone()))?;
        let Some((target, id, text)) = said else { return Ok(()) };
        if is_kept {
            let named = (self.devices[who.0].identity.fingerprint, id);
            self.people.texts.push(Text { author: who, named, words: text, target });
        }
        Ok(())
    }

    fn say(&mut self, who: Who, target: Target) -> Command {
        let mut id = MessageId([0; 16]);
        self.people.chance.fill_bytes(&mut id.0);
        let text = format!("{who:?} {}", self.people.texts.len());
        Command::Send { target, id, what: Body::Text(text) }
    }

    /// What somebody may want right now; nothing if the device is dead.
    fn intend(&mut self, who: Who, deed: Deed) -> Option<Command> {
        self.devices[who.0].engine.as_ref()?;
        let all = self.devices[who.0].conversations();
        let inside: Vec<&Summary> =
            all.iter().filter(|it| it.standing == Standing::Member).collect();
        let count = self.devices.len();
        let other = self.people.name(count);
        let target = |people: &mut People| -> Option<Target> {
            people.chance.pick(&inside).map(|summary| summary.target.clone())
        };
        let people = &mut self.people;
        let what = match deed {
            Deed::Say => {
                let entering = all.iter().filter(|it| it.standing == Standing::Entering);
                let anywhere: Vec<&Summary> = inside.iter().copied().chain(entering).collect();
                let target = people.chance.pick(&anywhere)?.target.clone();
                return Some(self.say(who, target));
            }
            Deed::Direct => return Some(self.say(who, Target::Person(other))),
            Deed::Open => {
                let name = people.chance.pick(&GROUPS)?.parse().ok()?;
                return Some(Command::Open { target: Target::Group(name) });
            }
            Deed::New => new_group(people, count, other),
            Deed::Invite => Order::Invite { target: target(people)?, who: other },
            Deed::Add => Order::Add { target: target(people)?, who: other },
            Deed::Answer => answer(people, &all)?,
            Deed::Leave => Order::Leave { target: target(people)? },
            Deed::Kick => Order::Kick { target: target(people)?, who: other },
            Deed::Role => {
                let role = people.chance.weighed(&[(3, Role::Admin), (1, Role::Member)]);
                Order::Role { target: target(people)?, who: other, role }
            }
            Deed::Rules => Order::Rules { target: target(people)?, rules: rules(people) },
            Deed::Rejoin => Order::Rejoin { target: target(people)? },
            Deed::Enroll => return None,
        };
        Some(self.people.order(what))
    }
}

fn new_group(people: &mut People, count: usize, one: Name) -> Order {
    let name = GROUPS[people.chance.place(GROUPS.len())].parse().expect("a name");
    let kind = people.chance.weighed(&[(1, GroupKind::Open), (1, GroupKind::Closed)]);
    let how = people.chance.weighed(&[(2, Bring::Add), (1, Bring::Invite)]);
    let mut others = vec![one];
    let another = people.name(count);
    if !others.contains(&another) {
        others.push(another);
    }
    Order::New { name, kind, people: others, how }
}

fn answer(people: &mut People, all: &[Summary]) -> Option<Order> {
    let invited: Vec<&Summary> = all.iter().filter(|it| it.standing == Standing::Invited).collect();
    let target = people.chance.pick(&invited)?.target.clone();
    let accepts = !people.chance.one_in(4);
    Some(if accepts { Order::Accept { target } } else { Order::Decline { target } })
}

fn rules(people: &mut People) -> Rules {
    let join = people.chance.weighed(&[(4, Joining::Anyone), (1, Joining::Admitted)]);
    let invite = people.chance.weighed(&[(2, Inviting::Members), (1, Inviting::Admins)]);
    Rules { join, invite }
}
