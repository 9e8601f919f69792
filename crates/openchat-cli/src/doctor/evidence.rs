//! Whether the server was caught lying: files in the profile prove it.

use super::Finding;
use crate::{
    audit::{self, Proof},
    context::Context,
    fault::Hints,
    text::quoted_path,
};
use openchat_client::{Identity, Vault};
use openchat_wire::Digest;
use std::path::{Path, PathBuf};

const CHECK: &str = "evidence";

pub(super) fn check(context: &Context, vault: &Vault, identity: &Identity) -> Vec<Finding> {
    match vault.evidence() {
        Ok(files) => judged(&context.hints, &files, &identity.ca_pin),
        Err(error) => vec![Finding::of_fault(CHECK, context.hints.vault(&error))],
    }
}

fn judged(hints: &Hints, files: &[PathBuf], pin: &Digest) -> Vec<Finding> {
    if files.is_empty() {
        return vec![Finding::ok(CHECK, "the server has not been caught lying")];
    }
    files.iter().map(|file| of_file(hints, file, pin)).collect()
}

/// What it proves about the server of this profile.
fn of_file(hints: &Hints, file: &Path, pin: &Digest) -> Finding {
    let path = quoted_path(file);
    let verify = hints.command(&format!("log verify {path}"));
    match audit::proof(file, pin) {
        Ok(Proof { what }) => {
            let message = format!("{path} proves that the server has signed {what}");
            let hint = format!(
                "{verify}; show it to the others, and ask the operator in person; when it is \
                 explained, move the file elsewhere"
            );
            Finding::fail(CHECK, message, hint)
        }
        // That of a CA that was replaced since is none against this one.
        Err(why) => {
            let message = format!("{path} proves nothing about this server: {why}");
            Finding::warn(CHECK, message, format!("{verify}; move the file elsewhere"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    #[test]
    fn no_file_is_well_and_one_that_proves_nothing_is_no_failure() {
        let hints = Hints::new("openchat".to_owned());
        let judged = |files: &[PathBuf]| judged(&hints, files, &Digest([7; 32]));
        assert_eq!(judged(&[]).iter().map(|it| it.level).collect::<Vec<_>>(), [Level::Ok]);
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("server-1.evidence");
        std::fs::write(&file, "nothing").unwrap();
        let found = judged(&[file.clone(), place.path().join("gone.evidence")]);
        assert!(found.len() == 2 && found.iter().all(|it| it.level == Level::Warn), "{found:?}");
        let hint = found[0].hint.as_ref().unwrap();
        assert!(hint.starts_with("openchat log verify ") && hint.contains("server-1"), "{hint}");
    }
}
