//! What this process asks of another one of the same person, as an object. `order` reads it.

use super::{
    line,
    order::{LAST, START_WORDS},
};
use crate::text;
use openchat_client::{
    Ask, Follow, Pick, Say, Start,
    engine::{Bring, Grounds, GroupKind, MessageRef, Order, Rules},
    standing,
};
use openchat_wire::Name;
use serde_json::{Value, json};
use std::path::{self, Path};

/// The object that asks for this. Its `ref` is the number of the order, or the name of the message.
pub(crate) fn ask(ask: &Ask) -> String {
    let mut object = match ask {
        Ask::Open { target, .. } => json!({"type": "join", "target": target.to_string()}),
        Ask::Send { target, id, text } => json!({
            "type": "send", "target": target.to_string(), "id": id.to_string(), "text": text,
            "ref": id.to_string(),
        }),
        Ask::Say { target, id, what } => {
            let mut object = say(what);
            object["target"] = target.to_string().into();
            object["id"] = id.to_string().into();
            object["ref"] = id.to_string().into();
            object
        }
        Ask::Save { target, file, to, .. } => json!({
            "type": "save", "target": target.to_string(), "of": picked(*file),
            "author": author(*file), "path": place(to),
        }),
        Ask::Do { what, .. } => order(what),
        Ask::Policy { target, join, invite, .. } => json!({
            "type": "policy", "target": target.to_string(),
            "join": join.map(standing::joining), "invite": invite.map(standing::inviting),
        }),
        Ask::Renew { .. } => json!({"type": "renew"}),
        Ask::Trust { who, on: Grounds::Accepted, .. } => {
            json!({"type": "trust", "who": who.as_str()})
        }
        Ask::Trust { who, on: Grounds::Compared(number), .. } => {
            json!({"type": "verify", "who": who.as_str(), "number": number.to_string()})
        }
        Ask::Compare { who, .. } => json!({"type": "verify", "who": who.as_str()}),
        Ask::Describe { target, .. } => json!({"type": "names", "target": target.to_string()}),
        Ask::Follow { follow, .. } => listen(follow),
        Ask::Shown { target, seq, listener, .. } => json!({
            "type": "shown", "target": target.to_string(), "seq": seq.0,
            "as": listener.as_ref().map(Name::as_str),
        }),
    };
    object["v"] = 1.into();
    if let Some(number) = ask.order() {
        object["ref"] = number.into();
    }
    line(&object)
}

fn say(what: &Say) -> Value {
    match what {
        Say::Text(text) => json!({"type": "send", "text": text}),
        Say::Action(text) => json!({"type": "action", "text": text}),
        Say::Reply { to, text } => json!({
            "type": "reply", "to": picked(*to), "author": author(*to), "text": text,
        }),
        Say::React { to, emoji, on } => json!({
            "type": "react", "to": picked(*to), "author": author(*to), "emoji": emoji, "off": !on,
        }),
        Say::Edit { of, text } => json!({
            "type": "edit", "of": picked(*of), "author": author(*of), "text": text,
        }),
        Say::Delete { of } => {
            json!({"type": "delete", "of": picked(*of), "author": author(*of)})
        }
        Say::Topic(text) => json!({"type": "topic", "text": text}),
        Say::Timer(time) => {
            json!({"type": "timer", "seconds": time.map_or(0, |time| time.as_secs())})
        }
        Say::File(path) => json!({"type": "file", "path": place(path)}),
    }
}

fn picked(pick: Pick) -> String {
    match pick {
        Pick::Of(MessageRef { id, .. }) | Pick::Id(id) => id.to_string(),
        Pick::Last => LAST.to_owned(),
    }
}

fn author(pick: Pick) -> Option<String> {
    match pick {
        Pick::Of(MessageRef { author, .. }) => Some(author.to_string()),
        Pick::Id(_) | Pick::Last => None,
    }
}

/// The other process may be somewhere else.
fn place(path: &Path) -> String {
    let absolute = path::absolute(path);
    absolute.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn order(what: &Order) -> Value {
    let mut object = match what {
        Order::New { name, kind, people, how } => {
            let people: Vec<&str> = people.iter().map(Name::as_str).collect();
            let key = match how {
                Bring::Add => "add",
                Bring::Invite => "invite",
            };
            json!({"type": "new", "name": name.as_str(), "open": *kind == GroupKind::Open, key: people})
        }
        Order::Invite { who, .. } => json!({"type": "invite", "who": who.as_str()}),
        Order::Add { who, .. } => json!({"type": "add", "who": who.as_str()}),
        Order::Accept { .. } => json!({"type": "accept"}),
        Order::Decline { .. } => json!({"type": "decline"}),
        Order::Leave { .. } => json!({"type": "leave"}),
        Order::Kick { who, .. } => json!({"type": "kick", "who": who.as_str()}),
        Order::Role { who, role, .. } => {
            json!({"type": "role", "who": who.as_str(), "role": standing::role(*role)})
        }
        Order::Rules { rules: Rules { join, invite }, .. } => json!({
            "type": "policy",
            "join": standing::joining(*join), "invite": standing::inviting(*invite),
        }),
        Order::Resume { file, .. } => json!({"type": "resume", "of": file.to_string()}),
        Order::Rejoin { .. } => json!({"type": "rejoin"}),
    };
    if let Some(target) = what.target() {
        object["target"] = target.to_string().into();
    }
    object
}

fn listen(Follow { target, listener, from }: &Follow) -> Value {
    let [now, beginning] = START_WORDS;
    let since: Value = match from {
        Start::Now => now.into(),
        Start::Beginning => beginning.into(),
        Start::After(seq) => seq.0.into(),
        Start::Places(places) => {
            places.iter().map(|(target, seq)| (target.clone(), Value::from(seq.0))).collect()
        }
        Start::AfterMessage(id) => id.to_string().into(),
        Start::At(time) => text::rfc3339(*time).into(),
    };
    json!({
        "type": "listen", "target": target.as_ref().map(ToString::to_string),
        "as": listener.as_ref().map(Name::as_str), "since": since,
    })
}
