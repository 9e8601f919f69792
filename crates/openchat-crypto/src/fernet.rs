//! Fernet tokens (the specification at <https://github.com/fernet/spec>) as openchat uses them.
//!
//! - A token's time is 0: the author's time is a signed part of the content, and a second one in
//!   the clear would tell the relay more and mean less. Any other time is refused.
//! - Base64 is a token's encoding for text and no part of it here: tokens are raw bytes,
//!   `0x80 ‖ time, 8 bytes ‖ IV, 16 bytes ‖ AES-128-CBC ciphertext ‖ HMAC-SHA-256, 32 bytes`.
//! - The IV comes from the operating system: the `fernet` crate takes none from outside.

use crate::Secret;
use base64ct::{Base64Url, Base64UrlUnpadded, Encoding};
use core::fmt;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A Fernet key: 16 bytes for the HMAC, then 16 for AES.
#[derive(Clone)]
pub struct MessageKey(::fernet::Fernet);

impl MessageKey {
    /// The key with these 32 bytes. A message's key seals one message and no other.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "32 bytes in base64 are what the crate asks for"
    )]
    #[expect(clippy::needless_pass_by_value, reason = "the secret ends here")]
    pub fn new(secret: Secret) -> Self {
        let text = Zeroizing::new(Base64Url::encode_string(secret.expose()));
        Self(::fernet::Fernet::new(&text).expect("32 bytes are a key"))
    }

    /// Seals `plaintext`. The token is 58 to 73 bytes longer.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the crate returns base64, as its documentation says"
    )]
    pub fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        let token = self.0.encrypt_at_time(plaintext, TIME);
        Base64Url::decode_vec(&token).expect("a token is base64")
    }

    /// The plaintext of a token.
    ///
    /// # Errors
    /// [`FernetError`]; nothing of the plaintext is seen before the HMAC over all of it was right.
    pub fn open(&self, token: &[u8]) -> Result<Vec<u8>, FernetError> {
        check_shape(token)?;
        let token = Base64UrlUnpadded::encode_string(token);
        self.0.decrypt_at_time(&token, None, LATEST_NOW).map_err(|_| FernetError::Refused)
    }
}

/// Every token's time.
const TIME: u64 = 0;

/// The "now" for which no time is too early. The crate adds 60 seconds of clock skew to it.
const LATEST_NOW: u64 = u64::MAX - 60;

const VERSION: u8 = 0x80;
const BLOCK_BYTES: usize = 16;

/// Version, time, IV and HMAC: what a token has besides its ciphertext.
const FRAME_BYTES: usize = 1 + 8 + 16 + 32;

/// What can be said of a token without its key.
fn check_shape(token: &[u8]) -> Result<(), FernetError> {
    let blocks = token.len().checked_sub(FRAME_BYTES).ok_or(FernetError::Format)?;
    let (version, rest) = token.split_first().ok_or(FernetError::Format)?;
    let (time, _) = rest.split_first_chunk().ok_or(FernetError::Format)?;
    // CBC pads always, so there is at least one block.
    if *version != VERSION || blocks == 0 || !blocks.is_multiple_of(BLOCK_BYTES) {
        Err(FernetError::Format)
    } else if u64::from_be_bytes(*time) != TIME {
        Err(FernetError::Time)
    } else {
        Ok(())
    }
}

// `fernet::Fernet` wipes its two keys when dropped.
impl ZeroizeOnDrop for MessageKey {}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageKey(..)")
    }
}

