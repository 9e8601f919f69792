//! What the engine's news leave behind besides records: a further certificate, evidence.

use super::{Report, Session, SessionError};
use crate::{authority, device};
use openchat_engine::{Event, Input};
use openchat_pki::{CaCertificate, MemberCertificate};

impl Session {
    /// The server shows another key of its CA, to which the one that this device trusts has led.
    pub(super) fn follow(&mut self, shown: CaCertificate) {
        if let Some(next) = authority::followed(&self.ca, shown) {
            tracing::info!(from = %self.ca.pin(), to = %next.pin(), "followed the CA");
            self.identity.ca = next.to_stored();
            self.identity.ca_pin = next.pin();
            self.ca = next.clone();
            self.next_ca = Some(next.clone());
            self.decide(Input::Authority(Box::new(next)));
        }
    }

    /// Keeps what is to be kept of an event, and says what to show of it.
    pub(super) fn keep(&mut self, event: Event) -> Result<Option<Report>, SessionError> {
        match event {
            Event::Evidence(bytes) => Ok(self.vault.keep_evidence(&bytes)?.map(Report::Evidence)),
            Event::Renewed { certificate, until } => {
                let is_ours = self.is_ours(&certificate);
                if is_ours {
                    self.vault.renew(&certificate)?;
                    self.identity.certificate.clone_from(&certificate);
                    self.link.dial_as(device::dialer(&self.identity)?);
                }
                Ok(is_ours.then_some(Report::Event(Event::Renewed { certificate, until })))
            }
            Event::Progress(progress) => self.progressed(progress),
            event => Ok(Some(Report::Event(event))),
        }
    }

    /// Whether the pinned CA has issued this. One that it has not would shut this device out at its
    /// next connection; the old one stays, and is said to end.
    fn is_ours(&self, certificate: &[u8]) -> bool {
        let issued = self.ca.verify_member(certificate).ok();
        issued.is_some_and(|it: MemberCertificate| *it.name() == self.identity.name)
    }
}
