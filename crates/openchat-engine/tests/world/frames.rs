//! No frame, in whatever order and with whatever in it, makes an engine panic, ask without end, or
//! forget what it had.

use crate::{
    answers::everything,
    coming::{name, target},
    random::TestRng,
    vault::Vault,
    world::{SECOND, Who, World, general},
};
use openchat_engine::{Body, Bring, Command, Engine, GroupKind, Input, Order, Target};
use openchat_roster::inbox;
use openchat_wire::{
    Blob, GroupId, MessageId, Seq, UnixMillis,
    relay::{Answer, Goodbye, InboxEntry, Receipt, Refusal, SignedReceipt, ToClient},
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};

/// True things that a relay may say at the wrong time.
#[derive(Debug, Clone)]
struct Truths {
    log: GroupId,
    entries: Vec<(Seq, Vec<u8>)>,
    certificates: Vec<Vec<u8>>,
    receipts: Vec<SignedReceipt>,
    inboxes: Vec<GroupId>,
}

struct Scene {
    world: World,
    all: Vec<Who>,
    truths: Truths,
}

fn scene() -> Scene {
    let (mut world, all) = World::with(130, &["alice", "bob", "carol"]);
    for who in &all {
        world.say(*who, "true");
    }
    world.run(SECOND);
    let (who, log) = (world.person(all[0]).identity.clone(), world.general());
    let claim = world.server.claim(&who, &log);
    let receipt = |seq| {
        let receipt = Receipt { seq: Seq(seq), ..claim };
        openchat_pki::sign_receipt(&receipt, &world.server.receipt_key())
    };
    let receipts = [1, 3, claim.seq.0, claim.seq.0 + 4].map(receipt).into();
    let certificates = all.iter().map(|who| world.person(*who).device().certificate).collect();
    let entries = world.log();
    let truths = Truths { log, entries, certificates, receipts, inboxes: Vec::new() };
    Scene { world, all, truths }
}

fn blob() -> impl Strategy<Value = Blob> {
    vec(any::<u8>(), 0..200).prop_map(Blob)
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![(0_u64..12).prop_map(Seq), any::<u64>().prop_map(Seq)]
}

fn entry(truths: &Truths) -> impl Strategy<Value = Blob> + use<> {
    let entries: Vec<Vec<u8>> = truths.entries.iter().map(|(_, entry)| entry.clone()).collect();
    let spoilt = (select(entries.clone()), any::<usize>(), any::<u8>());
    prop_oneof![
        3 => select(entries).prop_map(Blob),
        2 => spoilt.prop_map(|(mut entry, at, with)| {
            let at = at % entry.len();
            entry[at] ^= with;
            Blob(entry)
        }),
        1 => blob(),
    ]
}

/// A letter about the group, with nothing of use in it.
fn letter(truths: &Truths) -> impl Strategy<Value = Blob> + use<> {
    let group = truths.log;
    (blob(), seq()).prop_map(move |(letter, seq)| {
        let from = openchat_wire::Fingerprint([4; 32]);
        Blob(InboxEntry { from, group, seq, letter }.to_bytes())
    })
}

fn receipt(truths: &Truths) -> impl Strategy<Value = SignedReceipt> + use<> {
    let made_up = (blob(), blob()).prop_map(|(body, signature)| SignedReceipt { body, signature });
    prop_oneof![4 => select(truths.receipts.clone()), 1 => made_up]
}

fn said(truths: &Truths) -> impl Strategy<Value = Result<Answer, Refusal>> + use<> {
    let log = prop_oneof![Just(truths.log), any::<[u8; 32]>().prop_map(GroupId)];
    let places = vec((seq(), entry(truths)), 0..8);
    let place = (seq(), entry(truths));
    prop_oneof![
        3 => select(everything()),
        1 => log.prop_map(|log| Ok(Answer::Group(log))),
        1 => Just(Ok(Answer::Groups(vec![truths.log]))),
        2 => select(truths.certificates.clone()).prop_map(|der| Ok(Answer::Certificate(Blob(der)))),
        2 => (places, any::<bool>())
            .prop_map(|(entries, complete)| Ok(Answer::Entries { entries, complete })),
        2 => seq().prop_map(|seq| Ok(Answer::Appended(seq))),
        2 => receipt(truths).prop_map(|receipt| Ok(Answer::Receipt(receipt))),
        1 => place.prop_map(|(seq, entry)| Err(Refusal::Conflict { seq, entry })),
    ]
}

fn frame(truths: &Truths) -> impl Strategy<Value = ToClient> + use<> {
    let log = truths.log;
    let id = prop_oneof![9 => 0_u32..24, 1 => any::<u32>()];
    let goodbye = select(vec![Goodbye::ShuttingDown, Goodbye::Malformed, Goodbye::TooSlow]);
    prop_oneof![
        6 => (id, said(truths)).prop_map(|(id, answer)| ToClient::Answer { id, answer }),
        4 => (seq(), entry(truths))
            .prop_map(move |(seq, entry)| ToClient::Entry { log, seq, entry }),
        1 => (letter(truths), seq(), select(truths.inboxes.clone()))
            .prop_map(|(entry, seq, log)| ToClient::Entry { log, seq, entry }),
        1 => (blob(), receipt(truths))
            .prop_map(move |(beat, receipt)| ToClient::Heartbeat { log, beat, receipt }),
        1 => goodbye.prop_map(ToClient::Goodbye),
    ]
}

