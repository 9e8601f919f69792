//! What members say (`docs/protocol.md` §6.4): the first byte is the kind.

use openchat_engine::{Body, Chunk, Offer};
use openchat_wire::{
    Blob, Digest, encode,
    limits::{FILE_CHUNK, MAX_FILE_NAME},
};

/// A body of any kind.
pub fn body(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else { return };
    let Ok(body) = Body::from_bytes(kind.into(), bytes) else { return };
    assert_eq!(body.kind(), u16::from(kind));
    assert_eq!(body.to_bytes(), bytes, "a body has two encodings");
    match &body {
        Body::Unknown { .. } => assert!(body.check().is_err(), "nobody says what it does not know"),
        known => assert_eq!(known.check(), Ok(()), "what is read could not be said"),
    }
    if let Body::File(offer) = &body {
        assert_eq!(Offer::clean_name(&offer.name), offer.name, "a plain name is changed");
        assert!(offer.chunks() <= 512);
    }
}

/// A part of a file.
pub fn chunk(data: &[u8]) {
    let Ok(chunk) = Chunk::read(&Blob(data.to_vec())) else { return };
    assert_eq!(encode(&chunk), data, "a part has two encodings");
    assert!(chunk.bytes.0.len() <= FILE_CHUNK);
}

/// What somebody's file may be called.
pub fn file_name(data: &[u8]) {
    let name = Offer::clean_name(&String::from_utf8_lossy(data));
    assert!(!name.is_empty() && name.len() <= MAX_FILE_NAME && !name.contains(['/', '\\', '\0']));
    let offer = Offer { name, size: 0, hash: Digest([0; 32]) };
    assert_eq!(Body::File(offer).check(), Ok(()));
}
