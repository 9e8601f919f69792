//! Inputs that a body finds something in, for a fuzzer to begin with.

use core::time::Duration;

use openchat_engine::{Body, Chunk, MessageRef, Offer};
use openchat_group::ContentKind;
use openchat_roster::{Heartbeat, LogEntry, Notice, NoticeEntry, Seen, SignedHeartbeat};
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, GroupId, MessageId, Seq, UnixMillis,
    admin::{AdminAnswer, AdminRequest, InvitationRecord, Status},
    encode,
    enroll::{EnrollAnswer, EnrollRefusal, EnrollRequest, Enrolled},
    frame::to_frame,
    invitation::Invitation,
    relay::{
        Answer, Goodbye, InboxEntry, Letter, Receipt, Refusal, Request, SignedReceipt, ToClient,
        ToServer,
    },
};

use crate::{
    letters, pki,
    world::{MALLORY, World},
};

/// What the body of this name may begin with.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "frames_to_server" => vec![requests().iter().flat_map(to_frame).collect()],
        "frames_to_client" => vec![answers().iter().flat_map(to_frame).collect()],
        "frames_enroll_request" => vec![to_frame(&enroll_request())],
        "frames_enroll_answer" => enroll_answers().iter().map(to_frame).collect(),
        "frames_admin_request" => vec![admin_requests().iter().flat_map(to_frame).collect()],
        "frames_admin_answer" => admin_answers().iter().map(to_frame).collect(),
        "log_entry" => entries(),
        "commit" => commits(),
        "inbox_entry" => vec![inbox_entry()],
        "server_invitation" => vec![invitation().to_string().into_bytes()],
        "names" => vec![b"alice".to_vec(), b"a-very-long-name-of-a-group-32-ch".to_vec()],
        "body" => bodies(),
        "chunk" => {
            vec![encode(&Chunk { of: MessageId([7; 16]), index: 300, bytes: Blob(vec![8; 40]) })]
        }
        "file_name" => vec!["/home/alice/photo\u{202e}gnp.exe".into(), vec![b'x'; 300]],
        "prekey" | "leave" | "notice" | "heartbeat" => signed(target),
        "invitation_letter" | "welcome_letter" => letters::samples(target),
        "request" | "certificate" | "transparency" | "statements" => pki::samples(target),
        // Any bytes are choices.
        _ => vec![(0..=255).collect()],
    }
}

/// One of each kind, behind its number.
fn bodies() -> Vec<Vec<u8>> {
    let to = MessageRef { author: PERSON, id: MessageId([7; 16]) };
    let (text, emoji, name) = ("yes".to_owned(), "👍🏽".to_owned(), "a.txt".to_owned());
    let bodies = [
        Body::Text(text.clone()),
        Body::Action(text.clone()),
        Body::Reply { to, text: text.clone() },
        Body::Reaction { to, emoji, on: true },
        Body::Edit { of: to.id, text: text.clone() },
        Body::Delete { of: to.id },
        Body::Topic(text),
        Body::File(Offer { name, size: 300_000, hash: digest() }),
        Body::Timer(Some(Duration::from_hours(1))),
    ];
    let numbered = |body: Body| {
        let kind = u8::try_from(body.kind()).unwrap();
        [vec![kind], body.to_bytes()].concat()
    };
    bodies.into_iter().map(numbered).collect()
}

fn digest() -> Digest {
    Digest([5; 32])
}

fn blob() -> Blob {
    Blob(vec![1, 2, 3])
}

const LOG: GroupId = GroupId([4; 32]);

const PERSON: Fingerprint = Fingerprint([6; 32]);

fn requests() -> Vec<ToServer> {
    let letters = vec![Letter { to: PERSON, sealed: blob() }];
    let requests = [
        Request::Ping,
        Request::Head,
        Request::FindGroup("general".parse().unwrap()),
        Request::FindDirect(PERSON),
        Request::Groups,
        Request::Certificate(PERSON),
        Request::CertificateOf("alice".parse().unwrap()),
        Request::PublishPrekeys { replace: true, prekeys: vec![blob(), blob()] },
        Request::CountPrekeys,
        Request::FetchPrekey(PERSON),
        Request::ReadCommits { log: LOG, after: Seq(300) },
        Request::Tail { log: LOG, after: Seq(0) },
        Request::Append { log: LOG, entry: blob(), letters, follows: false },
        Request::Receipt { log: LOG, at: Some(Seq(7)) },
        Request::Heartbeat { log: LOG, beat: blob() },
        Request::ReadTransparency(2_048),
        Request::Renew(blob()),
    ];
    requests.into_iter().zip(1000..).map(|(request, id)| ToServer { id, request }).collect()
}

fn receipt() -> SignedReceipt {
    let receipt =
        Receipt { group: LOG, seq: Seq(7), log_hash: digest(), epoch: Epoch(3), interim: digest() };
    SignedReceipt { body: Blob(encode(&receipt)), signature: Blob(vec![8; 64]) }
}

