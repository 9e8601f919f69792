//! Under which names and addresses this host is reached.

use crate::{
    data_dir::{DataDir, file},
    failure::Failure,
};
use openchat_pki::HostName;
use std::net::{IpAddr, SocketAddr};

/// Names and addresses of one certificate. Every container bridge has an address of its own, and
/// a certificate that lists hundreds helps nobody.
const MAX_HOSTS: usize = 64;

/// What the server's certificate has to name: first what the operator said, then what is found.
pub(crate) fn wanted(configured: &[HostName], listen: Option<IpAddr>) -> Vec<HostName> {
    let mut hosts = configured.to_vec();
    hosts.extend(listen.filter(|address| !address.is_unspecified()).map(HostName::Ip));
    hosts.extend("localhost".parse());
    hosts.extend(names());
    hosts.extend(addresses().into_iter().map(HostName::Ip));
    hosts.extend(["127.0.0.1", "::1"].iter().flat_map(|address| address.parse()));
    let mut once = Vec::new();
    for host in hosts {
        if !once.contains(&host) {
            once.push(host);
        }
    }
    once.truncate(MAX_HOSTS);
    once
}

/// Where clients on other machines find a server that listens at `listen`.
pub(crate) fn advertised(listen: SocketAddr, configured: &[HostName]) -> String {
    let host = reachable(listen.ip(), configured, &addresses());
    match host {
        HostName::Ip(address) => SocketAddr::new(address, listen.port()).to_string(),
        HostName::Dns(name) => format!("{}:{}", name.as_str(), listen.port()),
    }
}

/// What was said by the operator wins over what is guessed.
fn reachable(listen: IpAddr, configured: &[HostName], found: &[IpAddr]) -> HostName {
    if !listen.is_unspecified() {
        return HostName::Ip(listen);
    }
    if let Some(first) = configured.first() {
        return first.clone();
    }
    let listens = |address: &&IpAddr| listen.is_ipv6() || address.is_ipv4();
    HostName::Ip(found.iter().find(listens).copied().unwrap_or_else(|| [127, 0, 0, 1].into()))
}

/// This host's own names; also the one that multicast DNS gives it in a local network.
fn names() -> Vec<HostName> {
    let name = gethostname::gethostname();
    let Some(name) = name.to_str().filter(|name| !name.is_empty()) else {
        return Vec::new();
    };
    let local = (!name.contains('.')).then(|| format!("{name}.local"));
    [Some(name.to_owned()), local].into_iter().flatten().flat_map(|name| name.parse()).collect()
}

/// Addresses that other machines may reach, IPv4 first, as people can read them out.
fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "this host's addresses can't be listed");
        Vec::new()
    });
    let mut addresses: Vec<IpAddr> = interfaces
        .iter()
        .filter(|interface| !interface.is_loopback() && !interface.is_link_local())
        .map(if_addrs::Interface::ip)
        .collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

/// What the operator said at `init-ca`.
pub(crate) fn load(data: &DataDir) -> Result<Vec<HostName>, Failure> {
    let text = data.read(file::HOSTS)?;
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| parse(data, line))
        .collect()
}

fn parse(data: &DataDir, line: &str) -> Result<HostName, Failure> {
    line.parse().map_err(|error| {
        let path = data.join(file::HOSTS);
        let message = format!("{}: {:?}: {error}", path.display(), line);
        Failure::config("hosts", message, format!("correct {}, one host a line", path.display()))
    })
}

/// Keeps it for later runs.
pub(crate) fn store(data: &DataDir, hosts: &[HostName]) -> Result<(), Failure> {
    let mut text = hosts.iter().map(HostName::to_string).collect::<Vec<_>>().join("\n");
    text.push('\n');
    data.write(file::HOSTS, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostName {
        text.parse().unwrap()
    }

    #[test]
    fn the_certificate_names_what_was_said_first_and_each_once() {
        let said = [host("chat.example.org"), host("localhost")];
        let hosts = wanted(&said, Some([127, 0, 0, 1].into()));
        assert_eq!(hosts[..3], [said[0].clone(), said[1].clone(), host("127.0.0.1")]);
        for host in &hosts {
            assert_eq!(hosts.iter().filter(|other| *other == host).count(), 1, "{host}");
        }
        assert!(wanted(&[], None).contains(&host("::1")));
    }

    #[test]
    fn an_invitation_names_where_the_server_is_reached() {
        let any_v6 = "::".parse().unwrap();
        let any_v4 = "0.0.0.0".parse().unwrap();
        let found = ["2001:db8::1".parse().unwrap(), "10.0.0.9".parse().unwrap()];
        let said = [host("chat.example.org")];
        let own = "192.168.1.20".parse().unwrap();
        assert_eq!(reachable(own, &said, &found), host("192.168.1.20"));
        assert_eq!(reachable(any_v6, &said, &found), said[0]);
        assert_eq!(reachable(any_v6, &[], &found), host("2001:db8::1"));
        assert_eq!(reachable(any_v4, &[], &found), host("10.0.0.9"));
        assert_eq!(reachable(any_v6, &[], &[]), host("127.0.0.1"));
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(advertised("[::1]:7443".parse().unwrap(), &[]), "[::1]:7443");
        let any = "0.0.0.0:1".parse().unwrap();
        assert_eq!(advertised(any, &[host("chat.example.org")]), "chat.example.org:1");
    }
}