/// What is done to an engine.
#[derive(Debug, Clone)]
enum Act {
    Frame(ToClient),
    Tick(u64),
    Say([u8; 16]),
    Tell([u8; 16]),
    Order(Order),
    Reconnect,
}

fn order() -> impl Strategy<Value = Order> {
    let group =
        || prop_oneof![Just(target("#general")), Just(target("@alice")), Just(target("#x~abcd"))];
    let who = || select(vec!["alice", "carol", "dave", "nobody"]).prop_map(name);
    let how = || prop_oneof![Just(Bring::Add), Just(Bring::Invite)];
    let kind = prop_oneof![Just(GroupKind::Open), Just(GroupKind::Closed)];
    prop_oneof![
        (kind, vec(who(), 0..3), how()).prop_map(|(kind, people, how)| {
            Order::New { name: "new".parse().unwrap(), kind, people, how }
        }),
        (group(), who()).prop_map(|(target, who)| Order::Add { target, who }),
        (group(), who()).prop_map(|(target, who)| Order::Invite { target, who }),
        (group(), who()).prop_map(|(target, who)| Order::Kick { target, who }),
        (group(), who()).prop_map(|(target, who)| Order::Role {
            target,
            who,
            role: openchat_roster::Role::Admin
        }),
        group().prop_map(|target| Order::Accept { target }),
        group().prop_map(|target| Order::Decline { target }),
        group().prop_map(|target| Order::Leave { target }),
        group().prop_map(|target| Order::Rejoin { target }),
    ]
}

fn act(truths: &Truths) -> impl Strategy<Value = Act> + use<> {
    prop_oneof![
        12 => frame(truths).prop_map(Act::Frame),
        2 => prop_oneof![0_u64..100_000, any::<u64>()].prop_map(Act::Tick),
        1 => any::<[u8; 16]>().prop_map(Act::Say),
        1 => any::<[u8; 16]>().prop_map(Act::Tell),
        2 => order().prop_map(Act::Order),
        1 => Just(Act::Reconnect),
    ]
}

/// Requests that one input may lead to: a queue of messages, and the few of a new connection.
const AT_ONCE: usize = 40;

fn suffer(mut engine: Engine, mut vault: Vault, acts: Vec<Act>) -> Vault {
    let mut rng = TestRng::new(131);
    let mut now = UnixMillis(1_790_000_000_000);
    engine.handle(Input::Connected, now, &mut rng);
    engine.handle(
        Input::Command(Command::Open { target: Target::Group(general()) }),
        now,
        &mut rng,
    );
    for act in acts {
        let inputs = match act {
            Act::Frame(frame) => vec![Input::Frame(frame)],
            Act::Tick(later) => {
                now = UnixMillis(now.0.wrapping_add(later));
                vec![Input::Tick]
            }
            Act::Say(id) => {
                let (target, what) =
                    (Target::Group(general()), Body::Text("still here".to_owned()));
                vec![Input::Command(Command::Send { target, id: MessageId(id), what })]
            }
            Act::Tell(id) => {
                let (target, what) = (target("@alice"), Body::Text("still here".to_owned()));
                vec![Input::Command(Command::Send { target, id: MessageId(id), what })]
            }
            Act::Order(what) => vec![Input::Command(Command::Order { order: 7, what })],
            Act::Reconnect => vec![Input::Disconnected, Input::Connected],
        };
        for input in inputs {
            let is_tick = matches!(input, Input::Tick);
            engine.handle(input, now, &mut rng);
            if is_tick {
                assert!(engine.next_deadline().is_none_or(|deadline| deadline > now), "no spin");
            }
        }
        let output = engine.take_output();
        assert!(output.requests.len() <= AT_ONCE, "{} requests", output.requests.len());
        vault.apply(output.changes);
    }
    vault
}

#[test]
fn no_frames_break_an_engine() {
    let Scene { mut world, all, truths } = scene();
    let newcomer = world.enroll("dave");
    let inboxes = [all[1], newcomer].map(|who| inbox(&world.person(who).identity.fingerprint));
    let truths = Truths { inboxes: inboxes.to_vec(), ..truths };
    let acts = (any::<bool>(), vec(act(&truths), 1..60));
    let config = ProptestConfig { cases: 192, failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&acts, |(is_new, acts)| {
        let person = world.person(if is_new { newcomer } else { all[1] });
        let engine = Engine::new(person.device(), person.vault.snapshot()).unwrap();
        let after = suffer(engine, person.vault.clone(), acts);
        prop_assert!(after.messages.starts_with(&person.vault.messages), "history stays");
        prop_assert!(Engine::new(person.device(), after.snapshot()).is_ok());
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn answers_to_nothing_that_was_asked_mean_nothing() {
    let Scene { mut world, all, truths } = scene();
    let mut frames: Vec<ToClient> = everything()
        .into_iter()
        .flat_map(|answer| {
            [0, 500, u32::MAX].map(|id| ToClient::Answer { id, answer: answer.clone() })
        })
        .collect();
    let (other, entry) = (GroupId([9; 32]), Blob(truths.entries[0].1.clone()));
    frames.push(ToClient::Entry { log: other, seq: Seq(1), entry });
    let receipt = truths.receipts[0].clone();
    frames.push(ToClient::Heartbeat { log: other, beat: Blob(vec![]), receipt });
    let before = world.person(all[1]).requests;
    for frame in frames {
        world.push(all[1], frame);
    }
    world.run(SECOND);
    world.assert_no_alarms();
    assert_eq!(world.person(all[1]).requests, before);
}
