//! Why something in a log does not count, by the check of `docs/protocol.md` that it fails.

use openchat_wire::DecodeError;

use crate::prekey::PrekeyFault;

/// A public fault of a commit: everybody, the relay too, finds the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitFault {
    /// C1: its bytes are one canonical commit within its size.
    #[error("C1: not a canonical commit: {0}")]
    Encoding(#[from] DecodeError),
    /// C2: it is for this group.
    #[error("C2: made for another group")]
    Group,
    /// C3: it starts from the tail's epoch and interim hash.
    #[error("C3: not based on the last commit")]
    Place,
    /// C4: its operations are a combination that has a meaning, in order, and an unclaimed author's
    /// renew its leaf.
    #[error("C4: operations in a combination or order that has no meaning")]
    Operations,
    /// C5: its author may do this, by its seat and role, the policy and the lists.
    #[error("C5: the author may not do this")]
    Authority,
    /// C6: those whom it is about are who they must be: seated, admitted, denied, or not.
    #[error("C6: the name or key is another's, or not where it should be")]
    Identity,
    /// C7: signed by its author.
    #[error("C7: not signed by its author")]
    Signature,
    /// C8: changed leaves are exactly those that its operations demand.
    #[error("C8: other leaves are changed than the operation demands")]
    Leaves,
    /// C9: changed nodes are exactly the inner nodes above them.
    #[error("C9: other nodes are changed than the leaves demand")]
    Nodes,
    /// C10: no public key is used twice.
    #[error("C10: a public key is used twice")]
    ReusedKey,
    /// C11: the tree hash is that of the tree after the commit.
    #[error("C11: the tree hash does not match")]
    TreeHash,
    /// C12: the transparency head does not go back.
    #[error("C12: names an older transparency head than the commit before")]
    Head,
    /// C13: there is room.
    #[error("C13: the group, or one of its lists, is full")]
    Full,
    /// C14: the group's id is the hash of its creation.
    #[error("C14: the group's id is not the hash of its creation")]
    GroupId,
    /// C14: the rules suit the kind of group.
    #[error("C14: the rules do not suit the kind of group")]
    Rules,
    /// C15: a rejoin's wraps are few, for past epochs, each once, in falling order from n.
    #[error("C15: wraps for epochs that make no sense")]
    Wraps,
    /// C16: an added person's prekey is its own.
    #[error(transparent)]
    Prekey(#[from] PrekeyFault),
    /// C17: who leaves has asked to.
    #[error("C17: {0}")]
    Leave(#[from] LeaveFault),
    /// C18: the removed key was revoked.
    #[error("C18: no proof that the key was revoked")]
    Revocation,
}

/// Why a leave request is not due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaveFault {
    /// Its bytes are canonical, and for this group and person.
    #[error("not a canonical leave request of this person and group")]
    Encoding,
    /// Its author has the seat, or the admission, that it speaks of.
    #[error("the leave request speaks of another seat")]
    Seat,
    /// Signed by its author.
    #[error("the leave request is not signed by its author")]
    Signature,
}

/// Why a message's place in the log does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// M1: its author is seated, on the slot that it names.
    #[error("M1: the author is not seated there")]
    NotSeated,
    /// M2: its epoch is within the window and not before the author's seat or rejoin.
    #[error("M2: its epoch has passed")]
    Stale,
    /// M3: its epoch has come.
    #[error("M3: its epoch has not come")]
    Future,
    /// M4: it was sealed on this history of commits.
    #[error("M4: sealed on another history of commits")]
    Fork,
}

/// Why a notice or a heartbeat does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoticeFault {
    /// N1: its bytes are canonical, and for this group.
    #[error("N1: not a canonical report on this group")]
    Encoding,
    /// N2: its author is seated.
    #[error("N2: the author is not seated")]
    NotSeated,
    /// N3: signed by its author.
    #[error("N3: not signed by its author")]
    Signature,
    /// N4: it speaks of a commit that its author, seated by then, has read.
    #[error("N4: speaks of a commit that its author can't know")]
    Epoch,
}
