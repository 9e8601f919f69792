//! What the engine wants done, gathered over any number of inputs.

use std::collections::BTreeMap;

use openchat_wire::{
    Blob, GroupId, MessageId, encode,
    relay::{Request, ToServer},
};
use serde::Serialize;

#[cfg(doc)]
use crate::command::Command;
#[cfg(doc)]
use openchat_wire::limits::FILE_CHUNK;

use crate::{
    event::{AlarmCode, Event, StoredMessage},
    record::{Change, Key, Local},
};

/// What to do, in this order: store the changes in one transaction, send the requests, show the
/// events.
#[derive(Debug, Default)]
pub struct Output {
    /// For the vault, all or nothing.
    pub changes: Vec<Change>,
    /// Whether the changes must outlast a power cut: something of this device's own depends on
    /// them. What was only received comes again from the log.
    pub lasting: bool,
    /// For the relay, in order.
    pub requests: Vec<ToServer>,
    /// Parts of files that are wanted from the vault; [`Command::Part`] is the answer. Which of them are
    /// under way is forgotten with the process.
    pub wants: Vec<Want>,
    /// Messages of this device's own that are wanted from the vault as they stand once the changes are
    /// made; [`Command::Recalled`] is the answer. What was not answered is wanted again by the next process.
    pub recalls: Vec<Recall>,
    /// For the person.
    pub events: Vec<Event>,
}

/// A part of a file of this device's own that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// The engine's number of the conversation.
    pub conversation: Local,
    /// The message that has offered the file.
    pub file: MessageId,
    /// Which part: that of [`FILE_CHUNK`] bytes behind as many parts.
    pub index: u32,
}

/// A message of this device's own that somebody has missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recall {
    /// The engine's number of the conversation.
    pub conversation: Local,
    /// Its log.
    pub group: GroupId,
    /// The message.
    pub id: MessageId,
}

/// An output in the making: of several changes to one record only the last is kept.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    records: BTreeMap<Key, Option<Blob>>,
    /// Messages and parts of files, in the order of the log.
    messages: Vec<Change>,
    wants: Vec<Want>,
    recalls: Vec<Recall>,
    lasting: bool,
    requests: Vec<ToServer>,
    events: Vec<Event>,
}

impl Pen {
    /// What was written since the last output must be on the disk before anything else happens.
    pub(crate) fn must_last(&mut self) {
        self.lasting = true;
    }

    pub(crate) fn put<T: Serialize>(&mut self, key: Key, value: &T) {
        self.records.insert(key, Some(Blob(encode(value))));
    }

    pub(crate) fn put_bytes(&mut self, key: Key, value: Vec<u8>) {
        self.records.insert(key, Some(Blob(value)));
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.records.insert(key, None);
    }

    pub(crate) fn message(&mut self, message: StoredMessage) {
        self.messages.push(Change::Message(message.clone()));
        self.events.push(Event::Message(message));
    }

    /// Something about a file.
    pub(crate) fn file(&mut self, change: Change) {
        self.messages.push(change);
    }

    pub(crate) fn want(&mut self, want: Want) {
        self.wants.push(want);
    }

    pub(crate) fn recall(&mut self, recall: Recall) {
        self.recalls.push(recall);
    }

    pub(crate) fn request(&mut self, request: ToServer) {
        let depends =
            |it: &Request| matches!(it, Request::Append { .. } | Request::PublishPrekeys { .. });
        self.lasting |= depends(&request.request);
        self.requests.push(request);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn alarm(
        &mut self,
        target: Option<String>,
        code: AlarmCode,
        message: impl Into<String>,
        hint: &str,
    ) {
        let (message, hint) = (message.into(), hint.to_owned());
        self.events.push(Event::Alarm { target, code, message, hint });
    }

    /// Requests that were not taken yet belong to a connection that is gone.
    pub(crate) fn forget_requests(&mut self) {
        self.requests.clear();
    }

    pub(crate) fn take(&mut self) -> Output {
        let Self { records, messages, wants, recalls, lasting, requests, events } =
            core::mem::take(self);
        let records = records.into_iter().map(|(key, value)| match value {
            Some(value) => Change::Put { key, value },
            None => Change::Delete(key),
        });
        let changes = records.chain(messages).collect();
        Output { changes, lasting, requests, wants, recalls, events }
    }
}
