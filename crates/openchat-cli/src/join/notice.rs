//! News beside the messages, in words for people.

use crate::{fault::Hints, standing, target::quoted, text};
use openchat_client::{
    Report,
    engine::{Event, MemberView, Progress},
    say,
    spoken::bytes,
};
use openchat_wire::{Name, UnixMillis};

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Not with `--quiet`.
    News,
    /// Always.
    Warning,
}

/// Puts news into words, with the commands that suit.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    /// Whether lines that begin with `/` are commands here.
    pub(crate) slashes: bool,
    pub(crate) hints: Hints,
}

impl Teller {
    /// The report as a notice, if it is one.
    pub(crate) fn notice(&self, report: &Report) -> Option<(Level, String)> {
        let (level, said) = match report {
            // For the log the full screen has a place, and what nobody has missed is no news.
            Report::Log(_) | Report::Forgotten { unshown: 0, .. } => return None,
            Report::Online => (Level::News, "connected".to_owned()),
            Report::Offline { cause, .. } => {
                (Level::News, format!("not connected: {cause}; trying again"))
            }
            Report::Evidence(path) => (Level::Warning, self.evidence(&path.to_string_lossy())),
            Report::File { progress, is_right } => self.file(progress, *is_right),
            Report::Saved { path, .. } => (Level::Warning, format!("saved: {}", path.display())),
            Report::Contact(contact) => {
                (Level::Warning, say::contact(contact).trim_end().to_owned())
            }
            Report::Forgotten { target, unshown } => {
                (Level::Warning, format!("{target}: {}", say::forgotten(*unshown)))
            }
            Report::Standing(summary) => (Level::Warning, standing::said(summary)),
            Report::Event(event) => self.event(event)?,
        };
        Some((level, lines_safe(&said)))
    }

    /// A file of somebody's has come.
    fn file(&self, file: &Progress, is_right: bool) -> (Level, String) {
        let Progress { target, name, size, file, .. } = file;
        let length = bytes(*size);
        if is_right {
            let save = self.command("save", &format!("file save {}", file.id), "");
            (Level::News, format!("{target}: {name} is here ({length}); save it: {save}"))
        } else {
            let what =
                format!("{target}: {name} is not the file that was announced; it is not kept");
            (Level::Warning, format!("{what}\nnext: ask its sender to send it again"))
        }
    }

    fn event(&self, event: &Event) -> Option<(Level, String)> {
        Some(match event {
            Event::Message(_)
            | Event::Ack { .. }
            | Event::Delivered { .. }
            | Event::Presence { .. }
            | Event::Evidence(_)
            | Event::Progress(_)
            | Event::Done { .. } => return None,
            Event::Renewed { until, .. } => {
                (Level::News, format!("certificate renewed: valid to {}", text::rfc3339(*until)))
            }
            Event::Expiring { until, days } => (Level::Warning, self.expiring(*until, *days)),
            Event::Ready { target, epoch, members } => {
                (Level::News, format!("{target}: epoch {epoch}, {}", listed(members)))
            }
            Event::Member { target, name, change, by, count, .. } => (
                Level::News,
                format!("{target}: {}", say::changed(name, *change, by.as_ref(), *count)),
            ),
            Event::Rules { target, rules, by } => (
                Level::News,
                format!("{target}: {by} changed the policy: {}", standing::rules(*rules)),
            ),
            Event::Invited { target, by, members } => {
                (Level::Warning, self.invited(target, by.as_ref(), members))
            }
            Event::Gone { target, change, by } => {
                let (what, next) = say::gone(*change, by.as_ref());
                let next = next.map(|next| format!("\nnext: {next}")).unwrap_or_default();
                (Level::Warning, format!("{target}: {what}{next}"))
            }
            Event::Waiting { target, message, hint, .. } => {
                (Level::Warning, format!("{target}: {message}\nnext: {hint}"))
            }
            Event::Alarm { target, message, hint, .. } => {
                let place = target.as_deref().unwrap_or("server");
                (Level::Warning, format!("ALARM {place}: {message}\nnext: {hint}"))
            }
            Event::Unreadable { target, seq, cause, hint } => {
                let what = format!("{target}: entry {seq} can't be read: {cause}\nnext: {hint}");
                (Level::Warning, what)
            }
            Event::Dropped { target, count, first, last } => {
                (Level::Warning, format!("{target}: {}", say::dropped(*count, first.0, last.0)))
            }
            Event::Failed { id: Some(_), target: Some(target), message, hint, .. } => {
                (Level::Warning, format!("error: {target}: {message}\nnext: {hint}"))
            }
            Event::Failed { message, hint, .. } => {
                (Level::Warning, format!("error: {message}\nnext: {hint}"))
            }
        })
    }

    /// What happened in a conversation that is not open, and the way there.
    pub(crate) fn elsewhere(&self, event: &Event, target: &str, by: &Name) -> (Level, String) {
        let what = match event {
            Event::Message(_) => format!("{target}: {by} writes"),
            _ => format!("{target}: {by} added you"),
        };
        (Level::Warning, lines_safe(&format!("{what}; {}", self.open(target))))
    }

