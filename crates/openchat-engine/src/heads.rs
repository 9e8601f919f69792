//! What others say of the transparency log, compared with this device's mirror: a server that shows
//! two logs is found out by the first message between those who see one and those who see the other
//! (`docs/protocol.md` §9.4).

use openchat_pki::{Contradiction, Evidence, Head, UnverifiedHead};
use openchat_roster::HeadRef;
use openchat_wire::{Blob, Name};
use std::collections::BTreeSet;

use crate::{
    event::{AlarmCode, Event},
    shared::{ASK_OPERATOR, Shared},
    transparency::Ticket,
};

/// Testimonies that wait for the log to be read: one of each author's is enough, and these are more
/// authors than speak within a round trip.
const MAX_TESTIMONIES: usize = 64;

/// What this device heard of the log from others.
#[derive(Debug, Default)]
pub(crate) struct Testimonies {
    waiting: Vec<Testimony>,
    /// Whose testimony has raised an alarm in this process.
    accused: BTreeSet<Name>,
    /// The newest head that a commit has named and that was right: the next one mostly names it too.
    agreed: Option<HeadRef>,
}

/// Somebody's word on the log.
#[derive(Debug, Clone)]
pub(crate) struct Testimony {
    pub(crate) target: String,
    pub(crate) author: Name,
    pub(crate) said: Said,
    /// The read after which the mirror must be as long.
    after: Option<Ticket>,
}

/// A head, with or without the log's own signature.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// As the log's key signed it.
    Signed(Blob),
    /// As a commit names it.
    Named(HeadRef),
}

/// What the mirror says to it.
#[derive(Debug)]
enum Judged {
    Agrees,
    /// The mirror is not that long.
    Ahead,
    /// It is of another log: two were shown. With a proof, if the log's key signed both.
    Parted(Option<Box<Contradiction>>),
    /// The log that this device holds has not signed it.
    Foreign,
}

impl Testimony {
    pub(crate) const fn new(target: String, author: Name, said: Said) -> Self {
        Self { target, author, said, after: None }
    }
}

impl Shared {
    /// Somebody was shown this: it must be what is shown here.
    pub(crate) fn compare(&mut self, testimony: Testimony) {
        if self.testimonies.accused.contains(&testimony.author)
            || self.testimonies.is_agreed(&testimony.said)
        {
            return;
        }
        match self.judge(&testimony.said) {
            Judged::Agrees => self.testimonies.agree(&testimony.said),
            Judged::Ahead => self.wait_for_log(testimony),
            Judged::Parted(proof) => self.tell_parted(&testimony, proof.map(|proof| *proof)),
            Judged::Foreign => self.tell_parted(&testimony, None),
        }
    }

    /// The log was read: whoever was ahead of this device must not be any more.
    pub(crate) fn compare_again(&mut self) {
        for testimony in core::mem::take(&mut self.testimonies.waiting) {
            let is_read = testimony.after.is_some_and(|after| self.log.is_read(after));
            match self.judge(&testimony.said) {
                Judged::Ahead if is_read => self.tell_short(&testimony),
                Judged::Ahead => self.testimonies.waiting.push(testimony),
                _ => self.compare(testimony),
            }
        }
    }

    /// On a new connection the relay has another chance to show what it has shown to others.
    pub(crate) fn ask_for_testified(&mut self) {
        let ticket = self.read_log();
        self.testimonies.waiting.iter_mut().for_each(|testimony| testimony.after = Some(ticket));
    }

    /// The server's own newest head, as it is pushed. Says whether there is more to read.
    pub(crate) fn is_news_of_log(&mut self, head: &Blob) -> bool {
        match self.judge(&Said::Signed(head.clone())) {
            Judged::Agrees => false,
            Judged::Ahead => true,
            Judged::Foreign => {
                self.log_alarm("the server shows a transparency head that its log has not signed");
                false
            }
            Judged::Parted(proof) => {
                self.tell_evidence(proof.map(|proof| *proof));
                self.log_alarm("the server shows another transparency log than before");
                false
            }
        }
    }

