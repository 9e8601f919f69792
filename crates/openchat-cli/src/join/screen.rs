//! What is shown of a session.

use super::{
    FIRST,
    notice::{Level, Teller},
    shared::Shared,
};
use crate::{
    fault::Fault,
    json::{self, Reference},
    text::{escaped, rfc3339},
};
use openchat_client::{
    Front, Report,
    engine::{AlarmCode, Event, MemberChange, StoredMessage},
    spoken::spoken,
    trust,
};
use openchat_wire::Name;
use std::{collections::BTreeSet, io, sync::Arc};

/// How things are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Messages as lines on stdout, news on stderr.
    Lines,
    /// The same without news.
    QuietLines,
    /// All as objects on stdout.
    Json,
}

/// Shows the conversations that were opened, and announces the others.
pub(crate) struct Screen {
    style: Style,
    me: Name,
    teller: Teller,
    shared: Arc<Shared>,
    shown: BTreeSet<String>,
    /// Conversations that are not shown, of which it was said that something waits there.
    announced: BTreeSet<String>,
    /// Conversations that were shown in which this device has no seat any more, in the order of
    /// their ends, and how they ended.
    gone: Vec<(String, MemberChange)>,
    /// Why it can't go on: the conversation that the program was started for can't be opened, or
    /// another copy of this device was seen.
    fault: Option<Fault>,
    /// The last word about the connection: it is not repeated.
    connection: Option<String>,
}

impl Screen {
    pub(crate) fn new(style: Style, me: Name, teller: Teller, shared: Arc<Shared>) -> Self {
        Self {
            style,
            me,
            teller,
            shared,
            shown: BTreeSet::new(),
            announced: BTreeSet::new(),
            gone: Vec::new(),
            fault: None,
            connection: None,
        }
    }

    /// The last conversation from which this device was put out, if none is left.
    pub(crate) fn put_out_of(&self) -> Option<&str> {
        let (target, change) = self.gone.last()?;
        (self.is_over() && *change != MemberChange::Left).then_some(target)
    }

    /// Why it could not go on.
    pub(crate) fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn message(&self, message: &StoredMessage) -> String {
        match self.style {
            Style::Json => json::message(message),
            Style::Lines | Style::QuietLines => line(message),
        }
    }

    /// What the report puts on stdout and on stderr.
    fn rendered(&mut self, report: &Report) -> (String, String) {
        let none = String::new;
        match report {
            Report::Event(event) if !self.concerns(event) => self.announcement(event),
            Report::Online | Report::Offline { .. } if !self.is_new(report) => (none(), none()),
            Report::File { progress, .. } if !self.shows(&progress.target) => (none(), none()),
            Report::Forgotten { target, .. } if !self.shows(target) => (none(), none()),
            Report::Event(Event::Message(message)) => (self.message(message), none()),
            Report::Event(Event::Done { order, target }) => self.done(*order, target),
            Report::Log(_) | Report::Event(Event::Failed { order: Some(FIRST), .. }) => {
                (none(), none())
            }
            _ if self.style == Style::Json => {
                (json::report(report, self.reference(report)), none())
            }
            _ => (none(), self.said(self.teller.notice(report))),
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Ready { target, .. }
            | Event::Member { target, .. }
            | Event::Rules { target, .. }
            | Event::Waiting { target, .. }
            | Event::Delivered { target, .. }
            | Event::Presence { target, .. }
            | Event::Dropped { target, .. }
            | Event::Unreadable { target, .. } => self.shows(target),
            Event::Message(message) => self.shows(&message.target),
            Event::Progress(progress) => self.shows(&progress.target),
            Event::Ack { .. }
            | Event::Evidence(_)
            | Event::Renewed { .. }
            | Event::Expiring { .. }
            | Event::Invited { .. }
            | Event::Gone { .. }
            | Event::Alarm { .. }
            | Event::Done { .. }
            | Event::Failed { .. } => true,
        }
    }

