//! The order of one author's entries, when some are refused (R9 of `docs/protocol.md`).
//!
//! A connection sends many entries before the first is answered. If one of them is refused and may be
//! sent again, those behind it must not come before it: they are refused too, until the author, having
//! seen so, begins anew.

use openchat_wire::{
    GroupId,
    limits::MAX_TAILS,
    relay::{Answer, Refusal, Request},
};
use std::collections::BTreeSet;

/// When to ask again: the answer to what was refused before is on its way already.
const RETRY_MS: u32 = 100;

/// Which logs' entries of one connection are held back.
#[derive(Debug, Default)]
pub struct Chains {
    broken: BTreeSet<GroupId>,
}

impl Chains {
    /// Whether this request may be decided about. Asked in the order of the requests.
    ///
    /// # Errors
    /// The refusal for an entry whose predecessor was refused.
    pub fn admit(&mut self, request: &Request) -> Result<(), Refusal> {
        let Request::Append { log, follows, .. } = request else { return Ok(()) };
        if !follows {
            self.broken.remove(log);
            return Ok(());
        }
        // Who is refused in more logs than it may tail is held back in all.
        let is_broken = self.broken.contains(log) || self.broken.len() >= MAX_TAILS;
        if is_broken { Err(Refusal::Paced { retry_ms: RETRY_MS }) } else { Ok(()) }
    }

    /// What came of a request, before the next one is looked at.
    pub fn note(&mut self, log: Option<GroupId>, answer: &Result<Answer, Refusal>) {
        let is_again =
            matches!(answer, Err(Refusal::Paced { .. } | Refusal::Internal | Refusal::Stale));
        if let Some(log) = log.filter(|_| is_again && self.broken.len() < MAX_TAILS) {
            self.broken.insert(log);
        }
    }
}

/// The log that a request appends to.
#[must_use]
pub const fn appends_to(request: &Request) -> Option<GroupId> {
    match request {
        Request::Append { log, .. } => Some(*log),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Blob, Seq};

    const LOG: GroupId = GroupId([1; 32]);
    const OTHER: GroupId = GroupId([2; 32]);
    const AGAIN: [Refusal; 3] = [Refusal::Paced { retry_ms: 1 }, Refusal::Internal, Refusal::Stale];

    fn append(log: GroupId, follows: bool) -> Request {
        Request::Append { log, entry: Blob::default(), letters: Vec::new(), follows }
    }

    #[test]
    fn r9_what_follows_a_refused_entry_waits_until_the_author_begins_anew() {
        for refusal in AGAIN {
            let mut chains = Chains::default();
            assert!(chains.admit(&append(LOG, false)).is_ok());
            chains.note(Some(LOG), &Err(refusal));
            for _ in 0..3 {
                assert!(matches!(chains.admit(&append(LOG, true)), Err(Refusal::Paced { .. })));
            }
            assert!(chains.admit(&append(OTHER, true)).is_ok(), "another log is another chain");
            assert!(chains.admit(&Request::Ping).is_ok());
            assert!(chains.admit(&append(LOG, false)).is_ok());
            assert!(chains.admit(&append(LOG, true)).is_ok());
        }
    }

    #[test]
    fn what_is_never_sent_again_holds_nothing_back() {
        let mut chains = Chains::default();
        for answer in [Ok(Answer::Appended(Seq(1))), Err(Refusal::TooLarge), Err(Refusal::NoAccess)]
        {
            chains.note(Some(LOG), &answer);
            assert!(chains.admit(&append(LOG, true)).is_ok(), "{answer:?}");
        }
        chains.note(None, &Err(Refusal::Internal));
        assert!(chains.admit(&append(LOG, true)).is_ok());
    }

    #[test]
    fn refusals_in_many_logs_take_no_memory_without_end() {
        let mut chains = Chains::default();
        let log = |n: u32| {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&n.to_be_bytes());
            GroupId(id)
        };
        for n in 0..10_000 {
            chains.note(Some(log(n)), &Err(Refusal::Internal));
        }
        assert!(chains.broken.len() <= MAX_TAILS);
        assert!(chains.admit(&append(log(9_999), true)).is_err(), "held back all the same");
    }
}
