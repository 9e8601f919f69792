//! What the transparency log says, and what it means for this device and its conversations
//! (`docs/protocol.md` §9.2).

use core::time::Duration;
use openchat_crypto::{CryptoRng, PublicKey};
use openchat_pki::{
    Alert, Concern, Entry, Extended, Finding, Irregularity, Logged, MemberCertificate, Watch,
    rotation,
};
use openchat_roster::Access;
use openchat_wire::{
    Blob, Fingerprint, Name, UnixMillis,
    relay::{Answer, Refusal, Request},
};
use serde::{Deserialize, Serialize};

use crate::{
    alarms::Kept,
    conversation::{About, Conversation, Stage},
    engine::Engine,
    event::AlarmCode,
    failure::Failure,
    record::Key,
    shared::{ASK_OPERATOR, Asked, Known, Now, Shared},
    transparency::{Next, Ticket},
};

/// A log that did not check is read again after this long, then after twice as long: the alarm was
/// raised, and an operator who mends the server should find the devices come back by themselves.
pub(crate) const FIRST_REREAD: Duration = Duration::from_mins(1);

/// Irregular entries that are told one by one at once, and entries about this device that are kept: what
/// a server does in its log more often than this is told by the first ones.
const MAX_TOLD: usize = 16;

/// An entry about this device that it did not ask for, as it is kept until its person has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warning {
    /// It says that this device's own key counts no more.
    pub(crate) revoked: bool,
    pub(crate) message: String,
}

/// How a read of the log went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadEnd {
    /// It does not check.
    Failed,
    /// There is nothing new.
    Same,
    /// There is.
    Grown,
}

/// Whether a key is that of a name.
pub(crate) enum Proof {
    /// The log says so.
    Proven(Known),
    /// The log, as far as it was read, does not say so.
    Unproven,
    /// It is no certificate at all.
    Unreadable,
}

impl Shared {
    /// A read of the log that begins after this moment.
    pub(crate) fn read_log(&mut self) -> Ticket {
        let (ticket, next) = self.log.fresh();
        self.ask_log(next);
        ticket
    }

    pub(crate) fn ask_log(&mut self, next: Next) {
        if let Next::Ask(index) = next
            && self.online
        {
            self.ask(Asked::Log, Request::ReadTransparency(index));
        }
    }

    /// The name that the CA gave to a key: the first one counts, also after it was revoked (T5).
    pub(crate) fn certified(&self, key: &Fingerprint) -> Option<Name> {
        self.log.name_of(key).or_else(|| (*key == self.me).then(|| self.device.name.clone()))
    }

    /// Whether the key in a certificate is the one that the name has now.
    pub(crate) fn prove(&self, name: &Name, der: &Blob) -> Proof {
        let Some(claimed) = MemberCertificate::claimed(&der.0) else { return Proof::Unreadable };
        let key = *claimed.public_key();
        let current = self.log.mirror().certified(name);
        if current.is_some_and(|standing| standing.fingerprint == key.fingerprint()) {
            Proof::Proven(Known { name: name.clone(), key })
        } else {
            Proof::Unproven
        }
    }

    /// This person has a part in a conversation of this device: its name's key is pinned.
    pub(crate) fn met(&mut self, name: &Name, key: Fingerprint) {
        if self.pins.get(name).is_none() && key != self.me {
            let current = self.log.mirror().certified(name).map(|it| it.fingerprint);
            self.meet(name, current.unwrap_or(key));
        }
    }

    /// The log can't be believed. It is said once a connection.
    pub(crate) fn log_alarm(&mut self, message: &str) {
        if !core::mem::replace(&mut self.head_doubted, true) {
            self.pen.alarm(None, AlarmCode::LogRollback, message, ASK_OPERATOR);
            self.doubt_log(Kept::new(AlarmCode::LogRollback, message, ASK_OPERATOR));
        }
    }

    /// The log has this device's certificate at an index: from there on it is watched.
    fn begin_watch(&mut self) {
        if self.log.watches() {
            return;
        }
        let Some(serial) = self.serial() else { return };
        let (name, me) = (self.device.name.clone(), self.me);
        let (first, entries) = self.log.unproven();
        let is_mine = |entry: &Blob| {
            matches!(
                Logged::read(&entry.0),
                Logged::Entry(Entry::Issue { fingerprint, serial: issued, .. })
                    if fingerprint == me && issued == serial
            )
        };
        let at = (first..).zip(entries).find(|(_, entry)| is_mine(entry)).map(|(at, _)| at);
        // What is mirrored already was judged when it came.
        let mirror = self.log.mirror();
        let is_known = mirror.name_of(&me).as_ref() == Some(&name);
        if let Some(since) = at.or_else(|| is_known.then(|| mirror.size())) {
            let mut watch = Watch::new(name, me, since);
            let others = self.renewal.serials().iter().copied();
            others.chain([serial]).for_each(|serial| watch.asked(serial));
            self.log.watch(watch);
        }
    }

