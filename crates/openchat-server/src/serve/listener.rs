//! The TCP port.

use crate::{
    data_dir::DataDir,
    failure::Failure,
    metrics::METRICS,
    serve::{Server, address::Address, connection, refusal::Refused},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

/// How long nobody is accepted after the system could not; it is out of files then.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes that the system keeps of what a connection has not taken yet, and Linux as much again for its
/// own. Left alone it keeps up to 4 MiB, for which nobody asked: a slow reader would have that of the
/// machine's memory beside what the server counts. Enough for 2.5 MB/s over 100 ms of distance.
const SEND_BUFFER: u32 = 256 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// An open port.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens the port; on a host without IPv6, `[::]` means every IPv4 address.
    ///
    /// # Errors
    /// If the system does not grant it, above all because another program has it.
    pub(crate) fn bind(listen: SocketAddr, data: &DataDir) -> Result<Self, Failure> {
        let bound = match open(listen) {
            Err(error) if is_without_ipv6(listen, &error) => {
                open((Ipv4Addr::UNSPECIFIED, listen.port()).into())
            }
            bound => bound,
        };
        let failed = |error: io::Error| {
            let message = format!("can't listen at {listen}: {error}");
            // As reachable as what was asked for, at the next port.
            let other = SocketAddr::new(listen.ip(), listen.port().checked_add(1).unwrap_or(7443));
            let hint = data.command(&format!("run --listen '{other}'"));
            Failure::config("listen", message, hint)
        };
        let tcp = bound.map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        Ok(Self { tcp, address })
    }

    /// Where it really listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until the server drains. `alive` is dropped when the last connection has ended.
    pub(crate) async fn serve(self, server: Arc<Server>, alive: mpsc::Sender<()>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = server.phase.draining() => return,
            };
            match accepted {
                Ok((tcp, peer)) => start(&server, &alive, tcp, peer),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn open(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that a stopped server has left is free, though its connections linger.
    socket.set_reuseaddr(true)?;
    // Connections have it from the socket that accepts them.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

fn start(server: &Arc<Server>, alive: &mpsc::Sender<()>, tcp: TcpStream, peer: SocketAddr) {
    METRICS.accepted.one();
    let (server, alive) = (Arc::clone(server), alive.clone());
    // An IPv4 peer at an IPv6 socket is shown as what it is.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let address = Address::of(peer.ip());
    let Some(line) = server.addresses.enter(address) else {
        // Closed before anything is spent on it.
        return connection::refuse(&server, peer, &Refused::Crowd(address, server.addresses.max()));
    };
    tokio::spawn(async move {
        connection::attend(&server, tcp, peer).await;
        drop((line, alive));
    });
}

/// Any error but those that IPv4 would meet as well.
fn is_without_ipv6(listen: SocketAddr, error: &io::Error) -> bool {
    let any = listen.ip() == IpAddr::from([0; 16]);
    any && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_without_ipv6_falls_back_to_ipv4() {
        let any = "[::]:1".parse().unwrap();
        let without = io::Error::from_raw_os_error(97);
        assert!(is_without_ipv6(any, &without));
        assert!(!is_without_ipv6(any, &io::ErrorKind::AddrInUse.into()));
        assert!(!is_without_ipv6("[::1]:1".parse().unwrap(), &without));
        assert!(!is_without_ipv6("0.0.0.0:1".parse().unwrap(), &without));
    }
}
