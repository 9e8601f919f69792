//! `openchat whoami` and `openchat renew`

use crate::{
    context::Context,
    fault::{Exit, Fault},
    json,
    once::{self, Outcome},
    text,
    wish::{What, Wish},
};
use openchat_client::{device, engine::Target};

pub(crate) fn whoami(context: &Context) -> Result<Exit, Fault> {
    let (_, identity) = context.look()?;
    let certificate =
        device::certificate(&identity).map_err(|error| context.hints.device(&error))?;
    let directory = context.directory();
    let said = format!(
        "{}\nkey      {}\nserver   {}\nCA       {}\nprofile  {}  {}",
        identity.name,
        text::fingerprint(certificate.fingerprint().as_ref()),
        identity.server,
        text::fingerprint(identity.ca_pin.as_ref()),
        context.profile,
        directory.display(),
    );
    let object = json::Whoami {
        name: identity.name.as_str(),
        fingerprint: certificate.fingerprint().to_string(),
        server: &identity.server,
        ca_pin: identity.ca_pin.to_string(),
        profile: &context.profile.to_string(),
        directory: &directory.to_string_lossy(),
    };
    context.out.result(&said, &json::Object::of("whoami", object))?;
    Ok(Exit::Ok)
}

/// Has the certificate renewed. What came is stored, and shown at the next connection.
pub(crate) fn renew(context: &Context) -> Result<Exit, Fault> {
    let (_, identity) = context.look()?;
    let target = Some(Target::Person(identity.name));
    match once::obey(context, vec![Wish { target, what: What::Renew }])? {
        Outcome::Interrupted => return Ok(Exit::Interrupted),
        Outcome::Unanswered(end) => return Err(once::unanswered(context, end, None)?),
        Outcome::Done(_) | Outcome::Acknowledged(_) | Outcome::Delivered(..) => {}
    }
    let (_, identity) = context.look()?;
    let certificate =
        device::certificate(&identity).map_err(|error| context.hints.device(&error))?;
    let (serial, until) = (certificate.serial(), text::rfc3339(certificate.not_after()));
    let said = format!("certificate {serial} valid to {until}");
    context.out.result(&said, &json::renewed(certificate.not_after()))?;
    Ok(Exit::Ok)
}
