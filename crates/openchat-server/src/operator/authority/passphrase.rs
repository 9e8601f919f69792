//! `openchat-server ca passphrase`.

use crate::{
    cli::CaPassphraseArgs,
    data_dir::{DataDir, file},
    failure::Failure,
    keys,
    output::Output,
    passphrase::Passphrases,
};
use serde_json::json;

/// Stores the CA's key anew: under another passphrase, or under none. After a crash it is under the
/// old one or the new one. A running server is not touched.
///
/// # Errors
/// If the key does not open, or nobody says the new passphrase.
pub(super) fn run(
    data: &DataDir,
    args: &CaPassphraseArgs,
    old: &Passphrases,
    new: &Passphrases,
    output: Output,
) -> Result<(), Failure> {
    let key_file = if data.has(file::CA_KEY) { file::CA_KEY } else { file::ASKED_KEY };
    let (key, was) = keys::load_ca_key(data, key_file, old)?;
    let passphrase = if args.remove { None } else { Some(new.read_new(&data.join(key_file))?) };
    keys::store_ca_key(data, key_file, &key, passphrase.as_ref())?;
    let done = match (was, &passphrase) {
        (_, None) => "removed",
        (None, Some(_)) => "set",
        (Some(_), Some(_)) => "changed",
    };
    let text = format!(
        "passphrase {done}: {}\nBackups from before have the key as it was.",
        data.join(key_file).display()
    );
    let object = json!({"v": 1, "type": "ca_passphrase", "done": done});
    output.data(&text, &object)
}
