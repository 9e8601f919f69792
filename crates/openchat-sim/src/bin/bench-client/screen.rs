//! The full screen in a pseudo-terminal, read as fast as it is written: tmux shows what stands there,
//! and not when it came.

use crate::PACE;
use openchat_sim::{PATIENCE, Person};
use std::{
    fs,
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

/// Letters that no control sequence of the screen ends with.
const LETTERS: [&str; 4] = ["q", "z", "w", "x"];

/// So many keys make a line, which is then cleared.
const LINE: u32 = 50;

/// A terminal of 100 × 30 with `openchat join` in it.
pub(crate) struct Screen {
    process: Child,
    keys: ChildStdin,
    drawn: Receiver<Vec<u8>>,
}

impl Screen {
    pub(crate) fn open(person: &Person, target: &str) -> Self {
        let openchat = person.command();
        // `script` makes the terminal; what it runs is told by the environment, which no shell splits.
        let mut command = Command::new("script");
        command
            .args(["-qfec", r#"stty rows 30 cols 100; exec "$BENCHED" -P "$WHO" join "$TARGET""#]);
        command.arg("/dev/null");
        for (name, value) in openchat.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("BENCHED", openchat.get_program()).env("WHO", person.name());
        command.env("TARGET", target).env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("script, of util-linux");
        let keys = process.stdin.take().expect("piped");
        let mut output = process.stdout.take().expect("piped");
        let (sender, drawn) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { process, keys, drawn }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
        self.keys.flush().expect("the terminal takes keys");
    }

    /// Waits until this was drawn, in one piece.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut drawn = Vec::new();
        while !String::from_utf8_lossy(&drawn).contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.drawn.recv_timeout(left);
            drawn.extend(more.unwrap_or_else(|error| {
                panic!("waited for {text}: {error}: {}", String::from_utf8_lossy(&drawn))
            }));
        }
    }

    /// Presses a key; gives the milliseconds until it is drawn.
    pub(crate) fn key(&mut self, number: u32) -> f64 {
        if number.is_multiple_of(LINE) {
            self.type_in("\u{15}");
        }
        self.rest();
        let at = usize::try_from(number).unwrap_or(0) % LETTERS.len();
        let begun = Instant::now();
        self.type_in(LETTERS[at]);
        self.wait_for(LETTERS[at]);
        begun.elapsed().as_secs_f64() * 1e3
    }

    /// Lets everything be drawn that is still to come.
    pub(crate) fn rest(&self) {
        while self.drawn.recv_timeout(PACE).is_ok() {}
    }

    /// The process of `openchat`.
    pub(crate) fn pid(&self) -> u32 {
        let script = self.process.id();
        let children = fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
        children.expect("/proc has it").trim().parse().expect("one child")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Its terminal goes with it, and with that what ran there.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
