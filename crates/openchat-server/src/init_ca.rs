//! `openchat-server init-ca`: the certificate authority and the server's keys, made once.

mod validity;

use crate::{
    cli::InitCaArgs,
    clock,
    data_dir::{DataDir, file, quoted},
    failure::{Exit, Failure},
    hosts, keys,
    operator::{
        authority::below,
        text::{date, grouped},
    },
    output::Output,
    passphrase::Passphrases,
    serve::certificate,
};
use openchat_crypto::IdentityKey;
use openchat_pki::{AuthorityError, CertificateAuthority};
use openchat_store_sqlite::SqliteStore;
use serde_json::json;
use std::process::ExitCode;

/// Makes the data directory and everything in it.
///
/// # Errors
/// Above all if there is a CA already: whoever pinned it could never come back.
pub(crate) fn run(
    data: &DataDir,
    args: &InitCaArgs,
    passphrases: &Passphrases,
    output: Output,
) -> Result<ExitCode, Failure> {
    data.create()?;
    refuse_to_overwrite(data)?;
    let (now, key) = (clock::now(), keys::generate());
    validity::set(data, args.ca_validity, args.leaf_validity)?;
    let profiles = keys::profiles(data)?;
    let passphrase = if passphrases.is_named() {
        Some(passphrases.read_new(&data.join(file::CA_KEY))?)
    } else {
        None
    };
    let ca =
        CertificateAuthority::create(&args.org, key.clone(), &profiles, now, &mut clock::rng())
            .map_err(|error| not_certified(data, &error))?;

    hosts::store(data, &args.host)?;
    keys::store_key(data, file::RELAY_KEY, &keys::generate())?;
    keys::store_key(data, file::LOG_KEY, &keys::generate())?;
    create_database(data)?;
    if args.below_root {
        keys::store_ca_key(data, file::ASKED_KEY, &key, passphrase.as_ref())?;
        return report_request(data, &key, output);
    }
    let hosts = hosts::wanted(&args.host, None);
    certificate::issue(&ca, &hosts, now)
        .map_err(|error| not_certified(data, &error))?
        .store(data)?;
    keys::store_statement(data, &ca)?;
    // The CA comes last, so that a directory without one never holds anything worth keeping.
    keys::store_ca_key(data, file::CA_KEY, &key, passphrase.as_ref())?;
    keys::store_certificate(data, file::CA_CERTIFICATE, ca.certificate())?;

    let names: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    report(data, &args.org, &ca, &names, output)?;
    Ok(ExitCode::SUCCESS)
}

/// What the root needs to know stands alone on stdout.
fn report_request(data: &DataDir, key: &IdentityKey, output: Output) -> Result<ExitCode, Failure> {
    let (pem, hosts) = (below::written(key)?, below::asked_hosts(data)?);
    let object = json!({"v": 1, "type": "ca_request", "pem": pem, "hosts": hosts});
    output.data(pem.trim_end(), &object)?;
    output.note(&format!(
        "Next, where the root's key is: {}\nThen here: {}",
        below::certify(&hosts),
        data.command("ca install FILE")
    ));
    Ok(ExitCode::SUCCESS)
}

fn refuse_to_overwrite(data: &DataDir) -> Result<(), Failure> {
    let path = data.path();
    if data.has(file::CA_KEY) && data.has(file::CA_CERTIFICATE) {
        let message = format!(
            "there is a certificate authority in {} already, and it is never overwritten",
            path.display()
        );
        return Err(Failure::config("ca_exists", message, data.command("run")));
    }
    if data.has(file::ASKED_KEY) {
        let message = "a root was asked to certify this server's authority already";
        return Err(Failure::config("ca_exists", message, data.command("ca install FILE")));
    }
    if data.has(file::CA_KEY) || data.has(file::CA_CERTIFICATE) {
        let message = format!("{} has parts of a certificate authority", path.display());
        let aside = path.with_extension("aside");
        let hint = format!("mv {} {}", quoted(path), quoted(&aside));
        return Err(Failure::config("ca_incomplete", message, hint));
    }
    Ok(())
}

fn create_database(data: &DataDir) -> Result<(), Failure> {
    let path = data.join(file::DATABASE);
    SqliteStore::open(&path).map(drop).map_err(|error| {
        let message = format!("the database {} can't be made: {error}", path.display());
        Failure::config("store", message, format!("ls -l {}", quoted(data.path())))
    })
}

fn not_certified(data: &DataDir, error: &AuthorityError) -> Failure {
    let message = format!("the certificates can't be made: {error}");
    if matches!(error, AuthorityError::Organisation) {
        let hint = data.command("init-ca --org NAME");
        return Failure::new(Exit::Usage, "organisation", message, hint);
    }
    Failure::config("certificate", message, "look at this machine's clock, and at the profiles")
}

fn report(
    data: &DataDir,
    org: &str,
    ca: &CertificateAuthority,
    hosts: &[String],
    output: Output,
) -> Result<(), Failure> {
    let valid_to = date(ca.ca().not_after());
    let text = format!(
        "Created CA \"{org}\"  SHA256:{}  valid to {valid_to}\n\
         Server certificate: {} (renews itself)\n\
         Next: {}",
        grouped(&ca.pin()),
        hosts.join(", "),
        data.command("run"),
    );
    let object = json!({
        "v": 1, "type": "ca", "org": org, "pin": ca.pin().to_string(), "valid_to": valid_to,
        "hosts": hosts, "next": data.command("run")
    });
    output.data(&text, &object)
}
