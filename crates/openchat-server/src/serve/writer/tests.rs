//! Sessions that come and go at any place of a log that grows, quick and slow ones, over the real
//! store: each gets every entry behind its place once, in order.

#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::*;
use crate::serve::{feed::Hub, heads::Herald};
use openchat_crypto::sha256;
use openchat_relay::{
    Publish, Store, Tailing,
    store::{NewEntry, Origin, Place},
};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{
    Digest, Fingerprint, UnixMillis,
    frame::FrameDecoder,
    limits::MAX_FRAME,
    relay::{Goodbye, Refusal},
};
use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, DuplexStream, duplex},
    sync::{Semaphore, oneshot},
    task::JoinSet,
    time::sleep,
};

const LOG: GroupId = GroupId([3; 32]);
const BOB: Fingerprint = Fingerprint([4; 32]);
const ENTRIES: u64 = 3_000;

/// The relay thread's part: a store, its feeds, and who wants to tail.
struct Relay {
    store: SqliteStore,
    hub: Hub,
    tail: Place,
    wanted: mpsc::Receiver<(Seq, Arc<Mailbox>)>,
}

impl Relay {
    /// Appends so many, flushes, publishes, and then lets in who waits.
    fn batch(&mut self, entries: u64) {
        let mut published = Vec::new();
        for _ in 0..entries {
            let bytes = vec![7; 300];
            let hash = sha256(&[&bytes[..], &self.tail.seq.0.to_be_bytes()].concat());
            let before = self.tail.log_hash;
            let origin = Origin { author: BOB, time: UnixMillis(0), lasts: false };
            let entry = NewEntry { near: 0, hash, before, commit: None, origin, bytes: &bytes };
            self.tail = self.store.append(&LOG, self.tail.seq, &entry).unwrap();
            published.push(Publish::Entry { log: LOG, seq: self.tail.seq, entry: bytes.into() });
        }
        self.store.flush().unwrap();
        for publish in published {
            self.hub.publish(publish);
        }
        for (after, mailbox) in self.wanted.try_iter() {
            let tailing = Tailing { log: LOG, after, end: self.tail.seq, reader: BOB, last: None };
            mailbox.put(Letter::Tail(self.hub.subscribe(&tailing, &mailbox)));
        }
        self.hub.wake();
    }
}

