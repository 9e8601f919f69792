//! `openchat verify` and `openchat trust`.

use crate::{
    args::{TrustCommand, VerifyArgs},
    context::Context,
    enroll,
    fault::{Exit, Fault},
    json,
    once::{self, Outcome},
    out,
    wish::{What, Wish},
};
use openchat_client::{
    engine::{Contact, Grounds, SafetyNumber, SafetyNumberError, Trust},
    say, session, trust,
};
use openchat_wire::Name;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use std::io::{self, BufRead};

/// Shows what is to be compared, or records that it was.
pub(crate) fn verify(context: &Context, args: VerifyArgs) -> Result<Exit, Fault> {
    let VerifyArgs { who, number, qr } = args;
    if let Some(number) = number {
        return decide(context, &who, Grounds::Compared(number));
    }
    let contact = contact(context, &who)?;
    show(context, &contact, qr)?;
    if context.interactive && says_yes(&who)? {
        return decide(context, &who, Grounds::Compared(contact.number));
    }
    let next = context.hints.command(&format!("verify {who} --number '{}'", contact.number));
    context.out.note(&format!("If {who}'s device shows the same: {next}"));
    Ok(Exit::Ok)
}

/// `openchat trust list|accept`
pub(crate) fn run(context: &Context, command: TrustCommand) -> Result<Exit, Fault> {
    match command {
        TrustCommand::List => list(context),
        TrustCommand::Accept { ca: Some(pin), invite, .. } => enroll::accept(context, &pin, invite),
        TrustCommand::Accept { who: Some(who), .. } => decide(context, &who, Grounds::Accepted),
        TrustCommand::Accept { .. } => {
            Err(Fault::usage("whose key?", context.hints.command("trust accept WHO")))
        }
    }
}

fn contacts(context: &Context) -> Result<Vec<Contact>, Fault> {
    let (vault, identity) = context.look()?;
    let stored = session::stored(&vault, &identity);
    let stored = stored.map_err(|error| context.hints.session(&identity.server, &error))?;
    Ok(stored.contacts)
}

fn contact(context: &Context, who: &Name) -> Result<Contact, Fault> {
    let found = contacts(context)?.into_iter().find(|contact| contact.name == *who);
    found.ok_or_else(|| {
        let message = format!("this device has met nobody called {who}");
        let hint = context.hints.command(&format!("join @{who}"));
        Fault::new(Exit::NotFound, "no-such-person", message, hint)
    })
}

fn show(context: &Context, contact: &Contact, qr: bool) -> Result<(), Fault> {
    if context.out.json {
        return print(&json::contact(contact, None));
    }
    if qr {
        print(&(picture(&contact.text)? + "\n"))?;
    }
    print(&say::contact(contact))
}

fn picture(text: &str) -> Result<String, Fault> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        let message = format!("no picture of it can be made: {error}");
        Fault::new(Exit::Failure, "qr", message, "compare the digits instead")
    })?;
    // Dark terminals show it inverted, which readers of today take too.
    Ok(code.render::<Dense1x2>().quiet_zone(true).build())
}

fn says_yes(who: &Name) -> Result<bool, Fault> {
    out::diagnostic(&format!("Does {who}'s device show the same digits? [y/N] "));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| {
        let message = format!("stdin can't be read: {error}");
        Fault::new(Exit::Failure, "input", message, "openchat verify WHO --number NUMBER")
    })?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn decide(context: &Context, who: &Name, on: Grounds) -> Result<Exit, Fault> {
    let what = What::Trust(who.clone(), on);
    let word = what.done().unwrap_or_default();
    match once::obey(context, vec![Wish { target: None, what }])? {
        Outcome::Interrupted => return Ok(Exit::Interrupted),
        Outcome::Unanswered(end) => return Err(once::unanswered(context, end, None)?),
        Outcome::Done(_) | Outcome::Acknowledged(_) | Outcome::Delivered(..) => {}
    }
    if context.out.json {
        print(&json::contact(&contact(context, who)?, None))?;
    }
    context.out.note(&format!("{who}: {word}"));
    Ok(Exit::Ok)
}

/// `NAME TRUST KEY`, separated by tabs.
fn list(context: &Context) -> Result<Exit, Fault> {
    let contacts = contacts(context)?;
    let line = |contact: &Contact| {
        if context.out.json {
            return json::contact(contact, None);
        }
        format!("{}\t{}\t{}\n", contact.name, trust::word(contact.trust), contact.key)
    };
    print(&contacts.iter().map(line).collect::<String>())?;
    if contacts.is_empty() {
        context.out.note("Nobody yet: this device has met nobody.");
    }
    if let Some(changed) = contacts.iter().find(|contact| contact.trust == Trust::Changed) {
        let next = context.hints.command(&format!("verify {}", changed.name));
        context.out.note(&format!("{} has another key than before. Next: {next}", changed.name));
    }
    Ok(Exit::Ok)
}

fn print(lines: &str) -> Result<(), Fault> {
    out::data(lines).map_err(|error| Fault::output(&error))
}

/// A safety number as it is typed or pasted.
pub(crate) fn number(text: &str) -> Result<SafetyNumber, String> {
    text.parse().map_err(|error: SafetyNumberError| error.to_string())
}
