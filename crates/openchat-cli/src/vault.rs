//! `openchat vault`: how the vault's key is kept.

use crate::{
    args::{VaultArgs, VaultCommand},
    context::Context,
    fault::{Exit, Fault},
    json, passphrase,
};
use openchat_client::{Keeping, Kept, Vault};

/// The option that names a new passphrase.
const OPTION: &str = "--new-passphrase-file";

pub(crate) fn run(context: &Context, args: VaultArgs) -> Result<Exit, Fault> {
    // Looked at first: who is not enrolled gets an answer and no directory.
    let (vault, _) = context.look()?;
    match args.command {
        None => told(context, &vault)?,
        Some(VaultCommand::Check) => return check(context),
        Some(VaultCommand::Passphrase { new_passphrase_file: file }) => {
            drop(vault);
            let new = passphrase::choose(file.as_deref(), context.may_ask, "New passphrase")
                .map_err(|error| error.fault(OPTION))?;
            keep(context, &Keeping::Passphrase(new))?;
        }
        Some(VaultCommand::Keyring) => {
            drop(vault);
            let patience = passphrase::patience(context.may_ask);
            keep(context, &Keeping::Keyring { patience })?;
        }
        Some(VaultCommand::KeyFile { file }) => {
            drop(vault);
            keep(context, &file.map_or(Keeping::Beside, Keeping::At))?;
        }
    }
    Ok(Exit::Ok)
}

fn keep(context: &Context, keeping: &Keeping) -> Result<(), Fault> {
    let sealed = context.open()?.keep(keeping).map_err(|error| context.hints.vault(&error))?;
    context.out.note("The vault was sealed with a new key.");
    told(context, &sealed)
}

fn told(context: &Context, vault: &Vault) -> Result<(), Fault> {
    let directory = context.directory();
    let (word, file, said) = match vault.kept() {
        Kept::Beside => (
            "beside",
            Some(directory.join("vault.key")),
            "its key lies beside it: whoever has the folder has the messages",
        ),
        Kept::At(path) => ("file", Some(path.clone()), "its key is in a file elsewhere"),
        Kept::Passphrase => ("passphrase", None, "its key is sealed under a passphrase"),
        Kept::Keyring => (
            "keyring",
            None,
            "its key is in the keyring of the desktop, which opens when you log in",
        ),
    };
    let file = file.map(|path| path.to_string_lossy().into_owned());
    let named = file.as_ref().map_or(String::new(), |file| format!("\nkey    {file}"));
    let text = format!("vault  {}\n{said}{named}", directory.display());
    let object = json::VaultState {
        directory: &directory.to_string_lossy(),
        key: word,
        file: file.as_deref(),
    };
    context.out.result(&text, &json::Object::of("vault", object))
}

fn check(context: &Context) -> Result<Exit, Fault> {
    let damaged = Vault::damaged_pages(&context.directory(), &context.unlock);
    let damaged = damaged.map_err(|error| context.hints.vault(&error))?;
    if damaged > 0 {
        let message = format!("{damaged} pages of the vault are damaged");
        let hint = "copy the folder before anything else; then: openchat -P NEW import BACKUP";
        return Err(Fault::new(Exit::Failure, "vault-damaged", message, hint));
    }
    let object = json::Object::of("checked", json::Checked { damaged });
    context.out.result("all pages are as they were written", &object)?;
    Ok(Exit::Ok)
}
