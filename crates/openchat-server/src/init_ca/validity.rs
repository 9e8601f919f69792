//! How long certificates are valid, if `init-ca` was told: kept as profiles of the operator's own,
//! so that every later certificate is as the first.

use crate::{
    cli::Days,
    data_dir::DataDir,
    failure::{Exit, Failure},
};
use openchat_pki::{
    Profiles,
    profile::{BUILTIN_CA, BUILTIN_CLIENT, BUILTIN_SERVER},
};

/// Directory of the operator's own profiles.
const DIRECTORY: &str = "pki";

/// Writes the profiles that differ from those compiled in.
///
/// # Errors
/// For a time that no member would accept, or a profile that the operator wrote before.
pub(super) fn set(data: &DataDir, ca: Option<Days>, leaf: Option<Days>) -> Result<(), Failure> {
    let wanted = [
        ("ca.toml", BUILTIN_CA, ca, "--ca-validity"),
        ("server.toml", BUILTIN_SERVER, leaf, "--leaf-validity"),
        ("client.toml", BUILTIN_CLIENT, leaf, "--leaf-validity"),
    ];
    let texts = wanted
        .map(|(_, builtin, days, _)| days.map_or(builtin.to_owned(), |days| with(builtin, days)));
    let [authority, server, client] = &texts;
    Profiles::parse(authority, server, client).map_err(|error| {
        let hint = data.command("init-ca --ca-validity 10y --leaf-validity 90d");
        Failure::new(Exit::Usage, "validity", error.to_string(), hint)
    })?;
    for ((file, _, days, flag), text) in wanted.iter().zip(&texts) {
        if days.is_some() {
            write(data, file, flag, text)?;
        }
    }
    Ok(())
}

fn write(data: &DataDir, file: &str, flag: &str, text: &str) -> Result<(), Failure> {
    let name = format!("{DIRECTORY}/{file}");
    if data.has(&name) {
        let path = data.join(&name);
        let message = format!("{} and {flag} both say how long", path.display());
        let hint = format!("set valid_days there, and leave {flag} out");
        return Err(Failure::config("profile", message, hint));
    }
    DataDir::at(&data.join(DIRECTORY))?.create_below()?;
    data.write(&name, text.as_bytes())
}

/// The profile with another life.
fn with(builtin: &str, Days(days): Days) -> String {
    let line = |line: &str| match line.strip_prefix("valid_days = ") {
        Some(_) => format!("valid_days = {days}\n"),
        None => format!("{line}\n"),
    };
    builtin.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn place() -> (tempfile::TempDir, DataDir) {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::at(&place.path().join("d")).unwrap();
        data.create().unwrap();
        (place, data)
    }

    #[test]
    fn only_what_was_said_differs() {
        let (_place, data) = place();
        set(&data, None, Some(Days(30))).unwrap();
        assert!(!data.has("pki/ca.toml"));
        for (name, builtin) in [("server", BUILTIN_SERVER), ("client", BUILTIN_CLIENT)] {
            let text = fs::read_to_string(data.join(&format!("pki/{name}.toml"))).unwrap();
            assert_eq!(text, builtin.replace("valid_days = 90", "valid_days = 30"));
        }
    }

    #[test]
    fn what_no_member_accepts_is_not_written() {
        let (_place, data) = place();
        for (ca, leaf) in [(Some(Days(364)), None), (None, Some(Days(398))), (None, Some(Days(0)))]
        {
            let failure = set(&data, ca, leaf).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains("valid_days must be"), "{}", failure.message);
        }
        assert!(!data.has("pki"));
    }

    #[test]
    fn a_profile_of_the_operators_is_never_changed() {
        let (_place, data) = place();
        set(&data, Some(Days(400)), None).unwrap();
        assert_eq!(set(&data, Some(Days(500)), None).unwrap_err().code, "profile");
    }
}
