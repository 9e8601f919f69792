//! What the transparency log says of this device, and what waits to be sent.

use super::Finding;
use crate::{
    context::Context,
    fault::{Fault, Hints},
};
use openchat_client::{
    Identity, Vault,
    engine::StandingAlarm,
    session::{self, Stored},
};

const LOG: &str = "log";
const QUEUE: &str = "queue";
const ALARM: &str = "alarm";

pub(super) fn stored(
    context: &Context,
    vault: &Vault,
    identity: &Identity,
) -> Result<Stored, Fault> {
    session::stored(vault, identity)
        .map_err(|error| context.hints.session(&identity.server, &error))
}

pub(super) fn check(
    context: &Context,
    identity: &Identity,
    stored: Result<Stored, Fault>,
) -> Vec<Finding> {
    let stored = match stored {
        Ok(stored) => stored,
        Err(fault) => return vec![Finding::of_fault(QUEUE, fault)],
    };
    let name = identity.name.as_str();
    let mut findings = log(&context.hints, name, stored.log_size, &stored.warnings);
    findings.extend(alarms(&stored.alarms));
    findings.push(queue(&context.hints, stored.queued));
    findings
}

fn log(hints: &Hints, name: &str, size: u64, warnings: &[String]) -> Vec<Finding> {
    if warnings.is_empty() {
        return vec![Finding::ok(LOG, format!("{size} entries checked, none unasked for"))];
    }
    let hint = format!(
        "ask the operator, in person; when it is explained: {}",
        hints.command(&format!("trust accept {name}"))
    );
    warnings.iter().map(|warning| Finding::fail(LOG, warning, &hint)).collect()
}

/// What was raised and is not known to be well since.
fn alarms(alarms: &[StandingAlarm]) -> Vec<Finding> {
    if alarms.is_empty() {
        return vec![Finding::ok(ALARM, "none goes on")];
    }
    let finding = |alarm: &StandingAlarm| {
        let target = alarm.target.as_ref().map_or(String::new(), |target| format!("{target}: "));
        Finding::fail(ALARM, target + &alarm.message, &alarm.hint)
    };
    alarms.iter().map(finding).collect()
}

fn queue(hints: &Hints, queued: usize) -> Finding {
    match queued {
        0 => Finding::ok(QUEUE, "nothing waits to be sent"),
        1 => Finding::warn(QUEUE, "1 message waits to be sent", hints.command("join")),
        _ => Finding::warn(
            QUEUE,
            format!("{queued} messages wait to be sent"),
            hints.command("join"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Level, *};

    fn hints() -> Hints {
        Hints::new("openchat".to_owned())
    }

    #[test]
    fn each_warning_of_the_log_fails() {
        assert_eq!(log(&hints(), "bob", 7, &[])[0].level, Level::Ok);
        let found = log(&hints(), "bob", 7, &["#3: a".to_owned(), "#4: b".to_owned()]);
        assert_eq!(
            found.iter().map(|it| it.message.as_str()).collect::<Vec<_>>(),
            ["#3: a", "#4: b"]
        );
        for finding in found {
            assert_eq!(finding.level, Level::Fail);
            assert!(finding.hint.unwrap().ends_with("openchat trust accept bob"));
        }
    }

    #[test]
    fn each_alarm_that_goes_on_fails() {
        assert_eq!(alarms(&[])[0].level, Level::Ok);
        let alarm = StandingAlarm {
            target: Some("#ops".parse().unwrap()),
            halts: true,
            code: "history-fork".to_owned(),
            message: "two histories".to_owned(),
            hint: "ask".to_owned(),
        };
        let log = StandingAlarm { target: None, halts: false, ..alarm.clone() };
        let found = alarms(&[alarm, log]);
        assert!(found.iter().all(|it| it.level == Level::Fail));
        let said: Vec<_> = found.iter().map(|it| it.message.as_str()).collect();
        assert_eq!(said, ["#ops: two histories", "two histories"]);
    }

    #[test]
    fn what_is_queued_is_told_with_what_sends_it() {
        assert_eq!(queue(&hints(), 0).level, Level::Ok);
        for count in [1, 2] {
            let finding = queue(&hints(), count);
            assert_eq!(
                (finding.level, finding.hint.as_deref()),
                (Level::Warn, Some("openchat join"))
            );
            assert!(finding.message.starts_with(&count.to_string()), "{finding:?}");
        }
    }
}
