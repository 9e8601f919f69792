//! Every command that a message, a help text or a document advises is one that the programs know.
//!
//! Texts are collected from the sources and the documents, not from a list: whatever follows the name
//! of a program is tried with that program, and whatever begins with `/` with the table of commands.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use openchat_client::wish;
use openchat_sim::{files_below, program, workspace};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Output,
};

/// What follows a program's name where it is the subject of a sentence, or the name of a format.
const PROSE: &[&str] = &[
    "and",
    "does",
    "invitation",
    "is",
    "knows",
    "left",
    "of",
    "root",
    "server",
    "talks",
    "that",
    "up",
    "uses",
];

/// What follows `/` where it begins a path.
const PATHS: &[&str] = &[
    "dev", "etc", "health", "home", "media", "metrics", "path", "proc", "run", "text", "tmp",
    "usr", "var",
];

/// What stands in the place of a word that the reader is to choose.
const CHOICES: &[&str] = &[
    "bob",
    "#ops",
    "@bob",
    "7d",
    "admin",
    "00112233445566778899aabbccddeeff",
    "SHA256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "123456789012345678901234567890123456789012345678901234567890",
    "2026-11-20T00:00:00Z",
    "127.0.0.1:7443",
    "openchat://192.168.1.20:7443/#v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
];

#[test]
fn every_advised_command_is_known() {
    let mut programs = Programs::default();
    let mut wrong = Vec::new();
    let (mut lines, mut slashes) = (BTreeSet::new(), BTreeSet::new());
    for (file, text) in texts() {
        for line in lines_in(&text) {
            wrong.extend(programs.mistake(&line).map(|why| format!("{file}: {why}")));
            lines.insert(line);
        }
        for line in slashes_in(&text) {
            wrong.extend(slash_mistake(&line).map(|why| format!("{file}: {why}")));
            slashes.insert(line);
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.len() > 100 && slashes.len() > 40, "{} {}", lines.len(), slashes.len());
}

#[test]
fn an_invented_command_is_found() {
    let mut programs = Programs::default();
    for text in [
        "fn f() { hint(\"Compare: openchat verfy bob\"); }",
        "fn f() { hint(\"'openchat group lisst' shows them\"); }",
        "fn f() { hint(\"openchat send --no-such-option TARGET TEXT\"); }",
        "fn f() { hints.command(\"verfy WHO\"); }",
        "fn f() { hints.command(&format!(\"group lisst {target}\")); }",
        "fn f() { say(\"openchat-server user forget {name}\"); }",
    ] {
        let texts = strings(text, "openchat");
        let mut lines = texts.iter().flat_map(|text| lines_in(text));
        assert!(lines.any(|line| programs.mistake(&line).is_some()), "{text}");
    }
    for text in ["Trust anyway: /trsut bob.", "/verify or `/kik bob`", "(/role bob king)"] {
        let mut lines = slashes_in(text).into_iter();
        assert!(lines.any(|line| slash_mistake(&line).is_some()), "{text}");
    }
    for text in ["openchat verify bob", "'openchat group list' shows them", "openchat of this"] {
        for line in lines_in(text) {
            assert_eq!(programs.mistake(&line), None);
        }
    }
}

/// All that people may read, with the file that has it.
fn texts() -> Vec<(String, String)> {
    let root = workspace();
    let mut texts = Vec::new();
    for file in files_below(&root.join("crates")) {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let is_rust = file.extension().is_some_and(|kind| kind == "rs");
        let is_source = is_rust && name.contains("/src/");
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        let is_ours = ["cli", "client", "engine", "server", "tui"]
            .iter()
            .any(|one| name.starts_with(&format!("crates/openchat-{one}/")));
        if is_source && is_ours && !is_test {
            let source = fs::read_to_string(&file).unwrap();
            let is_server = name.starts_with("crates/openchat-server/");
            let program = if is_server { "openchat-server" } else { "openchat" };
            let source = source.split("#[cfg(test)]").next().unwrap().to_owned();
            texts.extend(strings(&source, program).into_iter().map(|text| (name.clone(), text)));
        }
    }
    for document in ["README.md", "docs/user-guide.md", "docs/operations.md", "docs/json.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        texts.extend(code(&text).into_iter().map(|text| (document.to_owned(), text)));
    }
    assert!(texts.len() > 1_000, "the sources are found");
    texts
}

/// The strings of a source, and its documentation, which becomes the help. What a hint puts the
/// program's name before, gets it here.
fn strings(source: &str, program: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = String::new();
    for line in source.lines() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            found.extend(code(doc));
            continue;
        }
        if line.starts_with("//") {
            continue;
        }
        before.push_str(line);
        before.push('\n');
    }
    let mut rest = before.as_str();
    let mut is_second = false;
    while let Some((code, after)) = rest.split_once('"') {
        let (text, after) = literal(after);
        let is_hint = ["command(", "command(&format!("]
            .iter()
            .any(|call| code.trim_end().ends_with(call) && !code.contains("fn command"));
        // A hint for both: first the command of a line, then that of a shell.
        let is_first = is_hint && [", \"", ", &format!(\""].iter().any(|it| after.starts_with(it));
        found.push(match (is_first, is_hint || is_second) {
            (true, _) => format!("/{text}"),
            (false, true) => format!("{program} {text}"),
            (false, false) => text,
        });
        (is_second, rest) = (is_first, after);
    }
    found
}

