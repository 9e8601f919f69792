//! `openchat-server run`: one TCP port, one relay thread, one task a connection.
//!
//! A connection's way: [`connection`] → [`tls`] (who is it? [`verifier`]) → [`enrollment`] or
//! [`session`]. A session's requests go to the [`relay_thread`], its answers come back through its
//! [`mailbox`], and what others append through the [`feed`] of the log.

mod address;
mod admin;
pub(crate) mod certificate;
mod connection;
mod enrollment;
mod feed;
mod figures;
mod gate;
mod heads;
mod listener;
mod mailbox;
mod members;
mod phase;
mod presence;
mod readers;
mod refusal;
mod relay_thread;
mod reload;
mod renewal;
mod retention;
mod session;
mod tls;
mod verifier;
mod writer;

use crate::{
    cli::{Global, RunArgs},
    clock,
    config::{Config, Keep, Located},
    data_dir::{DataDir, file},
    failure::{Exit, Failure},
    hosts, keys,
    notify::{notify, watchdog},
    operator::{backup::manifest, settle},
    output::{Background, Console, Event, interrupt},
    passphrase::Passphrases,
    trace,
};
use address::Addresses;
use admin::{Admin, Operator, SocketFile};
use certificate::ServerIdentity;
use gate::Gate;
use heads::Herald;
use listener::Listener;
use members::Members;
use openchat_pki::CaCertificate;
use openchat_relay::{Keys, Relay, StoreError};
use openchat_store_sqlite::SqliteStore;
use phase::{Phase, PhaseSwitch, PhaseWatch};
use readers::Readers;
use relay_thread::{End, Job, Jobs, Public};
pub(crate) use reload::Changes;
use reload::Reloader;
use renewal::Renewal;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::crypto::aws_lc_rs;
use session::Sessions;
use std::{io, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tls::{Shown, Tls};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use verifier::Trust;

/// How long the sessions have to say goodbye when the server stops.
const GOODBYES: Duration = Duration::from_secs(4);

/// How long what was asked before may take to be decided and stored. A disk that takes longer hangs,
/// and the service manager would kill the server without a word.
const DECISIONS: Duration = Duration::from_secs(20);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    tls: Tls,
    gate: Gate,
    addresses: Arc<Addresses>,
    sessions: Arc<Sessions>,
    jobs: Jobs,
    readers: Readers,
    members: Arc<Members>,
    herald: Arc<Herald>,
    console: Console,
    phase: PhaseWatch,
    /// Quotas and retention, as the operator wants them now.
    keep: watch::Sender<Keep>,
}

/// Runs the server until a signal, or until it can't go on.
///
/// # Errors
/// Whatever keeps it from starting; later only a store that failed.
pub(crate) fn run(located: &Located, args: &RunArgs, global: &Global) -> Result<ExitCode, Failure> {
    let data = &located.data;
    let config = located.config(&args.settings)?;
    data.check()?;
    settle::settle(data)?;
    let from = config.passphrase_file.value.0.clone();
    let keys = keys::load(data, &Passphrases::of(located, from.as_deref(), global.no_input)?)?;
    // Before anything is changed: it is what keeps a second server out.
    let store = open_store(data)?;
    let screen = Background::spawn("console", io::stdout(), Console::lost(global.json))
        .map_err(|error| Failure::system("can't print", &error, "ulimit -u"))?;
    let console = Console::new(global.json, screen.lines());
    let trace = trace::start(global, config.log_format.value)?;
    let runtime = start_runtime()?;
    let start = Start { located, args, global, config, console: console.clone() };
    let outcome =
        runtime.block_on(async { start.server(keys, store).await?.until_stopped().await });
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

pub(crate) fn open_store(data: &DataDir) -> Result<SqliteStore, Failure> {
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
    reloader: Reloader,
    _socket: SocketFile,
}

/// What a server is started from.
struct Start<'a> {
    located: &'a Located,
    args: &'a RunArgs,
    global: &'a Global,
    config: Config,
    console: Console,
}

