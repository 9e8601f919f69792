//! §6: messages.

use openchat_crypto::{IdentityKey, PublicKey, Secret, Signature, fernet::MessageKey};

use super::{
    bytes::{Reader, number, sized},
    keys::generation_secret,
    prim::{Hash, expand, fpr, hash, is_signed, sha, sign},
    state::State,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) epoch: u64,
    pub(crate) confirmed: [u8; 16],
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) id: [u8; 16],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) time: u64,
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
}

/// The author's latest entry.
pub(crate) type Seen = (u64, Hash);

impl Header {
    pub(crate) fn write(&self) -> Vec<u8> {
        [
            &number(self.epoch)[..],
            &self.confirmed,
            &number(u64::from(self.slot)),
            &number(u64::from(self.generation)),
            &self.id,
        ]
        .concat()
    }

    fn read(reader: &mut Reader) -> Option<Self> {
        Some(Self {
            epoch: reader.u64()?,
            confirmed: reader.array()?,
            slot: reader.u32()?,
            generation: reader.u32()?,
            id: reader.array()?,
        })
    }

    pub(crate) fn hash(&self, group: &Hash) -> Hash {
        hash("header", &[group, &self.write()])
    }

    /// The message's Fernet key.
    pub(crate) fn key(&self, group: &Hash, message: &Secret, height: u8) -> Secret {
        let secret = generation_secret(message, height, self.slot, self.generation);
        expand(&secret, "message key", &[&self.hash(group)])
    }

    /// M1 to M4, by the group at the message's place.
    pub(crate) fn judge(&self, state: &State, author: &Hash) -> Result<(), &'static str> {
        let seat = state.leaf(self.slot).seat().filter(|seat| seat.fpr == *author).ok_or("M1")?;
        if self.epoch > state.epoch {
            return Err("M3");
        }
        let is_stale = self.epoch + 16 <= state.epoch
            || self.epoch < seat.since
            || self.epoch < state.last_removal;
        if is_stale {
            return Err("M2");
        }
        let index = usize::try_from(self.epoch).unwrap() - 1;
        let confirmed = state.past[index].1;
        if confirmed[..16] == self.confirmed { Ok(()) } else { Err("M4") }
    }
}

/// The entry of a log: version 1, kind 1.
pub(crate) fn logged(header: &Header, token: &[u8]) -> Vec<u8> {
    [vec![1, 1], header.write(), sized(token)].concat()
}

/// Header and token of an entry.
pub(crate) fn of_log(entry: &[u8]) -> Option<(Header, Vec<u8>)> {
    let rest = entry.strip_prefix(&[1, 1])?;
    Reader::all(rest, |r| Some((Header::read(r)?, r.bytes()?)))
}

/// The Padmé length: no more than the topmost bits count, as many as the length's length has.
fn padme(length: usize) -> usize {
    let Some(bits) = length.checked_ilog2().filter(|bits| *bits > 0) else { return length };
    let free = bits - (bits.ilog2() + 1);
    length.next_multiple_of(1 << free)
}

pub(crate) fn padded(content: &Content) -> Vec<u8> {
    let content =
        [&number(content.time)[..], &number(u64::from(content.kind)), &sized(&content.body)]
            .concat();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut padded = [&length[..], &content].concat();
    padded.resize(padme(padded.len()), 0);
    padded
}

fn unpadded(padded: &[u8]) -> Option<Content> {
    let mut reader = Reader::new(padded);
    let length = usize::try_from(u32::from_be_bytes(reader.array()?)).ok()?;
    let content = reader.take(length)?;
    let is_one = padded.len() == padme(4 + length) && reader.rest().iter().all(|byte| *byte == 0);
    let content = Reader::all(content, |r| {
        let (time, kind) = (r.u64()?, r.number(u64::from(u16::MAX))?);
        Some(Content { time, kind: u16::try_from(kind).ok()?, body: r.bytes()? })
    });
    content.filter(|_| is_one)
}

fn signed_body(
    author: &Hash,
    (group, confirmed): (&Hash, &Hash),
    header: &Header,
    seen: &Seen,
    padded: &[u8],
) -> Vec<u8> {
    [
        &author[..],
        &header.hash(group),
        confirmed,
        &seen.0.to_be_bytes(),
        &seen.1,
        &hash("content", &[padded]),
    ]
    .concat()
}

/// What a message's token holds.
pub(crate) fn sealed(
    key: &IdentityKey,
    of: (&Hash, &Hash),
    header: &Header,
    seen: &Seen,
    padded: &[u8],
) -> Vec<u8> {
    let body = signed_body(&fpr(key.public()), of, header, seen, padded);
    let signature = sign(key, "message", &body);
    [padded, &seen.0.to_be_bytes(), &seen.1, signature.as_bytes()].concat()
}

/// M6 to M8: content and what its author had seen.
pub(crate) fn opened(
    key: Secret,
    token: &[u8],
    author: &PublicKey,
    of: (&Hash, &Hash),
    header: &Header,
) -> Result<(Content, Seen), &'static str> {
    let plain = MessageKey::new(key).open(token).map_err(|_| "M6")?;
    let length = plain.len().checked_sub(104).ok_or("M7")?;
    let (padded, rest) = plain.split_at(length);
    let content = unpadded(padded).ok_or("M7")?;
    let (number, rest) = rest.split_at(8);
    let (log_hash, signature) = rest.split_at(32);
    let seen = (u64::from_be_bytes(number.try_into().unwrap()), log_hash.try_into().unwrap());
    let body = signed_body(&fpr(author), of, header, &seen, padded);
    let signature = Signature::from_bytes(signature).map_err(|_| "M8")?;
    if is_signed(author, "message", &body, &signature) { Ok((content, seen)) } else { Err("M8") }
}

/// §3: L of a log whose entries stand at places 1, 2, 3…
pub(crate) fn log_hash(group: &Hash, log: &[Vec<u8>]) -> Hash {
    let start = hash("log", &[group]);
    (1_u64..).zip(log).fold(start, |before, (place, entry)| next_log_hash(&before, place, entry))
}

pub(crate) fn next_log_hash(before: &Hash, place: u64, entry: &[u8]) -> Hash {
    hash("entry", &[before, &place.to_be_bytes(), &sha(entry)])
}