/// Grows the log to its end in batches of all sizes, and then only lets in.
fn grow(mut relay: Relay, done: &oneshot::Sender<()>) -> SqliteStore {
    let mut size = 1;
    while relay.tail.seq.0 < ENTRIES {
        relay.batch(size.min(ENTRIES - relay.tail.seq.0));
        size = size * 7 % 61;
        if size > 40 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    while !done.is_closed() {
        relay.batch(0);
        thread::sleep(Duration::from_millis(1));
    }
    relay.store
}

/// Reads entries until the last, pausing every `pause` of them; gives their places.
async fn receive(mut stream: DuplexStream, pause: usize) -> Vec<u64> {
    let mut decoder = FrameDecoder::new(MAX_FRAME);
    let mut places = Vec::new();
    let mut chunk = vec![0; 10_000];
    while places.last() != Some(&ENTRIES) {
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the writer ended at {:?}", places.last());
        decoder.push(&chunk[..read]);
        while let Some(frame) = decoder.next_frame().unwrap() {
            let ToClient::Entry { seq, .. } = frame else { panic!("{frame:?}") };
            places.push(seq.0);
            if places.len() % pause == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn every_session_gets_every_entry_once_and_in_order() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("db");
    let (want, wanted) = mpsc::channel();
    let (finished, mut finish) = oneshot::channel();
    let tail = Place { seq: Seq(0), log_hash: Digest([0; 32]) };
    let store = SqliteStore::open(&path).unwrap();
    // So small a memory that slow sessions have to go back to the store.
    let relay = Relay { store, hub: Hub::new(20_000), tail, wanted };
    let readers = Arc::new(Readers::new(&path));
    let growing = thread::spawn(move || grow(relay, &finished));

    let mut sessions = JoinSet::new();
    for i in 0..40_u64 {
        let (want, readers) = (want.clone(), Arc::clone(&readers));
        sessions.spawn(async move {
            sleep(Duration::from_millis(i * 3)).await;
            let mailbox = Arc::new(Mailbox::default());
            let after = if i % 4 == 0 { 0 } else { i * 20 };
            let (theirs, ours) = duplex(if i % 3 == 0 { 2_000 } else { 100_000 });
            want.send((Seq(after), Arc::clone(&mailbox))).unwrap();
            let pause = [50, 400, usize::MAX][usize::try_from(i % 3).unwrap()];
            let places = tokio::select! {
                places = receive(theirs, pause) => places,
                ended = run(ours, &mailbox, &readers, Herald::default().heads()) => panic!("{ended}"),
            };
            mailbox.close();
            (after, places)
        });
    }
    while let Some(received) = sessions.join_next().await {
        let (after, places) = received.unwrap();
        assert!(places.iter().copied().eq(after + 1..=ENTRIES), "behind {after}: {places:?}");
    }
    finish.close();
    growing.join().unwrap();
}

fn answer(id: u32) -> ToClient {
    ToClient::Answer { id, answer: Err(Refusal::NotFound) }
}

#[tokio::test]
async fn answers_come_in_order_and_give_their_places_back() {
    let place = tempfile::tempdir().unwrap();
    let readers = Readers::new(&place.path().join("none"));
    let (mut theirs, ours) = duplex(100_000);
    let mailbox = Mailbox::default();
    let window = Arc::new(Semaphore::new(3));
    for id in 0..3 {
        let permit = Arc::clone(&window).try_acquire_owned().unwrap();
        mailbox.put(Letter::Answer(to_frame(&answer(id)), permit));
    }
    assert_eq!(window.available_permits(), 0);
    mailbox.part(Parting::Saying(Goodbye::ShuttingDown));
    assert!(matches!(
        run(ours, &mailbox, &readers, Herald::default().heads()).await,
        Ended::Parted
    ));
    assert_eq!(window.available_permits(), 3);
    let mut bytes = Vec::new();
    theirs.read_to_end(&mut bytes).await.unwrap();
    let expected = (0..3).map(answer).chain([ToClient::Goodbye(Goodbye::ShuttingDown)]);
    assert_eq!(bytes, expected.flat_map(|frame| to_frame(&frame)).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_nothing_is_given_up() {
    let place = tempfile::tempdir().unwrap();
    let readers = Readers::new(&place.path().join("none"));
    let (_theirs, ours) = duplex(10);
    let mailbox = Mailbox::default();
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    mailbox.put(Letter::Answer(vec![0; 100], permit));
    assert!(matches!(
        run(ours, &mailbox, &readers, Herald::default().heads()).await,
        Ended::Stalled
    ));
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_for_a_while_hears_of_the_newest_head_alone() {
    let place = tempfile::tempdir().unwrap();
    let readers = Readers::new(&place.path().join("none"));
    let (mut theirs, ours) = duplex(5);
    let (mailbox, herald) = (Mailbox::default(), Herald::default());
    let telling = async {
        // Beyond the first second, in which nothing is told.
        sleep(Duration::from_millis(1_500)).await;
        for head in 1..=50 {
            herald.tell(&[head]);
            sleep(Duration::from_secs(1)).await;
        }
        let mut decoder = FrameDecoder::new(MAX_FRAME);
        let mut heard = Vec::new();
        let mut byte = [0];
        while heard.last() != Some(&ToClient::Head(Blob(vec![50]))) {
            theirs.read_exact(&mut byte).await.unwrap();
            decoder.push(&byte);
            heard.extend(decoder.next_frame().unwrap());
        }
        heard
    };
    let heard = tokio::select! {
        heard = telling => heard,
        ended = run(ours, &mailbox, &readers, herald.heads()) => panic!("{ended}"),
    };
    assert_eq!(heard, [1, 50].map(|head| ToClient::Head(Blob(vec![head]))));
}

/// What somebody hears who takes nothing at first, and then all: so many answers wait, and a frame
/// goes into the middle of the pipe.
async fn heard_after(pause: Duration, answers: u32) -> Vec<ToClient> {
    let place = tempfile::tempdir().unwrap();
    let readers = Readers::new(&place.path().join("none"));
    let (mut theirs, ours) = duplex(100);
    let mailbox = Mailbox::default();
    for id in 0..answers {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        mailbox.put(Letter::Answer(to_frame(&answer(id)), permit));
    }
    let hearing = async {
        sleep(pause).await;
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).await.unwrap();
        let mut decoder = FrameDecoder::new(MAX_FRAME);
        decoder.push(&bytes);
        let mut heard = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            heard.push(frame);
        }
        assert_eq!(decoder.pending(), 0, "whole frames only");
        heard
    };
    let (ended, heard) =
        tokio::join!(run(ours, &mailbox, &readers, Herald::default().heads()), hearing);
    assert!(matches!(ended, Ended::Stalled));
    heard
}

#[tokio::test(start_paused = true)]
async fn whoever_wakes_up_too_late_hears_why_it_was_cut() {
    let heard = heard_after(IDLE_TIMEOUT + LAST_WORD / 2, 1_000).await;
    let (last, answers) = heard.split_last().unwrap();
    assert_eq!(*last, ToClient::Goodbye(Goodbye::TooSlow));
    assert!((5..50).contains(&answers.len()), "{} of 1,000", answers.len());
    assert!(answers.iter().cloned().eq((0..).map(answer).take(answers.len())), "in order");
}

#[test]
fn the_rest_of_a_frame_ends_where_the_next_begins() {
    let frames: Vec<u8> = (0..3).flat_map(|id| to_frame(&answer(id))).collect();
    let frame = frames.len() / 3;
    for written in 0..=frames.len() {
        let rest = begun(&frames, &frames[written..]);
        assert_eq!((written + rest.len()) % frame, 0, "behind {written}");
        assert!(rest.len() < frame);
    }
}
