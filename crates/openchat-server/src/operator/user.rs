//! `openchat-server user list|show|revoke|reset`.

mod change;

use crate::{
    cli::{Global, UserCommand, UserShowArgs},
    clock,
    data_dir::DataDir,
    failure::Failure,
    operator::{
        ask::{ask, unexpected},
        directory::{Directory, Issued, Revocation},
        text::{date, grouped, moment, short},
    },
    output::Output,
};
use openchat_wire::{
    Digest, Fingerprint, Name, UnixMillis,
    admin::{AdminAnswer, AdminRequest, PAGE},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::ExitCode};

/// Does what was asked.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn run(
    data: &DataDir,
    command: &UserCommand,
    global: &Global,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        UserCommand::List => list(data, global.quiet, output),
        UserCommand::Show(args) => show(data, args, output),
        UserCommand::Revoke(args) => change::revoke(data, args, global, output),
        UserCommand::Reset(args) => change::reset(data, args, global, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(data: &DataDir, quiet: bool, output: Output) -> Result<(), Failure> {
    let (directory, online, now) = (Directory::fetch(data)?, online(data)?, clock::now());
    let rows: Vec<_> = directory
        .newest()
        .into_iter()
        .map(|issued| row(&directory, issued, &online, now))
        .collect();
    output.rows(&rows)?;
    if rows.is_empty() && !quiet {
        output.note("nobody has enrolled yet; `openchat-server invite new NAME` invites somebody");
    }
    Ok(())
}

fn row(
    directory: &Directory,
    issued: &Issued,
    online: &BTreeMap<Name, u32>,
    now: UnixMillis,
) -> (Vec<String>, Value) {
    let state = directory.state(issued, now);
    let revoked = directory.revoked(issued).is_some();
    let sessions = online.get(&issued.name).copied().filter(|_| !revoked).unwrap_or_default();
    let connected = match sessions {
        0 => String::new(),
        1 => "online".to_owned(),
        many => format!("online {many} times"),
    };
    let text = vec![
        issued.name.to_string(),
        short(&issued.key),
        state.to_owned(),
        format!("to {}", date(issued.not_after)),
        connected,
    ];
    let object = json!({
        "v": 1, "type": "user", "name": issued.name.as_str(), "fingerprint": issued.key.to_string(),
        "state": state, "valid_to": moment(issued.not_after), "connections": sessions
    });
    (text, object)
}

fn show(data: &DataDir, args: &UserShowArgs, output: Output) -> Result<(), Failure> {
    let directory = Directory::fetch(data)?;
    let current = registered(data, &directory, &args.name)?;
    let now = clock::now();
    let sessions = online(data)?.get(&args.name).copied().unwrap_or_default();
    let certificates: Vec<&Issued> =
        directory.issued.iter().filter(|issued| issued.name == args.name).collect();
    let waits = key_of(data, &args.name)?.is_none();
    let state = if waits { "reset" } else { directory.state(current, now) };
    let revoked = directory.revoked(current);
    let said = match revoked {
        Some(Revocation { index, time }) => {
            let key = if waits { ", and waits for another key; this one was revoked" } else { "" };
            format!("{key} {} as #{}", date(time), index.saturating_add(1))
        }
        None => String::new(),
    };
    let mut text = format!(
        "{}\n  state        {state}{said}\n  key          {}\n  connections  {sessions}\n  certificates",
        args.name,
        grouped(&Digest(current.key.0)),
    );
    for issued in &certificates {
        let line = format!(
            "\n    #{}  {}  {}  to {}  {}",
            issued.index.saturating_add(1),
            issued.serial,
            date(issued.time),
            date(issued.not_after),
            directory.state(issued, now)
        );
        text.push_str(&line);
    }
    let certificates: Vec<Value> =
        certificates.iter().map(|issued| certificate(&directory, issued, now)).collect();
    let object = json!({
        "v": 1, "type": "user", "name": args.name.as_str(), "state": state,
        "fingerprint": current.key.to_string(), "valid_to": moment(current.not_after),
        "connections": sessions, "certificates": certificates,
        "revoked": revoked.map(|it| moment(it.time)), "revoked_index": revoked.map(|it| it.index)
    });
    output.data(&text, &object)
}

/// What this name's present key was issued last.
fn registered<'a>(
    data: &DataDir,
    directory: &'a Directory,
    name: &Name,
) -> Result<&'a Issued, Failure> {
    directory.current(name).ok_or_else(|| {
        let message = format!("nobody is registered as {name}");
        Failure::not_found(message, data.command("user list"))
    })
}

/// The key that a name has, revoked or not. One without may wait for another.
fn key_of(data: &DataDir, name: &Name) -> Result<Option<Fingerprint>, Failure> {
    match ask(data, &AdminRequest::KeyOf(name.clone()))? {
        AdminAnswer::KeyOf(key) => Ok(key),
        _ => Err(unexpected(data)),
    }
}

/// A certificate for programs.
pub(crate) fn certificate(directory: &Directory, issued: &Issued, now: UnixMillis) -> Value {
    json!({
        "v": 1, "type": "certificate", "index": issued.index, "name": issued.name.as_str(),
        "serial": issued.serial, "fingerprint": issued.key.to_string(),
        "issued": moment(issued.time), "valid_to": moment(issued.not_after),
        "state": directory.state(issued, now),
        "revoked": directory.revoked(issued).map(|it| moment(it.time)),
        "revoked_index": directory.revoked(issued).map(|it| it.index)
    })
}

fn online(data: &DataDir) -> Result<BTreeMap<Name, u32>, Failure> {
    let mut online = BTreeMap::new();
    let mut after = None;
    loop {
        let AdminAnswer::Online(page) = ask(data, &AdminRequest::Online { after })? else {
            return Err(unexpected(data));
        };
        let last = page.len() < PAGE;
        after = page.last().map(|(name, _)| name.clone());
        online.extend(page);
        if last {
            return Ok(online);
        }
    }
}
