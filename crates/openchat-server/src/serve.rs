//! `openchat-server run`: one TCP port, one relay thread, one task a connection.
//!
//! A connection's way: [`connection`] → [`tls`] (who is it? [`verifier`]) → [`enrollment`] or
//! [`session`]. A session's requests go to the [`relay_thread`], its answers come back through its
//! [`mailbox`], and what others append through the [`feed`] of the log.

mod admin;
pub(crate) mod certificate;
mod connection;
mod enrollment;
mod feed;
mod gate;
mod listener;
mod mailbox;
mod members;
mod phase;
mod readers;
mod refusal;
mod relay_thread;
mod renewal;
mod session;
mod tls;
mod verifier;
mod writer;

use crate::{
    cli::{Global, RunArgs},
    clock,
    data_dir::{DataDir, file},
    failure::{Exit, Failure},
    hosts, keys,
    output::{Background, Console, Event, interrupt},
    trace,
};
use admin::{Admin, SocketFile};
use certificate::ServerIdentity;
use gate::Gate;
use listener::Listener;
use members::Members;
use openchat_pki::CaCertificate;
use openchat_relay::{Keys, Relay, StoreError};
use openchat_store_sqlite::SqliteStore;
use openchat_wire::{UnixMillis, limits::MAX_HANDSHAKES};
use phase::{Phase, PhaseSwitch, PhaseWatch};
use readers::Readers;
use relay_thread::{End, Job, Jobs};
use renewal::Renewal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::crypto::aws_lc_rs;
use session::Sessions;
use std::{io, process::ExitCode, sync::Arc, time::Duration};
use tls::{Shown, Tls};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::timeout,
};
use verifier::Trust;

/// How long the sessions have to say goodbye when the server stops.
const GOODBYES: Duration = Duration::from_secs(4);

/// How long before its end the trace reminds of the CA's.
const CA_WARNING: Duration = Duration::from_hours(365 * 24);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    tls: Tls,
    gate: Gate,
    sessions: Sessions,
    jobs: Jobs,
    readers: Readers,
    console: Console,
    phase: PhaseWatch,
}

/// Runs the server until a signal, or until it can't go on.
///
/// # Errors
/// Whatever keeps it from starting; later only a store that failed.
pub(crate) fn run(data: &DataDir, args: &RunArgs, global: &Global) -> Result<ExitCode, Failure> {
    data.check()?;
    let keys = keys::load(data)?;
    // Before anything is changed: it is what keeps a second server out.
    let store = open_store(data)?;
    let screen = Background::spawn("console", io::stdout(), Console::lost(global.json))
        .map_err(|error| Failure::system("can't print", &error, "ulimit -u"))?;
    let console = Console::new(global.json, screen.lines());
    let trace = trace::start(global, args.log_format)?;
    let runtime = start_runtime()?;
    let outcome = runtime.block_on(async {
        Running::start(data, args, keys, store, console.clone()).await?.until_stopped().await
    });
    // Only reads of the store can still be under way, for sessions that are gone.
    runtime.shutdown_background();
    if outcome.is_ok() {
        console.show(&Event::Stopped);
    }
    screen.finish();
    trace.finish();
    outcome.map(|()| ExitCode::SUCCESS)
}

fn start_runtime() -> Result<Runtime, Failure> {
    let built = runtime::Builder::new_multi_thread().thread_name("network").enable_all().build();
    built.map_err(|error| Failure::system("can't start", &error, "ulimit -a"))
}

fn open_store(data: &DataDir) -> Result<SqliteStore, Failure> {
    SqliteStore::open(&data.join(file::DATABASE)).map_err(|error| unusable(data, &error))
}

fn unusable(data: &DataDir, error: &StoreError) -> Failure {
    let path = data.join(file::DATABASE);
    if matches!(error, StoreError::InUse(_)) {
        let message = format!("another server runs on {}", data.path().display());
        return Failure::config("in_use", message, "stop it first, or choose another --data DIR");
    }
    let message = format!("the database {} can't be used: {error}", path.display());
    Failure::config("store", message, "look at the disk, or restore your backup")
}

/// A server that accepts connections.
struct Running {
    data: DataDir,
    jobs: Jobs,
    end: End,
    phase: PhaseSwitch,
    /// Ends when nobody is connected any more.
    connected: mpsc::Receiver<()>,
    signals: Signals,
    _socket: SocketFile,
}

