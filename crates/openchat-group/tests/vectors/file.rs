//! The files: JSON, one line for each element of a list at the top, bytes in hexadecimal.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[expect(clippy::disallowed_methods, reason = "whoever writes the vectors says so there")]
pub(crate) fn is_writing() -> bool {
    env::var_os("OPENCHAT_WRITE_VECTORS").is_some()
}

/// What a file holds; nothing if there is none yet.
#[expect(clippy::disallowed_methods, reason = "the vectors are files")]
pub(crate) fn read(name: &str) -> Value {
    let text = fs::read_to_string(path(name));
    text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
}

/// Where to take tokens from: the file, unless it is to be written.
pub(crate) fn frozen(name: &str) -> Value {
    if is_writing() { Value::Null } else { read(name) }
}

/// Compares what was made with the file, or writes it.
pub(crate) fn settle(name: &str, made: &Value) {
    if is_writing() {
        #[expect(clippy::disallowed_methods, reason = "the vectors are files")]
        fs::write(path(name), render(made)).unwrap();
    }
    let kept = read(name);
    for (key, value) in made.as_object().unwrap() {
        let list = value.as_array().cloned().unwrap_or_default();
        for (index, element) in list.iter().enumerate() {
            assert_eq!(kept[key][index], *element, "{name}: {key}[{index}]");
        }
        assert_eq!(kept[key], *value, "{name}: {key}");
    }
    assert_eq!(kept, *made, "{name}");
}

fn render(value: &Value) -> String {
    let fields = value.as_object().unwrap().iter().map(|(key, value)| {
        let rendered = match value.as_array() {
            Some(list) => {
                let lines: Vec<String> = list.iter().map(|it| format!("  {it}")).collect();
                format!("[\n{}\n ]", lines.join(",\n"))
            }
            None => value.to_string(),
        };
        format!(" \"{key}\": {rendered}")
    });
    format!("{{\n{}\n}}\n", fields.collect::<Vec<_>>().join(",\n"))
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap();
    bytes.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

pub(crate) fn array<const N: usize>(value: &Value) -> [u8; N] {
    unhex(value).try_into().unwrap()
}
