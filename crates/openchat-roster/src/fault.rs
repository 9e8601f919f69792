//! Why something in a log does not count, by the check of `docs/protocol.md` that it fails.

use openchat_wire::DecodeError;

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
    /// C4: exactly one of create, join, rejoin or update, alone.
    #[error("C4: operations in a combination or order that has no meaning")]
    Operations,
    /// C5: its author may do this: seated, or not yet seated, under this policy.
    #[error("C5: the author may not do this")]
    Authority,
    /// C6: the name and the key are not those of another seat, and the key is the author's.
    #[error("C6: the name or key is another's")]
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
    /// C13: there is room for one more.
    #[error("C13: the group is full")]
    Full,
    /// C14: the group's id is the hash of its creation.
    #[error("C14: the group's id is not the hash of its creation")]
    GroupId,
    /// C15: a rejoin's wraps are few, for past epochs, each once, in falling order from n.
    #[error("C15: wraps for epochs that make no sense")]
    Wraps,
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
    /// N4: it speaks of an epoch that has come, and not from before the author's seat.
    #[error("N4: speaks of an epoch that its author can't know")]
    Epoch,
}
