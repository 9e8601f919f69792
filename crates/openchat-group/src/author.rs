//! Making commits (`docs/protocol.md` §4.5).

use openchat_crypto::{CryptoRng, IdentityKey, KeyPair, Label, PublicKey, Secret, parallel};
use openchat_roster::{
    Access, Commit, CommitEntry, CommitFault, Entrant, HeadRef, LogEntry, Naming, NewLeaf,
    Operation, Outline, Policy, PrekeyFault, Revocation, Roster, Seen, Wrap, group_id,
    log_hash_start,
};
use openchat_wire::{Blob, Digest, Epoch, Fingerprint, GroupId, Name, Seq, Slot, relay::Letter};
use serde::{Deserialize, Serialize};

use crate::{
    handover::{Handed, Handover},
    letter::{Sender, is_naming_of},
    path::{self, Climb, Steps},
    proposal::{Invited, Proposal},
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
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    /// The log entry.
    pub entry: Blob,
    /// What goes to those whom it adds or admits, in the same append.
    pub letters: Vec<Letter>,
    /// The interim hash that names the commit.
    pub(crate) interim: Digest,
    /// The author's state once it is in the log.
    pub(crate) secrets: Secrets,
    pub(crate) ratchets: EpochRatchets,
    /// Agreements that needn't be computed again.
    #[serde(skip)]
    pub(crate) steps: Steps,
}

impl Pending {
    /// Whether this is the commit in the log, to the last byte.
    pub(crate) fn is(&self, entry: &CommitEntry) -> bool {
        LogEntry::Commit(entry.clone()).to_bytes() == self.entry.0
    }
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        // All the rest follows from the commit, but for what can be computed again.
        (self.interim, &self.entry, &self.letters) == (other.interim, &other.entry, &other.letters)
    }
}

impl Eq for Pending {}

/// Why a commit can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The group would not accept it, or this device can't make it now.
    #[error(transparent)]
    Fault(#[from] CommitFault),
    /// The letters would not say what the group is called, or something else.
    #[error("the letters need the name of the group, as it was when it was created")]
    Naming,
}

impl From<PrekeyFault> for CommitError {
    fn from(fault: PrekeyFault) -> Self {
        Self::Fault(fault.into())
    }
}

/// What a member, or a newcomer, goes by.
pub(crate) struct Basis<'a> {
    pub(crate) roster: &'a Roster,
    /// Of the last good epoch.
    pub(crate) secrets: Option<&'a Secrets>,
    pub(crate) steps: &'a Steps,
    pub(crate) seen: Seen,
}

/// What a commit is made of beside its author.
struct Plan<'a> {
    basis: Basis<'a>,
    operations: Vec<Operation>,
    invited: Vec<Invited>,
    naming: Option<&'a Naming>,
    init: Secret,
}

/// The commit that begins a group, and the group's id.
pub(crate) fn create(
    author: &Author<'_>,
    policy: Policy,
    naming: Option<&Naming>,
    proposal: Proposal,
    rng: &mut impl CryptoRng,
) -> Result<(GroupId, Pending), CommitError> {
    let nonce = Digest(*Secret::random(rng).expose());
    let group = group_id(&author.key.fingerprint(), &nonce, &policy);
    let naming = checked_naming(&policy, naming, &proposal)?;
    let (rest, invited) = proposal.into_operations()?;
    let create = Operation::Create { nonce, policy, entrant: entrant(author) };
    let plan = Plan {
        basis: Basis {
            roster: &Roster::new(group),
            secrets: None,
            steps: &Steps::default(),
            seen: Seen { seq: Seq(0), log_hash: log_hash_start(&group) },
        },
        operations: core::iter::once(create).chain(rest).collect(),
        invited,
        naming,
        init: Secret::random(rng),
    };
    Ok((group, plan.commit(author, rng)?))
}

