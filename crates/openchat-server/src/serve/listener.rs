//! The TCP port.

use crate::{
    data_dir::DataDir,
    failure::Failure,
    serve::{Server, connection},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// How long nobody is accepted after the system could not; it is out of files then.
const PAUSE: Duration = Duration::from_secs(1);

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
    pub(crate) async fn bind(listen: SocketAddr, data: &DataDir) -> Result<Self, Failure> {
        let bound = match TcpListener::bind(listen).await {
            Err(error) if is_without_ipv6(listen, &error) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await
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

fn start(server: &Arc<Server>, alive: &mpsc::Sender<()>, tcp: TcpStream, peer: SocketAddr) {
    let (server, alive) = (Arc::clone(server), alive.clone());
    // An IPv4 peer at an IPv6 socket is shown as what it is.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    tokio::spawn(async move {
        connection::attend(&server, tcp, peer).await;
        drop(alive);
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
