//! Keeping the server's certificate valid and right, without anybody's doing; and taking another
//! one from the data directory when the operator says so.

mod reminders;

use crate::{
    clock,
    data_dir::DataDir,
    failure::Failure,
    hosts,
    output::{Console, Event},
    serve::{
        certificate::{self, Due, ServerIdentity, due},
        relay_thread::{Job, Jobs},
        tls::Shown,
    },
};
use openchat_pki::{CaCertificate, CertificateAuthority, HostName, Profile};
use reminders::Reminders;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::sleep,
};

/// Between two looks. Addresses change more often than certificates end.
const EVERY: Duration = Duration::from_hours(1);

/// What may be left of the CA's certificate when its end is told, each time once.
const ENDS: [Duration; 5] = [
    Duration::from_millis(365 * DAY),
    Duration::from_millis(90 * DAY),
    Duration::from_millis(30 * DAY),
    Duration::from_millis(14 * DAY),
    Duration::from_millis(3 * DAY),
];

const DAY: u64 = 24 * 3_600_000;

/// What the certificate has to be.
#[derive(Debug)]
pub(crate) struct Renewal {
    data: DataDir,
    ca: CaCertificate,
    /// What goes along with the certificate.
    shown: Vec<Vec<u8>>,
    profile: Profile,
    /// The end of the CA was told when so much was left.
    told: Option<Duration>,
    configured: Vec<HostName>,
    listen: IpAddr,
    reminders: Reminders,
    console: Console,
}

/// The operator's wish to look at once.
#[derive(Debug)]
pub(crate) struct Look {
    /// What the certificate has to name from now on.
    pub(crate) configured: Vec<HostName>,
    /// What was done, or why the old certificate is shown on.
    pub(crate) reply: oneshot::Sender<Result<String, String>>,
}

impl Renewal {
    pub(crate) fn new(
        data: &DataDir,
        ca: &CertificateAuthority,
        configured: Vec<HostName>,
        listen: IpAddr,
        console: &Console,
    ) -> Self {
        Self {
            data: data.clone(),
            ca: ca.ca().clone(),
            shown: ca.shown().to_vec(),
            told: None,
            profile: ca.profiles().server().clone(),
            configured,
            listen,
            reminders: Reminders::default(),
            console: console.clone(),
        }
    }

    /// The stored certificate, or a new one in its place.
    ///
    /// # Errors
    /// If a new one can't be made or stored, and the stored one is of no use.
    pub(crate) fn at_start(&self, ca: &CertificateAuthority) -> Result<ServerIdentity, Failure> {
        let (stored, reason) = match ServerIdentity::load(&self.data, ca.ca()) {
            Ok(stored) => match self.due(&stored) {
                None => return Ok(stored),
                Some(reason) => (Some(stored), reason),
            },
            Err(reason) => (None, reason),
        };
        let still_good =
            |stored: &ServerIdentity| stored.certificate().valid_at(clock::now()).is_ok();
        match (self.make(ca, &reason), stored.filter(still_good)) {
            (Err(failure), Some(stored)) => {
                let why = failure.message;
                tracing::error!(%reason, why, "can't renew the server certificate");
                Ok(stored)
            }
            (made, _) => made,
        }
    }

    fn make(&self, ca: &CertificateAuthority, reason: &Due) -> Result<ServerIdentity, Failure> {
        let new = certificate::issue(ca, &self.wanted(), clock::now()).map_err(|error| {
            let message = format!("the server's certificate can't be made: {error}");
            Failure::config("certificate", message, "look at this machine's clock (date)")
        })?;
        new.store(&self.data)?;
        tracing::info!(%reason, "made a new server certificate");
        Ok(new)
    }

