//! What a script may say, one object a line.

use super::{Reference, news::hex};
use crate::{
    standing, target,
    wish::{What, Wish},
};
use openchat_client::{
    Follow, Pick, Say, Start,
    engine::{Bring, Grounds, GroupKind, MessageRef, SafetyNumberError, Target},
};
use openchat_wire::{Fingerprint, MessageId, Name, Seq};
use serde_json::{Map, Value};
use std::time::Duration;

/// A line of input that was understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) what: Ordered,
    pub(crate) reference: Option<Reference>,
}

/// What it asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Ordered {
    /// To say something, in the conversation that is open if no other is named.
    Send { target: Option<Target>, id: Option<MessageId>, text: String },
    /// To say something else than a text.
    Say { target: Option<Target>, id: Option<MessageId>, what: Say },
    /// Anything else that a person may want.
    Wish(Wish),
    /// To be told of messages; from another process only.
    Listen(Follow),
    /// To remember what was shown; from another process only.
    Shown { target: Target, seq: Seq, listener: Option<Name> },
}

/// Why a line of input was not understood.
#[derive(Debug, PartialEq)]
pub(crate) struct BadLine {
    pub(crate) message: String,
    pub(crate) reference: Option<Reference>,
}

/// Reads an object such as `{"type":"send","text":…,"ref":…}`. Unknown fields are ignored.
pub(crate) fn parse(line: &str) -> Result<Order, BadLine> {
    let bad = |message: &str, reference| Err(BadLine { message: message.to_owned(), reference });
    let fields = match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return bad("not an object of JSON", None),
        Err(error) => return bad(&format!("not an object of JSON: {error}"), None),
    };
    let reference = match fields.get("ref") {
        None | Some(Value::Null) => None,
        Some(value @ (Value::String(_) | Value::Number(_))) => Some(Reference(value.clone())),
        Some(_) => return bad("\"ref\" is neither a string nor a number", None),
    };
    if fields.get("v").is_some_and(|version| *version != 1) {
        return bad("\"v\" is not 1", reference);
    }
    match ordered(&fields) {
        Ok(what) => Ok(Order { what, reference }),
        Err(message) => bad(&message, reference),
    }
}

fn ordered(fields: &Map<String, Value>) -> Result<Ordered, String> {
    let kind = string(fields, "type").map_err(|_| UNKNOWN.to_owned())?;
    if kind == "send" {
        let text = string(fields, "text")?.to_owned();
        return Ok(Ordered::Send { target: at(fields)?, id: id(fields)?, text });
    }
    if kind == "listen" {
        return Ok(Ordered::Listen(listen(fields)?));
    }
    if kind == "shown" {
        let target = at(fields)?.ok_or("\"target\" is missing")?;
        let seq = fields.get("seq").and_then(Value::as_u64).ok_or("\"seq\" is not a number")?;
        return Ok(Ordered::Shown { target, seq: Seq(seq), listener: listener(fields)? });
    }
    if let Some(what) = say(kind, fields)? {
        return Ok(Ordered::Say { target: at(fields)?, id: id(fields)?, what });
    }
    let what = what(kind, fields)?;
    Ok(Ordered::Wish(Wish { target: at(fields)?, what }))
}

/// The last message there: of one's own to change it, of somebody else to answer it.
pub(super) const LAST: &str = "last";

/// What is said otherwise than by `send`.
fn say(kind: &str, fields: &Map<String, Value>) -> Result<Option<Say>, String> {
    let text = || string(fields, "text").map(str::to_owned);
    // Not by leaving it out: who mistypes a field must not take back another message.
    let message = |name| pick(fields, name, string(fields, name)?);
    Ok(Some(match kind {
        "action" => Say::Action(text()?),
        "reply" => Say::Reply { to: message("to")?, text: text()? },
        "react" => {
            let emoji = string(fields, "emoji")?.to_owned();
            Say::React { to: message("to")?, emoji, on: !flag(fields, "off")? }
        }
        "edit" => Say::Edit { of: message("of")?, text: text()? },
        "delete" => Say::Delete { of: message("of")? },
        "topic" => Say::Topic(text()?),
        "file" => Say::File(string(fields, "path")?.into()),
        "timer" => {
            let seconds = fields.get("seconds").and_then(Value::as_u64);
            let seconds = seconds.ok_or("\"seconds\" is missing or not a number")?;
            Say::Timer((seconds > 0).then(|| Duration::from_secs(seconds)))
        }
        _ => return Ok(None),
    }))
}

