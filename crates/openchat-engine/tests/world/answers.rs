//! A relay that lies in its answers: it does what it is asked and denies it, or does nothing and
//! says that it did.

use crate::{
    liar::{Answers, Honest, Instead, Pushes, Said},
    world::{MINUTE, SECOND, Who, World},
};
use openchat_engine::{AlarmCode, Event, Standing};
use openchat_pki::sign_receipt;
use openchat_roster::LogEntry;
use openchat_wire::{
    Blob, Digest, Fingerprint, GroupId, MessageId, Seq, UnixMillis,
    relay::{Answer, Receipt, Refusal, Request, SignedReceipt, ToClient},
};

const ALICE: Who = Who(0);
const BOB: Who = Who(1);

/// One answer of each kind, none of them what anybody wants to hear.
pub(crate) fn everything() -> Vec<Said> {
    let blob = || Blob(vec![1, 2, 3]);
    vec![
        Err(Refusal::NoAccess),
        Err(Refusal::NotFound),
        Err(Refusal::Conflict { seq: Seq(3), entry: blob() }),
        Err(Refusal::NameTaken(GroupId([7; 32]))),
        Err(Refusal::Stale),
        Err(Refusal::Invalid("C3".to_owned())),
        Err(Refusal::TooLarge),
        Err(Refusal::Paced { retry_ms: 0 }),
        Err(Refusal::Paced { retry_ms: u32::MAX }),
        Err(Refusal::Internal),
        Ok(Answer::Done),
        Ok(Answer::Head(blob())),
        Ok(Answer::Group(GroupId([7; 32]))),
        Ok(Answer::Certificate(blob())),
        Ok(Answer::Entries { entries: Vec::new(), complete: false }),
        Ok(Answer::Entries { entries: vec![(Seq(9), blob())], complete: true }),
        Ok(Answer::Appended(Seq(0))),
        Ok(Answer::Appended(Seq(u64::MAX))),
        Ok(Answer::Receipt(SignedReceipt { body: blob(), signature: blob() })),
        Err(Refusal::TooManyGroups(Fingerprint([7; 32]))),
        Ok(Answer::Groups(vec![GroupId([7; 32]), GroupId([8; 32])])),
        Ok(Answer::Prekeys { one_time: 0, last_resort: None }),
        Ok(Answer::Prekeys { one_time: u32::MAX, last_resort: Some(UnixMillis(u64::MAX)) }),
        Ok(Answer::Prekey(blob())),
        Ok(Answer::Recorded { entries: Vec::new(), head: blob(), complete: false }),
        Ok(Answer::Recorded { entries: Vec::new(), head: blob(), complete: true }),
        Ok(Answer::Recorded { entries: vec![blob()], head: blob(), complete: true }),
    ]
}

fn is_message(request: &Request) -> bool {
    let Request::Append { entry, .. } = request else { return false };
    matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Message(_)))
}

pub(crate) fn is_commit(request: &Request) -> bool {
    let Request::Append { entry, .. } = request else { return false };
    matches!(LogEntry::decode(&entry.0), Ok(LogEntry::Commit(_)))
}

#[test]
fn whatever_is_said_of_messages_that_were_logged_each_is_there_once() {
    for said in everything() {
        let note = format!("{said:?}");
        let (mut world, all) = World::with(100, &["alice", "bob"]);
        let lie = said.clone();
        world.liar = Box::new(Answers(move |who, request: &Request, answer| {
            if who == ALICE && is_message(request) { lie.clone() } else { answer }
        }));
        for n in 0..5 {
            world.say(ALICE, &format!("{n}"));
        }
        world.run(3 * SECOND);
        world.liar = Box::new(Honest);
        world.say(ALICE, "5");
        world.run(5 * SECOND);
        world.reconnect(ALICE);
        world.run(3 * MINUTE);
        world.say(ALICE, "6");
        world.run(SECOND);

        let expected = ["0", "1", "2", "3", "4", "5", "6"];
        assert_eq!(world.person(BOB).texts(), expected, "{note}");
        assert_eq!(world.queued(ALICE), 0, "{note}");
        world.assert_same(&all);
        for who in all {
            let alarms = world.alarms(who);
            let held_back = alarms.iter().all(|code| *code == AlarmCode::HeldBack);
            assert!(held_back, "{note}: {alarms:?}");
        }
    }
}