/// Why a token is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FernetError {
    /// Not a token: another version, or a length that no token has.
    #[error("not a Fernet token")]
    Format,
    /// A token with a time, which this project does not make.
    #[error("a Fernet token with a time other than 0")]
    Time,
    /// Another key's, or changed on the way: not told apart.
    #[error("the Fernet token does not open with this key")]
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;
    use serde_json::Value;

    /// 00 01 02 … 1f.
    fn key_bytes() -> [u8; 32] {
        core::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    fn key() -> MessageKey {
        MessageKey::new(Secret::from_bytes(key_bytes()))
    }

    /// The token with another beginning and the HMAC that belongs to it, as only a holder of the
    /// key can make it. HMAC pads the 16 bytes of the signing key with zeros itself.
    fn forged(token: &[u8], version: u8, time: u64, key: &[u8]) -> Vec<u8> {
        let mut signing_key = [0; 32];
        signing_key[..16].copy_from_slice(&key[..16]);
        let body = &token[9..token.len() - 32];
        let signed = [&[version], &time.to_be_bytes()[..], body].concat();
        let tag = Secret::from_bytes(signing_key).tag(&signed);
        [signed, tag.0.to_vec()].concat()
    }

    #[test]
    fn tokens_of_another_implementation_open() {
        // Made by Python's cryptography at time 0, the first three with IV 64 65 … 73.
        let known = [
            (
                vec![],
                "8000000000000000006465666768696a6b6c6d6e6f707172730a210867ed578d993768d1e2775bb106\
                 2b005cf4bc7ea0430694fd57917f6901cd0b4410c22909dc64fb3557f5e3aa3f",
            ),
            (
                b"hello".to_vec(),
                "8000000000000000006465666768696a6b6c6d6e6f7071727337d3026a907e9b6e706395c39e96a38a\
                 d750a58819be8952b1aca7dba40b4cb6004d4c87d5dabbe7c307da35298579ad",
            ),
            (
                (0..48).collect(),
                "8000000000000000006465666768696a6b6c6d6e6f70717273d02c13873be10313016f347c619cdf5f\
                 fc4619813ba4cf9faecc8ce72b36958c11e09435de820efc3a898a1445ad6e54d0645a12f0a4f423e1\
                 f59f2f72c1431fe055a45102ab03ba996230230908c944d1f1a3d9ff9cc5836826a479bb690f80",
            ),
            (
                b"time zero".to_vec(),
                "8000000000000000003b5f77c730e36cafdeddeeb3bf3de58adf5abf3f239cd32c1ea2f33059fb0eec\
                 b47c91b4b1264a35dcd28b0b9601a33d61d923e9147570e689385797afe04627",
            ),
        ];
        for (plaintext, token) in known {
            assert_eq!(key().open(&hex(token)), Ok(plaintext));
        }
    }

    /// The specification's vectors, all of which have a time.
    fn vectors(json: &str) -> Vec<Value> {
        serde_json::from_str(json).unwrap()
    }

    /// Key bytes and, if it is base64 at all, token bytes of a vector.
    fn parts(vector: &Value) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = Base64Url::decode_vec(vector["secret"].as_str().unwrap()).unwrap();
        (key, Base64Url::decode_vec(vector["token"].as_str().unwrap()).ok())
    }

    fn opened(key: &[u8], token: &[u8]) -> Result<Vec<u8>, FernetError> {
        MessageKey::new(Secret::from_bytes(key.try_into().unwrap())).open(token)
    }

    #[test]
    fn good_tokens_of_the_specification_open_at_time_0_and_no_other() {
        let mut seen = 0;
        for json in [
            include_str!("../testdata/fernet_generate.json"),
            include_str!("../testdata/fernet_verify.json"),
        ] {
            for vector in vectors(json) {
                let (key, token) = parts(&vector);
                let token = token.unwrap();
                assert_eq!(opened(&key, &token), Err(FernetError::Time));
                let plaintext = vector["src"].as_str().unwrap().as_bytes().to_vec();
                assert_eq!(opened(&key, &forged(&token, VERSION, 0, &key)), Ok(plaintext));
                seen += 1;
            }
        }
        assert_eq!(seen, 2);
    }

    #[test]
    fn bad_tokens_of_the_specification_stay_closed() {
        let mut seen = Vec::new();
        for vector in vectors(include_str!("../testdata/fernet_invalid.json")) {
            let what = vector["desc"].as_str().unwrap().to_owned();
            let (key, Some(token)) = parts(&vector) else {
                assert_eq!(what, "invalid base64");
                continue;
            };
            assert!(opened(&key, &token).is_err(), "{what}");
            // With time 0 and the right HMAC for it, only the fault in the ciphertext is left; the
            // faults of HMAC and time are gone.
            let long_enough = token.len() >= FRAME_BYTES;
            let token = if long_enough { forged(&token, VERSION, 0, &key) } else { token };
            seen.push((what, opened(&key, &token).err()));
        }
        let known = [
            ("incorrect mac", None),
            ("too short", Some(FernetError::Format)),
            ("payload size not multiple of block size", Some(FernetError::Format)),
            ("payload padding error", Some(FernetError::Refused)),
            ("far-future TS (unacceptable clock skew)", None),
            ("expired TTL", None),
            ("incorrect IV (causes padding error)", Some(FernetError::Refused)),
        ];
        assert_eq!(seen, known.map(|(what, error)| (what.to_owned(), error)));
    }

    #[test]
    fn any_time_but_0_is_refused_even_with_a_right_hmac() {
        let token = key().seal(b"hello");
        for time in [1, 499_162_800, u64::MAX - 60, u64::MAX - 59, u64::MAX] {
            let other = forged(&token, VERSION, time, &key_bytes());
            assert_eq!(key().open(&other), Err(FernetError::Time), "time {time}");
        }
        assert_eq!(forged(&token, VERSION, 0, &key_bytes()), token);
        assert_eq!(key().open(&token), Ok(b"hello".to_vec()));
    }

    #[test]
    fn another_version_is_refused_even_with_a_right_hmac() {
        let token = key().seal(b"hello");
        for version in (0..=u8::MAX).filter(|&version| version != VERSION) {
            let other = forged(&token, version, 0, &key_bytes());
            assert_eq!(key().open(&other), Err(FernetError::Format));
        }
    }

    #[test]
    fn a_token_with_any_bit_flipped_is_refused() {
        let token = key().seal(b"a message of more than one block");
        for bit in 0..token.len() * 8 {
            let mut flipped = token.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key().open(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_token_with_bytes_taken_or_added_is_refused() {
        let token = key().seal(b"a message of more than one block");
        for length in 0..token.len() {
            assert!(key().open(&token[..length]).is_err(), "first {length} bytes");
            assert!(key().open(&token[token.len() - length..]).is_err(), "last {length} bytes");
        }
        for added in 1..=64 {
            for filler in [0, b'=', b'A'] {
                let longer = [&token[..], &vec![filler; added]].concat();
                assert!(key().open(&longer).is_err(), "{added} bytes of {filler} more");
            }
        }
    }

    #[test]
    fn a_token_in_base64_is_not_a_token() {
        let text = Base64Url::encode_string(&key().seal(b"hello"));
        assert_eq!(key().open(text.as_bytes()), Err(FernetError::Format));
    }

    #[test]
    fn another_key_opens_nothing() {
        let token = key().seal(b"hello");
        for byte in 0..32 {
            let mut bytes = key_bytes();
            bytes[byte] ^= 1;
            // A wrong encryption key passes the HMAC and gives nonsense, whose padding is right by
            // chance; but the two halves are never used apart.
            if byte < 16 {
                assert_eq!(opened(&bytes, &token), Err(FernetError::Refused), "byte {byte}");
            } else {
                assert_ne!(opened(&bytes, &token), Ok(b"hello".to_vec()), "byte {byte}");
            }
        }
    }

    #[test]
    fn sealing_twice_gives_two_tokens() {
        assert_ne!(key().seal(b"hello"), key().seal(b"hello"));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key()), "MessageKey(..)");
    }

    proptest::proptest! {
        #[test]
        fn what_is_sealed_opens(plaintext: Vec<u8>) {
            let token = key().seal(&plaintext);
            proptest::prop_assert!((58..=73).contains(&(token.len() - plaintext.len())));
            proptest::prop_assert_eq!(key().open(&token), Ok(plaintext));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            proptest::prop_assert!(key().open(&bytes).is_err());
        }
    }
}
