//! Certificate profiles, certification requests, verification and the transparency log.
//!
//! No I/O, no clock, no ambient randomness: the time and a generator come in. Certificates and
//! requests are written by `rcgen`, read by `x509-parser`, and signed and verified by
//! `openchat-crypto` alone. The operator's rules are in `pki/*.toml`; the protocol's in
//! `docs/protocol.md` §9.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod authority;
pub mod evidence;
pub mod export;
pub mod host;
pub mod mirror;
pub mod profile;
pub mod request;
pub mod root;
pub mod rotation;
pub mod sealed_key;
pub mod statement;
pub mod transparency;
pub mod watch;

mod ca;
mod constraints;
mod der;
mod entry;
mod fault;
mod member;
mod origin;
mod serial;
mod server;
mod signed;
mod signer;
mod succession;
mod tree;
mod x509;

pub use authority::{AuthorityError, CertificateAuthority, Succession};
pub use ca::{CaCertificate, CaError};
pub use entry::{Entry, Logged, MAX_LOGGED};
pub use evidence::{Contradiction, Deceit, Evidence, EvidenceError, Verdict};
pub use export::{Audit, ExportError};
pub use fault::{Fault, MemberError, NotOurs, Validity};
pub use host::{HostName, HostNameError};
pub use member::{IssuedError, MemberCertificate, check_issued};
pub use mirror::{CheckpointFault, Extended, Finding, Irregularity, Mirror, MirrorFault, Standing};
pub use origin::{FileError, Origin, OriginError, Server};
pub use profile::{Profile, ProfileError, Profiles, RootProfiles};
pub use request::{CsrError, UnverifiedCsr, VerifiedCsr, certification_request};
pub use root::OfflineRoot;
pub use rotation::{Announcement, Followed, RotationFault, Unaccepted};
pub use sealed_key::{Passphrase, SealedKeyError};
pub use serial::Serial;
pub use server::ServerCertificate;
pub use signed::SignedError;
pub use statement::{ServerKeys, sign_receipt, verify_receipt};
pub use succession::MAX_SHOWN;
pub use transparency::{Head, HeadError, Inclusion, MerkleLog, Rollback, UnverifiedHead};
pub use tree::Consistency;
pub use watch::{Alert, Concern, Watch};
