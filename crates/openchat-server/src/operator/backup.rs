//! `openchat-server backup`: everything that a restore needs, in one new directory.
//!
//! The database is copied as one read transaction sees it; the rest are small files that never
//! change, but for the server's own certificate, which repairs itself. The manifest is written
//! last: a directory without one is no backup.

pub(crate) mod manifest;

use crate::{
    cli::BackupArgs,
    clock,
    data_dir::{DataDir, MAX_FILE, file, quoted, refused},
    failure::{Exit, Failure},
    keys,
    operator::text::size,
    output::Output,
};
use manifest::{MANIFEST, Manifest, is_kept};
use openchat_relay::StoreError;
use openchat_store_sqlite::{Checked, SqliteReader, check};
use openchat_wire::admin::SOCKET;
use serde_json::json;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Directory of the operator's own certificate profiles, the only one in a data directory.
const PROFILES: &str = "pki";

/// Makes a backup.
///
/// # Errors
/// If the place is taken, the disk fails, or what was written is not what was read.
pub(crate) fn run(data: &DataDir, args: &BackupArgs, output: Output) -> Result<ExitCode, Failure> {
    data.check()?;
    // Nothing is worth copying that no server could run on.
    keys::check(data)?;
    let names = names(data)?;
    let copy = DataDir::at(&args.to)?;
    refuse_inside(data, &copy)?;
    copy.create()?;
    copy.check_empty("a backup goes into a new directory")?;
    let (manifest, checked) = fill(data, &copy, &names).inspect_err(|_| {
        // It was empty, so all that is in it is half a backup. What stays is taken for none.
        let _ = fs::remove_dir_all(copy.path());
    })?;
    report(data, &copy, &manifest, &checked, output)?;
    Ok(ExitCode::SUCCESS)
}

fn fill(data: &DataDir, copy: &DataDir, names: &[String]) -> Result<(Manifest, Checked), Failure> {
    copy_database(data, copy)?;
    copy_files(data, copy, names)?;
    let checked = check_store(copy)?;
    let manifest = Manifest::of(copy, clock::now(), &checked)?;
    copy.write(MANIFEST, manifest.to_json().as_bytes())?;
    // Read from the disk again, as a restore would.
    Manifest::read(copy)?.check(copy)?;
    keys::check(copy)?;
    Ok((manifest, checked))
}

/// Inside the data directory a backup would be lost with it, and be in the next one.
fn refuse_inside(data: &DataDir, copy: &DataDir) -> Result<(), Failure> {
    let real = |path: &Path| {
        let existing = path.ancestors().find_map(|place| place.canonicalize().ok());
        existing.unwrap_or_else(|| path.to_owned())
    };
    if !real(copy.path()).starts_with(real(data.path())) {
        return Ok(());
    }
    let message = format!("{} is in the data directory itself", copy.path().display());
    let hint = data.command("backup /path/outside/of/it");
    Err(Failure::new(Exit::Usage, "place", message, hint))
}

fn copy_database(data: &DataDir, copy: &DataDir) -> Result<(), Failure> {
    let (from, to) = (data.join(file::DATABASE), copy.join(file::DATABASE));
    let copied = SqliteReader::open(&from).and_then(|reader| reader.copy_to(&to));
    copied.map_err(|error| {
        let message = format!("the database can't be copied to {}: {error}", to.display());
        let hint = format!("df -h {}", quoted(copy.path().parent().unwrap_or(copy.path())));
        Failure::new(Exit::Failure, "store", message, hint)
    })
}

fn copy_files(data: &DataDir, copy: &DataDir, names: &[String]) -> Result<(), Failure> {
    for name in names {
        if name.contains('/') {
            DataDir::at(&copy.join(PROFILES))?.create_below()?;
        }
        copy.write(name, &data.read_whole(name)?)?;
    }
    Ok(())
}

/// Names of all files to be copied beside the database.
fn names(data: &DataDir) -> Result<Vec<String>, Failure> {
    let mut names = files(data.path())?;
    if data.has(PROFILES) {
        let inside = files(&data.join(PROFILES))?;
        names.extend(inside.into_iter().map(|name| format!("{PROFILES}/{name}")));
    }
    Ok(names)
}

/// Those of one directory: all but the database's own and what lives only while a server
/// runs. So a file that a later version adds is not forgotten.
fn files(directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = |e: &std::io::Error| refused("read", directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| failed(&e))? {
        let entry = entry.map_err(|e| failed(&e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = name.starts_with(file::DATABASE) || name == SOCKET || name == MANIFEST;
        let metadata = entry.metadata().map_err(|e| failed(&e))?;
        let unfinished = entry.path().extension().is_some_and(|extension| extension == "new");
        if own || unfinished || !metadata.is_file() {
            continue;
        }
        if metadata.len() >= MAX_FILE || !is_kept(&name) {
            return Err(foreign(&entry.path()));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

fn foreign(path: &Path) -> Failure {
    let message = format!("{} is no file of a server, and would be in the backup", path.display());
    Failure::config("foreign_file", message, format!("mv {} /somewhere/else", quoted(path)))
}

/// Looks through the copied database.
pub(crate) fn check_store(copy: &DataDir) -> Result<Checked, Failure> {
    let path = copy.join(file::DATABASE);
    check(&path).map_err(|error| not_whole(&path, &error))
}

fn not_whole(path: &Path, error: &StoreError) -> Failure {
    let message = format!("{} is not a whole database: {error}", path.display());
    Failure::new(Exit::Failure, "damaged", message, "take another backup; look at both disks")
}

fn report(
    data: &DataDir,
    copy: &DataDir,
    manifest: &Manifest,
    checked: &Checked,
    output: Output,
) -> Result<(), Failure> {
    let path = copy.path().display().to_string();
    // Its directory entry too has to survive.
    let parent = copy.path().parent().map(PathBuf::from).unwrap_or_default();
    let synced = File::open(&parent).and_then(|directory| directory.sync_all());
    synced.map_err(|e| refused("sync", &parent, &e))?;
    let bytes = fs::metadata(copy.join(file::DATABASE)).map_or(0, |found| found.len());
    let text = format!(
        "Backup in {path}: {} files, database {} with {} entries, transparency log {}; checked\n\
         It holds the CA's key: encrypt it, and take it off this machine.\n\
         Try it: openchat-server restore {} --data /path/to/an/empty/place",
        manifest.files.len(),
        size(bytes),
        checked.entries,
        checked.recorded,
        quoted(copy.path()),
    );
    let object = json!({
        "v": 1, "type": "backup", "directory": path, "from": data.path().display().to_string(),
        "files": manifest.files.len(), "database_bytes": bytes, "entries": checked.entries,
        "recorded": checked.recorded
    });
    output.data(&text, &object)
}
