//! The admin socket: a file that only the server's own user can open, and whose peers' user is
//! checked all the same.

mod answers;

pub(crate) use answers::Operator;

use crate::{
    data_dir::{DataDir, quoted},
    failure::Failure,
};
use openchat_wire::{
    admin::SOCKET,
    frame::{FrameDecoder, to_frame},
    limits::MAX_ADMIN_FRAME,
};
use std::{
    fs::{self, Permissions},
    io,
    os::unix::{fs::PermissionsExt, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::timeout,
};

/// Conversations at once; an operator has one.
const MAX_CONVERSATIONS: usize = 16;

/// A conversation is one question and one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may ask, and who answers.
#[derive(Debug)]
pub(crate) struct Admin {
    operator: Arc<Operator>,
    /// The user whose the data directory is.
    owner: u32,
}

/// The socket's file, which goes with the server.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that stays is found to be stale by the next server.
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens the socket. A file that nobody answers at is from a server that was killed.
///
/// # Errors
/// If somebody answers, or the file can't be made.
pub(crate) fn open(data: &DataDir) -> Result<(UnixListener, SocketFile), Failure> {
    let path = data.join(SOCKET);
    let failed = |error: &io::Error| {
        let message = format!("can't open the admin socket {}: {error}", path.display());
        let hint = if error.kind() == io::ErrorKind::InvalidInput {
            "choose a shorter --data: a socket's path has at most 107 bytes".to_owned()
        } else {
            format!("ls -ld {} {}", quoted(data.path()), quoted(&path))
        };
        Failure::config("admin_socket", message, hint)
    };
    if StdUnixStream::connect(&path).is_ok() {
        return Err(failed(&io::ErrorKind::AddrInUse.into()));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(|e| failed(&e))?;
    let file = SocketFile(path.clone());
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|e| failed(&e))?;
    Ok((listener, file))
}

impl Admin {
    pub(crate) const fn new(operator: Arc<Operator>, owner: u32) -> Self {
        Self { operator, owner }
    }

    /// Answers for as long as the server runs.
    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener) {
        let conversations = Arc::new(Semaphore::new(MAX_CONVERSATIONS));
        loop {
            let place = Arc::clone(&conversations).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let admin = Arc::clone(&self);
                    tokio::spawn(async move {
                        if !matches!(timeout(PATIENCE, admin.answer(stream)).await, Ok(Ok(()))) {
                            tracing::warn!("a conversation on the admin socket was broken off");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the admin socket accepts nobody");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        let user = stream.peer_cred()?.uid();
        if user != self.owner && user != 0 {
            tracing::warn!(user, "another user at the admin socket");
            return Ok(());
        }
        let mut decoder = FrameDecoder::new(MAX_ADMIN_FRAME);
        let mut chunk = [0; 1024];
        loop {
            let read = stream.read(&mut chunk).await?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            decoder.push(bytes);
            if let Some(request) = decoder.next_frame().map_err(io::Error::other)? {
                return stream.write_all(&to_frame(&self.operator.answer(request).await)).await;
            }
        }
    }
}
