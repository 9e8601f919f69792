//! `openmls` with `openmls_rust_crypto`, over P-256. It stores in memory what it changes as it goes.

use crate::scenes::{Outcome, Protocol, Sent};
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::*;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use std::collections::HashMap;

#[derive(Default)]
pub(crate) struct OpenMls;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256;

pub(crate) struct Device {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    key_package: KeyPackage,
}

pub(crate) struct Member {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    group: MlsGroup,
    saved: HashMap<Vec<u8>, Vec<u8>>,
}

impl Member {
    fn new(provider: OpenMlsRustCrypto, signer: SignatureKeyPair, group: MlsGroup) -> Self {
        Self { provider, signer, group, saved: HashMap::new() }
    }

    /// The author follows the commit it has just made.
    fn merged(&mut self, commit: MlsMessageOut, welcome: Option<MlsMessageOut>) -> Outcome<Sent> {
        self.group.merge_pending_commit(&self.provider)?;
        let welcome = match welcome {
            Some(welcome) => welcome.tls_serialize_detached()?,
            None => Vec::new(),
        };
        Ok(Sent { commit: commit.tls_serialize_detached()?, welcome })
    }
}

impl Protocol for OpenMls {
    type Device = Device;
    type Member = Member;

    fn device(&mut self, name: &str) -> Outcome<Device> {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        let credential = CredentialWithKey {
            credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        let bundle = KeyPackage::builder().build(SUITE, &provider, &signer, credential.clone())?;
        Ok(Device { provider, signer, credential, key_package: bundle.key_package().clone() })
    }

    fn found(&mut self, founder: Device, others: &[Device]) -> Outcome<(Member, Sent)> {
        let Device { provider, signer, credential, .. } = founder;
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .use_ratchet_tree_extension(true)
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .build();
        let group = MlsGroup::new(&provider, &signer, &config, credential)?;
        let mut member = Member::new(provider, signer, group);
        let packages: Vec<_> = others.iter().map(|device| device.key_package.clone()).collect();
        let (commit, welcome, _) =
            member.group.add_members(&member.provider, &member.signer, &packages)?;
        let sent = member.merged(commit, Some(welcome))?;
        Ok((member, sent))
    }

    fn join(&mut self, device: Device, sent: &Sent) -> Outcome<Member> {
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .build();
        let message = MlsMessageIn::tls_deserialize_exact(&sent.welcome)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            return Err("no welcome".into());
        };
        let staged = StagedWelcome::new_from_welcome(&device.provider, &config, welcome, None)?;
        let group = staged.into_group(&device.provider)?;
        Ok(Member::new(device.provider, device.signer, group))
    }

    fn update(&mut self, author: &mut Member) -> Outcome<Sent> {
        let bundle = author.group.self_update(
            &author.provider,
            &author.signer,
            LeafNodeParameters::default(),
        )?;
        author.merged(bundle.into_commit(), None)
    }

    fn add(&mut self, author: &mut Member, device: &Device) -> Outcome<Sent> {
        let packages = [device.key_package.clone()];
        let (commit, welcome, _) =
            author.group.add_members(&author.provider, &author.signer, &packages)?;
        author.merged(commit, Some(welcome))
    }

    fn remove(&mut self, author: &mut Member, _: &str, leaf: u32) -> Outcome<Sent> {
        let leaves = [LeafNodeIndex::new(leaf)];
        let (commit, _, _) =
            author.group.remove_members(&author.provider, &author.signer, &leaves)?;
        author.merged(commit, None)
    }

    fn receive(&mut self, member: &mut Member, sent: &Sent) -> Outcome<()> {
        let ProcessedMessageContent::StagedCommitMessage(commit) = process(member, &sent.commit)?
        else {
            return Err("no commit".into());
        };
        Ok(member.group.merge_staged_commit(&member.provider, *commit)?)
    }

    fn seal(&mut self, author: &mut Member, text: &[u8]) -> Outcome<Vec<u8>> {
        let sealed = author.group.create_message(&author.provider, &author.signer, text)?;
        Ok(sealed.tls_serialize_detached()?)
    }

    fn open(&mut self, reader: &mut Member, sealed: &[u8]) -> Outcome<Vec<u8>> {
        match process(reader, sealed)? {
            ProcessedMessageContent::ApplicationMessage(message) => Ok(message.into_bytes()),
            _ => Err("no message".into()),
        }
    }

    fn save(&mut self, member: &mut Member) -> Outcome<usize> {
        let stored = member.provider.storage().values.read().map_err(|_| "poisoned")?;
        let changed = |(key, value): &(&Vec<u8>, &Vec<u8>)| member.saved.get(*key) != Some(*value);
        let written = stored.iter().filter(changed).map(|(_, value)| value.len()).sum();
        member.saved = stored.clone();
        Ok(written)
    }
}

fn process(member: &mut Member, bytes: &[u8]) -> Outcome<ProcessedMessageContent> {
    let message = MlsMessageIn::tls_deserialize_exact(bytes)?.try_into_protocol_message()?;
    Ok(member.group.process_message(&member.provider, message)?.into_content())
}
