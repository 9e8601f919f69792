//! Receivers that stop reading: what they cost, what others notice, and how they come back.

use crate::{
    groups::Peer,
    server::Server,
    tls::{Connection, ping},
};
use openchat_wire::{
    GroupId, MessageId, Seq,
    limits::{IDLE_TIMEOUT, PING_INTERVAL},
    relay::{Answer, Goodbye, Request, ToClient},
};
use std::fs;
use tokio::time::sleep;

/// Twenty megabytes.
const MESSAGES: u8 = 100;
const BYTES: usize = 200_000;

/// Connections that take nothing. Kept for each of them, the messages would be 160 MB.
const SLOW: usize = 8;

/// What may come on top in memory: recent entries for everybody (16 MiB), the store's pages, and for
/// each slow one the megabyte that it may have, in allocators that keep what they had.
const GROWTH: usize = 64 << 20;

fn resident(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// Takes entries up to this one, each of which must be the next.
async fn read_on(connection: &mut Connection, read: &mut Seq, last: Seq) {
    while *read < last {
        match connection.receive().await {
            Some(ToClient::Entry { seq, .. }) => {
                assert_eq!(seq, read.next());
                *read = seq;
            }
            Some(ToClient::Presence { .. }) => {}
            frame => panic!("{frame:?} behind {read:?}"),
        }
    }
}

/// Takes what is left in the connection of somebody who was cut: the next ones, and maybe a word.
async fn read_rest(connection: &mut Connection, read: &mut Seq) {
    while let Ok(Some(frame)) = connection.try_receive().await {
        match frame {
            ToClient::Entry { seq, .. } => {
                assert_eq!(seq, read.next());
                *read = seq;
            }
            ToClient::Goodbye(Goodbye::TooSlow)
            | ToClient::Answer { .. }
            | ToClient::Presence { .. } => {}
            frame => panic!("{frame:?}"),
        }
    }
}

async fn tail(connection: &mut Connection, log: GroupId, after: Seq) {
    let answer = connection.ask(Request::Tail { log, after }).await;
    assert_eq!(answer, Ok(Answer::Done));
}

#[tokio::test]
async fn whoever_stops_reading_is_cut_and_finds_everything_when_it_comes_back() {
    let server = Server::start();
    let mut alice = Peer::new(&server, "alice").await;
    let mut bob = Peer::new(&server, "bob").await;
    let mut carol = Peer::new(&server, "carol").await;
    let mut group = alice.begin(&server, "general").await;
    let log = *group.roster().group();
    bob.join(&server, log).await;
    carol.join(&server, log).await;
    alice.catch_up(&mut group).await;
    drop(bob.connection);
    let start = Seq(3);
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut connection = server.connect(&bob.device).await;
        tail(&mut connection, log, start).await;
        slow.push(connection);
    }
    tail(&mut carol.connection, log, start).await;
    let last = Seq(start.0 + u64::from(MESSAGES));
    let reading = tokio::spawn(async move {
        let mut read = start;
        read_on(&mut carol.connection, &mut read, last).await;
    });
    let before = resident(&server);
    for number in 0..MESSAGES {
        let body = vec![number; BYTES];
        alice.bytes(&mut group, MessageId([number; 16]), body).await.unwrap();
    }
    reading.await.unwrap();
    let growth = resident(&server).saturating_sub(before);
    assert!(growth < GROWTH, "{growth} bytes more");

    // They still say that they are there, or it would be their silence that ends them.
    for _ in 0..2 {
        sleep(PING_INTERVAL).await;
        for connection in &mut slow {
            connection.send(&ping(1)).await;
        }
    }
    let cut = server.lines_within(IDLE_TIMEOUT, "disconnected  bob", SLOW + 1);
    let too_slow = cut.iter().filter(|line| line.ends_with("  took nothing for 60 s"));
    assert_eq!(too_slow.count(), SLOW, "{cut:?}");
    for mut connection in slow {
        let mut read = start;
        read_rest(&mut connection, &mut read).await;
        assert!(read < last, "it had everything already");
        let mut again = server.connect(&bob.device).await;
        tail(&mut again, log, read).await;
        read_on(&mut again, &mut read, last).await;
    }
}
