//! Taking the next commit of the log (`docs/protocol.md` §4.4, §5.3).

use openchat_roster::{CommitEntry, CommitFault, Operation, Roster, Seat, Transition};
use openchat_wire::Epoch;

use crate::{
    author::Pending,
    follow::{Entered, Reading},
    group::Group,
    keyring::Keyring,
    letter::{LetterFault, open_invitation},
    outcome::{CommitOutcome, Effect, changes},
    path::Steps,
    secret_tree::EpochRatchets,
    state::StateKey,
};

/// What becomes of this device's secrets.
enum Move {
    Stay,
    Enter(Box<Entered>),
    Leave,
}

impl Group {
    /// Takes the next commit of the log. `keyring` is asked if the commit adds or admits this
    /// device, or sets its unclaimed leaf.
    pub fn commit(&mut self, entry: &CommitEntry, keyring: &dyn Keyring) -> CommitOutcome {
        let is_mine = self.pending.as_ref().is_some_and(|pending| pending.is(entry));
        let (transition, author) = match judge(&self.roster, entry, is_mine) {
            Ok(judged) => judged,
            Err(fault) => return CommitOutcome::Invalid(fault),
        };
        let changes = changes(&self.roster, &transition);
        // Whatever was pending was made for this place and has lost it, or has just won it.
        let pending = self.drop_pending().filter(|_| is_mine);
        let (effect, what_becomes) = if author.fingerprint == self.me {
            adopt(pending, &transition)
        } else {
            let Self { me, roster, .. } = &*self;
            let reading =
                Reading { me, roster, transition: &transition, author: &author, entry, keyring };
            self.read(&reading)
        };
        match what_becomes {
            Move::Stay => {}
            Move::Enter(entered) => self.enter(*entered),
            Move::Leave => self.leave(),
        }
        self.roster.apply(transition);
        self.forget_old_epochs();
        let Seat { name, fingerprint, .. } = author;
        CommitOutcome::Valid { author: name, fingerprint, changes, effect }
    }

    /// Somebody else's commit.
    fn read(&self, reading: &Reading<'_>) -> (Effect, Move) {
        if self.roster.seat(&self.me).is_none() {
            return self.watch(reading);
        }
        let mut removed = reading.transition.outline().removed().iter();
        if removed.any(|seat| seat.fingerprint == self.me) {
            return (Effect::Removed, Move::Leave);
        }
        let Some(secrets) = &self.secrets else { return (Effect::Watched, Move::Stay) };
        let back = secrets.epoch < self.roster.epoch();
        match reading.follow(secrets, &self.steps) {
            Ok(entered) => (Effect::Followed { back }, Move::Enter(Box::new(entered))),
            Err(fault) => (Effect::LeftBehind(fault), Move::Stay),
        }
    }

    /// A commit while this device has no seat: it may give it one, or the right to take one.
    fn watch(&self, reading: &Reading<'_>) -> (Effect, Move) {
        let mut seats = reading.transition.outline().changed_seats();
        if let Some(seat) = seats.find(|seat| seat.fingerprint == self.me) {
            return match reading.come_in(seat.slot) {
                Ok((entered, naming)) => (Effect::Added { naming }, Move::Enter(Box::new(entered))),
                Err(fault) => (Effect::LeftBehind(fault), Move::Stay),
            };
        }
        let admits_me = |operation: &Operation| matches!(operation, Operation::Admit(person) if person.fingerprint == self.me);
        if reading.transition.commit().operations.iter().any(admits_me) {
            return (Effect::Invited(invitation(reading)), Move::Stay);
        }
        (Effect::Watched, Move::Stay)
    }

    fn enter(&mut self, entered: Entered) {
        let Entered { secrets, ratchets, steps } = entered;
        self.changed.insert(StateKey::Secrets);
        self.changed.extend(ratchets.records());
        self.ratchets.insert(ratchets.epoch, ratchets);
        self.secrets = Some(secrets);
        self.steps = steps;
    }

    /// Forgets every secret of the group, for a device that goes while nobody is left to remove it.
    pub fn forget_secrets(&mut self) {
        self.drop_pending();
        self.leave();
    }

    /// The seat is gone, and with it every key.
    fn leave(&mut self) {
        self.changed.insert(StateKey::Secrets);
        self.secrets = None;
        self.steps = Steps::default();
        self.forget_epochs_before(Epoch(u64::MAX));
    }

    /// Keys of epochs whose messages no longer count are deleted.
    fn forget_old_epochs(&mut self) {
        if let Some(oldest) = self.roster.oldest_epoch() {
            self.forget_epochs_before(oldest);
        }
    }

    fn forget_epochs_before(&mut self, oldest: Epoch) {
        let kept = self.ratchets.split_off(&oldest);
        let forgotten = core::mem::replace(&mut self.ratchets, kept);
        self.changed.extend(forgotten.values().flat_map(EpochRatchets::records));
    }
}

/// A commit that this device has made was checked when it was made.
fn judge(
    roster: &Roster,
    entry: &CommitEntry,
    is_mine: bool,
) -> Result<(Transition, Seat), CommitFault> {
    let transition = if is_mine { roster.replay(entry) } else { roster.check(entry) }?;
    let author = transition.author().cloned().ok_or(CommitFault::Authority)?;
    Ok((transition, author))
}

/// A commit in this device's name: mine because its secrets are here, not because of its name.
fn adopt(pending: Option<Pending>, transition: &Transition) -> (Effect, Move) {
    let rejoins = |operation: &Operation| matches!(operation, Operation::Rejoin { .. });
    match pending {
        Some(Pending { secrets, ratchets, steps, .. }) => {
            (Effect::Own, Move::Enter(Box::new(Entered { secrets, ratchets, steps })))
        }
        None if transition.commit().operations.iter().any(rejoins) => {
            (Effect::Reseated, Move::Stay)
        }
        None => (Effect::NotMine, Move::Stay),
    }
}

/// What the letter says that came with an admission of this device.
fn invitation(reading: &Reading<'_>) -> Result<Option<openchat_roster::Naming>, LetterFault> {
    let occasion = reading.occasion();
    let letter = reading.keyring.letter(occasion.group, occasion.epoch);
    let letter = letter.ok_or(LetterFault::Missing)?;
    Ok(open_invitation(&letter.0, &occasion, reading.keyring)?.naming)
}
