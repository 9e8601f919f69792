//! What has to be true once nothing goes wrong any more.

use crate::simulation::{
    broken::Broken,
    device::{Device, Who},
    disk::Disk,
    ledger::{Ledger, Member},
    people::Text,
    world::{SECOND, START, World},
};
use openchat_engine::{Engine, Standing, Summary};
use openchat_wire::{GroupId, Seq};
use std::collections::BTreeMap;

/// Simulated time from the last fault to the moment when all agree.
const PATIENCE: u64 = 60 * SECOND;

/// From the last words to everybody's having read them.
const DELIVERY: u64 = 20 * SECOND;

impl<D: Disk> World<D> {
    /// Waits until all agree, has everybody say something more, and looks at everything. Returns
    /// how long it took them to agree.
    pub(crate) fn judge(&mut self) -> Result<u64, Broken> {
        let took = self.settle(PATIENCE)?;
        self.last_words()?;
        self.settle(DELIVERY)?;
        self.witness.check(&self.server)?;
        self.devices.iter().try_for_each(|device| self.same_order(device))?;
        let texts = &self.people.texts;
        texts.iter().try_for_each(|text| self.not_lost(text))?;
        self.in_order_written()?;
        Ok(took)
    }

    fn settle(&mut self, longest: u64) -> Result<u64, Broken> {
        let begin = self.now;
        loop {
            self.run(SECOND / 4)?;
            let Some(why) = self.unsettled() else { return Ok(self.now - begin) };
            if self.now - begin >= longest {
                self.trace.note(self.now - START, &format!("unsettled: {why}"));
                return Err(Broken::new("all agree soon", why));
            }
        }
    }

    /// Why not all agree yet.
    fn unsettled(&self) -> Option<String> {
        if !self.server.is_up() || !self.server.is_idle() {
            return Some("the server".to_owned());
        }
        let offline = self.devices.iter().position(|device| device.connection.is_none());
        if let Some(offline) = offline {
            return Some(format!("{:?} is offline", Who(offline)));
        }
        let of_group = |(id, ledger): (&GroupId, &Ledger)| {
            ledger.members().find_map(|member| self.behind(*id, ledger, &member))
        };
        self.witness.ledgers.iter().find_map(of_group).or_else(|| self.ghost())
    }

    /// How a member's device differs from the log.
    fn behind(&self, id: GroupId, ledger: &Ledger, member: &Member) -> Option<String> {
        let mut devices = self.devices.iter();
        let device = devices.find(|it| it.identity.fingerprint == member.fingerprint)?;
        let name = &member.name;
        let Some(summary) = conversation(device, id) else {
            return Some(format!("{name} does not know {id}"));
        };
        let target = &summary.target;
        // Who has turned its back stays on the list until a member sees to it, if there is one.
        // It asks again now and then, and within these minutes nobody may have come who hears it.
        if summary.standing == Standing::Out {
            return None;
        }
        if summary.standing != Standing::Member {
            return Some(format!("{name} is {:?} in {target}", summary.standing));
        }
        if summary.epoch != ledger.epoch() {
            let (theirs, ours) = (summary.epoch, ledger.epoch());
            return Some(format!("{name} is at {theirs:?} of {ours:?} in {target}"));
        }
        if summary.queued > 0 {
            return Some(format!("{name} has {} queued in {target}", summary.queued));
        }
        let mut known: Vec<_> = summary.members.iter().map(|it| it.name.clone()).collect();
        let mut seated: Vec<_> = ledger.members().map(|it| it.name).collect();
        known.sort();
        seated.sort();
        if known != seated {
            return Some(format!("{name} knows {known:?} of {seated:?} in {target}"));
        }
        let lacks = |text: &&Text| device.vault.place(&text.named).is_none();
        let lacking: Vec<&Text> = self.people.texts.iter().filter(lacks).collect();
        let unread = ledger.readable(member.since).find_map(|named| {
            lacking.iter().find(|text| text.named == *named).map(|text| text.words.clone())
        });
        unread.map(|text| format!("{name} has not read '{text}' in {target}"))
    }

    /// Somebody who believes to be a member where it is none.
    fn ghost(&self) -> Option<String> {
        for device in &self.devices {
            for summary in device.conversations() {
                let ledger = summary.group.and_then(|id| self.witness.ledgers.get(&id));
                let me = device.identity.fingerprint;
                let seated = ledger.is_some_and(|it| it.members().any(|it| it.fingerprint == me));
                if summary.standing == Standing::Member && !seated {
                    return Some(format!(
                        "{} is no member of {}",
                        device.identity.name, summary.target
                    ));
                }
            }
        }
        None
    }

    /// What a device has read stands in the log at the same place.
    fn same_order(&self, device: &Device) -> Result<(), Broken> {
        for (named, (group, seq)) in device.vault.messages() {
            let ledger = self.witness.ledgers.get(group);
            if !ledger.is_some_and(|ledger| ledger.stands_at(named, *seq)) {
                let name = &device.identity.name;
                let detail = format!("{name} has read {named:?} at {seq:?} of {group}");
                return Err(Broken::new("all see one order", detail));
            }
        }
        Ok(())
    }

    /// What somebody has written to a conversation stands in its log in the order in which it was
    /// written.
    fn in_order_written(&self) -> Result<(), Broken> {
        for ledger in self.witness.ledgers.values() {
            let mut newest: BTreeMap<(Who, String), (Seq, &str)> = BTreeMap::new();
            for text in &self.people.texts {
                let Some(seq) = ledger.place(&text.named) else { continue };
                let chain = (text.author, text.target.to_string());
                let before = newest.insert(chain, (seq, &text.words));
                if let Some((before, words)) = before.filter(|(before, _)| *before > seq) {
                    let detail = format!("'{words}' at {before:?}, '{}' at {seq:?}", text.words);
                    return Err(Broken::new("texts stand in the order written", detail));
                }
            }
        }
        Ok(())
    }

    /// What a device has kept is in a log, was given back, or waits for somebody to let its author
    /// in.
    fn not_lost(&self, text: &Text) -> Result<(), Broken> {
        let device = &self.devices[text.author.0];
        let there = self.witness.ledgers.values().any(|ledger| ledger.has(&text.named));
        let (_, id) = text.named;
        let acknowledged = device.acknowledged.get(&id);
        if there || device.failed.contains(&id) && acknowledged.is_none() {
            return Ok(());
        }
        if acknowledged.is_none() && device.engine.as_ref().map_or(0, Engine::queued) > 0 {
            return Ok(());
        }
        let detail = format!("'{}' to {}, {acknowledged:?}", text.words, text.target);
        Err(Broken::new("no text is lost", detail))
    }
}

fn conversation(device: &Device, id: GroupId) -> Option<Summary> {
    device.conversations().into_iter().find(|summary| summary.group == Some(id))
}
