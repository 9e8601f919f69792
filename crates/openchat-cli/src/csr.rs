//! `openchat enroll --csr`: a certificate for a key that another program keeps.

use crate::{
    args::EnrollArgs,
    context::{Context, runtime},
    enroll::{days_between, given_or_local},
    fault::{Exit, Fault},
    json,
    target::quoted,
    text,
};
use openchat_client::{
    enroll::{self, Certified},
    outside::now,
    pem,
};
use openchat_wire::Name;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

/// Bytes of a request's file: several times one of the longest.
const MAX_FILE: u64 = 64 * 1024;

pub(crate) fn run(
    context: &Context,
    args: EnrollArgs,
    name: &Name,
    csr: &Path,
) -> Result<Exit, Fault> {
    let mut bytes = Vec::new();
    let read = File::open(csr).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    read.map_err(|error| file_fault("read", csr, &error))?;
    let request = pem::request(&bytes);
    // Before the invitation is used up.
    let mut out = args.out.as_deref().map(create).transpose()?;
    let mut ca_out = args.ca_out.as_deref().map(create).transpose()?;
    let certified = runtime()?.block_on(async {
        let invitation = given_or_local(context, args.invite, name).await?;
        let certified = enroll::certify(name, &request, &invitation).await;
        certified.map_err(|error| context.hints.enroll(&error, name.as_str()))
    });
    let certified = certified.inspect_err(|_| {
        // What was made for nothing is empty; if it stays, the next try says so.
        for path in args.out.iter().chain(&args.ca_out) {
            let _ = std::fs::remove_file(path);
        }
    })?;
    let ca: String = certified.ca.iter().map(|der| pem::certificate(der)).collect();
    write(&mut out, &pem::certificate(&certified.der), args.out.as_deref())?;
    write(&mut ca_out, &ca, args.ca_out.as_deref())?;
    report(context, name, &certified)
}

fn create(path: &Path) -> Result<File, Fault> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.map_err(|error| file_fault("make", path, &error))
}

fn write(file: &mut Option<File>, text: &str, path: Option<&Path>) -> Result<(), Fault> {
    let (Some(file), Some(path)) = (file, path) else { return Ok(()) };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| file_fault("write", path, &error))
}

fn file_fault(what: &str, path: &Path, error: &io::Error) -> Fault {
    let message = format!("can't {what} {}: {error}", path.display());
    let hint = format!("ls -l {}", quoted(&path.display().to_string()));
    Fault::new(Exit::Failure, "file", message, hint)
}

fn report(context: &Context, name: &Name, certified: &Certified) -> Result<Exit, Fault> {
    #[derive(Serialize)]
    struct Made<'a> {
        name: &'a str,
        fingerprint: String,
        serial: String,
        not_after: String,
        index: u64,
    }
    let certificate = &certified.certificate;
    let days = days_between(now(), certificate.not_after());
    let number = certified.index.saturating_add(1);
    let said = format!("Certificate of {name} valid {days} days, logged as #{number}.");
    let object = Made {
        name: name.as_str(),
        fingerprint: certificate.fingerprint().to_string(),
        serial: certificate.serial().to_string(),
        not_after: text::rfc3339(certificate.not_after()),
        index: certified.index,
    };
    context.out.result(&said, &json::Object::of("certified", object))?;
    Ok(Exit::Ok)
}
