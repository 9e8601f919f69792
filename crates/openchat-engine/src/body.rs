//! What members say: every kind of content that people see, in one place that writes it, reads it and
//! holds its limits (`docs/protocol.md` §6.4). Whoever sends is held to them as whoever receives.

use core::time::Duration;

use openchat_group::ContentKind;
use openchat_wire::{
    DecodeError, Digest, Fingerprint, MessageId, decode, encode,
    limits::{
        FILE_CHUNK, MAX_EMOJI, MAX_ENTRY, MAX_FILE, MAX_FILE_NAME, MAX_TEXT, MAX_TIMER, MAX_TOPIC,
        MIN_TIMER,
    },
};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// Bytes of a body around its text: two identifiers and lengths.
const AROUND: usize = 128;

/// Names a message. Whoever wrote another one under the same identifier has another fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// The key that signed it.
    pub author: Fingerprint,
    /// Its author's name for it.
    pub id: MessageId,
}

/// A file, as its sender describes it. Nothing of it is to be believed before the whole hash was
/// compared, and the name not even then: it says what to propose, never where to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// A name without a path.
    pub name: String,
    /// Its length.
    pub size: u64,
    /// SHA-256 of the whole.
    pub hash: Digest,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A text.
    Text(String),
    /// A text that answers a message.
    Reply {
        /// Which.
        to: MessageRef,
        /// The answer.
        text: String,
    },
    /// A sign on a message.
    Reaction {
        /// Which.
        to: MessageRef,
        /// One character, as people see it.
        emoji: String,
        /// Put there, or taken away.
        on: bool,
    },
    /// Another text for a message of the same author.
    Edit {
        /// Which.
        of: MessageId,
        /// What it says now.
        text: String,
    },
    /// A message of the same author is to go, and what it brought.
    Delete {
        /// Which.
        of: MessageId,
    },
    /// What the author does, as a sentence without its subject.
    Action(String),
    /// What the conversation is about from now on; nothing if empty.
    Topic(String),
    /// A file, whose parts follow.
    File(Offer),
    /// For how long devices are asked to keep what is said from now on: a promise among those that
    /// obey it.
    Timer(Option<Duration>),
    /// Something that only a newer version knows. It is kept, so that one can show it.
    Unknown {
        /// Its number.
        kind: u16,
        /// As it came.
        bytes: Vec<u8>,
    },
}

/// Why a body is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not its kind's encoding.
    #[error("a body that is not what its kind says ({0})")]
    Encoding(#[from] DecodeError),
    /// A text has other bytes.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A text has too many bytes.
    #[error("a text of {len} bytes, the limit is {MAX_TEXT}")]
    TooLong {
        /// How many.
        len: usize,
    },
    /// There is no text.
    #[error("a text of nothing")]
    Empty,
    /// A reaction is not one character.
    #[error("a reaction that is not one character of at most {MAX_EMOJI} bytes")]
    Emoji,
    /// A topic is not a line of text.
    #[error("a topic that is not one line of at most {MAX_TOPIC} characters")]
    Topic,
    /// A timer is shorter than some minutes or longer than a year, or has parts of seconds.
    #[error("a timer that is not of whole seconds, from {} minutes to a year", MIN_TIMER.as_secs() / 60)]
    Timer,
    /// A file's name is a path, or would do something where it is shown.
    #[error("a file whose name is not a plain one of at most {MAX_FILE_NAME} bytes")]
    Name,
    /// A file is too large.
    #[error("a file of {0} bytes, the limit is {MAX_FILE}")]
    Size(u64),
    /// It is not for people, or of a kind that this version does not know how to make.
    #[error("a kind of content that is not for people")]
    Kind,
}

