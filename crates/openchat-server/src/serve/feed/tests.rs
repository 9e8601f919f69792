use super::*;
use openchat_wire::{frame::FrameDecoder, relay::SignedReceipt};

const NOTHING: [u64; 0] = [];
const LOG: GroupId = GroupId([7; 32]);
const BOB: Fingerprint = Fingerprint([8; 32]);

fn hub(max_bytes: usize) -> Hub {
    Hub::new(max_bytes)
}

fn entry(seq: u64) -> Publish {
    Publish::Entry { log: LOG, seq: Seq(seq), entry: vec![0; 100].into() }
}

fn heartbeat() -> Publish {
    let receipt = SignedReceipt { body: Blob::default(), signature: Blob::default() };
    Publish::Heartbeat { log: LOG, beat: vec![1].into(), receipt }
}

fn tail(hub: &mut Hub, mailbox: &Arc<Mailbox>, after: u64, end: u64) -> Tail {
    tail_until(hub, mailbox, (after, end), None)
}

fn tail_until(
    hub: &mut Hub,
    mailbox: &Arc<Mailbox>,
    (after, end): (u64, u64),
    last: Option<u64>,
) -> Tail {
    let (after, end, last) = (Seq(after), Seq(end), last.map(Seq));
    hub.subscribe(&Tailing { log: LOG, after, end, reader: BOB, last }, mailbox)
}

/// Places of the entries in the frames; a heartbeat is 0.
fn places(frames: &[Arc<[u8]>]) -> Vec<u64> {
    let mut decoder = FrameDecoder::<ToClient>::new(100_000);
    decoder.push(&frames.concat());
    let mut places = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        places.push(match frame {
            ToClient::Entry { seq, .. } => seq.0,
            _ => 0,
        });
    }
    places
}

fn taken(tail: &mut Tail) -> Vec<u64> {
    match tail.take(usize::MAX) {
        Found::Frames(frames) => places(&frames),
        found => panic!("{found:?}"),
    }
}

fn is_behind(tail: &mut Tail) -> bool {
    matches!(tail.take(usize::MAX), Found::Behind { .. })
}

#[test]
fn at_the_end_of_the_log_only_what_is_new_comes() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 5, 5);
    assert_eq!(taken(&mut tail), NOTHING);
    hub.publish(entry(6));
    hub.publish(entry(9));
    assert_eq!(taken(&mut tail), [6, 9]);
    assert_eq!(taken(&mut tail), NOTHING);
}

#[test]
fn one_behind_the_floor_reads_the_store_and_then_goes_on_without_gap_or_double() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 2, 5);
    hub.publish(entry(6));
    assert!(matches!(tail.take(1), Found::Behind { after: Seq(2), floor: Seq(5), .. }));
    // The store may be ahead of what was published.
    hub.publish(entry(7));
    tail.caught_up(Seq(6));
    hub.publish(entry(8));
    assert_eq!(taken(&mut tail), [7, 8]);
}

#[test]
fn a_later_subscriber_joins_an_existing_feed_where_it_is() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let _first = tail(&mut hub, &mailbox, 5, 5);
    hub.publish(entry(6));
    hub.publish(entry(7));
    assert_eq!(taken(&mut tail(&mut hub, &mailbox, 6, 7)), [7]);
    assert_eq!(taken(&mut tail(&mut hub, &mailbox, 5, 7)), [6, 7]);
    assert!(is_behind(&mut tail(&mut hub, &mailbox, 4, 7)));
}

#[test]
fn a_place_beyond_the_end_is_kept_to() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 7, 5);
    assert_eq!(taken(&mut tail), NOTHING);
    (6..=8).for_each(|seq| hub.publish(entry(seq)));
    assert_eq!(taken(&mut tail), [8]);
}

#[test]
fn pieces_are_as_large_as_asked_and_in_order() {
    let (mut hub, mailbox) = (hub(100_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    (1..=10).for_each(|seq| hub.publish(entry(seq)));
    let mut all = Vec::new();
    loop {
        let Found::Frames(frames) = tail.take(150) else { panic!("behind") };
        if frames.is_empty() {
            break;
        }
        assert_eq!(frames.len(), 2);
        all.extend(places(&frames));
    }
    assert_eq!(all, (1..=10).collect::<Vec<u64>>());
}

#[test]
fn whoever_falls_behind_what_is_kept_reads_the_store() {
    let (mut hub, mailbox) = (hub(500), Arc::default());
    let mut slow = tail(&mut hub, &mailbox, 0, 0);
    let mut quick = tail(&mut hub, &mailbox, 0, 0);
    for seq in 1..=100 {
        hub.publish(entry(seq));
        assert_eq!(taken(&mut quick), [seq]);
        assert!(hub.bytes <= 500);
    }
    let Found::Behind { after: Seq(0), floor, .. } = slow.take(1) else { panic!("not behind") };
    assert!(floor > Seq(90));
    slow.caught_up(floor);
    assert_eq!(taken(&mut slow), (floor.0 + 1..=100).collect::<Vec<u64>>());
}

#[test]
fn heartbeats_keep_their_place_and_are_not_read_again() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut live = tail(&mut hub, &mailbox, 0, 0);
    hub.publish(heartbeat());
    hub.publish(entry(1));
    hub.publish(heartbeat());
    hub.publish(entry(2));
    assert_eq!(taken(&mut live), [0, 1, 0, 2]);
    assert_eq!(taken(&mut tail(&mut hub, &mailbox, 1, 2)), [2]);
    hub.publish(heartbeat());
    assert_eq!(taken(&mut live), [0]);
}

#[test]
fn a_session_is_told_once_until_it_looks() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    for seq in 1..=3 {
        hub.publish(entry(seq));
        hub.wake();
    }
    assert_eq!(mailbox.take().changed, [LOG]);
    assert_eq!(taken(&mut tail), [1, 2, 3]);
    hub.publish(entry(4));
    hub.wake();
    assert_eq!(mailbox.take().changed, [LOG]);
}

