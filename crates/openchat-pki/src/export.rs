//! A whole transparency log as a file, which whoever has it can check with nothing else
//! (`docs/protocol.md` §9, T10).

use crate::{
    entry::{Entry, MAX_LOGGED},
    mirror::{Finding, Irregularity, Mirror, MirrorFault},
    origin::{FileError, Origin, OriginError, from_file, to_file},
    transparency::Head,
};
use openchat_wire::{Blob, Digest, Fingerprint, Name};
use serde::{Deserialize, Serialize};

/// The first line of a file with a log.
const MAGIC: &str = "openchat log 1\n";

/// Bytes of the part before the entries: certificates of 16 KiB and two statements.
const MAX_OPENING: usize = 20 * 1024;

/// What stands before the entries.
#[derive(Serialize, Deserialize)]
struct Opening {
    origin: Origin,
    head: Blob,
}

/// What a log says, after all of it was checked against its signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The pin of the CA whose log this is, to be compared by the reader unless it was given.
    pub pin: Digest,
    /// The head that covers the file.
    pub head: Head,
    /// Everybody who has a key, by name.
    pub people: Vec<(Name, Fingerprint)>,
    /// Entries that revoke a key.
    pub revocations: usize,
    /// The pin of the CA's key that the log announced last, if it ever did.
    pub announced: Option<Digest>,
    /// Entries that break the log's rules, or concern everybody.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// Whether the log tells of nothing that an honest CA does not do: its key may change and be
    /// replaced, and is then the one that the file rests on.
    #[must_use]
    pub fn is_regular(&self) -> bool {
        let usual = |finding: &Finding| {
            matches!(finding.what, Irregularity::NewAuthority(_) | Irregularity::Unknown { .. })
        };
        self.findings.iter().all(usual) && self.announced.is_none_or(|last| last == self.pin)
    }
}

/// The file of a log: its opening, to be written before its entries, each as
/// [`exported`] gives it.
///
/// A log is larger than what a server wants to hold, so the file is made piece by piece.
#[must_use]
pub fn opening(origin: &Origin, signed_head: &[u8]) -> Vec<u8> {
    let opening = Opening { origin: origin.clone(), head: Blob(signed_head.to_vec()) };
    let encoded = to_file("", &opening);
    [MAGIC.as_bytes(), &length(&encoded), &encoded].concat()
}

/// An entry as it stands in the file.
#[must_use]
pub fn exported(entry: &[u8]) -> Vec<u8> {
    [&length(entry), entry].concat()
}

/// Checks a whole file against the pin, or against itself if there is none.
///
/// # Errors
/// [`ExportError`] if it is not, to the byte, the log that its head commits to.
pub fn verify(file: &[u8], pin: Option<&Digest>) -> Result<Audit, ExportError> {
    let rest = file.strip_prefix(MAGIC.as_bytes()).ok_or(FileError::Magic)?;
    let (opening, mut rest) = piece(rest, MAX_OPENING).ok_or(ExportError::Cut)?;
    let opening: Opening = from_file("", opening, MAX_OPENING)?;
    let server = opening.origin.verify(pin)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, after) = piece(rest, MAX_LOGGED).ok_or(ExportError::Cut)?;
        entries.push(entry);
        rest = after;
    }
    let mut mirror = Mirror::new(&server.keys);
    let extended = mirror.extend(&entries, opening.head.as_ref())?;
    if extended.taken != entries.len() {
        return Err(ExportError::Surplus);
    }
    let revokes = |entry: &&&[u8]| matches!(Entry::decode(entry), Ok(Entry::Revoke { .. }));
    let announced = mirror.announcements().last();
    Ok(Audit {
        pin: server.pin,
        head: extended.head,
        people: mirror.people().collect(),
        revocations: entries.iter().filter(revokes).count(),
        announced: announced.map(|last| Digest(last.to().fingerprint().0)),
        findings: extended.findings,
    })
}

/// Whether the bytes begin as such a file.
#[must_use]
pub fn is_export(file: &[u8]) -> bool {
    file.starts_with(MAGIC.as_bytes())
}

/// A length in front of bytes: four bytes, big-endian.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// The first piece and what follows it.
fn piece(bytes: &[u8], max: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length).filter(|(piece, _)| piece.len() <= max)
}

/// Why a file is not a whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Not a file with a log.
    #[error(transparent)]
    File(#[from] FileError),
    /// It ends in mid-piece, or a piece is longer than any.
    #[error("T10: the file is cut short, or damaged")]
    Cut,
    /// Not of a server of this CA.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The entries are not those that the head commits to.
    #[error("T10: {0}")]
    Log(#[from] MirrorFault),
    /// More entries than the head commits to.
    #[error("T10: there are entries beyond the signed head")]
    Surplus,
}