    /// What the log says of this device's name and key, and of everybody's.
    fn tell_found(&mut self, extended: &Extended) {
        for alert in &extended.alerts {
            self.tell_alert(alert);
        }
        let is_news = |it: &&Finding| !matches!(it.what, Irregularity::NewAuthority(_));
        let findings: Vec<_> = extended.findings.iter().filter(is_news).collect();
        for finding in findings.iter().take(MAX_TOLD) {
            let message = format!("transparency log entry #{}: {}", finding.index, finding.what);
            self.pen.alarm(None, AlarmCode::LogIrregular, message, ASK_OPERATOR);
        }
        if let Some(more @ 1..) = findings.len().checked_sub(MAX_TOLD) {
            let message = format!("the transparency log has {more} further irregular entries");
            self.pen.alarm(None, AlarmCode::LogIrregular, message, ASK_OPERATOR);
        }
    }

    /// Everybody else refuses a device whose name has no key in the log, or another one.
    fn tell_missing(&mut self) {
        let mirror = self.log.mirror();
        let has_name = || {
            let standing = mirror.certified(&self.device.name);
            standing.is_some_and(|standing| standing.fingerprint == self.me)
        };
        if self.serial().is_none() || mirror.is_revoked(&self.me) || has_name() {
            return;
        }
        if !core::mem::replace(&mut self.missing_told, true) {
            let message = "the transparency log does not have this device's key under its name";
            let hint = "Others will not believe who you are. Ask the operator in person.";
            self.pen.alarm(None, AlarmCode::OwnName, message, hint);
        }
    }

    /// T14: what the server's TLS has shown to this device, everybody must have been told.
    fn tell_unannounced(&mut self) {
        let announcements = self.log.mirror().announcements();
        let Err(fault) = rotation::announced(&self.device.ca, announcements) else { return };
        if !core::mem::replace(&mut self.unannounced_told, true) {
            let message = format!("the server's CA has another key, for this device: {fault}");
            self.pen.alarm(None, AlarmCode::LogIrregular, message, ASK_OPERATOR);
        }
    }

    fn tell_alert(&mut self, alert: &Alert) {
        if let Concern::Unasked { serial } = &alert.concern
            && self.renewal.is_asked()
        {
            self.renewal_shown(*serial);
            if let Some(watch) = self.log.watch_mut() {
                watch.asked(*serial);
            }
            return;
        }
        let revoked = matches!(alert.concern, Concern::Revoked);
        let message = format!("transparency log entry #{}: {}", alert.index, alert.concern);
        let warning = Warning { revoked, message };
        // A server that writes a name into every entry of its log fills nobody's vault.
        let is_first = revoked && !self.warnings.values().any(|warning| warning.revoked);
        if self.warnings.len() < MAX_TOLD || is_first {
            self.pen.put(Key::warning(alert.index), &warning);
            self.pen.must_last();
            self.warn(&warning);
            self.warnings.insert(alert.index, warning);
        }
    }

    /// Tells of what somebody did in this person's name: at once, and at every start until it was
    /// answered.
    pub(crate) fn warn(&mut self, warning: &Warning) {
        let (code, hint) = if warning.revoked {
            let hint = "This device can't connect any more. If you have lost no device, ask the \
                        operator in person; a new key for your name comes with a new invitation.";
            (AlarmCode::Revoked, hint.to_owned())
        } else {
            let name = &self.device.name;
            let hint = format!(
                "Somebody may speak in your name. Ask the operator in person. When it is \
                 explained: 'openchat trust accept {name}'."
            );
            (AlarmCode::OwnName, hint)
        };
        self.pen.alarm(None, code, warning.message.clone(), &hint);
    }

    /// The person knows of what was told.
    pub(crate) fn forget_warnings(&mut self) -> bool {
        let warnings = core::mem::take(&mut self.warnings);
        for index in warnings.keys() {
            self.pen.delete(Key::warning(*index));
        }
        !warnings.is_empty()
    }

    /// Names whose pins are another key than the log says now.
    fn meet_changed(&mut self) {
        let mirror = self.log.mirror();
        let now = |name: &Name| mirror.certified(name).map(|it| it.fingerprint);
        let pins = self.pins.all().filter_map(|(name, pin)| Some((name, pin, now(name)?)));
        let changed = pins.filter(|(_, pin, key)| pin.current() != *key);
        let changed: Vec<_> = changed.map(|(name, _, key)| (name.clone(), key)).collect();
        for (name, key) in changed {
            self.meet(&name, key);
        }
    }
}