    /// What two signed heads of one log prove, if they can't both be true.
    pub(crate) fn contradiction(&self, other: &Blob) -> Option<Contradiction> {
        match self.judge(&Said::Signed(other.clone())) {
            Judged::Parted(proof) => proof.map(|proof| *proof),
            _ => None,
        }
    }

    fn judge(&self, said: &Said) -> Judged {
        match said {
            Said::Named(named) => match self.root_at_size(named.size) {
                None => Judged::Ahead,
                Some(root) if root == named.root => Judged::Agrees,
                Some(_) => Judged::Parted(None),
            },
            Said::Signed(signed) => {
                let keys = &self.device.server_keys;
                let verified = UnverifiedHead::decode(&signed.0)
                    .and_then(|head| head.verify(&keys.log_key, &keys.log_id));
                verified.map_or(Judged::Foreign, |head| self.judge_signed(&head, signed))
            }
        }
    }

    fn judge_signed(&self, head: &Head, signed: &Blob) -> Judged {
        let mirror = self.log.mirror();
        let Some(root) = self.root_at_size(head.size) else { return Judged::Ahead };
        if root == head.root {
            return Judged::Agrees;
        }
        let own = mirror.signed_head().map(|own| Blob(own.to_vec()));
        let proof = own.and_then(|own| {
            if head.size == mirror.size() {
                return Some(Contradiction::Heads { one: own, other: signed.clone() });
            }
            let read = self.log.archive().reader();
            let consistency = mirror.prove_consistency(head.size, mirror.size(), read)?;
            Some(Contradiction::Parted { smaller: signed.clone(), larger: own, root, consistency })
        });
        Judged::Parted(proof.map(Box::new))
    }

    fn root_at_size(&self, size: u64) -> Option<openchat_wire::Digest> {
        if size > self.log.mirror().size() { None } else { self.log.root_at(size) }
    }

    fn wait_for_log(&mut self, mut testimony: Testimony) {
        self.testimonies.waiting.retain(|it| it.author != testimony.author);
        if self.testimonies.waiting.len() < MAX_TESTIMONIES {
            testimony.after = Some(self.read_log());
            self.testimonies.waiting.push(testimony);
        }
    }

    fn tell_parted(&mut self, testimony: &Testimony, proof: Option<Contradiction>) {
        self.tell_evidence(proof);
        let author = &testimony.author;
        let message = format!("{author} was shown another transparency log than this device");
        self.accuse_server(testimony, AlarmCode::SplitView, message);
    }

    fn tell_short(&mut self, testimony: &Testimony) {
        let author = &testimony.author;
        let message =
            format!("{author} was shown more of the transparency log than this device is shown");
        self.accuse_server(testimony, AlarmCode::LogRollback, message);
    }

    fn accuse_server(&mut self, testimony: &Testimony, code: AlarmCode, message: String) {
        self.testimonies.accused.insert(testimony.author.clone());
        self.pen.alarm(Some(testimony.target.clone()), code, message, ASK_OPERATOR);
    }

    /// A file that proves to others what the server did.
    pub(crate) fn tell_evidence(&mut self, proof: Option<Contradiction>) {
        let evidence = proof.map(|proof| Evidence::new(self.device.origin.clone(), proof));
        // What does not convince this device convinces nobody.
        if let Some(evidence) = evidence.filter(|it| it.verify(None).is_ok()) {
            self.pen.event(Event::Evidence(evidence.encode()));
        }
    }
}

impl Testimonies {
    fn is_agreed(&self, said: &Said) -> bool {
        matches!(said, Said::Named(named) if self.agreed == Some(*named))
    }

    fn agree(&mut self, said: &Said) {
        if let Said::Named(named) = said {
            self.agreed = Some(*named);
        }
    }
}
