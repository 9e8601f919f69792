//! A member who seals messages that no honest device seals.

use openchat_crypto::{IdentityKey, Label, fernet::MessageKey, hash};
use openchat_roster::{LogEntry, MessageEntry, MessageHeader, NodeIndex};
use openchat_wire::{Blob, Generation, GroupId, MessageId, Slot, decode, encode};

use super::{
    device::Device,
    views::{RatchetsView, generation_secret},
};

/// A member who seals in any name, on any slot: every member has every member's message keys.
pub(crate) struct Sealer {
    group: GroupId,
    ratchets: RatchetsView,
}

impl Sealer {
    /// With the keys of a device's current epoch, of which it has used none yet.
    pub(crate) fn new(device: &Device) -> Self {
        let roster = device.group.roster();
        let ratchets = device.group.ratchets(roster.epoch()).unwrap();
        let ratchets = decode(&encode(ratchets), 1 << 20).unwrap();
        Self { group: *roster.group(), ratchets }
    }

    pub(crate) fn header(&self, slot: u32, generation: u32) -> MessageHeader {
        MessageHeader {
            epoch: self.ratchets.epoch,
            confirmed: MessageHeader::prefix(&self.ratchets.confirmed),
            slot: Slot(slot),
            generation: Generation(generation),
            id: MessageId([5; 16]),
        }
    }

    /// A message of padded content as it is, signed by `key` for the purpose `label`.
    pub(crate) fn seal(
        &self,
        header: MessageHeader,
        key: &IdentityKey,
        label: Label,
        padded: &[u8],
    ) -> Vec<u8> {
        let header_hash = header.hash(&self.group);
        let seen = [0; 40];
        let body = [
            &key.fingerprint().0[..],
            &header_hash.0,
            &self.ratchets.confirmed.0,
            &seen,
            &hash(Label::Content, &[padded]).0,
        ];
        let signature = key.sign(label, &body.concat());
        self.token(header, &[padded, &seen, signature.as_bytes()].concat())
    }

    /// A message whose token holds these bytes.
    pub(crate) fn token(&self, header: MessageHeader, sealed: &[u8]) -> Vec<u8> {
        let token = Blob(self.key(&header).seal(sealed));
        LogEntry::Message(MessageEntry { header, token }).to_bytes()
    }

    /// What a message's token holds, signature and all.
    pub(crate) fn opened(&self, message: &MessageEntry) -> Vec<u8> {
        self.key(&message.header).open(&message.token.0).unwrap().clone()
    }

    fn key(&self, header: &MessageHeader) -> MessageKey {
        let height = self.ratchets.height;
        let top = &self.ratchets.nodes[&NodeIndex { level: height, index: 0 }];
        let secret = generation_secret(top, height, header.slot.0, header.generation.0);
        let bound = header.hash(&self.group);
        MessageKey::new(secret.expand(Label::MessageKey, &bound.0))
    }
}

/// §6.2: `len ‖ content ‖ zeros`, without any rounding up.
pub(crate) fn unrounded(content: &[u8], zeros: usize) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], content, &vec![0; zeros]].concat()
}
