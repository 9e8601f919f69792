//! Heads of the transparency log, which everybody hears of who is connected.

use crate::{operator::said, server::Server};
use openchat_pki::{Head, ServerKeys, UnverifiedHead};
use openchat_wire::{
    Blob,
    relay::{Answer, Request},
};
use std::time::Instant;

fn verified(server: &Server, head: &Blob) -> Head {
    let keys = (server.place.key("tlog.key"), server.place.key("relay.key"));
    let keys = ServerKeys::new(*keys.0.public(), *keys.1.public());
    UnverifiedHead::decode(&head.0).unwrap().verify(&keys.log_key, &keys.log_id).unwrap()
}

#[tokio::test]
async fn whoever_is_connected_hears_that_the_log_has_grown() {
    let server = Server::start();
    let (bob, carol) = (server.enroll("bob").await, server.enroll("carol").await);
    let mut connections = [server.connect(&bob).await, server.connect(&carol).await];
    for connection in &mut connections {
        assert_eq!(connection.heads().await, [], "they know what was before");
    }
    server.enroll("dave").await;
    for connection in &mut connections {
        let head = connection.head().await;
        assert_eq!(verified(&server, &head).size, 3);
        let Ok(Answer::Recorded { entries, head: again, complete }) =
            connection.ask(Request::ReadTransparency(0)).await
        else {
            panic!()
        };
        assert_eq!((entries.len(), complete, again), (3, true, head));
    }
    said(&server.place, &["user", "revoke", "dave"]);
    for connection in &mut connections {
        let head = connection.head().await;
        assert_eq!(verified(&server, &head).size, 4);
    }
}

#[tokio::test]
async fn a_crowd_that_enrolls_is_a_few_heads_of_which_the_last_is_the_newest() {
    let server = Server::start();
    let bob = server.enroll("bob").await;
    let mut connection = server.connect(&bob).await;
    assert!(connection.is_served().await);
    let began = Instant::now();
    for number in 0..40 {
        server.enroll(&format!("p{number}")).await;
    }
    let mut heads = Vec::new();
    while heads.last().is_none_or(|head| verified(&server, head).size < 41) {
        heads.push(connection.head().await);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(heads.len() <= seconds + 2, "{} heads in {seconds} s", heads.len());
    let sizes: Vec<u64> = heads.iter().map(|head| verified(&server, head).size).collect();
    assert!(sizes.is_sorted_by(|one, next| one < next), "{sizes:?}");
}
