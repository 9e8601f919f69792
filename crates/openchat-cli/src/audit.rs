//! `openchat log verify`: a file about a server, checked by anybody.

use crate::{
    args::LogCommand,
    fault::{Exit, Fault},
    json,
    out::Out,
    target::quoted,
    text,
};
use openchat_client::audit::{self, Audit, Checked, Deceit, Finding, Irregularity, Verdict};
use openchat_wire::Digest;
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Checks the file; needs no profile.
pub(crate) fn run(out: Out, command: &LogCommand) -> Result<Exit, Fault> {
    let LogCommand::Verify { file, pin } = command;
    let bytes = read(file)?;
    let checked = audit::verify(&bytes, pin.as_ref()).map_err(|error| {
        let hint = "ask for the file again; if it stays so, ask why";
        let message = format!("{}: {error}", file.display());
        Fault::new(Exit::Trust, "not-verified", message, hint)
    })?;
    match checked {
        Checked::Log(log) => show_log(out, file, &log, pin.is_some()),
        Checked::Evidence(verdict) => show_evidence(out, &verdict, pin.is_some()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(audit::MAX_FILE).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let exit = match error.kind() {
                io::ErrorKind::NotFound => Exit::NotFound,
                _ => Exit::Failure,
            };
            let message = format!("{} can't be read: {error}", path.display());
            let hint = format!("ls -l {}", quoted(&path.display().to_string()));
            Err(Fault::new(exit, "file", message, hint))
        }
    }
}

#[derive(Serialize)]
struct Found {
    index: u64,
    code: &'static str,
    message: String,
}

fn found(finding: &Finding) -> Found {
    let code = match &finding.what {
        Irregularity::SecondKey { .. } => "second-key",
        Irregularity::SecondName { .. } => "second-name",
        Irregularity::Revived { .. } => "revived",
        Irregularity::RevokedAgain { .. } => "revoked-again",
        Irregularity::RevokedAsOther { .. } => "revoked-as-other",
        Irregularity::RevokedUnknown { .. } => "revoked-unknown",
        Irregularity::SecondGroup { .. } => "second-group",
        Irregularity::NewAuthority(_) => "ca-key",
        Irregularity::Unknown { .. } => "unknown",
        Irregularity::Malformed => "malformed",
    };
    Found { index: finding.index, code, message: finding.what.to_string() }
}

fn show_log(out: Out, file: &Path, log: &Audit, pinned: bool) -> Result<Exit, Fault> {
    #[derive(Serialize)]
    struct Log {
        ok: bool,
        pin: String,
        pinned: bool,
        #[serde(rename = "log")]
        id: String,
        size: u64,
        root: String,
        time: String,
        people: Vec<Person>,
        revocations: usize,
        findings: Vec<Found>,
    }
    #[derive(Serialize)]
    struct Person {
        name: String,
        fingerprint: String,
    }
    let ok = log.is_regular();
    let person = |(name, key): &(openchat_wire::Name, openchat_wire::Fingerprint)| Person {
        name: name.to_string(),
        fingerprint: key.to_string(),
    };
    let object = Log {
        ok,
        pin: log.pin.to_string(),
        pinned,
        id: log.head.log_id.to_string(),
        size: log.head.size,
        root: log.head.root.to_string(),
        time: text::rfc3339(log.head.time),
        people: log.people.iter().map(person).collect(),
        revocations: log.revocations,
        findings: log.findings.iter().map(found).collect(),
    };
    out.result(&readable(log, pinned), &json::Object::of("log", object))?;
    if ok {
        return Ok(Exit::Ok);
    }
    let message =
        format!("{} is a whole log, and it tells of what an honest CA does not do", file.display());
    let hint = "ask the operator, in person, about each line that says FOUND";
    Err(Fault::new(Exit::Trust, "irregular", message, hint))
}

