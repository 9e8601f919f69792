//! Whose connection it is before anybody has said: one IPv4 address, or the network of one IPv6 host.
//!
//! No address is exempt, not even the machine's own: behind a proxy everybody comes from there, and an
//! exemption would silently lift the limit for all. The admin socket is no TCP and is not counted.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Bits of an IPv6 address that are one subscriber's: whoever has one address in such a network has
/// them all.
const NETWORK: u32 = 64;

/// An IPv4 address, or an IPv6 address without the bits that its host chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address(IpAddr);

/// How many connections each address has.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Of those only that have some.
    connections: Mutex<HashMap<Address, usize>>,
    max: AtomicUsize,
}

/// One of an address's connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    addresses: Arc<Addresses>,
    address: Address,
}

impl Address {
    pub(crate) fn of(peer: IpAddr) -> Self {
        Self(match peer.to_canonical() {
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(NETWORK).unwrap_or_default();
                Ipv6Addr::from_bits(address.to_bits() & !host).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/{NETWORK}"),
        }
    }
}

impl Addresses {
    pub(crate) fn new(max: usize) -> Self {
        Self { connections: Mutex::default(), max: max.into() }
    }

    /// How many connections an address may have.
    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// So many from now on; nobody loses one for it.
    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Counts a connection, unless its address has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, address: Address) -> Option<Line> {
        let mut connections = self.lock();
        let count = connections.get(&address).copied().unwrap_or_default();
        if count >= self.max() {
            return None;
        }
        connections.insert(address, count.saturating_add(1));
        drop(connections);
        Some(Line { addresses: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, usize>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut connections = self.addresses.lock();
        if let Some(count) = connections.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_an_ipv4_address_is_itself() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("::ffff:192.0.2.1"), address("::ffff:192.0.2.2"));
        assert_eq!(address("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(address("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn an_address_has_so_many_connections_and_gets_them_back() {
        let addresses = Arc::new(Addresses::new(2));
        let (one, other) = (address("192.0.2.1"), address("2001:db8::1"));
        let lines = [addresses.enter(one).unwrap(), addresses.enter(one).unwrap()];
        assert!(addresses.enter(one).is_none() && addresses.enter(other).is_some());
        addresses.set_max(3);
        assert!(addresses.enter(one).is_some());
        addresses.set_max(1);
        assert!(addresses.enter(one).is_none());
        drop(lines);
        assert!(addresses.lock().is_empty(), "nothing is kept of who is gone");
    }
}
