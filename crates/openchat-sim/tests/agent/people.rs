//! What the tests have in common.

use openchat_sim::{Client, PATIENCE, Person};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// A process that ends with its test, also if that fails.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::of(command.spawn().unwrap())
    }

    pub(crate) fn of(process: Child) -> Self {
        Self(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.0.try_wait().unwrap() {
                Some(status) => return status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        panic!("process {} did not end", self.0.id());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is not there to be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of these lines of shell.
pub(crate) fn program_at(path: &Path, lines: &str) {
    fs::write(path, format!("#!/bin/sh\n{lines}")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a file says once it has this many lines.
pub(crate) fn lines_of(path: &Path, count: usize) -> Vec<String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let text = fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} never had {count} lines", path.display());
}

/// How often each text was printed as a message.
pub(crate) fn counted<'a>(
    clients: impl IntoIterator<Item = &'a Client>,
) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for client in clients {
        for message in client.messages() {
            *counted.entry(message["text"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    counted
}

/// Each of these, once.
pub(crate) fn once(texts: impl IntoIterator<Item = String>) -> BTreeMap<String, usize> {
    texts.into_iter().map(|text| (text, 1)).collect()
}

pub(crate) fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix} {number}")).collect()
}

pub(crate) fn socket(person: &Person) -> PathBuf {
    person.profile().join("agent.sock")
}

/// Connects to whoever runs the session of this person.
pub(crate) fn connect(person: &Person) -> Option<(BufReader<UnixStream>, Value)> {
    let stream = UnixStream::connect(socket(person)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut hello = String::new();
    reader.read_line(&mut hello).ok()?;
    Some((reader, serde_json::from_str(&hello).ok()?))
}

/// Connects and says hello.
pub(crate) fn visit(person: &Person) -> BufReader<UnixStream> {
    let (reader, _) = connect(person).unwrap();
    writeln!(reader.get_ref(), r#"{{"v":1,"type":"hello","agent":1}}"#).unwrap();
    reader
}

pub(crate) fn read(reader: &mut BufReader<UnixStream>) -> Option<Value> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(serde_json::from_str(&line).unwrap()),
    }
}

/// The process that runs the session of this person, once there is one other than `last`.
pub(crate) fn holder(person: &Person, last: Option<u32>) -> u32 {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let found = connect(person).and_then(|(_, hello)| hello["pid"].as_u64());
        match found.map(|pid| u32::try_from(pid).unwrap()) {
            Some(pid) if Some(pid) != last => return pid,
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    panic!("nobody runs the session");
}

/// Ends the process as nothing else does; it is one that the test started.
pub(crate) fn signal(pid: u32, signal: &str) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(killed.success());
}
