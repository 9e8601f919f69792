//! `openchat-server cert list|show`.

use crate::{
    cli::{CertCommand, CertListArgs, CertShowArgs, WhichCert},
    clock,
    data_dir::DataDir,
    failure::Failure,
    operator::{
        ask::{ask, unexpected},
        directory::Directory,
        text::{date, grouped, moment},
        user,
    },
    output::Output,
    pem::{self, Label},
};
use openchat_wire::{
    Digest,
    admin::{AdminAnswer, AdminRequest, CertificateRecord, WhichCertificate},
};
use serde_json::json;
use std::process::ExitCode;

/// Does what was asked.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn run(
    data: &DataDir,
    command: &CertCommand,
    quiet: bool,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        CertCommand::List(args) => list(data, args, quiet, output),
        CertCommand::Show(args) => show(data, args, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(data: &DataDir, args: &CertListArgs, quiet: bool, output: Output) -> Result<(), Failure> {
    let (directory, now) = (Directory::fetch(data)?, clock::now());
    let wanted = |name| args.name.as_ref().is_none_or(|wanted| wanted == name);
    let issued = directory.issued.iter().filter(|issued| wanted(&issued.name));
    let rows: Vec<_> = issued
        .map(|issued| {
            let text = vec![
                format!("#{}", issued.index.saturating_add(1)),
                issued.name.to_string(),
                issued.serial.clone(),
                date(issued.time),
                format!("to {}", date(issued.not_after)),
                directory.state(issued, now).to_owned(),
            ];
            (text, user::certificate(&directory, issued, now))
        })
        .collect();
    output.rows(&rows)?;
    if rows.is_empty() && !quiet {
        output.note("no such certificate was issued");
    }
    Ok(())
}

fn show(data: &DataDir, args: &CertShowArgs, output: Output) -> Result<(), Failure> {
    let which = which(data, &args.which)?;
    let AdminAnswer::Certificate(found) = ask(data, &AdminRequest::Certificate(which))? else {
        return Err(unexpected(data));
    };
    let Some(found) = found else {
        let message = "the server has no such certificate";
        return Err(Failure::not_found(message, data.command("cert list")));
    };
    let pem = pem::encode(Label::Certificate, &found.der.0);
    let text = if args.pem { pem.trim_end().to_owned() } else { readable(&found) };
    let object = json!({
        "v": 1, "type": "certificate", "names": found.names, "serial": found.serial,
        "fingerprint": found.fingerprint.to_string(), "valid_from": moment(found.not_before),
        "valid_to": moment(found.not_after), "pem": *pem
    });
    output.data(&text, &object)
}

fn which(data: &DataDir, which: &WhichCert) -> Result<WhichCertificate, Failure> {
    match &which.name {
        None if which.ca => Ok(WhichCertificate::Ca),
        None => Ok(WhichCertificate::Server),
        Some(name) => {
            let directory = Directory::fetch(data)?;
            let current = directory.current(name).ok_or_else(|| {
                let message = format!("nobody is registered as {name}");
                Failure::not_found(message, data.command("user list"))
            })?;
            Ok(WhichCertificate::Member(current.key))
        }
    }
}

fn readable(found: &CertificateRecord) -> String {
    let CertificateRecord { serial, names, fingerprint, not_before, not_after, .. } = found;
    let mut lines = Vec::new();
    if !names.is_empty() {
        lines.push(format!("names   {}", names.join(", ")));
    }
    if !serial.is_empty() {
        lines.push(format!("serial  {serial}"));
    }
    lines.push(format!("key     SHA256:{}", grouped(&Digest(fingerprint.0))));
    lines.push(format!("valid   {} to {}", moment(*not_before), moment(*not_after)));
    lines.join("\n")
}