/// The message of this id; of this author, if one is named: two may have chosen the same id.
fn pick(fields: &Map<String, Value>, name: &str, id: &str) -> Result<Pick, String> {
    if id == LAST {
        return Ok(Pick::Last);
    }
    let id = target::message_id(id).map_err(|error| format!("\"{name}\": {error}"))?;
    let author = optional(fields, "author")?.map(|key| hex(key).map(Fingerprint).ok_or(NO_AUTHOR));
    Ok(match author.transpose()? {
        Some(author) => Pick::Of(MessageRef { author, id }),
        None => Pick::Id(id),
    })
}

const NO_AUTHOR: &str = "\"author\" is not 64 hexadecimal digits";

fn save(fields: &Map<String, Value>) -> Result<What, String> {
    let file = pick(fields, "of", optional(fields, "of")?.unwrap_or(LAST))?;
    Ok(What::Save { file, to: string(fields, "path")?.into() })
}

/// How the two ends of a conversation are called.
pub(super) const START_WORDS: [&str; 2] = ["now", "beginning"];

/// The name of the message, if the script draws it.
fn id(fields: &Map<String, Value>) -> Result<Option<MessageId>, String> {
    let id = optional(fields, "id")?.map(|id| hex(id).map(MessageId).ok_or(NO_ID));
    Ok(id.transpose()?)
}

const NO_ID: &str = "\"id\" is not 32 hexadecimal digits";

fn listen(fields: &Map<String, Value>) -> Result<Follow, String> {
    let (target, listener) = (at(fields)?, listener(fields)?);
    let from = match fields.get("since") {
        None | Some(Value::Null) => Start::Now,
        Some(Value::Number(number)) => {
            Start::After(Seq(number.as_u64().ok_or("\"since\" is not a place")?))
        }
        Some(Value::Object(places)) => {
            let place =
                |(target, seq): (&String, &Value)| Some((target.clone(), Seq(seq.as_u64()?)));
            let places: Option<_> = places.iter().map(place).collect();
            Start::Places(places.ok_or("\"since\" has what is no place")?)
        }
        Some(_) => start(string(fields, "since")?)?,
    };
    Ok(Follow { target, listener, from })
}

/// A place as it is typed: a word, a number, an id or a time.
pub(crate) fn start(text: &str) -> Result<Start, String> {
    let [now, beginning] = START_WORDS;
    if text == now {
        return Ok(Start::Now);
    }
    if text == beginning {
        return Ok(Start::Beginning);
    }
    let id = || hex(text).map(|id| Start::AfterMessage(MessageId(id)));
    let seq = || text.parse().ok().map(|seq| Start::After(Seq(seq)));
    let time = || super::news::time(text).map(Start::At);
    id().or_else(seq).or_else(time).ok_or_else(|| {
        format!("{text} is none of: now, beginning, a seq, a message's id, a time of RFC 3339")
    })
}

fn listener(fields: &Map<String, Value>) -> Result<Option<Name>, String> {
    let parsed = |name: &str| name.parse().map_err(|error| format!("\"as\": {error}"));
    optional(fields, "as")?.map(parsed).transpose()
}

const UNKNOWN: &str = "\"type\" is not one of: send, action, reply, react, edit, delete, topic, \
                       file, timer, save, resume, new, join, accept, decline, leave, rejoin, \
                       invite, add, kick, role, policy, names, verify, trust, renew";

