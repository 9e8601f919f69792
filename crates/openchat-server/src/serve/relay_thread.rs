//! The one thread that decides: it owns the relay, takes all jobs that wait, makes everything they
//! change durable with one flush, and only then tells anybody.

use crate::{
    clock,
    metrics::METRICS,
    serve::{
        certificate::{self, ServerIdentity},
        feed::Hub,
        mailbox::{Letter, Mailbox},
        members::Members,
    },
};
use openchat_pki::{AuthorityError, HostName};
use openchat_relay::{
    EnrollOutcome, Identity, Invited, Outcome, Quotas, Relay, RenewalOutcome, Retained, StoreError,
    chain::appends_to,
};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{
    GroupId, Name, UnixMillis,
    admin::Revoked,
    enroll::{EnrollRefusal, EnrollRequest},
    frame::to_frame,
    limits::MAX_TAILS,
    relay::{Answer, Refusal, Request, ToClient, ToServer},
};
use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Jobs that wait; who has more to ask waits with it.
const QUEUE: usize = 1_024;

/// Jobs of one flush: enough to share it among many, few enough that the first soon hears. So many
/// messages are decided in a few milliseconds.
const MAX_BATCH: usize = 512;

/// When to ask again after an answer found no room.
const RETRY_MS: u32 = 1_000;

/// Something to be decided.
#[derive(Debug)]
pub(crate) enum Job {
    Request(Asked),
    Enroll(EnrollRequest, oneshot::Sender<EnrollOutcome>),
    Invite(Name, oneshot::Sender<Result<Invited, StoreError>>),
    /// An invitation to be made worthless.
    Revoke([u8; 16], oneshot::Sender<Result<Revoked, StoreError>>),
    /// How much may be kept from now on.
    Quotas(Quotas),
    /// A step of dropping bodies that are older than this.
    DropOld(Duration, oneshot::Sender<Result<Retained, StoreError>>),
    /// Whether the thread still decides and stores.
    Probe(oneshot::Sender<Result<(), StoreError>>),
    /// A new certificate for the server itself.
    Certify(Vec<HostName>, oneshot::Sender<Result<ServerIdentity, AuthorityError>>),
    /// The last one.
    Stop,
}

/// A session's request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) who: Arc<Identity>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) frame: ToServer,
    /// Given back when the answer is written.
    pub(crate) window: OwnedSemaphorePermit,
    /// One of the few that a person may have in the queue, given back when the request is decided.
    pub(crate) turn: OwnedSemaphorePermit,
    /// That of a large frame, given back with the frame.
    pub(crate) large: Option<OwnedSemaphorePermit>,
}

/// Decided, but not yet to be told.
#[derive(Debug)]
enum Decided {
    Request {
        mailbox: Arc<Mailbox>,
        id: u32,
        /// What it asked to append to.
        log: Option<GroupId>,
        outcome: Outcome,
        window: OwnedSemaphorePermit,
    },
    Enroll(EnrollOutcome, oneshot::Sender<EnrollOutcome>),
    Invite(Result<Invited, StoreError>, oneshot::Sender<Result<Invited, StoreError>>),
    Revoke(Result<Revoked, StoreError>, oneshot::Sender<Result<Revoked, StoreError>>),
    DropOld(Result<Retained, StoreError>, oneshot::Sender<Result<Retained, StoreError>>),
    Probe(Result<(), StoreError>, oneshot::Sender<Result<(), StoreError>>),
}

/// Where jobs are put.
#[derive(Debug, Clone)]
pub(crate) struct Jobs(mpsc::Sender<Job>);

impl Jobs {
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Job>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), queue)
    }

    /// Whether the relay still takes jobs.
    pub(crate) async fn put(&self, job: Job) -> bool {
        self.0.send(job).await.is_ok()
    }

    /// Puts a job and waits for what comes of it; `None` if the relay has ended.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        self.put(job(sender)).await;
        answer.await.ok()
    }
}

/// Tells that the thread has ended, and how.
pub(crate) type End = oneshot::Receiver<Result<(), StoreError>>;

