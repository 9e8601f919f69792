//! What an operator's console shows: one line each, fields two spaces apart.

use crate::{operator::text::moment, serve::Changes};
use openchat_wire::{Name, UnixMillis};
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
    /// A further certificate was issued, likewise.
    Renewed { name: &'a Name, index: u64 },
    /// Somebody's key was revoked, likewise, and so many connections were cut.
    Revoked { name: &'a Name, index: u64, connections: u32 },
    /// A name waits for another key.
    Reset { name: &'a Name },
    /// The server's own certificate should have been renewed and could not be; days that it has left.
    NotRenewed { days: u64, reason: &'a str },
    /// It serves figures here.
    Figures { address: SocketAddr },
    /// It goes on from a backup of that time.
    Restored { made: UnixMillis },
    /// A reload was done.
    Reloaded { changes: &'a Changes, certificate: &'a str },
    /// A reload was refused, and everything is as it was.
    ReloadRefused { reason: &'a str },
    /// Lines of this kind were counted instead of written.
    Suppressed { kind: &'a str, lines: u64 },
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
            Self::Renewed { name, index } => {
                write!(f, "renewed  {name}  #{}", index.saturating_add(1))
            }
            Self::Revoked { name, index, connections } => {
                let number = index.saturating_add(1);
                let plural = if *connections == 1 { "" } else { "s" };
                write!(f, "revoked  {name}  #{number}  {connections} connection{plural} cut")
            }
            Self::Reset { name } => write!(f, "reset  {name}"),
            Self::NotRenewed { days, reason } => {
                write!(f, "not_renewed  {days} days left  {reason}")
            }
            Self::Figures { address } => write!(f, "metrics  {address}"),
            Self::Restored { made } => {
                write!(f, "restored  from the backup of {}", moment(*made))
            }
            Self::Reloaded { changes, certificate } => {
                write!(f, "reloaded  certificate {certificate}")?;
                changes.done.iter().try_for_each(|change| write!(f, "  {change}"))?;
                let restart = &changes.restart;
                restart.iter().try_for_each(|key| write!(f, "  {key} needs a restart"))
            }
            Self::ReloadRefused { reason } => write!(f, "reload_refused  {reason}"),
            Self::Suppressed { kind, lines } => write!(f, "suppressed  {kind}  {lines} lines"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl Event<'_> {
    /// Its first word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Connected { .. } => "connected",
            Self::Disconnected { .. } => "disconnected",
            Self::Refused { .. } => "refused",
            Self::Enrolled { .. } => "enrolled",
            Self::Renewed { .. } => "renewed",
            Self::Revoked { .. } => "revoked",
            Self::Reset { .. } => "reset",
            Self::NotRenewed { .. } => "not_renewed",
            Self::Figures { .. } => "metrics",
            Self::Restored { .. } => "restored",
            Self::Reloaded { .. } => "reloaded",
            Self::ReloadRefused { .. } => "reload_refused",
            Self::Suppressed { .. } => "suppressed",
            Self::Stopped => "stopped",
        }
    }

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
            Self::Renewed { name, index } => {
                json!({"v": 1, "type": "renewed", "name": name.as_str(), "index": index})
            }
            Self::Revoked { name, index, connections } => json!({
                "v": 1, "type": "revoked", "name": name.as_str(), "index": index,
                "connections": connections
            }),
            Self::Reset { name } => json!({"v": 1, "type": "reset", "name": name.as_str()}),
            Self::NotRenewed { days, reason } => {
                json!({"v": 1, "type": "not_renewed", "days": days, "reason": reason})
            }
            Self::Figures { address } => {
                json!({"v": 1, "type": "metrics", "address": address.to_string()})
            }
            Self::Restored { made } => json!({"v": 1, "type": "restored", "made": moment(made)}),
            Self::Reloaded { changes, certificate } => json!({
                "v": 1, "type": "reloaded", "certificate": certificate,
                "changed": changes.done, "restart": changes.restart
            }),
            Self::ReloadRefused { reason } => {
                json!({"v": 1, "type": "reload_refused", "reason": reason})
            }
            Self::Suppressed { kind, lines } => {
                json!({"v": 1, "type": "suppressed", "event": kind, "lines": lines})
            }
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
        let changes = Changes { done: vec!["k 1 -> 2".to_owned()], restart: vec!["listen"] };
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
            (Event::Renewed { name: &name, index: 3 }, "renewed  bob  #4"),
            (
                Event::Revoked { name: &name, index: 4, connections: 2 },
                "revoked  bob  #5  2 connections cut",
            ),
            (Event::Reset { name: &name }, "reset  bob"),
            (Event::NotRenewed { days: 14, reason: "no" }, "not_renewed  14 days left  no"),
            (Event::Figures { address: peer }, "metrics  10.0.0.1:5"),
            (
                Event::Restored { made: UnixMillis(0) },
                "restored  from the backup of 1970-01-01T00:00:00Z",
            ),
            (
                Event::Reloaded { changes: &changes, certificate: "unchanged" },
                "reloaded  certificate unchanged  k 1 -> 2  listen needs a restart",
            ),
            (Event::ReloadRefused { reason: "no" }, "reload_refused  no"),
            (Event::Suppressed { kind: "refused", lines: 3 }, "suppressed  refused  3 lines"),
            (Event::Stopped, "stopped"),
        ] {
            assert_eq!(event.kind(), event.to_json()["type"]);
            assert_eq!(event.to_string(), line);
            let object = event.to_json();
            assert_eq!(object["v"], 1);
            assert!(line.starts_with(object["type"].as_str().unwrap()));
        }
    }
}
