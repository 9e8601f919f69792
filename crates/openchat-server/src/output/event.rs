//! What an operator's console shows: one line each, fields two spaces apart.

use openchat_wire::Name;
use serde_json::{Value, json};
use std::{fmt, net::SocketAddr, path::Path};

/// Something that happened at the server. Only names, addresses and texts of our own: nothing
/// that a peer sent is in it as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    /// It listens.
    Ready { address: &'a str, admin: &'a Path },
    /// Somebody proved who they are.
    Connected { name: &'a Name, peer: SocketAddr },
    /// And is gone.
    Disconnected { name: &'a Name, peer: SocketAddr, reason: &'a str },
    /// A connection that came to nothing.
    Refused { peer: SocketAddr, reason: &'a str },
    /// A certificate was issued; `index` is its place in the transparency log, from 0.
    Enrolled { name: &'a Name, peer: SocketAddr, index: u64 },
    /// The last line.
    Stopped,
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { address, admin } => {
                write!(f, "ready  {address}  invite-only  admin socket {}", admin.display())
            }
            Self::Connected { name, peer } => write!(f, "connected  {name}  {peer}"),
            Self::Disconnected { name, peer, reason } => {
                write!(f, "disconnected  {name}  {peer}  {reason}")
            }
            Self::Refused { peer, reason } => write!(f, "refused  {peer}  {reason}"),
            Self::Enrolled { name, peer, index } => {
                // People count from one, here as at the device.
                write!(f, "enrolled  {name}  {peer}  #{}", index.saturating_add(1))
            }
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl Event<'_> {
    /// The same for programs.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Ready { address, admin } => {
                let admin = admin.display().to_string();
                json!({"v": 1, "type": "ready", "address": address, "admin": admin})
            }
            Self::Connected { name, peer } => {
                json!({"v": 1, "type": "connected", "name": name.as_str(), "peer": peer.to_string()})
            }
            Self::Disconnected { name, peer, reason } => json!({
                "v": 1, "type": "disconnected", "name": name.as_str(),
                "peer": peer.to_string(), "reason": reason
            }),
            Self::Refused { peer, reason } => {
                json!({"v": 1, "type": "refused", "peer": peer.to_string(), "reason": reason})
            }
            Self::Enrolled { name, peer, index } => json!({
                "v": 1, "type": "enrolled", "name": name.as_str(),
                "peer": peer.to_string(), "index": index
            }),
            Self::Stopped => json!({"v": 1, "type": "stopped"}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_two_spaces_apart() {
        let name = "bob".parse().unwrap();
        let peer = "10.0.0.1:5".parse().unwrap();
        for (event, line) in [
            (
                Event::Ready { address: "h:1", admin: Path::new("/a b/s") },
                "ready  h:1  invite-only  admin socket /a b/s",
            ),
            (Event::Connected { name: &name, peer }, "connected  bob  10.0.0.1:5"),
            (
                Event::Disconnected { name: &name, peer, reason: "gone" },
                "disconnected  bob  10.0.0.1:5  gone",
            ),
            (Event::Refused { peer, reason: "no" }, "refused  10.0.0.1:5  no"),
            (Event::Enrolled { name: &name, peer, index: 3 }, "enrolled  bob  10.0.0.1:5  #4"),
            (Event::Stopped, "stopped"),
        ] {
            assert_eq!(event.to_string(), line);
            let object = event.to_json();
            assert_eq!(object["v"], 1);
            assert!(line.starts_with(object["type"].as_str().unwrap()));
        }
    }
}