    /// Looks every hour, and when it is told to, for as long as the server runs.
    pub(crate) async fn keep(
        mut self,
        mut current: ServerIdentity,
        shown: Arc<Shown>,
        jobs: Jobs,
        mut looks: mpsc::Receiver<Look>,
    ) {
        self.warn_of_end();
        loop {
            let look = tokio::select! {
                () = sleep(EVERY) => None,
                look = looks.recv() => look,
            };
            self.warn_of_end();
            match look {
                None => self.renew_if_due(&mut current, &shown, &jobs).await,
                Some(Look { configured, reply }) => {
                    self.configured = configured;
                    let done = self.reload(&mut current, &shown, &jobs).await;
                    // Whoever asked may have lost patience.
                    let _ = reply.send(done);
                }
            }
        }
    }

    /// Nobody renews a CA by itself, so its end is told long before, and again when it comes near.
    fn warn_of_end(&mut self) {
        let left = self.ca.not_after().0.saturating_sub(clock::now().0);
        let near = ENDS.iter().rev().find(|near| Duration::from_millis(left) <= **near);
        if near.copied() != self.told {
            self.told = near.copied();
            if near.is_some() {
                let days = left / DAY;
                tracing::warn!(days, "the CA's certificate ends; see: openchat-server ca status");
            }
        }
    }

    async fn renew_if_due(&mut self, current: &mut ServerIdentity, shown: &Shown, jobs: &Jobs) {
        let Some(reason) = self.due(current) else { return };
        match self.renew(shown, jobs).await {
            Ok(new) => {
                tracing::info!(%reason, "renewed the server certificate");
                self.reminders = Reminders::default();
                *current = new;
            }
            Err(why) => {
                tracing::error!(%reason, why, "can't renew the server certificate");
                let end = current.certificate().not_after();
                if let Some(days) = self.reminders.remind(end, clock::now()) {
                    self.console.show(&Event::NotRenewed { days, reason: &why });
                }
            }
        }
    }

    /// Takes what the data directory has, then renews it if it is not right.
    async fn reload(
        &self,
        current: &mut ServerIdentity,
        shown: &Shown,
        jobs: &Jobs,
    ) -> Result<String, String> {
        let (data, ca) = (self.data.clone(), self.ca.clone());
        let loaded = spawn_blocking(move || ServerIdentity::load(&data, &ca)).await;
        let stored = loaded.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let another = stored.der() != current.der();
        if let Some(reason) = self.due(&stored) {
            *current = self.renew(shown, jobs).await?;
            return Ok(format!("renewed: {reason}"));
        }
        if another {
            shown.replace(&stored, &self.shown).map_err(|error| error.to_string())?;
            *current = stored;
        }
        Ok(if another { "taken from the data directory" } else { "unchanged" }.to_owned())
    }

    async fn renew(&self, shown: &Shown, jobs: &Jobs) -> Result<ServerIdentity, String> {
        let wanted = self.wanted();
        let issued = jobs.ask(|reply| Job::Certify(wanted, reply)).await;
        let new = issued.ok_or("the relay has ended")?.map_err(|error| error.to_string())?;
        let data = self.data.clone();
        let stored = spawn_blocking(move || new.store(&data).map(|()| new)).await;
        let new = stored.map_err(|error| error.to_string())?.map_err(|failure| failure.message)?;
        shown.replace(&new, &self.shown).map_err(|error| error.to_string())?;
        Ok(new)
    }

    fn wanted(&self) -> Vec<HostName> {
        certificate::allowed(&self.ca, hosts::wanted(&self.configured, Some(self.listen)))
    }

    fn due(&self, current: &ServerIdentity) -> Option<Due> {
        let (certificate, now) = (current.certificate(), clock::now());
        let due = due(certificate, &self.profile, &self.wanted(), now)?;
        // One that ends with the CA is as good as a new one, which would be due again at once.
        let is_last = certificate.not_after() >= self.ca.not_after();
        let is_pointless = matches!(due, Due::Time) && is_last && certificate.valid_at(now).is_ok();
        (!is_pointless).then_some(due)
    }
}
