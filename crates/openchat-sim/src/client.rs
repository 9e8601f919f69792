//! A running `openchat --json join`, or another command that goes on.

use crate::server::wait;
use crate::{PATIENCE, Person, schema};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// One process of one person, in one or more conversations. What it printed is kept in order.
#[derive(Debug)]
pub struct Client {
    name: String,
    trace: PathBuf,
    process: Option<Child>,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<Value>,
    orders: usize,
}

impl Client {
    pub(crate) fn start(person: &Person, args: &[&str]) -> Self {
        let trace = person.home().join("trace");
        std::fs::create_dir_all(person.home()).expect("a home");
        let stderr = OpenOptions::new().create(true).append(true).open(&trace).expect("a trace");
        let mut process = person
            .command()
            .arg("--json")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the client starts");
        let stdin = process.stdin.take();
        let lines = lines(process.stdout.take().expect("stdout is piped"));
        let (name, process) = (person.name().to_owned(), Some(process));
        Self { name, trace, process, stdin, lines, seen: Vec::new(), orders: 0 }
    }

    /// Types one message; `reference` comes back in its `ack`.
    ///
    /// # Panics
    /// If the process no longer reads.
    pub fn send(&mut self, reference: &str, text: &str) {
        self.order(&json!({"type": "send", "text": text, "ref": reference}));
    }

    /// Types one object.
    ///
    /// # Panics
    /// If the process no longer reads.
    pub fn order(&mut self, line: &Value) {
        schema::check("in", line).expect("an order that is documented");
        let stdin = self.stdin.as_mut().expect("its stdin is open");
        writeln!(stdin, "{line}").unwrap_or_else(|e| self.fail(&format!("could not send: {e}")));
    }

    /// Reads until a `ready` came.
    ///
    /// # Panics
    /// If none comes.
    pub fn ready(&mut self) -> Value {
        self.until("ready", |event| event["type"] == "ready")
    }

    /// Reads until this process knows `name` as a member: what it sends then, that member can read.
    ///
    /// # Panics
    /// If it does not learn of that member.
    pub fn meet(&mut self, name: &str) {
        let is_listed = |event: &Value| {
            let members = event["members"].as_array();
            members.is_some_and(|members| members.iter().any(|member| member["name"] == name))
        };
        self.until(&format!("member {name}"), |event| {
            is_listed(event) || (event["type"] == "member" && event["who"] == name)
        });
    }

    /// Reads until the message with this text came; one already read counts too.
    ///
    /// # Panics
    /// If none comes.
    pub fn message(&mut self, text: &str) -> Value {
        self.until("that message", |event| event["type"] == "message" && event["text"] == text)
    }

    /// Reads until a message with this text comes, without looking at what was read before.
    ///
    /// # Panics
    /// If none comes.
    pub fn next_message(&mut self, text: &str) {
        while self.read("that message")["text"] != text {}
    }

    /// Reads until the `ack` with this reference came; one already read counts too.
    ///
    /// # Panics
    /// If none comes.
    pub fn ack(&mut self, reference: &str) -> Value {
        self.until("that ack", |event| event["type"] == "ack" && event["ref"] == reference)
    }

    /// Types one object and reads until its `done` came; gives that.
    ///
    /// # Panics
    /// If it fails.
    pub fn obey(&mut self, mut order: Value) -> Value {
        self.orders += 1;
        let reference = format!("order {}", self.orders);
        order["ref"] = reference.clone().into();
        self.order(&order);
        let answer = self.until("an answer", |event| {
            event["ref"] == *reference && (event["type"] == "done" || event["type"] == "error")
        });
        if answer["type"] == "error" {
            self.fail(&format!("{order}: {answer}"));
        }
        answer
    }

    /// Reads until a `member` event says this; one already read counts too.
    ///
    /// # Panics
    /// If none does.
    pub fn change(&mut self, who: &str, change: &str) -> Value {
        self.until(&format!("{who} {change}"), |event| {
            event["type"] == "member" && event["who"] == who && event["change"] == change
        })
    }

    /// Reads until an event of this type came; one already read counts too.
    ///
    /// # Panics
    /// If none comes.
    pub fn event(&mut self, kind: &str) -> Value {
        self.until(kind, |event| event["type"] == kind)
    }

    /// Waits until it ends by itself, and gives its exit code (`None`: a signal ended it).
    ///
    /// # Panics
    /// If it does not end.
    pub fn ended(&mut self) -> Option<i32> {
        let process = self.process.take().expect("it is running");
        let code = wait(process).code();
        self.settle(PATIENCE);
        code
    }

    /// Reads until at least `count` events of this type came.
    ///
    /// # Panics
    /// If they don't come.
    pub fn count(&mut self, kind: &str, count: usize) {
        let of_kind = |event: &Value| event["type"] == kind;
        let mut so_far = self.seen.iter().filter(|event| of_kind(event)).count();
        while so_far < count {
            let event = self.read(&format!("{kind} number {}", so_far + 1));
            so_far += usize::from(of_kind(event));
        }
    }

    /// Everything it has printed and this harness read, in order.
    #[must_use]
    pub fn seen(&self) -> &[Value] {
        &self.seen
    }

    /// The `message` events among [`Self::seen`].
    pub fn messages(&self) -> impl Iterator<Item = &Value> {
        self.seen.iter().filter(|event| event["type"] == "message")
    }

    /// Reads what comes until nothing has come for `quiet`.
    pub fn settle(&mut self, quiet: Duration) {
        while let Ok(line) = self.lines.recv_timeout(quiet) {
            self.keep(&line);
        }
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Whether it has not ended by itself.
    ///
    /// # Panics
    /// If the system does not say.
    pub fn is_running(&mut self) -> bool {
        let process = self.process.as_mut();
        process.is_some_and(|it| it.try_wait().expect("it can be waited for").is_none())
    }

    /// Kills it with `SIGKILL`.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it can be killed");
            process.wait().expect("it can be waited for");
        }
    }

    /// Ends its input, waits for it, and gives its exit code (`None`: a signal ended it).
    ///
    /// # Panics
    /// If it does not end.
    pub fn finish(&mut self) -> Option<i32> {
        drop(self.stdin.take());
        self.ended()
    }

    /// The first event, among those read or to be read, that matches.
    ///
    /// # Panics
    /// If none comes.
    pub fn until(&mut self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        if let Some(event) = self.seen.iter().find(|event| matches(event)) {
            return event.clone();
        }
        loop {
            let event = self.read(what);
            if matches(event) {
                return event.clone();
            }
        }
    }

    fn read(&mut self, what: &str) -> &Value {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => self.keep(&line),
            Err(error) => self.fail(&format!("waited for {what}: {error}")),
        }
    }

    fn keep(&mut self, line: &str) -> &Value {
        let event: Value = serde_json::from_str(line)
            .unwrap_or_else(|e| self.fail(&format!("printed {line:?}: {e}")));
        if let Err(why) = schema::check("out", &event) {
            self.fail(&why);
        }
        self.seen.push(event);
        self.seen.last().expect("one was pushed")
    }

    fn fail(&self, why: &str) -> ! {
        let last = self.seen.iter().rev().take(5).map(Value::to_string).collect::<Vec<_>>();
        let trace = std::fs::read(&self.trace).unwrap_or_default();
        panic!(
            "{}: {why}\nlast events, newest first: {}\ntrace: {}",
            self.name,
            last.join("\n"),
            String::from_utf8_lossy(&trace),
        )
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A thread takes the lines, so that the process never waits for the test to read.
fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
