//! Prekeys over the real server, and through its sudden death.

use crate::{
    server::{Place, Server},
    tls::{Connection, Device},
};
use openchat_roster::{Prekey, PrekeyKind, SignedPrekey};
use openchat_wire::{
    Blob, Fingerprint, UnixMillis,
    frame::to_frame,
    limits::{MAX_PREKEYS, PREKEY_BURST_OF_ONE},
    relay::{Answer, Refusal, Request, ToClient, ToServer},
};
use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

fn prekeys(owner: &Device) -> Vec<Blob> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = UnixMillis(u64::try_from(now.as_millis()).unwrap());
    let prekey = |number: usize| Prekey {
        owner: owner.key.fingerprint(),
        kind: PrekeyKind::OneTime,
        id: [u8::try_from(number).unwrap(); 16],
        key: *crate::forge::key().public(),
        not_before: now,
        not_after: now.after(Duration::from_hours(1)),
    };
    (0..MAX_PREKEYS).map(|n| SignedPrekey::sign(&prekey(n), &owner.key).to_bytes()).collect()
}

/// Asks for so many without a pause, and gives what is told until the server is gone.
async fn fetch(
    connection: &mut Connection,
    owner: Fingerprint,
    count: u32,
    given: &mut Vec<Vec<u8>>,
) {
    let frames =
        (0..count).flat_map(|id| to_frame(&ToServer { id, request: Request::FetchPrekey(owner) }));
    connection.send(&frames.collect::<Vec<u8>>()).await;
    for _ in 0..count {
        match connection.receive().await {
            Some(ToClient::Answer { answer: Ok(Answer::Prekey(prekey)), .. }) => {
                given.push(prekey.0);
            }
            Some(ToClient::Answer { answer: Err(Refusal::NotFound), .. }) => {}
            frame => panic!("{frame:?}"),
        }
    }
}

async fn left(connection: &mut Connection) -> u32 {
    match connection.ask(Request::CountPrekeys).await {
        Ok(Answer::Prekeys { one_time, .. }) => one_time,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_gets_a_prekey_that_another_had_though_the_server_dies() {
    let mut server = Server::start();
    let bob = server.enroll("bob").await;
    let owner = bob.key.fingerprint();
    let mut others = Vec::new();
    for number in 0..7 {
        others.push(server.enroll(&format!("p{number}")).await);
    }
    let request = Request::PublishPrekeys { replace: false, prekeys: prekeys(&bob) };
    let published = server.connect(&bob).await.ask(request.clone()).await;
    assert_eq!(published, Ok(Answer::Prekeys { one_time: 100, last_resort: None }));

    let mut given = Vec::new();
    for (round, other) in others.iter().enumerate() {
        let mut connection = server.connect(other).await;
        fetch(&mut connection, owner, PREKEY_BURST_OF_ONE, &mut given).await;
        if round % 2 == 0 {
            // Whatever was asked just now is decided, or not, and told to nobody.
            let more = to_frame(&ToServer { id: 99, request: Request::Ping });
            let lost = ToServer { id: 98, request: Request::FetchPrekey(owner) };
            connection.send(&[more, to_frame(&lost)].concat()).await;
            server.signal("KILL");
            server.wait();
            let place = std::mem::replace(&mut server.place, Place::new());
            server = Server::run(place, &[]);
            // The device is not sure that its prekeys arrived, and publishes them again.
            let again = server.connect(&bob).await.ask(request.clone()).await;
            assert!(again.is_ok(), "{again:?}");
        }
    }
    let distinct: HashSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "one was given twice");
    assert!(given.len() >= 96, "{} of 100; the server's last moments may cost four", given.len());
    assert_eq!(left(&mut server.connect(&bob).await).await, 0);
    assert_eq!(
        server.connect(&others[0]).await.ask(Request::FetchPrekey(owner)).await,
        Err(Refusal::NotFound)
    );
}
