//! How often members were told something again: one who asks for more than its share takes nothing from
//! the others.

use openchat_wire::Fingerprint;
use serde::{Deserialize, Serialize};

/// Members that one thing is said again to. Each time is for all who are there, so this many had to lose
/// it one after the other; and they cost together what they may, however many they are.
pub(crate) const MAX_ASKERS: usize = 8;

/// How often each of them was granted it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Askers(Vec<(Fingerprint, u32)>);

impl Askers {
    /// Counts one more time for this member, unless it had as many as `most`.
    pub(crate) fn grant(&mut self, asker: Fingerprint, most: u32) -> bool {
        let is_full = self.0.len() >= MAX_ASKERS;
        match self.0.iter_mut().find(|(who, _)| *who == asker) {
            Some((_, count)) if *count < most => *count = count.saturating_add(1),
            None if !is_full && most > 0 => self.0.push((asker, 1)),
            _ => return false,
        }
        true
    }
}
