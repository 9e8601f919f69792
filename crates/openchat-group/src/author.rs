//! Making commits (`docs/protocol.md` §4.4).

use openchat_crypto::{CryptoRng, IdentityKey, KeyPair, Label, PublicKey, Secret};
use openchat_roster::{
    Commit, CommitEntry, CommitFault, Entrant, HeadRef, LogEntry, Operation, Policy, Roster, Seen,
    Wrap, group_id,
};
use openchat_wire::{Blob, Digest, Epoch, GroupId, Name, Slot};
use serde::{Deserialize, Serialize};

use crate::{
    path,
    schedule::{Joiner, Secrets},
    secret_tree::EpochRatchets,
};

/// Who commits, and what they know of the logs.
#[derive(Debug, Clone, Copy)]
pub struct Author<'a> {
    /// The device's key.
    pub key: &'a IdentityKey,
    /// Its certified name.
    pub name: &'a Name,
    /// The newest transparency head that it holds.
    pub head: HeadRef,
}

/// A commit that its author has made and may have sent, but has not seen in the log.
///
/// Stored before it is sent: it is sent again as the same bytes, never made again, until this
/// commit or another one is seen at its place. Serialised for the vault only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The log entry.
    pub entry: Blob,
    /// The interim hash that names the commit.
    pub(crate) interim: Digest,
    /// The author's state once it is in the log.
    pub(crate) secrets: Secrets,
    pub(crate) ratchets: EpochRatchets,
}

/// What a commit is made of beside its author.
struct Plan<'a> {
    roster: &'a Roster,
    operation: Operation,
    slot: Slot,
    leaf: Secret,
    init: Secret,
    seen: Seen,
}

/// The commit that begins a group, and the group's id.
pub(crate) fn create(
    author: &Author<'_>,
    policy: Policy,
    rng: &mut impl CryptoRng,
) -> Result<(GroupId, Pending), CommitFault> {
    let nonce = Digest(*Secret::random(rng).expose());
    let group = group_id(&author.key.fingerprint(), &nonce, &policy);
    let plan = Plan {
        roster: &Roster::new(group),
        operation: Operation::Create { nonce, policy, entrant: entrant(author) },
        slot: Slot(0),
        leaf: Secret::random(rng),
        init: Secret::random(rng),
        seen: Seen {
            seq: openchat_wire::Seq(0),
            log_hash: openchat_roster::log_hash_start(&group),
        },
    };
    Ok((group, plan.commit(author)?))
}

