//! Identifiers, frames, limits and the canonical codec of openchat.
//!
//! The lowest layer: everything that crosses a process boundary is shaped here, and nothing else
//! of ours is imported. There is no I/O; frames go through a sans-I/O decoder ([`frame`]).
//! Byte layouts are described in `docs/protocol.md` §2.

pub mod admin;
pub mod codec;
pub mod enroll;
pub mod frame;
pub mod id;
pub mod invitation;
pub mod limits;
pub mod name;
pub mod relay;

pub use codec::{DecodeError, decode, encode};
pub use id::{
    Blob, Digest, Epoch, Fingerprint, Generation, GroupId, MessageId, Seq, Slot, UnixMillis,
};
pub use name::{GroupName, Name, NameError};
