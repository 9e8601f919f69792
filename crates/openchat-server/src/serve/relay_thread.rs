//! The one thread that decides: it owns the relay, takes all jobs that wait, makes everything they
//! change durable with one flush, and only then tells anybody.

use crate::{
    clock,
    metrics::METRICS,
    output::{Console, Event},
    serve::{
        certificate::{self, ServerIdentity},
        feed::Hub,
        heads::Herald,
        mailbox::{Letter, Mailbox},
        members::Members,
    },
};
use openchat_pki::{AuthorityError, HostName};
use openchat_relay::{
    EnrollOutcome, Identity, Invited, Outcome, Quotas, Relay, RenewalOutcome, Reset, Retained,
    Revoking, StoreError, chain::appends_to,
};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{
    Fingerprint, GroupId, Name, UnixMillis,
    admin::{KeyRevoked, Revoked},
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
    /// A key that is to count no more.
    RevokeKeyOf(Name, Reply<Option<KeyRevoked>>),
    /// A name that is to get another key.
    Reset(Name, Reply<Option<Freed>>),
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

/// What somebody waits for that the disk may refuse.
type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A name that waits for another key.
#[derive(Debug)]
pub(crate) struct Freed {
    pub(crate) revoked: Option<KeyRevoked>,
    pub(crate) invited: Invited,
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
        /// Whose certificate it renews, and the index of that entry.
        renewed: Option<(Arc<Identity>, u64)>,
        window: OwnedSemaphorePermit,
    },
    Enroll(EnrollOutcome, oneshot::Sender<EnrollOutcome>),
    Invite(Result<Invited, StoreError>, oneshot::Sender<Result<Invited, StoreError>>),
    Revoke(Result<Revoked, StoreError>, oneshot::Sender<Result<Revoked, StoreError>>),
    RevokeKeyOf(Name, Result<Option<Revoking>, StoreError>, Reply<Option<KeyRevoked>>),
    Reset(Name, Result<Option<Reset>, StoreError>, Reply<Option<Freed>>),
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
    public: Public,
    known: u64,
) -> io::Result<(Jobs, End)> {
    let (jobs, queue) = Jobs::channel();
    let (ended, end) = oneshot::channel();
    let hub = Hub::default();
    tokio::spawn(hub.lobby().keep());
    let thread = RelayThread { relay, hub, public, known, has_dropped: false };
    thread::Builder::new().name("relay".to_owned()).spawn(move || {
        // Nobody to tell means that the process ends already.
        let _ = ended.send(thread.run(queue));
    })?;
    Ok((jobs, end))
}

/// Who is told of what becomes of the transparency log.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) members: Arc<Members>,
    pub(crate) herald: Arc<Herald>,
    pub(crate) console: Console,
}

