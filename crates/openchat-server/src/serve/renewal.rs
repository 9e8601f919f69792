//! Keeping the server's certificate valid and right, without anybody's doing.

use crate::{
    clock,
    data_dir::DataDir,
    failure::Failure,
    hosts,
    serve::{
        certificate::{self, Due, ServerIdentity, due},
        relay_thread::{Job, Jobs},
        tls::Shown,
    },
};
use openchat_pki::{CertificateAuthority, HostName, Profile};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::sleep};

/// Between two looks. Addresses change more often than certificates end.
const EVERY: Duration = Duration::from_hours(1);

/// What the certificate has to be.
#[derive(Debug)]
pub(crate) struct Renewal {
    data: DataDir,
    ca: Vec<u8>,
    profile: Profile,
    configured: Vec<HostName>,
    listen: IpAddr,
}

impl Renewal {
    pub(crate) fn new(
        data: &DataDir,
        ca: &CertificateAuthority,
        configured: Vec<HostName>,
        listen: IpAddr,
    ) -> Self {
        Self {
            data: data.clone(),
            ca: ca.certificate().to_vec(),
            profile: ca.profiles().server().clone(),
            configured,
            listen,
        }
    }

    /// The stored certificate, or a new one in its place.
    ///
    /// # Errors
    /// If a new one is needed and can't be made or stored.
    pub(crate) fn at_start(&self, ca: &CertificateAuthority) -> Result<ServerIdentity, Failure> {
        let reason = match ServerIdentity::load(&self.data, ca.ca()) {
            Ok(identity) => match self.due(&identity) {
                None => return Ok(identity),
                Some(reason) => reason,
            },
            Err(reason) => reason,
        };
        let new = certificate::issue(ca, &self.wanted(), clock::now()).map_err(|error| {
            let message = format!("the server's certificate can't be made: {error}");
            Failure::config("certificate", message, "look at this machine's clock (date)")
        })?;
        new.store(&self.data)?;
        tracing::info!(%reason, "made a new server certificate");
        Ok(new)
    }

    /// Looks every hour for as long as the server runs.
    pub(crate) async fn hourly(self, mut current: ServerIdentity, shown: Arc<Shown>, jobs: Jobs) {
        loop {
            sleep(EVERY).await;
            let Some(reason) = self.due(&current) else { continue };
            match self.renew(&shown, &jobs).await {
                Ok(new) => {
                    tracing::info!(%reason, "renewed the server certificate");
                    current = new;
                }
                Err(why) => tracing::error!(%reason, why, "can't renew the server certificate"),
            }
        }
    }

    async fn renew(&self, shown: &Shown, jobs: &Jobs) -> Result<ServerIdentity, String> {
        let wanted = self.wanted();
        let issued = jobs.ask(|reply| Job::Certify(wanted, reply)).await;
        let new = issued.ok_or("the relay has ended")?.map_err(|error| error.to_string())?;
        let data = self.data.clone();
        let stored = spawn_blocking(move || new.store(&data).map(|()| new)).await;
        let new = stored.map_err(|error| error.to_string())?.map_err(|failure| failure.message)?;
        shown.replace(&new, &self.ca).map_err(|error| error.to_string())?;
        Ok(new)
    }

    fn wanted(&self) -> Vec<HostName> {
        hosts::wanted(&self.configured, Some(self.listen))
    }

    fn due(&self, current: &ServerIdentity) -> Option<Due> {
        due(current.certificate(), &self.profile, &self.wanted(), clock::now())
    }
}