#[test]
fn a_feed_without_sessions_ends_and_a_new_one_begins_at_the_end() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    drop(tail(&mut hub, &mailbox, 0, 0));
    hub.publish(entry(1));
    assert!(hub.feeds.is_empty());
    hub.publish(entry(2));
    assert!(is_behind(&mut tail(&mut hub, &mailbox, 1, 2)));
    assert_eq!(taken(&mut tail(&mut hub, &mailbox, 2, 2)), NOTHING);
}

#[test]
fn what_a_dropped_feed_kept_is_counted_off() {
    let (mut hub, mailbox) = (hub(1_000), Arc::default());
    for round in 0..20 {
        let _tail = tail(&mut hub, &mailbox, round, round);
        hub.publish(entry(round + 1));
        hub.feeds.clear();
    }
    let mut last = tail(&mut hub, &mailbox, 20, 20);
    hub.publish(entry(21));
    assert!(hub.bytes <= 1_000);
    assert_eq!(taken(&mut last), [21]);
}

#[test]
fn unused_feeds_are_forgotten() {
    let (mut hub, mailbox) = (hub(1_000), Arc::default());
    for log in 0..=200 {
        let (log, after, end) = (GroupId([log; 32]), Seq(0), Seq(0));
        let tailing = Tailing { log, after, end, reader: BOB, last: None };
        drop(hub.subscribe(&tailing, &mailbox));
    }
    assert!(hub.feeds.len() <= 64);
}

#[test]
fn receipts_travel_with_their_heartbeat() {
    let receipt = SignedReceipt { body: Blob(vec![1]), signature: Blob(vec![2]) };
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    hub.publish(Publish::Heartbeat { log: LOG, beat: vec![3].into(), receipt: receipt.clone() });
    let Found::Frames(frames) = tail.take(1) else { panic!("behind") };
    let beat = Blob(vec![3]);
    assert_eq!(frames[0][..], to_frame(&ToClient::Heartbeat { log: LOG, beat, receipt })[..]);
}

fn end(hub: &Hub, reader: Fingerprint, last: u64) {
    hub.end(&[TailEnd { log: LOG, reader, last: Seq(last) }]);
}

fn has_ended(tail: &mut Tail) -> bool {
    matches!(tail.take(usize::MAX), Found::Ended)
}

#[test]
fn a_tail_ends_with_the_entry_that_ends_it_whatever_comes_then() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    hub.publish(heartbeat());
    hub.publish(entry(1));
    hub.publish(entry(2));
    end(&hub, BOB, 2);
    hub.publish(heartbeat());
    hub.publish(entry(3));
    hub.wake();
    assert_eq!(taken(&mut tail), [0, 1, 2]);
    assert!(has_ended(&mut tail) && has_ended(&mut tail));
}

#[test]
fn a_tail_that_has_taken_its_last_entry_already_is_told_that_it_ends() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    hub.publish(entry(1));
    assert_eq!(taken(&mut tail), [1]);
    end(&hub, BOB, 1);
    hub.wake();
    assert_eq!(mailbox.take().changed, [LOG]);
    assert!(has_ended(&mut tail));
}

#[test]
fn it_ends_for_nobody_else_and_not_for_good() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 0, 0);
    end(&hub, Fingerprint([9; 32]), 1);
    hub.publish(entry(1));
    hub.publish(entry(2));
    assert_eq!(taken(&mut tail), [1, 2]);
    end(&hub, BOB, 2);
    assert!(has_ended(&mut tail));
    hub.publish(entry(3));
    let mut again = self::tail(&mut hub, &mailbox, 2, 3);
    assert_eq!(taken(&mut again), [3], "seated again");
}

#[test]
fn one_far_behind_its_end_reads_the_store_up_to_it_and_no_further() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut former = tail_until(&mut hub, &mailbox, (2, 9), Some(5));
    let Found::Behind { after: Seq(2), floor: Seq(9), end: Seq(5) } = former.take(1) else {
        panic!()
    };
    former.caught_up(Seq(5));
    assert!(has_ended(&mut former));
}

#[test]
fn nothing_is_read_from_the_store_that_was_not_published_yet() {
    let (mut hub, mailbox) = (hub(10_000), Arc::default());
    let mut tail = tail(&mut hub, &mailbox, 2, 5);
    hub.publish(entry(6));
    assert!(matches!(tail.take(1), Found::Behind { floor: Seq(5), end: Seq(6), .. }));
}
