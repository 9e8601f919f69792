//! What the operator's commands are answered. Lists are read beside the relay thread, so that they
//! hold up nobody; what changes something goes through it.

mod health;

use crate::{
    metrics::METRICS,
    serve::{
        Server,
        relay_thread::{Freed, Job, Jobs},
        tls::Shown,
    },
};
use openchat_pki::{CaCertificate, MemberError};
use openchat_relay::{
    Invited, StoreError, certificate_record, invitation_record, reached, registered_key,
    store::Table,
};
use openchat_store_sqlite::SqliteReader;
use openchat_wire::{
    Blob, Fingerprint, Name, UnixMillis,
    admin::{
        AdminAnswer, AdminRequest, CertificateRecord, InvitationRecord, PAGE, RecordedEntry, Reset,
        Status, WhichCertificate,
    },
    invitation::Invitation,
};
use std::{fs, path::PathBuf, sync::Arc};
use tokio::{sync::oneshot, task::spawn_blocking};

/// What answers are made of.
#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) server: Arc<Server>,
    /// `host:port` where clients find the server.
    pub(crate) address: String,
    pub(crate) ca: CaCertificate,
    pub(crate) shown: Arc<Shown>,
    pub(crate) database: PathBuf,
    pub(crate) started: UnixMillis,
    /// When the backup was made that this server goes on from.
    pub(crate) restored: Option<UnixMillis>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("the server stops")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a stored certificate: {0}")]
    Certificate(#[from] MemberError),
}

impl Operator {
    /// Answers one question.
    pub(crate) async fn answer(&self, request: AdminRequest) -> AdminAnswer {
        let answer = match request {
            AdminRequest::Invite(name) => self.invite(name).await,
            AdminRequest::Invitations { after } => self.invitations(after).await,
            AdminRequest::RevokeInvitation(id) => self.revoke_invitation(id).await,
            AdminRequest::Recorded { from } => self.recorded(from).await,
            AdminRequest::Certificate(which) => {
                self.certificate(which).await.map(AdminAnswer::Certificate)
            }
            AdminRequest::Online { after } => {
                Ok(AdminAnswer::Online(self.server.sessions.page(after.as_ref(), PAGE)))
            }
            AdminRequest::Status => {
                self.status().await.map(|status| AdminAnswer::Status(Box::new(status)))
            }
            AdminRequest::Health => Ok(AdminAnswer::Health(self.health().await)),
            AdminRequest::KeyOf(name) => self.key_of(name).await.map(AdminAnswer::KeyOf),
            AdminRequest::RevokeKeyOf(name) => self.revoke_key_of(name).await,
            AdminRequest::Reset(name) => self.reset(name).await,
        };
        answer.unwrap_or_else(|error| AdminAnswer::Failed(error.to_string()))
    }

    async fn invite(&self, name: Name) -> Result<AdminAnswer, AnswerError> {
        let invited = self.ask(|reply| Job::Invite(name.clone(), reply)).await?;
        tracing::info!(%name, "invited");
        let invitation = self.invitation(&invited);
        Ok(AdminAnswer::Invitation { invitation, ca: Blob(self.ca.der().to_vec()) })
    }

    fn invitation(&self, &Invited { id, secret }: &Invited) -> String {
        let (address, ca_pin) = (self.address.clone(), self.ca.pin());
        Invitation { address, ca_pin, id, secret }.to_string()
    }

    async fn key_of(&self, name: Name) -> Result<Option<Fingerprint>, AnswerError> {
        let key = move |reader: &SqliteReader| reader.record(Table::Name, name.as_str().as_bytes());
        let Some(found) = self.read(key).await? else { return Ok(None) };
        Ok(Some(registered_key(&found)?))
    }

    async fn revoke_key_of(&self, name: Name) -> Result<AdminAnswer, AnswerError> {
        let revoked = self.ask(|reply| Job::RevokeKeyOf(name.clone(), reply)).await?;
        tracing::info!(%name, ?revoked, "a key was to be revoked");
        Ok(AdminAnswer::KeyRevoked(revoked))
    }

    async fn reset(&self, name: Name) -> Result<AdminAnswer, AnswerError> {
        let freed = self.ask(|reply| Job::Reset(name.clone(), reply)).await?;
        tracing::info!(%name, ?freed, "a name was to be reset");
        Ok(AdminAnswer::Reset(freed.map(|Freed { revoked, invited }| Reset {
            revoked,
            invitation: self.invitation(&invited),
        })))
    }

    async fn invitations(&self, after: Option<[u8; 16]>) -> Result<AdminAnswer, AnswerError> {
        let page = self.read(move |reader| {
            let after = after.as_ref().map(<[u8; 16]>::as_slice);
            let records = reader.records(Table::Invitation, after, PAGE)?;
            let read = records.iter().map(|record| invitation_record(&record.rest, &record.value));
            read.collect::<Result<Vec<InvitationRecord>, _>>()
        });
        Ok(AdminAnswer::Invitations(page.await?))
    }

