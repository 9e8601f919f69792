//! A part of a file, as it travels (`docs/protocol.md` §6.5).

use openchat_crypto::{Label, hash};
use openchat_group::{Content, ContentKind};
use openchat_wire::{
    Blob, DecodeError, Fingerprint, MessageId, UnixMillis, decode, encode, limits::FILE_CHUNK,
};
use serde::{Deserialize, Serialize};

use crate::body::MessageRef;

/// Bytes of a part around what it carries.
const AROUND: usize = 64;

/// The body of a content of kind [`ContentKind::CHUNK`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The message that has offered the file, of the same author.
    pub of: MessageId,
    /// Which part; the first one is 0.
    pub index: u32,
    /// What it carries.
    pub bytes: Blob,
}

impl Chunk {
    /// The content; `time` is that of the offer, so that a part said again is the same.
    pub(crate) fn into_content(self, time: UnixMillis) -> Content {
        Content { time, kind: ContentKind::CHUNK, body: Blob(encode(&self)) }
    }

    /// Reads what somebody has sent.
    ///
    /// # Errors
    /// The encoding's; also if it carries more than a part may.
    pub fn read(body: &Blob) -> Result<Self, DecodeError> {
        let limit = FILE_CHUNK.saturating_add(AROUND);
        let chunk: Self = decode(&body.0, limit)?;
        if chunk.bytes.0.len() > FILE_CHUNK { Err(DecodeError::Malformed) } else { Ok(chunk) }
    }
}

/// The identifier of the message that carries a part. It follows from the file's, so that a part has
/// one message, and whoever has missed it can be given it again.
#[must_use]
pub fn chunk_id(file: MessageRef, index: u32) -> MessageId {
    let MessageRef { author: Fingerprint(author), id } = file;
    let digest = hash(Label::Chunk, &[&author, &id.0, &index.to_be_bytes()]);
    let mut id = MessageId([0; 16]);
    id.0.iter_mut().zip(digest.0).for_each(|(to, from)| *to = from);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(len: usize) -> Chunk {
        Chunk { of: MessageId([1; 16]), index: 300, bytes: Blob(vec![7; len]) }
    }

    #[test]
    fn m12_a_part_of_the_largest_length_is_read_and_one_byte_more_is_not() {
        let body = |len| chunk(len).into_content(UnixMillis(1)).body;
        assert_eq!(Chunk::read(&body(FILE_CHUNK)), Ok(chunk(FILE_CHUNK)));
        assert_eq!(Chunk::read(&body(FILE_CHUNK + 1)), Err(DecodeError::Malformed));
        assert!(Chunk::read(&body(FILE_CHUNK + AROUND)).is_err());
    }

    #[test]
    fn a_part_as_another_implementation_writes_it() {
        let mut known = vec![1; 16];
        known.extend([0xac, 0x02, 3, 7, 7, 7]);
        assert_eq!(chunk(3).into_content(UnixMillis(1)).body.0, known);
        for cut in 0..known.len() {
            assert!(Chunk::read(&Blob(known[..cut].to_vec())).is_err(), "{cut}");
        }
        known.push(0);
        assert_eq!(Chunk::read(&Blob(known)), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn m11_every_part_of_every_file_of_every_author_has_its_own_name() {
        let file =
            |author, id| MessageRef { author: Fingerprint([author; 32]), id: MessageId([id; 16]) };
        let all = [(file(1, 1), 0), (file(1, 1), 1), (file(1, 2), 0), (file(2, 1), 0)];
        let mut names = all.map(|(file, index)| chunk_id(file, index)).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
}
