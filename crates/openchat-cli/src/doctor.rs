//! `openchat doctor`: what is wrong here, and the next command for each of it.
//!
//! Each family of checks is a module: it gathers what there is to see, and judges it apart from that.

mod certificate;
mod conversations;
mod evidence;
mod profile;
mod server;
mod terminal;

use crate::{
    args::Global,
    config::Config,
    context::Context,
    fault::{Exit, Fault},
    json,
    text::{quoted_path, safe},
};
use openchat_client::{Identity, Places, Vault, VaultError};
use std::path::Path;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    /// It works, and somebody should know.
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    level: Level,
    /// What was looked at; listed in `docs/json.md`.
    check: &'static str,
    message: String,
    /// What to do about it; nothing if it is well.
    hint: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, message: message.into(), hint: None }
    }

    fn warn(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { level: Level::Warn, check, message: message.into(), hint: Some(hint.into()) }
    }

    fn fail(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { level: Level::Fail, check, message: message.into(), hint: Some(hint.into()) }
    }

    fn of_fault(check: &'static str, fault: Fault) -> Self {
        Self::fail(check, fault.message, fault.hint)
    }
}

/// Looks at everything, the configuration first: without it the rest is looked at as if there were
/// none.
pub(crate) fn run(global: Global) -> Result<Exit, Fault> {
    let places = Places::from_env()?;
    let usual = places.config_file();
    let path = global.config.clone().unwrap_or(usual);
    let loaded = Config::load(global.config.as_deref(), &places);
    let finding = configuration(&path, path.exists(), loaded.as_ref().err());
    let context = Context::with(global, places, loaded.unwrap_or_default())?;
    examine(&context, vec![finding])
}

fn configuration(path: &Path, is_there: bool, fault: Option<&Fault>) -> Finding {
    const CHECK: &str = "config";
    let place = path.display();
    match fault {
        Some(fault) => {
            let hint = format!("${{EDITOR:-vi}} {}; {}", quoted_path(path), fault.hint);
            Finding::fail(CHECK, &fault.message, hint)
        }
        None if is_there => Finding::ok(CHECK, place.to_string()),
        None => Finding::ok(CHECK, format!("{place} is not there, and need not be")),
    }
}

/// Looks at everything else and prints it all.
pub(crate) fn examine(context: &Context, before: Vec<Finding>) -> Result<Exit, Fault> {
    let mut findings = before;
    findings.extend(terminal::check());
    findings.extend(profile::check(&context.directory()));
    let looked = Vault::look_with(&context.directory(), &context.unlock);
    let looked = looked.and_then(|vault| match vault {
        Some(vault) => Ok(vault.identity()?.map(|identity| (vault, identity))),
        None => Ok(None),
    });
    findings.push(profile::vault(context, &looked));
    let is_enrolled = !matches!(looked, Ok(None));
    if let Ok(Some((vault, identity))) = &looked {
        findings.extend(enrolled(context, vault, identity)?);
    }
    print(context, &findings)?;
    if !is_enrolled {
        return Err(context.hints.not_enrolled());
    }
    verdict(&findings)
}

/// What only somebody who is enrolled has.
fn enrolled(context: &Context, vault: &Vault, identity: &Identity) -> Result<Vec<Finding>, Fault> {
    let mut findings = profile::key_elsewhere(vault);
    let stored = conversations::stored(context, vault, identity);
    let log_time = stored.as_ref().ok().and_then(|stored| stored.log_time);
    findings.extend(certificate::check(context, identity, log_time));
    findings.push(server::check(context, identity)?);
    findings.extend(evidence::check(context, vault, identity));
    findings.extend(conversations::check(context, identity, stored));
    Ok(findings)
}

fn print(context: &Context, findings: &[Finding]) -> Result<(), Fault> {
    findings.iter().try_for_each(|finding| {
        context.out.result(&line(finding), &json::Object::of("finding", object(finding)))
    })
}

fn line(finding: &Finding) -> String {
    let word = match finding.level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "FAIL",
    };
    // Some of it may be a server's words.
    let line = format!("{word:<4}  {:<11}  {}", finding.check, safe(&finding.message));
    let next = finding.hint.as_ref().map(|hint| format!("\nnext: {}", safe(hint)));
    line + &next.unwrap_or_default()
}

fn object(finding: &Finding) -> json::Finding<'_> {
    json::Finding {
        check: finding.check,
        level: match finding.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        },
        message: &finding.message,
        hint: finding.hint.as_deref(),
    }
}

/// The end: a warning is none that a script has to stop at.
fn verdict(findings: &[Finding]) -> Result<Exit, Fault> {
    let mut failed = findings.iter().filter(|finding| finding.level == Level::Fail);
    let Some(first) = failed.next() else { return Ok(Exit::Ok) };
    let count = failed.count() + 1;
    let message =
        format!("{count} of {} checks failed, the first one: {}", findings.len(), first.check);
    let hint = first.hint.clone().unwrap_or_default();
    Err(Fault::new(Exit::Failure, "unwell", message, hint))
}

/// What looking into a vault gave.
type Looked = Result<Option<(Vault, Identity)>, VaultError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_not_there_is_well_and_a_broken_one_is_told_with_its_line() {
        let path = Path::new("/h/my config.toml");
        assert_eq!(configuration(path, false, None).level, Level::Ok);
        assert_eq!(configuration(path, true, None).level, Level::Ok);
        let fault = Fault::usage("/h/my config.toml: line 2: no", "keys are: …");
        let finding = configuration(path, true, Some(&fault));
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.contains("line 2"), "{finding:?}");
        assert!(finding.hint.unwrap().contains("'/h/my config.toml'; keys are"));
    }

    #[test]
    fn a_failure_ends_with_1_and_a_warning_does_not() {
        let (ok, warn) =
            (Finding::ok("disk", "much"), Finding::warn("queue", "2", "openchat join"));
        assert_eq!(verdict(&[ok.clone(), warn.clone()]), Ok(Exit::Ok));
        let fail = Finding::fail("server", "gone", "openchat status");
        let fault = verdict(&[ok, warn, fail.clone(), fail]).unwrap_err();
        assert_eq!((fault.exit, fault.code), (Exit::Failure, "unwell"));
        assert_eq!(fault.message, "2 of 4 checks failed, the first one: server");
        assert_eq!(fault.hint, "openchat status");
    }

    #[test]
    fn what_a_server_says_does_not_act_on_the_terminal() {
        let line = line(&Finding::fail("server", "\u{1b}[2J", "x\u{202e}"));
        assert!(line.starts_with("FAIL  server       "), "{line:?}");
        assert!(line.contains("\nnext: ") && !line.contains(['\u{1b}', '\u{202e}']), "{line:?}");
    }
}