/// The commit with which a newcomer takes the lowest free slot of an open group.
pub(crate) fn join(
    author: &Author<'_>,
    roster: &Roster,
    seen: Seen,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitFault> {
    let external = roster.external().ok_or(CommitFault::Place)?;
    let (init, ephemeral) = (Secret::random(rng), KeyPair::derive(&Secret::random(rng)));
    let operation = Operation::Join {
        entrant: entrant(author),
        wrap: wrap(roster, roster.epoch(), &ephemeral, external, &init),
        ephemeral: *ephemeral.public(),
    };
    let slot = roster.tree().lowest_free();
    Plan { roster, operation, slot, leaf: Secret::random(rng), init, seen }.commit(author)
}

/// The commit that renews the author's own leaf and all that follows from it.
pub(crate) fn update(
    author: &Author<'_>,
    roster: &Roster,
    secrets: &Secrets,
    seen: Seen,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitFault> {
    let plan = Plan {
        roster,
        operation: Operation::Update,
        slot: secrets.slot,
        leaf: Secret::hedged(&secrets.hedge, rng),
        init: secrets.init.clone(),
        seen,
    };
    plan.commit(author)
}

/// The commit that brings a seated author back whose secrets are behind or lost. It also brings
/// back those who are stuck at the same epoch.
pub(crate) fn rejoin(
    author: &Author<'_>,
    roster: &Roster,
    secrets: Option<&Secrets>,
    seen: Seen,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitFault> {
    let external = roster.external().ok_or(CommitFault::Place)?;
    let seat = roster.seat(&author.key.fingerprint()).ok_or(CommitFault::Authority)?;
    let mut fresh = || match secrets {
        Some(secrets) => Secret::hedged(&secrets.hedge, rng),
        None => Secret::random(rng),
    };
    let (leaf, init, ephemeral) = (fresh(), fresh(), KeyPair::derive(&fresh()));
    let mut wraps = vec![wrap(roster, roster.epoch(), &ephemeral, external, &init)];
    if let Some(stuck) = secrets.filter(|secrets| secrets.epoch < roster.epoch()) {
        wraps.push(wrap(roster, stuck.epoch, &ephemeral, stuck.external.public(), &init));
    }
    let operation = Operation::Rejoin { wraps, ephemeral: *ephemeral.public() };
    Plan { roster, operation, slot: seat.slot, leaf, init, seen }.commit(author)
}

/// The pad between s and `w_j`:
/// `Expand(Extract("", x(ECDH)), "rejoin wrap" ‖ group ‖ n ‖ j ‖ interim_n ‖ e_pub ‖ external_pub_j)`.
pub(crate) fn wrap_pad(
    roster: &Roster,
    wrapped_for: Epoch,
    shared: &Secret,
    ephemeral: &PublicKey,
    external: &PublicKey,
) -> Secret {
    let parts: [&[u8]; 6] = [
        roster.group().as_bytes(),
        &roster.epoch().0.to_be_bytes(),
        &wrapped_for.0.to_be_bytes(),
        roster.interim().as_bytes(),
        ephemeral.as_bytes(),
        external.as_bytes(),
    ];
    Secret::extract(b"", shared.expose()).expand(Label::RejoinWrap, &parts.concat())
}

fn wrap(
    roster: &Roster,
    epoch: Epoch,
    ephemeral: &KeyPair,
    external: &PublicKey,
    init: &Secret,
) -> Wrap {
    let shared = ephemeral.agree(external);
    let pad = wrap_pad(roster, epoch, &shared, ephemeral.public(), external);
    Wrap { epoch, wrapped: Digest(*init.xor(&pad).expose()) }
}

fn entrant(author: &Author<'_>) -> Entrant {
    Entrant { name: author.name.clone(), key: *author.key.public() }
}

impl Plan<'_> {
    fn commit(self, author: &Author<'_>) -> Result<Pending, CommitFault> {
        let copath = self.roster.tree().copath(self.slot);
        let path = path::walk(self.roster.group(), self.slot, &self.leaf, &copath);
        let joiner = Joiner::new(&self.init, &path.root);
        let external = joiner.external();
        let mut commit = Commit {
            author: author.key.fingerprint(),
            group: *self.roster.group(),
            epoch: self.roster.epoch(),
            interim: *self.roster.interim(),
            seen: self.seen,
            operations: vec![self.operation],
            leaves: vec![(self.slot, path.leaf)],
            nodes: path.nodes,
            tree_hash: Digest([0; 32]),
            external: *external.public(),
            head: author.head,
        };
        let draft = self.roster.draft(&commit)?;
        commit.tree_hash = *draft.tree_hash();
        let bytes = commit.to_bytes();
        let confirmed = CommitEntry::confirmed(self.roster.interim(), &bytes);
        let keys = joiner.epoch(&confirmed);
        let tag = keys.confirmation_key.tag(&confirmed.0);
        let signed = CommitEntry::signed_bytes(&bytes, &tag);
        let signature = author.key.sign(Label::Commit, &signed);
        let epoch = self.roster.epoch().next();
        let height = draft.height();
        Ok(Pending {
            entry: Blob(LogEntry::Commit(CommitEntry { commit: bytes, tag, signature }).to_bytes()),
            interim: CommitEntry::interim(&confirmed, &tag),
            secrets: Secrets {
                epoch,
                slot: self.slot,
                leaf: self.leaf,
                init: keys.init,
                hedge: keys.hedge,
                external,
            },
            ratchets: EpochRatchets::new(epoch, confirmed, height, keys.message_secret),
        })
    }
}
