//! Whether the server is there, is the right one, and takes this device.

use super::Finding;
use crate::{
    context::{Context, runtime},
    fault::{Fault, Hints},
};
use openchat_client::{Identity, device::DeviceError, dial::DialError, probe};
use std::time::Duration;

const CHECK: &str = "server";

pub(super) fn check(context: &Context, identity: &Identity) -> Result<Finding, Fault> {
    let probed = runtime()?.block_on(probe::probe(identity));
    Ok(judged(&context.hints, &identity.server, probed))
}

fn judged(
    hints: &Hints,
    address: &str,
    probed: Result<Result<Duration, DialError>, DeviceError>,
) -> Finding {
    match probed {
        Ok(Ok(took)) => Finding::ok(CHECK, format!("{address} answers in {} ms", took.as_millis())),
        Ok(Err(error)) => Finding::of_fault(CHECK, hints.dial(address, &error)),
        Err(error) => Finding::of_fault(CHECK, hints.device(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    #[test]
    fn each_way_to_fail_has_its_own_advice() {
        let hints = Hints::new("openchat".to_owned());
        let judged = |error| judged(&hints, "h:1", Ok(error));
        assert_eq!(judged(Ok(Duration::from_millis(3))).message, "h:1 answers in 3 ms");
        let errors = [
            DialError::Unreachable("refused".to_owned()),
            DialError::NotOpenchat,
            DialError::Revoked,
            DialError::Expired,
        ];
        let findings = errors.map(|error| judged(Err(error)));
        for (at, finding) in findings.iter().enumerate() {
            assert_eq!(finding.level, Level::Fail);
            assert!(findings[..at].iter().all(|other| other.hint != finding.hint), "{finding:?}");
        }
    }
}