/// Encoded bodies, where they are more than one field.
#[derive(Serialize, Deserialize)]
struct Reply {
    to: MessageRef,
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Reaction {
    to: MessageRef,
    emoji: String,
    on: bool,
}

#[derive(Serialize, Deserialize)]
struct Edit {
    of: MessageId,
    text: String,
}

impl Body {
    /// The number of its kind.
    #[must_use]
    pub const fn kind(&self) -> u16 {
        match self {
            Self::Text(_) => ContentKind::TEXT,
            Self::Reply { .. } => ContentKind::REPLY,
            Self::Reaction { .. } => ContentKind::REACTION,
            Self::Edit { .. } => ContentKind::EDIT,
            Self::Delete { .. } => ContentKind::DELETE,
            Self::Action(_) => ContentKind::ACTION,
            Self::Topic(_) => ContentKind::TOPIC,
            Self::File(_) => ContentKind::FILE,
            Self::Timer(_) => ContentKind::TIMER,
            Self::Unknown { kind, .. } => ContentKind(*kind),
        }
        .0
    }

    /// The kind's name, as scripts see it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Reply { .. } => "reply",
            Self::Reaction { .. } => "reaction",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
            Self::Action(_) => "action",
            Self::Topic(_) => "topic",
            Self::File(_) => "file",
            Self::Timer(_) => "timer",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// What of it is a text to be shown and searched: a file's name, too.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text)
            | Self::Action(text)
            | Self::Topic(text)
            | Self::Reply { text, .. }
            | Self::Edit { text, .. } => text,
            Self::Reaction { emoji, .. } => emoji,
            Self::File(offer) => &offer.name,
            Self::Delete { .. } | Self::Timer(_) | Self::Unknown { .. } => "",
        }
    }

    /// Whether it says something by itself, rather than about another message or the conversation.
    #[must_use]
    pub const fn is_said(&self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::Reply { .. }
                | Self::Action(_)
                | Self::File(_)
                | Self::Unknown { .. }
        )
    }

    /// Holds it to the limits.
    ///
    /// # Errors
    /// [`BodyError`]; what this version does not know it can't say either.
    pub fn check(&self) -> Result<(), BodyError> {
        match self {
            // A text of nothing was always let pass.
            Self::Text(text) => at_most(text),
            Self::Action(text) | Self::Reply { text, .. } | Self::Edit { text, .. } => {
                at_most(text)?;
                if text.is_empty() { Err(BodyError::Empty) } else { Ok(()) }
            }
            Self::Reaction { emoji, .. } if is_one_character(emoji) => Ok(()),
            Self::Reaction { .. } => Err(BodyError::Emoji),
            Self::Topic(topic) if is_line(topic) => Ok(()),
            Self::Topic(_) => Err(BodyError::Topic),
            Self::File(offer) => offer.check(),
            Self::Delete { .. } | Self::Timer(None) => Ok(()),
            Self::Timer(Some(time)) if is_timer(*time) => Ok(()),
            Self::Timer(Some(_)) => Err(BodyError::Timer),
            Self::Unknown { .. } => Err(BodyError::Kind),
        }
    }

    /// As its kind is encoded.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Action(text) | Self::Topic(text) => encode(text),
            Self::Reply { to, text } => encode(&Reply { to: *to, text: text.clone() }),
            Self::Reaction { to, emoji, on } => {
                encode(&Reaction { to: *to, emoji: emoji.clone(), on: *on })
            }
            Self::Edit { of, text } => encode(&Edit { of: *of, text: text.clone() }),
            Self::Delete { of } => encode(of),
            Self::File(offer) => encode(offer),
            Self::Timer(time) => encode(&time.map_or(0, |time| time.as_secs())),
            Self::Unknown { bytes, .. } => bytes.clone(),
        }
    }

    /// Reads what somebody has sent, or what was kept of it.
    ///
    /// # Errors
    /// [`BodyError`]
    pub fn from_bytes(kind: u16, bytes: &[u8]) -> Result<Self, BodyError> {
        let body = Self::decode(kind, bytes)?;
        match &body {
            Self::Unknown { .. } => {}
            known => known.check()?,
        }
        Ok(body)
    }

    fn decode(kind: u16, bytes: &[u8]) -> Result<Self, BodyError> {
        const MAX: usize = MAX_TEXT + AROUND;
        Ok(match ContentKind(kind) {
            ContentKind::TEXT if bytes.len() > MAX_TEXT => {
                return Err(BodyError::TooLong { len: bytes.len() });
            }
            ContentKind::TEXT => {
                Self::Text(String::from_utf8(bytes.to_vec()).map_err(|_| BodyError::NotUtf8)?)
            }
            ContentKind::ACTION => Self::Action(decode(bytes, MAX)?),
            ContentKind::TOPIC => Self::Topic(decode(bytes, MAX)?),
            ContentKind::REPLY => {
                let Reply { to, text } = decode(bytes, MAX)?;
                Self::Reply { to, text }
            }
            ContentKind::REACTION => {
                let Reaction { to, emoji, on } = decode(bytes, MAX)?;
                Self::Reaction { to, emoji, on }
            }
            ContentKind::EDIT => {
                let Edit { of, text } = decode(bytes, MAX)?;
                Self::Edit { of, text }
            }
            ContentKind::DELETE => Self::Delete { of: decode(bytes, MAX)? },
            ContentKind::FILE => Self::File(decode(bytes, MAX)?),
            ContentKind::TIMER => {
                let seconds: u64 = decode(bytes, MAX)?;
                Self::Timer((seconds > 0).then(|| Duration::from_secs(seconds)))
            }
            ContentKind::NAMING
            | ContentKind::MISSED
            | ContentKind::WITNESSED
            | ContentKind::CHUNK => return Err(BodyError::Kind),
            _ if bytes.len() > MAX_ENTRY => return Err(BodyError::TooLong { len: bytes.len() }),
            _ => Self::Unknown { kind, bytes: bytes.to_vec() },
        })
    }
}

