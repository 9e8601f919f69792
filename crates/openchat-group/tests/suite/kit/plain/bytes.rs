//! §2.1: the canonical encoding, read and written by hand.

use openchat_crypto::{PublicKey, Signature};

/// What is left of some bytes. Every method gives `None` where the bytes are not canonical.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The value that all of `bytes` are.
    pub(crate) fn all<T>(bytes: &'a [u8], read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let mut reader = Self(bytes);
        let value = read(&mut reader)?;
        reader.0.is_empty().then_some(value)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    /// A number in LEB128 with no more bytes than it needs.
    pub(crate) fn number(&mut self, most: u64) -> Option<u64> {
        let mut number: u128 = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u128::from(byte & 127) << (7 * place);
            if byte & 128 == 0 {
                let is_shortest = place == 0 || byte != 0;
                return u64::try_from(number).ok().filter(|n| is_shortest && *n <= most);
            }
        }
        None
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.number(u64::MAX)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.number(u64::from(u32::MAX))?).ok()
    }

    /// The index of an enumeration's variant.
    pub(crate) fn variant(&mut self, count: u64) -> Option<u64> {
        self.number(count - 1)
    }

    pub(crate) fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.u64()?).ok()?;
        Some(self.take(length)?.to_vec())
    }

    /// A name of the alphabet `[a-z][a-z0-9-]{0,31}`.
    pub(crate) fn name(&mut self) -> Option<String> {
        let name = String::from_utf8(self.bytes()?).ok()?;
        let mut letters = name.bytes();
        let begins = letters.next()?.is_ascii_lowercase();
        let goes_on = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        (begins && name.len() <= 32 && letters.all(goes_on)).then_some(name)
    }

    pub(crate) fn point(&mut self) -> Option<PublicKey> {
        PublicKey::from_bytes(self.take(65)?).ok()
    }

    pub(crate) fn signature(&mut self) -> Option<Signature> {
        Signature::from_bytes(self.take(64)?).ok()
    }

    #[expect(clippy::option_option, reason = "an optional value that may be malformed")]
    pub(crate) fn option<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    pub(crate) fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.u64()?).map(|_| read(self)).collect()
    }
}

/// A number in LEB128.
pub(crate) fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// Bytes or text, with their length first.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    [&number(u64::try_from(bytes.len()).unwrap()), bytes].concat()
}

pub(crate) fn option<T>(value: Option<&T>, write: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    value.map_or(vec![0], |value| [vec![1], write(value)].concat())
}

pub(crate) fn list<T>(values: &[T], write: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    let count = number(u64::try_from(values.len()).unwrap());
    [count, values.iter().flat_map(write).collect()].concat()
}

pub(crate) fn point(key: &PublicKey) -> Vec<u8> {
    key.as_bytes().to_vec()
}
