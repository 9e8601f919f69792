//! How a conversation works through its log, entry by entry, in order.

use openchat_group::{
    CommitKind, CommitOutcome, Content, ContentKind, Effect, Group, PrivateFault, Unreadable,
};
use openchat_roster::{
    CommitEntry, CommitFault, Entrant, LogEntry, MessageEntry, MessageHeader, NoticeEntry,
    Operation, Policy, Seen,
};
use openchat_wire::{
    Blob, Digest, Fingerprint, GroupId, Name, Seq, limits::MAX_TEXT, relay::Request,
};

use crate::{
    conversation::{Conversation, Stage},
    event::{AlarmCode, Change, Event, StoredMessage},
    history::Past,
    outbox::Outgoing,
    record::Key,
    shared::{ASK_OPERATOR, Ask, Asked, Now},
};

const UPDATE: &str = "Update openchat: a newer version wrote this.";

pub(crate) const ANOTHER_COPY: &str =
    "If another copy of this profile is running, stop it: two can't share one key.";

/// What came of trying to process an entry.
enum Step {
    /// Go on with the next one.
    Done,
    /// This one waits for a certificate.
    Blocked,
    /// The conversation has halted, or goes on elsewhere.
    Stop,
}

impl Conversation {
    /// The relay pushes an entry of the log.
    pub(crate) fn pushed(&mut self, now: &mut Now<'_>, seq: Seq, entry: Blob) {
        if !matches!(self.stage, Stage::Syncing { .. } | Stage::Live) {
            return;
        }
        if self.backlog.is_full() {
            let message = "the relay floods this group";
            return self.halt(now, AlarmCode::HeldBack, message, "Run 'openchat join' again.");
        }
        self.ask_certificate(now, &entry);
        self.backlog.push(seq, entry);
        self.process(now);
    }

