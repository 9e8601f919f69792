//! Files: read into the vault before they are offered, part by part given to the engine, and compared
//! when they have come.

use super::{Pick, Report, Session, SessionError, say::Why};
use crate::{
    save::{SaveError, save},
    vault::{KeptFile, Vault, VaultError},
};
use openchat_crypto::Hasher;
use openchat_engine::{Body, Command, Event, Input, MessageRef, Offer, Progress, Target};
use openchat_wire::{
    Digest, GroupId, MessageId,
    limits::{FILE_CHUNK, MAX_FILE},
};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Parts that are read in one turn: two megabytes, so that nobody waits for a large file.
const STEP: usize = 16;

/// A file that is to be saved.
#[derive(Debug)]
pub(super) struct Saving {
    pub(super) order: u64,
    pub(super) target: Target,
    pub(super) file: Pick,
    pub(super) to: PathBuf,
}

/// A file that is being read into the vault.
#[derive(Debug)]
pub(super) struct Staging {
    target: Target,
    file: MessageRef,
    source: File,
    name: String,
    hasher: Hasher,
    size: u64,
    parts: u32,
    /// Why the rest is not read.
    failed: Option<Why>,
}

impl Staging {
    /// The next parts, fewer at the end.
    fn read(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        while parts.len() < STEP {
            let mut part = Vec::new();
            let most = u64::try_from(FILE_CHUNK).unwrap_or(u64::MAX);
            self.source.by_ref().take(most).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
            self.hasher.update(&part);
            self.size = self.size.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
            parts.push(part);
        }
        Ok(parts)
    }
}

impl Session {
    /// Begins to read a file.
    pub(super) fn stage(&mut self, target: Target, id: MessageId, path: &Path) {
        let file = MessageRef { author: self.fingerprint, id };
        match opened(path) {
            Ok(source) => {
                let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
                let name = Offer::clean_name(&name);
                let hasher = Hasher::new();
                let (size, parts, failed) = (0, 0, None);
                let staging = Staging { target, file, source, name, hasher, size, parts, failed };
                self.staging.push_back(staging);
            }
            Err(why) => self.fail_saying(&target, id, why),
        }
    }

    /// Whether this file was read before, for somebody who repeats what has no answer. It goes on by
    /// itself then, unless all of it is in the log.
    pub(super) fn was_read(
        &mut self,
        target: &Target,
        id: MessageId,
    ) -> Result<bool, SessionError> {
        let file = MessageRef { author: self.fingerprint, id };
        if self.staging.iter().any(|staging| staging.file == file) {
            return Ok(true);
        }
        let Some(kept) = self.vault.file(None, &file)? else { return Ok(false) };
        let is_on_its_way = self.engine.files().any(|it| it == id);
        if let (false, Some(group)) = (is_on_its_way, self.group_of(target)) {
            let (target, name, size) = (target.to_string(), kept.offer.name, kept.offer.size);
            let progress = Progress { target, group, file, name, done: size, size, own: true };
            self.reports.push(Report::Event(Event::Progress(progress)));
        }
        Ok(true)
    }

    /// Reads some more of the first file; one that is all there is offered.
    pub(super) fn stage_on(&mut self) -> Result<(), SessionError> {
        let Some(mut staging) = self.staging.pop_front() else { return Ok(()) };
        let offer = |staging: &Staging, hash| Offer {
            name: staging.name.clone(),
            size: staging.size,
            hash,
        };
        if staging.parts == 0 {
            let nothing = offer(&staging, Digest([0; 32]));
            self.vault.begin_file(&staging.file, &nothing)?;
        }
        let read = staging.read().map_err(|cause| unreadable(&staging.name, &cause));
        let parts = match read {
            Ok(_) if staging.size > MAX_FILE => {
                staging.failed = Some(too_large(&staging.name, staging.size));
                Vec::new()
            }
            Ok(parts) => parts,
            Err(why) => {
                staging.failed = Some(why);
                Vec::new()
            }
        };
        if let Some(why) = staging.failed {
            self.vault.forget_own_file(&staging.file)?;
            self.fail_saying(&staging.target, staging.file.id, why);
            return Ok(());
        }
        self.vault.add_parts(&staging.file, staging.parts, &parts)?;
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        staging.parts = staging.parts.saturating_add(count);
        if parts.len() == STEP {
            self.staging.push_front(staging);
            return Ok(());
        }
        let offer = offer(&staging, staging.hasher.clone().finish());
        self.vault.end_file(&staging.file, &offer)?;
        let (target, id) = (staging.target, staging.file.id);
        self.command(Command::Send { target, id, what: Body::File(offer) });
        Ok(())
    }

    /// Saves a file, or says why not.
    pub(super) fn save(&mut self, saving: Saving) -> Result<(), SessionError> {
        let Saving { order, target, file, to } = saving;
        let found = self.picked_file(&target, file)?;
        let target = target.to_string();
        let file = match found {
            Ok(file) => file,
            Err(why) => {
                self.not_saved(order, target, why);
                return Ok(());
            }
        };
        match save(&self.vault, &file, &to) {
            Ok(path) => {
                self.tell(order, Report::Saved { target: target.clone(), path });
                self.reports.push(Report::Event(Event::Done { order, target }));
            }
            Err(SaveError::Vault(error)) => return Err(error.into()),
            Err(error) => {
                let hint = if matches!(error, SaveError::Exists(_)) {
                    "Say another place: /save PATH".to_owned()
                } else {
                    list()
                };
                self.not_saved(order, target, ("file", error.to_string(), hint));
            }
        }
        Ok(())
    }

