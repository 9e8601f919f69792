//! The server's keys in its data directory: made once, loaded at every start.

use crate::{
    clock,
    data_dir::{DataDir, file},
    failure::Failure,
    pem::{self, Label},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CertificateAuthority, Profiles,
    profile::{BUILTIN_CA, BUILTIN_CLIENT, BUILTIN_SERVER},
};
use openchat_relay::Keys;
use std::fmt;

/// The operator's own profiles, each of which may stand in the data directory.
const PROFILES: [(&str, &str); 3] = [
    ("pki/ca.toml", BUILTIN_CA),
    ("pki/server.toml", BUILTIN_SERVER),
    ("pki/client.toml", BUILTIN_CLIENT),
];

/// The rules for certificates: those compiled in, or the operator's in their place.
pub(crate) fn profiles(data: &DataDir) -> Result<Profiles, Failure> {
    let [ca, server, client] = PROFILES.map(|(name, builtin)| profile(data, name, builtin));
    Profiles::parse(&ca?, &server?, &client?).map_err(|error| {
        let hint = format!("correct it, or remove it from {}", data.join("pki").display());
        Failure::config("profile", format!("a certificate profile can't be used: {error}"), hint)
    })
}

fn profile(data: &DataDir, name: &str, builtin: &str) -> Result<String, Failure> {
    if !data.has(name) {
        return Ok(builtin.to_owned());
    }
    String::from_utf8(data.read(name)?).map_err(|error| damaged(data, name, &error))
}

/// Everything the relay signs with.
pub(crate) fn load(data: &DataDir) -> Result<Keys, Failure> {
    let certificate = load_certificate(data, file::CA_CERTIFICATE)?;
    let key = load_key(data, file::CA_KEY)?;
    let ca = CertificateAuthority::load(key, &certificate, &profiles(data)?)
        .map_err(|error| damaged(data, file::CA_CERTIFICATE, &error))?;
    let log = load_key(data, file::LOG_KEY)?;
    let relay = load_key(data, file::RELAY_KEY)?;
    Ok(Keys { ca, log, relay })
}

/// A new key, not stored yet.
pub(crate) fn generate() -> IdentityKey {
    IdentityKey::generate(&mut clock::rng())
}

pub(crate) fn store_key(data: &DataDir, file: &str, key: &IdentityKey) -> Result<(), Failure> {
    data.write(file, pem::encode(Label::PrivateKey, &key.to_pkcs8()).as_bytes())
}

pub(crate) fn load_key(data: &DataDir, file: &str) -> Result<IdentityKey, Failure> {
    let text = data.read_secret(file)?;
    let der = pem::decode(Label::PrivateKey, &text).map_err(|e| damaged(data, file, &e))?;
    IdentityKey::from_pkcs8(&der).map_err(|e| damaged(data, file, &e))
}

pub(crate) fn store_certificate(data: &DataDir, file: &str, der: &[u8]) -> Result<(), Failure> {
    data.write(file, pem::encode(Label::Certificate, der).as_bytes())
}

pub(crate) fn load_certificate(data: &DataDir, file: &str) -> Result<Vec<u8>, Failure> {
    let text = data.read(file)?;
    let der = pem::decode(Label::Certificate, &text).map_err(|e| damaged(data, file, &e))?;
    Ok(der.to_vec())
}

fn damaged(data: &DataDir, file: &str, error: &impl fmt::Display) -> Failure {
    let message = format!("{} can't be used: {error}", data.join(file).display());
    Failure::config("data", message, "restore it from your backup")
}
