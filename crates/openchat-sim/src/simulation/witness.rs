//! What has been promised so far, by the server to everybody and by each device to itself.

use crate::simulation::{broken::Broken, disk::Disk, ledger::Ledger, process::Process};
use openchat_crypto::sha256;
use openchat_roster::{LogEntry, MessageHeader};
use openchat_wire::{
    Digest, Fingerprint, GroupId, MessageId, Seq, encode,
    relay::{Request, ToServer},
};
use std::collections::{BTreeMap, btree_map};

/// Sees everything that leaves a device or the server.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// What somebody was told that a log has.
    acknowledged: BTreeMap<GroupId, BTreeMap<Seq, Digest>>,
    /// What each key of each ratchet has sealed.
    sealed: BTreeMap<(GroupId, Fingerprint, Vec<u8>), Digest>,
    /// What the groups' logs amount to.
    pub(crate) ledgers: BTreeMap<GroupId, Ledger>,
}

impl Witness {
    /// The server tells somebody that a log has this entry here: from now on it has it for ever.
    pub(crate) fn acknowledge(
        &mut self,
        log: GroupId,
        seq: Seq,
        entry: &[u8],
    ) -> Result<bool, Broken> {
        let hash = sha256(entry);
        match self.acknowledged.entry(log).or_default().entry(seq) {
            btree_map::Entry::Vacant(place) => {
                place.insert(hash);
                Ok(true)
            }
            btree_map::Entry::Occupied(before) if *before.get() == hash => Ok(false),
            btree_map::Entry::Occupied(_) => {
                Err(Broken::new("a place has one entry", format!("{log} {seq:?}")))
            }
        }
    }

    /// A device lets this leave. No key seals two things, whatever becomes of it on its way.
    pub(crate) fn sent(&mut self, author: Fingerprint, frame: &ToServer) -> Result<(), Broken> {
        let Request::Append { log, entry, .. } = &frame.request else { return Ok(()) };
        let Ok(LogEntry::Message(message)) = LogEntry::decode(&entry.0) else { return Ok(()) };
        let header = MessageHeader { id: MessageId([0; 16]), ..message.header };
        let hash = sha256(&entry.0);
        let before = self.sealed.insert((*log, author, encode(&header)), hash);
        if before.is_some_and(|before| before != hash) {
            let detail = format!("{:?} in {log}", message.header);
            return Err(Broken::new("no key seals twice", detail));
        }
        Ok(())
    }

    /// Reads what is new in a log, as somebody would who checks everything.
    pub(crate) fn follow<D: Disk>(
        &mut self,
        log: &GroupId,
        server: &Process<D>,
    ) -> Result<(), Broken> {
        let ledger = self.ledgers.entry(*log).or_insert_with(|| Ledger::new(*log));
        let news = server.entries(log, ledger.end());
        for (seq, entry) in news.map_err(|error| Broken::new("the store reads", error))? {
            ledger.read(seq, &entry)?;
        }
        Ok(())
    }

    /// The server's store, as it is now, has everything that anybody was ever told.
    pub(crate) fn check<D: Disk>(&self, server: &Process<D>) -> Result<(), Broken> {
        for (log, promised) in &self.acknowledged {
            let entries = server.entries(log, Seq(0));
            let entries = entries.map_err(|error| Broken::new("the store reads", error))?;
            let there: BTreeMap<Seq, Digest> =
                entries.iter().map(|(seq, entry)| (*seq, sha256(entry))).collect();
            let lost = promised.iter().find(|(seq, hash)| there.get(seq) != Some(hash));
            if let Some((seq, _)) = lost {
                let detail = format!("{seq:?} of {log}");
                return Err(Broken::new("what was acknowledged is there for ever", detail));
            }
            let mut hashes: Vec<&Digest> = there.values().collect();
            hashes.sort_unstable();
            if hashes.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(Broken::new("no entry is in a log twice", log));
            }
        }
        Ok(())
    }
}
