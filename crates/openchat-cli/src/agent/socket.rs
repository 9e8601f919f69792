//! Where the socket is, and who is at its other end.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::net::{UnixListener, UnixStream};

/// In the directory of the profile.
const FILE: &str = "agent.sock";

/// Bytes of the longest path that a socket's address holds on Linux, without the zero at its end.
const LONGEST_PATH: usize = 107;

/// Takes the socket's file away when the session ends. The lock is held until after that.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What stays is known to be stale: nobody answers there.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens. Only who has the lock may: what is there is of somebody who was killed.
pub(super) fn listen(directory: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let path = directory.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (address, _held) = address(directory)?;
    let listener = UnixListener::bind(address)?;
    // The directory is this user's alone (0700), so nobody was faster.
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok((listener, SocketFile(path)))
}

/// Connects to whoever listens, if it is this user.
pub(super) async fn connect(directory: &Path) -> io::Result<UnixStream> {
    let (address, _held) = address(directory)?;
    let stream = UnixStream::connect(address).await?;
    if is_ours(&stream)? {
        return Ok(stream);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "another user listens there"))
}

/// Whether the other end is this user. Root may do all that this user may.
pub(super) fn is_ours(stream: &UnixStream) -> io::Result<bool> {
    let user = stream.peer_cred()?.uid();
    Ok(user == rustix::process::geteuid().as_raw() || user == 0)
}

/// The socket's address; through the open directory if the path would be too long.
fn address(directory: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = directory.join(FILE);
    if path.as_os_str().len() <= LONGEST_PATH {
        return Ok((path, None));
    }
    let open = File::open(directory)?;
    let through = Path::new("/proc/self/fd").join(open.as_raw_fd().to_string());
    Ok((through.join(FILE), Some(open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_path_is_no_obstacle_and_a_stale_file_neither() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        let (listener, file) = listen(&deep).unwrap();
        let mode = fs::metadata(&file.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(connect(&deep).await.is_ok());
        // As after a kill: the file stays, and nobody listens.
        drop(listener);
        let refused = connect(&deep).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        std::mem::forget(file);
        let (_listener, _file) = listen(&deep).unwrap();
        assert!(connect(&deep).await.is_ok());
    }
}
