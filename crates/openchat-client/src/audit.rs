//! Files about a server that anybody can check: a whole transparency log, and evidence that a server
//! showed two histories. No profile is needed, and no server.

pub use openchat_pki::{Audit, Deceit, Finding, Irregularity, Verdict};

use openchat_pki::{Evidence, EvidenceError, ExportError, export};
use openchat_wire::Digest;

/// Bytes of the largest file that is read: a log of nearly ten million entries.
pub const MAX_FILE: u64 = 1 << 30;

/// What a file holds, after all of it was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// A whole log.
    Log(Box<Audit>),
    /// Evidence.
    Evidence(Box<Verdict>),
}

/// Why a file proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// It is not the log that its head commits to.
    #[error("the log: {0}")]
    Log(#[from] ExportError),
    /// It is no evidence.
    #[error("the evidence: {0}")]
    Evidence(#[from] EvidenceError),
}

/// Verifies a file of either kind, against the CA's pin if there is one.
///
/// # Errors
/// [`AuditError`]
pub fn verify(file: &[u8], pin: Option<&Digest>) -> Result<Checked, AuditError> {
    if export::is_export(file) {
        return Ok(Checked::Log(Box::new(export::verify(file, pin)?)));
    }
    Ok(Checked::Evidence(Box::new(Evidence::decode(file)?.verify(pin)?)))
}
