//! `openchat-server log verify|export`: the transparency log as it is stored, beside a server that may
//! be running.

use crate::{
    cli::{LogCommand, LogExportArgs},
    data_dir::{DataDir, file, quoted, refused},
    failure::{Exit, Failure},
    keys,
    operator::text::moment,
    output::Output,
};
use openchat_pki::{
    Extended, Finding, Head, Irregularity, MerkleLog, Mirror, Origin, ServerKeys, UnverifiedHead,
    export,
};
use openchat_relay::{
    StoreError,
    store::{Recorded, Table},
};
use openchat_store_sqlite::SqliteReader;
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
};

/// Entries read at once.
const PAGE: usize = 1_024;

/// Does what was asked.
///
/// # Errors
/// If the log is not what was signed, or can't be read.
pub(crate) fn run(
    data: &DataDir,
    command: &LogCommand,
    output: Output,
) -> Result<ExitCode, Failure> {
    data.check()?;
    match command {
        LogCommand::Verify => verify(data, output),
        LogCommand::Export(args) => export(data, args, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// The log as it is stored: its entries, and the newest head that covers no more than they are.
struct Stored {
    keys: ServerKeys,
    entries: Vec<Vec<u8>>,
    /// Entries that its head covers.
    covered: usize,
    signed: Vec<u8>,
}

fn verify(data: &DataDir, output: Output) -> Result<(), Failure> {
    let stored = load(data)?;
    let (mirror, extended) = follow(data, &stored)?;
    let Head { size, root, time, .. } = extended.head;
    let beyond = stored.entries.len().saturating_sub(stored.covered);
    let revoked = revocations(&stored.entries);
    let people = mirror.people().count();
    let mut lines = vec![
        format!("ok      {size} entries, root {root}"),
        format!("head    of {}, log {}", moment(time), stored.keys.log_id),
        format!("people  {people} with a key; keys revoked: {revoked}"),
    ];
    lines.extend(extended.findings.iter().map(told));
    if beyond > 0 {
        lines.push(format!("{beyond} further entries have no signed head"));
    }
    let findings: Vec<Value> = extended.findings.iter().map(finding).collect();
    let object = json!({
        "v": 1, "type": "log", "ok": true, "size": size, "root": root.to_string(),
        "time": moment(time), "log": stored.keys.log_id.to_string(), "people": people,
        "revocations": revoked, "findings": findings, "unsigned": beyond
    });
    output.data(&lines.join("\n"), &object)
}

fn told(Finding { index, what }: &Finding) -> String {
    let word = if matches!(what, Irregularity::NewAuthority(_)) { "change" } else { "FOUND" };
    format!("{word:<7} #{}: {what}", index.saturating_add(1))
}

fn finding(Finding { index, what }: &Finding) -> Value {
    json!({"index": index, "message": what.to_string()})
}

fn revocations(entries: &[Vec<u8>]) -> usize {
    let revokes = |entry: &&Vec<u8>| {
        matches!(openchat_pki::Entry::decode(entry), Ok(openchat_pki::Entry::Revoke { .. }))
    };
    entries.iter().filter(revokes).count()
}

fn export(data: &DataDir, args: &LogExportArgs, output: Output) -> Result<(), Failure> {
    let stored = load(data)?;
    let _ = follow(data, &stored)?;
    let (ca, _) = keys::load_public_ca(data)?;
    let origin = Origin::new(&ca, &keys::load_statement(data)?);
    let to_stdout = args.to == Path::new("-");
    let wrote = if to_stdout {
        write_all(&mut io::stdout().lock(), &origin, &stored)
    } else {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&args.to);
        file.and_then(|mut file| {
            write_all(&mut file, &origin, &stored)?;
            file.sync_all()
        })
    };
    wrote.map_err(|error| refused("write", &args.to, &error))?;
    let (pin, size) = (ca.pin(), stored.covered);
    let check = format!("openchat log verify {} --pin {pin}", quoted(&args.to));
    if to_stdout {
        output.note(&format!("{size} entries. Check: openchat log verify FILE --pin {pin}"));
        return Ok(());
    }
    let path = args.to.display().to_string();
    let object = json!({
        "v": 1, "type": "log_exported", "file": path, "size": size, "pin": pin.to_string(),
        "next": check
    });
    output.data(&format!("{size} entries in {path}\nCheck it anywhere: {check}"), &object)
}

fn write_all(to: &mut impl Write, origin: &Origin, stored: &Stored) -> io::Result<()> {
    to.write_all(&export::opening(origin, &stored.signed))?;
    for entry in stored.entries.iter().take(stored.covered) {
        to.write_all(&export::exported(entry))?;
    }
    to.flush()
}

fn load(data: &DataDir) -> Result<Stored, Failure> {
    let keys = keys::server_keys(data)?;
    let failed = |error: StoreError| unreadable(data, &error);
    let reader = open(data)?;
    // Before the entries are read: a log that grows meanwhile has entries beyond this head, and never
    // too few for it.
    let newest = reader.newest(Table::Head).map_err(failed)?;
    let entries = pages(|index, max| reader.recorded(index, max)).map_err(failed)?;
    let Some(newest) = newest else {
        return signed_now(data, keys, entries);
    };
    let size = <[u8; 8]>::try_from(newest.rest.as_slice()).map(u64::from_be_bytes);
    let size = size.ok().and_then(|size| usize::try_from(size).ok());
    let covered = size.ok_or_else(|| damaged(data, "a stored head has no size"))?;
    if covered > entries.len() {
        let first = entries.len().saturating_add(1);
        let what = format!("entries are missing from #{first} on: head {covered} was signed");
        return Err(damaged(data, &what));
    }
    Ok(Stored { keys, entries, covered, signed: newest.value })
}

/// A log of a server that kept no heads: nothing says whether it is as it was, so this says how it is.
fn signed_now(data: &DataDir, keys: ServerKeys, entries: Vec<Vec<u8>>) -> Result<Stored, Failure> {
    let key = keys::load_key(data, file::LOG_KEY)?;
    let log: MerkleLog = entries.iter().collect();
    let signed = log.head(keys.log_id, crate::clock::now()).sign(&key);
    Ok(Stored { keys, covered: entries.len(), entries, signed })
}

/// The mirror of the stored log, which is checked as a device checks it.
fn follow(data: &DataDir, stored: &Stored) -> Result<(Mirror, Extended), Failure> {
    let mut mirror = Mirror::new(&stored.keys);
    let entries = stored.entries.get(..stored.covered).unwrap_or_default();
    match mirror.extend(entries, &stored.signed) {
        Ok(extended) => Ok((mirror, extended)),
        Err(fault) => Err(first_fault(data, stored)?
            .unwrap_or_else(|| damaged(data, &format!("the newest head: {fault}")))),
    }
}

/// The first entry from which on the log is another one than was signed.
fn first_fault(data: &DataDir, stored: &Stored) -> Result<Option<Failure>, Failure> {
    let reader = open(data)?;
    let mut log = MerkleLog::new();
    for entry in &stored.entries {
        let index = log.push(entry);
        let signed = reader.record(Table::Head, &log.size().to_be_bytes());
        let Some(signed) = signed.map_err(|error| unreadable(data, &error))? else { continue };
        let number = index.saturating_add(1);
        let keys = &stored.keys;
        let head = UnverifiedHead::decode(&signed)
            .and_then(|head| head.verify(&keys.log_key, &keys.log_id));
        let what = match head {
            Err(error) => format!("the head of #{number} is damaged: {error}"),
            Ok(head) if head.root != log.root() => {
                format!("entry #{number} is not the one that was signed")
            }
            Ok(_) => continue,
        };
        return Ok(Some(damaged(data, &what)));
    }
    Ok(None)
}

fn damaged(data: &DataDir, what: &str) -> Failure {
    let message = format!("the transparency log in {} is damaged: {what}", data.path().display());
    let hint = "stop the server, keep the directory as it is, and restore your backup";
    Failure::new(Exit::Failure, "log_damaged", message, hint)
}

/// The number of entries and the newest signed head, if one was stored.
pub(crate) fn newest_head(data: &DataDir) -> Result<(u64, Option<Vec<u8>>), Failure> {
    let reader = open(data)?;
    let failed = |error: StoreError| unreadable(data, &error);
    let size = reader.figures().map_err(failed)?.recorded;
    let head = reader.record(Table::Head, &size.to_be_bytes()).map_err(failed)?;
    Ok((size, head))
}

fn open(data: &DataDir) -> Result<SqliteReader, Failure> {
    SqliteReader::open(&data.join(file::DATABASE)).map_err(|error| unreadable(data, &error))
}

/// All entries, read page by page.
pub(crate) fn pages(
    read: impl Fn(u64, usize) -> Result<Vec<Recorded>, StoreError>,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let (mut entries, mut index) = (Vec::new(), 0_u64);
    loop {
        let page = read(index, PAGE)?;
        let complete = page.len() < PAGE;
        for recorded in page {
            entries.push(recorded.entry);
            index = index.saturating_add(1);
        }
        if complete {
            return Ok(entries);
        }
    }
}

pub(crate) fn unreadable(data: &DataDir, error: &StoreError) -> Failure {
    let path = data.join(file::DATABASE);
    let message = format!("the transparency log in {} can't be read: {error}", path.display());
    Failure::config("store", message, format!("ls -l {}", quoted(&path)))
}
