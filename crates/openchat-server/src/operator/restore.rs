//! `openchat-server restore`: a backup becomes a data directory, where none was.

use crate::{
    cli::RestoreArgs,
    data_dir::{DataDir, file, refused},
    failure::Failure,
    keys,
    operator::{
        backup::{
            check_store,
            manifest::{MANIFEST, Manifest},
        },
        text::moment,
    },
    output::Output,
};
use serde_json::json;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
};

/// Puts a backup into the data directory.
///
/// # Errors
/// If the backup is not whole, or the place is not empty. Nothing is left behind then.
pub(crate) fn run(data: &DataDir, args: &RestoreArgs, output: Output) -> Result<ExitCode, Failure> {
    let copy = DataDir::at(&args.from)?;
    let manifest = Manifest::read(&copy)?;
    manifest.check(&copy)?;
    data.create()?;
    data.check_empty("a restore never overwrites")?;
    let restored = put(data, &copy, &manifest).and_then(|()| {
        check_store(data)?;
        keys::check(data)?;
        data.write(file::RESTORED, manifest.to_json().as_bytes())
    });
    if let Err(failure) = restored {
        clear(data, &manifest);
        return Err(failure);
    }
    report(data, &manifest, output)?;
    Ok(ExitCode::SUCCESS)
}

/// The CA comes last, as when it was made: half a restore is no server.
fn put(data: &DataDir, copy: &DataDir, manifest: &Manifest) -> Result<(), Failure> {
    let is_ca = |name: &&String| [file::CA_KEY, file::CA_CERTIFICATE].contains(&name.as_str());
    let names = manifest.files.keys().filter(|name| *name != MANIFEST);
    let (ca, rest): (Vec<_>, Vec<_>) = names.partition(is_ca);
    for name in rest.into_iter().chain(ca) {
        let to = data.join(name);
        if let Some(parent) = Path::new(name).parent().filter(|parent| *parent != Path::new("")) {
            DataDir::at(&data.path().join(parent))?.create_below()?;
        }
        copy_file(&copy.join(name), &to).map_err(|e| refused("write", &to, &e))?;
    }
    let path = data.path();
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|e| refused("sync", path, &e))
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut File::open(from)?, &mut to)?;
    to.sync_all()
}

/// Takes back what was written into a directory that was empty before.
fn clear(data: &DataDir, manifest: &Manifest) {
    for name in manifest.files.keys() {
        // What can't be removed keeps the next restore out, which says so.
        let _ = fs::remove_file(data.join(name));
    }
    let _ = fs::remove_file(data.join(file::RESTORED));
    let _ = fs::remove_dir(data.join("pki"));
}

fn report(data: &DataDir, manifest: &Manifest, output: Output) -> Result<(), Failure> {
    let made = moment(manifest.made);
    let text = format!(
        "Restored into {}, as of {made}\n\
         Whoever wrote later has a longer history than this server: read \"Restore\" in \
         operations.md before clients reach it.\n\
         Next: {}",
        data.path().display(),
        data.command("run"),
    );
    let object = json!({
        "v": 1, "type": "restored", "directory": data.path().display().to_string(),
        "made": made, "recorded": manifest.recorded, "next": data.command("run")
    });
    output.data(&text, &object)
}
