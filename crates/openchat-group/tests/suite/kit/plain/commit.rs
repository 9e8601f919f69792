//! §4.1 to §4.3: what a commit says, and its bytes.

use openchat_crypto::{PublicKey, Signature};

use super::{
    bytes::{self, Reader, number, point, sized},
    prim::{Fpr, Hash, fpr, hash},
};

/// Level and index of a node.
pub(crate) type Node = (u8, u32);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitEntry {
    pub(crate) commit: Vec<u8>,
    pub(crate) tag: Hash,
    pub(crate) signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) author: Fpr,
    pub(crate) group: Hash,
    pub(crate) epoch: u64,
    pub(crate) interim: Hash,
    pub(crate) seen: (u64, Hash),
    pub(crate) ops: Vec<Op>,
    pub(crate) e: Option<PublicKey>,
    pub(crate) leaves: Vec<(u32, PublicKey)>,
    pub(crate) nodes: Vec<(Node, PublicKey)>,
    pub(crate) tree_hash: Hash,
    pub(crate) external: PublicKey,
    pub(crate) head: (u64, Hash),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Create { nonce: Hash, policy: Policy, entrant: Entrant },
    Join { entrant: Entrant, wrap: Wrap, ephemeral: PublicKey, revocation: Option<Revocation> },
    Rejoin { wraps: Vec<Wrap>, ephemeral: PublicKey },
    Remove { who: Fpr, reason: Reason },
    Add { entrant: Entrant, prekey: SignedPrekey },
    Update,
    Admit { name: String, who: Fpr },
    Rules(Rules),
    Lift(Fpr),
    Role { who: Fpr, admin: bool },
}

/// j and `w_j`.
pub(crate) type Wrap = (u64, Hash);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entrant {
    pub(crate) name: String,
    pub(crate) key: PublicKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    Evicted,
    Left(Leave),
    Revoked(Revocation),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leave {
    pub(crate) body: Vec<u8>,
    pub(crate) signature: Signature,
}

/// What a leave request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaveBody {
    pub(crate) author: Fpr,
    pub(crate) group: Hash,
    pub(crate) since: u64,
    pub(crate) key: Option<PublicKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) index: u64,
    pub(crate) entry: Vec<u8>,
    pub(crate) path: Vec<Hash>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    pub(crate) rules: Rules,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    Open(String),
    Closed(Hash),
    Direct(Fpr, Fpr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Only the admitted may join.
    pub(crate) admitted_only: bool,
    /// Only admins may invite.
    pub(crate) admins_invite: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedPrekey {
    pub(crate) body: Vec<u8>,
    pub(crate) signature: Signature,
}

/// What a prekey says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prekey {
    pub(crate) owner: Fpr,
    pub(crate) last_resort: bool,
    pub(crate) id: [u8; 16],
    pub(crate) key: PublicKey,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl CommitEntry {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { commit: reader.bytes()?, tag: reader.array()?, signature: reader.signature()? })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        [&sized(&self.commit)[..], &self.tag, self.signature.as_bytes()].concat()
    }

    /// The entry of a log: version 1, kind 0.
    pub(crate) fn logged(&self) -> Vec<u8> {
        [vec![1, 0], self.write()].concat()
    }

    /// The commit in an entry of a log.
    pub(crate) fn of_log(entry: &[u8]) -> Option<Self> {
        let rest = entry.strip_prefix(&[1, 0])?;
        Reader::all(rest, Self::read)
    }

    pub(crate) fn view(&self) -> Option<Commit> {
        Reader::all(&self.commit, Commit::read)
    }
}

