//! Holds what the programs print to `docs/json.schema.json`.
//!
//! It knows the words of JSON Schema that the file uses, and takes no others: so nothing is in the
//! file that is not checked. It is stricter than a reader has to be: a field that the file does not
//! name is a mistake.

use crate::workspace;
use serde_json::{Map, Value};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let path = workspace().join("docs/json.schema.json");
    let text = std::fs::read_to_string(path).expect("the schema is there");
    serde_json::from_str(&text).expect("the schema is JSON")
});

/// Whether `object` is what the schema calls `out-TYPE` or `in-TYPE`.
///
/// # Errors
/// What does not fit, and where.
pub fn check(direction: &str, object: &Value) -> Result<(), String> {
    let kind = object["type"].as_str().ok_or("no type")?;
    let definition = format!("{direction}-{kind}");
    let listed = format!("#/$defs/{definition}");
    let all = SCHEMA["$defs"][direction]["oneOf"].as_array().ok_or("no such direction")?;
    if !all.iter().any(|one| one["$ref"] == *listed) {
        return Err(format!("{definition} is not in the schema"));
    }
    fits(&SCHEMA["$defs"][definition], object).map_err(|why| format!("{why} in {object}"))
}

fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    let words = schema.as_object().ok_or("a schema is an object")?;
    words.iter().try_for_each(|(word, wanted)| {
        let holds = match word.as_str() {
            "description" => true,
            "$ref" => return fits(defined(wanted)?, value),
            "const" => value == wanted,
            "enum" => list(wanted)?.contains(value),
            "type" => is_of_type(wanted, value),
            "anyOf" => list(wanted)?.iter().any(|one| fits(one, value).is_ok()),
            "required" => {
                list(wanted)?.iter().all(|name| !value[name.as_str().unwrap_or("")].is_null())
            }
            "properties" => return properties(wanted, value),
            "items" => {
                return value.as_array().into_iter().flatten().try_for_each(|it| fits(wanted, it));
            }
            "minimum" => value.as_u64() >= wanted.as_u64(),
            "minLength" => {
                value.as_str().map(str::len) >= wanted.as_u64().and_then(|it| it.try_into().ok())
            }
            "pattern" => matches(wanted.as_str().unwrap_or(""), value.as_str().unwrap_or("")),
            other => return Err(format!("the schema says {other}, which is not checked")),
        };
        if holds { Ok(()) } else { Err(format!("{value} is not {word} {wanted}")) }
    })
}

fn defined(reference: &Value) -> Result<&'static Value, String> {
    let pointer = reference.as_str().and_then(|it| it.strip_prefix('#')).unwrap_or("?");
    SCHEMA.pointer(pointer).ok_or_else(|| format!("{reference} is not defined"))
}

fn list(wanted: &Value) -> Result<&Vec<Value>, String> {
    wanted.as_array().ok_or_else(|| format!("{wanted} is no list"))
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => false,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => false,
    }
}

fn properties(wanted: &Value, value: &Value) -> Result<(), String> {
    let empty = Map::new();
    value.as_object().unwrap_or(&empty).iter().try_for_each(|(name, field)| {
        let schema = wanted.get(name).ok_or_else(|| format!("{name} is not in the schema"))?;
        fits(schema, field).map_err(|why| format!("{name}: {why}"))
    })
}

/// Patterns as the schema writes them: characters, classes, groups and their numbers.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    match inner.strip_suffix('$') {
        Some(inner) => rests(inner, text).contains(&""),
        None => !rests(inner, text).is_empty(),
    }
}

/// What may be left of `text` after the pattern.
fn rests<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let Some((atom, least, most, after)) = step(pattern) else { return vec![text] };
    let (mut found, mut now) = (Vec::new(), vec![text]);
    for turn in 0..=most {
        if turn >= least {
            found.extend(now.iter().flat_map(|rest| rests(after, rest)));
        }
        now = now.iter().flat_map(|rest| one(atom, rest)).collect();
    }
    found
}

