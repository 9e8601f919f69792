//! The CA's key under a passphrase: PKCS#8 encrypted by PBES2 (RFC 8018) with scrypt and
//! AES-256-CBC, which `openssl pkcs8` reads and writes too.

use core::fmt;
use openchat_crypto::{CryptoRng, IdentityKey};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef,
    pkcs5::{
        EncryptionScheme,
        pbes2::{Kdf, Parameters},
        scrypt::Params,
    },
};
use zeroize::Zeroizing;

/// What a person types to open the CA's key. Wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<String>);

/// Characters of the shortest passphrase that a key is put under. Whoever steals the file guesses as
/// fast as memory allows, some thousands a second and machine: twelve characters of a person's choice
/// hold out for years, eight for days.
pub const MIN_PASSPHRASE: usize = 12;

/// scrypt with 16 MiB, five times over: a fifth of a second for who knows the passphrase, and one of
/// the settings that OWASP's cheat sheet holds equal to its first. More memory at once would be better
/// still, but OpenSSL opens nothing over 32 MiB, and a key must be readable when all else fails.
const LOG_N: u8 = 14;
const R: u16 = 8;
const P: u16 = 5;

/// Bytes that opening a file may take, and how often it goes over them: 1 GiB, 64 times. A file that
/// asks for more was made to stop the machine.
const MAX_MEMORY: u64 = 1 << 30;
const MAX_P: u16 = 64;

/// Rounds of PBKDF2 in a file that another program made: some seconds.
const MAX_ROUNDS: u32 = 10_000_000;

/// Bytes of a sealed key; one takes 240.
const MAX_SEALED: usize = 4 * 1024;

impl Passphrase {
    /// Takes what was typed.
    #[must_use]
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// The key under a passphrase, in DER. Takes a fifth of a second.
///
/// # Errors
/// [`SealedKeyError::Short`]; [`SealedKeyError::Malformed`] never, for a key of this project.
pub fn seal(
    key: &IdentityKey,
    passphrase: &Passphrase,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, SealedKeyError> {
    if passphrase.0.chars().count() < MIN_PASSPHRASE {
        return Err(SealedKeyError::Short);
    }
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut iv);
    let work = Params::new(LOG_N, R.into(), P.into()).map_err(|_| SealedKeyError::Work)?;
    let scheme = Parameters::generate_scrypt_aes256cbc(work, &salt, iv);
    let scheme = scheme.map_err(|_| SealedKeyError::Malformed)?;
    let plain = key.to_pkcs8();
    let info = PrivateKeyInfoRef::try_from(plain.as_slice());
    let sealed = info
        .map_err(|_| SealedKeyError::Malformed)?
        .encrypt_with_params(scheme, passphrase.0.as_bytes())
        .map_err(|_| SealedKeyError::Malformed)?;
    Ok(sealed.as_bytes().to_vec())
}

/// Whether these bytes are a key under a passphrase, and not a bare one.
#[must_use]
pub fn is_sealed(der: &[u8]) -> bool {
    EncryptedPrivateKeyInfoRef::try_from(der).is_ok()
}

/// The key, if this is its passphrase. Takes as long as the file asks, within bounds.
///
/// # Errors
/// [`SealedKeyError`].
pub fn open(der: &[u8], passphrase: &Passphrase) -> Result<IdentityKey, SealedKeyError> {
    if der.len() > MAX_SEALED {
        return Err(SealedKeyError::Malformed);
    }
    let sealed =
        EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| SealedKeyError::Malformed)?;
    check_work(&sealed.encryption_algorithm)?;
    let plain = sealed.decrypt(passphrase.0.as_bytes()).map_err(|_| SealedKeyError::Passphrase)?;
    // A wrong passphrase passes the padding once in 256 times, and never what is inside.
    IdentityKey::from_pkcs8(plain.as_bytes()).map_err(|_| SealedKeyError::Passphrase)
}

/// Refuses what would take hours or all memory, before any of it is spent.
fn check_work(scheme: &EncryptionScheme) -> Result<(), SealedKeyError> {
    let bounded = match scheme {
        EncryptionScheme::Pbes2(Parameters { kdf: Kdf::Scrypt(kdf), .. }) => {
            let memory = u64::from(kdf.block_size).saturating_mul(128);
            memory.saturating_mul(kdf.cost_parameter) <= MAX_MEMORY && kdf.parallelization <= MAX_P
        }
        EncryptionScheme::Pbes2(Parameters { kdf: Kdf::Pbkdf2(kdf), .. }) => {
            kdf.iteration_count <= MAX_ROUNDS
        }
        _ => false,
    };
    bounded.then_some(()).ok_or(SealedKeyError::Work)
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedKeyError {
    /// Too easily guessed.
    #[error("a passphrase has at least {MIN_PASSPHRASE} characters")]
    Short,
    /// Not a key under a passphrase.
    #[error("this is no private key under a passphrase (PKCS#8)")]
    Malformed,
    /// It asks for more work than a file may, or for a method that is not one of PBES2.
    #[error("the key asks for a method or an amount of work that is not allowed")]
    Work,
    /// Not its passphrase; or the file is damaged, which looks the same.
    #[error("the passphrase is wrong")]
    Passphrase,
}