#[test]
fn whatever_is_said_of_messages_that_were_not_logged_none_is_lost_unseen() {
    for said in everything() {
        let note = format!("{said:?}");
        let (mut world, all) = World::with(101, &["alice", "bob"]);
        let lie = said.clone();
        let mut asked = 0;
        world.liar = Box::new(Instead(move |who, request: &Request| {
            let is_hers = who == ALICE && is_message(request);
            asked += usize::from(is_hers);
            (is_hers && asked % 3 == 1).then(|| lie.clone())
        }));
        let ids: Vec<MessageId> = (0..9).map(|n| world.say(ALICE, &format!("{n}"))).collect();
        world.run(20 * SECOND);
        world.liar = Box::new(Honest);
        world.reconnect(ALICE);
        world.run(5 * SECOND);

        assert_eq!(world.queued(ALICE), 0, "{note}");
        world.assert_same(&all);
        for (n, id) in ids.iter().enumerate() {
            let arrived = world.person(BOB).texts().contains(&n.to_string());
            let is_it =
                |event: &Event| matches!(event, Event::Failed { id: Some(it), .. } if it == id);
            let failed = world.person(ALICE).events.iter().any(is_it);
            assert!(arrived != failed, "{note}: {n} arrived: {arrived}, failed: {failed}");
        }
        assert_eq!(world.person(BOB).unreadable(), [], "{note}");
    }
}

#[test]
fn whatever_is_said_of_a_newcomers_commit_that_was_logged_it_gets_in() {
    for said in everything() {
        let note = format!("{said:?}");
        let (mut world, all) = World::with(102, &["alice"]);
        let bob = world.enroll("bob");
        let lie = said.clone();
        let mut lies = 3;
        world.liar = Box::new(Answers(move |who, request: &Request, answer| {
            if who == BOB && is_commit(request) && lies > 0 {
                lies -= 1;
                return lie.clone();
            }
            answer
        }));
        world.start(bob);
        let deadline = 5 * MINUTE;
        assert!(world.run_until(deadline, |world| world.is_ready(bob)), "{note}");
        world.run(MINUTE);
        world.say(bob, "here");
        world.run(10 * SECOND);
        assert_eq!(world.person(all[0]).texts(), ["here"], "{note}");
    }
}

#[test]
fn whatever_is_said_of_a_renewal_that_was_logged_nothing_is_lost() {
    for said in everything() {
        let note = format!("{said:?}");
        let (mut world, all) = World::with(103, &["alice", "bob"]);
        world.sleep(30 * 60 * MINUTE);
        let lie = said.clone();
        world.liar = Box::new(Answers(move |who, request: &Request, answer| {
            if who == ALICE && is_commit(request) { lie.clone() } else { answer }
        }));
        for n in 0..40 {
            world.say(all[n % 2], &format!("{n}"));
            world.run(100);
        }
        world.run(2 * MINUTE);
        world.liar = Box::new(Honest);
        world.run(2 * MINUTE);
        world.say(ALICE, "the end");
        world.run(5 * SECOND);
        world.assert_same(&all);
        assert_eq!(world.person(BOB).texts().len(), 41, "{note}");
        assert_eq!(world.queued(ALICE), 0, "{note}");
    }
}

#[test]
fn a_receipt_that_the_relay_did_not_sign_is_an_alarm() {
    let (mut world, _) = World::with(104, &["alice", "bob"]);
    world.liar = Box::new(Pushes(|to, frame| match frame {
        ToClient::Heartbeat { log, beat, mut receipt } if to == BOB => {
            receipt.signature.0[10] ^= 1;
            vec![ToClient::Heartbeat { log, beat, receipt }]
        }
        frame => vec![frame],
    }));
    world.run(3 * MINUTE);
    assert_eq!(world.alarms(BOB), [AlarmCode::ReceiptMismatch]);
    assert_eq!(world.alarms(ALICE), []);
}

#[test]
fn h3_two_receipts_that_contradict_each_other_are_an_alarm() {
    for at_connection in [true, false] {
        let (mut world, _) = World::with(105, &["alice", "bob"]);
        world.say(ALICE, "true");
        world.run(SECOND);
        let key = world.server.receipt_key();
        let (who, log) = (world.person(ALICE).identity.clone(), world.general());
        let claim = world.server.claim(&who, &log);
        let falsified = sign_receipt(&Receipt { log_hash: Digest([9; 32]), ..claim }, &key);
        if at_connection {
            world.liar = Box::new(Answers(move |who, request: &Request, answer| match request {
                Request::Receipt { .. } if who == BOB => Ok(Answer::Receipt(falsified.clone())),
                _ => answer,
            }));
            world.reconnect(BOB);
        } else {
            world.liar = Box::new(Pushes(move |to, frame| match frame {
                ToClient::Heartbeat { log, beat, .. } if to == BOB => {
                    vec![ToClient::Heartbeat { log, beat, receipt: falsified.clone() }]
                }
                frame => vec![frame],
            }));
        }
        world.run(3 * MINUTE);
        assert_eq!(world.alarms(BOB), [AlarmCode::ReceiptMismatch]);
        assert_eq!(world.person(BOB).texts(), ["true"]);
        // What the person wrote meanwhile is kept, and sent when the relay is honest again.
        world.liar = Box::new(Honest);
        world.say(BOB, "kept");
        assert_eq!(world.queued(BOB), 1);
        world.kill(BOB);
        world.start(BOB);
        world.run(SECOND);
        assert_eq!(world.person(ALICE).texts(), ["true", "kept"]);
    }
}

