//! The one canonical encoding: postcard, bounded, where only what encodes to the same bytes decodes.
//!
//! postcard alone accepts overlong integers and trailing bytes, so that one value would have many
//! encodings and a signature over bytes would not fix a meaning. [`decode`] re-encodes and compares.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes are not an encoding of the type asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the limit of this type.
    #[error("{len} bytes where at most {max} are allowed")]
    TooLong {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not a value of this type: cut short, an unknown variant, a field out of range.
    #[error("malformed")]
    Malformed,
    /// A value, but not in its one encoding: overlong integers or trailing bytes.
    #[error("not canonical")]
    NotCanonical,
}

/// The canonical bytes of `value`.
///
/// Types of this workspace have no unsized maps and no foreign serializers, for which alone
/// postcard's encoder can fail; such a value would encode to nothing, which never decodes.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_behind(Vec::new(), value)
}

/// The same behind what is there already. Room for it in `bytes` saves growing step by step.
pub(crate) fn encode_behind<T: Serialize>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, bytes).unwrap_or_default()
}

/// The value that `bytes` is the canonical encoding of.
///
/// # Errors
/// See [`DecodeError`]. No more than `max` bytes are looked at, and memory stays proportional.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { len: bytes.len(), max });
    }
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if rest.is_empty() && encode_behind(Vec::with_capacity(bytes.len()), &value) == bytes {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_trailing_bytes_are_refused() {
        assert_eq!(decode::<u32>(&[5, 0], 10), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn b1_overlong_integers_are_refused() {
        assert_eq!(decode::<u32>(&[0x85, 0x00], 10), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u32>(&[0x05], 10), Ok(5));
    }

    #[test]
    fn b2_too_long_is_refused_before_decoding() {
        assert_eq!(decode::<u32>(&[5], 0), Err(DecodeError::TooLong { len: 1, max: 0 }));
    }

    #[test]
    fn a_length_that_promises_more_than_there_is_allocates_nothing_and_fails() {
        let promise = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode::<Vec<u64>>(&promise, 10), Err(DecodeError::Malformed));
        assert_eq!(decode::<crate::Blob>(&promise, 10), Err(DecodeError::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes: Vec<u8>) {
            if let Ok(value) = decode::<crate::relay::ToServer>(&bytes, 4096) {
                proptest::prop_assert_eq!(encode(&value), bytes);
            }
        }
    }
}
