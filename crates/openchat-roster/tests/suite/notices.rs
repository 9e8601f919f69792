//! N1 to N4 for notices, N1 to N3 for heartbeats; an honest one is taken after each attack.

use openchat_roster::{Heartbeat, Notice, NoticeEntry, NoticeFault, Seen, SignedHeartbeat};
use openchat_wire::{Blob, Digest, Epoch, GroupId, Seq, encode};

use crate::scribe::{Act, Scribe, nobodys};

/// Three members, the last of whom reports the commit behind its own seat; one outside.
fn stage() -> (Scribe, Notice) {
    let mut scribe = Scribe::new(3, 1);
    scribe.act(0, Act::Update);
    let notice = Notice {
        author: scribe.fingerprint(2),
        group: *scribe.roster.group(),
        epoch: scribe.roster.epoch(),
        interim: *scribe.roster.interim(),
    };
    (scribe, notice)
}

fn check(scribe: &Scribe, notice: &Notice, signer: usize) -> Result<Notice, NoticeFault> {
    scribe.roster.check_notice(&NoticeEntry::sign(notice, &scribe.people[signer].key))
}

#[test]
fn n1_other_bytes_or_another_group() {
    let (scribe, notice) = stage();
    let honest = NoticeEntry::sign(&notice, &scribe.people[2].key);
    let good = honest.notice.0.clone();
    let spoilt = [
        Vec::new(),
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        // The epoch, 4, in two bytes.
        [&good[..64], &[good[64] | 0x80, 0], &good[65..]].concat(),
        vec![0; 129],
    ];
    for bytes in spoilt {
        let signature = scribe.people[2].key.sign(openchat_crypto::Label::Notice, &bytes);
        let forged = NoticeEntry { notice: Blob(bytes), signature };
        assert_eq!(scribe.roster.check_notice(&forged), Err(NoticeFault::Encoding));
    }
    let elsewhere = Notice { group: GroupId([1; 32]), ..notice };
    assert_eq!(check(&scribe, &elsewhere, 2), Err(NoticeFault::Encoding));
    assert_eq!(nobodys().check_notice(&honest), Err(NoticeFault::Encoding));
    assert_eq!(scribe.roster.check_notice(&honest), Ok(notice));
}

#[test]
fn n2_without_a_seat() {
    let (scribe, notice) = stage();
    let stranger = Notice { author: scribe.fingerprint(3), ..notice };
    assert_eq!(check(&scribe, &stranger, 3), Err(NoticeFault::NotSeated));
    assert_eq!(check(&scribe, &notice, 2), Ok(notice));
}

#[test]
fn n3_signed_by_somebody_else() {
    let (scribe, notice) = stage();
    for other in [0, 1, 3] {
        assert_eq!(check(&scribe, &notice, other), Err(NoticeFault::Signature));
    }
    let mut moved = NoticeEntry::sign(&notice, &scribe.people[2].key);
    moved.notice = Blob(encode(&Notice { interim: Digest([1; 32]), ..notice }));
    assert_eq!(scribe.roster.check_notice(&moved), Err(NoticeFault::Signature));
    assert_eq!(check(&scribe, &notice, 2), Ok(notice));
}

#[test]
fn n4_of_an_epoch_that_its_author_can_not_know() {
    let (scribe, notice) = stage();
    let tail = scribe.roster.epoch();
    let seated = scribe.roster.seat(&scribe.fingerprint(2)).unwrap().seated;
    assert_eq!((tail, seated), (Epoch(4), Epoch(3)));
    for epoch in [0, 1, 2, 3, 5, u64::MAX] {
        let elsewhere = Notice { epoch: Epoch(epoch), ..notice };
        assert_eq!(check(&scribe, &elsewhere, 2), Err(NoticeFault::Epoch), "{epoch}");
    }
    assert_eq!(check(&scribe, &notice, 2), Ok(notice));
}

/// A rejoin does not make the seat younger: what happened before it may be reported still.
#[test]
fn a_notice_counts_after_a_rejoin() {
    let (mut scribe, notice) = stage();
    scribe.act(2, Act::Rejoin);
    assert_eq!(check(&scribe, &notice, 2), Ok(notice));
}

fn beat(scribe: &Scribe, who: usize) -> Heartbeat {
    Heartbeat {
        author: scribe.fingerprint(who),
        group: *scribe.roster.group(),
        epoch: scribe.roster.epoch(),
        interim: *scribe.roster.interim(),
        seen: Seen { seq: Seq(9), log_hash: Digest([4; 32]) },
    }
}

fn check_beat(scribe: &Scribe, beat: &Heartbeat, by: usize) -> Result<Heartbeat, NoticeFault> {
    let signed = SignedHeartbeat::sign(beat, &scribe.people[by].key);
    scribe.roster.check_heartbeat(&signed.to_bytes().0)
}

#[test]
fn heartbeats() {
    let (scribe, _) = stage();
    let honest = beat(&scribe, 1);
    let elsewhere = Heartbeat { group: GroupId([1; 32]), ..honest };
    assert_eq!(check_beat(&scribe, &elsewhere, 1), Err(NoticeFault::Encoding));
    assert_eq!(check_beat(&scribe, &beat(&scribe, 3), 3), Err(NoticeFault::NotSeated));
    for other in [0, 2, 3] {
        assert_eq!(check_beat(&scribe, &honest, other), Err(NoticeFault::Signature));
    }
    let signed = SignedHeartbeat::sign(&honest, &scribe.people[1].key);
    let bytes = signed.to_bytes().0;
    for spoilt in [Vec::new(), bytes[1..].to_vec(), [&bytes[..], &[0]].concat(), vec![0; 513]] {
        assert_eq!(scribe.roster.check_heartbeat(&spoilt), Err(NoticeFault::Encoding));
    }
    // The heartbeat inside has one encoding too.
    let inside = Blob([&signed.heartbeat.0[..], &[0]].concat());
    let signature = scribe.people[1].key.sign(openchat_crypto::Label::Heartbeat, &inside.0);
    let padded = SignedHeartbeat { heartbeat: inside, signature }.to_bytes();
    assert_eq!(scribe.roster.check_heartbeat(&padded.0), Err(NoticeFault::Encoding));
    assert_eq!(check_beat(&scribe, &honest, 1), Ok(honest));
}
