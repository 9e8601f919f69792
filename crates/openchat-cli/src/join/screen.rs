//! What is shown of a session, and what the reader of stdin and the session share.

use super::{
    input::Refusal,
    notice::{Level, notice},
};
use crate::{
    json::{self, Reference},
    out,
    text::{escaped, rfc3339},
};
use openchat_client::{
    Front, Report, SessionError, Vault,
    engine::{Event, StoredMessage},
    trust,
};
use openchat_wire::{GroupId, GroupName, MessageId, Seq};
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Stored messages shown at once.
const PAGE: u32 = 500;

/// Clears the line that the prompt stands on.
const CLEAR: &str = "\r\u{1b}[K";

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

/// Shows one conversation.
pub(crate) struct Screen {
    style: Style,
    target: String,
    shared: Arc<Shared>,
    /// The last word about the connection: it is not repeated.
    connection: Option<String>,
}

impl Screen {
    pub(crate) fn new(style: Style, group: &GroupName, shared: Arc<Shared>) -> Self {
        Self { style, target: format!("#{group}"), shared, connection: None }
    }

    /// Shows what is in the vault and was never shown.
    pub(crate) fn catch_up(&mut self, vault: &mut Vault) -> Result<(), SessionError> {
        loop {
            let messages = vault.unshown(&self.target, PAGE)?;
            let Some(last) = messages.last() else { return Ok(()) };
            let (group, seq): (GroupId, Seq) = (last.group, last.seq);
            let mut lines = String::new();
            let page = messages.iter().take_while(|message| message.group == group);
            page.for_each(|message| lines.push_str(&self.message(message)));
            out::data(&lines).map_err(|cause| SessionError::Front { cause, queued: 0 })?;
            vault.mark_shown(&[(group, seq)])?;
        }
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
            Report::Event(event) if !self.concerns(event) => (none(), none()),
            Report::Online | Report::Offline { .. } if !self.is_new(report) => (none(), none()),
            Report::Event(Event::Message(message)) => (self.message(message), none()),
            _ if self.style == Style::Json => {
                (json::report(report, self.reference(report)), none())
            }
            _ => (none(), self.said(report)),
        }
    }

    fn concerns(&self, event: &Event) -> bool {
        match event {
            Event::Ready { target, .. }
            | Event::Member { target, .. }
            | Event::Unreadable { target, .. } => *target == self.target,
            Event::Message(message) => message.target == self.target,
            Event::Ack { .. } | Event::Alarm { .. } | Event::Failed { .. } => true,
        }
    }

    fn is_new(&mut self, report: &Report) -> bool {
        let said = match report {
            Report::Offline { cause, .. } => cause.to_string(),
            _ => String::new(),
        };
        self.connection.replace(said.clone()) != Some(said)
    }

    fn said(&self, report: &Report) -> String {
        match notice(report) {
            Some((Level::News, _)) if self.style == Style::QuietLines => String::new(),
            Some((_, said)) => said + "\n",
            None => String::new(),
        }
    }

    /// What the script calls the message that the report is about; asked for once.
    fn reference(&self, report: &Report) -> Option<Reference> {
        match report {
            Report::Event(Event::Ack { id, .. } | Event::Failed { id: Some(id), .. }) => {
                self.shared.references().remove(id)
            }
            _ => None,
        }
    }
}

impl Front for Screen {
    fn shows(&self, target: &str) -> bool {
        target == self.target
    }

    fn show(&mut self, reports: &[Report]) -> io::Result<()> {
        let (mut data, mut said) = (String::new(), String::new());
        for report in reports {
            if matches!(report, Report::Event(Event::Failed { .. })) {
                self.shared.refused.store(true, Ordering::Relaxed);
            }
            let (on_stdout, on_stderr) = self.rendered(report);
            data.push_str(&on_stdout);
            said.push_str(&on_stderr);
        }
        self.shared.print(&data, &said)
    }
}

/// `TIME TARGET SENDER TRUST TEXT`, separated by tabs.
fn line(message: &StoredMessage) -> String {
    let StoredMessage { target, sender, text, .. } = message;
    let (time, trust) = (rfc3339(message.time), trust::word(message.trust));
    format!("{time}\t{target}\t{sender}\t{trust}\t{}\n", escaped(text))
}

/// What the thread that reads stdin and the session share: the terminal, and what was asked.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Shown on stderr while a person may type.
    prompt: Option<String>,
    /// Held while printing, so that prompt and lines do not mix.
    terminal: Mutex<()>,
    references: Mutex<HashMap<MessageId, Reference>>,
    refused: AtomicBool,
}

