//! A real terminal with `openchat` in it, by way of tmux.

use crate::{PATIENCE, Person, command::unset, program};
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at the screen.
const PAUSE: Duration = Duration::from_millis(20);

/// A tmux server of its own with one window, in which one program runs.
#[derive(Debug)]
pub struct Terminal {
    place: TempDir,
    who: String,
}

impl Terminal {
    /// Runs `openchat ARGS` as this person in a terminal of `size` columns and lines.
    ///
    /// # Panics
    /// If there is no tmux.
    #[must_use]
    pub fn open(person: &Person, args: &[&str], size: (u16, u16)) -> Self {
        // tmux itself sometimes loses the exit code of a program that ends at once; a shell tells it.
        let mut command = vec!["-c", "\"$@\"; echo \"exit code $?\"; exec sleep 600", "sh"];
        let openchat = program("openchat");
        command.push(openchat.get_program().to_str().expect("a path in UTF-8"));
        command.extend(["-P", person.name()]);
        Self::run(person, &[&command, args].concat(), size)
    }

    /// A shell as this person has it, who need not say which profile.
    ///
    /// # Panics
    /// If there is no tmux.
    #[must_use]
    pub fn shell(person: &Person, size: (u16, u16)) -> Self {
        let openchat = PathBuf::from(program("openchat").get_program());
        let mut path = openchat.parent().expect("a folder").as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let profile = ("OPENCHAT_PROFILE".to_owned(), person.name().into());
        let prompt = ("PS1".to_owned(), "$ ".into());
        let person = person.clone().with_environment([("PATH".to_owned(), path), profile, prompt]);
        Self::run(&person, &["-i"], size)
    }

    /// `sh ARGS` in a terminal.
    fn run(person: &Person, args: &[&str], (width, height): (u16, u16)) -> Self {
        let place = tempfile::Builder::new().prefix("openchat-tmux-").tempdir();
        let place = place.expect("a temporary place");
        let terminal = Self { place, who: person.name().to_owned() };
        let mut command = terminal.tmux(["-f", "/dev/null"]);
        command.args(["new-session", "-d"]);
        command.arg(format!("-x{width}")).arg(format!("-y{height}"));
        // This starts tmux's server, whose environment is that of its windows.
        command.envs(person.environment());
        command.args(["--", "sh"]).args(args);
        terminal.done(&mut command);
        terminal
    }

    /// Presses keys, as tmux calls them: `Enter`, `C-c`, `M-a`, `PPage`.
    pub fn press(&self, keys: &[&str]) {
        self.done(self.tmux(["send-keys"]).args(keys));
    }

    /// Types a text.
    pub fn type_in(&self, text: &str) {
        self.done(self.tmux(["send-keys", "-l", "--"]).arg(text));
    }

    /// Types a line and presses Enter.
    pub fn enter(&self, line: &str) {
        self.type_in(line);
        self.press(&["Enter"]);
    }

    /// Pastes a text as terminals do, in brackets.
    ///
    /// # Panics
    /// If tmux does not take it.
    pub fn paste(&self, text: &str) {
        let mut load = self.tmux(["load-buffer", "-"]);
        let mut load = load.stdin(Stdio::piped()).spawn().expect("tmux");
        let written = load.stdin.take().expect("its stdin").write_all(text.as_bytes());
        written.expect("tmux reads");
        assert!(load.wait().expect("tmux").success());
        self.done(self.tmux(["paste-buffer", "-p"]).args(["-d"]));
    }

    /// Gives the window another size.
    pub fn resize(&self, (width, height): (u16, u16)) {
        let mut command = self.tmux(["resize-window"]);
        self.done(command.arg(format!("-x{width}")).arg(format!("-y{height}")));
    }

    /// What stands there.
    #[must_use]
    pub fn screen(&self) -> String {
        self.done(&mut self.tmux(["capture-pane", "-p"]))
    }

    /// What stands there, with the sequences that colour it.
    #[must_use]
    pub fn coloured(&self) -> String {
        self.done(&mut self.tmux(["capture-pane", "-p", "-e", "-N"]))
    }

    /// Waits until this stands there; gives the screen.
    ///
    /// # Panics
    /// If it does not come to stand there.
    #[expect(clippy::must_use_candidate, reason = "some only wait")]
    pub fn shows(&self, text: &str) -> String {
        self.until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is so; gives it.
    ///
    /// # Panics
    /// If it does not become so.
    pub fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{}: waited for {what}:\n{screen}", self.who);
            thread::sleep(PAUSE);
        }
    }

    /// Waits until the program has ended; gives its exit code.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn ended(&self) -> i32 {
        let screen = self.shows("exit code ");
        let code = screen.rsplit("exit code ").next().unwrap_or_default();
        code.trim().parse().expect("an exit code")
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("tmux")
    }

    fn tmux<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new("tmux");
        unset(&mut command);
        command.arg("-S").arg(self.socket()).args(args).env_remove("TMUX");
        command
    }

    fn done(&self, command: &mut Command) -> String {
        let Output { status, stdout, stderr } =
            command.output().expect("tmux is there: scripts/prerequisites installs it");
        let said = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{}: {command:?}: {said}", self.who);
        String::from_utf8(stdout).expect("a screen is UTF-8")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.tmux(["kill-server"]).output();
    }
}