fn answers() -> Vec<ToClient> {
    let answers = [
        Ok(Answer::Done),
        Ok(Answer::Head(blob())),
        Ok(Answer::Group(LOG)),
        Ok(Answer::Groups(vec![LOG, LOG])),
        Ok(Answer::Certificate(blob())),
        Ok(Answer::Prekeys { one_time: 99, last_resort: Some(UnixMillis(1 << 40)) }),
        Ok(Answer::Prekey(blob())),
        Ok(Answer::Entries { entries: vec![(Seq(1), blob()), (Seq(9), blob())], complete: true }),
        Ok(Answer::Appended(Seq(12))),
        Ok(Answer::Receipt(receipt())),
        Ok(Answer::Recorded { entries: vec![blob()], head: blob(), complete: true }),
        Err(Refusal::Conflict { seq: Seq(1), entry: blob() }),
        Err(Refusal::Invalid("C4".to_owned())),
        Err(Refusal::Paced { retry_ms: 500 }),
    ];
    let answers = answers.into_iter().map(|answer| ToClient::Answer { id: 7, answer });
    let pushed = [
        ToClient::Entry { log: LOG, seq: Seq(2), entry: blob() },
        ToClient::Heartbeat { log: LOG, beat: blob(), receipt: receipt() },
        ToClient::Goodbye(Goodbye::TooSlow),
        ToClient::Head(blob()),
    ];
    answers.chain(pushed).collect()
}

fn enroll_request() -> EnrollRequest {
    let name = "alice".parse().unwrap();
    EnrollRequest { name, invitation: [1; 16], secret: [2; 16], csr: blob() }
}

fn enroll_answers() -> [EnrollAnswer; 2] {
    let (certificate, ca, server_keys, head) = (blob(), blob(), blob(), blob());
    let enrolled = Enrolled { certificate, ca, server_keys, index: 5, head };
    [Ok(enrolled), Err(EnrollRefusal::NameTaken)]
}

fn admin_requests() -> Vec<AdminRequest> {
    let after = Some("alice".parse().unwrap());
    vec![
        AdminRequest::Invite("alice".parse().unwrap()),
        AdminRequest::Invitations { after: Some([1; 16]) },
        AdminRequest::Online { after },
        AdminRequest::Status,
    ]
}

fn admin_answers() -> Vec<AdminAnswer> {
    let record = InvitationRecord {
        id: [1; 16],
        name: "alice".parse().unwrap(),
        expires: UnixMillis(1 << 40),
        wrong: 2,
        used: Some(PERSON),
    };
    vec![
        AdminAnswer::Invitations(vec![record]),
        AdminAnswer::Failed("no".to_owned()),
        AdminAnswer::Status(Box::<Status>::default()),
    ]
}

fn inbox_entry() -> Vec<u8> {
    InboxEntry { from: PERSON, group: LOG, seq: Seq(70), letter: blob() }.to_bytes()
}

fn invitation() -> Invitation {
    let address = "chat.example:7443".to_owned();
    Invitation { address, ca_pin: digest(), id: [1; 16], secret: [2; 16] }
}

/// One of each kind.
fn entries() -> Vec<Vec<u8>> {
    let mut world = World::base(false);
    let mallory = &mut world.devices[MALLORY];
    let message = mallory.seal(ContentKind::TEXT, b"hello").unwrap();
    let notice = LogEntry::Notice(mallory.group.notice(&mallory.key));
    let leave = LogEntry::Leave(mallory.group.leave_request(&mallory.key).unwrap());
    let (author, group, rng) = mallory.parts();
    let update = group.update(&author, rng).unwrap().entry.0.clone();
    let (author, group, rng) = mallory.parts();
    let rejoin = group.rejoin(&author, Vec::new(), rng).unwrap().entry.0.clone();
    vec![message.to_bytes(), notice.to_bytes(), leave.to_bytes(), update, rejoin]
}

/// What is signed in commits.
fn commits() -> Vec<Vec<u8>> {
    let commits = entries().into_iter().filter_map(|bytes| match LogEntry::decode(&bytes) {
        Ok(LogEntry::Commit(entry)) => Some(entry.commit.0),
        _ => None,
    });
    commits.collect()
}

/// What Mallory signs.
fn signed(target: &str) -> Vec<Vec<u8>> {
    let mut world = World::base(false);
    let roster = world.relay;
    let mallory = &mut world.devices[MALLORY];
    let (author, group) = (mallory.fingerprint(), *roster.group());
    let (epoch, interim) = (roster.epoch(), *roster.interim());
    match target {
        "prekey" => {
            let signed = mallory.prekey(true);
            vec![signed.to_bytes().0, signed.prekey.0]
        }
        "leave" => vec![mallory.group.leave_request(&mallory.key).unwrap().leave.0],
        "notice" => {
            let notice = Notice { author, group, epoch, interim };
            vec![NoticeEntry::sign(&notice, &mallory.key).notice.0]
        }
        _ => {
            let seen = Seen { seq: Seq(3), log_hash: digest() };
            let beat = Heartbeat { author, group, epoch, interim, seen };
            let signed = SignedHeartbeat::sign(&beat, &mallory.key);
            vec![signed.heartbeat.0.clone(), signed.to_bytes().0]
        }
    }
}
