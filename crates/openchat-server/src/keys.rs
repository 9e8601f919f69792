//! The server's keys in its data directory: made once, loaded at every start.

use crate::{
    clock,
    data_dir::{DataDir, file},
    failure::{Exit, Failure},
    passphrase::Passphrases,
    pem::{self, Label},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CaCertificate, CertificateAuthority, Passphrase, Profiles, SealedKeyError, ServerKeys,
    profile::{BUILTIN_CA, BUILTIN_CLIENT, BUILTIN_SERVER},
    sealed_key,
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
pub(crate) fn load(data: &DataDir, passphrase: &Passphrases) -> Result<Keys, Failure> {
    let ca = load_ca(data, passphrase)?;
    let log = load_key(data, file::LOG_KEY)?;
    let relay = load_key(data, file::RELAY_KEY)?;
    Ok(Keys { ca, log, relay })
}

/// The CA with its key.
pub(crate) fn load_ca(
    data: &DataDir,
    passphrase: &Passphrases,
) -> Result<CertificateAuthority, Failure> {
    let shown = load_shown(data, file::CA_CERTIFICATE)?;
    let (key, _) = load_ca_key(data, file::CA_KEY, passphrase)?;
    CertificateAuthority::load_shown(key, shown, &profiles(data)?, clock::now())
        .map_err(|error| damaged(data, file::CA_CERTIFICATE, &error))
}

/// All that there is of the CA but its key, which nobody has to open for this.
pub(crate) fn load_public_ca(data: &DataDir) -> Result<(CaCertificate, Vec<Vec<u8>>), Failure> {
    let shown = load_shown(data, file::CA_CERTIFICATE)?;
    let ca = CaCertificate::shown_by_itself(&shown, clock::now());
    Ok((ca.map_err(|error| damaged(data, file::CA_CERTIFICATE, &error))?, shown))
}

/// Whether a server could run on what is there, if its CA's key opens.
pub(crate) fn check(data: &DataDir) -> Result<(), Failure> {
    load_public_ca(data)?;
    if is_sealed(data, file::CA_KEY)? {
        server_keys(data).map(drop)
    } else {
        load(data, &Passphrases::none()).map(drop)
    }
}

/// What the server signs with beside the CA's key.
pub(crate) fn server_keys(data: &DataDir) -> Result<ServerKeys, Failure> {
    let log = load_key(data, file::LOG_KEY)?;
    let relay = load_key(data, file::RELAY_KEY)?;
    Ok(ServerKeys::new(*log.public(), *relay.public()))
}

/// Keeps the CA's statement of them, for those who have not the CA's key.
pub(crate) fn store_statement(data: &DataDir, ca: &CertificateAuthority) -> Result<(), Failure> {
    let keys = server_keys(data)?;
    if data.has(file::SERVER_KEYS)
        && let Ok(stated) = load_statement(data)
        && ServerKeys::verify(&stated, ca.ca()).is_ok_and(|stated| stated == keys)
    {
        return Ok(());
    }
    let statement = pem::encode(Label::ServerKeys, &ca.sign_server_keys(&keys));
    data.write(file::SERVER_KEYS, statement.as_bytes())
}

/// The stored statement.
pub(crate) fn load_statement(data: &DataDir) -> Result<Vec<u8>, Failure> {
    if !data.has(file::SERVER_KEYS) && data.has(file::CA_CERTIFICATE) {
        let message =
            "the CA has not stated the server's keys yet; the server does it when it starts";
        return Err(Failure::config("no_statement", message, data.command("run")));
    }
    let text = data.read(file::SERVER_KEYS)?;
    let der = pem::decode(Label::ServerKeys, &text);
    Ok(der.map_err(|e| damaged(data, file::SERVER_KEYS, &e))?.to_vec())
}

/// Whether a key is under a passphrase.
pub(crate) fn is_sealed(data: &DataDir, file: &str) -> Result<bool, Failure> {
    Ok(pem::is(Label::SealedKey, &data.read_secret(file)?))
}

/// A CA's key, and the passphrase that it was under.
pub(crate) fn load_ca_key(
    data: &DataDir,
    file: &str,
    passphrases: &Passphrases,
) -> Result<(IdentityKey, Option<Passphrase>), Failure> {
    let text = data.read_secret(file)?;
    if !pem::is(Label::SealedKey, &text) {
        return Ok((load_key(data, file)?, None));
    }
    let sealed = pem::decode(Label::SealedKey, &text).map_err(|e| damaged(data, file, &e))?;
    let passphrase = passphrases.read(&data.join(file))?;
    match sealed_key::open(&sealed, &passphrase) {
        Ok(key) => Ok((key, Some(passphrase))),
        Err(SealedKeyError::Passphrase) => Err(passphrases.wrong(&data.join(file))),
        Err(error) => Err(damaged(data, file, &error)),
    }
}

/// Stores a CA's key, under a passphrase if there is one.
pub(crate) fn store_ca_key(
    data: &DataDir,
    file: &str,
    key: &IdentityKey,
    passphrase: Option<&Passphrase>,
) -> Result<(), Failure> {
    let Some(passphrase) = passphrase else { return store_key(data, file, key) };
    let sealed = sealed_key::seal(key, passphrase, &mut clock::rng()).map_err(|error| {
        Failure::new(Exit::Usage, "passphrase", error.to_string(), "choose a longer one")
    })?;
    data.write(file, pem::encode(Label::SealedKey, &sealed).as_bytes())
}

/// Certificates of a CA as a server shows them.
pub(crate) fn load_shown(data: &DataDir, file: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let text = data.read(file)?;
    pem::decode_all(Label::Certificate, &text).map_err(|e| damaged(data, file, &e))
}

pub(crate) fn store_shown(data: &DataDir, file: &str, shown: &[Vec<u8>]) -> Result<(), Failure> {
    let text: String =
        shown.iter().map(|der| pem::encode(Label::Certificate, der).to_string()).collect();
    data.write(file, text.as_bytes())
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

pub(crate) fn damaged(data: &DataDir, file: &str, error: &impl fmt::Display) -> Failure {
    let message = format!("{} can't be used: {error}", data.join(file).display());
    Failure::config("data", message, "restore it from your backup")
}
