//! How a conversation works through its log, entry by entry, in order.

use openchat_group::Group;
use openchat_roster::{Access, CommitEntry, LogEntry, NoticeEntry, Operation, Seen};
use openchat_wire::{Blob, Digest, Fingerprint, MessageId, Name, Seq};

use crate::{
    backlog::Shown,
    conversation::{Conversation, Stage},
    event::AlarmCode,
    history::Past,
    shared::{ASK_OPERATOR, Ask, Asked, Now},
};

pub(crate) const UPDATE: &str = "Update openchat: a newer version wrote this.";

/// What came of trying to process an entry.
enum Step {
    /// Go on with the next one.
    Done,
    /// This one waits for the transparency log.
    Blocked,
    /// The conversation has halted, or goes on elsewhere.
    Stop,
}

impl Conversation {
    /// The relay pushes an entry of the log.
    pub(crate) fn pushed(&mut self, now: &mut Now<'_>, seq: Seq, entry: Shown) {
        if !matches!(self.stage, Stage::Syncing { .. } | Stage::Live) || self.is_of_before(now) {
            return;
        }
        if self.backlog.is_full() {
            let message = "the relay floods this group";
            return self.halt(now, AlarmCode::HeldBack, message, "Run 'openchat join' again.");
        }
        self.backlog.push(seq, entry);
        self.process(now);
    }

    /// Whether what is pushed was asked for before the log was asked for anew, as after a removal. It
    /// comes again behind the answer, and what stands before it too.
    fn is_of_before(&self, now: &Now<'_>) -> bool {
        let tail = Asked::Of(self.local, Ask::Tail);
        matches!(self.stage, Stage::Syncing { .. })
            && now.shared.asked.values().any(|it| *it == tail)
    }

    /// Works through the backlog as far as the transparency log allows.
    pub(crate) fn process(&mut self, now: &mut Now<'_>) {
        if self.is_blocked(now) {
            return;
        }
        while let Some((seq, entry)) = self.backlog.pop() {
            let reading = matches!(self.stage, Stage::Reading { .. });
            let step = if reading {
                self.read_commit(now, seq, &entry)
            } else {
                self.read_entry(now, seq, &entry)
            };
            match step {
                Step::Done => self.unproven = None,
                Step::Blocked => {
                    self.backlog.put_back(seq, entry);
                    return;
                }
                Step::Stop => return,
            }
        }
        match self.stage {
            Stage::Reading { .. } => self.commits_processed(now),
            _ => self.check_synced(now),
        }
    }