impl Offer {
    /// A file's name without its path and without what would do something where it is shown.
    #[must_use]
    pub fn clean_name(name: &str) -> String {
        let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let mut clean = String::new();
        for character in base.chars() {
            let character = if is_plain(character) { character } else { '_' };
            if clean.len().saturating_add(character.len_utf8()) > MAX_FILE_NAME {
                break;
            }
            clean.push(character);
        }
        let clean = clean.trim();
        if is_name(clean) { clean.to_owned() } else { "file".to_owned() }
    }

    /// In how many parts it comes.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        chunks(self.size)
    }

    fn check(&self) -> Result<(), BodyError> {
        if !is_name(&self.name) {
            return Err(BodyError::Name);
        }
        if self.size > MAX_FILE { Err(BodyError::Size(self.size)) } else { Ok(()) }
    }
}

/// In how many parts so many bytes come.
pub(crate) fn chunks(size: u64) -> u32 {
    u32::try_from(size.div_ceil(CHUNK)).unwrap_or(u32::MAX)
}

/// How long a part is.
pub(crate) fn chunk_len(size: u64, index: u32) -> u64 {
    size.saturating_sub(u64::from(index).saturating_mul(CHUNK)).min(CHUNK)
}

#[expect(clippy::as_conversions, reason = "a constant that fits")]
const CHUNK: u64 = FILE_CHUNK as u64;

fn at_most(text: &str) -> Result<(), BodyError> {
    if text.len() > MAX_TEXT { Err(BodyError::TooLong { len: text.len() }) } else { Ok(()) }
}

fn is_one_character(emoji: &str) -> bool {
    emoji.len() <= MAX_EMOJI
        && emoji.graphemes(true).count() == 1
        && !emoji.chars().any(|character| is_active(character) || character.is_whitespace())
}

fn is_line(topic: &str) -> bool {
    topic.chars().count() <= MAX_TOPIC && topic.chars().all(is_plain)
}

fn is_timer(time: Duration) -> bool {
    (MIN_TIMER..=MAX_TIMER).contains(&time) && time.subsec_nanos() == 0
}

fn is_name(name: &str) -> bool {
    let is_in_name = |c: char| is_plain(c) && c != '/' && c != '\\';
    !name.is_empty()
        && name.len() <= MAX_FILE_NAME
        && name.trim() == name
        && name != "."
        && name != ".."
        && name.chars().all(is_in_name)
}

/// Whether a character does something instead of being seen: controls, ends of lines, and those that
/// turn the direction of what follows.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Whether it may stand in a name or a topic: two that differ are then seen to differ. Joiners may, which
/// several scripts and many emoji are written with.
fn is_plain(character: char) -> bool {
    let is_unseen = matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2065}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !is_active(character) && !is_unseen
}

#[cfg(test)]
mod tests;
