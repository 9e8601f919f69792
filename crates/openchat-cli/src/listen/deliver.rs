//! Where a message goes: to stdout, or to a command that is run for it.

use crate::{
    args::{ListenArgs, OnFailure},
    context::Context,
    fault::{Exit, Fault},
    join, json, out, text,
};
use openchat_client::{engine::StoredMessage, trust};
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, time::sleep};

/// After the first failure of a command; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    Yes,
    /// The command failed as often as it may.
    Failed,
}

/// Whether there is such a program. Without it a listener would start, and end hours later at the
/// first message.
pub(super) fn look(command: &OsStr) -> Result<(), Fault> {
    let path = Path::new(command);
    let places = env::var_os("PATH").unwrap_or_default();
    let found = if path.components().count() > 1 || path.is_absolute() {
        fs::metadata(path)
    } else {
        let named = env::split_paths(&places).map(|place| place.join(path));
        let missing = || Err(io::Error::new(ErrorKind::NotFound, "it is nowhere in PATH"));
        named.map(fs::metadata).find(Result::is_ok).unwrap_or_else(missing)
    };
    match found {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 == 0 => Err(not_run(
            command,
            &io::Error::new(ErrorKind::PermissionDenied, "chmod +x is missing"),
        )),
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(not_run(command, &io::Error::from(ErrorKind::IsADirectory))),
        Err(error) => Err(not_run(command, &error)),
    }
}

/// Where messages go.
pub(super) struct Delivery {
    command: Option<OsString>,
    args: Vec<OsString>,
    attempts: u32,
    on_failure: OnFailure,
    /// How the last run ended.
    last: String,
}

impl Delivery {
    pub(super) fn new(args: &ListenArgs) -> Self {
        Self {
            command: args.exec.clone(),
            args: args.args.clone(),
            attempts: args.attempts,
            on_failure: args.on_failure,
            last: String::new(),
        }
    }

    /// Delivers it; returns when it is out of this process's hands.
    pub(super) async fn deliver(
        &mut self,
        context: &Context,
        message: &StoredMessage,
    ) -> Result<Delivered, Fault> {
        let Some(command) = self.command.clone() else {
            let line = if context.out.json { json::message(message) } else { join::line(message) };
            out::data(&line).map_err(|error| Fault::output(&error))?;
            return Ok(Delivered::Yes);
        };
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=self.attempts {
            match self.run(&command, context, message).await {
                Ok(status) if status.success() => return Ok(Delivered::Yes),
                Ok(status) => self.last = status.to_string(),
                Err(error) if is_hopeless(&error) => return Err(not_run(&command, &error)),
                Err(error) => self.last = error.to_string(),
            }
            if attempt < self.attempts {
                self.say(context, &command, message);
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause.saturating_mul(2));
            }
        }
        if self.on_failure == OnFailure::Skip {
            self.say(context, &command, message);
            return Ok(Delivered::Yes);
        }
        Ok(Delivered::Failed)
    }

    /// Why the listening ends.
    pub(super) fn failed(&self, context: &Context, message: &StoredMessage) -> Fault {
        let said =
            format!("CMD failed {} times for message {}: {}", self.attempts, message.id, self.last);
        let hint = context.hints.command("listen --as NAME") + " begins with this message again";
        Fault::new(Exit::Failure, "command-failed", said, hint)
    }

    fn say(&self, context: &Context, command: &OsString, message: &StoredMessage) {
        let (command, id) = (command.to_string_lossy(), message.id);
        context.out.note(&text::safe(&format!("{command} failed for message {id}: {}", self.last)));
    }

    async fn run(
        &self,
        command: &OsString,
        context: &Context,
        message: &StoredMessage,
    ) -> io::Result<ExitStatus> {
        let mut child = Command::new(command)
            .args(&self.args)
            .envs(fields(message))
            .env("OPENCHAT_PROFILE", context.profile.to_string())
            .stdin(Stdio::piped())
            // Whoever listens next runs it again for this message: two of them would get in each
            // other's way.
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its stdin may still do what it has to.
            match stdin.write_all(message.body.text().as_bytes()).await {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
                _ => {}
            }
        }
        child.wait().await
    }
}

/// What CMD reads beside the text. A name of a variable or a value is never a part of a command line.
fn fields(message: &StoredMessage) -> [(&'static str, String); 8] {
    [
        ("OPENCHAT_TARGET", message.target.clone()),
        ("OPENCHAT_SENDER", message.sender.to_string()),
        ("OPENCHAT_TRUST", trust::word(message.trust).to_owned()),
        ("OPENCHAT_ID", message.id.to_string()),
        ("OPENCHAT_SEQ", message.seq.to_string()),
        ("OPENCHAT_KIND", message.body.as_str().to_owned()),
        ("OPENCHAT_TIME", text::rfc3339(message.time)),
        ("OPENCHAT_OWN", message.own.to_string()),
    ]
}

/// Running it again would not help.
fn is_hopeless(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied)
}

fn not_run(command: &OsStr, error: &io::Error) -> Fault {
    let message = format!("{} can't be run: {error}", command.to_string_lossy());
    Fault::new(Exit::Failure, "command", message, "name a program: --exec ./bot -- ARG…")
}
