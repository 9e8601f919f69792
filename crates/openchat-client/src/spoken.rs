//! What people said, in words: one line of plain text for each kind of message.

use openchat_engine::Body;
use std::{borrow::Cow, time::Duration};

/// The message as a line. A text is itself.
#[must_use]
pub fn spoken(body: &Body) -> Cow<'_, str> {
    match body {
        Body::Text(text) => Cow::Borrowed(text),
        Body::Action(text) => format!("* {text}").into(),
        Body::Reply { text, .. } => format!("re: {text}").into(),
        Body::Reaction { emoji, on: true, .. } => format!("reacts {emoji}").into(),
        Body::Reaction { emoji, on: false, .. } => format!("takes {emoji} back").into(),
        Body::Edit { text, .. } => format!("(edited) {text}").into(),
        Body::Delete { .. } => Cow::Borrowed("(deleted)"),
        Body::Topic(topic) if topic.is_empty() => Cow::Borrowed("removes the topic"),
        Body::Topic(topic) => format!("sets the topic: {topic}").into(),
        Body::File(offer) => {
            format!("sends the file {} ({})", offer.name, bytes(offer.size)).into()
        }
        Body::Timer(None) => Cow::Borrowed("asks nobody to delete messages any more"),
        Body::Timer(Some(time)) => {
            let after = span(*time);
            format!("asks everybody to delete what is said from now on after {after}").into()
        }
        Body::Unknown { kind, .. } => {
            format!("a kind of message that this version does not know (kind {kind})").into()
        }
    }
}

/// A length as people say it.
#[must_use]
pub fn bytes(size: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| size >= *unit) {
        Some((unit, name)) => {
            let tenths = size.saturating_mul(10).checked_div(unit).unwrap_or_default();
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{size} B"),
    }
}

/// A time as it is typed: the largest unit of which it is a whole number.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let whole = |(unit, _): &(u64, &str)| seconds >= *unit && seconds.is_multiple_of(*unit);
    let (unit, name) = UNITS.into_iter().find(whole).unwrap_or((1, "s"));
    format!("{}{name}", seconds.checked_div(unit).unwrap_or_default())
}

/// A number and a unit, as it is typed.
#[must_use]
pub fn span_of(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (seconds, _) = UNITS.into_iter().find(|(_, name)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

const UNITS: [(u64, &str); 5] =
    [(7 * 24 * 3600, "w"), (24 * 3600, "d"), (3600, "h"), (60, "m"), (1, "s")];

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_engine::{MessageRef, Offer};
    use openchat_wire::{Digest, Fingerprint, MessageId};

    #[test]
    fn every_kind_is_a_line() {
        let to = MessageRef { author: Fingerprint([1; 32]), id: MessageId([2; 16]) };
        let (text, name, emoji) = ("hi".to_owned(), "a.txt".to_owned(), "👍".to_owned());
        let said = [
            (Body::Text(text.clone()), "hi"),
            (Body::Action(text.clone()), "* hi"),
            (Body::Reply { to, text: text.clone() }, "re: hi"),
            (Body::Reaction { to, emoji: emoji.clone(), on: true }, "reacts 👍"),
            (Body::Reaction { to, emoji, on: false }, "takes 👍 back"),
            (Body::Edit { of: to.id, text: text.clone() }, "(edited) hi"),
            (Body::Delete { of: to.id }, "(deleted)"),
            (Body::Topic(text), "sets the topic: hi"),
            (Body::Topic(String::new()), "removes the topic"),
            (
                Body::File(Offer { name, size: 1_600, hash: Digest([0; 32]) }),
                "sends the file a.txt (1.5 KiB)",
            ),
            (Body::Timer(None), "asks nobody to delete messages any more"),
            (
                Body::Timer(Some(Duration::from_hours(48))),
                "asks everybody to delete what is said from now on after 2d",
            ),
            (
                Body::Unknown { kind: 77, bytes: Vec::new() },
                "a kind of message that this version does not know (kind 77)",
            ),
        ];
        for (body, line) in said {
            assert_eq!(spoken(&body), line);
        }
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for text in ["1s", "90s", "1m", "12h", "7w", "365d"] {
            assert_eq!(span(span_of(text).unwrap()), text);
        }
        for wrong in ["", "1", "s", "-1s", "1y", "1 h", "99999999999999999999w"] {
            assert_eq!(span_of(wrong), None, "{wrong}");
        }
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(64 << 20), "64.0 MiB");
    }
}
