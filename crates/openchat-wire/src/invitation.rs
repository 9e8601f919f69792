//! An invitation to the server as one pasted string:
//! `openchat://HOST:PORT/#v1.<CA pin>.<id>.<secret>`, the last three in unpadded base64url.
//!
//! What follows `#` never leaves a browser that somebody pastes it into. The string is a secret:
//! it is redacted in `Debug`, and `Display` is for the person who asked for it.

use crate::Digest;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::{fmt, str::FromStr};

/// Where to enroll, whom to trust there, and the proof of having been invited.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// `host:port`; an IPv6 address stands in brackets.
    pub address: String,
    /// SHA-256 of the CA's `SubjectPublicKeyInfo`.
    pub ca_pin: Digest,
    /// Names the invitation at the server.
    pub id: [u8; 16],
    /// 128 random bits; the server keeps only their hash.
    pub secret: [u8; 16],
}

/// Why a text is no invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Not of this shape.
    #[error("not an openchat invitation (openchat://HOST:PORT/#v1.…)")]
    Shape,
    /// A later kind.
    #[error("an invitation of a newer version of openchat")]
    Version,
    /// Cut short or changed.
    #[error("the invitation is damaged: copy all of it")]
    Damaged,
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let rest = text.trim().strip_prefix("openchat://").ok_or(InvitationError::Shape)?;
        let (address, fragment) = rest.split_once("/#").ok_or(InvitationError::Shape)?;
        if !is_address(address) {
            return Err(InvitationError::Shape);
        }
        let fields: Vec<&str> = fragment.split('.').collect();
        match fields[..] {
            ["v1", ca_pin, id, secret] => Ok(Self {
                address: address.to_owned(),
                ca_pin: Digest(field(ca_pin)?),
                id: field(id)?,
                secret: field(secret)?,
            }),
            ["v1", ..] => Err(InvitationError::Damaged),
            _ => Err(InvitationError::Version),
        }
    }
}

/// `host:port` of the characters that hosts and addresses have: nothing a terminal would act on.
fn is_address(address: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    address.len() <= 300
        && address.chars().all(allowed)
        && address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn field<const N: usize>(text: &str) -> Result<[u8; N], InvitationError> {
    let mut bytes = [0; N];
    match Base64UrlUnpadded::decode(text, &mut bytes) {
        Ok(decoded) if decoded.len() == N => Ok(bytes),
        _ => Err(InvitationError::Damaged),
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Base64UrlUnpadded::encode_string;
        write!(f, "openchat://{}/#v1.", self.address)?;
        write!(f, "{}.{}.{}", text(&self.ca_pin.0), text(&self.id), text(&self.secret))
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({}, …)", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Invitation {
        Invitation {
            address: "[::1]:7443".to_owned(),
            ca_pin: Digest([7; 32]),
            id: [1; 16],
            secret: [255; 16],
        }
    }

    #[test]
    fn text_and_back() {
        assert_eq!(sample().to_string().parse(), Ok(sample()));
        assert_eq!(format!(" {}\n", sample()).parse(), Ok(sample()));
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = sample().to_string();
        for end in 0..text.len() {
            assert!(text[..end].parse::<Invitation>().is_err(), "{end}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let text = sample().to_string();
        assert_eq!("bob".parse::<Invitation>(), Err(InvitationError::Shape));
        assert_eq!(text.replace("v1", "v2").parse::<Invitation>(), Err(InvitationError::Version));
        assert_eq!(format!("{text}A").parse::<Invitation>(), Err(InvitationError::Damaged));
        assert_eq!(
            text.replace("[::1]", "\u{1b}[0m").parse::<Invitation>(),
            Err(InvitationError::Shape)
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", sample());
        assert!(!shown.contains(&Base64UrlUnpadded::encode_string(&[255; 16])), "{shown}");
    }
}
