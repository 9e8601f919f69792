//! Every label of the project: one name for each purpose, so that no hash, derived secret or
//! signature made for one purpose can be passed off as made for another.

/// Declares the labels once: variant, text, and the list that the tests go through.
macro_rules! labels {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What a hash, a derived secret or a signature is for.
        ///
        /// The labels are unique across all three uses. Whatever is hashed, expanded or signed
        /// begins with `"openchat/1 " ‖ label ‖ 0x00`; the zero byte, which no label contains,
        /// keeps one beginning from being a prefix of another (`"leaf"`, `"leaf of an add"`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Label { $($(#[$doc])* $variant,)* }

        impl Label {
            /// All of them, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The label's text, as it is hashed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

labels! {
    // Hashes.
    /// Hash: a group's identifier, from its creator, a nonce and its policy.
    Group = "group",
    /// Hash: the log hash, which chains a log's entries.
    Log = "log",
    /// Hash: the confirmed hash, of the interim hash and the commit that follows it.
    CommitConfirmed = "commit confirmed",
    /// Hash: the interim hash, of a confirmed hash and its tag.
    Interim = "interim",
    /// Hash: a leaf in the tree hash.
    TreeLeaf = "tree leaf",
    /// Hash: an inner node in the tree hash.
    TreeNode = "tree node",
    /// Hash: the tree hash itself, over the top node and what belongs to the group as a whole.
    TreeTop = "tree top",
    /// Hash: what the leaf secret of an added member is bound to.
    LeafOfAdd = "leaf of an add",
    /// Hash: an entry of a log, for the log hash and for finding a repeated append.
    Entry = "entry",
    /// Hash: the clear header of a message.
    Header = "header",
    /// Hash: the padded content of a message.
    Content = "content",
    /// Hash: what the key of an invitation to a group is bound to.
    Admission = "admission",
    /// Hash: the commitment to a closed group's name and salt.
    ClosedName = "closed name",
    /// Hash: a signed prekey, which names it.
    PrekeyRecord = "prekey record",
    /// Hash: one record of a list in the tree hash.
    ListEntry = "list entry",
    /// Hash: two halves of a list in the tree hash.
    ListNode = "list node",
    /// Hash: the identifier of a person's inbox.
    Inbox = "inbox",
    /// Hash: the secret of an invitation to the server, as the server keeps it.
    Invitation = "invitation",
    /// Hash: the identifier of a transparency log.
    TlogId = "tlog id",
    /// Hash: one person's half of a safety number.
    SafetyNumber = "safety number",
    /// Hash: the identifier of the message that carries a part of a file.
    Chunk = "chunk",

    // Derived secrets.
    /// Derivation: the leaf secret of an added member.
    Leaf = "leaf",
    /// Derivation: the key of an added member's Welcome.
    Welcome = "welcome",
    /// Derivation: the key of an invitation to a group.
    GroupInvitation = "group invitation",
    /// Derivation: the secret of an inner node, from the agreement of its children.
    Node = "node",
    /// Derivation: the input to `DeriveKeyPair`, from the secret of a leaf or node.
    Key = "key",
    /// Derivation: the root secret, from the secret of the topmost node.
    Root = "root",
    /// Derivation: the input to `DeriveKeyPair` for an epoch's external key.
    External = "external",
    /// Derivation: the epoch secret.
    Epoch = "epoch",
    /// Derivation: the init secret for the next epoch.
    Init = "init",
    /// Derivation: the secret that hedges a member's random numbers.
    Hedge = "hedge",
    /// Derivation: the key of an epoch's confirmation tag.
    ConfirmationKey = "confirmation key",
    /// Derivation: the top of an epoch's secret tree.
    MessageSecret = "message secret",
    /// Derivation: the left child in the secret tree.
    TreeLeft = "tree left",
    /// Derivation: the right child in the secret tree.
    TreeRight = "tree right",
    /// Derivation: a sender's ratchet, one step on.
    RatchetNext = "ratchet next",
    /// Derivation: the secret of one generation of a sender's ratchet.
    RatchetGeneration = "ratchet generation",
    /// Derivation: the Fernet key of one message, bound to its header.
    MessageKey = "message key",
    /// Derivation: the pad that a join or rejoin wraps its fresh init secret with.
    RejoinWrap = "rejoin wrap",

    // Signatures.
    /// Signature: a commit with its tag, by its author.
    Commit = "commit",
    /// Signature: a message, by its author.
    Message = "message",
    /// Signature: a prekey, by its owner.
    Prekey = "prekey",
    /// Signature: a Welcome, by who adds.
    WelcomeLetter = "welcome letter",
    /// Signature: an invitation to a group, by who admits.
    InvitationLetter = "group invitation letter",
    /// Signature: the report of a private fault.
    Notice = "notice",
    /// Signature: a heartbeat, by the member whose turn it is.
    Heartbeat = "heartbeat",
    /// Signature: the request to be removed.
    Leave = "leave",
    /// Signature: the relay's claim about a log.
    Receipt = "receipt",
    /// Signature: a transparency head.
    TlogHead = "tlog head",
    /// Signature: the CA's statement of the server's own keys.
    ServerKeys = "server keys",
    /// Signature: the CA's key for the key that comes after it.
    CaRotation = "ca rotation",
}

/// Version of the project's labels, before every one of them.
const DOMAIN: &[u8] = b"openchat/1 ";

impl Label {
    /// The pieces of `"openchat/1 " ‖ label ‖ 0x00`, with which whatever has this purpose begins.
    pub(crate) const fn pieces(self) -> [&'static [u8]; 3] {
        [DOMAIN, self.as_str().as_bytes(), &[0]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_labels_are_unique_and_prefix_free() {
        let encoded: Vec<Vec<u8>> =
            Label::ALL.iter().map(|label| label.pieces().concat()).collect();
        for (i, one) in encoded.iter().enumerate() {
            for (j, other) in encoded.iter().enumerate() {
                assert!(i == j || !other.starts_with(one), "{one:?} begins {other:?}");
            }
        }
    }

    #[test]
    fn labels_are_plain_text_without_the_terminator() {
        for label in Label::ALL {
            let text = label.as_str();
            assert!(!text.is_empty() && text.trim() == text, "{label:?}");
            assert!(
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' '),
                "{label:?}"
            );
        }
    }
}
