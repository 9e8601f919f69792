//! `openchat-server ca rotate`: another key for the CA.

use crate::{
    cli::CaRotateArgs,
    clock,
    data_dir::{DataDir, file},
    failure::Failure,
    keys,
    operator::{
        settle,
        text::{date, grouped},
    },
    output::Output,
    passphrase::Passphrases,
};
use openchat_pki::{AuthorityError, CertificateAuthority, Entry, Passphrase};
use openchat_relay::announce;
use openchat_wire::Digest;
use serde_json::json;

/// A change that is ready to be announced.
struct Change {
    from: Digest,
    ca: CertificateAuthority,
    key: openchat_crypto::IdentityKey,
    passphrase: Option<Passphrase>,
    announcement: Entry,
}

/// Changes the key. What is prepared counts from the announcement on; a crash before it leaves the old
/// key, one after it the new one.
///
/// # Errors
/// If the server runs, the CA is below a root, or the disk fails.
pub(super) fn run(
    data: &DataDir,
    args: &CaRotateArgs,
    passphrases: &Passphrases,
    output: Output,
) -> Result<(), Failure> {
    keys::check(data)?;
    let mut store = settle::stopped(data)?;
    settle::settle_with(data, &store)?;
    let change =
        if args.emergency { replaced(data, passphrases) } else { planned(data, passphrases) }?;
    keys::store_shown(data, file::NEXT_CERTIFICATE, change.ca.shown())?;
    keys::store_ca_key(data, file::NEXT_KEY, &change.key, change.passphrase.as_ref())?;
    let log_key = keys::load_key(data, file::LOG_KEY)?;
    let server_keys = keys::server_keys(data)?;
    let announced =
        announce(&mut store, (&server_keys, log_key), &change.announcement, clock::now());
    // Whether it stands after an error, the next start finds out.
    let index = announced.map_err(|error| {
        let message = format!("the change could not be announced: {error}");
        Failure::config("store", message, data.command("run"))
    })?;
    settle::put_in_place(data)?;
    keys::store_statement(data, &change.ca)?;
    report(data, &change, index, args.emergency, output)
}

fn planned(data: &DataDir, passphrases: &Passphrases) -> Result<Change, Failure> {
    let shown = keys::load_shown(data, file::CA_CERTIFICATE)?;
    let (old, passphrase) = keys::load_ca_key(data, file::CA_KEY, passphrases)?;
    let (now, profiles) = (clock::now(), keys::profiles(data)?);
    let old = CertificateAuthority::load_shown(old, shown, &profiles, now)
        .map_err(|error| keys::damaged(data, file::CA_CERTIFICATE, &error))?;
    let key = keys::generate();
    let next = old.succeed(key.clone(), now, &mut clock::rng());
    let next = next.map_err(|error| no_change(data, &error))?;
    let announcement = next.announcement;
    Ok(Change { from: old.pin(), ca: next.authority, key, passphrase, announcement })
}

/// The old key may be lost: it is not asked for, nor is its passphrase.
fn replaced(data: &DataDir, passphrases: &Passphrases) -> Result<Change, Failure> {
    let (old, _) = keys::load_public_ca(data)?;
    let sealed = data.has(file::CA_KEY) && keys::is_sealed(data, file::CA_KEY)?;
    let wanted = sealed || passphrases.is_named();
    let at = data.join(file::CA_KEY);
    let passphrase = if wanted { Some(passphrases.read_new(&at)?) } else { None };
    let (key, profiles, now) = (keys::generate(), keys::profiles(data)?, clock::now());
    let (ca, announcement) =
        CertificateAuthority::replace(&old, key.clone(), &profiles, now, &mut clock::rng())
            .map_err(|error| no_change(data, &error))?;
    Ok(Change { from: old.pin(), ca, key, passphrase, announcement })
}

fn no_change(data: &DataDir, error: &AuthorityError) -> Failure {
    let message = format!("the authority's key can't be changed: {error}");
    let hint = match error {
        AuthorityError::BelowRoot => data.command("ca request --new-key"),
        AuthorityError::Validity(_) => data.command("ca rotate --emergency"),
        _ => data.command("ca status"),
    };
    Failure::config("authority", message, hint)
}

fn report(
    data: &DataDir,
    change: &Change,
    index: u64,
    emergency: bool,
    output: Output,
) -> Result<(), Failure> {
    let (pin, until) = (change.ca.pin(), date(change.ca.ca().not_after()));
    let number = index.saturating_add(1);
    let follow = if emergency {
        "Nobody follows unasked. Tell everybody the new pin by a way that does not lead through this \
         server, and invite each under their name: openchat-server invite new NAME\n\
         They type: openchat trust accept --ca PIN --invite INVITATION"
    } else {
        "Devices follow by themselves when they connect, and so do invitations from before."
    };
    let next = data.command("run");
    let text = format!(
        "Changed the CA's key, logged as #{number}\n\
         old  SHA256:{}\n\
         new  SHA256:{}  valid to {until}\n\
         {follow}\n\
         Next: {next}",
        grouped(&change.from),
        grouped(&pin),
    );
    let object = json!({
        "v": 1, "type": "ca_rotated", "emergency": emergency, "from": change.from.to_string(),
        "pin": pin.to_string(), "valid_to": until, "index": index, "next": next
    });
    output.data(&text, &object)
}