fn readable(log: &Audit, pinned: bool) -> String {
    let mut lines = vec![
        format!("log     {} entries, root {}", log.head.size, log.head.root),
        format!("head    of {}, log {}", text::rfc3339(log.head.time), log.head.log_id),
        pin_line(&log.pin, pinned),
        format!("people  {} with a key; keys revoked: {}", log.people.len(), log.revocations),
    ];
    lines.extend(log.findings.iter().map(|finding| {
        let word = match &finding.what {
            Irregularity::NewAuthority(_) => "CA key",
            Irregularity::Unknown { .. } => "unknown",
            _ => "FOUND",
        };
        format!("{word:<7} #{}: {}", finding.index.saturating_add(1), finding.what)
    }));
    if log.announced.is_some_and(|last| last != log.pin) {
        lines.push("FOUND   the log announces another CA key than the one of this file".to_owned());
    }
    lines.join("\n")
}

fn pin_line(pin: &Digest, pinned: bool) -> String {
    let compare = if pinned { "as given" } else { "compare it with `openchat whoami`" };
    format!("CA      SHA256:{pin}  ({compare})")
}

/// What a file of evidence proves.
#[derive(Debug)]
pub(crate) struct Proof {
    /// What the server has signed.
    pub(crate) what: &'static str,
}

/// Checks a file of evidence about the server of the CA with this pin; says why it proves nothing.
pub(crate) fn proof(file: &Path, pin: &Digest) -> Result<Proof, String> {
    let bytes = read(file).map_err(|fault| fault.message)?;
    match audit::verify(&bytes, Some(pin)) {
        Ok(Checked::Evidence(verdict)) => Ok(Proof { what: words(&verdict.what).1 }),
        Ok(Checked::Log(_)) => Err("it is a log".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// How it is called, for scripts and for people.
const fn words(deceit: &Deceit) -> (&'static str, &'static str) {
    match deceit {
        Deceit::TwoLogs { .. } => ("two-logs", "two transparency logs"),
        Deceit::TwoHistories { .. } => ("two-histories", "two histories of one group"),
    }
}

fn show_evidence(out: Out, verdict: &Verdict, pinned: bool) -> Result<Exit, Fault> {
    #[derive(Serialize)]
    struct Evidence<'a> {
        ok: bool,
        pin: String,
        pinned: bool,
        proves: &'a str,
        detail: &'a [String],
    }
    let (proves, what) = words(&verdict.what);
    let detail = match &verdict.what {
        Deceit::TwoLogs { one, other } => [one, other].map(|head| {
            let time = text::rfc3339(head.time);
            format!("{} entries, root {}, signed {time}", head.size, head.root)
        }),
        Deceit::TwoHistories { one, other } => [one, other].map(|receipt| {
            let (seq, hash) = (receipt.seq.0, receipt.log_hash);
            format!("group {}, place {seq}, log hash {hash}", receipt.group)
        }),
    };
    let text = format!(
        "PROVEN  this server has signed {what}\n  one   {}\n  other {}\n{}",
        detail[0],
        detail[1],
        pin_line(&verdict.pin, pinned)
    );
    let pin = verdict.pin.to_string();
    let object = Evidence { ok: true, pin, pinned, proves, detail: &detail };
    out.result(&text, &json::Object::of("evidence", object))?;
    Ok(Exit::Ok)
}

/// A pin as it is shown or pasted: hex, with or without `SHA256:` and spaces.
pub(crate) fn pin(text: &str) -> Result<Digest, String> {
    let bare = text.trim();
    let bare = bare.strip_prefix("SHA256:").unwrap_or(bare);
    let digits: Vec<u32> = bare
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low));
    let bytes = bytes.collect::<Result<Vec<u8>, _>>().map_err(|_| wrong())?;
    let pin = <[u8; 32]>::try_from(bytes).map_err(|_| wrong())?;
    if rest.is_empty() { Ok(Digest(pin)) } else { Err(wrong()) }
}

fn wrong() -> String {
    "a pin is SHA256: and 64 hex digits".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_taken_as_it_is_shown_anywhere() {
        let (digest, hex) = (Digest([0x7c; 32]), "7c".repeat(32));
        let grouped = format!("SHA256:{}", "7c7c ".repeat(16));
        for text in [hex.clone(), format!("SHA256:{hex}"), grouped, hex.to_uppercase()] {
            assert_eq!(pin(&text), Ok(digest), "{text}");
        }
        for bad in ["", "SHA256:", &hex[1..], &format!("{hex}7"), &hex.replace('7', "g")] {
            assert!(pin(bad).is_err(), "{bad}");
        }
    }
}
