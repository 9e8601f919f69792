//! `mls-rs` with `mls-rs-crypto-awslc`, over P-256. Every commit has a path, as every one of ours has.

use crate::scenes::{Outcome, Protocol, Sent};
use mls_rs::client_builder::PaddingMode;
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithMlsRules,
};
use mls_rs::group::CommitOutput;
use mls_rs::group::ReceivedMessage;
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::{
    CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group,
    GroupStateStorage, MlsMessage,
};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

#[derive(Default)]
pub(crate) struct MlsRs;

type Config = WithMlsRules<
    DefaultMlsRules,
    WithGroupStateStorage<
        Counting,
        WithIdentityProvider<
            BasicIdentityProvider,
            WithCryptoProvider<AwsLcCryptoProvider, BaseConfig>,
        >,
    >,
>;

pub(crate) struct Device {
    client: Client<Config>,
    key_package: MlsMessage,
    written: Arc<AtomicUsize>,
}

pub(crate) struct Member {
    group: Group<Config>,
    written: Arc<AtomicUsize>,
}

impl Protocol for MlsRs {
    type Device = Device;
    type Member = Member;

    fn device(&mut self, name: &str) -> Outcome<Device> {
        let crypto = AwsLcCryptoProvider::default();
        let suite = crypto.cipher_suite_provider(CipherSuite::P256_AES128).ok_or("no P-256")?;
        let (secret, public) = suite.signature_key_generate()?;
        let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
        let storage = Counting::default();
        let written = Arc::clone(&storage.written);
        let options = CommitOptions::new().with_path_required(true);
        let rules = DefaultMlsRules::new()
            .with_commit_options(options)
            .with_encryption_options(EncryptionOptions::new(false, PaddingMode::None));
        let client = Client::builder()
            .crypto_provider(crypto)
            .identity_provider(BasicIdentityProvider)
            .group_state_storage(storage)
            .mls_rules(rules)
            .signing_identity(
                SigningIdentity::new(credential, public),
                secret,
                CipherSuite::P256_AES128,
            )
            .build();
        let key_package = client.generate_key_package_message(
            ExtensionList::default(),
            ExtensionList::default(),
            None,
        )?;
        Ok(Device { client, key_package, written })
    }

    fn found(&mut self, founder: Device, others: &[Device]) -> Outcome<(Member, Sent)> {
        let mut group = founder.client.create_group(
            ExtensionList::default(),
            ExtensionList::default(),
            None,
        )?;
        let mut builder = group.commit_builder();
        for device in others {
            builder = builder.add_member(device.key_package.clone())?;
        }
        let output = builder.build()?;
        group.apply_pending_commit()?;
        Ok((Member { group, written: founder.written }, sent(&output)?))
    }

    fn join(&mut self, device: Device, sent: &Sent) -> Outcome<Member> {
        let welcome = MlsMessage::from_bytes(&sent.welcome)?;
        let (group, _) = device.client.join_group(None, &welcome, None)?;
        Ok(Member { group, written: device.written })
    }

    fn update(&mut self, author: &mut Member) -> Outcome<Sent> {
        let output = author.group.commit(Vec::new())?;
        author.group.apply_pending_commit()?;
        sent(&output)
    }

    fn add(&mut self, author: &mut Member, device: &Device) -> Outcome<Sent> {
        let builder = author.group.commit_builder().add_member(device.key_package.clone())?;
        let output = builder.build()?;
        author.group.apply_pending_commit()?;
        sent(&output)
    }

    fn remove(&mut self, author: &mut Member, _: &str, leaf: u32) -> Outcome<Sent> {
        let output = author.group.commit_builder().remove_member(leaf)?.build()?;
        author.group.apply_pending_commit()?;
        sent(&output)
    }

    fn receive(&mut self, member: &mut Member, sent: &Sent) -> Outcome<()> {
        match member.group.process_incoming_message(MlsMessage::from_bytes(&sent.commit)?)? {
            ReceivedMessage::Commit(_) => Ok(()),
            _ => Err("no commit".into()),
        }
    }

    fn seal(&mut self, author: &mut Member, text: &[u8]) -> Outcome<Vec<u8>> {
        Ok(author.group.encrypt_application_message(text, Vec::new())?.to_bytes()?)
    }

    fn open(&mut self, reader: &mut Member, sealed: &[u8]) -> Outcome<Vec<u8>> {
        match reader.group.process_incoming_message(MlsMessage::from_bytes(sealed)?)? {
            ReceivedMessage::ApplicationMessage(message) => Ok(message.data().to_vec()),
            _ => Err("no message".into()),
        }
    }

    fn save(&mut self, member: &mut Member) -> Outcome<usize> {
        member.group.write_to_storage()?;
        Ok(member.written.swap(0, Ordering::Relaxed))
    }
}

fn sent(output: &CommitOutput) -> Outcome<Sent> {
    let welcome = match output.welcome_messages.first() {
        Some(welcome) => welcome.to_bytes()?,
        None => Vec::new(),
    };
    Ok(Sent { commit: output.commit_message.to_bytes()?, welcome })
}

/// The storage in memory, which also counts what is written.
#[derive(Clone, Default)]
pub(crate) struct Counting {
    storage: InMemoryGroupStateStorage,
    written: Arc<AtomicUsize>,
}

impl GroupStateStorage for Counting {
    type Error = <InMemoryGroupStateStorage as GroupStateStorage>::Error;

    fn state(&self, group: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error> {
        self.storage.state(group)
    }

    fn epoch(&self, group: &[u8], epoch: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error> {
        self.storage.epoch(group, epoch)
    }

    fn write(
        &mut self,
        state: mls_rs_core::group::GroupState,
        inserts: Vec<mls_rs_core::group::EpochRecord>,
        updates: Vec<mls_rs_core::group::EpochRecord>,
    ) -> Result<(), Self::Error> {
        let epochs: usize = inserts.iter().chain(&updates).map(|record| record.data.len()).sum();
        self.written.fetch_add(state.data.len() + epochs, Ordering::Relaxed);
        self.storage.write(state, inserts, updates)
    }

    fn max_epoch_id(&self, group: &[u8]) -> Result<Option<u64>, Self::Error> {
        self.storage.max_epoch_id(group)
    }
}
