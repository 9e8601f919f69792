//! `openchat whoami`

use crate::{
    context::Context,
    fault::{Exit, Fault},
    json, text,
};
use openchat_client::device;

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
