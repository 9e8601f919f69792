//! Taking a key away, for ever, and letting its name have another one.

use super::{key_of, registered};
use crate::{
    cli::{Global, UserResetArgs, UserRevokeArgs},
    data_dir::DataDir,
    failure::{Exit, Failure},
    operator::{
        ask::{ask, unexpected},
        confirm::confirm,
        directory::{Directory, Revocation},
    },
    output::Output,
};
use openchat_wire::{
    Fingerprint, Name,
    admin::{AdminAnswer, AdminRequest, KeyRevoked, Reset},
};
use serde_json::{Value, json};

pub(super) fn revoke(
    data: &DataDir,
    UserRevokeArgs { name, yes }: &UserRevokeArgs,
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    if key_of(data, name)?.is_none() {
        return report_before(data, name, output);
    }
    let question = format!("Take the key of {name} away, for ever, and cut its connections?");
    confirm(&question, *yes, global, &data.command(&format!("user show {name}")))?;
    match ask(data, &AdminRequest::RevokeKeyOf(name.clone()))? {
        AdminAnswer::KeyRevoked(Some(revoked)) => report(data, name, &revoked, global, output),
        AdminAnswer::KeyRevoked(None) => report_before(data, name, output),
        _ => Err(unexpected(data)),
    }
}

/// To ask for what is so already is no mistake. Only here is the whole log read, which may take a while:
/// a revocation does not wait for that.
fn report_before(data: &DataDir, name: &Name, output: Output) -> Result<(), Failure> {
    let directory = Directory::fetch(data)?;
    let current = registered(data, &directory, name)?;
    let Some(Revocation { index, .. }) = directory.revoked(current) else {
        let message = format!("{name} has another key since a moment ago");
        let hint = data.command(&format!("user show {name}"));
        return Err(Failure::new(Exit::Failure, "meanwhile", message, hint));
    };
    let text = format!("{name}'s key was revoked before, logged as #{}", index.saturating_add(1));
    output.data(&text, &revoked_object(name, &current.key, index, 0, true))
}

fn report(
    data: &DataDir,
    name: &Name,
    KeyRevoked { key, index, connections }: &KeyRevoked,
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let text = format!("{name}'s key is revoked, {}", logged(*index, *connections));
    output.data(&text, &revoked_object(name, key, *index, *connections, false))?;
    if !global.quiet {
        output.note(&format!(
            "Each group removes the key and re-keys by itself, when one of its members is online. \
             The name stays taken.\nIf {name} is to come back with another key:  {}",
            data.command(&format!("user reset {name}"))
        ));
    }
    Ok(())
}

/// As people count, from one.
fn logged(index: u64, connections: u32) -> String {
    let number = index.saturating_add(1);
    let connections = match connections {
        0 => "it had no connection".to_owned(),
        1 => "its connection is cut".to_owned(),
        many => format!("its {many} connections are cut"),
    };
    format!("logged as #{number}; {connections}")
}

fn revoked_object(
    name: &Name,
    key: &Fingerprint,
    index: u64,
    connections: u32,
    already: bool,
) -> Value {
    json!({
        "v": 1, "type": "user_revoked", "name": name.as_str(), "fingerprint": key.to_string(),
        "index": index, "connections": connections, "already": already
    })
}

pub(super) fn reset(
    data: &DataDir,
    UserResetArgs { name, yes }: &UserResetArgs,
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    if key_of(data, name)?.is_none() {
        return Err(waits_already(data, name));
    }
    let question = format!(
        "Let {name} have another key? The present one counts no more, for ever; all contacts will \
         see CHANGED."
    );
    confirm(&question, *yes, global, &data.command(&format!("user show {name}")))?;
    match ask(data, &AdminRequest::Reset(name.clone()))? {
        AdminAnswer::Reset(Some(reset)) => report_reset(name, &reset, global, output),
        AdminAnswer::Reset(None) => Err(waits_already(data, name)),
        _ => Err(unexpected(data)),
    }
}

/// A name without a key had one once, or never.
fn waits_already(data: &DataDir, name: &Name) -> Failure {
    let found = Directory::fetch(data);
    if let Err(failure) = found.and_then(|directory| registered(data, &directory, name).map(drop)) {
        return failure;
    }
    let message = format!("{name} was reset before and has no key yet");
    let hint = data.command(&format!("invite new {name}"));
    Failure::new(Exit::Failure, "waits", message, hint)
}

/// What people read goes to stderr, so that a script has the invitation alone.
fn report_reset(
    name: &Name,
    Reset { revoked, invitation }: &Reset,
    global: &Global,
    output: Output,
) -> Result<(), Failure> {
    let before = revoked.as_ref().map(|KeyRevoked { key, index, connections }| {
        json!({"fingerprint": key.to_string(), "index": index, "connections": connections})
    });
    let object = json!({
        "v": 1, "type": "user_reset", "name": name.as_str(), "invitation": invitation,
        "revoked": before
    });
    output.data(invitation, &object)?;
    if !global.quiet {
        if let Some(KeyRevoked { index, connections, .. }) = revoked {
            let logged = logged(*index, *connections);
            output.note(&format!("The key that {name} had is revoked, {logged}."));
        }
        output.note(&format!(
            "One use, 24 hours. On {name}'s new device:  \
             openchat enroll --name {name} --invite 'INVITATION'\n\
             All contacts see CHANGED; those who had compared keys send nothing until they compare \
             or accept. Closed groups need to invite {name} again."
        ));
    }
    Ok(())
}