#[test]
fn h2_a_seat_receipt_about_another_log_shows_at_the_first_message() {
    let (mut world, _) = World::with(106, &["alice"]);
    world.say(ALICE, "before");
    world.run(SECOND);
    let bob = world.enroll("bob");
    let key = world.server.receipt_key();
    world.liar = Box::new(Answers(move |who, request: &Request, answer| {
        let (Request::Receipt { at: Some(_), .. }, Ok(Answer::Receipt(honest))) =
            (request, &answer)
        else {
            return answer;
        };
        if who != BOB {
            return answer;
        }
        let receipt = openchat_pki::verify_receipt(honest, key.public()).unwrap();
        let receipt = Receipt { log_hash: Digest([9; 32]), ..receipt };
        Ok(Answer::Receipt(sign_receipt(&receipt, &key)))
    }));
    world.start(bob);
    world.run(SECOND);
    // The relay's next receipt must fit, so it goes on lying; here it forgets to.
    assert_eq!(world.alarms(BOB), [AlarmCode::ReceiptMismatch]);
}

#[test]
fn t1_another_transparency_head_is_an_alarm() {
    let (mut world, _) = World::with(107, &["alice", "bob"]);
    let size = 3;
    for size in [size, size - 1, size + 1] {
        world.forget_events();
        let head = world.sign_head(size, Digest([1; 32]));
        world.liar = Box::new(Answers(move |who, request: &Request, answer| match request {
            Request::ReadTransparency(_) if who == BOB => {
                Ok(Answer::Recorded { entries: Vec::new(), head: head.clone(), complete: true })
            }
            _ => answer,
        }));
        world.reconnect(BOB);
        world.run(SECOND);
        assert_eq!(world.alarms(BOB), [AlarmCode::LogRollback]);
        // What needs no news of the log goes on meanwhile.
        world.say(BOB, &format!("{size}"));
        world.run(SECOND);
    }
    world.liar = Box::new(Honest);
    world.forget_events();
    world.reconnect(BOB);
    world.say(BOB, "going on");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), []);
    assert_eq!(world.person(ALICE).texts(), ["3", "2", "4", "going on"]);
}

#[test]
fn k1_nobody_is_let_in_whom_the_log_does_not_have() {
    let (mut world, _) = World::with(108, &["alice", "bob"]);
    let carol = world.enroll("carol");
    // Bob is shown the log as it was before her.
    world.show_log(&[BOB], |mut entries| {
        entries.truncate(3);
        entries
    });
    world.start(carol);
    world.run(2 * SECOND);
    world.say(carol, "let me in");
    world.run(SECOND);
    assert_eq!(world.alarms(BOB), [AlarmCode::Uncertified]);
    assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Halted);
    assert_eq!(world.person(BOB).texts(), [] as [&str; 0]);
    let kept = |world: &World| {
        let alarms = world.person(BOB).engine.as_ref().unwrap().alarms();
        alarms.map(|it| (it.target.unwrap().to_string(), it.code, it.halts)).collect::<Vec<_>>()
    };
    let halted = [("#general".to_owned(), "uncertified".to_owned(), true)];
    assert_eq!(kept(&world), halted);
    // It is looked at anew, which changes nothing while the lie goes on.
    for _ in 0..2 {
        world.kill(BOB);
        world.person_mut(BOB).load();
        assert_eq!(kept(&world), halted, "whoever looks into the vault finds it");
        world.start(BOB);
        world.run(SECOND);
        assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Halted);
        assert_eq!(kept(&world), halted);
    }
    world.view = None;
    world.kill(BOB);
    world.start(BOB);
    world.run(SECOND);
    assert_eq!(world.person(BOB).texts(), ["let me in"], "nothing is lost by it");
    assert_eq!(kept(&world), []);
    assert_eq!(world.summary(BOB, "#general").unwrap().standing, Standing::Member);
}

#[test]
fn a_relay_too_busy_to_show_its_transparency_log_is_asked_again() {
    for refusal in [Refusal::Internal, Refusal::Paced { retry_ms: 700 }] {
        let (mut world, _) = World::with(109, &["alice", "bob"]);
        let mut busy = 2;
        world.liar = Box::new(Answers(move |who, request: &Request, answer| match request {
            Request::ReadTransparency(_) if who == BOB && busy > 0 => {
                busy -= 1;
                Err(refusal.clone())
            }
            _ => answer,
        }));
        let carol = world.enroll("carol");
        world.start(carol);
        world.run(SECOND);
        world.say(carol, "hello");
        world.run(10 * SECOND);
        world.assert_no_alarms();
        assert_eq!(world.person(BOB).texts(), ["hello"]);
    }
}
