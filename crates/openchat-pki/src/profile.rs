//! Certificate profiles: the operator's files that decide every field of a certificate.
//!
//! What peers would refuse is refused here, when the server starts, and not at the first member.

use core::time::Duration;
use openchat_wire::{UnixMillis, name::MAX_NAME};
use serde::Deserialize;

/// The three profiles of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    ca: Profile,
    server: Profile,
    client: Profile,
}

/// The rules for one kind of certificate, valid in themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    kind: Kind,
    file: ProfileFile,
}

/// Why a profile can't be used. The text names the file and the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, an unknown or missing field, or a value of the wrong type.
    #[error("{file}: {cause}")]
    Syntax {
        /// `ca.toml`, `server.toml` or `client.toml`.
        file: &'static str,
        /// Where and what.
        cause: String,
    },
    /// Readable, but members or servers would refuse such certificates.
    #[error("{file}: {field} {rule}")]
    Rule {
        /// `ca.toml`, `server.toml` or `client.toml`.
        file: &'static str,
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

impl Profiles {
    /// The profiles compiled in, from `pki/`.
    ///
    /// # Errors
    /// None in a build whose tests passed.
    pub fn builtin() -> Result<Self, ProfileError> {
        Self::parse(BUILTIN_CA, BUILTIN_SERVER, BUILTIN_CLIENT)
    }

    /// Profiles from the text of `ca.toml`, `server.toml` and `client.toml`.
    ///
    /// # Errors
    /// [`ProfileError`] for the first thing that can't be used.
    pub fn parse(ca: &str, server: &str, client: &str) -> Result<Self, ProfileError> {
        Ok(Self {
            ca: Profile::parse(Kind::Ca, ca)?,
            server: Profile::parse(Kind::Server, server)?,
            client: Profile::parse(Kind::Client, client)?,
        })
    }

    /// For the authority's own certificate.
    #[must_use]
    pub const fn ca(&self) -> &Profile {
        &self.ca
    }

    /// For the server's certificate.
    #[must_use]
    pub const fn server(&self) -> &Profile {
        &self.server
    }

    /// For members' certificates.
    #[must_use]
    pub const fn client(&self) -> &Profile {
        &self.client
    }
}

/// The text of `pki/ca.toml`, for an operator who wants to start from it.
pub const BUILTIN_CA: &str = include_str!("../../../pki/ca.toml");

/// The text of `pki/server.toml`.
pub const BUILTIN_SERVER: &str = include_str!("../../../pki/server.toml");

/// The text of `pki/client.toml`.
pub const BUILTIN_CLIENT: &str = include_str!("../../../pki/client.toml");

impl Profile {
    /// When a certificate of this profile is due for renewal: after its part of the life between
    /// the two times. Without `renew_after_percent`, as for the authority, at the end.
    #[must_use]
    pub fn renew_at(&self, not_before: UnixMillis, not_after: UnixMillis) -> UnixMillis {
        let life = not_after.0.saturating_sub(not_before.0);
        let percent = u64::from(self.file.renew_after_percent.unwrap_or(100));
        UnixMillis(not_before.0.saturating_add((life / 100).saturating_mul(percent)))
    }

    /// How long a certificate is valid from the moment of issue.
    #[must_use]
    pub fn validity(&self) -> Duration {
        Duration::from_hours(u64::from(self.file.valid_days).saturating_mul(24))
    }

    /// How far validity begins before the moment of issue.
    #[must_use]
    pub fn backdate(&self) -> Duration {
        Duration::from_mins(u64::from(self.file.backdate_minutes))
    }

    /// The subject's common name, with `value` in the placeholder's stead.
    pub(crate) fn common_name(&self, value: &str) -> String {
        match self.kind.placeholder() {
            Some(placeholder) => self.file.common_name.replace(placeholder, value),
            None => self.file.common_name.clone(),
        }
    }

    pub(crate) const fn path_length(&self) -> Option<u8> {
        self.file.path_length
    }

    pub(crate) fn key_usages(&self) -> impl Iterator<Item = KeyUsage> {
        self.file.key_usages.iter().copied()
    }

    pub(crate) fn extended_key_usages(&self) -> impl Iterator<Item = ExtendedKeyUsage> {
        self.file.extended_key_usages.iter().copied()
    }

    fn parse(kind: Kind, text: &str) -> Result<Self, ProfileError> {
        let file = toml::from_str(text).map_err(|cause| ProfileError::Syntax {
            file: kind.file(),
            cause: cause.to_string().trim_end().to_owned(),
        })?;
        let profile = Self { kind, file };
        match profile.broken_rule() {
            None => Ok(profile),
            Some((field, rule)) => Err(ProfileError::Rule { file: kind.file(), field, rule }),
        }
    }

    /// The first field that a certificate of this kind can't have, and what it must be.
    fn broken_rule(&self) -> Option<(&'static str, &'static str)> {
        self.broken_common_rule().or_else(|| match self.kind {
            Kind::Ca => self.broken_ca_rule(),
            Kind::Server | Kind::Client => self.broken_leaf_rule(),
        })
    }

    fn broken_common_rule(&self) -> Option<(&'static str, &'static str)> {
        let file = &self.file;
        if !self.is_common_name() {
            return Some((
                "common_name",
                "must be printable ASCII with no placeholder but its own, and filled in at most 64 characters",
            ));
        }
        if file.alternative_names != self.kind.alternative_names() {
            return Some((
                "alternative_names",
                "must be \"none\" for a CA, \"hosts\" for a server, \"name\" for a client",
            ));
        }
        (file.backdate_minutes > MAX_BACKDATE_MINUTES)
            .then_some(("backdate_minutes", "must be at most 1440"))
    }

    /// An unknown placeholder would be certified literally, so braces are refused beside the known.
    fn is_common_name(&self) -> bool {
        let literal = self.common_name("");
        let longest = self.common_name(&"x".repeat(self.kind.longest_value()));
        (1..=MAX_COMMON_NAME).contains(&longest.len())
            && literal.bytes().all(|b| b == b' ' || b.is_ascii_graphic() && !b"{}".contains(&b))
    }

    fn broken_ca_rule(&self) -> Option<(&'static str, &'static str)> {
        let file = &self.file;
        if !CA_DAYS.contains(&file.valid_days) {
            return Some(("valid_days", "must be 365 to 7300"));
        }
        if !file.authority {
            return Some(("authority", "must be true"));
        }
        if file.path_length != Some(0) {
            return Some(("path_length", "must be 0: there are no further authorities"));
        }
        if !file.key_usages.contains(&KeyUsage::KeyCertSign) {
            return Some(("key_usages", "must contain keyCertSign"));
        }
        if !file.extended_key_usages.is_empty() {
            return Some(("extended_key_usages", "must be empty"));
        }
        file.renew_after_percent.and(Some(("renew_after_percent", "has no meaning for a CA")))
    }

    fn broken_leaf_rule(&self) -> Option<(&'static str, &'static str)> {
        let file = &self.file;
        if !LEAF_DAYS.contains(&file.valid_days) {
            return Some(("valid_days", "must be 1 to 397"));
        }
        if file.authority {
            return Some(("authority", "must be false"));
        }
        if file.path_length.is_some() {
            return Some(("path_length", "has no meaning but for a CA"));
        }
        if file.key_usages != [KeyUsage::DigitalSignature] {
            return Some(("key_usages", "must be [\"digitalSignature\"]"));
        }
        if file.extended_key_usages != self.kind.extended_key_usages() {
            return Some((
                "extended_key_usages",
                "must be [\"serverAuth\"] for a server, [\"clientAuth\"] for a client",
            ));
        }
        let percent = file.renew_after_percent.unwrap_or_default();
        (!RENEW_PERCENT.contains(&percent)).then_some(("renew_after_percent", "must be 10 to 90"))
    }
}

/// Characters of a common name (RFC 5280 appendix A, ub-common-name).
const MAX_COMMON_NAME: usize = 64;

/// Characters of an organisation's name. Leaves 16 to the profile; the built-in one uses 12.
pub(crate) const MAX_ORGANISATION: usize = MAX_COMMON_NAME - 16;

/// A CA of under a year would strand its devices; 20 years is as long as P-256 may be hoped for.
const CA_DAYS: core::ops::RangeInclusive<u32> = 365..=7300;

/// 397 days is the longest that the public web's clients accept.
const LEAF_DAYS: core::ops::RangeInclusive<u32> = 1..=397;

/// Under 10 % renewal would be permanent, over 90 % a week without network would be too long.
const RENEW_PERCENT: core::ops::RangeInclusive<u8> = 10..=90;

/// A day: more than any clock that was ever set is off, short of one that was never set.
const MAX_BACKDATE_MINUTES: u32 = 24 * 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ca,
    Server,
    Client,
}

