//! This device's certificate ends; in time it asks for the next one, for the same name and key
//! (`docs/protocol.md` §9.5).

use core::time::Duration;
use openchat_pki::{MemberCertificate, Serial, certification_request};
use openchat_wire::{
    Blob, Fingerprint, UnixMillis,
    relay::{Answer, Refusal, Request},
};
use serde::{Deserialize, Serialize};

use crate::{
    engine::Engine,
    event::Event,
    failure::Failure,
    output::Pen,
    record::Key,
    shared::{Asked, Shared},
};

/// What was refused is asked again after this long, then after twice as long …
const FIRST_RETRY: Duration = Duration::from_mins(1);

/// … and at most this long.
const LONGEST_RETRY: Duration = Duration::from_hours(6);

/// By a clock that is far ahead every certificate is due. Nobody asks oftener than this for another
/// one: it is an entry of the log that everybody mirrors for ever.
const AT_MOST_EVERY: Duration = Duration::from_hours(24);

/// A due renewal that has not come for this long is worth a word to the person.
const WORTH_A_WORD: Duration = Duration::from_hours(24);

/// Days before the end at which it is said.
const WARN_DAYS: [u64; 3] = [30, 14, 3];

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Serial numbers that are kept. The log may be read again from where a power cut has taken it, and
/// what it shows there is younger than this many renewals.
const MAX_SERIALS: usize = 64;

/// What was asked for on a connection that is gone shows in the log, which is read first: it is not
/// asked for once more before.
const LOST_FIRST: Duration = Duration::from_secs(10);

/// What a device must not forget of its own doing.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// How many were asked for without an answer so far: the log may have as many.
    unanswered: u32,
    /// What has come.
    serials: Vec<Serial>,
}

/// How things stand with the next certificate.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    stored: Stored,
    is_under_way: bool,
    /// When it is asked for; none while there is no connection.
    pub(crate) at: Option<UnixMillis>,
    /// Not before this, also on the connections to come.
    pause: Option<UnixMillis>,
    retries: u32,
    /// Whom to tell.
    orders: Vec<u64>,
    /// The last word that was said, in days before the end.
    warned: Option<u64>,
}

impl Renewal {
    pub(crate) fn load(&mut self, stored: Stored) {
        self.stored = stored;
    }

    pub(crate) const fn is_asked(&self) -> bool {
        self.stored.unanswered > 0
    }

    /// The certificates that have come, by serial number.
    pub(crate) fn serials(&self) -> &[Serial] {
        &self.stored.serials
    }

    fn asked(&mut self, pen: &mut Pen) {
        self.stored.unanswered = self.stored.unanswered.saturating_add(1);
        self.save(pen);
    }

    /// One of those that were asked for is settled: its answer has come, or the log shows it.
    pub(crate) fn settled(&mut self, pen: &mut Pen, came: Option<Serial>) {
        self.stored.unanswered = self.stored.unanswered.saturating_sub(1);
        self.stored.serials.extend(came);
        let too_many = self.stored.serials.len().saturating_sub(MAX_SERIALS);
        self.stored.serials.drain(..too_many);
        self.save(pen);
    }

    fn save(&self, pen: &mut Pen) {
        pen.put(Key::renewal(), &self.stored);
        pen.must_last();
    }

    fn later(&mut self, now: UnixMillis, at_least: Duration) {
        let doubled =
            FIRST_RETRY.saturating_mul(1_u32.checked_shl(self.retries).unwrap_or(u32::MAX));
        self.retries = self.retries.saturating_add(1);
        // Whatever a server says, a certificate that ends is asked for.
        let wait = doubled.min(LONGEST_RETRY).max(at_least).min(AT_MOST_EVERY);
        self.pause = Some(now.after(wait));
        self.at = self.pause;
    }
}

/// Two thirds of the certificate's life, and up to a thirtieth more: devices that were enrolled
/// together don't all come together.
fn due(certificate: &MemberCertificate, key: &Fingerprint) -> UnixMillis {
    let (from, to) = (certificate.not_before().0, certificate.not_after().0);
    let life = to.saturating_sub(from);
    let [draw, ..] = key.0;
    let jitter = (life / 30 / 256).saturating_mul(draw.into());
    UnixMillis(from.saturating_add(life.saturating_sub(life / 3)).saturating_add(jitter))
}

impl Shared {
    /// On a new connection.
    pub(crate) fn plan_renewal(&mut self, now: UnixMillis) {
        self.renewal.is_under_way = false;
        self.renewal.at = self.renewal_due();
        if self.renewal.is_asked() {
            self.renewal.at = self.renewal.at.map(|at| at.max(now.after(LOST_FIRST)));
        }
    }

    fn renewal_due(&self) -> Option<UnixMillis> {
        let due = due(self.certificate.as_ref()?, &self.me);
        Some(self.renewal.pause.map_or(due, |pause| due.max(pause)))
    }

    /// Draws nearer what a clock that was set back has put off.
    pub(crate) fn draw_renewal_near(&mut self, now: UnixMillis) {
        self.renewal.pause = self.renewal.pause.map(|pause| pause.min(now.after(AT_MOST_EVERY)));
        if let (Some(at), Some(due)) = (self.renewal.at, self.renewal_due()) {
            self.renewal.at = Some(at.min(due.max(now.after(LOST_FIRST))));
        }
    }