    /// What happens elsewhere is told once for each conversation, with the way there.
    fn announcement(&mut self, event: &Event) -> (String, String) {
        let (target, sender) =
            match event {
                Event::Message(message) if !message.own && message.body.is_said() => {
                    (&message.target, &message.sender)
                }
                Event::Member {
                    target, name, change: MemberChange::Added, by: Some(by), ..
                } if *name == self.me => (target, by),
                _ => return (String::new(), String::new()),
            };
        // On its way to being opened.
        if *target == self.shared.current().to_string() {
            return (String::new(), String::new());
        }
        let is_first = self.announced.insert(target.clone());
        match (self.style, event) {
            (Style::Json, Event::Member { .. }) => (json::event(event, None), String::new()),
            _ if !is_first => (String::new(), String::new()),
            (Style::Json, _) => (json::unread(target, sender), String::new()),
            _ => (String::new(), self.said(Some(self.teller.elsewhere(event, target, sender)))),
        }
    }

    fn done(&self, order: u64, target: &str) -> (String, String) {
        match (self.shared.answers().done(order), self.style) {
            (Some((reference, _)), Style::Json) => (json::done(target, reference), String::new()),
            (Some((_, Some(word))), Style::Lines) => {
                let way = if word == "begun" {
                    format!("; {}", self.teller.open(target))
                } else {
                    String::new()
                };
                (String::new(), format!("{target}: {word}{way}\n"))
            }
            _ => (String::new(), String::new()),
        }
    }

    fn is_new(&mut self, report: &Report) -> bool {
        let said = match report {
            Report::Offline { cause, .. } => cause.to_string(),
            _ => String::new(),
        };
        self.connection.replace(said.clone()) != Some(said)
    }

    fn said(&self, notice: Option<(Level, String)>) -> String {
        match notice {
            Some((Level::News, _)) if self.style == Style::QuietLines => String::new(),
            Some((_, said)) => said + "\n",
            None => String::new(),
        }
    }

    /// What the script calls that which the report is about; asked for once.
    fn reference(&self, report: &Report) -> Option<Reference> {
        let mut answers = self.shared.answers();
        match report {
            Report::Event(Event::Ack { id, .. } | Event::Failed { id: Some(id), .. }) => {
                answers.of_message(id)
            }
            Report::Event(Event::Failed { order: Some(order), .. }) => answers.failed(*order),
            _ => None,
        }
    }

    /// Notes what a report changes here.
    fn note(&mut self, report: &Report) {
        match report {
            Report::Event(Event::Failed { order: Some(FIRST), code, message, hint, .. }) => {
                self.fault = Some(Fault::of_event(code, message, hint));
            }
            Report::Event(Event::Alarm { code: AlarmCode::Clone, target, .. }) => {
                self.fault = Some(self.teller.hints.copied(target.as_deref()));
            }
            Report::Event(Event::Failed { .. }) => self.shared.set_refused(),
            Report::Event(Event::Gone { target, change, .. }) if self.shows(target) => {
                self.forget_end(target);
                self.gone.push((target.clone(), *change));
            }
            // Whoever was put out and comes back is in again.
            Report::Event(Event::Ready { target, .. }) => self.forget_end(target),
            _ => {}
        }
    }

    fn forget_end(&mut self, target: &str) {
        self.gone.retain(|(gone, _)| gone != target);
    }
}

impl Front for Screen {
    fn opened(&mut self, target: &str) {
        self.shown.insert(target.to_owned());
        self.forget_end(target);
    }

    fn shows(&self, target: &str) -> bool {
        self.shown.contains(target)
    }

    fn is_over(&self) -> bool {
        let all_gone =
            self.shown.iter().all(|shown| self.gone.iter().any(|(gone, _)| gone == shown));
        self.fault.is_some() || (all_gone && !self.gone.is_empty())
    }

    fn show(&mut self, reports: &[Report]) -> io::Result<()> {
        let (mut data, mut said) = (String::new(), String::new());
        for report in reports {
            self.note(report);
            let (on_stdout, on_stderr) = self.rendered(report);
            data.push_str(&on_stdout);
            said.push_str(&on_stderr);
        }
        self.shared.print(&data, &said)
    }
}

/// `TIME TARGET SENDER TRUST TEXT`, separated by tabs.
pub(crate) fn line(message: &StoredMessage) -> String {
    let StoredMessage { target, sender, body, .. } = message;
    let (time, trust) = (rfc3339(message.time), trust::word(message.trust));
    format!("{time}\t{target}\t{sender}\t{trust}\t{}\n", escaped(&spoken(body)))
}

#[cfg(test)]
mod tests;
