//! Who is online, over the real server: told to those who share a group, and to nobody else.

use crate::{groups::Peer, server::Server};
use openchat_wire::{Fingerprint, Seq, relay::Answer};

fn key(peer: &Peer) -> Fingerprint {
    peer.device.key.fingerprint()
}

#[tokio::test]
async fn those_who_share_a_group_learn_who_comes_and_goes_and_nobody_else_does() {
    let server = Server::start();
    let mut alice = Peer::new(&server, "alice").await;
    let mut bob = Peer::new(&server, "bob").await;
    let mut mallory = Peer::new(&server, "mallory").await;
    let group = alice.begin(&server, "ops").await;
    let log = *group.roster().group();
    bob.join(&server, log).await;
    mallory.begin(&server, "others").await;

    assert_eq!(alice.tail(log, Seq(2)).await, Ok(Answer::Done));
    assert!(mallory.tail(log, Seq(0)).await.is_err());
    assert_eq!(bob.tail(log, Seq(2)).await, Ok(Answer::Done));
    assert_eq!(bob.connection.presence().await, (vec![key(&alice)], vec![]));
    assert_eq!(alice.connection.presence().await, (vec![key(&bob)], vec![]));
    // A second connection of bob, and the end of the first one, change nothing.
    let second = server.connect(&bob.device).await;
    let first = std::mem::replace(&mut bob.connection, second);
    assert_eq!(bob.tail(log, Seq(2)).await, Ok(Answer::Done));
    drop(first);
    assert_eq!(bob.connection.presence().await, (vec![key(&alice)], vec![]));
    let bobs = key(&bob);
    drop(bob);
    assert_eq!(alice.connection.presence().await, (vec![], vec![bobs]));
    assert!(!mallory.connection.has_presence().await);
}