/// One of what the pattern begins with.
fn one<'a>(atom: &str, text: &'a str) -> Vec<&'a str> {
    if let Some(group) = atom.strip_prefix('(').and_then(|atom| atom.strip_suffix(')')) {
        return rests(group, text);
    }
    let mut rest = text.chars();
    let Some(first) = rest.next() else { return Vec::new() };
    let fits = match atom.strip_prefix('[').and_then(|atom| atom.strip_suffix(']')) {
        Some(class) => in_class(class, first),
        None => atom == "." || atom.starts_with(first),
    };
    if fits { vec![rest.as_str()] } else { Vec::new() }
}

fn in_class(class: &str, wanted: char) -> bool {
    let characters: Vec<char> = class.chars().collect();
    let range = |three: &[char]| three[1] == '-' && (three[0]..=three[2]).contains(&wanted);
    characters.contains(&wanted) || characters.windows(3).any(range)
}

/// What the pattern begins with, how often, and what follows.
fn step(pattern: &str) -> Option<(&str, usize, usize, &str)> {
    /// More than any text of a test.
    const MANY: usize = 200;
    let first = pattern.chars().next()?;
    let end = match first {
        '[' => pattern.find(']')? + 1,
        '(' => pattern.rfind(')')? + 1,
        _ => first.len_utf8(),
    };
    let (atom, rest) = pattern.split_at(end);
    let (least, most, after) = match rest.chars().next() {
        Some('*') => (0, MANY, &rest[1..]),
        Some('+') => (1, MANY, &rest[1..]),
        Some('{') => {
            let (numbers, after) = rest[1..].split_once('}')?;
            let (least, most) = numbers.split_once(',').unwrap_or((numbers, numbers));
            (least.parse().ok()?, most.parse().ok()?, after)
        }
        _ => (1, 1, rest),
    };
    Some((atom, least, most, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_mean_what_they_say() {
        for (pattern, good, bad) in [
            ("^[a-z][a-z0-9-]{0,31}$", "a-9", "9a"),
            ("^[0-9a-f]{4}$", "09af", "09afa"),
            ("^[0-9]{2}( [0-9]{2}){2}$", "12 34 56", "12 34"),
            ("^[#@].+", "#x", "#"),
            ("^[0-9]{1}[.][0-9]{1}Z$", "1.2Z", "1x2Z"),
        ] {
            assert!(matches(pattern, good), "{pattern} {good}");
            assert!(!matches(pattern, bad), "{pattern} {bad}");
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let ack = json!({"v": 1, "type": "ack", "id": "ab".repeat(16), "seq": 1, "ref": "x"});
        check("out", &ack).unwrap();
        for (field, value) in [
            ("v", json!(2)),
            ("type", json!("acks")),
            ("id", json!("AB")),
            ("seq", json!(-1)),
            ("seq", Value::Null),
            ("ref", json!([])),
            ("more", json!(1)),
        ] {
            let mut wrong = ack.clone();
            wrong[field] = value;
            assert!(check("out", &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_definition_uses_words_that_are_checked() {
        fn walk(schema: &Value, found: &mut Vec<String>) {
            if let Err(why) = fits(schema, &json!({}))
                && why.contains("which is not checked")
            {
                found.push(why);
            }
            for inner in ["properties"].iter().filter_map(|word| schema[*word].as_object()) {
                inner.values().for_each(|schema| walk(schema, found));
            }
        }
        let mut found = Vec::new();
        let definitions = SCHEMA["$defs"].as_object().unwrap();
        for (name, schema) in
            definitions.iter().filter(|(name, _)| !["in", "out"].contains(&name.as_str()))
        {
            assert!(!schema["$ref"].is_string(), "{name}");
            walk(schema, &mut found);
        }
        assert!(found.is_empty(), "{found:?}");
    }
}
