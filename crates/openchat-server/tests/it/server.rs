//! `openchat-server` as a process.

use crate::tls::Device;
use openchat_crypto::IdentityKey;
use openchat_pki::{CaCertificate, certification_request};
use openchat_wire::{
    Digest, Name,
    admin::{AdminAnswer, AdminRequest},
    enroll::{EnrollAnswer, EnrollRequest},
    frame::{FrameDecoder, to_frame},
    invitation::Invitation,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Everything here is a matter of milliseconds, but test machines are not always quick.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that nobody has made a CA in yet, inside one with a space in its name.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("server test ").tempdir().unwrap())
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// The program over this directory, without a word about the one who runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openchat-server"));
        command.env_clear().env("OPENCHAT_SERVER_HOME", self.data()).args(arguments);
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn init(&self) {
        let output = self.output(&["init-ca", "--org", "Test"]);
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn certificate(&self, file: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.data().join(file)).unwrap()
    }

    pub(crate) fn key(&self, file: &str) -> IdentityKey {
        let key = PrivatePkcs8KeyDer::from_pem_file(self.data().join(file)).unwrap();
        IdentityKey::from_pkcs8(key.secret_pkcs8_der()).unwrap()
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) place: Place,
    /// `ADDRESS:PORT` as its first line says.
    pub(crate) address: String,
    process: Child,
    console: Arc<Console>,
}

#[derive(Default)]
struct Console {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Server {
    pub(crate) fn start() -> Self {
        let place = Place::new();
        place.init();
        Self::run(place, &[])
    }

    /// Runs it on a free port, with further arguments.
    pub(crate) fn run(place: Place, arguments: &[&str]) -> Self {
        Self::run_with(place, arguments, &[])
    }

    /// The same, with further variables in its environment.
    pub(crate) fn run_with(place: Place, arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let verbose = if arguments.contains(&"-vvv") { &["run"][..] } else { &["run", "-v"] };
        let mut process = place
            .command(verbose)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(place.0.path().join("trace")).unwrap())
            .spawn()
            .unwrap();
        let stdout = process.stdout.take().unwrap();
        let console = Arc::new(Console::default());
        let reader = Arc::clone(&console);
        thread::spawn(move || reader.read(stdout));
        let mut server = Self { place, address: String::new(), process, console };
        if arguments.contains(&"--json") {
            let ready: serde_json::Value = serde_json::from_str(&server.line("{")).unwrap();
            ready["address"].as_str().unwrap().clone_into(&mut server.address);
        } else {
            let ready = server.line("ready  ");
            ready.split("  ").nth(1).unwrap().clone_into(&mut server.address);
        }
        server
    }

    /// The first line of the console that begins so; waits for it.
    pub(crate) fn line(&self, start: &str) -> String {
        self.lines(start, 1).remove(0)
    }

    /// All lines that begin so, at least `count` of them; waits for them.
    pub(crate) fn lines(&self, start: &str, count: usize) -> Vec<String> {
        self.lines_within(PATIENCE, start, count)
    }

    /// The same for what takes a while.
    pub(crate) fn lines_within(&self, most: Duration, start: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + most;
        let mut lines = self.console.lines.lock().unwrap();
        loop {
            let found: Vec<_> = lines.iter().filter(|l| l.starts_with(start)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {count} × {start:?} in {lines:#?}\n{}", self.trace());
            lines = self.console.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub(crate) fn trace(&self) -> String {
        std::fs::read_to_string(self.place.0.path().join("trace")).unwrap()
    }

    /// Waits for the trace to say this.
    pub(crate) fn traces(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.trace().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {}", self.trace());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The same server after a crash, in a new process.
    pub(crate) fn crashed(mut self) -> Self {
        self.signal("KILL");
        self.wait();
        Self::run(std::mem::replace(&mut self.place, Place::new()), &[])
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn ca(&self) -> CaCertificate {
        let pin = Digest(self.place.key("ca.key").fingerprint().0);
        CaCertificate::pinned(&self.place.certificate("ca.crt"), &pin).unwrap()
    }

    /// A new invitation, from the admin socket.
    pub(crate) fn invite(&self, name: &str) -> Invitation {
        let name: Name = name.parse().unwrap();
        let mut stream = UnixStream::connect(self.place.data().join("admin.sock")).unwrap();
        stream.write_all(&to_frame(&AdminRequest::Invite(name))).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let mut decoder = FrameDecoder::new(16_384);
        decoder.push(&bytes);
        match decoder.next_frame().unwrap() {
            Some(AdminAnswer::Invitation { invitation, .. }) => invitation.parse().unwrap(),
            answer => panic!("{answer:?}"),
        }
    }

    /// What a device asks with this invitation.
    pub(crate) fn request(&self, name: &str, key: &IdentityKey) -> EnrollRequest {
        let Invitation { id, secret, .. } = self.invite(name);
        let name: Name = name.parse().unwrap();
        let csr = certification_request(key, &name).unwrap().into();
        EnrollRequest { name, invitation: id, secret, csr }
    }

    /// Somebody with a certificate.
    pub(crate) async fn enroll(&self, name: &str) -> Device {
        let key = crate::forge::key();
        let answer = self.ask_to_enroll(&self.request(name, &key)).await;
        let certificate = answer.unwrap().certificate.0;
        Device { certificate: certificate.into(), key }
    }

    pub(crate) async fn ask_to_enroll(&self, request: &EnrollRequest) -> EnrollAnswer {
        let mut connection = self.connect_to_enroll().await;
        connection.send(&to_frame(request)).await;
        connection.receive().await.unwrap()
    }
}

impl Console {
    fn read(&self, stdout: impl Read) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            self.lines.lock().unwrap().push(line);
            self.more.notify_all();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let status = self.process.try_wait();
            println!("{status:?}\n{:#?}\n{}", self.console.lines.lock(), self.trace());
        }
        // It may have ended as the test wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
