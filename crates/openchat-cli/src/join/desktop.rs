//! Notes for the desktop, by its notification service (docs/adr/0031-desktop.md).
//!
//! The service is asked in a thread of its own: one that is slow, or not there, holds nothing up.

use notify_rust::{Hint, Notification, Urgency, error::Error, get_capabilities};
use openchat_client::outside::now;
use openchat_tui::{Config, Incoming, News, Note, Notice, Tone};
use std::{
    borrow::Cow,
    env, io,
    sync::mpsc::{Receiver, Sender, SyncSender, sync_channel},
    thread,
};

/// Where the desktop's bus is. Without it there is no desktop.
const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// Notes that wait for the service. The screen makes fewer within a minute, so what does not fit is
/// meant for a service that has not answered for a while.
const WAITING: usize = 16;

/// The way to the desktop, if there is one.
pub(super) struct Desktop {
    notes: Option<SyncSender<Note>>,
}

impl Desktop {
    /// `news` is told, once, if the desktop can't be reached.
    pub(super) fn start(config: &Config, news: &Sender<Incoming>) -> Self {
        if !config.notify.desktop || env::var_os(BUS).is_none_or(|address| address.is_empty()) {
            return Self { notes: None };
        }
        let (notes, waiting) = sync_channel(WAITING);
        let teller = Teller { news: news.clone(), has_failed: false, takes_markup: None };
        let failed = teller.news.clone();
        let tell = move || teller.run(&waiting);
        // It ends with the process: whoever quits waits for nobody's answer.
        let thread = thread::Builder::new().name("desktop".to_owned()).spawn(tell);
        if let Err(error) = thread {
            say(&failed, &error);
            return Self { notes: None };
        }
        Self { notes: Some(notes) }
    }

    /// Hands a note over, if there is room.
    pub(super) fn tell(&self, note: Note) {
        if let Some(notes) = &self.notes {
            // That the service does not answer is told by the thread.
            let _ = notes.try_send(note);
        }
    }
}

/// The thread's part.
struct Teller {
    news: Sender<Incoming>,
    has_failed: bool,
    /// Whether the service reads bodies as markup, once it has told.
    takes_markup: Option<bool>,
}

impl Teller {
    fn run(mut self, waiting: &Receiver<Note>) {
        for note in waiting {
            if let Err(error) = self.show(&note)
                && !self.has_failed
            {
                self.has_failed = true;
                say(&self.news, &io::Error::other(error));
            }
        }
    }

    fn show(&mut self, note: &Note) -> Result<(), Error> {
        let takes_markup = match self.takes_markup {
            Some(known) => known,
            None => get_capabilities()?.iter().any(|one| one == "body-markup"),
        };
        self.takes_markup = Some(takes_markup);
        let body = if takes_markup { escaped(&note.body) } else { Cow::Borrowed(&*note.body) };
        let urgency = if note.urgent { Urgency::Critical } else { Urgency::Normal };
        let mut notification = Notification::new();
        notification.appname("openchat").summary(&note.title).body(&body).urgency(urgency);
        notification.hint(Hint::Category("im.received".to_owned()));
        notification.show().map(|_| ())
    }
}

/// A text that stands there as it is where a service reads markup.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

fn say(news: &Sender<Incoming>, error: &io::Error) {
    let notice = Notice {
        time: now(),
        tone: Tone::Warning,
        text: format!("the desktop can't be told of messages: {error}"),
        hint: Some("without it: desktop = false in [notify] of the configuration".to_owned()),
    };
    // A screen that was left needs no telling.
    let _ = news.send(Incoming::News(vec![News::Notice { target: None, notice }]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_service_takes_for_markup() {
        assert_eq!(escaped("plain, grüße"), "plain, grüße");
        let hostile = "<img src='file:///x'> & <a href=\"y\">z</a>";
        let harmless = escaped(hostile);
        assert!(!harmless.contains(['<', '>', '"', '\'']), "{harmless}");
        assert!(
            harmless.starts_with("&lt;img src=&#39;file:///x&#39;&gt; &amp; &lt;a"),
            "{harmless}"
        );
    }
}
