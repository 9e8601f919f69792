//! `openchat-server ca root`: the root whose key is kept away from the server. No server, no data
//! directory: these commands are for another machine.

use crate::{
    cli::{CaRootCertifyArgs, CaRootCommand, CaRootCreateArgs, Global},
    clock,
    data_dir::{DataDir, quoted, read_whole, refused},
    failure::{Exit, Failure},
    keys,
    operator::text::{date, grouped},
    output::Output,
    passphrase::Passphrases,
    pem::{self, Label},
};
use openchat_pki::{AuthorityError, OfflineRoot, RootProfiles, UnverifiedCsr};
use serde_json::json;
use std::process::ExitCode;

const KEY: &str = "root.key";
const CERTIFICATE: &str = "root.crt";
/// The organisation, as it was given.
const ORG: &str = "org";

/// Does what was asked.
///
/// # Errors
/// If the directory is not in order, or the request is none.
pub(crate) fn run(
    global: &Global,
    command: &CaRootCommand,
    output: Output,
) -> Result<ExitCode, Failure> {
    match command {
        CaRootCommand::Create(args) => create(args, global.no_input, output),
        CaRootCommand::Certify(args) => certify(args, global.no_input, output),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CaRootCreateArgs, no_input: bool, output: Output) -> Result<(), Failure> {
    let place = DataDir::at(&args.at)?;
    place.create()?;
    place.check_empty("a root is never overwritten")?;
    let passphrases = Passphrases::from(args.passphrase_file.as_deref(), no_input);
    let at = place.join(KEY);
    let passphrase = if passphrases.is_named() { Some(passphrases.read_new(&at)?) } else { None };
    let (key, now) = (keys::generate(), clock::now());
    let root = OfflineRoot::create(&args.org, key.clone(), &profiles()?, now, &mut clock::rng())
        .map_err(|error| not_certified(&error))?;
    place.write(ORG, args.org.as_bytes())?;
    keys::store_certificate(&place, CERTIFICATE, root.certificate())?;
    keys::store_ca_key(&place, KEY, &key, passphrase.as_ref())?;
    let path = place.path().display().to_string();
    let bare = if passphrase.is_none() { "\nIts key has no passphrase." } else { "" };
    let text = format!(
        "Created root \"{}\"  SHA256:{}\n\
         Keep {path} off every network: devices pin this key, and nothing replaces it.{bare}\n\
         Next, where the server is to run: openchat-server init-ca --below-root",
        args.org,
        grouped(&root.pin()),
    );
    let object = json!({
        "v": 1, "type": "ca_root", "org": args.org, "pin": root.pin().to_string(),
        "directory": path, "sealed": passphrase.is_some()
    });
    output.data(&text, &object)
}

fn certify(args: &CaRootCertifyArgs, no_input: bool, output: Output) -> Result<(), Failure> {
    let place = DataDir::at(&args.at)?;
    place.check()?;
    let request = read_whole(&args.request).map_err(|e| refused("read", &args.request, &e))?;
    let no_request = |why: &dyn std::fmt::Display| {
        let message = format!("{} is no request of a CA: {why}", args.request.display());
        Failure::new(Exit::Usage, "request", message, "openchat-server ca request")
    };
    let der = pem::decode(Label::Request, &request).map_err(|e| no_request(&e))?;
    let key = UnverifiedCsr::decode(&der).and_then(UnverifiedCsr::verify_possession);
    let key = key.map_err(|e| no_request(&e))?;
    let org = String::from_utf8(place.read(ORG)?).unwrap_or_default();
    let passphrases = Passphrases::from(args.passphrase_file.as_deref(), no_input);
    let (root_key, _) = keys::load_ca_key(&place, KEY, &passphrases)?;
    let der = keys::load_certificate(&place, CERTIFICATE)?;
    let root = OfflineRoot::load(&org, root_key, &der, &profiles()?)
        .map_err(|error| not_certified(&error))?;
    let own = root
        .certify(&key, &args.host, &args.exclude, clock::now(), &mut clock::rng())
        .map_err(|error| not_certified(&error))?;
    let pem = [own.as_slice(), root.certificate()]
        .map(|der| pem::encode(Label::Certificate, der).to_string())
        .concat();
    let read = openchat_pki::CaCertificate::from_chain(&[&own, root.certificate()], &root.pin());
    let until = read.map_or_else(|_| String::new(), |ca| date(ca.not_after()));
    let object = json!({
        "v": 1, "type": "ca_certified", "pin": root.pin().to_string(), "valid_to": until, "pem": pem
    });
    output.data(pem.trim_end(), &object)?;
    output.note(&format!(
        "Certified to {until}. Next, where the server is: openchat-server ca install FILE\n\
         Do it again before then, with a new request: openchat-server ca root certify {} REQUEST",
        quoted(place.path())
    ));
    Ok(())
}

fn profiles() -> Result<RootProfiles, Failure> {
    RootProfiles::builtin()
        .map_err(|error| Failure::config("profile", error.to_string(), "install it again"))
}

fn not_certified(error: &AuthorityError) -> Failure {
    let message = format!("the certificate can't be made: {error}");
    if matches!(error, AuthorityError::Organisation) {
        return Failure::new(Exit::Usage, "organisation", message, "choose another --org");
    }
    Failure::config("certificate", message, "look at this machine's clock (date)")
}
