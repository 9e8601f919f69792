//! A second implementation of the group, written from `docs/protocol.md` alone and as plainly as
//! can be: bytes read by hand, a list of leaves, recursion, no sharing, no speed. The first one is
//! held against it, so it uses nothing of the group's crates; of our own, only the primitives.

#![allow(dead_code, reason = "each test program uses another part of it")]

pub(crate) mod bytes;
pub(crate) mod commit;
pub(crate) mod judge;
pub(crate) mod keys;
pub(crate) mod letter;
pub(crate) mod make;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod notice;
pub(crate) mod plan;
pub(crate) mod prim;
pub(crate) mod proof;
pub(crate) mod state;
pub(crate) mod tree_hash;
pub(crate) mod wish;

pub(crate) use commit::{Commit, CommitEntry, Entrant, Op, Policy, Reason, Revocation};
pub(crate) use prim::{Fpr, Hash};
pub(crate) use state::{Claim, Leaf, Seat, State};
