//! Keeping the server's certificate valid and right, without anybody's doing; and taking another
//! one from the data directory when the operator says so.

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
use openchat_pki::{CaCertificate, CertificateAuthority, HostName, Profile};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::sleep,
};

/// Between two looks. Addresses change more often than certificates end.
const EVERY: Duration = Duration::from_hours(1);

/// What the certificate has to be.
#[derive(Debug)]
pub(crate) struct Renewal {
    data: DataDir,
    ca: CaCertificate,
    profile: Profile,
    configured: Vec<HostName>,
    listen: IpAddr,
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
    ) -> Self {
        Self {
            data: data.clone(),
            ca: ca.ca().clone(),
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

    /// Looks every hour, and when it is told to, for as long as the server runs.
    pub(crate) async fn keep(
        mut self,
        mut current: ServerIdentity,
        shown: Arc<Shown>,
        jobs: Jobs,
        mut looks: mpsc::Receiver<Look>,
    ) {
        loop {
            let look = tokio::select! {
                () = sleep(EVERY) => None,
                look = looks.recv() => look,
            };
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

    async fn renew_if_due(&self, current: &mut ServerIdentity, shown: &Shown, jobs: &Jobs) {
        let Some(reason) = self.due(current) else { return };
        match self.renew(shown, jobs).await {
            Ok(new) => {
                tracing::info!(%reason, "renewed the server certificate");
                *current = new;
            }
            Err(why) => tracing::error!(%reason, why, "can't renew the server certificate"),
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
            shown.replace(&stored, self.ca.der()).map_err(|error| error.to_string())?;
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
        shown.replace(&new, self.ca.der()).map_err(|error| error.to_string())?;
        Ok(new)
    }

    fn wanted(&self) -> Vec<HostName> {
        hosts::wanted(&self.configured, Some(self.listen))
    }

    fn due(&self, current: &ServerIdentity) -> Option<Due> {
        due(current.certificate(), &self.profile, &self.wanted(), clock::now())
    }
}
