//! What the brokers have in common for the load: how to subscribe, publish and tell deliveries
//! apart, as bytes.

use crate::{
    floor, mqtt, nats,
    ours::{self, Group, Members},
    stage::{Stage, connect, upgrade},
};
use openchat_wire::relay::{Answer, Request};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::client::TlsStream;

/// Bytes of a payload.
pub(crate) const PAYLOAD: usize = 300;

pub(crate) type Stream = TlsStream<TcpStream>;

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Floor,
    Nats,
    JetStream,
    Mosquitto,
}

/// A broker that runs.
pub(crate) struct Broker {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// Its process; ours is the stage's own.
    process: Option<Child>,
    place: Option<TempDir>,
}

/// The first thing in what a client was sent.
pub(crate) struct Found<'a> {
    pub(crate) what: What<'a>,
    /// The bytes it took.
    pub(crate) used: usize,
    /// What the client has to answer.
    pub(crate) reply: Option<Vec<u8>>,
}

/// What a client can be sent.
pub(crate) enum What<'a> {
    /// A payload.
    Delivery(&'a [u8]),
    /// The message of this number is taken.
    Ack(u32),
    /// The broker does not want to, and says why.
    Refused(String),
    Other,
}

/// What a client says to begin and to publish.
pub(crate) enum Topic {
    Ours(Group),
    Named(String),
}

impl Broker {
    pub(crate) fn ours(stage: &Stage) -> Self {
        Self { kind: Kind::Ours, address: stage.address(), process: None, place: None }
    }

