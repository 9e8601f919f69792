//! Serial numbers.

use core::fmt;
use openchat_crypto::CryptoRng;
use serde::{Deserialize, Serialize};

/// Serial number of a certificate: 16 random bytes, of which the first begins with the bits 01, so
/// that the number is positive, never zero, and always as long (RFC 5280 §4.1.2.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Serial([u8; 16]);

impl Serial {
    /// The number, big-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let [first, ..] = &mut bytes;
        *first = *first & 0x3f | 0x40;
        Self(bytes)
    }

    fn is_well_formed(&self) -> bool {
        let [first, ..] = self.0;
        first & 0xc0 == 0x40
    }

    /// From the content octets of an INTEGER.
    pub(crate) fn from_der(octets: &[u8]) -> Option<Self> {
        octets.try_into().map(Self).ok().filter(Self::is_well_formed)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}
