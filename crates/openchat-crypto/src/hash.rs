//! SHA-256 (FIPS 180-4), bare and for a purpose.

use crate::Label;
use openchat_wire::Digest;
use sha2::{Digest as _, Sha256};

/// SHA-256 of `bytes`, for formats that others define: fingerprints, pins.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// SHA-256 of what comes piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Of nothing so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes some more.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of it.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// `SHA-256("openchat/1 " ‖ label ‖ 0x00 ‖ parts…)`.
///
/// The parts are joined without their lengths: all but the last must have a length that the label
/// fixes, or two lists of parts would have one hash.
#[must_use]
pub fn hash(label: Label, parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for piece in label.pieces().iter().chain(parts) {
        hasher.update(piece);
    }
    Digest(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex32;

    #[test]
    fn fips_180_4_examples() {
        let known = [
            (b"".to_vec(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc".to_vec(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".to_vec(),
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
            ),
            (
                vec![b'a'; 1_000_000],
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ),
        ];
        for (message, digest) in known {
            assert_eq!(sha256(&message).0, hex32(digest));
            let mut hasher = Hasher::new();
            message.chunks(100).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish().0, hex32(digest));
        }
    }

    #[test]
    fn a_labelled_hash_as_another_implementation_makes_it() {
        let known = hex32("7dc7d309b396678d43ce4538dbb16527a6db4a0f74c6cec877a80770ba7f3b17");
        assert_eq!(hash(Label::Group, &[b"ab", b"c"]).0, known);
    }

    #[test]
    fn every_label_hashes_the_same_bytes_differently() {
        let mut hashes: Vec<Digest> =
            Label::ALL.iter().map(|&label| hash(label, &[b"same"])).collect();
        hashes.push(sha256(b"same"));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
