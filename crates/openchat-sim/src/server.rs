//! The real server in a place of its own.

use crate::{PATIENCE, Person, program, run};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// `openchat-server run` over a CA made for one test.
#[derive(Debug)]
pub struct Server {
    place: TempDir,
    address: String,
    options: &'static [&'static str],
    /// Further variables of its environment.
    environment: Vec<(String, OsString)>,
    /// What runs it, if it is not run by itself.
    wrapper: Vec<OsString>,
    process: Option<Child>,
}

impl Server {
    /// Makes a CA and runs the server on a free port of this machine.
    ///
    /// # Panics
    /// If either fails.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with further options of `openchat-server run`.
    ///
    /// # Panics
    /// If either fails.
    #[must_use]
    pub fn start_with(options: &'static [&'static str]) -> Self {
        let mut server = Self::prepare(options);
        server.run();
        server
    }

    /// Makes a CA, and runs nothing yet.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn prepare(options: &'static [&'static str]) -> Self {
        let server = Self::bare(options);
        let _ = run(server.command().args(["init-ca", "--org", "Test"]));
        server
    }

    /// A place for a server, in which no CA is made yet.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn bare(options: &'static [&'static str]) -> Self {
        // With a space, because people have such paths.
        let place = tempfile::Builder::new().prefix("openchat test ").tempdir();
        let place = place.expect("a temporary place");
        let address = "127.0.0.1:0".to_owned();
        let (environment, wrapper) = (Vec::new(), Vec::new());
        Self { place, address, options, environment, wrapper, process: None }
    }

    /// Further variables for the environment of each `run` from now on.
    pub fn set_environment(&mut self, variables: impl IntoIterator<Item = (String, OsString)>) {
        self.environment = variables.into_iter().collect();
    }

    /// A command that each `run` from now on goes through: it is given the program and its
    /// arguments, and has to become it in the end.
    pub fn set_wrapper(&mut self, wrapper: impl IntoIterator<Item = OsString>) {
        self.wrapper = wrapper.into_iter().collect();
    }

    /// Runs the server again at the address it had before.
    ///
    /// # Panics
    /// If it is running, or does not come up.
    pub fn run(&mut self) {
        if let Err(status) = self.try_run() {
            panic!("the server ended at once: {status}\n{}", self.console());
        }
    }

    /// The same; fails if it ends before it is ready.
    ///
    /// # Errors
    /// How it ended.
    ///
    /// # Panics
    /// If it is running, or takes too long to come up.
    pub fn try_run(&mut self) -> Result<(), ExitStatus> {
        assert!(self.process.is_none(), "the server is running");
        let mut process = self
            .wrapped()
            .args(["run", "--listen", &self.address])
            .args(self.options)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.open_console())
            .spawn()
            .expect("the server starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        match self.ready(stdout) {
            Some(address) => self.address = address,
            None => return Err(wait(process)),
        }
        self.process = Some(process);
        Ok(())
    }

    /// How it ended, if it did so by itself since it was run.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("it can be waited for")?;
        self.process = None;
        Some(status)
    }

    /// Where the next `run` listens: in the place of another server.
    pub fn set_address(&mut self, address: &str) {
        address.clone_into(&mut self.address);
    }

    /// `ADDRESS:PORT` where it listens; the same after every restart.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The running server's process.
    ///
    /// # Panics
    /// If it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("the server is running").id()
    }

    /// Processor time that the running server has used, from `/proc`.
    ///
    /// # Panics
    /// If it is not running, or this is not Linux.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let process = self.process.as_ref().expect("the server is running");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id()));
        let stat = stat.expect("/proc has the process");
        // Fields after the parenthesised name, which may contain spaces; ticks are 1/100 s.
        let fields = stat.rsplit_once(") ").expect("a name in parentheses").1;
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse().unwrap_or(0));
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// The folder with its CA, database and admin socket.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.place.path().join("server")
    }

    /// The folder for everything of this test, people's homes too.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// All it printed since it first started, after its `ready` lines.
    ///
    /// # Panics
    /// If that can't be read.
    #[must_use]
    pub fn console(&self) -> String {
        let bytes = std::fs::read(self.console_file()).expect("the console is a file");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The file that [`Self::console`] reads.
    #[must_use]
    pub fn console_file(&self) -> PathBuf {
        self.place.path().join("console")
    }

    /// `openchat-server` with this server's data.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = program("openchat-server");
        command.env("OPENCHAT_SERVER_HOME", self.data());
        command
    }

    /// Somebody of this name who has a certificate of this server's CA, by the admin socket.
    ///
    /// # Panics
    /// If the enrollment fails.
    #[must_use]
    pub fn enroll(&self, name: &str) -> Person {
        let person = Person::new(name, self);
        let _ = run(person.command().args(["enroll", "--name", name]));
        person
    }

    /// Kills it with `SIGKILL`: no goodbye, nothing flushed.
    ///
    /// # Panics
    /// If it is not running.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server is running");
        process.kill().expect("it can be killed");
        process.wait().expect("it can be waited for");
    }

    /// Asks it to stop with `SIGTERM`, and waits until it has.
    ///
    /// # Panics
    /// If it is not running, or takes too long.
    pub fn stop(&mut self) -> ExitStatus {
        let process = self.process.take().expect("the server is running");
        let _ = run(Command::new("sh").args(["-c", &format!("kill -TERM {}", process.id())]));
        wait(process)
    }

    /// [`Self::command`] by way of the wrapper.
    fn wrapped(&self) -> Command {
        let command = self.command();
        let Some((first, rest)) = self.wrapper.split_first() else {
            return command;
        };
        let mut wrapped = Command::new(first);
        wrapped.args(rest).arg(command.get_program());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped
    }

    /// The address on the first line of stdout, if there is one; later lines go to the console.
    fn ready(&self, stdout: impl std::io::Read + Send + 'static) -> Option<String> {
        let (sender, first_line) = mpsc::channel();
        let mut console = self.open_console();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send(line);
            std::io::copy(&mut stdout, &mut console)
        });
        let line = first_line.recv_timeout(PATIENCE).unwrap_or_default();
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("ready"), Some(address)) => Some(address.to_owned()),
            (None, _) => None,
            _ => panic!("the server said {line:?}\n{}", self.console()),
        }
    }

    fn open_console(&self) -> File {
        let file = OpenOptions::new().create(true).append(true).open(self.console_file());
        file.expect("the console can be written")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Waits for a process to end by itself.
pub(crate) fn wait(mut process: Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().expect("it can be waited for") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            panic!("process {} did not end", process.id());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