    /// The log shows a certificate that this device has asked for, and the answer was lost on the way: the
    /// directory has it.
    pub(crate) fn renewal_shown(&mut self, serial: Serial) {
        self.renewal.settled(&mut self.pen, Some(serial));
        if self.online && !core::mem::replace(&mut self.renewal.is_under_way, true) {
            self.ask(Asked::Renewal, Request::Certificate(self.me));
        }
    }

    pub(crate) fn forget_renewal(&mut self) {
        (self.renewal.at, self.renewal.is_under_way) = (None, false);
    }

    /// Asks, if it is time.
    pub(crate) fn keep_renewed(&mut self, now: UnixMillis) {
        if self.renewal.at.is_some_and(|at| at <= now) {
            self.renewal.at = None;
            self.ask_renewal(now);
        }
        self.warn_of_end(now);
    }

    fn ask_renewal(&mut self, now: UnixMillis) {
        if core::mem::replace(&mut self.renewal.is_under_way, true) {
            return;
        }
        let Ok(csr) = certification_request(&self.device.key, &self.device.name) else {
            return self.renewal.later(now, LONGEST_RETRY);
        };
        self.renewal.asked(&mut self.pen);
        self.ask(Asked::Renewal, Request::Renew(Blob(csr)));
    }

    fn renewal_came(&mut self, der: &Blob, now: UnixMillis) -> Result<(), Failure> {
        let claimed = MemberCertificate::claimed(&der.0);
        let is_mine =
            |it: &MemberCertificate| it.fingerprint() == self.me && *it.name() == self.device.name;
        let is_news = |it: &MemberCertificate| {
            self.certificate
                .as_ref()
                .is_none_or(|old| it.serial() != old.serial() && it.not_after() >= old.not_after())
        };
        let certificate = claimed.filter(|it| is_mine(it) && is_news(it));
        let certificate = certificate.ok_or_else(Failure::not_renewed)?;
        let until = certificate.not_after();
        if let Some(watch) = self.log.watch_mut() {
            watch.asked(certificate.serial());
        }
        if !self.renewal.serials().contains(&certificate.serial()) {
            self.renewal.settled(&mut self.pen, Some(certificate.serial()));
        }
        self.renewal.pause = Some(now.after(AT_MOST_EVERY));
        (self.renewal.retries, self.renewal.warned) = (0, None);
        self.renewal.at = Some(due(&certificate, &self.me).max(now.after(AT_MOST_EVERY)));
        self.pen.event(Event::Renewed { certificate: der.0.clone(), until });
        self.device.certificate.clone_from(&der.0);
        self.certificate = Some(certificate);
        Ok(())
    }

    /// A certificate that nears its end, and could not be renewed, is said so at 30, 14 and 3 days.
    pub(crate) fn warn_of_end(&mut self, now: UnixMillis) {
        let Some(certificate) = &self.certificate else { return };
        if now < due(certificate, &self.me).after(WORTH_A_WORD) {
            return;
        }
        let left = certificate.not_after().0.saturating_sub(now.0) / DAY_MS;
        let Some(step) = WARN_DAYS.into_iter().filter(|days| left < *days).min() else { return };
        if self.renewal.warned.is_none_or(|warned| step < warned) {
            self.renewal.warned = Some(step);
            let until = certificate.not_after();
            self.pen.event(Event::Expiring { until, days: left });
        }
    }
}

impl Engine {
    /// The person wants a further certificate now.
    pub(crate) fn renew(&mut self, order: u64, now: UnixMillis) {
        self.shared.renewal.orders.push(order);
        if self.shared.online {
            self.shared.ask_renewal(now);
        }
    }

    /// Orders of before the connection.
    pub(crate) fn begin_renewing(&mut self, now: UnixMillis) {
        self.shared.plan_renewal(now);
        if !self.shared.renewal.orders.is_empty() {
            self.shared.ask_renewal(now);
        }
    }

    pub(crate) fn renewal_answered(&mut self, answer: Result<Answer, Refusal>, now: UnixMillis) {
        let shared = &mut self.shared;
        shared.renewal.is_under_way = false;
        let came = match answer {
            Ok(Answer::Certificate(der)) => shared.renewal_came(&der, now),
            Ok(_) => Err(Failure::not_renewed()),
            Err(Refusal::Paced { retry_ms }) => {
                shared.renewal.settled(&mut shared.pen, None);
                shared.renewal.later(now, Duration::from_millis(retry_ms.into()));
                Err(Failure::renewed_too_often())
            }
            // What a failing disk has kept of it all the same is not known.
            Err(refusal) => Err(Failure::refused(&refusal.to_string())),
        };
        if came.is_err() && shared.renewal.at.is_none() {
            shared.renewal.later(now, Duration::ZERO);
        }
        let target = shared.device.name.to_string();
        for order in core::mem::take(&mut shared.renewal.orders) {
            let event = match &came {
                Ok(()) => Event::Done { order, target: target.clone() },
                Err(why) => why.clone().event(Some(order), None, Some(target.clone())),
            };
            shared.pen.event(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_grow_and_stay_bounded() {
        let (mut renewal, now) = (Renewal::default(), UnixMillis(0));
        let mut before = 0;
        for _ in 0..100 {
            renewal.later(now, Duration::ZERO);
            let at = renewal.at.unwrap().0;
            assert!(at >= before && at <= u64::try_from(LONGEST_RETRY.as_millis()).unwrap());
            before = at;
        }
    }
}
