//! A secret from what a person remembers: Argon2id (RFC 9106), which makes each guess cost memory.

use crate::{CryptoRng, Secret};
use argon2::{Algorithm, Argon2, Params, Version};
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A passphrase as it was typed: wiped when dropped, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl Passphrase {
    /// This text as a passphrase. Any other copy is the caller's to wipe.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether nothing was typed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret that it stands for with this salt, at this cost.
    ///
    /// # Errors
    /// [`InvalidCost`], also if there is not as much memory.
    pub fn stretch(&self, salt: &Salt, cost: Cost) -> Result<Secret, InvalidCost> {
        let params = Params::new(cost.kibibytes, cost.passes, LANES, Some(SECRET_BYTES));
        let params = params.map_err(|_| InvalidCost)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut bytes = [0; SECRET_BYTES];
        let done = argon2.hash_password_into(self.0.as_bytes(), &salt.0, &mut bytes);
        let secret = Secret::from_bytes(bytes);
        bytes.zeroize();
        done.map(|()| secret).map_err(|_| InvalidCost)
    }
}

/// Whether the same was typed.
impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Passphrase {}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Random bytes that make equal passphrases into different secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// 16 random bytes, as many as RFC 9106 §3.1 recommends.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        Self(salt)
    }
}

/// What a guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory.
    pub kibibytes: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// What new passphrases cost: 64 MiB and three passes, the memory and the passes of RFC 9106's
    /// second recommendation (§4). A tenth to a fifth of a second on a laptop, once a start; a small
    /// server has the memory; who guesses needs as much for each guess that runs beside others.
    pub const USUAL: Self = Self { kibibytes: 64 * 1024, passes: 3 };

    /// The most that a stored cost may ask for: four times as much memory as today's, and ten passes.
    /// It is read from a file, and whoever may write that file must not stop the machine with it.
    pub const MOST: Self = Self { kibibytes: 256 * 1024, passes: 10 };

    /// A cost that was stored.
    ///
    /// # Errors
    /// [`InvalidCost`] if it is more than [`Cost::MOST`], or nothing.
    pub fn stored(kibibytes: u32, passes: u32) -> Result<Self, InvalidCost> {
        let sane = (8..=Self::MOST.kibibytes).contains(&kibibytes)
            && (1..=Self::MOST.passes).contains(&passes);
        if sane { Ok(Self { kibibytes, passes }) } else { Err(InvalidCost) }
    }
}

/// A cost that is not possible, here or at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of a passphrase is not possible")]
pub struct InvalidCost;

/// One: the lanes of a pass are computed one after the other here, and more of them would only
/// help whoever computes them side by side.
const LANES: u32 = 1;

const SECRET_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    const CHEAP: Cost = Cost { kibibytes: 64, passes: 1 };

    fn stretched(text: &str, salt: u8, cost: Cost) -> [u8; 32] {
        *Passphrase::new(text.to_owned()).stretch(&Salt([salt; 16]), cost).unwrap().expose()
    }

    #[test]
    fn it_is_argon2id_as_others_compute_it() {
        // Made by the reference implementation's `argon2` of Debian:
        // echo -n 'correct horse' | argon2 SALTSALTSALTSALT -id -t 3 -k 65536 -p 1 -l 32 -r
        let secret = Passphrase::new("correct horse".to_owned())
            .stretch(&Salt(*b"SALTSALTSALTSALT"), Cost::USUAL)
            .unwrap();
        let known = hex("02584c59496843e0db53cd6e63214de15a04686f5fec7097be582ee7920b5c1e");
        assert_eq!(secret.expose().as_slice(), known);
    }

    #[test]
    fn whatever_differs_gives_another_secret() {
        let secret = stretched("a", 1, CHEAP);
        assert_eq!(secret, stretched("a", 1, CHEAP));
        assert_ne!(secret, stretched("b", 1, CHEAP));
        assert_ne!(secret, stretched("a", 2, CHEAP));
        assert_ne!(secret, stretched("a", 1, Cost { kibibytes: 72, ..CHEAP }));
        assert_ne!(secret, stretched("a", 1, Cost { passes: 2, ..CHEAP }));
    }

    #[test]
    fn a_stored_cost_that_would_stop_the_machine_is_refused() {
        assert_eq!(Cost::stored(65_536, 3), Ok(Cost::USUAL));
        let most = Cost::MOST;
        assert_eq!(Cost::stored(most.kibibytes, most.passes), Ok(most));
        for (kibibytes, passes) in
            [(most.kibibytes + 1, 1), (8, most.passes + 1), (7, 1), (8, 0), (u32::MAX, u32::MAX)]
        {
            assert_eq!(Cost::stored(kibibytes, passes), Err(InvalidCost), "{kibibytes} {passes}");
        }
    }

    #[test]
    fn debug_shows_no_passphrase() {
        assert_eq!(format!("{:?}", Passphrase::new("s3cret".to_owned())), "Passphrase(..)");
    }
}