/// A string's text, and what follows it.
fn literal(after: &str) -> (String, &str) {
    let mut text = String::new();
    let mut characters = after.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (text, &after[at + 1..]),
            // A line that goes on, a quote, or the end of a line.
            '\\' => match characters.next() {
                Some((_, 'n' | '\n')) => text.push('\n'),
                Some((_, other)) => text.push(other),
                None => {}
            },
            character => text.push(character),
        }
    }
    (text, "")
}

/// What a document shows as code.
fn code(text: &str) -> Vec<String> {
    // As a table needs it.
    let text = text.replace("\\|", "|");
    let mut found = Vec::new();
    for (at, block) in text.split("```").enumerate() {
        if at % 2 == 1 {
            found.push(block.to_owned());
        } else {
            found.extend(block.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " ")));
        }
    }
    found
}

/// `openchat …` and `openchat-server …` in a text, as far as they may go.
fn lines_in(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for name in ["openchat", "openchat-server"] {
        for (at, _) in text.match_indices(&format!("{name} ")) {
            let is_word = text[..at].chars().next_back().is_none_or(|one| " '`(\n|>".contains(one));
            let after = &text[at + name.len() + 1..];
            // The screen's first line, and a command that is run as a user of that name.
            if !is_word || after.starts_with(' ') || after.starts_with(name) {
                continue;
            }
            let words = words(after);
            // The name of a format has its version.
            if words.last().is_some_and(|word| word == "1") {
                continue;
            }
            for words in alternatives(&words) {
                found.push([vec![name.to_owned()], words].concat());
            }
        }
    }
    found
}