    async fn revoke_invitation(&self, id: [u8; 16]) -> Result<AdminAnswer, AnswerError> {
        let revoked = self.ask(|reply| Job::Revoke(id, reply)).await?;
        tracing::info!(?revoked, "an invitation was to be revoked");
        Ok(AdminAnswer::Revoked(revoked))
    }

    async fn recorded(&self, from: u64) -> Result<AdminAnswer, AnswerError> {
        let page = self.read(move |reader| reader.recorded(from, PAGE)).await?;
        let entries = page
            .into_iter()
            .map(|recorded| RecordedEntry { time: recorded.time, entry: recorded.entry.into() });
        Ok(AdminAnswer::Recorded(entries.collect()))
    }

    async fn certificate(
        &self,
        which: WhichCertificate,
    ) -> Result<Option<CertificateRecord>, AnswerError> {
        match which {
            WhichCertificate::Ca => Ok(Some(self.ca_record())),
            WhichCertificate::Server => Ok(Some(self.server_record()?)),
            WhichCertificate::Member(key) => self.member_record(key).await,
        }
    }

    fn ca_record(&self) -> CertificateRecord {
        CertificateRecord {
            der: Blob(self.ca.der().to_vec()),
            serial: String::new(),
            names: Vec::new(),
            fingerprint: Fingerprint(self.ca.pin().0),
            not_before: self.ca.not_before(),
            not_after: self.ca.not_after(),
        }
    }

    fn server_record(&self) -> Result<CertificateRecord, AnswerError> {
        let der = self.shown.der();
        let read = self.ca.verify_server(&der)?;
        Ok(CertificateRecord {
            der: der.into(),
            serial: read.serial().to_string(),
            names: read.hosts().iter().map(ToString::to_string).collect(),
            fingerprint: read.public_key().fingerprint(),
            not_before: read.not_before(),
            not_after: read.not_after(),
        })
    }

    async fn member_record(
        &self,
        key: Fingerprint,
    ) -> Result<Option<CertificateRecord>, AnswerError> {
        let found = self.read(move |reader| reader.record(Table::Member, &key.0)).await?;
        let Some(found) = found else { return Ok(None) };
        let der = certificate_record(&found)?;
        let read = self.ca.verify_member(&der.0)?;
        Ok(Some(CertificateRecord {
            serial: read.serial().to_string(),
            names: vec![read.name().to_string()],
            fingerprint: read.fingerprint(),
            not_before: read.not_before(),
            not_after: read.not_after(),
            der,
        }))
    }

    pub(crate) async fn status(&self) -> Result<Status, AnswerError> {
        let figures = self.read(SqliteReader::figures).await?;
        let (people, sessions) = self.server.sessions.totals();
        let keep = self.server.keep.borrow().clone();
        let refused = METRICS.refusals().map(|(_, count)| count);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            address: self.address.clone(),
            ca_not_after: self.ca.not_after(),
            certificate_not_after: self.server_record()?.not_after,
            recorded: figures.recorded,
            registered: number(self.server.members.count()),
            online: number(people),
            sessions: number(sessions),
            handshakes: number(self.server.gate.taken()),
            logs: figures.logs,
            entries: figures.entries,
            kept_bytes: METRICS.kept_bytes.get(),
            oldest: self.read(oldest).await?,
            quota_log: keep.quotas().log,
            quota_person: keep.quotas().person,
            retention_days: keep.retention.value.days(),
            database_bytes: self.database_bytes(),
            free_bytes: self.free_bytes().unwrap_or_default(),
            requests: METRICS.requests.get(),
            refused: refused.fold(0, u64::saturating_add),
            failed_batches: METRICS.failed_batches.get(),
            restored: self.restored,
        })
    }

    /// Of the database and its write-ahead log.
    pub(crate) fn database_bytes(&self) -> u64 {
        let mut log = self.database.clone().into_os_string();
        log.push("-wal");
        let len = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        len(self.database.clone()).saturating_add(len(log.into()))
    }

    /// What the database's disk has left for this user.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = rustix::fs::statvfs(&self.database).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn jobs(&self) -> &Jobs {
        &self.server.jobs
    }

    /// Lets the relay thread do something.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, AnswerError> {
        Ok(self.jobs().ask(job).await.ok_or(AnswerError::Stopping)??)
    }

    /// Reads beside it.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SqliteReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AnswerError> {
        let path = self.database.clone();
        let read = spawn_blocking(move || read(&SqliteReader::open(&path)?)).await;
        Ok(read.map_err(StoreError::backend)??)
    }
}

/// When the oldest message came that is kept. Commits and what was dropped stand before it.
fn oldest(reader: &SqliteReader) -> Result<Option<UnixMillis>, StoreError> {
    let record = reader.record(Table::Retention, b"")?;
    let after = record.as_deref().and_then(reached).unwrap_or(0);
    reader.oldest_body(after)
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