    /// A newcomer reads commits only, up to its own seat.
    fn read_commit(&mut self, now: &mut Now<'_>, seq: Seq, shown: &Shown) -> Step {
        // A list of commits is whole; there is no way to say otherwise.
        let Shown::Whole(bytes) = shown else { return Step::Done };
        if seq <= self.read_to {
            return Step::Done;
        }
        let Ok(LogEntry::Commit(commit)) = LogEntry::decode(&bytes.0) else {
            self.halt(
                now,
                AlarmCode::UnknownEntry,
                "the log has a commit of no known kind",
                UPDATE,
            );
            return Step::Stop;
        };
        match self.check_people(now, &commit) {
            Step::Done => {}
            step => return step,
        }
        let was_seated = self.group.as_ref().is_some_and(Group::is_seated);
        self.take_commit(now, seq, &commit, bytes);
        let is_seated = self.group.as_ref().is_some_and(Group::is_seated);
        let goes_on = matches!(self.stage, Stage::Reading { .. });
        if !goes_on || (was_seated && !is_seated) {
            return Step::Stop;
        }
        self.read_to = seq;
        self.came(now, seq);
        if !self.is_what_it_should_be(now) {
            self.forget_group(now);
            let message = "the relay shows another group than the one that was asked for";
            self.halt(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
            return Step::Stop;
        }
        self.identify(now);
        self.retire_former(now);
        let Some(group) = &mut self.group else { return Step::Stop };
        // What was read of the rest of the log has a gap from here on.
        group.read_commits_only();
        if !was_seated && group.is_seated() && group.secrets().is_some() {
            self.backlog.clear();
        }
        Step::Done
    }

    /// Whoever is seated reads everything.
    fn read_entry(&mut self, now: &mut Now<'_>, seq: Seq, shown: &Shown) -> Step {
        let Some(group) = &self.group else { return Step::Stop };
        if group.seen().is_none_or(|seen| seq <= seen.seq) {
            return Step::Done;
        }
        match shown {
            Shown::Whole(bytes) => self.read_whole(now, seq, bytes),
            Shown::Dropped(hash) => {
                if let Some(bytes) = self.own_bytes(hash) {
                    return self.read_whole(now, seq, &bytes);
                }
                self.take_dropped(now, seq);
                self.advance(now, (seq, shown), None);
                Step::Done
            }
        }
    }

    fn read_whole(&mut self, now: &mut Now<'_>, seq: Seq, bytes: &Blob) -> Step {
        let mut message = None;
        match LogEntry::decode(&bytes.0) {
            Ok(LogEntry::Commit(commit)) => {
                match self.check_people(now, &commit) {
                    Step::Done => {}
                    step => return step,
                }
                self.take_commit(now, seq, &commit, bytes);
            }
            Ok(LogEntry::Message(entry)) => message = self.take_message(now, seq, &entry, bytes),
            Ok(LogEntry::Notice(entry)) => self.take_notice(now, &entry),
            Ok(LogEntry::Leave(entry)) => self.take_leave(now, entry),
            Err(_) => {
                let message = "the log has an entry of no known kind";
                self.halt(now, AlarmCode::UnknownEntry, message, UPDATE);
            }
        }
        if !matches!(self.stage, Stage::Syncing { .. } | Stage::Live) {
            return Step::Stop;
        }
        self.advance(now, (seq, &Shown::Whole(bytes.clone())), message);
        Step::Done
    }

    fn advance(
        &mut self,
        now: &mut Now<'_>,
        (seq, shown): (Seq, &Shown),
        message: Option<(Fingerprint, MessageId, Digest)>,
    ) {
        let Some(group) = &mut self.group else { return };
        let id = *group.roster().group();
        match shown {
            Shown::Whole(bytes) => group.advance(seq, &bytes.0),
            Shown::Dropped(hash) => group.advance_dropped(seq, hash),
        }
        self.dirty = true;
        if let Some(Seen { log_hash, .. }) = group.seen() {
            self.history.push(
                &mut now.shared.pen,
                id,
                seq,
                Past { log_hash, message, is_first: false },
            );
        }
        self.came(now, seq);
        self.check_shown(now);
        self.check_claim(now);
        self.check_ahead(now);
    }

    /// K1: everybody who takes a seat, is added or admitted has this name and key in this device's
    /// mirror of the transparency log; so have the two of a direct conversation.
    fn check_people(&mut self, now: &mut Now<'_>, commit: &CommitEntry) -> Step {
        let people = People::of(commit);
        for (name, key) in people.named {
            match now.shared.certified(&key) {
                Some(certified) if certified == name => now.shared.met(&name, key),
                None => return self.uncertified(now),
                Some(certified) => {
                    let message = format!("{certified}'s key is in this group as {name}");
                    self.halt(now, AlarmCode::Uncertified, &message, ASK_OPERATOR);
                    return Step::Stop;
                }
            }
        }
        if people.peers.iter().any(|peer| now.shared.certified(peer).is_none()) {
            return self.uncertified(now);
        }
        Step::Done
    }

    /// A key that the mirror does not have may have been certified a moment ago. What an honest server
    /// has let into a group stands in its log before.
    fn uncertified(&mut self, now: &mut Now<'_>) -> Step {
        if self.unproven.is_some_and(|asked| now.shared.log.is_read(asked)) {
            let message = "somebody is in this group whom the transparency log does not have";
            self.halt(now, AlarmCode::Uncertified, message, ASK_OPERATOR);
            return Step::Stop;
        }
        self.unproven = Some(now.shared.read_log());
        Step::Blocked
    }

    /// Whether the next entry waits for the transparency log.
    fn is_blocked(&self, now: &Now<'_>) -> bool {
        self.unproven.is_some_and(|asked| !now.shared.log.is_read(asked))
    }

    /// A member says that a commit left it behind.
    fn take_notice(&self, now: &mut Now<'_>, entry: &NoticeEntry) {
        let Some(group) = &self.group else { return };
        let Ok(notice) = group.roster().check_notice(entry) else { return };
        if let Some(seat) = group.roster().seat(&notice.author) {
            let message =
                format!("{} was left behind by the commit of epoch {}", seat.name, notice.epoch);
            let hint = "Its device comes back by itself.";
            self.alarm(now, AlarmCode::BadCommit, &message, hint);
        }
    }
}

/// Whom a commit speaks of.
#[derive(Default)]
struct People {
    /// Whom it seats, adds or admits.
    named: Vec<(Name, Fingerprint)>,
    /// For whom it begins a direct conversation.
    peers: Vec<Fingerprint>,
}

impl People {
    fn of(commit: &CommitEntry) -> Self {
        let mut people = Self::default();
        let operations = commit.view().map(|commit| commit.operations).unwrap_or_default();
        for operation in operations {
            if let Operation::Create { policy, .. } = &operation
                && let Access::Direct { peers } = &policy.access
            {
                people.peers.extend(peers);
            }
            people.named.extend(match operation {
                Operation::Create { entrant, .. }
                | Operation::Join { entrant, .. }
                | Operation::Add { entrant, .. } => Some((entrant.name, entrant.key.fingerprint())),
                Operation::Admit(person) => Some((person.name, person.fingerprint)),
                _ => None,
            });
        }
        people
    }
}
