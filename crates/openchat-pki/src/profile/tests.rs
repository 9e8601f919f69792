use super::*;

fn client(from: &str, to: &str) -> Result<Profiles, ProfileError> {
    assert!(BUILTIN_CLIENT.contains(from), "{from}");
    Profiles::parse(BUILTIN_CA, BUILTIN_SERVER, &BUILTIN_CLIENT.replace(from, to))
}

fn ca(from: &str, to: &str) -> Result<Profiles, ProfileError> {
    assert!(BUILTIN_CA.contains(from), "{from}");
    Profiles::parse(&BUILTIN_CA.replace(from, to), BUILTIN_SERVER, BUILTIN_CLIENT)
}

fn field(result: Result<Profiles, ProfileError>) -> &'static str {
    match result {
        Err(ProfileError::Rule { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_builtin_profiles_say_ten_years_and_ninety_days() {
    let profiles = Profiles::builtin().unwrap();
    assert_eq!(profiles.ca().validity(), Duration::from_hours(3650 * 24));
    assert_eq!(profiles.server().validity(), Duration::from_hours(90 * 24));
    assert_eq!(profiles.client().validity(), Duration::from_hours(90 * 24));
    assert_eq!(profiles.client().backdate(), Duration::from_mins(5));
    assert_eq!(profiles.client().common_name("bob"), "bob");
    assert_eq!(profiles.ca().common_name("Acme"), "Acme openchat CA");
}

#[test]
fn a_leaf_that_peers_would_refuse_is_refused_here() {
    assert_eq!(field(client("valid_days = 90", "valid_days = 398")), "valid_days");
    assert_eq!(field(client("valid_days = 90", "valid_days = 0")), "valid_days");
    assert_eq!(field(client("authority = false", "authority = true")), "authority");
    assert_eq!(
        field(client("authority = false", "authority = false\npath_length = 0")),
        "path_length"
    );
    assert_eq!(
        field(client("[\"digitalSignature\"]", "[\"digitalSignature\", \"keyCertSign\"]")),
        "key_usages"
    );
    for usages in ["[]", "[\"serverAuth\"]", "[\"clientAuth\", \"serverAuth\"]"] {
        assert_eq!(field(client("[\"clientAuth\"]", usages)), "extended_key_usages");
    }
    assert_eq!(field(client("= 66", "= 9")), "renew_after_percent");
    assert_eq!(field(client("= 66", "= 91")), "renew_after_percent");
    assert_eq!(
        field(client("backdate_minutes = 5", "backdate_minutes = 1441")),
        "backdate_minutes"
    );
    assert_eq!(field(client("\"name\"", "\"hosts\"")), "alternative_names");
    for name in ["{org}", "", "a\\u0000b", "{name}{", "\\u202ebob"] {
        assert_eq!(
            field(client("common_name = \"{name}\"", &format!("common_name = \"{name}\""))),
            "common_name"
        );
    }
}

#[test]
fn a_ca_that_nobody_could_use_is_refused_here() {
    assert_eq!(field(ca("valid_days = 3650", "valid_days = 364")), "valid_days");
    assert_eq!(field(ca("authority = true", "authority = false")), "authority");
    assert_eq!(field(ca("path_length = 0", "path_length = 1")), "path_length");
    assert_eq!(field(ca("path_length = 0", "")), "path_length");
    assert_eq!(field(ca("\"keyCertSign\", ", "")), "key_usages");
    assert_eq!(
        field(ca("extended_key_usages = []", "extended_key_usages = [\"clientAuth\"]")),
        "extended_key_usages"
    );
    assert_eq!(
        field(ca("path_length = 0", "path_length = 0\nrenew_after_percent = 50")),
        "renew_after_percent"
    );
}

#[test]
fn unknown_missing_and_mistyped_fields_name_the_file() {
    for (from, to) in [
        ("authority = false", "authority = false\nvalid_years = 1"),
        ("valid_days = 90", ""),
        ("valid_days = 90", "valid_days = -1"),
        ("valid_days = 90", "valid_days = \"90\""),
        ("\"clientAuth\"", "\"anyExtendedKeyUsage\""),
    ] {
        let error = client(from, to).unwrap_err();
        assert!(matches!(error, ProfileError::Syntax { file: "client.toml", .. }), "{error}");
    }
}

#[test]
fn renewal_is_due_after_its_part_of_the_life() {
    let profiles = Profiles::builtin().unwrap();
    let at = profiles.client().renew_at(UnixMillis(1000), UnixMillis(101_000));
    assert_eq!(at, UnixMillis(67_000));
    let extreme = profiles.client().renew_at(UnixMillis(u64::MAX), UnixMillis(0));
    assert_eq!(extreme, UnixMillis(u64::MAX));
}
