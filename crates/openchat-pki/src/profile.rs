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

/// The profiles of a root whose key is kept elsewhere, and of the CAs that it certifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootProfiles {
    root: Profile,
    intermediate: Profile,
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
        /// `ca.toml`, `server.toml`, `client.toml`, `root.toml` or `intermediate.toml`.
        file: &'static str,
        /// Where and what.
        cause: String,
    },
    /// Readable, but members or servers would refuse such certificates.
    #[error("{file}: {field} {rule}")]
    Rule {
        /// `ca.toml`, `server.toml`, `client.toml`, `root.toml` or `intermediate.toml`.
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

impl RootProfiles {
    /// The profiles compiled in, from `pki/`.
    ///
    /// # Errors
    /// None in a build whose tests passed.
    pub fn builtin() -> Result<Self, ProfileError> {
        Self::parse(BUILTIN_ROOT, BUILTIN_INTERMEDIATE)
    }

    /// Profiles from the text of `root.toml` and `intermediate.toml`.
    ///
    /// # Errors
    /// [`ProfileError`] for the first thing that can't be used.
    pub fn parse(root: &str, intermediate: &str) -> Result<Self, ProfileError> {
        Ok(Self {
            root: Profile::parse(Kind::Root, root)?,
            intermediate: Profile::parse(Kind::Intermediate, intermediate)?,
        })
    }

    /// For the root's own certificate.
    #[must_use]
    pub const fn root(&self) -> &Profile {
        &self.root
    }

    /// For the certificate of a server's CA.
    #[must_use]
    pub const fn intermediate(&self) -> &Profile {
        &self.intermediate
    }
}

/// The text of `pki/root.toml`, for an operator who wants to start from it.
pub const BUILTIN_ROOT: &str = include_str!("../../../pki/root.toml");

/// The text of `pki/intermediate.toml`.
pub const BUILTIN_INTERMEDIATE: &str = include_str!("../../../pki/intermediate.toml");

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
            Kind::Ca | Kind::Root | Kind::Intermediate => self.broken_ca_rule(),
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
        if file.path_length != Some(self.kind.path_length()) {
            return Some((
                "path_length",
                "must be 1 for a root, and 0 for others: there are no further authorities",
            ));
        }
        if !file.key_usages.contains(&KeyUsage::KeyCertSign) {
            return Some(("key_usages", "must contain keyCertSign"));
        }
        if file.extended_key_usages != self.kind.extended_key_usages() {
            return Some((
                "extended_key_usages",
                "must be [\"serverAuth\", \"clientAuth\"] below a root, else empty",
            ));
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
    Root,
    Intermediate,
    Server,
    Client,
}

impl Kind {
    const fn file(self) -> &'static str {
        match self {
            Self::Ca => "ca.toml",
            Self::Root => "root.toml",
            Self::Intermediate => "intermediate.toml",
            Self::Server => "server.toml",
            Self::Client => "client.toml",
        }
    }

    const fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Ca | Self::Root | Self::Intermediate => Some("{org}"),
            Self::Server => None,
            Self::Client => Some("{name}"),
        }
    }

    /// Characters of the longest value that can stand in the placeholder's stead.
    const fn longest_value(self) -> usize {
        match self {
            Self::Ca | Self::Root | Self::Intermediate => MAX_ORGANISATION,
            Self::Server => 0,
            Self::Client => MAX_NAME,
        }
    }

    /// Authorities that may stand below one of this kind.
    const fn path_length(self) -> u8 {
        match self {
            Self::Root => 1,
            Self::Ca | Self::Intermediate | Self::Server | Self::Client => 0,
        }
    }

    const fn alternative_names(self) -> AlternativeNames {
        match self {
            Self::Ca | Self::Root | Self::Intermediate => AlternativeNames::None,
            Self::Server => AlternativeNames::Hosts,
            Self::Client => AlternativeNames::Name,
        }
    }

    const fn extended_key_usages(self) -> &'static [ExtendedKeyUsage] {
        match self {
            Self::Ca | Self::Root => &[],
            Self::Intermediate => &[ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth],
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
mod tests;
