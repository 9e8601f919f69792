//! `openchat-server ca request` and `ca install`: a CA that a root certifies.

use crate::{
    cli::{CaInstallArgs, CaRequestArgs},
    clock,
    data_dir::{DataDir, file, read_whole, refused},
    failure::{Exit, Failure},
    hosts, keys,
    operator::{
        settle,
        text::{date, grouped},
    },
    output::Output,
    passphrase::Passphrases,
    pem::{self, Label},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{CaCertificate, CaError, CertificateAuthority, HostName, certification_request};
use openchat_wire::Name;
use serde_json::json;
use std::path::Path;

/// What a request says of itself; the root takes nothing from it but its key.
const SUBJECT: &str = "authority";

/// Prints a request: for the key of a CA that was just begun, for the one in use, or for a new one.
///
/// # Errors
/// If there is no CA below a root here, nor the beginning of one.
pub(super) fn request(
    data: &DataDir,
    args: &CaRequestArgs,
    passphrases: &Passphrases,
    output: Output,
) -> Result<(), Failure> {
    if data.has(file::CA_CERTIFICATE) && keys::load_public_ca(data)?.0.chain().count() == 1 {
        let message = "this CA has no root above it";
        return Err(Failure::config("no_root", message, data.command("ca rotate")));
    }
    if args.new_key && !data.has(file::ASKED_KEY) {
        let sealed = keys::is_sealed(data, file::CA_KEY)?;
        let at = data.join(file::ASKED_KEY);
        let passphrase = if sealed { Some(passphrases.read_new(&at)?) } else { None };
        keys::store_ca_key(data, file::ASKED_KEY, &keys::generate(), passphrase.as_ref())?;
    }
    let from = if data.has(file::ASKED_KEY) { file::ASKED_KEY } else { file::CA_KEY };
    let (key, _) = keys::load_ca_key(data, from, passphrases)?;
    let pem = written(&key)?;
    let hosts = asked_hosts(data)?;
    let object = json!({"v": 1, "type": "ca_request", "pem": pem, "hosts": hosts});
    output.data(pem.trim_end(), &object)?;
    output.note(&format!("Next, where the root's key is: {}", certify(&hosts)));
    Ok(())
}

/// The request for a key as a file has it.
pub(crate) fn written(key: &IdentityKey) -> Result<String, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Failure,
            "request",
            format!("no request can be made: {why}"),
            "install it again",
        )
    };
    let subject: Name = SUBJECT.parse().map_err(|e| failed(&e))?;
    let der = certification_request(key, &subject).map_err(|e| failed(&e))?;
    Ok(pem::encode(Label::Request, &der).to_string())
}

/// Under which the server is to be reached.
pub(crate) fn asked_hosts(data: &DataDir) -> Result<Vec<String>, Failure> {
    let wanted = hosts::wanted(&hosts::load(data)?, None);
    Ok(wanted.iter().map(ToString::to_string).collect())
}

/// What to type where the root is.
pub(crate) fn certify(hosts: &[String]) -> String {
    format!("openchat-server ca root certify DIR REQUEST --host {}", hosts.join(" --host "))
}

/// Takes the root's certificates.
///
/// # Errors
/// If they are not of the key that was asked for, or of another root than before; or if the server
/// runs.
pub(super) fn install(
    data: &DataDir,
    args: &CaInstallArgs,
    passphrases: &Passphrases,
    output: Output,
) -> Result<(), Failure> {
    let text = read_whole(&args.from).map_err(|e| refused("read", &args.from, &e))?;
    let not_taken = |why: &dyn std::fmt::Display| no_certificates(data, &args.from, why);
    let chain = pem::decode_all(Label::Certificate, &text).map_err(|e| not_taken(&e))?;
    let store = settle::stopped(data)?;
    settle::settle_with(data, &store)?;
    let ca = CaCertificate::shown_by_itself(&chain, clock::now()).map_err(|e| not_taken(&e))?;
    if ca.chain().count() != 2 {
        return Err(not_taken(&CaError::Chain));
    }
    let new_key = data.has(file::ASKED_KEY);
    let from = if new_key { file::ASKED_KEY } else { file::CA_KEY };
    let (key, _) = keys::load_ca_key(data, from, passphrases)?;
    if ca.public_key() != key.public() {
        return Err(not_taken(&"it is for another key than was asked for"));
    }
    let shown = [chain, earlier(data, &ca, new_key, &not_taken)?].concat();
    let authority =
        CertificateAuthority::load_shown(key, shown, &keys::profiles(data)?, clock::now())
            .map_err(|e| not_taken(&e))?;
    if new_key {
        keys::store_shown(data, file::NEXT_CERTIFICATE, authority.shown())?;
        data.rename(file::ASKED_KEY, file::NEXT_KEY)?;
        settle::put_in_place(data)?;
    } else {
        keys::store_shown(data, file::CA_CERTIFICATE, authority.shown())?;
    }
    keys::store_statement(data, &authority)?;
    report(data, &authority, output)
}

/// Certificates of this CA's earlier keys, of which what they have issued counts until they end.
fn earlier(
    data: &DataDir,
    ca: &CaCertificate,
    new_key: bool,
    not_taken: &dyn Fn(&dyn std::fmt::Display) -> Failure,
) -> Result<Vec<Vec<u8>>, Failure> {
    if !data.has(file::CA_CERTIFICATE) {
        return Ok(Vec::new());
    }
    let (before, shown) = keys::load_public_ca(data)?;
    if before.pin() != ca.pin() {
        return Err(not_taken(&"it is of another root than before"));
    }
    let now = clock::now();
    let mut earlier = Vec::new();
    if new_key && before.valid_at(now).is_ok() {
        earlier.push(before.der().to_vec());
    }
    let valid = before.former().iter().filter(|former| former.valid_at(now).is_ok());
    earlier.extend(valid.map(|former| former.der().to_vec()));
    earlier.truncate(openchat_pki::MAX_SHOWN.saturating_sub(shown.len().min(2)));
    Ok(earlier)
}

fn no_certificates(data: &DataDir, from: &Path, why: &dyn std::fmt::Display) -> Failure {
    let message = format!("{} can't be taken: {why}", from.display());
    Failure::config("certificate", message, data.command("ca request"))
}

fn report(data: &DataDir, ca: &CertificateAuthority, output: Output) -> Result<(), Failure> {
    let until = date(ca.ca().not_after());
    let hosts: Vec<HostName> = hosts::wanted(&hosts::load(data)?, None);
    let left_out: Vec<String> =
        hosts.iter().filter(|host| !ca.ca().may_certify(host)).map(ToString::to_string).collect();
    let text = format!(
        "Installed CA below root  SHA256:{}  valid to {until}\nNext: {}",
        grouped(&ca.pin()),
        data.command("run")
    );
    let object = json!({
        "v": 1, "type": "ca_installed", "pin": ca.pin().to_string(), "valid_to": until,
        "left_out": left_out, "next": data.command("run")
    });
    output.data(&text, &object)?;
    if !left_out.is_empty() {
        output.note(&format!("The root allows no certificate for: {}", left_out.join(", ")));
    }
    Ok(())
}