impl Kind {
    const fn file(self) -> &'static str {
        match self {
            Self::Ca => "ca.toml",
            Self::Server => "server.toml",
            Self::Client => "client.toml",
        }
    }

    const fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Ca => Some("{org}"),
            Self::Server => None,
            Self::Client => Some("{name}"),
        }
    }

    /// Characters of the longest value that can stand in the placeholder's stead.
    const fn longest_value(self) -> usize {
        match self {
            Self::Ca => MAX_ORGANISATION,
            Self::Server => 0,
            Self::Client => MAX_NAME,
        }
    }

    const fn alternative_names(self) -> AlternativeNames {
        match self {
            Self::Ca => AlternativeNames::None,
            Self::Server => AlternativeNames::Hosts,
            Self::Client => AlternativeNames::Name,
        }
    }

    const fn extended_key_usages(self) -> &'static [ExtendedKeyUsage] {
        match self {
            Self::Ca => &[],
            Self::Server => &[ExtendedKeyUsage::ServerAuth],
            Self::Client => &[ExtendedKeyUsage::ClientAuth],
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    common_name: String,
    alternative_names: AlternativeNames,
    valid_days: u32,
    backdate_minutes: u32,
    renew_after_percent: Option<u8>,
    authority: bool,
    path_length: Option<u8>,
    key_usages: Vec<KeyUsage>,
    extended_key_usages: Vec<ExtendedKeyUsage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AlternativeNames {
    None,
    Hosts,
    Name,
}

/// Key usages by their names in RFC 5280 §4.2.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum KeyUsage {
    #[serde(rename = "digitalSignature")]
    DigitalSignature,
    #[serde(rename = "keyCertSign")]
    KeyCertSign,
    #[serde(rename = "cRLSign")]
    CrlSign,
}

/// Extended key usages by their names in RFC 5280 §4.2.1.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum ExtendedKeyUsage {
    #[serde(rename = "serverAuth")]
    ServerAuth,
    #[serde(rename = "clientAuth")]
    ClientAuth,
}

#[cfg(test)]
mod tests {
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
}
