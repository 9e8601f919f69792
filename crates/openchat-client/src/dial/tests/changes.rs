//! Servers that show changes of their CA's key, some of them liars.

use super::*;
use openchat_pki::{OfflineRoot, RootProfiles, Succession};

const YEAR: u64 = 365 * 24 * 3_600_000;

fn ago(years: u64) -> UnixMillis {
    UnixMillis(now().0 - years * YEAR)
}

fn succession(ca: &CertificateAuthority, at: UnixMillis) -> Succession {
    let mut rng = os_random();
    ca.succeed(IdentityKey::generate(&mut rng), at, &mut rng).unwrap()
}

/// The pin of the CA that a device ends up with at a server that shows this.
async fn followed(
    pin: Digest,
    leaf: &Leaf,
    shown: &[impl AsRef<[u8]>],
) -> Result<Digest, DialError> {
    let shown: Vec<&[u8]> = shown.iter().map(AsRef::as_ref).collect();
    let dialer = dialer(serve(config(leaf, &shown, None)).await, pin);
    let dialled = dialer.dial().await?;
    assert_eq!(dialer.tls.trusted.pin(), dialled.shown.ca.pin(), "from now on");
    Ok(dialled.shown.ca.pin())
}

fn is_another(found: &Result<Digest, DialError>) -> bool {
    matches!(found, Err(DialError::AnotherCa { .. }))
}

#[tokio::test]
async fn t11_a_change_is_followed_at_the_handshake() {
    let old = ca();
    let next = succession(&old, ago(1)).authority;
    let newest = succession(&next, now()).authority;
    let leaf = server_leaf(&newest, "127.0.0.1", now());
    for pin in [old.pin(), next.pin(), newest.pin()] {
        assert_eq!(followed(pin, &leaf, newest.shown()).await, Ok(newest.pin()));
    }
    // A server's certificate by the key that was left is worth nothing.
    let stale = server_leaf(&next, "127.0.0.1", now());
    let found = followed(old.pin(), &stale, newest.shown()).await;
    assert!(matches!(found, Err(DialError::ServerCertificate(_))), "{found:?}");
}

#[tokio::test]
async fn t11_a_liar_leads_nobody_away() {
    let (old, thief) = (ca(), ca());
    let next = succession(&old, ago(1));
    let other = succession(&old, ago(1));
    let shown = next.authority.shown();
    let own = shown[0].clone();
    let leaf = server_leaf(&next.authority, "127.0.0.1", now());
    let theirs = succession(&thief, ago(1));
    for (lie, why) in [
        (vec![own.clone()], "announced, perhaps, and not certified"),
        (vec![own.clone(), other.cross.clone(), next.back.clone()], "a swapped certificate"),
        (vec![own.clone(), next.cross.clone(), other.back.clone()], "the other one swapped"),
        (vec![own.clone(), next.back.clone(), next.cross.clone()], "in the other order"),
        (vec![own.clone(), theirs.cross.clone(), theirs.back.clone()], "of another CA"),
        ([shown, &[thief.certificate().to_vec()]].concat(), "one more"),
        ([shown, &shown[1..]].concat(), "a loop"),
        (vec![old.certificate().to_vec(), own.clone()], "the old one in front"),
    ] {
        let found = followed(old.pin(), &leaf, &lie).await;
        assert!(found.is_err(), "{why}");
        let old_shows = why == "the old one in front";
        assert!(is_another(&found) || old_shows, "{why}: {found:?}");
    }
    let fake = server_leaf(&theirs.authority, "127.0.0.1", now());
    assert!(is_another(&followed(old.pin(), &fake, theirs.authority.shown()).await));
}

#[tokio::test]
async fn t11_a_change_whose_time_is_over_leads_nowhere() {
    let mut rng = os_random();
    let (key, profiles) = (IdentityKey::generate(&mut rng), Profiles::builtin().unwrap());
    let old = CertificateAuthority::create("Acme", key, &profiles, ago(12), &mut rng).unwrap();
    let next = succession(&old, ago(5)).authority;
    let leaf = server_leaf(&next, "127.0.0.1", now());
    assert!(is_another(&followed(old.pin(), &leaf, next.shown()).await));
    assert_eq!(followed(next.pin(), &leaf, next.shown()).await, Ok(next.pin()));
    // A CA that has ended is no CA, though its server's certificate were valid.
    let ended = server_leaf(&old, "127.0.0.1", ago(2) /* the last of it */);
    assert!(followed(old.pin(), &ended, old.shown()).await.is_err());
}

#[tokio::test]
async fn t12_a_server_below_a_root_shows_the_way_to_it() {
    let mut rng = os_random();
    let (key, profiles) = (IdentityKey::generate(&mut rng), RootProfiles::builtin().unwrap());
    let root = OfflineRoot::create("Acme", key, &profiles, ago(1), &mut rng).unwrap();
    let below = |hosts: &[&str]| {
        let mut rng = os_random();
        let key = IdentityKey::generate(&mut rng);
        let hosts: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let der = root.certify(key.public(), &hosts, &[], now(), &mut rng).unwrap();
        let chain = vec![der, root.certificate().to_vec()];
        let profiles = Profiles::builtin().unwrap();
        CertificateAuthority::load_shown(key, chain, &profiles, now()).unwrap()
    };
    let own = below(&["127.0.0.1"]);
    let leaf = server_leaf(&own, "127.0.0.1", now());
    assert_eq!(followed(root.pin(), &leaf, own.shown()).await, Ok(root.pin()));
    let [first, second] = own.shown() else { panic!("two") };
    for lie in [vec![first], vec![second], vec![second, first], vec![first, first, second]] {
        assert!(followed(root.pin(), &leaf, &lie).await.is_err());
    }
    let other = below(&["127.0.0.1"]);
    let found = followed(root.pin(), &leaf, other.shown()).await;
    assert!(matches!(found, Err(DialError::ServerCertificate(_))), "{found:?}");
}