    pub(crate) fn floor(stage: &Stage) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .arg("floor-server")
            .arg(stage.server.data())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor starts");
        let port = first_line(&mut process);
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
        Self { kind: Kind::Floor, address, process: Some(process), place: None }
    }

    /// nats-server, if it is installed: in memory, or with its log on the disk.
    pub(crate) fn nats(stage: &Stage, kind: Kind) -> Option<Self> {
        let config = |place: &Path, port| nats::config(stage, place, port, kind == Kind::JetStream);
        Self::program(stage, kind, "nats-server", config)
    }

    /// mosquitto, if it is installed.
    pub(crate) fn mosquitto(stage: &Stage) -> Option<Self> {
        let config = |_: &Path, port| mqtt::config(stage, port);
        Self::program(stage, Kind::Mosquitto, "mosquitto", config)
    }

    /// A program of Debian's, in a place on the same disk as our server's.
    fn program(
        stage: &Stage,
        kind: Kind,
        name: &str,
        config: impl FnOnce(&Path, u16) -> String,
    ) -> Option<Self> {
        let path = ["/usr/sbin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
        let program = path.into_iter().find(|path| path.exists())?;
        let place = tempfile::tempdir_in(stage.server.place()).expect("a place");
        let port = free_port();
        let file = place.path().join("config");
        std::fs::write(&file, config(place.path(), port)).expect("a config");
        let mut command = Command::new(program);
        let log = std::fs::File::create(place.path().join("log")).expect("a log");
        command.arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Some(command.spawn().expect("it starts"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let broker = Self { kind, address, process, place: Some(place) };
        broker.wait();
        Some(broker)
    }

    /// Until it listens.
    fn wait(&self) {
        for _ in 0..200 {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log =
            self.place.as_ref().map(|place| std::fs::read_to_string(place.path().join("log")));
        panic!("{} did not come up: {log:?}", self.kind.side());
    }

    /// The process whose memory and time count.
    pub(crate) fn pid(&self, stage: &Stage) -> u32 {
        self.process.as_ref().map_or_else(|| stage.server.pid(), Child::id)
    }

    /// Bytes that it has stored, if it stores.
    pub(crate) fn stored(&self, stage: &Stage) -> Option<u64> {
        match self.kind {
            Kind::Ours => Some(stage.database_bytes()),
            Kind::JetStream => {
                let files = openchat_sim::files_below(self.place.as_ref()?.path());
                let sizes = files.iter().filter_map(|file| file.metadata().ok());
                Some(sizes.map(|file| file.len()).sum())
            }
            Kind::Floor | Kind::Nats | Kind::Mosquitto => None,
        }
    }

    /// A connection as somebody, after one round trip on it.
    pub(crate) async fn connect(&self, stage: &Stage, who: usize) -> Stream {
        match self.kind {
            Kind::Ours => {
                let mut stream = connect(stage.messenger(who), self.address).await;
                self.ping(&mut stream).await;
                stream
            }
            Kind::Floor => {
                let mut stream = connect(stage.plain(who), self.address).await;
                self.ping(&mut stream).await;
                stream
            }
            Kind::Nats | Kind::JetStream => {
                let mut tcp = TcpStream::connect(self.address).await.expect("nats listens");
                // NATS says INFO before TLS begins.
                while tcp.read_u8().await.expect("INFO") != b'\n' {}
                let mut stream = upgrade(stage.plain(who), tcp).await;
                nats::greet(&mut stream).await;
                stream
            }
            Kind::Mosquitto => {
                let mut stream = connect(stage.plain(who), self.address).await;
                mqtt::greet(&mut stream, who).await;
                stream
            }
        }
    }

    /// A round trip on a connection that is sent nothing else.
    pub(crate) async fn ping(&self, stream: &mut Stream) {
        match self.kind {
            Kind::Ours => assert_eq!(ours::ask(stream, Request::Ping).await, Answer::Done),
            Kind::Floor => floor::ping(stream).await,
            Kind::Nats | Kind::JetStream => nats::ping(stream).await,
            Kind::Mosquitto => mqtt::ping(stream).await,
        }
    }

    /// Somewhere to publish that these people may use.
    pub(crate) async fn topic(&self, stage: &Stage, members: Members) -> Topic {
        let name = || format!("t{}", crate::load::now());
        match self.kind {
            Kind::Ours => Topic::Ours(Group::create(self, stage, members).await),
            Kind::JetStream => {
                let name = name();
                nats::create_stream(&mut self.connect(stage, members.first).await, &name).await;
                Topic::Named(name)
            }
            Kind::Floor | Kind::Nats | Kind::Mosquitto => Topic::Named(name()),
        }
    }

    /// Waits until the subscription stands.
    pub(crate) async fn subscribe(&self, stream: &mut Stream, topic: &Topic, who: usize) {
        match (topic, self.kind) {
            (Topic::Ours(group), _) => ours::subscribe(stream, group).await,
            (Topic::Named(name), Kind::Nats) => nats::subscribe(stream, name).await,
            (Topic::Named(name), Kind::JetStream) => nats::consume(stream, name, who).await,
            (Topic::Named(name), Kind::Mosquitto) => mqtt::subscribe(stream, name).await,
            (Topic::Named(name), Kind::Floor | Kind::Ours) => floor::subscribe(stream, name).await,
        }
    }

    /// What somebody says before publishing.
    pub(crate) async fn announce(&self, stream: &mut Stream, topic: &Topic) {
        match (topic, self.kind) {
            (Topic::Named(name), Kind::JetStream) => nats::expect_acks(stream, name).await,
            (Topic::Named(name), Kind::Floor) => floor::announce(stream, name).await,
            _ => {}
        }
    }
}

impl Topic {
    /// What publishes a payload.
    pub(crate) fn publish(&self, kind: Kind, payload: &[u8; PAYLOAD], number: u32) -> Vec<u8> {
        match (self, kind) {
            (Self::Ours(group), _) => group.append(payload, number),
            (Self::Named(name), Kind::Nats) => nats::publish(name, payload, None),
            (Self::Named(name), Kind::JetStream) => nats::publish(name, payload, Some(number)),
            (Self::Named(name), Kind::Mosquitto) => mqtt::publish(name, payload, number),
            (Self::Named(_), Kind::Floor | Kind::Ours) => payload.to_vec(),
        }
    }
}

impl Kind {
    /// Its name in the figures.
    pub(crate) const fn side(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Nats => "nats core",
            // Debian's version knows no other way.
            Self::JetStream => "nats jetstream (fsync every 2 min)",
            Self::Mosquitto => "mosquitto QoS 1",
        }
    }

    /// Whether it tells a sender that it has a message.
    pub(crate) const fn acks(self) -> bool {
        matches!(self, Self::Ours | Self::JetStream | Self::Mosquitto)
    }

    /// The first thing in what a client was sent, if all of it is there.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<Found<'_>> {
        match self {
            Self::Ours => ours::find(bytes),
            Self::Floor => floor::find(bytes),
            Self::Nats | Self::JetStream => nats::find(bytes),
            Self::Mosquitto => mqtt::find(bytes),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself; then there is nothing to stop.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn first_line(process: &mut Child) -> String {
    use std::io::BufRead;
    let stdout = process.stdout.take().expect("stdout is piped");
    let mut line = String::new();
    std::io::BufReader::new(stdout).read_line(&mut line).expect("a line");
    line.trim().to_owned()
}