impl Start<'_> {
    /// Opens everything, the port for clients last but one: who connects is served.
    async fn server(self, keys: Keys, store: SqliteStore) -> Result<Running, Failure> {
        let (data, config) = (&self.located.data, &self.config);
        let signals = Signals::new()?;
        raise_file_limit();
        let listener = Listener::bind(config.listen.value, data)?;
        let configured = [config.hosts.value.clone(), hosts::load(data)?].concat();
        let address = hosts::advertised(listener.address(), &configured);
        let (admin_listener, socket) = admin::open(data)?;
        keys::store_statement(data, &keys.ca)?;
        let (ca, chain) = (keys.ca.ca().clone(), keys.ca.shown().to_vec());
        let ip = listener.address().ip();
        let renewal = Renewal::new(data, &keys.ca, configured, ip, &self.console);
        let identity = renewal.at_start(&keys.ca)?;

        let limits = &config.limits;
        let sessions = Sessions::new(limits.sessions_a_person.value, limits.into());
        let sessions = Arc::new(sessions);
        let members = Arc::new(Members::new(Arc::clone(&sessions)));
        let (herald, console) = (Arc::<Herald>::default(), self.console.clone());
        let public = Public { members: Arc::clone(&members), herald: Arc::clone(&herald), console };
        let (jobs, end) = start_relay(data, keys, store, public)?;
        let (keep, wanted) = watch::channel(config.keep.clone());
        tokio::spawn(retention::keep(jobs.clone(), wanted));
        let (tls, shown) = start_tls(&ca, &chain, &identity, Arc::clone(&members))?;
        let (phase, watch) = phase::new();
        let server = Arc::new(Server {
            tls,
            gate: Gate::new(limits.handshakes.value, limits.handshakes_an_address.value),
            addresses: Arc::new(Addresses::new(limits.connections_an_address.value)),
            sessions,
            jobs: jobs.clone(),
            readers: Readers::new(&data.join(file::DATABASE)),
            members,
            herald,
            console: self.console.clone(),
            phase: watch,
            keep,
        });
        let operator = self.operator(&server, &address, &ca, &shown)?;
        let figures = self.figures(&operator).await?;
        let admin = Admin::new(Arc::clone(&operator), data.owner()?);
        // Whoever comes from now on waits in the sockets until they are served, and is shown later.
        self.show_ready(&operator, &socket, figures);
        tokio::spawn(Arc::new(admin).serve(admin_listener));
        let (looks, looking) = mpsc::channel(1);
        tokio::spawn(renewal.keep(identity, shown, jobs.clone(), looking));
        tokio::spawn(stay_watched(jobs.clone()));
        let (alive, connected) = mpsc::channel(1);
        tokio::spawn(listener.serve(Arc::clone(&server), alive));
        let reloader = self.reloader(server, looks);
        let data = data.clone();
        Ok(Running { data, jobs, end, phase, connected, signals, reloader, _socket: socket })
    }

    fn operator(
        &self,
        server: &Arc<Server>,
        address: &str,
        ca: &CaCertificate,
        shown: &Arc<Shown>,
    ) -> Result<Arc<Operator>, Failure> {
        let data = &self.located.data;
        Ok(Arc::new(Operator {
            server: Arc::clone(server),
            address: address.to_owned(),
            ca: ca.clone(),
            shown: Arc::clone(shown),
            database: data.join(file::DATABASE),
            started: clock::now(),
            restored: manifest::restored(data)?,
        }))
    }

    /// Starts to serve figures, if that is wanted, and says where.
    async fn figures(&self, operator: &Arc<Operator>) -> Result<Option<SocketAddr>, Failure> {
        let Some(address) = self.config.metrics_listen.value.0 else { return Ok(None) };
        let (listener, address) = figures::open(address).await?;
        tokio::spawn(figures::serve(listener, Arc::clone(operator)));
        Ok(Some(address))
    }

    /// The first line is for programs that wait for it; what is worth knowing beside it follows.
    fn show_ready(&self, operator: &Operator, socket: &SocketFile, figures: Option<SocketAddr>) {
        let address = operator.address.as_str();
        self.console.show(&Event::Ready { address, admin: socket.path() });
        if let Some(made) = operator.restored {
            self.console.show(&Event::Restored { made });
        }
        if let Some(address) = figures {
            self.console.show(&Event::Figures { address });
        }
        notify(&format!("READY=1\nSTATUS=serving {address}\n"));
    }

    fn reloader(self, server: Arc<Server>, looks: mpsc::Sender<renewal::Look>) -> Reloader {
        Reloader {
            global: self.global.clone(),
            flags: self.args.settings.clone(),
            located: self.located.clone(),
            current: self.config,
            server,
            looks,
            console: self.console,
        }
    }
}

