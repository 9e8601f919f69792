//! `openchat-server status` and `health`.

use crate::{
    clock,
    data_dir::DataDir,
    failure::{Exit, Failure},
    operator::{
        ask::{ask, unexpected},
        text::{date, moment, size, span},
    },
    output::Output,
};
use openchat_wire::admin::{AdminAnswer, AdminRequest, Status};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Tells how the server does.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn status(data: &DataDir, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Status(status) = ask(data, &AdminRequest::Status)? else {
        return Err(unexpected(data));
    };
    output.data(&readable(&status), &object(&status))?;
    Ok(ExitCode::SUCCESS)
}

fn readable(status: &Status) -> String {
    let up = clock::now().seconds().saturating_sub(status.started.seconds());
    let text = format!(
        "openchat-server {}  {}  up {}\n\
         people        {} online with {} connections, {} registered keys\n\
         logs          {} with {} entries; transparency log {}\n\
         kept          {}\n\
         disk          {} database, {} free\n\
         certificates  CA to {}, server to {}\n\
         since start   {} requests, {} connections refused, {} batches failed, {} handshakes now",
        status.version,
        status.address,
        span(up),
        status.online,
        status.sessions,
        status.registered,
        status.logs,
        status.entries,
        status.recorded,
        kept(status),
        size(status.database_bytes),
        size(status.free_bytes),
        date(status.ca_not_after),
        date(status.certificate_not_after),
        status.requests,
        status.refused,
        status.failed_batches,
        status.handshakes,
    );
    match status.restored {
        Some(backup) => format!("{text}\nrestored      from the backup of {}", moment(backup)),
        None => text,
    }
}

/// How much is kept, how much may be, since when and for how long.
fn kept(status: &Status) -> String {
    let quota = |bytes: Option<u64>| bytes.map_or("any size".to_owned(), size);
    let oldest = status.oldest.map_or("no message".to_owned(), |at| format!("since {}", date(at)));
    let age = status.retention_days.map_or("for ever".to_owned(), |days| format!("{days} days"));
    format!(
        "{} {oldest}, {age}; at most {} a log, {} a person",
        size(status.kept_bytes),
        quota(status.quota_log),
        quota(status.quota_person),
    )
}

fn object(status: &Status) -> Value {
    json!({
        "v": 1, "type": "status", "version": status.version, "started": moment(status.started),
        "address": status.address, "ca_valid_to": moment(status.ca_not_after),
        "certificate_valid_to": moment(status.certificate_not_after),
        "recorded": status.recorded, "registered": status.registered, "online": status.online,
        "connections": status.sessions, "handshakes": status.handshakes, "logs": status.logs,
        "entries": status.entries, "kept_bytes": status.kept_bytes,
        "oldest": status.oldest.map(moment), "quota_log": status.quota_log,
        "quota_person": status.quota_person, "retention_days": status.retention_days,
        "database_bytes": status.database_bytes,
        "free_bytes": status.free_bytes, "requests": status.requests, "refused": status.refused,
        "failed_batches": status.failed_batches, "restored": status.restored.map(moment)
    })
}

/// Tells whether the server is in order, by the exit code too.
///
/// # Errors
/// If something is not, or no server answers.
pub(crate) fn health(data: &DataDir, output: Output) -> Result<ExitCode, Failure> {
    let AdminAnswer::Health(checks) = ask(data, &AdminRequest::Health)? else {
        return Err(unexpected(data));
    };
    let rows: Vec<_> = checks
        .iter()
        .map(|check| {
            let word = if check.ok { "ok" } else { "BAD" };
            let text = vec![word.to_owned(), check.name.clone(), check.detail.clone()];
            let object = json!({
                "v": 1, "type": "check", "name": check.name, "ok": check.ok, "detail": check.detail
            });
            (text, object)
        })
        .collect();
    output.rows(&rows)?;
    let bad: Vec<&str> =
        checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    if bad.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let message = format!("the server is not in order: {}", bad.join(", "));
    Err(Failure::new(Exit::Failure, "unhealthy", message, data.command("status")))
}