/// Starts the thread, within a runtime.
///
/// # Errors
/// If the system starts none.
pub(crate) fn spawn(
    relay: Relay<SqliteStore>,
    members: Arc<Members>,
    known: u64,
) -> io::Result<(Jobs, End)> {
    let (jobs, queue) = Jobs::channel();
    let (ended, end) = oneshot::channel();
    let hub = Hub::default();
    tokio::spawn(hub.lobby().keep());
    let thread = RelayThread { relay, hub, members, known, has_dropped: false };
    thread::Builder::new().name("relay".to_owned()).spawn(move || {
        // Nobody to tell means that the process ends already.
        let _ = ended.send(thread.run(queue));
    })?;
    Ok((jobs, end))
}

struct RelayThread {
    relay: Relay<SqliteStore>,
    hub: Hub,
    members: Arc<Members>,
    /// Entries of the transparency log that `members` has.
    known: u64,
    /// This run of dropping old bodies has dropped some.
    has_dropped: bool,
}

impl RelayThread {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) -> Result<(), StoreError> {
        while let Some(first) = queue.blocking_recv() {
            let batch = waiting(first, &mut queue);
            let stops = batch.iter().any(|job| matches!(job, Job::Stop));
            for part in parts(batch) {
                self.work(part)?;
            }
            if stops {
                break;
            }
        }
        Ok(())
    }

    /// Decides, makes durable, tells.
    fn work(&mut self, batch: Vec<Job>) -> Result<(), StoreError> {
        let now = clock::now();
        let decided: Vec<Decided> =
            batch.into_iter().filter_map(|job| self.decide(job, now)).collect();
        let began = Instant::now();
        let flushed = self.relay.flush();
        METRICS.flushes.note(began.elapsed());
        match flushed {
            Ok(()) => {
                METRICS.batches.one();
                METRICS.kept_bytes.set(self.relay.kept_bytes());
                self.tell(decided)
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                METRICS.failed_batches.one();
                tracing::error!(%error, jobs = decided.len(), "nothing of a batch could be stored");
                self.tell(decided.into_iter().map(|decided| decided.lost(&error)).collect())
            }
        }
    }

    fn decide(&mut self, job: Job, now: UnixMillis) -> Option<Decided> {
        match job {
            Job::Request(Asked { who, mailbox, frame, window, turn, large }) => {
                let outcome = match mailbox.admit(&frame.request) {
                    Ok(()) => self.decide_request(&who, &frame.request, now),
                    Err(refusal) => Outcome::refused(refusal),
                };
                let log = appends_to(&frame.request);
                mailbox.note(log, &outcome.answer);
                drop((turn, large));
                Some(Decided::Request { mailbox, id: frame.id, log, outcome, window })
            }
            Job::Enroll(request, reply) => {
                let outcome = self.relay.enroll(&request, now, &mut clock::rng());
                Some(Decided::Enroll(outcome, reply))
            }
            Job::Invite(name, reply) => {
                Some(Decided::Invite(self.relay.invite(&name, now, &mut clock::rng()), reply))
            }
            Job::Revoke(id, reply) => {
                Some(Decided::Revoke(self.relay.revoke_invitation(&id), reply))
            }
            Job::Quotas(quotas) => {
                self.relay.set_quotas(quotas);
                None
            }
            Job::DropOld(age, reply) => {
                Some(Decided::DropOld(self.relay.drop_old(age, now), reply))
            }
            Job::Probe(reply) => Some(Decided::Probe(Ok(()), reply)),
            Job::Certify(hosts, reply) => {
                // Stored by the one who asks; without it the old one is shown for longer.
                let _ = reply.send(certificate::issue(self.relay.ca(), &hosts, now));
                None
            }
            Job::Stop => None,
        }
    }

    fn decide_request(&mut self, who: &Identity, request: &Request, now: UnixMillis) -> Outcome {
        let Request::Renew(csr) = request else { return self.relay.handle(who, request, now) };
        let RenewalOutcome { answer, decided } =
            self.relay.renew(who, &csr.0, now, &mut clock::rng());
        match decided {
            Ok(index) => tracing::info!(name = %who.name, index, "renewed"),
            Err(fault) => tracing::warn!(name = %who.name, %fault, "not renewed"),
        }
        answer.map_or_else(Outcome::refused, Outcome::answer)
    }

    fn tell(&mut self, decided: Vec<Decided>) -> Result<(), StoreError> {
        for decided in decided {
            match decided {
                Decided::Request { mailbox, id, outcome, window, .. } => {
                    self.answer(&mailbox, id, outcome, window);
                }
                Decided::Enroll(outcome, reply) => {
                    // Known before the device is told, so that it may come back at once.
                    self.known = self.members.learn(self.relay.store(), self.known)?;
                    // A device that went away asks again.
                    let _ = reply.send(outcome);
                }
                Decided::Invite(invited, reply) => drop(reply.send(invited)),
                Decided::Revoke(revoked, reply) => drop(reply.send(revoked)),
                Decided::DropOld(step, reply) => {
                    if let Ok(step) = step {
                        self.forget_dropped(step);
                    }
                    drop(reply.send(step));
                }
                Decided::Probe(found, reply) => drop(reply.send(found)),
            }
        }
        self.hub.wake();
        Ok(())
    }

    /// What was dropped is not to be served from memory either, once a run is at its end.
    fn forget_dropped(&mut self, step: Retained) {
        METRICS.dropped.many(step.bodies);
        self.has_dropped |= step.bodies > 0;
        if step.complete && std::mem::take(&mut self.has_dropped) {
            self.hub.forget();
        }
    }

    fn answer(
        &mut self,
        mailbox: &Arc<Mailbox>,
        id: u32,
        outcome: Outcome,
        window: OwnedSemaphorePermit,
    ) {
        let Outcome { mut answer, publish, ends, mut tail } = outcome;
        METRICS.requests.one();
        METRICS.appended.many(u64::from(matches!(answer, Ok(Answer::Appended(_)))));
        for publish in publish {
            self.hub.publish(publish);
        }
        self.hub.end(&ends);
        if tail.is_some_and(|tail| !mailbox.may_tail(&tail.log)) {
            tail = None;
            answer = Err(Refusal::Invalid(format!("more than {MAX_TAILS} logs at once")));
        }
        mailbox.put(Letter::Answer(fitting(mailbox, id, answer), window));
        if let Some(tail) = tail {
            mailbox.put(Letter::Tail(self.hub.subscribe(&tail, mailbox)));
        }
    }
}