    /// Works through the backlog as far as the certificates allow.
    pub(crate) fn process(&mut self, now: &mut Now<'_>) {
        if !self.waits_for.is_empty() {
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
                Step::Done => {}
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
    fn read_commit(&mut self, now: &mut Now<'_>, seq: Seq, bytes: &Blob) -> Step {
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
        match self.check_entrant(now, &commit) {
            Step::Done => {}
            step => return step,
        }
        let was_seated = self.group.as_ref().is_some_and(Group::is_seated);
        self.take_commit(now, seq, &commit, bytes);
        if self.stage == Stage::Halted {
            return Step::Stop;
        }
        self.read_to = seq;
        self.came(now, seq);
        if !self.is_named_so() {
            self.forget_group(now);
            let message = "the relay shows a group of another name";
            self.halt(now, AlarmCode::HistoryFork, message, ASK_OPERATOR);
            return Step::Stop;
        }
        let Some(group) = &self.group else { return Step::Stop };
        if !was_seated && group.is_seated() && group.secrets().is_some() {
            self.backlog.clear();
        }
        Step::Done
    }

    /// K2: the name that the group was created with is the one that was asked for. Until the
    /// creation was read nothing is known, and nothing is sent.
    fn is_named_so(&self) -> bool {
        match self.group.as_ref().and_then(|group| group.roster().policy()) {
            Some(Policy::Open { name }) => *name == self.name,
            Some(Policy::Closed { .. }) => false,
            None => true,
        }
    }

    /// Whoever is seated reads everything.
    fn read_entry(&mut self, now: &mut Now<'_>, seq: Seq, bytes: &Blob) -> Step {
        let Some(group) = &self.group else { return Step::Stop };
        let id = *group.roster().group();
        if group.seen().is_none_or(|seen| seq <= seen.seq) {
            return Step::Done;
        }
        let mut message = None;
        match LogEntry::decode(&bytes.0) {
            Ok(LogEntry::Commit(commit)) => {
                match self.check_entrant(now, &commit) {
                    Step::Done => {}
                    step => return step,
                }
                self.take_commit(now, seq, &commit, bytes);
            }
            Ok(LogEntry::Message(entry)) => message = self.take_message(now, seq, &entry, bytes),
            Ok(LogEntry::Notice(entry)) => self.take_notice(now, &entry),
            Err(_) => {
                let message = "the log has an entry of no known kind";
                self.halt(now, AlarmCode::UnknownEntry, message, UPDATE);
            }
        }
        if self.stage == Stage::Halted {
            return Step::Stop;
        }
        self.advance(now, id, (seq, bytes), message);
        Step::Done
    }

    fn advance(
        &mut self,
        now: &mut Now<'_>,
        id: GroupId,
        (seq, bytes): (Seq, &Blob),
        message: Option<(Fingerprint, openchat_wire::MessageId, Digest)>,
    ) {
        let Some(group) = &mut self.group else { return };
        group.advance(seq, &bytes.0);
        self.dirty = true;
        if let Some(Seen { log_hash, .. }) = group.seen() {
            self.history.push(&mut now.shared.pen, id, seq, Past { log_hash, message });
        }
        self.came(now, seq);
        self.check_shown(now);
        self.check_claim(now);
    }

    /// Everybody who takes a seat must be certified by the pinned CA, under that name.
    fn check_entrant(&mut self, now: &mut Now<'_>, commit: &CommitEntry) -> Step {
        let Some(entrant) = entrant(commit) else { return Step::Done };
        match now.shared.certified(&entrant.key.fingerprint()) {
            Some(name) if *name == entrant.name => Step::Done,
            None => Step::Blocked,
            Some(certified) => {
                let message = format!("{certified}'s key took a seat as {}", entrant.name);
                self.halt(now, AlarmCode::Uncertified, &message, ASK_OPERATOR);
                Step::Stop
            }
        }
    }

    /// Asks, once, for the certificate that an entry of the backlog will need.
    pub(crate) fn ask_certificate(&mut self, now: &mut Now<'_>, entry: &Blob) {
        let Ok(LogEntry::Commit(commit)) = LogEntry::decode(&entry.0) else { return };
        let Some(entrant) = entrant(&commit) else { return };
        let key = entrant.key.fingerprint();
        if now.shared.certified(&key).is_none() && self.waits_for.insert(key) {
            now.shared.ask(Asked::Certificate(key), Request::Certificate(key));
        }
    }

    /// A certificate has come, or there is none, or the relay is too busy to say.
    pub(crate) fn certificate_answered(&mut self, now: &mut Now<'_>, key: Fingerprint, busy: bool) {
        if !self.waits_for.contains(&key) {
            return;
        }
        if now.shared.certified(&key).is_some() {
            self.waits_for.remove(&key);
            self.process(now);
        } else if busy {
            self.timers.retry(now.time, 1_000, now.rng);
        } else {
            let message = "somebody took a seat whose key the pinned CA has not certified";
            self.halt(now, AlarmCode::Uncertified, message, ASK_OPERATOR);
        }
    }

    fn take_commit(&mut self, now: &mut Now<'_>, seq: Seq, commit: &CommitEntry, bytes: &Blob) {
        self.take_up(now, bytes);
        let Some(group) = &mut self.group else { return };
        let outcome = group.commit(commit);
        let (epoch, count) = (group.roster().epoch(), group.roster().tree().members());
        let head = *group.roster().head();
        // An operation that came later looks like this too, and whoever skips it is lost.
        if matches!(outcome, CommitOutcome::Invalid(CommitFault::Encoding(_))) {
            let message = "the log has a commit of no known kind";
            return self.halt(now, AlarmCode::UnknownEntry, message, UPDATE);
        }
        self.dirty = true;
        match outcome {
            CommitOutcome::Invalid(fault) => {
                let message = format!("the relay logged a commit that is invalid: {fault}");
                self.alarm(now, AlarmCode::InvalidCommit, &message, ASK_OPERATOR);
            }
            CommitOutcome::Valid { author, fingerprint, kind, effect } => {
                self.progress.last_commit = seq;
                self.forget_given_up(now);
                if let Some(id) = self.id() {
                    now.shared.pen.put_bytes(Key::commit(id, seq), bytes.0.clone());
                }
                now.shared.compare_head(&self.target(), &author, &head);
                let is_news = self.is_reading_all() && fingerprint != now.shared.me;
                if let Some(change) = member_change(kind).filter(|_| is_news) {
                    let (target, name) = (self.target(), author.clone());
                    now.shared.pen.event(Event::Member { target, name, change, epoch, count });
                }
                if fingerprint == now.shared.me && effect == Effect::Own {
                    self.healed(now);
                }
                self.react(now, &author, kind, effect);
            }
        }
    }

    fn is_reading_all(&self) -> bool {
        !matches!(self.stage, Stage::Reading { .. })
    }

    fn healed(&mut self, now: &mut Now<'_>) {
        self.progress.healed_at = now.time;
        self.progress.sent = 0;
        self.timers.healed(now.time, now.rng);
    }

    /// What a valid commit means for what this device does next.
    fn react(&mut self, now: &mut Now<'_>, author: &Name, kind: CommitKind, effect: Effect) {
        match effect {
            Effect::Watched | Effect::LeftBehind(PrivateFault::Behind) => {}
            Effect::Own | Effect::Followed { .. } => self.timers.rejoin_at = None,
            Effect::LeftBehind(fault) => self.left_behind(now, author, fault),
            Effect::NotMine => self.not_mine(now, kind),
        }
        if self.stage == Stage::Live {
            self.come_back_if_left_behind(now);
            self.flush(now);
        }
    }

    fn left_behind(&mut self, now: &mut Now<'_>, author: &Name, fault: PrivateFault) {
        let message = format!("{author}'s commit does not add up ({fault}); this device rejoins");
        let hint = "Nothing is lost: what you type is sent when this device is back.";
        self.alarm(now, AlarmCode::BadCommit, &message, hint);
        let Some(group) = &self.group else { return };
        let notice = group.notice(&now.shared.device.key);
        let entry = Blob(LogEntry::Notice(notice).to_bytes());
        let log = *group.roster().group();
        self.ask(now.shared, Ask::Courtesy, Request::Append { log, entry });
    }

    /// A commit of this identity that this device never made. While reading the past without
    /// secrets it is its own old seat, whose secrets are lost; otherwise somebody has a copy.
    fn not_mine(&mut self, now: &mut Now<'_>, kind: CommitKind) {
        if !self.is_reading_all() {
            return;
        }
        let message = "a commit in your name was not made by this device";
        self.alarm(now, AlarmCode::Clone, message, ANOTHER_COPY);
        if kind == CommitKind::Rejoined {
            self.progress.cloned = true;
        }
    }

    /// Opens a message; `None` if there is nothing to remember of it.
    fn take_message(
        &mut self,
        now: &mut Now<'_>,
        seq: Seq,
        entry: &MessageEntry,
        bytes: &Blob,
    ) -> Option<(Fingerprint, openchat_wire::MessageId, Digest)> {
        let me = now.shared.me;
        if let Some(mine) = self.arrived(now, seq, entry, bytes) {
            let remembered = (me, mine.id, mine.content.hash());
            self.show(now, seq, (me, mine.id), &mine.content);
            return Some(remembered);
        }
        self.check_authorship(now, entry);
        let opened = match self.group.as_mut()?.open(entry) {
            Ok(opened) => opened,
            Err(cause) => {
                self.unreadable(now, seq, entry.header, cause);
                return None;
            }
        };
        if opened.author == me {
            self.progress.logged = Some((entry.header.epoch, entry.header.generation));
        }
        self.dirty_epochs.insert(entry.header.epoch);
        self.compare_seen(now, &opened);
        let remembered = (opened.author, opened.id, opened.content_hash);
        match self.history.said(opened.author, opened.id) {
            None => self.show(now, seq, (opened.author, opened.id), &opened.content),
            Some(before) if before == opened.content_hash => {}
            Some(_) => {
                let message = "a member said two different things under one message id";
                self.alarm(now, AlarmCode::Equivocation, message, "Ask them which one they meant.");
            }
        }
        Some(remembered)
    }

    /// This very entry is a message of ours that was on its way, at a place where it counts: it
    /// has arrived.
    fn arrived(
        &mut self,
        now: &mut Now<'_>,
        seq: Seq,
        entry: &MessageEntry,
        bytes: &Blob,
    ) -> Option<Outgoing> {
        let id = self.outbox.sealed_id(&bytes.0)?;
        let roster = self.group.as_ref()?.roster();
        roster.check_message(&entry.header, &now.shared.me).ok()?;
        let (mine, was_acked) = self.outbox.take(&mut now.shared.pen, &self.name, id)?;
        if !was_acked {
            now.shared.pen.event(Event::Ack { id, seq });
        }
        self.progress.logged = Some((entry.header.epoch, entry.header.generation));
        Some(mine)
    }

    /// A message in this device's name that counts, and that it knows nothing of: somebody has a
    /// copy, or this device was restored from a backup. Without secrets it can't know.
    fn check_authorship(&mut self, now: &mut Now<'_>, entry: &MessageEntry) {
        let (me, id) = (now.shared.me, entry.header.id);
        let Some(group) = &self.group else { return };
        let in_my_name =
            group.secrets().is_some() && group.roster().check_message(&entry.header, &me).is_ok();
        let known = self.outbox.contains(id) || self.history.said(me, id).is_some();
        if in_my_name && !known && self.accused.insert(me) {
            let message = "a message in your name was not written on this device";
            self.alarm(now, AlarmCode::Clone, message, ANOTHER_COPY);
        }
    }

    fn show(
        &self,
        now: &mut Now<'_>,
        seq: Seq,
        (author, id): (Fingerprint, openchat_wire::MessageId),
        content: &Content,
    ) {
        let Some(group) = &self.group else { return };
        let Some(seat) = group.roster().seat(&author) else { return };
        let text = match readable(content) {
            Ok(text) => text,
            Err(cause) => return self.unreadable_because(now, seq, cause, UPDATE),
        };
        let message = StoredMessage {
            group: *group.roster().group(),
            target: self.target(),
            seq,
            id,
            sender: seat.name.clone(),
            fingerprint: author,
            trust: now.shared.trust(&seat.name, &author),
            time: content.time,
            text,
            own: author == now.shared.me,
        };
        now.shared.pen.message(message);
    }

    fn unreadable(&mut self, now: &mut Now<'_>, seq: Seq, header: MessageHeader, why: Unreadable) {
        let roster = self.group.as_ref().map(Group::roster);
        let seat = roster.and_then(|roster| roster.seat(&now.shared.me));
        if why == Unreadable::NoEpoch && seat.is_some_and(|seat| header.epoch < seat.seated) {
            let hint = "Nothing is wrong: it was on its way when you came in.";
            return self.unreadable_because(now, seq, "it is from before you came", hint);
        }
        let author = roster.and_then(|roster| roster.seat_at(header.slot));
        let author = author.map_or(Fingerprint([0; 32]), |seat| seat.key.fingerprint());
        let hint = match why {
            Unreadable::NoEpoch => "Ask its author to send it again.",
            Unreadable::Spent => "It was shown before; if not, ask its author to send it again.",
            _ => "Ask its author whether they sent something; if not, tell your operator.",
        };
        self.unreadable_because(now, seq, &why.to_string(), hint);
        // No honest relay lets in what does not count.
        if matches!(why, Unreadable::Fault(_)) {
            self.accuse(now, author);
        }
    }

    fn unreadable_because(&self, now: &mut Now<'_>, seq: Seq, cause: &str, hint: &str) {
        let (cause, hint) = (cause.to_owned(), hint.to_owned());
        now.shared.pen.event(Event::Unreadable { target: self.target(), seq, cause, hint });
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

/// Who takes a seat by this commit.
fn entrant(commit: &CommitEntry) -> Option<Entrant> {
    match commit.view().ok()?.operations.into_iter().next()? {
        Operation::Create { entrant, .. } | Operation::Join { entrant, .. } => Some(entrant),
        _ => None,
    }
}

const fn member_change(kind: CommitKind) -> Option<Change> {
    match kind {
        CommitKind::Created | CommitKind::Joined => Some(Change::Joined),
        CommitKind::Rejoined => Some(Change::Rejoined),
        CommitKind::Updated => None,
    }
}

fn readable(content: &Content) -> Result<String, &'static str> {
    if content.kind != ContentKind::TEXT {
        return Err("a kind of content that this version does not know");
    }
    if content.body.0.len() > MAX_TEXT {
        return Err("a text longer than the limit");
    }
    String::from_utf8(content.body.0.clone()).map_err(|_| "a text that is not UTF-8")
}
