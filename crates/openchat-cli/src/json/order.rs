//! What a script may say, one object a line.

use super::Reference;
use crate::{
    args::{InviteWord, JoinWord, RoleWord},
    target,
    wish::{What, Wish, word},
};
use openchat_client::engine::{Bring, Grounds, GroupKind, SafetyNumberError, Target};
use openchat_wire::Name;
use serde_json::{Map, Value};

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
    Send { target: Option<Target>, text: String },
    /// Anything else.
    Wish(Wish),
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
        return Ok(Ordered::Send { target: at(fields)?, text });
    }
    let what = what(kind, fields)?;
    Ok(Ordered::Wish(Wish { target: at(fields)?, what }))
}

const UNKNOWN: &str = "\"type\" is not one of: send, new, join, decline, leave, rejoin, invite, \
                       add, kick, role, policy, names, verify, trust";

fn what(kind: &str, fields: &Map<String, Value>) -> Result<What, String> {
    Ok(match kind {
        "join" => What::Join,
        "decline" => What::Decline,
        "leave" => What::Leave,
        "rejoin" => What::Rejoin,
        "names" => What::Names,
        "invite" => What::Invite(people(fields, "who", true)?),
        "add" => What::Add(people(fields, "who", true)?),
        "kick" => What::Kick(person(string(fields, "who")?)?),
        "role" => {
            let role = word::<RoleWord>(string(fields, "role")?)?;
            What::Role(person(string(fields, "who")?)?, role.into())
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
    let join = optional(fields, "join")?.map(word::<JoinWord>).transpose()?;
    let invite = optional(fields, "invite")?.map(word::<InviteWord>).transpose()?;
    if join.is_none() && invite.is_none() {
        return Err("\"join\" or \"invite\" is missing".to_owned());
    }
    Ok(What::Policy { join: join.map(Into::into), invite: invite.map(Into::into) })
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
        Ordered::Send { target: None, text: text.to_owned() }
    }

    fn wish(line: &str) -> Wish {
        match parse(line).unwrap().what {
            Ordered::Wish(wish) => wish,
            Ordered::Send { .. } => panic!("{line}"),
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