impl Shared {
    pub(crate) fn new(prompt: Option<String>) -> Self {
        Self {
            prompt,
            terminal: Mutex::default(),
            references: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// Whether anything that was asked for was refused.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// The script calls this message so.
    pub(crate) fn remember(&self, id: MessageId, reference: Reference) {
        self.references().insert(id, reference);
    }

    /// Tells that a line of input was not taken.
    pub(crate) fn refuse(&self, as_json: bool, refusal: &Refusal) {
        self.refused.store(true, Ordering::Relaxed);
        let Refusal { code, message, hint, reference } = refusal;
        if as_json {
            let object = json::Error::about(code, message, hint, reference.clone());
            // The session meets the same closed stream and ends by it.
            let _ = self.print(&json::line(&object), "");
        } else {
            self.say(&format!("error: {message}\nnext: {hint}\n"));
        }
    }

    /// Says something to the person.
    pub(crate) fn say(&self, text: &str) {
        // Nothing goes to stdout, so nothing can fail there.
        let _ = self.print("", text);
    }

    /// Invites the person to type.
    pub(crate) fn prompt(&self) {
        let _held = lock(&self.terminal);
        self.clear_prompt();
        self.show_prompt();
    }

    /// The conversation is over.
    pub(crate) fn clear_prompt(&self) {
        if self.prompt.is_some() {
            out::diagnostic(CLEAR);
        }
    }

    fn print(&self, data: &str, said: &str) -> io::Result<()> {
        if data.is_empty() && said.is_empty() {
            return Ok(());
        }
        let _held = lock(&self.terminal);
        self.clear_prompt();
        if !said.is_empty() {
            out::diagnostic(said);
        }
        if !data.is_empty() {
            out::data(data)?;
        }
        self.show_prompt();
        Ok(())
    }

    fn show_prompt(&self) {
        if let Some(prompt) = &self.prompt {
            out::diagnostic(prompt);
        }
    }

    fn references(&self) -> MutexGuard<'_, HashMap<MessageId, Reference>> {
        lock(&self.references)
    }
}

/// A thread that panicked while printing leaves nothing that could mislead.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_client::dial::DialError;
    use openchat_wire::{Fingerprint, UnixMillis};
    use std::time::Duration;

    fn message(target: &str, text: &str) -> StoredMessage {
        StoredMessage {
            group: GroupId([1; 32]),
            target: target.to_owned(),
            seq: Seq(1),
            id: MessageId([1; 16]),
            sender: "bob".parse().unwrap(),
            fingerprint: Fingerprint([1; 32]),
            trust: trust::of_word("certified").unwrap(),
            time: UnixMillis(0),
            text: text.to_owned(),
            own: false,
        }
    }

    fn screen(style: Style) -> Screen {
        Screen::new(style, &"general".parse().unwrap(), Arc::new(Shared::new(None)))
    }

    #[test]
    fn a_line_has_five_fields_whatever_the_text() {
        let shown = line(&message("#general", "a\tb\nc\u{1b}[31m"));
        assert_eq!(
            shown,
            "1970-01-01T00:00:00.000Z\t#general\tbob\tcertified\ta\\tb\\nc\\u{1b}[31m\n"
        );
        assert_eq!(shown.matches('\t').count(), 4);
    }

    #[test]
    fn other_conversations_are_not_shown() {
        let mut screen = screen(Style::Lines);
        let other = Report::Event(Event::Message(message("#ops", "x")));
        assert_eq!(screen.rendered(&other), (String::new(), String::new()));
        assert!(!screen.shows("#ops"));
    }

    #[test]
    fn the_connection_is_reported_when_it_changes() {
        let mut screen = screen(Style::Json);
        let offline = || Report::Offline {
            cause: DialError::Unreachable("refused".to_owned()),
            retry: Duration::from_secs(1),
        };
        assert!(screen.rendered(&offline()).0.contains("offline"));
        assert_eq!(screen.rendered(&offline()).0, "");
        assert!(screen.rendered(&Report::Online).0.contains("online"));
        assert!(screen.rendered(&offline()).0.contains("offline"));
    }

    #[test]
    fn quiet_hides_news_and_keeps_warnings() {
        let mut screen = screen(Style::QuietLines);
        assert_eq!(screen.rendered(&Report::Online).1, "");
        let failed = Report::Event(Event::Failed {
            id: None,
            code: "x",
            message: "no".to_owned(),
            hint: "h".to_owned(),
        });
        assert_eq!(screen.rendered(&failed).1, "error: no\nnext: h\n");
    }

    #[test]
    fn a_reference_is_handed_back_once() {
        let mut screen = screen(Style::Json);
        let sent = json::parse(r#"{"type":"send","text":"a","ref":"r"}"#).unwrap();
        screen.shared.remember(MessageId([1; 16]), sent.reference.unwrap());
        let ack = Report::Event(Event::Ack { id: MessageId([1; 16]), seq: Seq(1) });
        assert!(screen.rendered(&ack).0.contains(r#""ref":"r""#));
        assert!(!screen.rendered(&ack).0.contains("ref"));
    }
}
