//! The device's certificate, the CA that it trusts, and the clock that both are read by.

use super::Finding;
use crate::{context::Context, enroll::days_between, fault::Hints, status::SOON, text};
use openchat_client::{Identity, device, outside::now};
use openchat_wire::UnixMillis;

const CERTIFICATE: &str = "certificate";
const CA: &str = "ca";
const CLOCK: &str = "clock";

/// Two clocks that are kept right differ by less.
const SLACK: u64 = 5 * 60 * 1000;

/// What is known of time.
#[derive(Debug, Clone, Copy)]
struct Times {
    now: UnixMillis,
    not_before: UnixMillis,
    not_after: UnixMillis,
    /// When the server signed the newest head of its log that was seen.
    log: Option<UnixMillis>,
}

pub(super) fn check(
    context: &Context,
    identity: &Identity,
    log: Option<UnixMillis>,
) -> Vec<Finding> {
    let hints = &context.hints;
    let authority = device::ca(identity);
    let ca = match &authority {
        Ok(_) => Finding::ok(CA, text::fingerprint(identity.ca_pin.as_ref())),
        Err(error) => Finding::of_fault(CA, hints.device(error)),
    };
    let certificate = match device::certificate(identity) {
        Ok(certificate) => certificate,
        Err(error) => return vec![ca, Finding::of_fault(CERTIFICATE, hints.device(&error))],
    };
    let times = Times {
        now: now(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        log,
    };
    let names = (certificate.name().as_str(), identity.name.as_str());
    vec![ca, validity(hints, names, times), clock(times)]
}

/// `names`: whose the certificate is, and whose this profile.
fn validity(hints: &Hints, (named, own): (&str, &str), times: Times) -> Finding {
    let again = || hints.command(&format!("enroll --name {own} --invite INVITATION"));
    if named != own {
        let message = format!("it is {named}'s, and this profile {own}'s");
        return Finding::fail(CERTIFICATE, message, again());
    }
    let until = text::rfc3339(times.not_after);
    if times.now >= times.not_after {
        return Finding::fail(CERTIFICATE, format!("it has expired, at {until}"), again());
    }
    let days = days_between(times.now, times.not_after);
    let message = format!("{own}'s, valid for {days} more days, to {until}");
    if days < SOON {
        return Finding::warn(CERTIFICATE, message, hints.command("renew"));
    }
    Finding::ok(CERTIFICATE, message)
}

/// A clock that is behind is seen by what was signed before; one that is ahead, by nothing that
/// this device has.
fn clock(times: Times) -> Finding {
    let said = text::rfc3339(times.now);
    let set = "timedatectl set-ntp true; date";
    let later = |at: UnixMillis| at.0 > times.now.0.saturating_add(SLACK);
    if later(times.not_before) {
        let begun = text::rfc3339(times.not_before);
        let message = format!("{said}, before this device's certificate begins ({begun})");
        return Finding::fail(CLOCK, message, set);
    }
    match times.log {
        Some(signed) if later(signed) => {
            let signed = text::rfc3339(signed);
            let message = format!("{said}, but the server signed its log at {signed}");
            Finding::fail(CLOCK, message, set)
        }
        _ => Finding::ok(CLOCK, said),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    const DAY: u64 = 24 * 3600 * 1000;
    const NOW: u64 = 20_000 * DAY;

    fn times(left: u64) -> Times {
        let (not_before, not_after) = (UnixMillis(NOW - DAY), UnixMillis(NOW + left));
        Times { now: UnixMillis(NOW), not_before, not_after, log: None }
    }

    fn hints() -> Hints {
        Hints::new("openchat -P bob".to_owned())
    }

    #[test]
    fn an_end_that_is_near_is_told_and_one_that_is_past_fails() {
        let judged = |left| validity(&hints(), ("bob", "bob"), times(left));
        assert_eq!(judged(90 * DAY).level, Level::Ok);
        assert_eq!(judged(SOON * DAY).level, Level::Ok);
        let soon = judged((SOON - 1) * DAY);
        assert_eq!(soon.level, Level::Warn);
        assert_eq!(soon.hint.as_deref(), Some("openchat -P bob renew"));
        let over = judged(0);
        assert_eq!(over.level, Level::Fail);
        assert!(over.hint.unwrap().starts_with("openchat -P bob enroll --name bob"));
    }

    #[test]
    fn a_certificate_has_the_profiles_name() {
        let finding = validity(&hints(), ("eve", "bob"), times(90 * DAY));
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.message.contains("eve's"), "{finding:?}");
    }

    #[test]
    fn a_clock_that_is_behind_what_was_signed_is_wrong() {
        let mut times = times(90 * DAY);
        assert_eq!(clock(times).level, Level::Ok);
        times.log = Some(UnixMillis(NOW + SLACK));
        assert_eq!(clock(times).level, Level::Ok, "clocks differ a little");
        times.log = Some(UnixMillis(NOW + SLACK + 1));
        assert_eq!(clock(times).level, Level::Fail);
        times.log = Some(UnixMillis(NOW - DAY));
        assert_eq!(clock(times).level, Level::Ok);
        times.not_before = UnixMillis(NOW + DAY);
        assert!(clock(times).message.contains("before this device's certificate"));
    }
}
