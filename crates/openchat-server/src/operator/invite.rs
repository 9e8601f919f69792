//! `openchat-server invite`: asks the running server, over its admin socket.

use crate::{
    cli::{InvitationId, InviteCommand, InviteListArgs, InviteNewArgs, InviteRevokeArgs},
    clock,
    data_dir::DataDir,
    failure::{Exit, Failure},
    operator::{
        ask::{ask, unexpected},
        text::{hex, moment, short},
    },
    output::Output,
};
use openchat_wire::{
    Name, UnixMillis,
    admin::{AdminAnswer, AdminRequest, InvitationRecord, PAGE, Revoked},
    limits::MAX_WRONG_SECRETS,
};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Does what was asked.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn run(
    data: &DataDir,
    command: &InviteCommand,
    quiet: bool,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        InviteCommand::New(args) => new(data, args, quiet, output),
        InviteCommand::List(args) => list(data, args, quiet, output),
        InviteCommand::Revoke(args) => revoke(data, args, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a new invitation for the name.
fn new(data: &DataDir, args: &InviteNewArgs, quiet: bool, output: Output) -> Result<(), Failure> {
    let answer = ask(data, &AdminRequest::Invite(args.name.clone()))?;
    let AdminAnswer::Invitation { invitation, .. } = answer else {
        return Err(unexpected(data));
    };
    let text =
        if args.qr { format!("{invitation}\n{}", drawn(&invitation)?) } else { invitation.clone() };
    let object = json!({
        "v": 1, "type": "invitation", "name": args.name.as_str(), "invitation": invitation
    });
    output.data(&text, &object)?;
    if !quiet {
        output.note(&advice(&args.name));
    }
    Ok(())
}

/// On stderr, so that a script has the invitation alone.
fn advice(name: &Name) -> String {
    format!(
        "One use, 24 hours. On {name}'s device:  openchat enroll --name {name} --invite 'INVITATION'"
    )
}

fn drawn(invitation: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(invitation, EcLevel::L)
        .map_err(|error| Failure::system("can't draw a QR code", &error, "leave out --qr"))?;
    // A glyph is bright on most terminals, so it stands for a light module.
    let mut drawing = code.render::<Dense1x2>();
    Ok(drawing.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Whether an invitation can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Used,
    Locked,
    Expired,
}

impl State {
    fn of(record: &InvitationRecord, now: UnixMillis) -> Self {
        if record.used.is_some() {
            Self::Used
        } else if record.wrong >= MAX_WRONG_SECRETS {
            Self::Locked
        } else if record.expires < now {
            Self::Expired
        } else {
            Self::Open
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Locked => "locked",
            Self::Expired => "expired",
        }
    }
}

fn list(data: &DataDir, args: &InviteListArgs, quiet: bool, output: Output) -> Result<(), Failure> {
    let now = clock::now();
    let mut records = all(data)?;
    records.retain(|record| args.all || State::of(record, now) == State::Open);
    records.sort_by(|a, b| (&a.name, a.expires).cmp(&(&b.name, b.expires)));
    let rows: Vec<_> = records.iter().map(|record| row(record, now)).collect();
    output.rows(&rows)?;
    if rows.is_empty() && !quiet {
        output.note(&format!(
            "no open invitations; {} shows the others",
            data.command("invite list --all")
        ));
    }
    Ok(())
}

fn row(record: &InvitationRecord, now: UnixMillis) -> (Vec<String>, Value) {
    let (id, state) = (hex(&record.id), State::of(record, now).word());
    let text = vec![
        id.clone(),
        record.name.to_string(),
        state.to_owned(),
        format!("until {}", moment(record.expires)),
        record.used.map_or_else(String::new, |key| format!("by {}", short(&key))),
    ];
    let object = json!({
        "v": 1, "type": "invitation", "id": id, "name": record.name.as_str(), "state": state,
        "expires": moment(record.expires), "wrong_secrets": record.wrong,
        "used_by": record.used.map(|key| key.to_string())
    });
    (text, object)
}

fn all(data: &DataDir) -> Result<Vec<InvitationRecord>, Failure> {
    let mut records: Vec<InvitationRecord> = Vec::new();
    loop {
        let after = records.last().map(|record| record.id);
        let AdminAnswer::Invitations(page) = ask(data, &AdminRequest::Invitations { after })?
        else {
            return Err(unexpected(data));
        };
        let last = page.len() < PAGE;
        records.extend(page);
        if last {
            return Ok(records);
        }
    }
}

fn revoke(data: &DataDir, args: &InviteRevokeArgs, output: Output) -> Result<(), Failure> {
    let chosen = chosen(data, args)?;
    let mut rows = Vec::new();
    for record in chosen {
        let AdminAnswer::Revoked(revoked) = ask(data, &AdminRequest::RevokeInvitation(record.id))?
        else {
            return Err(unexpected(data));
        };
        match revoked {
            Revoked::Done => rows.push(revoked_row(&record)),
            // Somebody else was faster, which is as good.
            Revoked::Unknown => {}
            Revoked::Used => return Err(used(data, &record)),
        }
    }
    output.rows(&rows)
}

fn revoked_row(record: &InvitationRecord) -> (Vec<String>, Value) {
    let (id, name) = (hex(&record.id), record.name.as_str());
    let text = vec![format!("revoked  {id}  {name}")];
    (text, json!({"v": 1, "type": "invitation_revoked", "id": id, "name": name}))
}

/// What the command line means, among what there is.
fn chosen(data: &DataDir, args: &InviteRevokeArgs) -> Result<Vec<InvitationRecord>, Failure> {
    let (now, mut records) = (clock::now(), all(data)?);
    let list = data.command("invite list --all");
    if let Some(InvitationId(start)) = &args.id {
        records.retain(|record| hex(&record.id).starts_with(start));
        return match records.len() {
            0 => Err(Failure::not_found(format!("no invitation's id begins with {start}"), list)),
            1 => Ok(records),
            many => {
                let message = format!("{many} invitations' ids begin with {start}");
                Err(Failure::new(Exit::Usage, "ambiguous", message, list))
            }
        };
    }
    records.retain(|record| {
        args.name.as_ref() == Some(&record.name) && State::of(record, now) == State::Open
    });
    if records.is_empty() {
        let name = args.name.as_ref().map_or("", Name::as_str);
        return Err(Failure::not_found(format!("no open invitation is for {name}"), list));
    }
    Ok(records)
}

fn used(data: &DataDir, record: &InvitationRecord) -> Failure {
    let message = format!("{} enrolled with this invitation already", record.name);
    let hint = data.command(&format!("user show {}", record.name));
    Failure::new(Exit::Failure, "used", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_fits_a_qr_code_that_fits_a_terminal() {
        let longest = format!("openchat://{}:65535/#v1.{}", "a".repeat(100), "b".repeat(89));
        let drawn = drawn(&longest).unwrap();
        assert!(drawn.lines().all(|line| line.chars().count() <= 79));
    }
}