impl Commit {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self {
            author: reader.array()?,
            group: reader.array()?,
            epoch: reader.u64()?,
            interim: reader.array()?,
            seen: (reader.u64()?, reader.array()?),
            ops: reader.list(Op::read)?,
            e: reader.option(Reader::point)?,
            leaves: reader.list(|r| Some((r.u32()?, r.point()?)))?,
            nodes: reader.list(|r| Some(((r.byte()?, r.u32()?), r.point()?)))?,
            tree_hash: reader.array()?,
            external: reader.point()?,
            head: (reader.u64()?, reader.array()?),
        })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let leaf = |(slot, key): &(u32, PublicKey)| [number(u64::from(*slot)), point(key)].concat();
        let node = |((level, index), key): &(Node, PublicKey)| {
            [vec![*level], number(u64::from(*index)), point(key)].concat()
        };
        [
            self.author.to_vec(),
            self.group.to_vec(),
            number(self.epoch),
            self.interim.to_vec(),
            number(self.seen.0),
            self.seen.1.to_vec(),
            bytes::list(&self.ops, Op::write),
            bytes::option(self.e.as_ref(), point),
            bytes::list(&self.leaves, leaf),
            bytes::list(&self.nodes, node),
            self.tree_hash.to_vec(),
            point(&self.external),
            number(self.head.0),
            self.head.1.to_vec(),
        ]
        .concat()
    }
}

impl Op {
    pub(crate) fn index(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Join { .. } => 1,
            Self::Rejoin { .. } => 2,
            Self::Remove { .. } => 3,
            Self::Add { .. } => 4,
            Self::Update => 5,
            Self::Admit { .. } => 6,
            Self::Rules(_) => 7,
            Self::Lift(_) => 8,
            Self::Role { .. } => 9,
        }
    }

    fn read(reader: &mut Reader) -> Option<Self> {
        Some(match reader.variant(10)? {
            0 => Self::Create {
                nonce: reader.array()?,
                policy: Policy::read(reader)?,
                entrant: Entrant::read(reader)?,
            },
            1 => Self::Join {
                entrant: Entrant::read(reader)?,
                wrap: read_wrap(reader)?,
                ephemeral: reader.point()?,
                revocation: reader.option(Revocation::read)?,
            },
            2 => Self::Rejoin { wraps: reader.list(read_wrap)?, ephemeral: reader.point()? },
            3 => Self::Remove { who: reader.array()?, reason: Reason::read(reader)? },
            4 => Self::Add { entrant: Entrant::read(reader)?, prekey: SignedPrekey::read(reader)? },
            5 => Self::Update,
            6 => Self::Admit { name: reader.name()?, who: reader.array()? },
            7 => Self::Rules(Rules::read(reader)?),
            8 => Self::Lift(reader.array()?),
            _ => Self::Role { who: reader.array()?, admin: reader.variant(2)? == 1 },
        })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let fields = match self {
            Self::Create { nonce, policy, entrant } => {
                [nonce.to_vec(), policy.write(), entrant.write()].concat()
            }
            Self::Join { entrant, wrap, ephemeral, revocation } => [
                entrant.write(),
                write_wrap(wrap),
                point(ephemeral),
                bytes::option(revocation.as_ref(), Revocation::write),
            ]
            .concat(),
            Self::Rejoin { wraps, ephemeral } => {
                [bytes::list(wraps, write_wrap), point(ephemeral)].concat()
            }
            Self::Remove { who, reason } => [who.to_vec(), reason.write()].concat(),
            Self::Add { entrant, prekey } => [entrant.write(), prekey.write()].concat(),
            Self::Update => Vec::new(),
            Self::Admit { name, who } => [sized(name.as_bytes()), who.to_vec()].concat(),
            Self::Rules(rules) => rules.write(),
            Self::Lift(who) => who.to_vec(),
            Self::Role { who, admin } => [who.to_vec(), vec![u8::from(*admin)]].concat(),
        };
        [vec![self.index()], fields].concat()
    }
}

fn read_wrap(reader: &mut Reader) -> Option<Wrap> {
    Some((reader.u64()?, reader.array()?))
}

fn write_wrap((epoch, wrapped): &Wrap) -> Vec<u8> {
    [&number(*epoch)[..], wrapped].concat()
}

