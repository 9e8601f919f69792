//! How things stand, as the vault has it.

use super::SessionError;
use crate::{
    device,
    vault::{Identity, Vault},
};
use openchat_engine::{
    Contact, Delivery, Engine, Snapshot, Standing, StandingAlarm, Summary, Target, Unsent,
};
use openchat_wire::{Fingerprint, MessageId, Name, UnixMillis};

/// What is stored of the conversations.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The key of this device.
    pub me: Fingerprint,
    /// The conversations and invitations.
    pub conversations: Vec<StoredConversation>,
    /// Whom this device has met.
    pub contacts: Vec<Contact>,
    /// Messages that are not acknowledged yet.
    pub queued: usize,
    /// Where some of them wait for a decision about somebody's key, and about whose.
    pub held: Vec<(Target, Name)>,
    /// Entries of the transparency log that this device has checked.
    pub log_size: u64,
    /// When the server signed the newest head of that log which this device has seen.
    pub log_time: Option<UnixMillis>,
    /// Alarms that go on, as far as they are known: what halted is looked at anew at each start.
    pub alarms: Vec<StandingAlarm>,
    /// What that log has about this device that it did not ask for, and nobody has answered.
    pub warnings: Vec<String>,
}

impl Stored {
    /// The conversations, with those as halted that an alarm had stopped the last time.
    #[must_use]
    pub fn into_left(self) -> Vec<StoredConversation> {
        let Self { mut conversations, alarms, .. } = self;
        for StoredConversation { summary, .. } in &mut conversations {
            let halts =
                |it: &StandingAlarm| it.halts && it.target.as_ref() == Some(&summary.target);
            if alarms.iter().any(halts) {
                summary.standing = Standing::Halted;
            }
        }
        conversations
    }
}

/// A conversation as it is stored.
#[derive(Debug, Clone)]
pub struct StoredConversation {
    /// How it stands.
    pub summary: Summary,
    /// Messages of others that were not shown yet.
    pub waiting: u64,
    /// What became of the newest messages of this device that are in the log.
    pub deliveries: Vec<(MessageId, Delivery)>,
    /// What this device has said and the log is not known to have.
    pub unsent: Vec<Unsent>,
    /// Whether it is muted, if somebody has said so or the contrary.
    pub muted: Option<bool>,
}

impl StoredConversation {
    /// Whether this is the conversation that is meant.
    #[must_use]
    pub fn is_named(&self, target: &Target) -> bool {
        target.means(&self.summary.target, self.summary.group.as_ref())
    }
}

/// Reads how things stand, also while a session is open elsewhere.
///
/// # Errors
/// [`SessionError`]
pub fn stored(vault: &Vault, identity: &Identity) -> Result<Stored, SessionError> {
    let engine = load(vault, identity)?;
    let (waiting, mutes) = (vault.waiting()?, vault.mutes()?);
    let conversation = |summary: Summary| StoredConversation {
        waiting: summary.group.and_then(|group| waiting.get(&group).copied()).unwrap_or_default(),
        deliveries: engine.deliveries(&summary.target).collect(),
        unsent: engine.unsent(&summary.target).collect(),
        muted: summary.group.and_then(|group| mutes.get(&group).copied()),
        summary,
    };
    let conversations = engine.conversations().map(conversation).collect();
    let contacts = engine.contacts().collect();
    Ok(Stored {
        me: engine.me(),
        conversations,
        contacts,
        queued: engine.queued(),
        held: engine.held().collect(),
        log_size: engine.log_size(),
        log_time: engine.log_time(),
        alarms: engine.alarms().collect(),
        warnings: engine.warnings().map(str::to_owned).collect(),
    })
}

pub(super) fn load(vault: &Vault, identity: &Identity) -> Result<Engine, SessionError> {
    let snapshot = Snapshot { records: vault.records()? };
    Ok(Engine::new(device::device(identity)?, snapshot)?)
}
