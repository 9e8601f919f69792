//! Certificate profiles, certification requests, verification and the transparency log.
//!
//! No I/O, no clock, no ambient randomness: the time and a generator come in. Certificates and
//! requests are written by `rcgen`, read by `x509-parser`, and signed and verified by
//! `openchat-crypto` alone. The operator's rules are in `pki/*.toml`; the protocol's in
//! `docs/protocol.md` §9.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]

pub mod authority;
pub mod host;
pub mod profile;
pub mod request;
pub mod statement;
pub mod transparency;

mod ca;
mod der;
mod fault;
mod member;
mod serial;
mod server;
mod signed;
mod signer;
mod x509;

pub use authority::{AuthorityError, CertificateAuthority};
pub use ca::{CaCertificate, CaError};
pub use fault::{Fault, MemberError, NotOurs, Validity};
pub use host::{HostName, HostNameError};
pub use member::{IssuedError, MemberCertificate, check_issued};
pub use profile::{Profile, ProfileError, Profiles};
pub use request::{CsrError, UnverifiedCsr, VerifiedCsr, certification_request};
pub use serial::Serial;
pub use server::ServerCertificate;
pub use signed::SignedError;
pub use statement::{ServerKeys, sign_receipt, verify_receipt};
pub use transparency::{Entry, Head, HeadError, Inclusion, MerkleLog, Rollback, UnverifiedHead};
