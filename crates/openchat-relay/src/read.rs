//! Who may read what, and the relay's own signed claims.

use crate::{
    append::member,
    fault::RuleFault,
    group::Group,
    outcome::{Identity, Outcome, Publish, Stop, Tailing},
    place::{groups, key, lost_seat},
    relay::Relay,
    store::{Body, Limit, Store, Table, Which},
};
use openchat_crypto::IdentityKey;
use openchat_pki::sign_receipt;
use openchat_roster::inbox;
use openchat_wire::{
    Blob, Fingerprint, GroupId, GroupName, Name, Seq, UnixMillis,
    limits::{MAX_HEARTBEAT, MAX_RECORDED},
    relay::{Answer, Receipt, Refusal, SignedReceipt},
};

/// The check that nobody has seen what is not there: it would make others wait for it in vain.
const AHEAD: &str = "the heartbeat is ahead of the log";

impl<S: Store> Relay<S> {
    /// Decides about `Request::ReadCommits`.
    pub(crate) fn read_commits(
        &mut self,
        who: &Identity,
        log: &GroupId,
        after: Seq,
    ) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, log)?.ok_or(Refusal::NoAccess)?;
        reader(group, who)?;
        let page = self.store.read(log, after, Which::Commits, Limit::READ)?;
        let whole = |(seq, body): (Seq, Body)| body.whole().map(|bytes| (seq, Blob(bytes)));
        let entries = page.entries.into_iter().map(whole).collect::<Result<_, _>>()?;
        Ok(Outcome::answer(Answer::Entries { entries, complete: page.complete }))
    }

    /// Decides about `Request::ReadTransparency`. Everybody may see what the CA did.
    pub(crate) fn read_transparency(
        &mut self,
        index: u64,
        now: UnixMillis,
    ) -> Result<Outcome, Stop> {
        let entries = self.store.recorded(index, MAX_RECORDED)?;
        let complete = entries.len() < MAX_RECORDED;
        let entries = entries.into_iter().map(|recorded| Blob(recorded.entry)).collect();
        let head = Blob(self.transparency.head(now).to_vec());
        Ok(Outcome::answer(Answer::Recorded { entries, head, complete }))
    }

    /// Decides about `Request::Tail`.
    pub(crate) fn tail(
        &mut self,
        who: &Identity,
        log: &GroupId,
        after: Seq,
    ) -> Result<Outcome, Stop> {
        let me = &who.fingerprint;
        let (end, last) = if *log == inbox(me) {
            (self.store.tail(log)?.map_or(Seq(0), |tail| tail.seq), None)
        } else {
            let group = self.groups.get(&self.store, log)?.ok_or(Refusal::NoAccess)?;
            let last = if group.seats(me) { None } else { lost_seat(&self.store, log, me)? };
            if last.is_none_or(|last| after >= last) {
                member(group, who)?;
            }
            (group.tail.seq, last)
        };
        let tail = Tailing { log: *log, after, end, reader: *me, last };
        Ok(Outcome { tail: Some(tail), ..Outcome::answer(Answer::Done) })
    }

    /// Decides about `Request::Receipt`.
    pub(crate) fn receipt(
        &mut self,
        who: &Identity,
        log: &GroupId,
        at: Option<Seq>,
    ) -> Result<Outcome, Stop> {
        let group = self.groups.get(&self.store, log)?.ok_or(Refusal::NoAccess)?;
        reader(group, who)?;
        let receipt = match at {
            None => claim(group, &self.receipt_key),
            Some(seq) => {
                let point = self.store.point(log, seq)?.ok_or(Refusal::NotFound)?;
                let receipt = Receipt {
                    group: *log,
                    seq,
                    log_hash: point.place.log_hash,
                    epoch: point.commit.epoch,
                    interim: point.commit.interim,
                };
                sign_receipt(&receipt, &self.receipt_key)
            }
        };
        Ok(Outcome::answer(Answer::Receipt(receipt)))
    }

    /// Decides about `Request::Heartbeat`.
    pub(crate) fn heartbeat(
        &mut self,
        who: &Identity,
        log: &GroupId,
        beat: &[u8],
    ) -> Result<Outcome, Stop> {
        if beat.len() > MAX_HEARTBEAT {
            return Err(Refusal::TooLarge.into());
        }
        let group = self.groups.get(&self.store, log)?.ok_or(Refusal::NoAccess)?;
        member(group, who)?;
        let heartbeat = group.roster.check_heartbeat(beat)?;
        if heartbeat.author != who.fingerprint {
            return Err(RuleFault::Author.into());
        }
        if self.transparency.is_revoked(&who.fingerprint) {
            return Err(RuleFault::Revoked.into());
        }
        if heartbeat.seen.seq > group.tail.seq {
            return Err(Refusal::Invalid(AHEAD.to_owned()).into());
        }
        let receipt = claim(group, &self.receipt_key);
        let publish = Publish::Heartbeat { log: *log, beat: beat.into(), receipt };
        Ok(Outcome { publish: vec![publish], ..Outcome::answer(Answer::Done) })
    }

    /// Decides about `Request::FindGroup`.
    pub(crate) fn find_group(&self, name: &GroupName) -> Result<Outcome, Stop> {
        let group: Option<GroupId> = self.record(Table::GroupName, name.as_str().as_bytes())?;
        Ok(Outcome::answer(Answer::Group(group.ok_or(Refusal::NotFound)?)))
    }

    /// Decides about `Request::FindDirect`.
    pub(crate) fn find_direct(&self, who: &Identity, other: &Fingerprint) -> Result<Outcome, Stop> {
        let me = &who.fingerprint;
        let pair = key(&me.min(other).0, &me.max(other).0);
        let group: Option<GroupId> = self.record(Table::Pair, &pair)?;
        Ok(Outcome::answer(Answer::Group(group.ok_or(Refusal::NotFound)?)))
    }

    /// Decides about `Request::Groups`.
    pub(crate) fn groups_of(&self, who: &Identity) -> Result<Outcome, Stop> {
        Ok(Outcome::answer(Answer::Groups(groups(&self.store, &who.fingerprint)?)))
    }

    /// Decides about `Request::Certificate`.
    pub(crate) fn certificate(&self, key: &Fingerprint) -> Result<Outcome, Stop> {
        let member = self.directory(key)?.ok_or(Refusal::NotFound)?;
        Ok(Outcome::answer(Answer::Certificate(member.certificate)))
    }

    /// Decides about `Request::CertificateOf`.
    pub(crate) fn certificate_of(&self, name: &Name) -> Result<Outcome, Stop> {
        let key: Option<Fingerprint> = self.record(Table::Name, name.as_str().as_bytes())?;
        // Asked by its key it is told still: logs speak of those who were.
        let key = key.filter(|key| !self.transparency.is_revoked(key));
        self.certificate(&key.ok_or(Refusal::NotFound)?)
    }
}

/// Commits may be read by whoever is in the group or may come in by itself.
fn reader(group: &Group, who: &Identity) -> Result<(), Refusal> {
    if group.roster.may_read(&who.fingerprint) { Ok(()) } else { Err(Refusal::NoAccess) }
}

/// The signed claim about the tail. It is signed once for each tail, however many ask.
fn claim(group: &mut Group, key: &IdentityKey) -> SignedReceipt {
    let claim = group.claim();
    group.receipt.get_or_insert_with(|| sign_receipt(&claim, key)).clone()
}
