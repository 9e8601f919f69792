//! The end of the socket that asks.

use super::{VERSION, lines, socket};
use crate::{
    fault::{Exit, Fault},
    json,
};
use openchat_client::{Ask, FromHolder};
use serde_json::Value;
use std::{io, path::Path, time::Duration};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};

/// Bytes of the longest line that is read: the members of the largest group, with room to spare.
const MAX_REPORT: usize = 8 * 1024 * 1024;

/// Reports that may wait; behind them the socket fills, and then the other side reads on in the
/// vault later.
const WAITING_REPORTS: usize = 256;

/// Orders that may wait for the socket.
const WAITING_ASKS: usize = 64;

/// How long the first line may take. It is written before anything else is done.
const HELLO: Duration = Duration::from_secs(2);

/// A connection to whoever runs the session.
pub(crate) struct Caller {
    to: mpsc::Sender<Ask>,
    from: mpsc::Receiver<FromHolder>,
}

/// Why there is none.
pub(crate) enum Refused {
    /// Nobody answers.
    Nobody(io::Error),
    /// There is no use in asking again.
    Fault(Box<Fault>),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Nobody(error)
    }
}

impl Refused {
    /// For whom somebody has to be there.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Fault(fault) => *fault,
            Self::Nobody(error) => {
                let message = format!("this process's own socket does not answer: {error}");
                Fault::new(Exit::Failure, "system", message, "ulimit -a")
            }
        }
    }
}

impl Caller {
    pub(crate) async fn connect(directory: &Path) -> Result<Self, Refused> {
        let stream = socket::connect(directory).await?;
        let (reader, mut writer) = split(stream);
        let mut reader = BufReader::new(reader);
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let first = timeout(HELLO, lines::next(&mut reader, MAX_REPORT)).await.map_err(late)??;
        let Some(first) = first else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        check(&first)?;
        writer.write_all(json::hello("hello", VERSION).as_bytes()).await?;
        let (to, asks) = mpsc::channel(WAITING_ASKS);
        let (reports, from) = mpsc::channel(WAITING_REPORTS);
        tokio::spawn(write(writer, asks));
        tokio::spawn(read(reader, reports));
        Ok(Self { to, from })
    }

    pub(crate) fn split(self) -> (mpsc::Sender<Ask>, mpsc::Receiver<FromHolder>) {
        (self.to, self.from)
    }
}

fn split(stream: UnixStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    stream.into_split()
}

/// Whether the other one speaks as this one does.
pub(super) fn check(line: &str) -> Result<(), Refused> {
    let hello: Value = serde_json::from_str(line).unwrap_or_default();
    if hello["type"] == "agent" && hello["agent"] == VERSION {
        return Ok(());
    }
    Err(Refused::Fault(Box::new(other_version(&hello))))
}

fn other_version(hello: &Value) -> Fault {
    let theirs = hello["version"].as_str().unwrap_or("of an unknown version");
    let message = format!(
        "another openchat ({theirs}) runs with this profile, and does not understand this one ({})",
        env!("CARGO_PKG_VERSION")
    );
    let hint = match hello["pid"].as_u64() {
        Some(pid) => format!("end the older one (process {pid}), then try again"),
        None => "end the other one, then try again".to_owned(),
    };
    Fault::new(Exit::Failure, "agent-version", message, hint)
}

/// Hands orders over, all that wait at once. The end of the orders is the end of the writing.
async fn write(mut writer: OwnedWriteHalf, mut asks: mpsc::Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        let mut text = json::ask(&ask);
        while let Ok(ask) = asks.try_recv() {
            text += &json::ask(&ask);
        }
        if writer.write_all(text.as_bytes()).await.is_err() {
            // The reading end learns of it, too.
            return;
        }
    }
    let _ = writer.shutdown().await;
}

async fn read(mut reader: BufReader<OwnedReadHalf>, reports: mpsc::Sender<FromHolder>) {
    loop {
        match lines::next(&mut reader, MAX_REPORT).await {
            Ok(Some(line)) => {
                let Some(news) = json::news(&line) else {
                    tracing::debug!("something was said that this program does not know");
                    continue;
                };
                if reports.send(news).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "the session's socket broke"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_told_apart_and_named() {
        assert!(check(&json::hello("agent", VERSION)).is_ok());
        let Err(Refused::Fault(fault)) = check(&json::hello("agent", VERSION + 1)) else {
            panic!("it was taken")
        };
        assert_eq!(fault.code, "agent-version");
        assert!(fault.hint.contains(&std::process::id().to_string()), "{}", fault.hint);
        assert!(matches!(check("GET / HTTP/1.1"), Err(Refused::Fault(_))));
    }
}
