//! Whose key was revoked is removed by whoever is there, without a person acting: the group's next
//! secrets are none of a thief's (`docs/protocol.md` §4.3, C18).

use openchat_group::Proposal;
use openchat_roster::{Reason, Revocation};
use openchat_wire::{Blob, Fingerprint, UnixMillis};

use crate::{
    conversation::{Conversation, Stage},
    shared::{Now, Shared},
    timers::Timers,
};

/// Removals in one commit: each brings a proof of about 700 bytes, and a whole team can be revoked in
/// one evening.
const MAX_AT_ONCE: usize = 32;

impl Shared {
    /// The proof, under the head that this device's commits name, that a key was revoked.
    pub(crate) fn revocation(&self, key: &Fingerprint) -> Option<Revocation> {
        let mirror = self.log.mirror();
        let index = mirror.revoked(key)?;
        let mut read = self.log.archive().reader();
        let entry = Blob(read(index)?);
        let inclusion = mirror.prove(index, mirror.size(), read)?;
        Some(Revocation { entry, inclusion })
    }
}

impl Conversation {
    /// Notes who is to be removed, and when this device does it if nobody else has.
    pub(crate) fn plan_revocations(&mut self, now: &mut Now<'_>) {
        let Some(roster) = self.group.as_ref().map(openchat_group::Group::roster) else { return };
        if self.stage != Stage::Live || roster.seat(&now.shared.me).is_none() {
            return;
        }
        let seated = roster.seats().map(|seat| seat.fingerprint);
        let present = seated.chain(roster.all_admitted().map(|admitted| admitted.fingerprint));
        let (mirror, me) = (now.shared.log.mirror(), now.shared.me);
        let gone: Vec<_> = present.filter(|key| *key != me && mirror.is_revoked(key)).collect();
        self.revoked.retain(|key, _| gone.contains(key));
        let members = roster.tree().members();
        for key in gone {
            let at = Timers::revocation_wait(members, 0, now.time, now.rng);
            self.revoked.entry(key).or_insert(at);
        }
    }

    /// When the next one is to be removed by this device.
    pub(crate) fn next_revocation(&self) -> Option<UnixMillis> {
        self.revoked.values().copied().min()
    }

    pub(crate) fn is_revocation_due(&self, now: UnixMillis) -> bool {
        self.next_revocation().is_some_and(|at| at <= now)
    }

    /// The removal can't be made now, or the relay does not take it.
    pub(crate) fn postpone_revocations(&mut self, now: &mut Now<'_>) {
        let members = self.group.as_ref().map_or(0, |group| group.roster().tree().members());
        self.timers.revocations_refused = self.timers.revocations_refused.saturating_add(1);
        let tries = self.timers.revocations_refused;
        for at in self.revoked.values_mut() {
            *at = Timers::revocation_wait(members, tries, now.time, now.rng);
        }
    }

    /// If one is due, all go: a team that is revoked at once is removed at once.
    pub(crate) fn revocations_proposal(&self, now: &Now<'_>) -> Option<Proposal> {
        let all = self.revoked.keys().take(MAX_AT_ONCE);
        let proven = all.filter_map(|key| Some((*key, now.shared.revocation(key)?)));
        let removes: Vec<_> = proven.map(|(key, proof)| (key, Reason::Revoked(proof))).collect();
        (!removes.is_empty()).then(|| Proposal { removes, ..Proposal::default() })
    }

    /// The proof with which this device takes the seat that its name has under a key of before.
    pub(crate) fn replaced(&self, now: &Now<'_>) -> Option<Revocation> {
        let seat = self.group.as_ref()?.roster().seat_named(&now.shared.device.name)?;
        now.shared.revocation(&seat.fingerprint)
    }
}
