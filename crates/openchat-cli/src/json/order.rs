//! What a script may say, one object a line.

use super::Reference;
use serde_json::Value;

/// A line of input that was understood.
#[derive(Debug, PartialEq)]
pub(crate) struct Send {
    pub(crate) text: String,
    pub(crate) reference: Option<Reference>,
}

/// Why a line of input was not understood.
#[derive(Debug, PartialEq)]
pub(crate) struct BadLine {
    pub(crate) message: String,
    pub(crate) reference: Option<Reference>,
}

/// Reads `{"type":"send","text":…,"ref":…}`. Unknown fields are ignored.
pub(crate) fn parse(line: &str) -> Result<Send, BadLine> {
    let bad = |message: &str, reference| Err(BadLine { message: message.to_owned(), reference });
    let mut line = match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return bad("not an object of JSON", None),
        Err(error) => return bad(&format!("not an object of JSON: {error}"), None),
    };
    let (reference, known) = match line.remove("ref") {
        None | Some(Value::Null) => (None, true),
        Some(value @ (Value::String(_) | Value::Number(_))) => (Some(Reference(value)), true),
        Some(_) => (None, false),
    };
    match (line.remove("type"), line.remove("text")) {
        _ if !known => bad("\"ref\" is neither a string nor a number", None),
        _ if line.get("v").is_some_and(|version| *version != 1) => bad("\"v\" is not 1", reference),
        (Some(Value::String(kind)), Some(Value::String(text))) if kind == "send" => {
            Ok(Send { text, reference })
        }
        (Some(Value::String(kind)), _) if kind == "send" => {
            bad("\"text\" is missing or not a string", reference)
        }
        _ => bad("\"type\" is not \"send\"", reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_no_object_whatever_it_holds() {
        for line in [r#"[1,"send","text",null]"#, r#"["send"]"#, r#""send""#, "1"] {
            assert_eq!(bad(line), "not an object of JSON", "{line}");
        }
        assert_eq!(bad(r#"{"v":null,"type":"send","text":"x"}"#), "\"v\" is not 1");
    }

    fn bad(line: &str) -> String {
        parse(line).unwrap_err().message
    }

    #[test]
    fn a_send_with_and_without_a_ref() {
        let plain = parse(r#"{"type":"send","text":"hi"}"#).unwrap();
        assert_eq!(plain, Send { text: "hi".to_owned(), reference: None });
        let named = parse(r#"{"v":1,"type":"send","text":"hi","ref":7,"later":[]}"#).unwrap();
        assert_eq!(named.reference, Some(Reference(7.into())));
        let named = parse(r#"{"type":"send","text":"\u0068i","ref":"a"}"#).unwrap();
        assert_eq!((named.text.as_str(), named.reference), ("hi", Some(Reference("a".into()))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(bad("hello").starts_with("not an object of JSON"));
        assert!(bad("[]").starts_with("not an object of JSON"));
        assert!(bad(r#"{"type":"send","text":"a"} x"#).starts_with("not an object of JSON"));
        assert_eq!(bad("{}"), "\"type\" is not \"send\"");
        assert_eq!(bad(r#"{"type":"sent","text":"a"}"#), "\"type\" is not \"send\"");
        assert_eq!(bad(r#"{"type":"send"}"#), "\"text\" is missing or not a string");
        assert_eq!(bad(r#"{"type":"send","text":"a","v":2}"#), "\"v\" is not 1");
        assert_eq!(
            bad(r#"{"type":"send","text":"a","ref":{}}"#),
            "\"ref\" is neither a string nor a number"
        );
    }

    #[test]
    fn a_bad_line_keeps_its_ref() {
        let bad = parse(r#"{"type":"send","ref":"r1"}"#).unwrap_err();
        assert_eq!(bad.reference, Some(Reference("r1".into())));
    }
}
