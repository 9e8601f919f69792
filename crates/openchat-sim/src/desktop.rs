//! A desktop without a screen: a session bus of its own, a service that takes notifications, and the
//! keyring of GNOME.

use crate::PATIENCE;
use dbus::{
    Message,
    arg::PropMap,
    blocking::Connection,
    channel::{Channel, MatchingReceiver, Sender as _},
    message::MatchRule,
};
use std::{
    collections::HashMap,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
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

const KEYRING: &str = "org.freedesktop.secrets";

/// What a call of ours may take.
const CALL: Duration = Duration::from_secs(25);

/// Between two looks at whether the service is still wanted.
const TURN: Duration = Duration::from_millis(50);

/// A desktop's session bus.
#[derive(Debug)]
pub struct Desktop {
    place: TempDir,
    bus: Child,
    keyring: Option<Child>,
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
        Self { place, bus, keyring: None, address, over: Arc::default(), service: None }
    }

    /// The variable that leads programs here.
    #[must_use]
    pub fn environment(&self) -> [(String, OsString); 1] {
        [("DBUS_SESSION_BUS_ADDRESS".to_owned(), OsString::from(&self.address))]
    }

    fn connect(&self) -> Connection {
        let mut channel_to_bus = Channel::open_private(&self.address).expect("the bus");
        channel_to_bus.register().expect("the bus takes us");
        Connection::from(channel_to_bus)
    }

    /// Starts a keyring, and opens it; what an earlier one of this desktop kept is in it.
    ///
    /// # Panics
    /// If there is no `gnome-keyring-daemon`.
    pub fn log_in(&mut self) {
        self.start_keyring(&["--unlock"]);
    }

    /// Starts a keyring that nobody opens.
    pub fn start_locked(&mut self) {
        self.start_keyring(&[]);
    }

    /// Ends the keyring, as the end of a session does.
    pub fn log_out(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            // It may have ended already.
            let _ = keyring.kill();
            let _ = keyring.wait();
        }
        self.until_keyring(false);
    }

    /// How many keys of vaults are in the keyring.
    ///
    /// # Panics
    /// If it does not tell.
    #[must_use]
    pub fn keys(&self) -> usize {
        type Found = (Vec<dbus::Path<'static>>, Vec<dbus::Path<'static>>);
        let connection = self.connect();
        let service = connection.with_proxy(KEYRING, "/org/freedesktop/secrets", CALL);
        let wanted = HashMap::from([("application", "openchat")]);
        let (open, locked): Found = service
            .method_call("org.freedesktop.Secret.Service", "SearchItems", (wanted,))
            .expect("the keyring answers");
        open.len() + locked.len()
    }

    fn start_keyring(&mut self, options: &[&str]) {
        let place = self.place.path();
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(options);
        command.env("DBUS_SESSION_BUS_ADDRESS", &self.address).env("HOME", place);
        command.env("XDG_DATA_HOME", place).env("XDG_RUNTIME_DIR", place);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keyring = command.spawn();
        let mut keyring = keyring.expect("the keyring is there: scripts/prerequisites installs it");
        // The passphrase is what comes up to the end.
        let written = keyring.stdin.take().expect("its stdin").write_all(b"passphrase");
        assert!(written.is_ok() || options.is_empty(), "{written:?}");
        self.keyring = Some(keyring);
        self.until_keyring(true);
    }

    fn until_keyring(&self, is_there: bool) {
        let connection = self.connect();
        let bus = connection.with_proxy("org.freedesktop.DBus", "/org/freedesktop/DBus", CALL);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (owned,): (bool,) = bus
                .method_call("org.freedesktop.DBus", "NameHasOwner", (KEYRING,))
                .expect("the bus answers");
            if owned == is_there {
                return;
            }
            assert!(Instant::now() < deadline, "waited for the keyring to come or go");
            thread::sleep(TURN);
        }
    }

    /// Serves notifications from now on, with these abilities; gives what is shown.
    ///
    /// # Panics
    /// If the bus does not let it.
    pub fn serve(&mut self, abilities: &[&str]) -> Receiver<Shown> {
        let connection = self.connect();
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
        for child in self.keyring.iter_mut().chain([&mut self.bus]) {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
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