impl Entrant {
    fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { name: reader.name()?, key: reader.point()? })
    }

    fn write(&self) -> Vec<u8> {
        [sized(self.name.as_bytes()), point(&self.key)].concat()
    }

    pub(crate) fn fpr(&self) -> Fpr {
        fpr(&self.key)
    }
}

impl Reason {
    fn read(reader: &mut Reader) -> Option<Self> {
        Some(match reader.variant(3)? {
            0 => Self::Evicted,
            1 => Self::Left(Leave::read(reader)?),
            _ => Self::Revoked(Revocation::read(reader)?),
        })
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Evicted => vec![0],
            Self::Left(leave) => [vec![1], leave.write()].concat(),
            Self::Revoked(revocation) => [vec![2], revocation.write()].concat(),
        }
    }
}

impl Leave {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { body: reader.bytes()?, signature: reader.signature()? })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        [&sized(&self.body)[..], self.signature.as_bytes()].concat()
    }

    pub(crate) fn view(&self) -> Option<LeaveBody> {
        Reader::all(&self.body, |r| {
            Some(LeaveBody {
                author: r.array()?,
                group: r.array()?,
                since: r.u64()?,
                key: r.option(Reader::point)?,
            })
        })
    }
}

impl LeaveBody {
    pub(crate) fn write(&self) -> Vec<u8> {
        let key = bytes::option(self.key.as_ref(), point);
        [&self.author[..], &self.group, &number(self.since), &key].concat()
    }
}

impl Revocation {
    fn read(reader: &mut Reader) -> Option<Self> {
        let (entry, index) = (reader.bytes()?, reader.u64()?);
        Some(Self { index, entry, path: reader.list(Reader::array)? })
    }

    fn write(&self) -> Vec<u8> {
        let path = bytes::list(&self.path, |hash| hash.to_vec());
        [sized(&self.entry), number(self.index), path].concat()
    }
}

impl Policy {
    fn read(reader: &mut Reader) -> Option<Self> {
        let access = match reader.variant(3)? {
            0 => Access::Open(reader.name()?),
            1 => Access::Closed(reader.array()?),
            _ => Access::Direct(reader.array()?, reader.array()?),
        };
        Some(Self { access, rules: Rules::read(reader)? })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let access = match &self.access {
            Access::Open(name) => [vec![0], sized(name.as_bytes())].concat(),
            Access::Closed(hash) => [&[1], &hash[..]].concat(),
            Access::Direct(one, other) => [&[2], &one[..], other].concat(),
        };
        [access, self.rules.write()].concat()
    }
}

impl Rules {
    fn read(reader: &mut Reader) -> Option<Self> {
        let (join, invite) = (reader.variant(2)?, reader.variant(2)?);
        Some(Self { admitted_only: join == 1, admins_invite: invite == 1 })
    }

    fn write(self) -> Vec<u8> {
        vec![u8::from(self.admitted_only), u8::from(self.admins_invite)]
    }
}

impl SignedPrekey {
    fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self { body: reader.bytes()?, signature: reader.signature()? })
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        [&sized(&self.body)[..], self.signature.as_bytes()].concat()
    }

    pub(crate) fn hash(&self) -> Hash {
        hash("prekey record", &[&self.write()])
    }

    pub(crate) fn view(&self) -> Option<Prekey> {
        Reader::all(&self.body, |r| {
            Some(Prekey {
                owner: r.array()?,
                last_resort: r.variant(2)? == 1,
                id: r.array()?,
                key: r.point()?,
                not_before: r.u64()?,
                not_after: r.u64()?,
            })
        })
    }
}

impl Prekey {
    pub(crate) fn write(&self) -> Vec<u8> {
        [
            &self.owner[..],
            &[u8::from(self.last_resort)],
            &self.id,
            self.key.as_bytes(),
            &number(self.not_before),
            &number(self.not_after),
        ]
        .concat()
    }
}