fn what(kind: &str, fields: &Map<String, Value>) -> Result<What, String> {
    Ok(match kind {
        "join" => What::Join,
        "accept" => What::Accept,
        "decline" => What::Decline,
        "renew" => What::Renew,
        "leave" => What::Leave,
        "rejoin" => What::Rejoin,
        "names" => What::Names,
        "save" => save(fields)?,
        "resume" => {
            let id = target::message_id(string(fields, "of")?);
            What::Resume(id.map_err(|error| format!("\"of\": {error}"))?)
        }
        "invite" => What::Invite(people(fields, "who", true)?),
        "add" => What::Add(people(fields, "who", true)?),
        "kick" => What::Kick(person(string(fields, "who")?)?),
        "role" => {
            let role = standing::role_of(string(fields, "role")?)?;
            What::Role(person(string(fields, "who")?)?, role)
        }
        "verify" => verify(fields)?,
        "trust" => What::Trust(person(string(fields, "who")?)?, Grounds::Accepted),
        "policy" => policy(fields)?,
        "new" => new(fields)?,
        _ => return Err(UNKNOWN.to_owned()),
    })
}

fn new(fields: &Map<String, Value>) -> Result<What, String> {
    let name = target::group_name(string(fields, "name")?);
    let name = name.map_err(|error| format!("\"name\": {error}"))?;
    let kind = if flag(fields, "open")? { GroupKind::Open } else { GroupKind::Closed };
    let (add, invite) = (people(fields, "add", false)?, people(fields, "invite", false)?);
    match (add.is_empty(), invite.is_empty()) {
        (true, _) => Ok(What::New { name, kind, people: invite, how: Bring::Invite }),
        (false, true) => Ok(What::New { name, kind, people: add, how: Bring::Add }),
        (false, false) => Err("either \"invite\" or \"add\"; the others afterwards".to_owned()),
    }
}

/// Without a number it is shown.
fn verify(fields: &Map<String, Value>) -> Result<What, String> {
    let who = person(string(fields, "who")?)?;
    let Some(number) = optional(fields, "number")? else { return Ok(What::Compare(who)) };
    let number = number.parse().map_err(|error: SafetyNumberError| format!("\"number\": {error}"));
    Ok(What::Trust(who, Grounds::Compared(number?)))
}

fn policy(fields: &Map<String, Value>) -> Result<What, String> {
    let join = optional(fields, "join")?.map(standing::joining_of).transpose()?;
    let invite = optional(fields, "invite")?.map(standing::inviting_of).transpose()?;
    if join.is_none() && invite.is_none() {
        return Err("\"join\" or \"invite\" is missing".to_owned());
    }
    Ok(What::Policy { join, invite })
}

fn at(fields: &Map<String, Value>) -> Result<Option<Target>, String> {
    optional(fields, "target")?.map(target::target).transpose()
}

fn string<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let missing = || format!("\"{name}\" is missing or not a string");
    fields.get(name).and_then(Value::as_str).ok_or_else(missing)
}

fn optional<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => string(fields, name).map(Some),
    }
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| format!("\"{name}\" is not true or false")),
    }
}

/// A name, or an array of names.
fn people(fields: &Map<String, Value>, name: &str, required: bool) -> Result<Vec<Name>, String> {
    let wrong = || format!("\"{name}\" is not a name or an array of names");
    let names: Vec<&Value> = match fields.get(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(one @ Value::String(_)) => vec![one],
        Some(Value::Array(several)) => several.iter().collect(),
        Some(_) => return Err(wrong()),
    };
    if required && names.is_empty() {
        return Err(wrong());
    }
    names.into_iter().map(|name| person(name.as_str().ok_or_else(wrong)?)).collect()
}

