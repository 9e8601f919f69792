//! `openchat file`: what came, and where to write it.

use crate::{
    args::{FileCommand, Whose},
    context::Context,
    fault::{Exit, Fault},
    history::Names,
    json,
    once::{self, Outcome},
    out,
    text::{escaped, rfc3339},
    wish::{What, Wish},
};
use openchat_client::{
    FileState, KeptFile,
    engine::Target,
    save::{SaveError, save},
};
use openchat_wire::{MessageId, Name};
use serde::Serialize;
use std::path::Path;

pub(crate) fn run(context: &Context, command: FileCommand) -> Result<Exit, Fault> {
    match command {
        FileCommand::List { target } => list(context, target.as_ref()),
        FileCommand::Save { id, path, whose } => write(context, id, &path, &whose),
        FileCommand::Resume { id, target } => resume(context, id, target),
    }
}

fn list(context: &Context, target: Option<&Target>) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = target.map(|target| names.group(context, target)).transpose()?;
    let files = vault.files(group.as_ref()).map_err(|error| context.hints.vault(&error))?;
    let line = |file: &KeptFile| {
        let target = file.group.map(|group| names.name(&group)).unwrap_or_default();
        if context.out.json {
            json::line(&json::Object::of("file", Row::of(file, &target)))
        } else {
            row(file)
        }
    };
    let lines: String = files.iter().map(line).collect();
    out::data(&lines).map_err(|error| Fault::output(&error))?;
    Ok(Exit::Ok)
}

/// `ID TIME SENDER SIZE STATE NAME`, separated by tabs.
fn row(file: &KeptFile) -> String {
    let time = file.offered.map_or_else(|| "-".to_owned(), |(time, _)| rfc3339(time));
    let sender = file.sender.as_deref().unwrap_or("-");
    let (id, size, name) = (file.message.id, file.offer.size, escaped(&file.offer.name));
    format!("{id}\t{time}\t{sender}\t{size}\t{}\t{name}\n", state(file))
}

const fn state(file: &KeptFile) -> &'static str {
    match file.state {
        FileState::Coming { .. } => "coming",
        FileState::Whole => "here",
        FileState::Wrong => "wrong",
        FileState::GivenUp => "given-up",
    }
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    id: String,
    name: &'a str,
    size: u64,
    done: u64,
    state: &'a str,
    own: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(file: &'a KeptFile, target: &'a str) -> Self {
        let done = match file.state {
            FileState::Coming { done } => done,
            FileState::Whole => file.offer.size,
            FileState::Wrong | FileState::GivenUp => 0,
        };
        Self {
            target: Some(target).filter(|target| !target.is_empty()),
            id: file.message.id.to_string(),
            name: &file.offer.name,
            size: file.offer.size,
            done,
            state: state(file),
            own: file.group.is_none(),
            sender: file.sender.as_deref(),
        }
    }
}

fn write(context: &Context, id: MessageId, path: &Path, whose: &Whose) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let names = Names::of(context, &vault, &identity)?;
    let group = whose.target.as_ref().map(|target| names.group(context, target)).transpose()?;
    let mut files = vault.files_called(id).map_err(|error| context.hints.vault(&error))?;
    files.retain(|file| {
        let is_from = |who: &Name| file.sender.as_deref() == Some(who.as_str());
        whose.from.as_ref().is_none_or(is_from) && (group.is_none() || file.offered_in == group)
    });
    let [file] = &files[..] else { return Err(not_one(context, id, &files, &names)) };
    let path = save(&vault, file, path).map_err(|error| not_saved(context, id, &error))?;
    let shown = path.to_string_lossy();
    context.out.result(&escaped(&shown), &json::Object::of("saved", Saved { path: &shown }))?;
    Ok(Exit::Ok)
}

/// Nothing says which of several is meant: the order in which they came is the senders' to choose.
fn not_one(context: &Context, id: MessageId, files: &[KeptFile], names: &Names) -> Fault {
    let place =
        |file: &KeptFile| file.offered_in.map(|group| names.name(&group)).unwrap_or_default();
    let sender = |file: &KeptFile| file.sender.clone().unwrap_or_default();
    let Some(first) = files.first() else {
        let message = "there is no such file on this device";
        let hint = context.hints.command("file list");
        return Fault::new(Exit::NotFound, "no-such-file", message, hint);
    };
    let whose: Vec<String> =
        files.iter().map(|file| format!("{} in {}", sender(file), place(file))).collect();
    let message = format!("several files have this id: of {}", escaped(&whose.join(", of ")));
    let say = format!("file save {id} --from {} --in '{}'", sender(first), place(first));
    Fault::new(Exit::NotFound, "ambiguous", message, context.hints.command(&say))
}

#[derive(Serialize)]
struct Saved<'a> {
    path: &'a str,
}

fn not_saved(context: &Context, id: MessageId, error: &SaveError) -> Fault {
    let hint = match error {
        SaveError::Vault(error) => return context.hints.vault(error),
        SaveError::Coming { .. } => "openchat join, and wait for the rest".to_owned(),
        SaveError::Wrong(_) | SaveError::GivenUp(_) => {
            "Ask its sender to send it again.".to_owned()
        }
        SaveError::Exists(_) => context.hints.command(&format!("file save {id} OTHER-PATH")),
        SaveError::Unwritable { .. } => "Say another place.".to_owned(),
    };
    Fault::new(Exit::Failure, "file", error.to_string(), hint)
}

fn resume(context: &Context, id: MessageId, target: Target) -> Result<Exit, Fault> {
    let about = target.to_string();
    let wish = Wish { target: Some(target), what: What::Resume(id) };
    match once::obey(context, vec![wish])? {
        Outcome::Interrupted => Ok(Exit::Interrupted),
        Outcome::Unanswered(end) => Err(once::unanswered(context, end, Some(&about))?),
        _ => Ok(Exit::Ok),
    }
}
