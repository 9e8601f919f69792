//! Sealing and opening messages (`docs/protocol.md` §6).
//!
//! Sealed: `padded content ‖ seen.seq ‖ seen.log_hash ‖ signature`, as one Fernet token under a
//! key that is bound to the header and used once.

use openchat_crypto::{IdentityKey, Label, PublicKey, Secret, Signature, fernet::MessageKey, hash};
use openchat_roster::{MessageEntry, MessageHeader, Seen};
use openchat_wire::{
    Blob, Digest, Fingerprint, GroupId, MessageId, Seq, UnixMillis, decode, encode,
    limits::MAX_ENTRY,
};
use serde::{Deserialize, Serialize};

use crate::{padding, secret_tree::NoKey};

/// Bytes after the padded content: sequence number, log hash, signature.
const TRAILER: usize = 8 + 32 + 64;

/// What an author writes. Kinds that a program does not know are kept and shown as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The author's clock: a claim.
    pub time: UnixMillis,
    /// How to read the body.
    pub kind: ContentKind,
    /// The body.
    pub body: Blob,
}

impl Content {
    /// Tells a repetition from another message under the same id.
    #[must_use]
    pub fn hash(&self) -> Digest {
        hash(Label::Content, &[&padding::pad(&encode(self))])
    }
}

/// How to read a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentKind(pub u16);

impl ContentKind {
    /// The body is text in UTF-8.
    pub const TEXT: Self = Self(1);
    /// The body is a [`openchat_roster::Naming`], for members who have lost it.
    pub const NAMING: Self = Self(2);
    /// The body lists messages that the author could not open, as (author, id).
    pub const MISSED: Self = Self(3);
    /// The body is another content, with the head of the transparency log that its author was shown.
    pub const WITNESSED: Self = Self(4);
    /// A text that answers a message.
    pub const REPLY: Self = Self(5);
    /// A sign on a message, put there or taken away.
    pub const REACTION: Self = Self(6);
    /// Another text for a message of the author's own.
    pub const EDIT: Self = Self(7);
    /// A message of the author's own is to go.
    pub const DELETE: Self = Self(8);
    /// What the author does, as a sentence without its subject.
    pub const ACTION: Self = Self(9);
    /// What the conversation is about.
    pub const TOPIC: Self = Self(10);
    /// A file that is to come in parts.
    pub const FILE: Self = Self(11);
    /// A part of a file.
    pub const CHUNK: Self = Self(12);
    /// For how long messages are to be kept.
    pub const TIMER: Self = Self(13);
}

/// A message that was opened: its author signed all of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The author's identity key.
    pub author: Fingerprint,
    /// The author's name for it.
    pub id: MessageId,
    /// What was written.
    pub content: Content,
    /// Tells a repetition from another message under the same id.
    pub content_hash: Digest,
    /// The log as the author had it.
    pub seen: Seen,
}

/// Why an entry can't be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The relay let a message pass that does not count.
    #[error("it does not count at its place: {0}")]
    Fault(#[from] openchat_roster::MessageFault),
    /// Sealed before this device came, or while it was left behind.
    #[error("its keys never reached this device")]
    NoEpoch,
    /// The key was used and deleted.
    #[error("its key was used before")]
    Spent,
    /// More messages are missing than are skipped at once.
    #[error("too many messages before it are missing")]
    TooFar,
    /// The token is not one of that key.
    #[error("it was damaged or forged")]
    Token,
    /// Inside is not what a message must have.
    #[error("its content is malformed")]
    Content,
    /// The signature is not its author's.
    #[error("its signature is not its author's")]
    Signature,
}

impl From<NoKey> for Unreadable {
    fn from(reason: NoKey) -> Self {
        match reason {
            NoKey::Spent => Self::Spent,
            NoKey::TooFar => Self::TooFar,
            NoKey::NoSlot => Self::NoEpoch,
        }
    }
}

/// Where and by whom a message is sealed.
pub(crate) struct Place<'a> {
    header: MessageHeader,
    header_hash: Digest,
    confirmed: &'a Digest,
    author: Fingerprint,
}

impl<'a> Place<'a> {
    pub(crate) fn new(
        group: &GroupId,
        header: MessageHeader,
        confirmed: &'a Digest,
        author: Fingerprint,
    ) -> Self {
        Self { header, header_hash: header.hash(group), confirmed, author }
    }

    pub(crate) fn seal(
        &self,
        secret: &Secret,
        author: &IdentityKey,
        content: &Content,
        seen: Seen,
    ) -> MessageEntry {
        let mut sealed = padding::pad(&encode(content));
        let content_hash = hash(Label::Content, &[&sealed]);
        let body = self.signed_body(seen, &content_hash);
        sealed.extend_from_slice(&seen.seq.0.to_be_bytes());
        sealed.extend_from_slice(&seen.log_hash.0);
        sealed.extend_from_slice(author.sign(Label::Message, &body).as_bytes());
        let token = self.key(secret).seal(&sealed);
        MessageEntry { header: self.header, token: Blob(token) }
    }

    pub(crate) fn open(
        &self,
        secret: &Secret,
        author: &PublicKey,
        token: &Blob,
    ) -> Result<Opened, Unreadable> {
        let sealed = self.key(secret).open(&token.0).map_err(|_| Unreadable::Token)?;
        let split = sealed.len().checked_sub(TRAILER).ok_or(Unreadable::Content)?;
        let (padded, trailer) = sealed.split_at_checked(split).ok_or(Unreadable::Content)?;
        let (seen, signature) = trailer_fields(trailer).ok_or(Unreadable::Content)?;
        let content_hash = hash(Label::Content, &[padded]);
        let body = self.signed_body(seen, &content_hash);
        author.verify(Label::Message, &body, &signature).map_err(|_| Unreadable::Signature)?;
        let content = padding::unpad(padded).ok_or(Unreadable::Content)?;
        Ok(Opened {
            author: self.author,
            id: self.header.id,
            content: decode(content, MAX_ENTRY).map_err(|_| Unreadable::Content)?,
            content_hash,
            seen,
        })
    }

    /// `Expand(generation secret, "message key" ‖ header hash)`: Fernet has no associated data, so
    /// the header is bound through the key.
    fn key(&self, secret: &Secret) -> MessageKey {
        MessageKey::new(secret.expand(Label::MessageKey, &self.header_hash.0))
    }

    /// `fpr ‖ header hash ‖ confirmed_n ‖ seen.seq ‖ seen.log_hash ‖ H(padded content)`.
    fn signed_body(&self, seen: Seen, content_hash: &Digest) -> Vec<u8> {
        let parts: [&[u8]; 6] = [
            &self.author.0,
            &self.header_hash.0,
            &self.confirmed.0,
            &seen.seq.0.to_be_bytes(),
            &seen.log_hash.0,
            &content_hash.0,
        ];
        parts.concat()
    }
}

fn trailer_fields(trailer: &[u8]) -> Option<(Seen, Signature)> {
    let (seq, rest) = trailer.split_first_chunk::<8>()?;
    let (log_hash, signature) = rest.split_first_chunk::<32>()?;
    let seen = Seen { seq: Seq(u64::from_be_bytes(*seq)), log_hash: Digest(*log_hash) };
    Some((seen, decode(signature, signature.len()).ok()?))
}
