//! What a session reads, when it reads no more, and how it ends.

#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::{pace::Rates, seats::QUEUED, *};
use crate::serve::phase;
use openchat_wire::{Fingerprint, GroupId, Seq, limits::MAX_SESSIONS_A_PERSON, relay::Refusal};
use tokio::{io::DuplexStream, sync::mpsc, time::sleep};

fn bob() -> Arc<Identity> {
    let fingerprint = Fingerprint([1; 32]);
    Arc::new(Identity { name: "bob".parse().unwrap(), fingerprint })
}

fn frames(request: &Request) -> Vec<u8> {
    let frame = |id| to_frame(&ToServer { id, request: request.clone() });
    (0..1_000).flat_map(frame).collect()
}

/// How many requests are under way when none is answered.
async fn under_way(request: Request) -> usize {
    let (jobs, mut queue) = Jobs::channel();
    let (mut theirs, mut ours) = tokio::io::duplex(1_000_000);
    theirs.write_all(&frames(&request)).await.unwrap();
    let (who, mailbox, sessions) = (bob(), Arc::default(), Sessions::default());
    let seat = sessions.enter(&who).unwrap();
    let reading = read(&jobs, &mut ours, (&who, &seat), &mailbox);
    assert!(timeout(Duration::from_secs(1), reading).await.is_err());
    let mut asked = Vec::new();
    while let Ok(job) = queue.try_recv() {
        asked.push(job);
    }
    asked.len()
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_take_answers_is_not_heard() {
    assert_eq!(under_way(Request::Ping).await, usize::from(WINDOW));
    let read = Request::ReadCommits { log: GroupId([1; 32]), after: Seq(0) };
    assert_eq!(under_way(read).await, 1, "its answer may be large");
}

/// Two connections of one person send a large frame each; gives how many were read.
async fn large_frames_read(one: &Arc<Identity>, other: &Arc<Identity>) -> usize {
    let (jobs, mut queue) = Jobs::channel();
    let sessions = Sessions::default();
    let entry = openchat_wire::Blob(vec![0; 3 * LARGE]);
    let request =
        Request::Append { log: GroupId([1; 32]), entry, letters: Vec::new(), follows: false };
    let frame = to_frame(&ToServer { id: 0, request });
    let talks = [one, other].map(|who| {
        let (jobs, sessions, frame) = (&jobs, &sessions, &frame);
        async move {
            let (mut theirs, mut ours) = tokio::io::duplex(1_000_000);
            theirs.write_all(frame).await.unwrap();
            let seat = sessions.enter(who).unwrap();
            let mailbox = Arc::default();
            let reading = read(jobs, &mut ours, (who, &seat), &mailbox);
            assert!(timeout(Duration::from_secs(1), reading).await.is_err());
        }
    });
    let [one, other] = talks;
    tokio::join!(one, other);
    let mut asked = Vec::new();
    while let Ok(job) = queue.try_recv() {
        asked.push(job);
    }
    asked.len()
}

#[tokio::test(start_paused = true)]
async fn a_person_sends_one_large_frame_at_a_time() {
    let (bob, fingerprint) = (bob(), Fingerprint([2; 32]));
    assert_eq!(large_frames_read(&bob, &bob).await, 1, "the first one waits in the queue");
    let carol = Arc::new(Identity { name: "carol".parse().unwrap(), fingerprint });
    assert_eq!(large_frames_read(&bob, &carol).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up() {
    let (jobs, _queue) = Jobs::channel();
    let (_theirs, mut ours) = tokio::io::duplex(10);
    let (who, sessions) = (bob(), Sessions::default());
    let seat = sessions.enter(&who).unwrap();
    let ended = read(&jobs, &mut ours, (&who, &seat), &Arc::default()).await;
    assert!(matches!(ended, Ended::Silent));
}

fn carol() -> Arc<Identity> {
    let fingerprint = Fingerprint([2; 32]);
    Arc::new(Identity { name: "carol".parse().unwrap(), fingerprint })
}

/// A connection on which all this is asked at once, for as long as the test lasts.
fn asks(jobs: &Jobs, sessions: &Arc<Sessions>, who: Arc<Identity>, all: Vec<u8>) -> Arc<Mailbox> {
    let (jobs, sessions, mailbox) = (jobs.clone(), Arc::clone(sessions), Arc::default());
    let writer = Arc::clone(&mailbox);
    tokio::spawn(async move {
        let (mut theirs, mut ours) = tokio::io::duplex(all.len().max(1));
        theirs.write_all(&all).await.unwrap();
        let seat = sessions.enter(&who).unwrap();
        read(&jobs, &mut ours, (&who, &seat), &writer).await
    });
    mailbox
}

/// What the relay would take next, once everybody has had time to ask.
async fn waiting(queue: &mut mpsc::Receiver<Job>) -> Vec<Asked> {
    sleep(Duration::from_millis(1)).await;
    let mut all = Vec::new();
    while let Ok(Job::Request(asked)) = queue.try_recv() {
        all.push(asked);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn many_connections_of_one_person_have_no_more_of_the_relay_than_one() {
    let (jobs, mut queue) = Jobs::channel();
    let sessions = Arc::new(Sessions::default());
    for _ in 0..MAX_SESSIONS_A_PERSON {
        asks(&jobs, &sessions, bob(), frames(&Request::Ping));
    }
    let mut bobs = waiting(&mut queue).await;
    assert_eq!(bobs.len(), QUEUED, "of all that its windows would let through");
    // Whatever the relay has not decided yet keeps its turn.
    asks(&jobs, &sessions, carol(), to_frame(&ToServer { id: 1, request: Request::Ping }));
    let next = waiting(&mut queue).await;
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].who, carol());
    // As the relay does: a turn comes back with the decision, not with the answer.
    let decide = |asked: Asked| drop((asked.turn, asked.large));
    bobs.drain(..).for_each(decide);
    assert_eq!(waiting(&mut queue).await.len(), QUEUED);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_behind_more_than_a_few_of_a_flood() {
    let (jobs, mut queue) = Jobs::channel();
    let sessions = Arc::new(Sessions::default());
    for _ in 0..MAX_SESSIONS_A_PERSON {
        asks(&jobs, &sessions, bob(), frames(&Request::Ping));
    }
    // The relay decides one after the other and the answers are taken, while carol asks now and then.
    for round in 0..MAX_SESSIONS_A_PERSON {
        sleep(Duration::from_millis(1)).await;
        asks(&jobs, &sessions, carol(), to_frame(&ToServer { id: 1, request: Request::Ping }));
        let mut before = 0;
        loop {
            sleep(Duration::from_millis(1)).await;
            let Job::Request(asked) = queue.try_recv().unwrap() else { panic!() };
            if asked.who == carol() {
                break;
            }
            before += 1;
        }
        assert!(before <= QUEUED, "{before} before carol in round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_beyond_patience_is_refused_behind_the_answers_before_it() {
    let (jobs, mut queue) = Jobs::channel();
    let sessions = Arc::new(Sessions::new(1, Rates { requests: 1, entries: 1, bytes: 10_000 }));
    let groups = |id| to_frame(&ToServer { id, request: Request::Groups });
    let mailbox = asks(&jobs, &sessions, bob(), (0..4).flat_map(groups).collect());
    let asked = waiting(&mut queue).await;
    assert_eq!(asked.len(), 2, "eight at once, four each");
    assert!(mailbox.take().letters.is_empty(), "two requests are not answered yet");
    drop(asked);
    sleep(Duration::from_millis(1)).await;
    let letters = mailbox.take().letters;
    let [Letter::Answer(frame, _)] = &letters[..] else { panic!("{letters:?}") };
    let paced = decoded(frame);
    let ToClient::Answer { id: 2, answer: Err(Refusal::Paced { retry_ms }) } = paced else {
        panic!("{paced:?}")
    };
    assert!((3_900..=4_001).contains(&retry_ms), "{retry_ms}");
    drop(letters);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(mailbox.take().letters.len(), 1, "and so is the next");
    assert!(waiting(&mut queue).await.is_empty(), "the relay knows nothing of them");
}

fn decoded(frame: &[u8]) -> ToClient {
    let mut decoder = FrameDecoder::new(MAX_FRAME);
    decoder.push(frame);
    decoder.next_frame().unwrap().unwrap()
}

/// A session with bob until something ends it; gives why.
async fn session(sessions: &Sessions, ours: DuplexStream, until: UnixMillis) -> Ended {
    let (jobs, _queue) = Jobs::channel();
    let (readers, (_switch, phase)) = (Readers::new("none".as_ref()), phase::new());
    let (who, herald) = (bob(), Herald::default());
    let house = House { jobs: &jobs, readers: &readers, phase: &phase, herald: &herald };
    let seat = sessions.enter(&who).unwrap();
    talk(house, ours, (&who, &seat, until), &Arc::default()).await
}

const FAR: UnixMillis = UnixMillis(u64::MAX);

#[tokio::test(start_paused = true)]
async fn a_cut_session_hears_why_and_ends() {
    let sessions = Sessions::default();
    let (mut theirs, ours) = tokio::io::duplex(1_000);
    let cutting = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(sessions.cut(&bob().fingerprint, Goodbye::Revoked), 1);
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).await.unwrap();
        decoded(&bytes)
    };
    let (ended, heard) = tokio::join!(session(&sessions, ours, FAR), cutting);
    assert!(matches!(ended, Ended::Cut(Goodbye::Revoked)));
    assert_eq!(heard, ToClient::Goodbye(Goodbye::Revoked));
    assert_eq!(ended.to_string(), "the certificate was revoked");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_listen_is_cut_within_a_second() {
    let sessions = Sessions::default();
    // Too narrow for a goodbye.
    let (_theirs, ours) = tokio::io::duplex(1);
    let cutting = async {
        sleep(Duration::from_secs(1)).await;
        sessions.cut(&bob().fingerprint, Goodbye::Revoked);
        tokio::time::Instant::now()
    };
    let (ended, cut) = tokio::join!(session(&sessions, ours, FAR), cutting);
    assert!(matches!(ended, Ended::Cut(_)));
    assert!(cut.elapsed() <= Duration::from_secs(1));
}

#[tokio::test]
async fn a_session_ends_with_its_certificate() {
    let sessions = Sessions::default();
    let (_theirs, ours) = tokio::io::duplex(1_000);
    let until = clock::now().after(Duration::from_millis(100));
    let ended = session(&sessions, ours, until).await;
    assert!(matches!(ended, Ended::Expired) && clock::now() >= until, "{ended}");
}

#[test]
fn a_session_at_rest_reads_little_at_once() {
    let mut chunk = vec![0; RESTING];
    fit(&mut chunk, 100);
    assert_eq!(chunk.len(), RESTING);
    fit(&mut chunk, RESTING);
    assert_eq!(chunk.len(), BUSY);
    fit(&mut chunk, BUSY);
    fit(&mut chunk, RESTING);
    assert_eq!(chunk.len(), BUSY, "still much");
    fit(&mut chunk, 100);
    assert_eq!(chunk.len(), RESTING);
    assert!(chunk.capacity() < 2 * RESTING);
}