impl Running {
    async fn start(
        data: &DataDir,
        args: &RunArgs,
        keys: Keys,
        store: SqliteStore,
        console: Console,
    ) -> Result<Self, Failure> {
        let signals = Signals::new()?;
        raise_file_limit();
        let listener = Listener::bind(args.listen, data).await?;
        let configured = [args.host.clone(), hosts::load(data)?].concat();
        let address = hosts::advertised(listener.address(), &configured);
        let (admin_listener, socket) = admin::open(data)?;
        let ca = keys.ca.ca().clone();
        let renewal = Renewal::new(data, &keys.ca, configured, listener.address().ip());
        let identity = renewal.at_start(&keys.ca)?;

        let members = Arc::new(Members::default());
        let (jobs, end) = start_relay(data, keys, store, &members)?;
        let (tls, shown) = start_tls(&ca, &identity, members)?;
        let (phase, watch) = phase::new();
        let server = Server {
            tls,
            gate: Gate::new(MAX_HANDSHAKES),
            sessions: Sessions::default(),
            jobs: jobs.clone(),
            readers: Readers::new(&data.join(file::DATABASE)),
            console: console.clone(),
            phase: watch,
        };
        let admin = Admin::new(jobs.clone(), address.clone(), &ca, data.owner()?);
        tokio::spawn(Arc::new(admin).serve(admin_listener));
        tokio::spawn(renewal.hourly(identity, shown, jobs.clone()));
        let (alive, connected) = mpsc::channel(1);
        tokio::spawn(listener.serve(Arc::new(server), alive));
        console.show(&Event::Ready { address: &address, admin: socket.path() });
        warn_of_end(ca.not_after());
        Ok(Self { data: data.clone(), jobs, end, phase, connected, signals, _socket: socket })
    }

    /// Waits for the end, and takes leave of everybody.
    async fn until_stopped(mut self) -> Result<(), Failure> {
        let outcome = tokio::select! {
            () = self.signals.first() => self.drain().await,
            ended = &mut self.end => Err(self.relay_ended(ended.ok())),
        };
        self.phase.enter(Phase::Closing);
        // Whoever takes longer misses the goodbye.
        let _ = timeout(GOODBYES, self.connected.recv()).await;
        outcome
    }

    /// Nobody is accepted or heard any more; what was asked before is decided and stored.
    async fn drain(&mut self) -> Result<(), Failure> {
        self.phase.enter(Phase::Draining);
        self.jobs.put(Job::Stop).await;
        match (&mut self.end).await {
            Ok(Ok(())) => Ok(()),
            ended => Err(self.relay_ended(ended.ok())),
        }
    }

    fn relay_ended(&self, ended: Option<Result<(), StoreError>>) -> Failure {
        let why = match ended {
            Some(Err(error)) => error.to_string(),
            Some(Ok(())) | None => "the relay thread ended by itself".to_owned(),
        };
        tracing::error!(why, "the server can't go on");
        let message =
            format!("the server can't be sure of what is on the disk, and stopped: {why}");
        Failure::new(Exit::Failure, "store", message, self.data.command("run"))
    }
}

fn start_relay(
    data: &DataDir,
    keys: Keys,
    store: SqliteStore,
    members: &Arc<Members>,
) -> Result<(Jobs, End), Failure> {
    let relay = Relay::open(store, keys).map_err(|error| unusable(data, &error))?;
    let known = members.learn(relay.store(), 0).map_err(|error| unusable(data, &error))?;
    relay_thread::spawn(relay, Arc::clone(members), known)
        .map_err(|error| Failure::system("can't start the relay", &error, "ulimit -u"))
}

fn start_tls(
    ca: &CaCertificate,
    identity: &ServerIdentity,
    members: Arc<Members>,
) -> Result<(Tls, Arc<Shown>), Failure> {
    let no_tls = |error: rustls::Error| {
        Failure::config("tls", format!("TLS can't be set up: {error}"), "restore your backup")
    };
    let shown = Arc::new(Shown::new(identity, ca.der()).map_err(no_tls)?);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let trust = Arc::new(Trust { ca: ca.clone(), members, algorithms });
    let tls = Tls::new(provider, trust, shown.clone()).map_err(no_tls)?;
    Ok((tls, shown))
}

/// A connection is an open file, and many systems allow a process 1,024 of them unless it asks.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, ?limit, "the limit of open files stays");
    }
}

/// Nobody renews a CA by itself, so its end has to be known long before.
fn warn_of_end(not_after: UnixMillis) {
    if not_after <= clock::now().after(CA_WARNING) {
        tracing::warn!(seconds = not_after.seconds(), "the CA's certificate ends within a year");
    }
}

/// What the operator says by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::system("can't hear signals", &error, "ulimit -a"))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Returns at SIGTERM or Ctrl-C. From then on Ctrl-C ends the process at once.
    async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        if let Ok(mut again) = signal(SignalKind::interrupt()) {
            tokio::spawn(async move {
                again.recv().await;
                interrupt();
            });
        }
    }
}
