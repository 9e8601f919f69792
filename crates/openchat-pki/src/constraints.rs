//! Name constraints (RFC 5280 §4.2.1.10): what names a CA below a root may certify.
//!
//! Members are named by DNS names of one label, `bob`, of which there are as many as people; a DNS
//! constraint lists suffixes, so the ones that permit a host would forbid all members. So a root
//! limits addresses to the server's own and hosts by domains that it excludes.

use crate::host::HostName;
use core::net::IpAddr;
use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints as Written};
use x509_parser::extensions::{GeneralName, GeneralSubtree as Read, NameConstraints};

/// What a CA may certify: everything, if it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// Names under a DNS suffix, or addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    Dns(String),
    Ip { network: Vec<u8>, mask: Vec<u8> },
}

impl Constraints {
    /// The constraints of a certificate; `None` if there is one that can't be applied here.
    pub(crate) fn read(constraints: Option<&NameConstraints<'_>>) -> Option<Self> {
        let Some(constraints) = constraints else { return Some(Self::default()) };
        let all = |subtrees: &Option<Vec<Read<'_>>>| -> Option<Vec<Subtree>> {
            subtrees.iter().flatten().map(|subtree| Subtree::read(&subtree.base)).collect()
        };
        let permitted = all(&constraints.permitted_subtrees)?;
        Some(Self { permitted, excluded: all(&constraints.excluded_subtrees)? })
    }

    /// Whether a certificate may have these names.
    pub(crate) fn allow(&self, names: &[GeneralName<'_>]) -> bool {
        names.iter().all(|name| self.allows(name))
    }

    /// Whether a certificate may name this host.
    pub(crate) fn allow_host(&self, host: &HostName) -> bool {
        match host {
            HostName::Dns(name) => self.allows(&GeneralName::DNSName(name.as_str())),
            HostName::Ip(IpAddr::V4(v4)) => self.allows(&GeneralName::IPAddress(&v4.octets())),
            HostName::Ip(IpAddr::V6(v6)) => self.allows(&GeneralName::IPAddress(&v6.octets())),
        }
    }

    fn allows(&self, name: &GeneralName<'_>) -> bool {
        let mut limits = self.permitted.iter().filter(|subtree| subtree.is_about(name)).peekable();
        let unlimited = limits.peek().is_none();
        let excluded = self.excluded.iter().any(|subtree| subtree.contains(name));
        !excluded && (unlimited || limits.any(|subtree| subtree.contains(name)))
    }
}

impl Subtree {
    fn read(base: &GeneralName<'_>) -> Option<Self> {
        match base {
            GeneralName::DNSName(suffix) => {
                let plain =
                    |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
                let canonical = suffix.bytes().all(plain) && !suffix.starts_with('.');
                canonical.then(|| Self::Dns((*suffix).to_owned()))
            }
            GeneralName::IPAddress(bytes) if matches!(bytes.len(), 8 | 32) => {
                let (network, mask) = bytes.split_at_checked(bytes.len() / 2)?;
                Some(Self::Ip { network: network.to_vec(), mask: mask.to_vec() })
            }
            _ => None,
        }
    }

    const fn is_about(&self, name: &GeneralName<'_>) -> bool {
        matches!(
            (self, name),
            (Self::Dns(_), GeneralName::DNSName(_)) | (Self::Ip { .. }, GeneralName::IPAddress(_))
        )
    }

    fn contains(&self, name: &GeneralName<'_>) -> bool {
        match (self, name) {
            (Self::Dns(suffix), GeneralName::DNSName(name)) => is_below(name, suffix),
            (Self::Ip { network, mask }, GeneralName::IPAddress(address)) => {
                network.len() == address.len()
                    && address
                        .iter()
                        .zip(network.iter().zip(mask))
                        .all(|(byte, (net, mask))| byte & mask == net & mask)
            }
            _ => false,
        }
    }
}

/// Whether a name is the suffix or has labels before it; everything is below nothing.
fn is_below(name: &str, suffix: &str) -> bool {
    let before = name.strip_suffix(suffix);
    suffix.is_empty() || before.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The constraints of a CA whose server is at these hosts: of addresses its own alone, or none; of
/// domains all but the excluded.
pub(crate) fn written(hosts: &[HostName], excluded_domains: &[HostName]) -> Written {
    let addresses: Vec<IpAddr> = hosts.iter().filter_map(address).collect();
    let domain = |host: &HostName| match host {
        HostName::Dns(name) => Some(GeneralSubtree::DnsName(name.as_str().to_owned())),
        HostName::Ip(_) => None,
    };
    let mut excluded_subtrees: Vec<_> = excluded_domains.iter().filter_map(domain).collect();
    if addresses.is_empty() {
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])));
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])));
    }
    let permitted_subtrees = addresses.into_iter().map(only).collect();
    Written { permitted_subtrees, excluded_subtrees }
}

fn address(host: &HostName) -> Option<IpAddr> {
    match host {
        HostName::Dns(_) => None,
        HostName::Ip(address) => Some(*address),
    }
}

/// The network of one address.
const fn only(address: IpAddr) -> GeneralSubtree {
    GeneralSubtree::IpAddress(match address {
        IpAddr::V4(v4) => CidrSubnet::V4(v4.octets(), [0xff; 4]),
        IpAddr::V6(v6) => CidrSubnet::V6(v6.octets(), [0xff; 16]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(suffix: &str) -> Subtree {
        Subtree::Dns(suffix.to_owned())
    }

    fn network(octet: u8, bits: u8) -> Subtree {
        Subtree::Ip { network: vec![octet, 0, 0, 0], mask: vec![bits, 0, 0, 0] }
    }

    #[test]
    fn suffixes_are_of_whole_labels() {
        for (name, suffix, expected) in [
            ("chat.example.org", "example.org", true),
            ("example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("example.org.evil", "example.org", false),
            ("bob", "", true),
            ("bob", "org", false),
            ("bob", "bob", true),
        ] {
            assert_eq!(is_below(name, suffix), expected, "{name} {suffix}");
        }
    }

    #[test]
    fn t12_what_is_excluded_or_of_a_kind_with_limits_is_refused() {
        let limits = Constraints {
            permitted: vec![network(10, 0xff), dns("bob"), dns("example.org")],
            excluded: vec![dns("secret.example.org")],
        };
        let allow = |name| limits.allow(&[name]);
        assert!(allow(GeneralName::DNSName("bob")) && allow(GeneralName::DNSName("a.example.org")));
        assert!(!allow(GeneralName::DNSName("alice")));
        assert!(!allow(GeneralName::DNSName("x.secret.example.org")));
        assert!(allow(GeneralName::IPAddress(&[10, 1, 2, 3])));
        assert!(!allow(GeneralName::IPAddress(&[11, 1, 2, 3])));
        assert!(!allow(GeneralName::IPAddress(&[10; 16])), "the other kind of address");
        assert!(!limits.allow(&[GeneralName::DNSName("bob"), GeneralName::DNSName("alice")]));
        assert!(Constraints::default().allow(&[GeneralName::DNSName("alice")]));
    }

    #[test]
    fn limits_that_can_not_be_applied_make_no_ca() {
        for base in [
            GeneralName::RFC822Name("example.org"),
            GeneralName::URI("example.org"),
            GeneralName::DNSName(".example.org"),
            GeneralName::DNSName("Example.org"),
            GeneralName::IPAddress(&[10, 0, 0, 0]),
        ] {
            assert_eq!(Subtree::read(&base), None, "{base}");
        }
    }
}
