//! §5.4: notices.

use openchat_crypto::{IdentityKey, Signature};

use super::{
    bytes::{Reader, number, sized},
    prim::{Fpr, Hash, is_signed, sign},
    state::State,
};

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) author: Fpr,
    pub(crate) group: Hash,
    pub(crate) epoch: u64,
    pub(crate) interim: Hash,
}

impl Notice {
    /// The entry of a log: version 1, kind 2.
    pub(crate) fn logged(&self, key: &IdentityKey) -> Vec<u8> {
        let body = [&self.author[..], &self.group, &number(self.epoch), &self.interim].concat();
        let signature = sign(key, "notice", &body);
        [&[1, 2], &sized(&body)[..], signature.as_bytes()].concat()
    }

    fn read(entry: &[u8]) -> Option<(Self, Vec<u8>, Signature)> {
        let signed = entry.strip_prefix(&[1, 2])?;
        let (body, signature) = Reader::all(signed, |r| Some((r.bytes()?, r.signature()?)))?;
        let notice = Reader::all(&body, |r| {
            Some(Self {
                author: r.array()?,
                group: r.array()?,
                epoch: r.u64()?,
                interim: r.array()?,
            })
        })?;
        Some((notice, body, signature))
    }
}

/// N1 to N4.
pub(crate) fn judge(state: &State, entry: &[u8]) -> Result<Notice, &'static str> {
    let (notice, body, signature) = Notice::read(entry).ok_or("N1")?;
    if notice.group != state.group {
        return Err("N1");
    }
    let seat = state.seat_of(&notice.author).ok_or("N2")?;
    if !is_signed(&seat.key, "notice", &body, &signature) {
        return Err("N3");
    }
    let index = usize::try_from(notice.epoch).unwrap().checked_sub(1);
    let known = index.and_then(|index| state.past.get(index)).map(|(interim, ..)| *interim);
    let is_recent = notice.epoch + 16 > state.epoch;
    let is_right = !is_recent || known == Some(notice.interim);
    if notice.epoch > seat.seated && notice.epoch <= state.epoch && is_right {
        Ok(notice)
    } else {
        Err("N4")
    }
}
