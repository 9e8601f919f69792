//! The documents agree with the code and with each other.

use openchat_sim::{files_below, workspace};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn read(path: &Path) -> String {
    let text = std::fs::read_to_string(path);
    assert!(text.is_ok(), "{}: {text:?}", path.display());
    text.unwrap_or_default()
}

fn sources() -> Vec<PathBuf> {
    let mut files = files_below(&workspace().join("crates"));
    files.retain(|path| path.extension().is_some_and(|kind| kind == "rs"));
    // This file has the citations' pattern, and no citation.
    files.retain(|path| !path.ends_with("openchat-sim/tests/docs.rs"));
    assert!(files.len() > 50, "the sources are found");
    files
}

/// Numbers of checks such as `C12`: a capital letter and digits, as words of their own.
fn checks(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_check = |word: &&str| {
        let (letter, digits) = word.split_at_checked(1).unwrap_or(("", ""));
        "BCEFHKMNPQRTW".contains(letter)
            && !digits.is_empty()
            && digits.len() <= 2
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    words.filter(|word| !word.is_empty()).filter(is_check).map(str::to_owned).collect()
}

/// Numbers that the protocol defines: those in bold.
fn defined() -> BTreeSet<String> {
    let protocol = read(&workspace().join("docs/protocol.md"));
    protocol.split("**").skip(1).step_by(2).flat_map(checks).collect()
}

#[test]
fn every_check_that_an_error_names_is_defined_in_the_protocol() {
    let defined = defined();
    assert!(defined.len() > 40, "{defined:?}");
    let mut named = BTreeSet::new();
    for path in sources() {
        let text = read(&path);
        // Error texts begin with the number of their check: `#[error("C7: …")]`.
        let errors = text.split("#[error(\"").skip(1);
        named
            .extend(errors.filter_map(|error| checks(error.split(':').next()?).into_iter().next()));
    }
    assert!(named.contains("C7") && named.contains("P3") && named.contains("M4"), "{named:?}");
    let missing: Vec<_> = named.difference(&defined).collect();
    assert!(missing.is_empty(), "not in docs/protocol.md: {missing:?}");
}

#[test]
fn every_public_check_of_a_commit_is_named_by_an_error() {
    let faults = read(&workspace().join("crates/openchat-roster/src/fault.rs"));
    let named = checks(&faults);
    for check in defined().iter().filter(|check| check.starts_with(['C', 'N'])) {
        assert!(named.contains(check), "{check} is defined, and no fault names it");
    }
}

#[test]
fn every_section_that_the_code_cites_exists() {
    let protocol = read(&workspace().join("docs/protocol.md"));
    let headings: BTreeSet<&str> = protocol
        .lines()
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|number| number.trim_end_matches('.'))
        .collect();
    for path in sources() {
        for cited in read(&path).split("docs/protocol.md` §").skip(1) {
            let number: String =
                cited.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let number = number.trim_end_matches('.');
            assert!(headings.contains(number), "{}: §{number}", path.display());
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = workspace();
    let mut documents = files_below(&root.join("docs"));
    documents.extend(files_below(&root.join("pki")));
    documents.push(root.join("README.md"));
    documents.retain(|path| path.extension().is_some_and(|kind| kind == "md"));
    assert!(documents.len() > 8);
    for document in documents {
        for link in read(&document).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = document.parent().unwrap_or(&root).join(target);
            assert!(path.exists(), "{} links to {target}", document.display());
        }
    }
}

/// The parts of the sources that are tests: whole files below `tests`, and what follows the first
/// `cfg(test)` of others.
fn tests() -> String {
    let mut all = String::new();
    for path in sources() {
        let text = read(&path);
        let is_whole = path.components().any(|part| part.as_os_str() == "tests")
            || path.file_name().is_some_and(|name| name == "tests.rs");
        let from = if is_whole { Some(0) } else { text.find("#[cfg(test)]") };
        all.extend(from.and_then(|from| text.get(from..)));
    }
    all
}

#[test]
fn every_check_of_the_protocol_has_a_test_that_names_it() {
    let tests = tests();
    let mut named = checks(&tests);
    // In names of functions: `fn c7_signed_by_another`.
    let functions = tests.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
    named.extend(functions.flat_map(|name| checks(&name.replace('_', " ").to_uppercase())));
    let missing: Vec<_> = defined().into_iter().filter(|check| !named.contains(check)).collect();
    assert!(missing.is_empty(), "without a test: {missing:?}");
}
