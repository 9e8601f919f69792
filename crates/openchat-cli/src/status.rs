//! `openchat status`

use crate::{
    context::{Context, runtime},
    enroll::days_between,
    fault::{Exit, Fault},
    json, text,
};
use openchat_client::{
    Identity, SessionError, StoredConversation, Vault, device, dial::DialError, engine,
    outside::now, probe, session, standing as words,
};
use openchat_wire::UnixMillis;
use std::time::Duration;

/// Days before the end at which a person should do something about it.
pub(crate) const SOON: u64 = 14;

/// How things stand.
struct Standing {
    serial: String,
    not_after: UnixMillis,
    days_left: u64,
    /// How long the server took to answer, or why it did not.
    server: Result<Duration, DialError>,
    groups: Vec<json::GroupStatus>,
    queued: usize,
    alarms: Vec<json::StandingAlarm>,
}

/// Says how things stand. An alarm that goes on is also an error, and so is a server that can't be
/// reached, or refuses.
pub(crate) fn run(context: &Context) -> Result<Exit, Fault> {
    let (vault, identity) = context.look()?;
    let standing = standing(context, &vault, &identity)?;
    let object = json::Object::of("status", object(&identity, &standing));
    context.out.result(&said(context, &identity, &standing), &object)?;
    if let Some(fault) = alarmed(&standing.alarms) {
        return Err(fault);
    }
    match standing.server {
        Ok(_) => Ok(Exit::Ok),
        Err(error) => Err(context.hints.dial(&identity.server, &error)),
    }
}

fn alarmed(alarms: &[json::StandingAlarm]) -> Option<Fault> {
    let first = alarms.first()?;
    let message = match alarms.len() {
        1 => "an alarm goes on".to_owned(),
        count => format!("{count} alarms go on, this is about the first one"),
    };
    Some(Fault::new(Exit::Trust, "alarm", message, first.hint.clone()))
}

/// As the vault has it: of what nobody here can be sure.
fn alarm(alarm: engine::StandingAlarm) -> json::StandingAlarm {
    let engine::StandingAlarm { target, code, message, hint, .. } = alarm;
    json::StandingAlarm { target: target.map(|it| it.to_string()), code, message, hint }
}

fn standing(context: &Context, vault: &Vault, identity: &Identity) -> Result<Standing, Fault> {
    let device_fault = |error| context.hints.device(&error);
    let certificate = device::certificate(identity).map_err(device_fault)?;
    let stored = session::stored(vault, identity)
        .map_err(|error: SessionError| context.hints.session(&identity.server, &error))?;
    let server = runtime()?.block_on(probe::probe(identity)).map_err(device_fault)?;
    let group = |stored: &StoredConversation| json::GroupStatus {
        target: stored.summary.target.to_string(),
        stage: words::stage(&stored.summary),
        epoch: stored.summary.epoch.0,
        waiting: stored.waiting,
    };
    Ok(Standing {
        serial: certificate.serial().to_string(),
        not_after: certificate.not_after(),
        days_left: days_between(now(), certificate.not_after()),
        server,
        queued: stored.queued,
        alarms: stored.alarms.iter().cloned().map(alarm).collect(),
        groups: stored.into_left().iter().map(group).collect(),
    })
}

fn said(context: &Context, identity: &Identity, standing: &Standing) -> String {
    let days = standing.days_left;
    let mut said = format!("{}  certificate valid for {days} more days", identity.name);
    if days < SOON {
        let renew = format!("enroll --name {} --invite INVITATION", identity.name);
        said = said + "; renew it: " + &context.hints.command(&renew);
    }
    let server = match &standing.server {
        Ok(took) => format!("reachable ({} ms)", took.as_millis()),
        Err(error) => error.to_string(),
    };
    let mut lines = vec![said, format!("server {}  {server}", identity.server)];
    let group = |group: &json::GroupStatus| {
        let waiting = match group.waiting {
            0 => String::new(),
            count => format!("  {count} waiting"),
        };
        // The ordinary needs no word.
        let stage = if group.stage == "member" { "" } else { group.stage };
        let gap = if stage.is_empty() { "" } else { "  " };
        format!("{}  epoch {}{gap}{stage}{waiting}", group.target, group.epoch)
    };
    lines.extend(standing.groups.iter().map(group));
    lines.push(format!("{} queued", standing.queued));
    lines.extend(standing.alarms.iter().map(alarm_line));
    lines.join("\n")
}

fn alarm_line(alarm: &json::StandingAlarm) -> String {
    let target = alarm.target.as_ref().map_or(String::new(), |target| format!(" {target}:"));
    format!("ALARM{target} {}\nnext: {}", text::safe(&alarm.message), text::safe(&alarm.hint))
}

fn object<'a>(identity: &'a Identity, standing: &'a Standing) -> json::Status<'a> {
    json::Status {
        name: identity.name.as_str(),
        serial: standing.serial.clone(),
        not_after: text::rfc3339(standing.not_after),
        days_left: standing.days_left,
        server: &identity.server,
        reachable: standing.server.is_ok(),
        round_trip_ms: standing
            .server
            .as_ref()
            .ok()
            .and_then(|t| u64::try_from(t.as_millis()).ok()),
        groups: standing.groups.clone(),
        queued: standing.queued,
        alarms: &standing.alarms,
    }
}