/// All that waits, up to a batch.
fn waiting(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut batch = vec![first];
    while batch.len() < MAX_BATCH
        && let Ok(job) = queue.try_recv()
    {
        batch.push(job);
    }
    batch
}

/// A step of dropping old bodies stands or falls by itself: if the disk is full, nobody's message is
/// lost with it.
fn parts(batch: Vec<Job>) -> impl Iterator<Item = Vec<Job>> {
    let (steps, others): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|job| matches!(job, Job::DropOld(..)));
    let others = Some(others).filter(|others| !others.is_empty());
    others.into_iter().chain(steps.into_iter().map(|step| vec![step]))
}

/// The answer's frame. One that finds no room is held back: asked again, it is given again.
fn fitting(mailbox: &Mailbox, id: u32, answer: Result<Answer, Refusal>) -> Vec<u8> {
    let frame = to_frame(&ToClient::Answer { id, answer });
    if mailbox.has_room(frame.len()) {
        return frame;
    }
    to_frame(&ToClient::Answer { id, answer: Err(Refusal::Paced { retry_ms: RETRY_MS }) })
}

impl Decided {
    /// The same, when nothing of its batch stands.
    fn lost(self, error: &StoreError) -> Self {
        match self {
            Self::Request { mailbox, id, log, window, .. } => {
                let outcome = Outcome::refused(Refusal::Internal);
                mailbox.note(log, &outcome.answer);
                Self::Request { mailbox, id, log, outcome, window }
            }
            Self::Enroll(_, reply) => {
                let (answer, reason) = (Err(EnrollRefusal::Internal), error.clone().into());
                Self::Enroll(EnrollOutcome { answer, reason }, reply)
            }
            Self::Invite(_, reply) => Self::Invite(Err(error.clone()), reply),
            Self::Revoke(_, reply) => Self::Revoke(Err(error.clone()), reply),
            Self::DropOld(_, reply) => Self::DropOld(Err(error.clone()), reply),
            Self::Probe(_, reply) => Self::Probe(Err(error.clone()), reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_relay::Publish;
    use openchat_wire::{
        Blob, GroupId, Seq, frame::FrameDecoder, limits::MAX_QUEUE_BYTES, relay::SignedReceipt,
    };
    use tokio::sync::Semaphore;

    fn decoded(frame: &[u8]) -> ToClient {
        let mut decoder = FrameDecoder::new(10_000_000);
        decoder.push(frame);
        decoder.next_frame().unwrap().unwrap()
    }

    #[test]
    fn an_answer_that_finds_no_room_is_to_be_asked_for_again() {
        let mailbox = Mailbox::default();
        let large = || {
            let entries = vec![(Seq(1), Blob(vec![0; MAX_QUEUE_BYTES]))];
            Ok(Answer::Entries { entries, complete: true })
        };
        let first = fitting(&mailbox, 1, large());
        assert!(matches!(decoded(&first), ToClient::Answer { id: 1, answer: Ok(_) }));
        let window = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        mailbox.put(Letter::Answer(first, window));
        let second = decoded(&fitting(&mailbox, 2, large()));
        let paced = Err(Refusal::Paced { retry_ms: RETRY_MS });
        assert_eq!(second, ToClient::Answer { id: 2, answer: paced });
        let small = decoded(&fitting(&mailbox, 3, Ok(Answer::Appended(Seq(9)))));
        assert_eq!(small, ToClient::Answer { id: 3, answer: Ok(Answer::Appended(Seq(9))) });
    }

    #[test]
    fn a_batch_takes_what_waits_and_no_more_than_its_share() {
        let (sender, mut queue) = mpsc::channel(1_000);
        for _ in 0..MAX_BATCH + 44 {
            sender.try_send(Job::Stop).unwrap();
        }
        assert_eq!(waiting(Job::Stop, &mut queue).len(), MAX_BATCH);
        assert_eq!(waiting(Job::Stop, &mut queue).len(), 44 + 2);
    }

    #[test]
    fn a_step_of_dropping_is_a_batch_of_its_own() {
        let step = || Job::DropOld(Duration::ZERO, oneshot::channel().0);
        let probe = || Job::Probe(oneshot::channel().0);
        let parted = |batch| parts(batch).map(|part| format!("{part:?}")).collect::<Vec<_>>();
        let found = parted(vec![probe(), step(), probe()]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].matches("Probe").count() == 2 && !found[0].contains("DropOld"));
        assert!(found[1].contains("DropOld") && !found[1].contains("Probe"));
        assert_eq!(parted(vec![step()]).len(), 1, "no empty one");
        assert_eq!(parted(vec![probe(), Job::Stop]).len(), 1);
    }

    #[test]
    fn of_a_lost_batch_nothing_is_told_but_that_it_failed() {
        let window = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let answer = Ok(Answer::Appended(Seq(1)));
        let heartbeat = Publish::Heartbeat {
            log: GroupId([1; 32]),
            beat: Vec::new().into(),
            receipt: SignedReceipt { body: Blob::default(), signature: Blob::default() },
        };
        let outcome = Outcome { answer, publish: vec![heartbeat], ends: Vec::new(), tail: None };
        let mailbox = Arc::<Mailbox>::default();
        let log = Some(GroupId([1; 32]));
        let decided = Decided::Request { mailbox: mailbox.clone(), id: 1, log, outcome, window };
        let Decided::Request { outcome, .. } = decided.lost(&StoreError::Full) else { panic!() };
        assert_eq!(outcome.answer, Err(Refusal::Internal));
        let (entry, letters) = (Blob::default(), Vec::new());
        let next = openchat_wire::relay::Request::Append {
            log: GroupId([1; 32]),
            entry,
            letters,
            follows: true,
        };
        assert!(mailbox.admit(&next).is_err(), "nothing overtakes it in the next batch");
        assert!(outcome.publish.is_empty() && outcome.tail.is_none());
    }
}
