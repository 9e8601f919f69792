//! Requests and answers as lines of the trace: what they mean, without the bytes that differ from
//! run to run.

use openchat_roster::{LogEntry, Operation};
use openchat_wire::{
    Seq,
    relay::{Answer, Refusal, Request},
};

pub(crate) fn request_line(request: &Request) -> String {
    match request {
        Request::PublishPrekeys { replace, prekeys } => {
            format!("publishes {} prekeys, all anew: {replace}", prekeys.len())
        }
        Request::Append { log, entry, letters, .. } => {
            format!("appends to {log}: {}, {} letters", entry_line(&entry.0), letters.len())
        }
        Request::Heartbeat { log, .. } => format!("beats in {log}"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn answer_line(answer: &Result<Answer, Refusal>) -> String {
    match answer {
        Ok(Answer::Head(_)) => "a head".to_owned(),
        Ok(Answer::Certificate(_)) => "a certificate".to_owned(),
        Ok(Answer::Prekey(_)) => "a prekey".to_owned(),
        Ok(Answer::Receipt(_)) => "a receipt".to_owned(),
        Ok(Answer::Recorded { entries, complete, .. }) => {
            format!("{} recorded, all: {complete}", entries.len())
        }
        Ok(Answer::Entries { entries, complete }) => {
            let places: Vec<Seq> = entries.iter().map(|(seq, _)| *seq).collect();
            format!("entries {places:?}, all: {complete}")
        }
        Err(Refusal::Conflict { seq, .. }) => format!("another is at {seq:?}"),
        other => format!("{other:?}"),
    }
}

fn entry_line(entry: &[u8]) -> String {
    match LogEntry::decode(entry) {
        Ok(LogEntry::Message(message)) => {
            let header = message.header;
            let (epoch, slot) = (header.epoch, header.slot);
            format!("message {:?} {epoch:?} {slot:?} {:?}", header.id, header.generation)
        }
        Ok(LogEntry::Commit(commit)) => commit.view().map_or_else(
            |_| "a broken commit".to_owned(),
            |commit| {
                let deeds: Vec<&str> = commit.operations.iter().map(deed).collect();
                let keys = (commit.leaves.len(), commit.nodes.len());
                format!("commit of {:?}, keys {keys:?}: {}", commit.epoch, deeds.join(", "))
            },
        ),
        Ok(LogEntry::Notice(_)) => "notice".to_owned(),
        Ok(LogEntry::Leave(_)) => "leave request".to_owned(),
        Err(_) => "a broken entry".to_owned(),
    }
}

fn deed(operation: &Operation) -> &'static str {
    match operation {
        Operation::Create { .. } => "create",
        Operation::Join { .. } => "join",
        Operation::Add { .. } => "add",
        Operation::Remove { .. } => "remove",
        _ => "other",
    }
}
