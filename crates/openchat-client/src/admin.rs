//! Asks a server on this machine for an invitation: who may use its admin socket is vouched for.

use crate::ask::{AskError, ask};
use openchat_wire::{
    Name,
    admin::{AdminAnswer, AdminRequest},
    invitation::Invitation,
    limits::MAX_ADMIN_FRAME,
};
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};
use tokio::net::UnixStream;

/// Why the server of this machine gave no invitation.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// None runs, as far as its admin socket shows.
    #[error("no server runs on this machine: nothing listens at {}", .0.display())]
    NoServer(PathBuf),
    /// It runs, but as another user.
    #[error("the admin socket {} belongs to another user", .0.display())]
    NotAllowed(PathBuf),
    /// The server says why it did not.
    #[error("the server gave no invitation: {0}")]
    Refused(String),
    /// It did not answer as a server does.
    #[error("the server's admin socket failed: {0}")]
    Failed(String),
}

/// An ordinary invitation for `name`, from the server whose admin socket is at `socket`.
///
/// # Errors
/// See [`AdminError`].
pub async fn invitation(socket: &Path, name: &Name) -> Result<Invitation, AdminError> {
    let mut stream = UnixStream::connect(socket).await.map_err(|error| absent(socket, &error))?;
    let question = AdminRequest::Invite(name.clone());
    match ask(&mut stream, &question, MAX_ADMIN_FRAME).await {
        Ok(AdminAnswer::Invitation { invitation, .. }) => {
            invitation.parse().map_err(|error| AdminError::Failed(format!("{error}")))
        }
        Ok(AdminAnswer::Failed(why)) => Err(AdminError::Refused(why)),
        Ok(_) => Err(AdminError::Failed("it answered something else".to_owned())),
        Err(AskError::Stream(error)) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(AdminError::NotAllowed(socket.to_owned()))
        }
        Err(error) => Err(AdminError::Failed(error.to_string())),
    }
}

fn absent(socket: &Path, error: &io::Error) -> AdminError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            AdminError::NoServer(socket.to_owned())
        }
        ErrorKind::PermissionDenied => AdminError::NotAllowed(socket.to_owned()),
        _ => AdminError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openchat_wire::{Blob, Digest, frame::to_frame};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    async fn answered(answer: AdminAnswer) -> Result<Invitation, AdminError> {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("admin.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 10];
            stream.read_exact(&mut question).await.unwrap();
            stream.write_all(&to_frame(&answer)).await.unwrap();
        });
        let invited = invitation(&socket, &"bob".parse().unwrap()).await;
        server.await.unwrap();
        invited
    }

    #[tokio::test]
    async fn an_invitation_comes_from_the_socket() {
        let sent = Invitation {
            address: "localhost:7443".to_owned(),
            ca_pin: Digest([1; 32]),
            id: [2; 16],
            secret: [3; 16],
        };
        let answer = AdminAnswer::Invitation { invitation: sent.to_string(), ca: Blob::default() };
        assert_eq!(answered(answer).await.unwrap(), sent);
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let refused = answered(AdminAnswer::Failed("no".to_owned())).await;
        assert!(matches!(refused, Err(AdminError::Refused(why)) if why == "no"));
    }

    #[tokio::test]
    async fn no_socket_means_no_server() {
        let absent = invitation(Path::new("/nowhere/admin.sock"), &"bob".parse().unwrap()).await;
        assert!(matches!(absent, Err(AdminError::NoServer(_))));
    }
}
