//! Messages of the log, one by one: opened, compared, shown, or why not.

use openchat_group::{Content, ContentKind, Group, Unreadable};
use openchat_roster::{Access, MessageEntry, MessageHeader, Naming, Policy};
use openchat_wire::{
    Blob, Digest, Epoch, Fingerprint, MessageId, Seq, decode, encode, limits::MAX_TEXT,
};

use crate::{
    body::Body,
    content::unwrap,
    conversation::{About, Conversation},
    event::{AlarmCode, Event, StoredMessage},
    heads::{Said, Testimony},
    membership::ANOTHER_COPY,
    missed::Named,
    outbox::Outgoing,
    reading::UPDATE,
    shared::Now,
};

impl Conversation {
    /// Opens a message; `None` if there is nothing to remember of it.
    pub(crate) fn take_message(
        &mut self,
        now: &mut Now<'_>,
        seq: Seq,
        entry: &MessageEntry,
        bytes: &Blob,
    ) -> Option<(Fingerprint, MessageId, Digest)> {
        let me = now.shared.me;
        if let Some(mine) = self.arrived(now, seq, entry, bytes) {
            return Some(self.take_own(now, (seq, entry.header.epoch), mine));
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
        self.compare_seen(now, &opened);
        let remembered = (opened.author, opened.id, opened.content_hash);
        match self.history.said(opened.author, opened.id) {
            None => self.take_content(now, seq, (opened.author, opened.id), &opened.content),
            Some(before) if before == opened.content_hash => {}
            Some(_) => {
                let message = "a member said two different things under one message id";
                self.alarm(now, AlarmCode::Equivocation, message, "Ask them which one they meant.");
            }
        }
        Some(remembered)
    }

    /// A message of this device's own. What is said again is not shown again.
    fn take_own(
        &mut self,
        now: &mut Now<'_>,
        (seq, epoch): (Seq, Epoch),
        mine: Outgoing,
    ) -> (Fingerprint, MessageId, Digest) {
        let is_news = self.is_news(now, &mine);
        let is_part = mine.part().is_some() && mine.repeats.is_none();
        let Outgoing { id, content, .. } = mine;
        let (me, hash) = (now.shared.me, content.hash());
        if is_news {
            let (head, content) = unwrap(&content);
            self.show(now, seq, (me, id), &content);
            self.count_marks(seq, id, epoch);
            self.offer_logged(now, id, epoch);
            self.said.push(&mut now.shared.pen, id, head, epoch);
            self.recall(now);
        } else if is_part {
            self.part_logged(now, &content);
        }
        (me, id, hash)
    }

    /// A message that is new here: a text, or something between devices.
    fn take_content(&mut self, now: &mut Now<'_>, seq: Seq, named: Named, content: &Content) {
        if let Some(id) = self.id() {
            self.missed.came(&mut now.shared.pen, id, named);
        }
        let (head, content) = unwrap(content);
        if let Some(head) = head {
            self.compare_log(now, named.0, head);
        }
        match content.kind {
            ContentKind::NAMING => self.take_naming(now, named.0, &content.body),
            ContentKind::MISSED => self.say_again(now, named.0, &content.body),
            ContentKind::CHUNK => self.take_chunk(now, seq, named, &content.body),
            _ => {
                match self.show(now, seq, named, &content) {
                    // Of this device's own, as it is not known any more in which epoch it was sealed.
                    Some(Body::File(_)) if named.0 == now.shared.me => {
                        self.offer_logged(now, named.1, Epoch(0));
                    }
                    Some(Body::File(offer)) => self.offered(now, seq, named, &offer),
                    Some(Body::Delete { of }) => self.take_back_file(now, (named.0, of)),
                    _ => {}
                }
                self.owe_mark(now, named.0);
            }
        }
    }

    /// The author was shown a transparency log with this head.
    fn compare_log(&self, now: &mut Now<'_>, author: Fingerprint, head: Blob) {
        if let Some(author) = self.seat(&author).map(|seat| seat.name.clone()) {
            let testimony = Testimony::new(self.target(), author, Said::Signed(head));
            now.shared.compare(testimony);
        }
    }

    /// The epoch that seated the last one of all who are here.
    pub(crate) fn newest_seat(&self) -> Option<Epoch> {
        self.group.as_ref()?.roster().seats().map(|seat| seat.seated).max()
    }

    /// Asks for what could not be opened while this device was left behind.
    pub(crate) fn ask_for_missed(&mut self, now: &mut Now<'_>) {
        let Some(id) = self.id() else { return };
        while let Some(body) = self.missed.take(&mut now.shared.pen, id) {
            self.say_to_devices(now, ContentKind::MISSED, body);
        }
    }

    /// Asks for the group's name, if this device has lost it.
    pub(crate) fn ask_for_name(&mut self, now: &mut Now<'_>) {
        if self.card.about == About::Closed(None) && !self.is_left_behind() {
            let body = Blob(encode(&Option::<Naming>::None));
            self.say_to_devices(now, ContentKind::NAMING, body);
        }
    }

    /// Tells the group's name to whoever has asked for it.
    pub(crate) fn tell_name(&mut self, now: &mut Now<'_>) {
        if let Some(naming) = self.naming().cloned() {
            self.say_to_devices(now, ContentKind::NAMING, Blob(encode(&Some(naming))));
        }
    }

    fn say_to_devices(&mut self, now: &mut Now<'_>, kind: ContentKind, body: Blob) {
        let mut id = MessageId([0; 16]);
        now.rng.fill_bytes(&mut id.0);
        let content = Content { time: now.time, kind, body };
        self.outbox.push(&mut now.shared.pen, Outgoing::new(id, content));
        self.flush(now);
    }

    /// The group's name, or somebody's question for it.
    fn take_naming(&mut self, now: &mut Now<'_>, author: Fingerprint, body: &Blob) {
        let Ok(naming) = decode::<Option<Naming>>(&body.0, MAX_TEXT) else { return };
        let Some(roster) = self.group.as_ref().map(Group::roster) else { return };
        match (naming, &self.card.about) {
            (Some(naming), About::Closed(None)) => {
                let hash = naming.hash();
                let is_right = |policy: &Policy| matches!(&policy.access, Access::Closed { name_hash } if *name_hash == hash);
                if roster.policy().is_some_and(is_right) {
                    self.name_known(now, Some(naming));
                }
            }
            (Some(_), _) => self.timers.naming_at = None,
            (None, About::Closed(Some(_))) => {
                let claimed = roster
                    .seats()
                    .filter(|seat| !seat.is_unclaimed() && seat.fingerprint != author);
                let first = claimed.min_by_key(|seat| seat.slot).map(|seat| seat.fingerprint);
                let members = usize::try_from(roster.tree().members()).unwrap_or(usize::MAX);
                let is_first = first == Some(now.shared.me);
                self.timers.tell_name(is_first, members, now.time, now.rng);
            }
            (None, _) => {}
        }
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
        let (mine, was_told) = self.outbox.take(&mut now.shared.pen, id)?;
        if !was_told && self.is_news(now, &mine) {
            now.shared.pen.event(Event::Ack { id, seq });
        }
        self.progress.logged = Some((entry.header.epoch, entry.header.generation));
        Some(mine)
    }

    /// Whether the person waits to hear of it: a text, that is not only said again.
    pub(crate) fn is_news(&self, now: &Now<'_>, mine: &Outgoing) -> bool {
        let is_known = || self.history.said(now.shared.me, mine.id).is_some();
        mine.is_text() && mine.repeats.is_none() && !is_known()
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
        (author, id): (Fingerprint, MessageId),
        content: &Content,
    ) -> Option<Body> {
        let group = self.group.as_ref()?;
        let seat = group.roster().seat(&author)?;
        let body = match Body::from_bytes(content.kind.0, &content.body.0) {
            Ok(body) => body,
            Err(cause) => {
                self.unreadable_because(now, seq, &cause.to_string(), UPDATE);
                return None;
            }
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
            body: body.clone(),
            own: author == now.shared.me,
        };
        now.shared.pen.message(message);
        Some(body)
    }

    fn unreadable(&mut self, now: &mut Now<'_>, seq: Seq, header: MessageHeader, why: Unreadable) {
        let roster = self.group.as_ref().map(Group::roster);
        let seat = roster.and_then(|roster| roster.seat(&now.shared.me));
        if why == Unreadable::NoEpoch && seat.is_some_and(|seat| header.epoch < seat.seated) {
            let hint = "Nothing is wrong: it was on its way when you came in.";
            return self.unreadable_because(now, seq, "it is from before you came", hint);
        }
        let author = roster.and_then(|roster| roster.seat_at(header.slot));
        let author = author.map_or(Fingerprint([0; 32]), |seat| seat.fingerprint);
        if let (Unreadable::NoEpoch, Some(id)) = (why, self.id())
            && author != now.shared.me
        {
            self.missed.note(&mut now.shared.pen, id, (author, header.id));
        }
        let hint = match why {
            Unreadable::NoEpoch => "Its author is asked to send it again.",
            Unreadable::Spent => "It was shown before; if not, ask its author to send it again.",
            _ => "Ask its author whether they sent something; if not, tell your operator.",
        };
        self.unreadable_because(now, seq, &why.to_string(), hint);
        // No honest relay lets in what does not count.
        if matches!(why, Unreadable::Fault(_)) {
            self.accuse(now, author);
        }
    }

    pub(crate) fn unreadable_because(&self, now: &mut Now<'_>, seq: Seq, cause: &str, hint: &str) {
        let (cause, hint) = (cause.to_owned(), hint.to_owned());
        now.shared.pen.event(Event::Unreadable { target: self.target(), seq, cause, hint });
    }
}
