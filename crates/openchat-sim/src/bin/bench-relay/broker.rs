//! What the brokers have in common for the load: how to subscribe, publish and tell deliveries
//! apart, as bytes.

use crate::{
    floor, mqtt, nats,
    ours::{self, Group, Members},
    people::{Stage, connect, upgrade},
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::client::TlsStream;

/// Bytes of a payload; the first eight are the moment at which it was sent.
pub(crate) const PAYLOAD: usize = 300;

pub(crate) type Stream = TlsStream<TcpStream>;

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Floor,
    Nats,
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

/// Something found in what a receiver was sent.
pub(crate) enum Found {
    /// A payload's moment; the bytes it took; what the receiver has to answer.
    Delivery { sent: u64, used: usize, reply: Option<Vec<u8>> },
    /// Something else.
    Other { used: usize, reply: Option<Vec<u8>> },
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

    /// nats-server, if it is installed.
    pub(crate) fn nats(stage: &Stage) -> Option<Self> {
        Self::program(Kind::Nats, "nats-server", |place, port| nats::config(stage, place, port))
    }

    /// mosquitto, if it is installed.
    pub(crate) fn mosquitto(stage: &Stage) -> Option<Self> {
        let config = |place: &PathBuf, port| mqtt::config(stage, place, port);
        Self::program(Kind::Mosquitto, "mosquitto", config)
    }

    fn program(
        kind: Kind,
        name: &str,
        config: impl FnOnce(&PathBuf, u16) -> String,
    ) -> Option<Self> {
        let place = tempfile::tempdir().expect("a place");
        let port = free_port();
        let file = place.path().join("config");
        std::fs::write(&file, config(&place.path().to_owned(), port)).expect("a config");
        let path = ["/usr/sbin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(name));
        let program = path.into_iter().find(|path| path.exists())?;
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
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let log =
            self.place.as_ref().map(|place| std::fs::read_to_string(place.path().join("log")));
        panic!("{} did not come up: {log:?}", self.name());
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Ours => "openchat (synced)",
            Kind::Floor => "floor",
            Kind::Nats => "nats-server core",
            Kind::Mosquitto => "mosquitto QoS 1",
        }
    }

    /// The process whose memory counts.
    pub(crate) fn pid(&self, stage: &Stage) -> u32 {
        self.process.as_ref().map_or_else(|| stage.server.pid(), Child::id)
    }

    /// A connection as somebody, ready for use.
    pub(crate) async fn connect(&self, stage: &Stage, who: usize) -> Stream {
        match self.kind {
            Kind::Ours => {
                connect(&stage.tls(who, Some(openchat_wire::relay::ALPN)), self.address).await
            }
            Kind::Floor => connect(&stage.tls(who, None), self.address).await,
            Kind::Nats => {
                let mut plain = TcpStream::connect(self.address).await.expect("nats listens");
                // NATS says INFO before TLS begins.
                while plain.read_u8().await.expect("INFO") != b'\n' {}
                let mut stream = upgrade(&stage.tls(who, None), plain).await;
                nats::greet(&mut stream).await;
                stream
            }
            Kind::Mosquitto => {
                let mut stream = connect(&stage.tls(who, None), self.address).await;
                mqtt::greet(&mut stream, who).await;
                stream
            }
        }
    }

    /// Somewhere to publish that the first `members` people may use.
    pub(crate) async fn topic(&self, stage: &Stage, members: Members) -> Topic {
        match self.kind {
            Kind::Ours => Topic::Ours(Group::create(self, stage, members).await),
            _ => Topic::Named(format!("t{}", crate::work::now())),
        }
    }

    /// Waits until the subscription stands.
    pub(crate) async fn subscribe(&self, stream: &mut Stream, topic: &Topic) {
        match topic {
            Topic::Ours(group) => ours::subscribe(stream, group).await,
            Topic::Named(name) if self.kind == Kind::Nats => nats::subscribe(stream, name).await,
            Topic::Named(name) if self.kind == Kind::Mosquitto => {
                mqtt::subscribe(stream, name).await;
            }
            Topic::Named(_) => floor::subscribe(stream).await,
        }
    }

    /// What publishes a payload.
    pub(crate) fn publish(&self, topic: &Topic, payload: &[u8; PAYLOAD], number: u32) -> Vec<u8> {
        match topic {
            Topic::Ours(group) => group.append(payload, number),
            Topic::Named(name) if self.kind == Kind::Nats => nats::publish(name, payload),
            Topic::Named(name) if self.kind == Kind::Mosquitto => {
                mqtt::publish(name, payload, number)
            }
            Topic::Named(_) => payload.to_vec(),
        }
    }
}

impl Kind {
    /// The first thing in what a receiver was sent, if all of it is there.
    pub(crate) fn find(self, bytes: &[u8]) -> Option<Found> {
        match self {
            Self::Ours => ours::find(bytes),
            Self::Floor => floor::find(bytes),
            Self::Nats => nats::find(bytes),
            Self::Mosquitto => mqtt::find(bytes),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The moment that a payload begins with.
pub(crate) fn moment(payload: &[u8]) -> u64 {
    payload.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
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