    /// How to open a conversation.
    pub(crate) fn open(&self, target: &str) -> String {
        format!("open it: {}", self.command("join", "join", target))
    }

    /// Where it lies, and how others check it.
    fn evidence(&self, path: &str) -> String {
        let check = self.hints.command(&format!("log verify '{path}'"));
        format!(
            "what the server has signed proves that it lied: {path}\nanybody can check it: {check}"
        )
    }

    fn expiring(&self, until: UnixMillis, days: u64) -> String {
        let (until, renew) = (text::rfc3339(until), self.hints.command("renew"));
        format!(
            "your certificate ends in {days} days ({until}) and could not be renewed\nnext: {renew}"
        )
    }

    fn invited(&self, target: &str, by: Option<&Name>, members: &[Name]) -> String {
        /// More would not be read.
        const MOST: usize = 12;
        let by = by.map_or("somebody".to_owned(), Name::to_string);
        let mut names: Vec<_> = members.iter().take(MOST).map(Name::to_string).collect();
        if members.len() > MOST {
            names.push(format!("and {} more", members.len() - MOST));
        }
        let inside = match names.as_slice() {
            [] => String::new(),
            names => format!(" ({})", names.join(", ")),
        };
        let accept = self.command("join", "group join", target);
        let decline = self.command("decline", "group decline", target);
        format!("{by} invites you to {target}{inside}; accept: {accept}; decline: {decline}")
    }

    fn command(&self, slash: &str, args: &str, target: &str) -> String {
        if self.slashes {
            format!("/{slash} {target}")
        } else {
            self.hints.command(&format!("{args} {}", quoted(target)))
        }
    }
}

/// What others put into a notice does not act; the notice's own line breaks stay.
fn lines_safe(notice: &str) -> String {
    notice.lines().map(text::safe).collect::<Vec<_>>().join("\n")
}

fn listed(members: &[MemberView]) -> String {
    /// More would not be read.
    const MOST: usize = 12;
    let mut names: Vec<_> = members.iter().take(MOST).map(standing::member).collect();
    if members.len() > MOST {
        names.push(format!("and {} more", members.len() - MOST));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_client::{engine::Role, trust};
    use openchat_wire::{Epoch, Seq};

    fn teller(slashes: bool) -> Teller {
        Teller { slashes, hints: Hints::new("openchat -P bob".to_owned()) }
    }

    fn said(event: Event) -> (Level, String) {
        teller(false).notice(&Report::Event(event)).unwrap()
    }

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    #[test]
    fn ready_lists_who_is_in() {
        let member = |who: &str, me, role, claimed| MemberView {
            name: name(who),
            me,
            trust: trust::of_word("certified").unwrap(),
            role,
            claimed,
            online: who == "bob",
        };
        let members = vec![
            member("alice", true, Role::Admin, true),
            member("bob", false, Role::Member, true),
            member("carol", false, Role::Member, false),
        ];
        let target = "#general".to_owned();
        assert_eq!(
            said(Event::Ready { target, epoch: Epoch(2), members }).1,
            "#general: epoch 2, alice (me, admin), bob (certified, online), carol (certified, unclaimed)"
        );
    }

    #[test]
    fn what_went_unshown_is_counted_and_the_rest_is_no_news() {
        let gone = |unshown| Report::Forgotten { target: "#general".to_owned(), unshown };
        let teller = teller(false);
        assert!(teller.notice(&gone(0)).is_none());
        let said = teller.notice(&gone(2)).unwrap().1;
        let all = "#general: 2 messages are gone: their time was over before they were shown here";
        assert_eq!(said, all);
    }

    #[test]
    fn what_is_no_longer_kept_is_counted() {
        let (target, first, last) = ("#general".to_owned(), Seq(4), Seq(9));
        let event = |count| Event::Dropped { target: target.clone(), count, first, last };
        assert_eq!(
            said(event(3)).1,
            "#general: 3 messages (entries 4 to 9) are no longer kept by the server"
        );
        assert_eq!(
            said(event(1)).1,
            "#general: 1 message (entry 4) is no longer kept by the server"
        );
    }

    #[test]
    fn an_invitation_comes_with_the_commands_that_answer_it() {
        let invited = Event::Invited {
            target: "#ops".to_owned(),
            by: Some(name("alice")),
            members: vec![name("alice")],
        };
        let report = Report::Event(invited);
        assert_eq!(
            teller(true).notice(&report).unwrap().1,
            "alice invites you to #ops (alice); accept: /join #ops; decline: /decline #ops"
        );
        assert!(teller(false).notice(&report).unwrap().1.ends_with(
            "accept: openchat -P bob group join '#ops'; decline: openchat -P bob group decline '#ops'"
        ));
    }

    #[test]
    fn what_others_say_in_a_cause_does_not_act() {
        let (level, said) = said(Event::Unreadable {
            target: "#general".to_owned(),
            seq: Seq(1),
            cause: "\u{1b}[2J".to_owned(),
            hint: "none".to_owned(),
        });
        assert_eq!(level, Level::Warning);
        assert_eq!(said, "#general: entry 1 can't be read: \\u{1b}[2J\nnext: none");
    }
}
