//! What the operator's tools and the server say over the admin socket. File permissions and peer
//! credentials say who may; one question, one answer.

use crate::{Blob, Name};
use serde::{Deserialize, Serialize};

/// File name of the socket in the server's data directory.
pub const SOCKET: &str = "admin.sock";

/// A question to the running server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminRequest {
    /// A new invitation for this name. Answered [`AdminAnswer::Invitation`].
    Invite(Name),
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminAnswer {
    /// The invitation as one string, and the CA's certificate in DER.
    Invitation {
        /// `openchat://…`, see [`crate::invitation`].
        invitation: String,
        /// The CA's certificate.
        ca: Blob,
    },
    /// It was not done, and why.
    Failed(String),
}
