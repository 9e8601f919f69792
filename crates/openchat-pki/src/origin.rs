//! Whose word a file rests on: the CA's certificates and its statement of the server's keys, so that
//! whoever has the pin, and nothing else, can check what the server signed.

use crate::{
    ca::{CaCertificate, CaError},
    signed::SignedError,
    statement::ServerKeys,
};
use openchat_wire::{Blob, DecodeError, Digest, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The CA's certificates and the statement of the server's keys, not verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The certificate of the CA that issues, and after it the root's if that is another.
    chain: Vec<Blob>,
    /// [`ServerKeys::sign`].
    server_keys: Blob,
}

/// An origin that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The pin of its CA.
    pub pin: Digest,
    /// What it signs with.
    pub keys: ServerKeys,
}

impl Origin {
    /// The origin of what a server signs, from what a device holds of it. If the CA stated the keys
    /// under an earlier key of its own, that one's pin is what the reader compares.
    #[must_use]
    pub fn new(ca: &CaCertificate, server_keys: &[u8]) -> Self {
        let stated = |ca: &&CaCertificate| ServerKeys::verify(server_keys, ca).is_ok();
        let ca = core::iter::once(ca).chain(ca.former()).find(stated).unwrap_or(ca);
        let chain = ca.chain().map(|der| Blob(der.to_vec())).collect();
        Self { chain, server_keys: Blob(server_keys.to_vec()) }
    }

    /// The server, if this is a CA with the pin. Without a pin it is whoever the file says; the pin
    /// is then what the reader has to compare.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn verify(&self, pin: Option<&Digest>) -> Result<Server, OriginError> {
        let root = self.chain.last().ok_or(OriginError::NoCertificate)?;
        let claimed = CaCertificate::pin_of(root.as_ref())?;
        let ca = CaCertificate::from_chain(&self.chain, pin.unwrap_or(&claimed))?;
        Ok(Server { pin: ca.pin(), keys: ServerKeys::verify(self.server_keys.as_ref(), &ca)? })
    }
}

/// Why a file rests on nobody's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// There is no CA certificate in it.
    #[error("there is no CA certificate")]
    NoCertificate,
    /// Not the certificate of this CA.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// The CA did not state these keys.
    #[error("the server's keys: {0}")]
    Keys(#[from] SignedError),
}

/// The bytes of a file: a line that says what it is, then the canonical encoding.
pub(crate) fn to_file(magic: &str, value: &impl Serialize) -> Vec<u8> {
    [magic.as_bytes(), &encode(value)].concat()
}

/// Reads the bytes of [`to_file`].
pub(crate) fn from_file<T: Serialize + DeserializeOwned>(
    magic: &str,
    bytes: &[u8],
    max: usize,
) -> Result<T, FileError> {
    let rest = bytes.strip_prefix(magic.as_bytes()).ok_or(FileError::Magic)?;
    Ok(decode(rest, max)?)
}

/// Why bytes are not such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It begins otherwise.
    #[error("another kind of file, or another version of it")]
    Magic,
    /// It is damaged.
    #[error("the file is {0}")]
    Decode(#[from] DecodeError),
}