/// Tells the service manager that the relay still decides, for as long as it does.
async fn stay_watched(jobs: Jobs) {
    let Some(every) = watchdog() else { return };
    loop {
        sleep(every).await;
        if matches!(jobs.ask(Job::Probe).await, Some(Ok(()) | Err(StoreError::Full))) {
            notify("WATCHDOG=1\n");
        }
    }
}

impl Running {
    /// Waits for the end, and takes leave of everybody.
    async fn until_stopped(mut self) -> Result<(), Failure> {
        let outcome = loop {
            tokio::select! {
                wish = self.signals.next() => match wish {
                    Wish::Reload => self.reload().await,
                    Wish::Stop => break self.drain().await,
                },
                ended = &mut self.end => break Err(self.relay_ended(ended.ok())),
            }
        };
        self.phase.enter(Phase::Closing);
        // Whoever takes longer misses the goodbye.
        let _ = timeout(GOODBYES, self.connected.recv()).await;
        outcome
    }

    async fn reload(&mut self) {
        notify("RELOADING=1\n");
        self.reloader.reload().await;
        notify("READY=1\n");
    }

    /// Nobody is accepted or heard any more; what was asked before is decided and stored.
    async fn drain(&mut self) -> Result<(), Failure> {
        notify("STOPPING=1\nSTATUS=storing what was accepted\n");
        self.phase.enter(Phase::Draining);
        let decided = async {
            self.jobs.put(Job::Stop).await;
            (&mut self.end).await
        };
        match timeout(DECISIONS, decided).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(ended) => Err(self.relay_ended(ended.ok())),
            Err(_) => Err(self.hangs()),
        }
    }

    fn hangs(&self) -> Failure {
        let message = format!(
            "the disk did not store within {} s what was accepted; nobody was told that it did",
            DECISIONS.as_secs()
        );
        let hint = format!("look at the disk, then {}", self.data.command("run"));
        Failure::new(Exit::Failure, "store", message, hint)
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
    public: Public,
) -> Result<(Jobs, End), Failure> {
    let relay = Relay::open(store, keys).map_err(|error| unusable(data, &error))?;
    let learned = public.members.learn(relay.store(), 0).map_err(|error| unusable(data, &error))?;
    relay_thread::spawn(relay, public, learned.next)
        .map_err(|error| Failure::system("can't start the relay", &error, "ulimit -u"))
}

fn start_tls(
    ca: &CaCertificate,
    chain: &[Vec<u8>],
    identity: &ServerIdentity,
    members: Arc<Members>,
) -> Result<(Tls, Arc<Shown>), Failure> {
    let no_tls = |error: rustls::Error| {
        Failure::config("tls", format!("TLS can't be set up: {error}"), "restore your backup")
    };
    let shown = Arc::new(Shown::new(identity, chain).map_err(no_tls)?);
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

/// What the operator says by signals.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Reload,
    Stop,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::system("can't hear signals", &error, "ulimit -a"))
        };
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// The next wish. After that to stop, Ctrl-C ends the process at once.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => return Wish::Reload,
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        if let Ok(mut again) = signal(SignalKind::interrupt()) {
            tokio::spawn(async move {
                again.recv().await;
                interrupt();
            });
        }
        Wish::Stop
    }
}
