//! Where the socket is, and who is at its other end.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
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

/// Connects to whoever listens, if it is this user, and there is this user's socket and nothing that
/// leads elsewhere.
pub(super) async fn connect(directory: &Path) -> io::Result<UnixStream> {
    if !is_a_socket_of_ours(&fs::symlink_metadata(directory.join(FILE))?) {
        return Err(refused("what is there is no socket of this user's"));
    }
    let (address, _held) = address(directory)?;
    let stream = UnixStream::connect(address).await?;
    // What was looked at may have been replaced since; who answers can't be.
    if is_ours(&stream)? { Ok(stream) } else { Err(refused("another user listens there")) }
}

fn is_a_socket_of_ours(file: &Metadata) -> bool {
    file.file_type().is_socket() && is_this_user_or_root(file.uid())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// Whether the other end is this user.
pub(super) fn is_ours(stream: &UnixStream) -> io::Result<bool> {
    Ok(is_this_user_or_root(stream.peer_cred()?.uid()))
}

/// Root may do all that this user may.
fn is_this_user_or_root(user: u32) -> bool {
    user == rustix::process::geteuid().as_raw() || user == 0
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

    #[tokio::test]
    async fn what_is_no_socket_of_this_user_is_not_connected_to_and_does_not_stay() {
        let [place, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (_there, _file) = listen(elsewhere.path()).unwrap();
        let (path, other) = (place.path().join(FILE), elsewhere.path().join(FILE));
        assert_eq!(connect(place.path()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let refused = connect(place.path()).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "it leads elsewhere");
        let (_here, _file) = listen(place.path()).unwrap();
        assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
        assert!(connect(place.path()).await.is_ok());
        assert!(connect(elsewhere.path()).await.is_ok(), "nothing happened to what it led to");
        fs::remove_file(&path).unwrap();
        File::create(&path).unwrap();
        assert!(connect(place.path()).await.is_err());
    }

    const SOMEBODY: u32 = 65_534;

    #[tokio::test]
    async fn a_socket_of_somebody_else_is_not_connected_to() {
        let place = tempfile::tempdir().unwrap();
        let (_listener, file) = listen(place.path()).unwrap();
        match std::os::unix::fs::chown(&file.0, Some(SOMEBODY), None) {
            Ok(()) => {
                let refused = connect(place.path()).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            }
            // Only root can give files away.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
        assert!(is_this_user_or_root(0));
        let own = rustix::process::geteuid().as_raw();
        assert!(
            is_this_user_or_root(own)
                && !is_this_user_or_root(SOMEBODY ^ u32::from(own == SOMEBODY))
        );
    }
}