struct RelayThread {
    relay: Relay<SqliteStore>,
    hub: Hub,
    public: Public,
    /// Entries of the transparency log that the public knows.
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
                self.tell(decided, now)
            }
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                METRICS.failed_batches.one();
                tracing::error!(%error, jobs = decided.len(), "nothing of a batch could be stored");
                self.tell(decided.into_iter().map(|decided| decided.lost(&error)).collect(), now)
            }
        }
    }

    fn decide(&mut self, job: Job, now: UnixMillis) -> Option<Decided> {
        match job {
            Job::Request(asked) => Some(self.decide_request(asked, now)),
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
            Job::RevokeKeyOf(name, reply) => {
                let revoking = self.relay.revoke(&name, now);
                Some(Decided::RevokeKeyOf(name, revoking, reply))
            }
            Job::Reset(name, reply) => {
                let reset = self.relay.reset(&name, now, &mut clock::rng());
                Some(Decided::Reset(name, reset, reply))
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

    fn decide_request(&mut self, asked: Asked, now: UnixMillis) -> Decided {
        let Asked { who, mailbox, frame, window, turn, large } = asked;
        let ToServer { id, request } = frame;
        let (outcome, renewed) = match mailbox.admit(&request) {
            Err(refusal) => (Outcome::refused(refusal), None),
            Ok(()) => match &request {
                Request::Renew(csr) => self.renew(&who, &csr.0, now),
                request => (self.relay.handle(&who, request, now), None),
            },
        };
        let log = appends_to(&request);
        mailbox.note(log, &outcome.answer);
        drop((turn, large));
        let renewed = renewed.map(|index| (who, index));
        Decided::Request { mailbox, id, log, outcome, renewed, window }
    }

    /// What comes of a renewal, and the index of its entry.
    fn renew(&mut self, who: &Identity, csr: &[u8], now: UnixMillis) -> (Outcome, Option<u64>) {
        let RenewalOutcome { answer, decided } = self.relay.renew(who, csr, now, &mut clock::rng());
        if let Err(fault) = &decided {
            tracing::warn!(name = %who.name, %fault, "no certificate is renewed");
        }
        (answer.map_or_else(Outcome::refused, Outcome::answer), decided.ok())
    }

    fn tell(&mut self, decided: Vec<Decided>, now: UnixMillis) -> Result<(), StoreError> {
        // First, so that who enrolled may come at once, and who was revoked is gone.
        let cut = self.announce(now)?;
        for decided in decided {
            match decided {
                Decided::Request { mailbox, id, outcome, renewed, window, .. } => {
                    self.answer(&mailbox, id, outcome, window);
                    if let Some((who, index)) = renewed {
                        self.public.console.show(&Event::Renewed { name: &who.name, index });
                    }
                }
                // A device that went away asks again.
                Decided::Enroll(outcome, reply) => drop(reply.send(outcome)),
                Decided::RevokeKeyOf(name, revoking, reply) => {
                    let revoked = revoking.map(|it| it.map(|it| self.revoked(&name, it, &cut)));
                    drop(reply.send(revoked));
                }
                Decided::Reset(name, reset, reply) => {
                    drop(reply.send(reset.map(|it| it.map(|it| self.freed(&name, it, &cut)))));
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

    /// Tells everybody of what the transparency log has more than before. Gives the keys that it
    /// revokes, each with the number of connections that are cut.
    fn announce(&mut self, now: UnixMillis) -> Result<Vec<(Fingerprint, usize)>, StoreError> {
        if self.relay.recorded() == self.known {
            return Ok(Vec::new());
        }
        let learned = self.public.members.learn(self.relay.store(), self.known)?;
        self.known = learned.next;
        self.public.herald.tell(self.relay.head(now));
        Ok(learned.cut)
    }

    fn revoked(&self, name: &Name, revoking: Revoking, cut: &[(Fingerprint, usize)]) -> KeyRevoked {
        let Revoking { key, index } = revoking;
        let cut =
            cut.iter().find(|(cut, _)| *cut == key).map_or(0, |(_, connections)| *connections);
        let connections = u32::try_from(cut).unwrap_or(u32::MAX);
        self.public.console.show(&Event::Revoked { name, index, connections });
        KeyRevoked { key, index, connections }
    }

    fn freed(&self, name: &Name, reset: Reset, cut: &[(Fingerprint, usize)]) -> Freed {
        let revoked = reset.revoking.map(|revoking| self.revoked(name, revoking, cut));
        self.public.console.show(&Event::Reset { name });
        Freed { revoked, invited: reset.invited }
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
                Self::Request { mailbox, id, log, outcome, renewed: None, window }
            }
            Self::Enroll(_, reply) => {
                let (answer, reason) = (Err(EnrollRefusal::Internal), error.clone().into());
                Self::Enroll(EnrollOutcome { answer, reason }, reply)
            }
            Self::Invite(_, reply) => Self::Invite(Err(error.clone()), reply),
            Self::Revoke(_, reply) => Self::Revoke(Err(error.clone()), reply),
            Self::RevokeKeyOf(name, _, reply) => Self::RevokeKeyOf(name, Err(error.clone()), reply),
            Self::Reset(name, _, reply) => Self::Reset(name, Err(error.clone()), reply),
            Self::DropOld(_, reply) => Self::DropOld(Err(error.clone()), reply),
            Self::Probe(_, reply) => Self::Probe(Err(error.clone()), reply),
        }
    }
}

#[cfg(test)]
mod tests;