fn person(text: &str) -> Result<Name, String> {
    target::person(text).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_client::engine::{Inviting, Role};

    fn send(text: &str) -> Ordered {
        Ordered::Send { target: None, id: None, text: text.to_owned() }
    }

    fn wish(line: &str) -> Wish {
        match parse(line).unwrap().what {
            Ordered::Wish(wish) => wish,
            _ => panic!("{line}"),
        }
    }

    fn bad(line: &str) -> String {
        parse(line).unwrap_err().message
    }

    #[test]
    fn an_array_is_no_object_whatever_it_holds() {
        for line in [r#"[1,"send","text",null]"#, r#"["send"]"#, r#""send""#, "1"] {
            assert_eq!(bad(line), "not an object of JSON", "{line}");
        }
        assert_eq!(bad(r#"{"v":null,"type":"send","text":"x"}"#), "\"v\" is not 1");
    }

    #[test]
    fn a_send_with_and_without_a_ref() {
        let plain = parse(r#"{"type":"send","text":"hi"}"#).unwrap();
        assert_eq!(plain, Order { what: send("hi"), reference: None });
        let named = parse(r#"{"v":1,"type":"send","text":"hi","ref":7,"later":[]}"#).unwrap();
        assert_eq!(named.reference, Some(Reference(7.into())));
        let named = parse(r#"{"type":"send","text":"\u0068i","ref":"a"}"#).unwrap();
        assert_eq!((named.what, named.reference), (send("hi"), Some(Reference("a".into()))));
        let to = parse(r#"{"type":"send","target":"@bob","text":"hi"}"#).unwrap();
        let Ordered::Send { target: Some(target), .. } = to.what else { panic!("a target") };
        assert_eq!(target.to_string(), "@bob");
    }

    #[test]
    fn what_is_said_about_messages_and_files() {
        let said = |line: &str| match parse(line).unwrap().what {
            Ordered::Say { target: None, what, .. } => what,
            other => panic!("{line}: {other:?}"),
        };
        let id = "0123456789abcdef0123456789abcdef";
        let to = Pick::Id(target::message_id(id).unwrap());
        let order = |kind: &str, rest: &str| format!(r#"{{"type":"{kind}"{rest}}}"#);
        let about =
            |kind: &str, name: &str, rest: &str| order(kind, &format!(r#","{name}":"{id}"{rest}"#));
        let text = || "x".to_owned();
        assert_eq!(said(&order("action", r#","text":"x""#)), Say::Action(text()));
        assert_eq!(said(&order("topic", r#","text":"""#)), Say::Topic(String::new()));
        let last = Say::Reply { to: Pick::Last, text: text() };
        assert_eq!(said(&order("reply", r#","to":"last","text":"x""#)), last);
        let reply = Say::Reply { to, text: text() };
        assert_eq!(said(&about("reply", "to", r#","text":"x""#)), reply);
        let react = |on| Say::React { to, emoji: text(), on };
        assert_eq!(said(&about("react", "to", r#","emoji":"x""#)), react(true));
        assert_eq!(said(&about("react", "to", r#","emoji":"x","off":true"#)), react(false));
        assert_eq!(
            said(&about("edit", "of", r#","text":"x""#)),
            Say::Edit { of: to, text: text() }
        );
        assert_eq!(said(&about("delete", "of", "")), Say::Delete { of: to });
        assert_eq!(said(&order("file", r#","path":"/a b""#)), Say::File("/a b".into()));
        assert_eq!(said(&order("timer", r#","seconds":0"#)), Say::Timer(None));
        let hour = Say::Timer(Some(Duration::from_hours(1)));
        assert_eq!(said(&order("timer", r#","seconds":3600"#)), hour);
        let save = |file| What::Save { file, to: "/tmp".into() };
        assert_eq!(wish(&order("save", r#","path":"/tmp""#)).what, save(Pick::Last));
        assert_eq!(wish(&about("save", "of", r#","path":"/tmp""#)).what, save(to));
        let Pick::Id(file) = to else { panic!() };
        assert_eq!(wish(&about("resume", "of", "")).what, What::Resume(file));
        let author = format!(r#","author":"{}""#, "0a".repeat(32));
        let of = |pick| match pick {
            Pick::Id(id) => Pick::Of(MessageRef { author: Fingerprint([10; 32]), id }),
            other => other,
        };
        assert_eq!(said(&about("delete", "of", &author)), Say::Delete { of: of(to) });
        let saved = about("save", "of", &format!(r#"{author},"path":"/tmp""#));
        assert_eq!(wish(&saved).what, save(of(to)));
        let nobody = about("delete", "of", r#","author":"0a""#);
        assert!(parse(&nobody).is_err(), "an author that is none is not left out");
        for wrong in [
            r#"{"type":"reply","text":"x"}"#,
            r#"{"type":"delete"}"#,
            r#"{"type":"reply","to":"12","text":"x"}"#,
            r#"{"type":"edit","of":7,"text":"x"}"#,
            r#"{"type":"timer","seconds":-1}"#,
            r#"{"type":"timer","seconds":"1h"}"#,
            r#"{"type":"file"}"#,
            r#"{"type":"save"}"#,
            r#"{"type":"react","to":"0123456789abcdef0123456789abcdef"}"#,
        ] {
            assert!(bad(wrong).starts_with('"'), "{wrong}");
        }
    }

    #[test]
    fn wishes_about_people_and_places() {
        let both: Vec<Name> = ["bob", "carol"].map(|name| name.parse().unwrap()).into();
        let invite = wish(r##"{"type":"invite","target":"#ops","who":["bob","@carol"]}"##);
        assert_eq!(invite.target.unwrap().to_string(), "#ops");
        assert_eq!(invite.what, What::Invite(both));
        assert_eq!(
            wish(r#"{"type":"add","who":"bob"}"#).what,
            What::Add(vec!["bob".parse().unwrap()])
        );
        assert_eq!(wish(r#"{"type":"leave"}"#), Wish { target: None, what: What::Leave });
        let role = wish(r#"{"type":"role","who":"bob","role":"admin"}"#).what;
        assert_eq!(role, What::Role("bob".parse().unwrap(), Role::Admin));
        let new = wish(r#"{"type":"new","name":"ops","open":true,"add":["bob"]}"#).what;
        let (name, people) = ("ops".parse().unwrap(), vec!["bob".parse().unwrap()]);
        let (kind, how) = (GroupKind::Open, Bring::Add);
        assert_eq!(new, What::New { name, kind, people, how });
        let policy = wish(r#"{"type":"policy","invite":"admins"}"#).what;
        assert_eq!(policy, What::Policy { join: None, invite: Some(Inviting::Admins) });
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(bad("hello").starts_with("not an object of JSON"));
        assert!(bad("[]").starts_with("not an object of JSON"));
        assert!(bad(r#"{"type":"send","text":"a"} x"#).starts_with("not an object of JSON"));
        assert!(bad("{}").starts_with("\"type\" is not one of: send"));
        assert!(bad(r#"{"type":"sent","text":"a"}"#).starts_with("\"type\" is not one of: send"));
        for (line, said) in [
            (r#"{"type":"send"}"#, "\"text\" is missing or not a string"),
            (r#"{"type":"send","text":"a","v":2}"#, "\"v\" is not 1"),
            (r#"{"type":"send","text":"a","ref":{}}"#, "\"ref\" is neither a string nor a number"),
            (r#"{"type":"kick"}"#, "\"who\" is missing or not a string"),
            (r#"{"type":"invite","who":[]}"#, "\"who\" is not a name or an array of names"),
            (r#"{"type":"invite","who":[1]}"#, "\"who\" is not a name or an array of names"),
            (r#"{"type":"policy"}"#, "\"join\" or \"invite\" is missing"),
            (r#"{"type":"policy","join":"all"}"#, "all is not one of: anyone, admitted"),
            (r#"{"type":"new","name":"ops","open":1}"#, "\"open\" is not true or false"),
            (
                r#"{"type":"new","name":"ops","add":"bob","invite":"carol"}"#,
                "either \"invite\" or \"add\"; the others afterwards",
            ),
        ] {
            assert_eq!(bad(line), said, "{line}");
        }
        assert!(bad(r#"{"type":"leave","target":"ops"}"#).contains("'#ops'"));
    }

    #[test]
    fn a_bad_line_keeps_its_ref() {
        let bad = parse(r#"{"type":"send","ref":"r1"}"#).unwrap_err();
        assert_eq!(bad.reference, Some(Reference("r1".into())));
    }
}
