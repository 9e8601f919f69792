//! What the relay refuses beyond what every reader of a log can judge (`docs/protocol.md` §4.4).

/// A rule of the relay that a request breaks. R3 is [`HeadFault`](crate::transparency::HeadFault);
/// R4 and R5 have answers of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleFault {
    /// Whoever sends something has signed it.
    #[error("R1: the author is not the one who sends it")]
    Author,
    /// A newcomer goes by its certified name.
    #[error("R2: the name is not the certified one")]
    Name,
    /// Others are put into a group by the names and keys that they have.
    #[error("R2: the directory does not have this name with this key")]
    Stranger,
    /// Whose key others may hold comes in nowhere.
    #[error("R2: the key was revoked")]
    Revoked,
    /// Letters go to those whom the commit adds or admits, one each.
    #[error("R6: a letter to somebody whom no commit adds or admits, or a second one")]
    Letter,
    /// Whoever is added is likely to have the private part still.
    #[error("R7: the prekey has expired")]
    Expired,
    /// Nobody leaves for another.
    #[error("R7: a leave request is its author's alone to send")]
    Leave,
}