    /// The file that is meant, of this conversation and no other.
    fn picked_file(
        &self,
        target: &Target,
        pick: Pick,
    ) -> Result<Result<KeptFile, Why>, SessionError> {
        let none = || ("no-such-file", NO_FILE.to_owned(), list());
        let Some(group) = self.group_of(target) else { return Ok(Err(none())) };
        let mut found: Vec<KeptFile> = match pick {
            Pick::Of(which) => {
                let is_own = which.author == self.fingerprint;
                let of = Some(&group).filter(|_| !is_own);
                self.vault.file(of, &which)?.into_iter().collect()
            }
            Pick::Id(id) => self.vault.files_called(id)?,
            Pick::Last => self.vault.last_file(&group)?.into_iter().collect(),
        };
        found.retain(|file| file.offered_in == Some(group));
        Ok(match found.len() {
            // Authors choose their ids: which one came first says nothing.
            2.. => Err(("ambiguous", several(&found), SAY_WHOSE.to_owned())),
            _ => found.pop().ok_or_else(none),
        })
    }

    fn not_saved(&mut self, order: u64, target: String, why: Why) {
        let (code, message, hint) = why;
        let (order, id, target) = (Some(order), None, Some(target));
        let event = Event::Failed { order, id, target, code, message, hint };
        self.reports.push(Report::Event(event));
    }

    /// Gives the engine what it wants of the vault.
    pub(super) fn bring(&mut self) -> Result<(), SessionError> {
        for recall in std::mem::take(&mut self.recalls) {
            let said = self.vault.recall(&recall.group, recall.id)?;
            self.decide(Input::Command(Command::Recalled { recall, said }));
        }
        self.bring_parts()
    }

    fn bring_parts(&mut self) -> Result<(), SessionError> {
        for want in std::mem::take(&mut self.wants) {
            let file = MessageRef { author: self.fingerprint, id: want.file };
            let bytes = self.vault.part(None, &file, want.index)?;
            self.decide(Input::Command(Command::Part { want, bytes }));
        }
        Ok(())
    }

    /// What to show of a file's progress: of one that is all here, whether it is what was offered.
    pub(super) fn progressed(
        &mut self,
        progress: Progress,
    ) -> Result<Option<Report>, SessionError> {
        if progress.own || progress.done < progress.size {
            return Ok(Some(Report::Event(Event::Progress(progress))));
        }
        let is_right = compare(&mut self.vault, &progress.group, &progress.file)?;
        Ok(is_right.map(|is_right| Report::File { progress, is_right }))
    }

    /// What a process that was killed has left: files that are here and were not compared, and files of
    /// one's own that were not offered.
    pub(super) fn take_up_files(&mut self) -> Result<(), SessionError> {
        let offered: Vec<MessageId> = self.engine.files().collect();
        for file in self.vault.unoffered_files()? {
            if !offered.contains(&file.id) {
                self.vault.forget_own_file(&file)?;
            }
        }
        for KeptFile { message, group, offer, .. } in self.vault.uncompared()? {
            let Some(group) = group else { continue };
            let is_right = compare(&mut self.vault, &group, &message)?;
            let Some(is_right) = is_right else { continue };
            let all = self.engine.conversations();
            let Some(summary) = all.into_iter().find(|it| it.group == Some(group)) else {
                continue;
            };
            let target = summary.target.to_string();
            let (name, size) = (offer.name, offer.size);
            let (file, done, own) = (message, size, false);
            let progress = Progress { target, group, file, name, done, size, own };
            self.reports.push(Report::File { progress, is_right });
        }
        Ok(())
    }
}

/// Whether a file that is all here is what was offered; nothing if its message is not here any more: taken
/// back, or over, which says nothing about its sender.
fn compare(
    vault: &mut Vault,
    group: &GroupId,
    file: &MessageRef,
) -> Result<Option<bool>, VaultError> {
    let Some(kept) = vault.file(Some(group), file)? else { return Ok(None) };
    let is_right = hash(vault, &kept)? == kept.offer.hash;
    vault.compared(group, file, is_right)?;
    Ok(Some(is_right))
}

/// The hash of what is here of a file.
pub(crate) fn hash(vault: &Vault, file: &KeptFile) -> Result<Digest, VaultError> {
    let mut hasher = Hasher::new();
    for index in 0..file.offer.chunks() {
        match vault.part(file.group.as_ref(), &file.message, index)? {
            Some(part) => hasher.update(&part),
            None => break,
        }
    }
    Ok(hasher.finish())
}

const NO_FILE: &str = "there is no such file on this device";

const SAY_WHOSE: &str = "Say whose: \"author\", the fingerprint of its message";

fn several(files: &[KeptFile]) -> String {
    let senders: Vec<&str> = files.iter().filter_map(|it| it.sender.as_deref()).collect();
    format!("several have sent a file under this id: {}", senders.join(", "))
}

fn list() -> String {
    "What there is: openchat file list".to_owned()
}

fn opened(path: &Path) -> Result<File, Why> {
    let name = path.to_string_lossy();
    let about = |cause: io::Error| unreadable(&name, &cause);
    // What is no file may never end, or never begin.
    let metadata = std::fs::metadata(path).map_err(about)?;
    if !metadata.is_file() {
        let message = format!("{name} is not a file");
        return Err(("file", message, "Of a directory: tar czf FILE.tar.gz DIRECTORY".to_owned()));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_large(&name, metadata.len()));
    }
    File::open(path).map_err(about)
}

fn unreadable(name: &str, cause: &io::Error) -> Why {
    (
        "file",
        format!("{name} can't be read: {cause}"),
        "Nothing was sent. Check the path.".to_owned(),
    )
}

fn too_large(name: &str, size: u64) -> Why {
    let message = format!("{name} has {size} bytes, the limit is {MAX_FILE}");
    ("too-long", message, "Nothing was sent. Split it: split -b 60M FILE".to_owned())
}

#[cfg(test)]
mod tests;