/// Words until something that ends a command, as a shell takes them apart.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(' ');
    while let Some(first) = rest.chars().next() {
        if let Some((quoted, after)) =
            rest.strip_prefix('\'').and_then(|after| after.split_once('\''))
        {
            words.push(quoted.to_owned());
            rest = after.trim_start_matches(' ');
            continue;
        }
        if "#|<>&;)(\n\\`'\"$".contains(first) {
            break;
        }
        let end = rest.find([' ', '\n', '\'', '`', ';', ')', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let bare = word.trim_end_matches(['.', ':', '?']);
        words.push(bare.to_owned());
        if bare != word || !after.starts_with(' ') {
            break;
        }
        rest = after.trim_start_matches(' ');
    }
    words.retain(|word| !word.is_empty() && word != "…");
    words
}

/// `list|show` is both.
fn alternatives(words: &[String]) -> Vec<Vec<String>> {
    let Some(at) = words.iter().position(|word| word.contains('|') && !word.contains(' ')) else {
        return vec![words.to_vec()];
    };
    let one = |word: &str| {
        let mut words = words.to_vec();
        word.clone_into(&mut words[at]);
        words
    };
    words[at].split('|').map(one).flat_map(|words| alternatives(&words)).collect()
}

/// The programs, and what they have said already.
#[derive(Default)]
struct Programs {
    said: BTreeMap<Vec<String>, (bool, String)>,
}

impl Programs {
    /// Why this is no command, if it is none.
    fn mistake(&mut self, line: &[String]) -> Option<String> {
        let mut words = line.to_vec();
        // Whose profile is said before the command.
        while words.get(1).is_some_and(|word| ["-P", "-c"].contains(&word.as_str())) {
            words.drain(1..words.len().min(3));
        }
        words.truncate(words.iter().position(|word| word == "--").unwrap_or(words.len()));
        let Some(path) = self.path(&words) else {
            return Some(format!("`{}`: there is no such command", line.join(" ")));
        };
        // Sentences go on behind a command, but not with an option.
        let least = words.iter().rposition(|word| word.starts_with("--")).map_or(path, |at| at + 1);
        let is_known = (least.max(path)..=words.len()).rev().any(|end| self.parses(&words[..end]));
        (!is_known).then(|| format!("`{}`: not understood", line.join(" ")))
    }

    /// How many words name the command.
    fn path(&mut self, words: &[String]) -> Option<usize> {
        let mut path = 1;
        while let Some(word) = words.get(path) {
            let known = self.subcommands(&words[..path]);
            let is_prose = path == 1 && PROSE.contains(&word.as_str());
            if known.contains(word) {
                path += 1;
            } else if known.is_empty() || is_prose || word.starts_with('-') || is_chosen(word) {
                break;
            } else {
                return None;
            }
        }
        Some(path)
    }

    /// What may follow, from the help.
    fn subcommands(&mut self, words: &[String]) -> Vec<String> {
        let (_, help) = self.ask(words);
        let list = help.split_once("Commands:\n").map(|(_, after)| after).unwrap_or_default();
        let list = list.split("\n\n").next().unwrap_or_default().lines();
        let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
        list.filter_map(name).filter(|name| !name.is_empty()).collect()
    }

    /// Whether the program takes these words, with some choice in the place of each that is open.
    fn parses(&mut self, words: &[String]) -> bool {
        if let [_, prose, ..] = words
            && PROSE.contains(&prose.as_str())
            && self.ask(words).0
        {
            return true;
        }
        let Some(open) = words.iter().position(|word| is_chosen(word)) else {
            return self.ask(words).0 || self.parses_with_a_value(words);
        };
        CHOICES.iter().any(|choice| {
            let mut words = words.to_vec();
            (*choice).clone_into(&mut words[open]);
            self.parses(&words)
        })
    }

    /// An option may be mentioned without its value.
    fn parses_with_a_value(&mut self, words: &[String]) -> bool {
        let is_option = |word: &String| word.starts_with("--");
        let is_bare =
            |at: &usize| is_option(&words[*at]) && words.get(at + 1).is_none_or(is_option);
        let bare: Vec<usize> = (0..words.len()).filter(is_bare).collect();
        let with = |at: &usize, choice: &str| {
            [&words[..=*at], &[choice.to_owned()], &words[at + 1..]].concat()
        };
        bare.iter().any(|at| CHOICES.iter().any(|choice| self.ask(&with(at, choice)).0))
    }

    fn ask(&mut self, words: &[String]) -> (bool, String) {
        if let Some(said) = self.said.get(words) {
            return said.clone();
        }
        let mut command = program(&words[0]);
        let nowhere = Path::new("/nonexistent");
        command.env("OPENCHAT_HOME", nowhere).env("OPENCHAT_SERVER_HOME", nowhere);
        // With it nothing is done, but all before it is read.
        let output: Output = command.args(&words[1..]).arg("--help").output().unwrap();
        let said = (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned());
        self.said.insert(words.to_vec(), said.clone());
        said
    }
}

/// Whether the reader, or the program, puts something else there.
fn is_chosen(word: &str) -> bool {
    let is_name = word.len() > 1
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        && word.bytes().any(|byte| byte.is_ascii_uppercase());
    is_name || word.contains(['{', '…', '[', '<'])
}

/// `/command …` in a text, as far as it may go.
fn slashes_in(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('/') {
        let before = text[..at].chars().next_back();
        let is_word = before.is_none_or(|one| " '`(\n".contains(one));
        let words = words(&text[at + 1..]);
        let Some(name) = words.first() else { continue };
        let is_command = name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_lowercase());
        if is_word && is_command && !PATHS.contains(&name.as_str()) {
            found.extend(alternatives(&words));
        }
    }
    found
}

fn slash_mistake(line: &[String]) -> Option<String> {
    let why = || format!("`/{}`: not understood", line.join(" "));
    let command = wish::COMMANDS.iter().find(|command| command.name == line[0]);
    // A usage names what may be left out.
    if command.is_none_or(|command| command.usage.contains(&line.join(" "))) {
        return command.is_none().then(why);
    }
    let is_known = |words: &[String]| understood(words);
    let least = if line.len() > 1 && wish::slash(&line[0]).is_err() { 2 } else { 1 };
    let known = (least..=line.len()).rev().any(|end| is_known(&line[..end]));
    (!known).then(why)
}

fn understood(words: &[String]) -> bool {
    let Some(open) = words.iter().position(|word| is_chosen(word)) else {
        return wish::slash(&words.join(" ")).is_ok();
    };
    CHOICES.iter().any(|choice| {
        let mut words = words.to_vec();
        (*choice).clone_into(&mut words[open]);
        understood(&words)
    })
}
