//! What a server may be called in its certificate: a DNS name or an address.

use core::{fmt, net::IpAddr, str::FromStr};

/// A host's DNS name in lower case, or its IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostName {
    /// Labels of `a-z`, `0-9` and inner `-`, joined by dots (RFC 1123 §2.1). No wildcard.
    Dns(DnsName),
    /// IPv4 or IPv6, without zone or port.
    Ip(IpAddr),
}

/// A valid DNS name in lower case, without the root's dot. Made by parsing a [`HostName`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is an IP address or a DNS name of letters, digits, '-' and dots")]
pub struct HostNameError;

/// Bytes of the longest DNS name (RFC 1035 §2.3.4, without the root's octets).
const MAX_DNS_NAME: usize = 253;

/// Bytes of the longest label.
const MAX_LABEL: usize = 63;

impl DnsName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    /// Reads an address, else a DNS name; capitals become small, one final dot is dropped.
    fn from_str(text: &str) -> Result<Self, HostNameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        is_dns_name(&name).then_some(Self::Dns(DnsName(name))).ok_or(HostNameError)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.pad(name.as_str()),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// A last label of digits only would read as a part of an address (RFC 3696 §2).
fn is_dns_name(name: &str) -> bool {
    let numeric_end =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= MAX_DNS_NAME && !numeric_end && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, shown) in [
            ("localhost", "localhost"),
            ("Chat.Example.ORG.", "chat.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("2001:DB8::1", "2001:db8::1"),
        ] {
            assert_eq!(text.parse::<HostName>().unwrap().to_string(), shown);
        }
        assert!(matches!("10.0.0.1".parse(), Ok(HostName::Ip(_))));
    }

    #[test]
    fn others_are_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for text in [
            "",
            ".",
            "a..b",
            "*.example.org",
            "-a",
            "a-",
            "a_b",
            "a b",
            "a\0",
            "m\u{fc}ller.de",
            "1.2.3",
            "1.2.3.4.5",
            "[::1]",
            "fe80::1%eth0",
            "a:80",
            &long_label,
            &long_name,
        ] {
            assert_eq!(text.parse::<HostName>(), Err(HostNameError), "{text:?}");
        }
    }
}
