//! `openchat enroll`

use crate::{
    args::{EnrollArgs, Pasted},
    context::{Context, runtime},
    csr,
    fault::{Exit, Fault},
    json,
    once::{self, Outcome},
    out, text,
};
use openchat_client::{
    Kept, admin,
    admin::AdminError,
    enroll::{self, EnrollError, Enrollment},
};
use openchat_wire::{Digest, Name, UnixMillis, invitation::Invitation};
use std::io::{self, Read};

/// Longest invitation read from stdin: several times a real one.
const MAX_INVITATION: u64 = 4096;

pub(crate) fn run(context: &Context, args: EnrollArgs) -> Result<Exit, Fault> {
    if let (Some(csr), Some(name)) = (args.csr.clone(), args.name.clone()) {
        return csr::run(context, args, &name, &csr);
    }
    let name = args.name.map_or_else(|| ask_name(context), Ok)?;
    let given = args.invite.map(|pasted| read_invitation(&pasted.0)).transpose()?;
    let fault = |error: EnrollError| context.hints.enroll(&error, name.as_str());
    let is_new = context.settle_new_vault(args.new)?;
    let mut vault = context.open()?;
    let is_told = is_new && *vault.kept() == Kept::Beside;
    let identity = vault.identity().map_err(|error| fault(error.into()))?;
    enroll::check_same(identity.as_ref(), &name).map_err(fault)?;
    let runtime = runtime()?;
    let enrolled = runtime.block_on(async {
        let invitation = match given {
            Some(invitation) => invitation,
            None => local_invitation(context, &name).await?,
        };
        enroll::enroll(&mut vault, &name, &invitation).await.map_err(fault)
    })?;
    drop(vault);
    let reachable = once::become_reachable(context);
    report(context, &name, &enrolled, matches!(reachable, Ok(Outcome::Done(_))))?;
    match reachable {
        Ok(Outcome::Interrupted) => return Ok(Exit::Interrupted),
        Ok(Outcome::Done(_)) => {}
        Ok(_) => not_reachable(context, ""),
        Err(fault) => not_reachable(context, &format!(": {}", fault.message)),
    }
    if is_told {
        let how = context.hints.command("vault passphrase");
        context.out.note(&format!(
            "Nothing but this disk protects your messages here; to change that: {how}"
        ));
    }
    context.out.note(&format!("Next: {}", context.hints.command("join")));
    Ok(Exit::Ok)
}

/// `openchat trust accept --ca`: enrolls again, under the CA that its person says is the right one.
pub(crate) fn accept(
    context: &Context,
    pin: &Digest,
    invite: Option<Pasted>,
) -> Result<Exit, Fault> {
    let (looked, identity) = context.look()?;
    drop(looked);
    let name = identity.name;
    let fault = |error: EnrollError| context.hints.enroll(&error, name.as_str());
    let mut vault = context.open()?;
    let enrolled = runtime()?.block_on(async {
        let invitation = given_or_local(context, invite, &name).await?;
        enroll::accept(&mut vault, pin, &invitation).await.map_err(fault)
    })?;
    drop(vault);
    let reachable = once::become_reachable(context);
    report(context, &name, &enrolled, matches!(reachable, Ok(Outcome::Done(_))))?;
    context.out.note(&format!("This device trusts the CA SHA256:{pin} from now on."));
    Ok(Exit::Ok)
}

/// The certificate is there all the same, and the next session sees to it.
fn not_reachable(context: &Context, why: &str) {
    context
        .out
        .note(&format!("Nobody can write to you before you first come online{}.", text::safe(why)));
}

fn report(
    context: &Context,
    name: &Name,
    enrolled: &Enrollment,
    prekeys: bool,
) -> Result<(), Fault> {
    let certificate = &enrolled.certificate;
    let serial = certificate.serial().to_string().to_uppercase();
    let days = days_between(enrolled.at, certificate.not_after());
    let key = if enrolled.new_key { "Key made on this device." } else { "Key kept." };
    let number = enrolled.index.saturating_add(1);
    let short = serial.get(..4).unwrap_or(&serial);
    let said = format!("{key} Certificate {short}… valid {days} days, logged as #{number}.");
    let object = json::Enrolled {
        name: name.as_str(),
        profile: &context.profile.to_string(),
        fingerprint: certificate.fingerprint().to_string(),
        serial: certificate.serial().to_string(),
        not_after: text::rfc3339(certificate.not_after()),
        index: enrolled.index,
        new_key: enrolled.new_key,
        prekeys,
    };
    context.out.result(&said, &json::Object::of("enrolled", object))
}

/// Whole days, rounded: "90 days" is still 90 some seconds after it was issued.
pub(crate) fn days_between(from: UnixMillis, to: UnixMillis) -> u64 {
    const DAY: u64 = 24 * 3600;
    to.seconds().saturating_sub(from.seconds()).saturating_add(DAY / 2) / DAY
}

fn ask_name(context: &Context) -> Result<Name, Fault> {
    let missing = || {
        Fault::usage("who are you? --name is missing", context.hints.command("enroll --name NAME"))
    };
    if !context.interactive {
        return Err(missing());
    }
    loop {
        let answer = ask("Your name (a-z, 0-9, -): ")?.ok_or_else(missing)?;
        match answer.trim().parse() {
            Ok(name) => return Ok(name),
            Err(error) => out::diagnostic(&format!("{error}\n")),
        }
    }
}

/// The invitation that was given, else one of this machine's server.
pub(crate) async fn given_or_local(
    context: &Context,
    given: Option<Pasted>,
    name: &Name,
) -> Result<Invitation, Fault> {
    match given {
        Some(pasted) => read_invitation(&pasted.0),
        None => local_invitation(context, name).await,
    }
}

/// From the server on this machine; where none runs, a person may paste one.
async fn local_invitation(context: &Context, name: &Name) -> Result<Invitation, Fault> {
    let socket = context.places.admin_socket();
    match admin::invitation(&socket, name).await {
        Err(AdminError::NoServer(_)) if context.interactive => {
            match ask("No server runs on this machine. Paste the invitation: ")? {
                Some(pasted) => parse_invitation(&pasted),
                None => Err(context.hints.admin(&AdminError::NoServer(socket))),
            }
        }
        asked => asked.map_err(|error| context.hints.admin(&error)),
    }
}

/// Asks a person; nothing at the end of input.
fn ask(question: &str) -> Result<Option<String>, Fault> {
    out::diagnostic(question);
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    let length =
        read.map_err(|error| Fault::usage(format!("stdin: {error}"), "openchat --help"))?;
    Ok((length > 0).then_some(answer))
}

fn read_invitation(given: &str) -> Result<Invitation, Fault> {
    if given != "-" {
        return parse_invitation(given);
    }
    let mut text = String::new();
    match io::stdin().lock().take(MAX_INVITATION).read_to_string(&mut text) {
        Ok(_) => parse_invitation(&text),
        Err(error) => Err(Fault::usage(
            format!("the invitation can't be read from stdin: {error}"),
            "openchat enroll --name NAME --invite INVITATION",
        )),
    }
}

fn parse_invitation(text: &str) -> Result<Invitation, Fault> {
    text.parse().map_err(|error| {
        Fault::usage(
            format!("{error}"),
            "ask the operator for a new one: openchat-server invite new NAME",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_rounded() {
        let day = 24 * 3_600_000;
        assert_eq!(days_between(UnixMillis(5), UnixMillis(90 * day)), 90);
        assert_eq!(days_between(UnixMillis(0), UnixMillis(day / 4)), 0);
        assert_eq!(days_between(UnixMillis(day), UnixMillis(0)), 0);
    }
}