/// The commit with which a newcomer takes the lowest free slot.
pub(crate) fn join(
    author: &Author<'_>,
    basis: Basis<'_>,
    replaces: Option<Revocation>,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitError> {
    let roster = basis.roster;
    let external = roster.external().ok_or(CommitFault::Place)?;
    let (init, ephemeral) = (Secret::random(rng), KeyPair::derive(&Secret::random(rng)));
    let join = Operation::Join {
        entrant: entrant(author),
        wrap: wrap(roster, roster.epoch(), &ephemeral, external, &init),
        ephemeral: *ephemeral.public(),
        replaces,
    };
    Plan { basis, operations: vec![join], invited: Vec::new(), naming: None, init }
        .commit(author, rng)
}

/// The commit of a member whose secrets are those of the tail.
pub(crate) fn propose(
    author: &Author<'_>,
    basis: Basis<'_>,
    naming: Option<&Naming>,
    mut proposal: Proposal,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitError> {
    let secrets = basis.secrets.ok_or(CommitFault::Authority)?;
    let seat = basis.roster.seat(&author.key.fingerprint()).ok_or(CommitFault::Authority)?;
    proposal.update |= seat.is_unclaimed();
    let policy = basis.roster.policy().ok_or(CommitFault::Place)?;
    let naming = checked_naming(policy, naming, &proposal)?;
    let (operations, invited) = proposal.into_operations()?;
    let init = secrets.init.clone();
    Plan { basis, operations, invited, naming, init }.commit(author, rng)
}

/// The commit that brings a seated author back whose secrets are behind or lost. It also brings
/// back those who are stuck at the same epoch. An admin's may remove people too.
pub(crate) fn rejoin(
    author: &Author<'_>,
    basis: Basis<'_>,
    removes: Proposal,
    rng: &mut impl CryptoRng,
) -> Result<Pending, CommitError> {
    let roster = basis.roster;
    let external = roster.external().ok_or(CommitFault::Place)?;
    let init = basis.fresh(rng);
    let ephemeral = KeyPair::derive(&basis.fresh(rng));
    let mut wraps = vec![wrap(roster, roster.epoch(), &ephemeral, external, &init)];
    if let Some(stuck) = basis.secrets.filter(|secrets| secrets.epoch < roster.epoch()) {
        wraps.push(wrap(roster, stuck.epoch, &ephemeral, stuck.external.public(), &init));
    }
    let (removes, invited) = removes.into_operations()?;
    let rejoin = Operation::Rejoin { wraps, ephemeral: *ephemeral.public() };
    let operations = core::iter::once(rejoin).chain(removes).collect();
    Plan { basis, operations, invited, naming: None, init }.commit(author, rng)
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

/// What the letters of a commit have to say of the group's name, if it has letters.
fn checked_naming<'a>(
    policy: &Policy,
    naming: Option<&'a Naming>,
    proposal: &Proposal,
) -> Result<Option<&'a Naming>, CommitError> {
    let naming = naming.filter(|_| matches!(policy.access, Access::Closed { .. }));
    if proposal.has_letters() && !is_naming_of(policy, naming) {
        return Err(CommitError::Naming);
    }
    Ok(naming)
}

impl Basis<'_> {
    /// 32 random bytes, hedged where there is something to hedge with.
    fn fresh(&self, rng: &mut impl CryptoRng) -> Secret {
        match self.secrets {
            Some(secrets) => Secret::hedged(&secrets.hedge, rng),
            None => Secret::random(rng),
        }
    }
}

/// The secrets of the leaves that a commit sets.
struct Drawn {
    /// By slot.
    leaves: Vec<(Slot, Secret)>,
    /// The author's own leaf, if it is one of them.
    own: Option<Secret>,
    /// E.
    ephemeral: Option<PublicKey>,
    /// Under which key each added member gets its Welcome.
    welcomes: Vec<(Fingerprint, Secret)>,
}

/// A commit without its tag, and what is secret about it.
struct Draft {
    commit: Commit,
    joiner: Joiner,
    /// The author's leaf.
    slot: Slot,
    leaf: Secret,
    /// Of the tree after the commit.
    height: u8,
    welcomes: Vec<(Fingerprint, Secret)>,
}

