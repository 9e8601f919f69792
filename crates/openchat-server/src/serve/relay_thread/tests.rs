//! Batches, and answers that find no room.

use super::*;
use openchat_relay::Publish;
use openchat_wire::{
    Blob, GroupId, Seq, frame::FrameDecoder, limits::MAX_QUEUE_BYTES, relay::SignedReceipt,
};
use tokio::sync::Semaphore;

fn decoded(frame: &[u8]) -> ToClient {
    let mut decoder = FrameDecoder::new(10_000_000);
    decoder.push(frame);
    decoder.next_frame().unwrap().unwrap()
}

#[test]
fn an_answer_that_finds_no_room_is_to_be_asked_for_again() {
    let mailbox = Mailbox::default();
    let large = || {
        let entries = vec![(Seq(1), Blob(vec![0; MAX_QUEUE_BYTES]))];
        Ok(Answer::Entries { entries, complete: true })
    };
    let first = fitting(&mailbox, 1, large());
    assert!(matches!(decoded(&first), ToClient::Answer { id: 1, answer: Ok(_) }));
    let window = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    mailbox.put(Letter::Answer(first, window));
    let second = decoded(&fitting(&mailbox, 2, large()));
    let paced = Err(Refusal::Paced { retry_ms: RETRY_MS });
    assert_eq!(second, ToClient::Answer { id: 2, answer: paced });
    let small = decoded(&fitting(&mailbox, 3, Ok(Answer::Appended(Seq(9)))));
    assert_eq!(small, ToClient::Answer { id: 3, answer: Ok(Answer::Appended(Seq(9))) });
}

#[test]
fn a_batch_takes_what_waits_and_no_more_than_its_share() {
    let (sender, mut queue) = mpsc::channel(1_000);
    for _ in 0..MAX_BATCH + 44 {
        sender.try_send(Job::Stop).unwrap();
    }
    assert_eq!(waiting(Job::Stop, &mut queue).len(), MAX_BATCH);
    assert_eq!(waiting(Job::Stop, &mut queue).len(), 44 + 2);
}

#[test]
fn a_step_of_dropping_is_a_batch_of_its_own() {
    let step = || Job::DropOld(Duration::ZERO, oneshot::channel().0);
    let probe = || Job::Probe(oneshot::channel().0);
    let parted = |batch| parts(batch).map(|part| format!("{part:?}")).collect::<Vec<_>>();
    let found = parted(vec![probe(), step(), probe()]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].matches("Probe").count() == 2 && !found[0].contains("DropOld"));
    assert!(found[1].contains("DropOld") && !found[1].contains("Probe"));
    assert_eq!(parted(vec![step()]).len(), 1, "no empty one");
    assert_eq!(parted(vec![probe(), Job::Stop]).len(), 1);
}

#[test]
fn of_a_lost_batch_nothing_is_told_but_that_it_failed() {
    let window = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let answer = Ok(Answer::Appended(Seq(1)));
    let heartbeat = Publish::Heartbeat {
        log: GroupId([1; 32]),
        beat: Vec::new().into(),
        receipt: SignedReceipt { body: Blob::default(), signature: Blob::default() },
    };
    let outcome = Outcome { answer, publish: vec![heartbeat], ends: Vec::new(), tail: None };
    let mailbox = Arc::<Mailbox>::default();
    let log = Some(GroupId([1; 32]));
    let who = Identity { name: "bob".parse().unwrap(), fingerprint: Fingerprint([1; 32]) };
    let (renewed, asker) = (Some((Arc::new(who), 3)), mailbox.clone());
    let decided = Decided::Request { mailbox: asker, id: 1, log, outcome, renewed, window };
    let Decided::Request { outcome, renewed, .. } = decided.lost(&StoreError::Full) else {
        panic!()
    };
    assert!(renewed.is_none());
    assert_eq!(outcome.answer, Err(Refusal::Internal));
    let (entry, letters) = (Blob::default(), Vec::new());
    let next = openchat_wire::relay::Request::Append {
        log: GroupId([1; 32]),
        entry,
        letters,
        follows: true,
    };
    assert!(mailbox.admit(&next).is_err(), "nothing overtakes it in the next batch");
    assert!(outcome.publish.is_empty() && outcome.tail.is_none());
}
