//! `openchat-server ca status`: also where no server runs, and without the CA's key.

use crate::{
    clock,
    data_dir::{DataDir, file},
    failure::Failure,
    keys,
    operator::{
        log,
        text::{date, grouped, moment},
    },
    output::Output,
    serve::certificate::ServerIdentity,
};
use openchat_pki::{CaCertificate, UnverifiedHead};
use openchat_wire::UnixMillis;
use serde_json::json;

const DAY: u64 = 24 * 3_600_000;

/// Days that the end is told before, and in which words.
const NEAR: [(u64, &str); 3] = [(3, "ENDS NOW"), (14, "ends very soon"), (30, "ends soon")];

/// What is to be told.
struct Status {
    ca: CaCertificate,
    sealed: bool,
    /// The end of the server's certificate, or why there is none.
    server: Result<UnixMillis, String>,
    size: u64,
    root: Option<String>,
    warnings: Vec<String>,
}

/// Tells how the authority stands.
///
/// # Errors
/// If there is none, or its files can't be read.
pub(super) fn run(data: &DataDir, output: Output) -> Result<(), Failure> {
    let now = clock::now();
    let (ca, _) = keys::load_public_ca(data)?;
    let sealed = keys::is_sealed(data, file::CA_KEY)?;
    let identity = ServerIdentity::load(data, &ca);
    let server = identity.map(|found| found.certificate().not_after());
    let server = server.map_err(|due| due.to_string());
    let (size, head) = log::newest_head(data)?;
    let root = head.and_then(|signed| {
        let keys = keys::server_keys(data).ok()?;
        let head = UnverifiedHead::decode(&signed).ok()?;
        Some(head.verify(&keys.log_key, &keys.log_id).ok()?.root.to_string())
    });
    let mut warnings = Vec::new();
    warnings.extend(ending("the authority", ca.not_after(), now).map(|what| {
        let below = ca.chain().count() > 1;
        let next = if below { "ca request" } else { "ca rotate" };
        format!("{what}: {}", data.command(next))
    }));
    if let Ok(end) = server {
        let what = ending("the server's certificate", end, now);
        warnings.extend(what.map(|what| format!("{what}: {}", data.command("health"))));
    }
    if data.has(file::NEXT_CERTIFICATE) {
        warnings.push(format!("a change of the key was cut short: {}", data.command("run")));
    }
    if data.has(file::ASKED_KEY) {
        warnings.push(format!("the root was asked: {}", data.command("ca install FILE")));
    }
    let status = Status { ca, sealed, server, size, root, warnings };
    output.data(&readable(&status), &object(&status))
}

/// That something ends, if it does so in a month.
fn ending(what: &str, end: UnixMillis, now: UnixMillis) -> Option<String> {
    if end < now {
        return Some(format!("{what} HAS ENDED, on {}", date(end)));
    }
    let days = end.0.saturating_sub(now.0) / DAY;
    let (_, how) = NEAR.iter().find(|(near, _)| days < *near)?;
    Some(format!("{what} {how}, on {}", date(end)))
}

fn kept(status: &Status) -> String {
    let under = if status.sealed { "under a passphrase" } else { "WITHOUT A PASSPHRASE" };
    match status.ca.chain().count() {
        1 => format!("here, {under}"),
        _ => format!("here, {under}; the root's is elsewhere"),
    }
}

fn readable(status: &Status) -> String {
    let Status { ca, server, size, .. } = status;
    let end = |end: &Result<UnixMillis, String>| match end {
        Ok(end) => format!("to {}, renews itself", date(*end)),
        Err(why) => format!("made at the next start ({why})"),
    };
    let mut lines = vec![
        format!("name         {}", ca.common_name().unwrap_or("?").escape_debug()),
        format!("pin          SHA256:{}", grouped(&ca.pin())),
        format!("valid        {} to {}", date(ca.not_before()), date(ca.not_after())),
        format!("key          {}", kept(status)),
    ];
    lines.extend(ca.former().iter().map(|former| {
        format!(
            "before       SHA256:{}  to {}",
            grouped(&key_pin(former)),
            date(former.not_after())
        )
    }));
    lines.push(format!("server       {}", end(server)));
    let root = status.root.as_deref().unwrap_or("not signed yet");
    lines.push(format!("log          {size} entries, head {root}"));
    lines.extend(status.warnings.iter().map(|warning| format!("WARNING      {warning}")));
    lines.join("\n")
}

/// The fingerprint of its own key, which is not the pin where there is a root.
fn key_pin(ca: &CaCertificate) -> openchat_wire::Digest {
    openchat_wire::Digest(ca.public_key().fingerprint().0)
}

fn object(status: &Status) -> serde_json::Value {
    let Status { ca, sealed, server, size, root, warnings } = status;
    let former: Vec<String> = ca.former().iter().map(|ca| key_pin(ca).to_string()).collect();
    json!({
        "v": 1, "type": "ca_status", "name": ca.common_name(), "pin": ca.pin().to_string(),
        "valid_from": moment(ca.not_before()), "valid_to": moment(ca.not_after()),
        "sealed": sealed, "offline_root": ca.chain().count() > 1, "key": key_pin(ca).to_string(),
        "former": former, "certificate_valid_to": server.as_ref().ok().map(|end| moment(*end)),
        "recorded": size, "root": root, "warnings": warnings
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_louder_the_nearer_it_is() {
        let now = UnixMillis(1_763_000_000_000);
        let told = |days: u64| ending("it", UnixMillis(now.0 + days * DAY + 1), now);
        assert_eq!(told(30), None);
        for (days, how) in [(29, "ends soon"), (13, "ends very soon"), (2, "ENDS NOW")] {
            assert!(told(days).unwrap().starts_with(&format!("it {how}, on ")), "{days}");
        }
        assert!(ending("it", UnixMillis(0), now).unwrap().contains("HAS ENDED"));
    }
}
