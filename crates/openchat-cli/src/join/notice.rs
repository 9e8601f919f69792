//! News beside the messages, in words for people.

use crate::{json, text};
use openchat_client::{
    Report,
    engine::{Event, MemberView},
    trust,
};

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Not with `--quiet`.
    News,
    /// Always.
    Warning,
}

/// The report as a notice, if it is one.
pub(crate) fn notice(report: &Report) -> Option<(Level, String)> {
    match report {
        Report::Online => Some((Level::News, "connected".to_owned())),
        Report::Offline { cause, .. } => {
            Some((Level::News, format!("not connected: {cause}; trying again")))
        }
        Report::Event(event) => of_event(event),
    }
}

fn of_event(event: &Event) -> Option<(Level, String)> {
    let told = match event {
        Event::Message(_) | Event::Ack { .. } => return None,
        Event::Ready { target, epoch, members } => {
            (Level::News, format!("{target}: epoch {epoch}, {}", listed(members)))
        }
        Event::Member { target, name, change, count, .. } => {
            let change = json::change_word(*change);
            (Level::News, format!("{target}: {name} {change}, {} now", people(*count)))
        }
        Event::Alarm { target, message, hint, .. } => {
            let place = target.as_deref().unwrap_or("server");
            (Level::Warning, format!("ALARM {place}: {message}\nnext: {hint}"))
        }
        Event::Unreadable { target, seq, cause, hint } => {
            let what = format!("{target}: entry {seq} can't be read: {cause}\nnext: {hint}");
            (Level::Warning, what)
        }
        Event::Failed { message, hint, .. } => {
            (Level::Warning, format!("error: {message}\nnext: {hint}"))
        }
    };
    Some((told.0, lines_safe(&told.1)))
}

/// What others put into a notice does not act; the notice's own line breaks stay.
fn lines_safe(notice: &str) -> String {
    notice.lines().map(text::safe).collect::<Vec<_>>().join("\n")
}

fn people(count: u32) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

fn listed(members: &[MemberView]) -> String {
    /// More would not be read.
    const MOST: usize = 12;
    let name = |member: &MemberView| match (member.me, trust::word(member.trust)) {
        (true, _) => format!("{} (me)", member.name),
        (false, trust) => format!("{} ({trust})", member.name),
    };
    let mut names: Vec<_> = members.iter().take(MOST).map(name).collect();
    if members.len() > MOST {
        names.push(format!("and {} more", members.len() - MOST));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Epoch, Seq};

    #[test]
    fn ready_lists_who_is_in() {
        let member = |name: &str, me| MemberView {
            name: name.parse().unwrap(),
            me,
            trust: trust::of_word("certified").unwrap(),
        };
        let members = vec![member("alice", true), member("bob", false)];
        let ready = Event::Ready { target: "#general".to_owned(), epoch: Epoch(2), members };
        assert_eq!(
            of_event(&ready).unwrap(),
            (Level::News, "#general: epoch 2, alice (me), bob (certified)".to_owned())
        );
    }

    #[test]
    fn what_others_say_in_a_cause_does_not_act() {
        let event = Event::Unreadable {
            target: "#general".to_owned(),
            seq: Seq(1),
            cause: "\u{1b}[2J".to_owned(),
            hint: "none".to_owned(),
        };
        let (level, said) = of_event(&event).unwrap();
        assert_eq!(level, Level::Warning);
        assert_eq!(said, "#general: entry 1 can't be read: \\u{1b}[2J\nnext: none");
    }
}
