//! A running `openchat` as a person at a terminal uses it: lines in, lines out, news on stderr.

use crate::server::wait;
use crate::{PATIENCE, Person};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// One process, whose news are read as they come.
#[derive(Debug)]
pub struct Lines {
    process: Option<Child>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    news: Receiver<String>,
    told: Vec<String>,
}

impl Lines {
    /// Runs `openchat ARGS`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start(person: &Person, args: &[&str]) -> Self {
        let mut command = person.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
        let stderr = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let (sender, news) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { process: Some(process), stdin, stdout, news, told: Vec::new() }
    }

    /// Types one line.
    ///
    /// # Panics
    /// If the process no longer reads.
    pub fn types(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its stdin is open");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Waits until this stands on stderr; what was read before does not count.
    ///
    /// # Panics
    /// If it does not come.
    pub fn told(&mut self, line: &str) {
        loop {
            match self.news.recv_timeout(PATIENCE) {
                Ok(told) if told == line => return,
                Ok(told) => self.told.push(told),
                Err(error) => panic!("waited for {line:?}: {error}\n{}", self.told.join("\n")),
            }
        }
    }

    /// Ends its input and waits for its end; gives its exit code and all of its stdout.
    ///
    /// # Panics
    /// If it does not end.
    #[must_use]
    pub fn quit(mut self) -> (Option<i32>, String) {
        drop(self.stdin.take());
        let mut text = String::new();
        let mut stdout = self.stdout.take().expect("stdout is piped");
        stdout.read_to_string(&mut text).expect("UTF-8");
        let process = self.process.take().expect("it is running");
        (wait(process).code(), text)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already; then there is nothing to kill.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
