//! A desktop without a screen: a session bus of its own, and a service that takes notifications.

use crate::PATIENCE;
use dbus::{
    Message,
    arg::PropMap,
    blocking::Connection,
    channel::{Channel, MatchingReceiver, Sender as _},
    message::MatchRule,
};
use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;

/// A bus that starts nothing by itself: what this machine has installed plays no part.
const BUS: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:dir=PLACE</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

const SERVICE: &str = "org.freedesktop.Notifications";

/// Between two looks at whether the service is still wanted.
const TURN: Duration = Duration::from_millis(50);

/// A desktop's session bus.
#[derive(Debug)]
pub struct Desktop {
    _place: TempDir,
    bus: Child,
    address: String,
    over: Arc<AtomicBool>,
    service: Option<JoinHandle<()>>,
}

/// What the service was told to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Who tells it.
    pub app: String,
    /// The first line.
    pub title: String,
    /// What is below it.
    pub body: String,
}

impl Desktop {
    /// Starts a bus on which nobody is.
    ///
    /// # Panics
    /// If there is no `dbus-daemon`.
    #[must_use]
    pub fn start() -> Self {
        let place = tempfile::Builder::new().prefix("openchat-bus-").tempdir().expect("a place");
        let config = place.path().join("bus.conf");
        let text = BUS.replace("PLACE", &place.path().to_string_lossy());
        fs::write(&config, text).expect("the bus's configuration");
        let mut command = Command::new("dbus-daemon");
        command.arg("--config-file").arg(&config).args(["--nofork", "--print-address=1"]);
        let bus = command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut bus = bus.expect("dbus-daemon is there: scripts/prerequisites installs it");
        let mut address = String::new();
        let stdout = bus.stdout.take().expect("its stdout");
        BufReader::new(stdout).read_line(&mut address).expect("the bus's address");
        let address = address.trim().to_owned();
        Self { _place: place, bus, address, over: Arc::default(), service: None }
    }

    /// The variable that leads programs here.
    #[must_use]
    pub fn environment(&self) -> [(String, OsString); 1] {
        [("DBUS_SESSION_BUS_ADDRESS".to_owned(), OsString::from(&self.address))]
    }

    /// Serves notifications from now on, with these abilities; gives what is shown.
    ///
    /// # Panics
    /// If the bus does not let it.
    pub fn serve(&mut self, abilities: &[&str]) -> Receiver<Shown> {
        let mut channel_to_bus = Channel::open_private(&self.address).expect("the bus");
        channel_to_bus.register().expect("the bus takes us");
        let connection = Connection::from(channel_to_bus);
        connection.request_name(SERVICE, false, true, true).expect("the service's name");
        let (sender, shown) = channel();
        let abilities: Vec<String> = abilities.iter().map(|one| (*one).to_owned()).collect();
        let answer = move |call: Message, connection: &Connection| {
            let reply = match call.member().as_deref() {
                Some("GetCapabilities") => call.method_return().append1(&abilities),
                Some("Notify") => {
                    // Nobody may be interested any more.
                    let _ = sender.send(told(&call));
                    call.method_return().append1(1_u32)
                }
                other => panic!("the service was asked for {other:?}"),
            };
            connection.send(reply).expect("the answer goes out");
            true
        };
        let calls = MatchRule::new_method_call().with_interface(SERVICE);
        connection.start_receive(calls, Box::new(answer));
        let over = Arc::clone(&self.over);
        self.service = Some(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                connection.process(TURN).expect("the bus");
            }
        }));
        shown
    }
}

/// `Notify`'s arguments: application, the one it replaces, icon, title, body, actions, hints, time.
fn told(call: &Message) -> Shown {
    let mut arguments = call.iter_init();
    let mut text = || arguments.read::<String>().expect("a text");
    let app = text();
    let _: u32 = arguments.read().expect("a number");
    let mut text = || arguments.read::<String>().expect("a text");
    let (_icon, title, body) = (text(), text(), text());
    let _: Vec<String> = arguments.read().expect("actions");
    let _: PropMap = arguments.read().expect("hints");
    let _: i32 = arguments.read().expect("a time");
    Shown { app, title, body }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(service) = self.service.take() {
            // Its panic has failed the test already.
            let _ = service.join();
        }
        // It may have ended already.
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

impl Shown {
    /// Waits for the next one.
    ///
    /// # Panics
    /// If none comes.
    #[must_use]
    pub fn next(of: &Receiver<Self>) -> Self {
        of.recv_timeout(PATIENCE).expect("a notification")
    }
}