impl Engine {
    /// A part of the log has come, or could not.
    pub(crate) fn log_answered(
        &mut self,
        answer: Result<Answer, Refusal>,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        match answer {
            Ok(Answer::Recorded { entries, head, complete }) => {
                self.log_read(entries, complete.then_some(head), time, rng);
            }
            Ok(_) => self.log_failed(None, "the server can't show its transparency log", time, rng),
            Err(refusal) => self.upkeep.read_log_later(time, Some(&refusal)),
        }
    }

    fn log_read(
        &mut self,
        entries: Vec<Blob>,
        head: Option<Blob>,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let shared = &mut self.shared;
        if let Err(fault) = shared.log.page(entries, head.is_some()) {
            return self.log_failed(head.as_ref(), &fault.to_string(), time, rng);
        }
        let Some(head) = head else {
            let next = shared.log.next();
            return shared.ask_log(next);
        };
        shared.begin_watch();
        match shared.log.follow(&mut shared.pen, &head) {
            Ok(extended) => self.log_followed(&extended, time, rng),
            Err(fault) => self.log_failed(Some(&head), &fault.to_string(), time, rng),
        }
    }

    fn log_followed(&mut self, extended: &Extended, time: UnixMillis, rng: &mut dyn CryptoRng) {
        let shared = &mut self.shared;
        shared.believe_log();
        shared.tell_found(extended);
        shared.tell_missing();
        shared.tell_unannounced();
        let end = if extended.taken > 0 { ReadEnd::Grown } else { ReadEnd::Same };
        if end == ReadEnd::Grown {
            shared.meet_changed();
        }
        self.upkeep.log_is_read();
        self.end_log_read(end, time, rng);
    }

    /// The log does not check. Everything that needs it waits; nothing else does.
    fn log_failed(
        &mut self,
        head: Option<&Blob>,
        why: &str,
        time: UnixMillis,
        rng: &mut dyn CryptoRng,
    ) {
        let shared = &mut self.shared;
        let proof = head.and_then(|head| shared.contradiction(head));
        shared.tell_evidence(proof);
        shared.log_alarm(why);
        self.upkeep.reread_log(time);
        self.end_log_read(ReadEnd::Failed, time, rng);
    }

    fn end_log_read(&mut self, end: ReadEnd, time: UnixMillis, rng: &mut dyn CryptoRng) {
        let is_good = end != ReadEnd::Failed;
        if self.shared.log.end(is_good) {
            self.shared.read_log();
        }
        if is_good {
            self.shared.compare_again();
        }
        let mut now = Now { shared: &mut self.shared, time, rng };
        if end == ReadEnd::Grown {
            self.conversations.values_mut().for_each(|it| it.retire_former(&mut now));
        }
        for conversation in self.conversations.values_mut() {
            conversation.log_read(&mut now, end);
        }
    }
}

impl Conversation {
    /// The log was read, or does not check: what has waited for it goes on.
    fn log_read(&mut self, now: &mut Now<'_>, end: ReadEnd) {
        if self.stage == Stage::Halted || self.stage == Stage::Offline {
            return;
        }
        if self.head_asked.is_some_and(|asked| now.shared.log.is_over(asked)) {
            self.head_asked = None;
            self.commit_intended(now);
        }
        if self.unproven.is_some_and(|asked| now.shared.log.is_read(asked)) {
            self.process(now);
            self.identify(now);
        }
        self.judge_claimed(now);
        if end == ReadEnd::Grown {
            self.plan_revocations(now);
            self.work(now);
        }
    }

    /// A conversation of two is with a key. When the name has another one, it is over, and the next one
    /// begins under the same name.
    pub(crate) fn retire_former(&mut self, now: &mut Now<'_>) {
        let About::Direct(name) = &self.card.about else { return };
        let name = name.clone();
        let Some(policy) = self.group.as_ref().and_then(|group| group.roster().policy()) else {
            return self.forget_former_peer(now);
        };
        let Access::Direct { peers } = &policy.access else { return };
        let me = now.shared.me;
        let is_over = |key: &Fingerprint| *key != me && now.shared.log.mirror().is_revoked(key);
        if peers.iter().any(is_over) {
            self.fail_texts(now, &Failure::denied_peer(&name));
            self.set_about(now, About::Former(name));
        }
    }

    /// The group of the two was not found yet: it is to be the one with the key of now.
    fn forget_former_peer(&mut self, now: &mut Now<'_>) {
        let is_over = |key: &PublicKey| now.shared.log.mirror().is_revoked(&key.fingerprint());
        if self.stage == Stage::Finding && self.peer.as_ref().is_some_and(is_over) {
            (self.peer, self.founding) = (None, None);
            self.find(now);
        }
    }
}