impl Plan<'_> {
    fn commit(
        mut self,
        author: &Author<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Pending, CommitError> {
        let roster = self.basis.roster;
        let me = author.key.fingerprint();
        let outline = roster.outline(&me, &self.operations, &author.head)?;
        let drawn = self.draw(&me, &outline, rng);
        let mut steps = self.basis.steps.clone();
        let draft = self.draft(author, me, outline, drawn, &mut steps)?;
        let (entry, interim, secrets, ratchets) = draft.sealed(author.key, roster);
        let sender = Sender {
            key: author.key,
            author: &me,
            group: roster.group(),
            epoch: roster.epoch().next(),
            interim,
            naming: self.naming,
        };
        let letters = self.letters(&sender, draft, rng)?;
        Ok(Pending { entry, letters, interim, secrets, ratchets, steps })
    }

    /// §4.5, 2.
    fn draw(&self, me: &Fingerprint, outline: &Outline, rng: &mut impl CryptoRng) -> Drawn {
        let pair = outline.needs_ephemeral().then(|| KeyPair::derive(&self.basis.fresh(rng)));
        let ephemeral = pair.as_ref().map(|pair| *pair.public());
        let new: Vec<(Slot, NewLeaf)> = outline.leaves().collect();
        let handed = parallel::map(&new, |(slot, leaf)| {
            pair.as_ref().and_then(|pair| self.handed(me, *slot, *leaf, pair))
        });
        let mut drawn = Drawn { leaves: Vec::new(), own: None, ephemeral, welcomes: Vec::new() };
        for ((slot, leaf), handed) in new.into_iter().zip(handed) {
            let secret = match (leaf, handed) {
                (NewLeaf::Member { member, .. }, Some(handed)) => {
                    if self.basis.roster.seat(&member).is_none() {
                        drawn.welcomes.push((member, handed.welcome));
                    }
                    handed.leaf
                }
                _ => self.basis.fresh(rng),
            };
            if leaf == NewLeaf::Own {
                drawn.own = Some(secret.clone());
            }
            drawn.leaves.push((slot, secret));
        }
        drawn
    }

    /// What a leaf's member finds by E and its prekey, if it is another's.
    fn handed(
        &self,
        me: &Fingerprint,
        slot: Slot,
        leaf: NewLeaf,
        pair: &KeyPair,
    ) -> Option<Handed> {
        let NewLeaf::Member { member, prekey, prekey_hash } = leaf else { return None };
        let handover = Handover {
            group: self.basis.roster.group(),
            epoch: self.basis.roster.epoch().next(),
            slot,
            author: me,
            member: &member,
            prekey_hash: &prekey_hash,
            ephemeral: pair.public(),
        };
        Some(handover.derive(&pair.agree(&prekey)))
    }

    /// §4.5, 3 and 4: the new keys and what follows from them.
    fn draft(
        &mut self,
        author: &Author<'_>,
        me: Fingerprint,
        outline: Outline,
        drawn: Drawn,
        steps: &mut Steps,
    ) -> Result<Draft, CommitFault> {
        let (roster, slot, height) = (self.basis.roster, outline.slot(), outline.height());
        let kept = || self.basis.secrets.map(|secrets| secrets.leaf.clone());
        let leaf = drawn.own.or_else(kept).ok_or(CommitFault::Authority)?;
        let climb = path::climb(roster.group(), &outline, &drawn.leaves, slot, steps);
        let Climb { leaves, nodes, root } = climb;
        let root = root.unwrap_or_else(|| {
            let copath = roster.tree().copath(slot);
            let walked = path::walk(roster.group(), slot, &leaf, &copath, steps);
            *steps = walked.steps;
            walked.root
        });
        let joiner = Joiner::new(&self.init, &root);
        let mut commit = Commit {
            author: me,
            group: *roster.group(),
            epoch: roster.epoch(),
            interim: *roster.interim(),
            seen: self.basis.seen,
            operations: core::mem::take(&mut self.operations),
            ephemeral: drawn.ephemeral,
            leaves,
            nodes,
            tree_hash: Digest([0; 32]),
            external: *joiner.external.public(),
            head: author.head,
        };
        commit.tree_hash = *roster.draft(outline, &commit)?.tree_hash();
        Ok(Draft { commit, joiner, slot, leaf, height, welcomes: drawn.welcomes })
    }

    /// §4.6: to those whom the commit adds, then to those whom it admits.
    fn letters(
        &self,
        sender: &Sender<'_>,
        draft: Draft,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Letter>, CommitError> {
        let Draft { joiner, welcomes, .. } = draft;
        let mut letters = parallel::map(&welcomes, |(to, key)| {
            let sealed = sender.welcome(to, key.clone(), &joiner);
            Letter { to: *to, sealed }
        });
        for Invited { person, prekey } in &self.invited {
            let Some(prekey) = prekey else { continue };
            let (to, public) = (person.fingerprint, prekey.view()?.key);
            let ephemeral = KeyPair::derive(&self.basis.fresh(rng));
            let sealed = sender.invitation(&to, prekey, &public, &ephemeral);
            letters.push(Letter { to, sealed });
        }
        Ok(letters)
    }
}

impl Draft {
    /// §4.5, 5: the entry, what names it, and the epoch that it leads to.
    fn sealed(&self, key: &IdentityKey, roster: &Roster) -> (Blob, Digest, Secrets, EpochRatchets) {
        let commit = self.commit.to_bytes();
        let confirmed = CommitEntry::confirmed(roster.interim(), &commit);
        let keys = self.joiner.epoch(&confirmed);
        let tag = keys.confirmation_key.tag(&confirmed.0);
        let signature = key.sign(Label::Commit, &CommitEntry::signed_bytes(&commit, &tag));
        let entry = LogEntry::Commit(CommitEntry { commit, tag, signature });
        let epoch = roster.epoch().next();
        let secrets = Secrets {
            epoch,
            slot: self.slot,
            leaf: self.leaf.clone(),
            init: keys.init,
            hedge: keys.hedge,
            external: self.joiner.external.clone(),
        };
        let ratchets = EpochRatchets::new(epoch, confirmed, self.height, keys.message_secret);
        (Blob(entry.to_bytes()), CommitEntry::interim(&confirmed, &tag), secrets, ratchets)
    }
}
