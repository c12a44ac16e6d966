//! A Unix domain socket to listen on, and its file.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream as Probe;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// A socket that is listened on; its file goes when it is dropped. Who may connect is for the umask to say, and for the
/// folder that the file is in.
#[derive(Debug)]
pub struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    /// Device and number of the file, to tell it from one that took its place.
    identity: (u64, u64),
}

/// Why a path cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server listens there.
    #[error("another process listens on `{}`: stop it, or choose another path", .0.display())]
    Live(PathBuf),
    /// Something that is not ours to remove.
    #[error("`{}` exists and is no socket: move it away, or choose another path", .0.display())]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot listen on `{}`", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

impl SocketFile {
    /// Listens on `path`. The file of a server that has died is replaced.
    ///
    /// # Errors
    /// When a server listens there, when something else is there, or when the system refuses.
    pub fn listen(path: &Path, backlog: u32) -> Result<SocketFile, Error> {
        let refused = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        match fs::symlink_metadata(path) {
            Ok(file) if !file.file_type().is_socket() => return Err(Error::NoSocket(path.to_owned())),
            Ok(_) => match Probe::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(refused)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Also when its backlog is full or it does not let us in: somebody is there.
                Ok(_) | Err(_) => return Err(Error::Live(path.to_owned())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let listener = UnixSocket::new_stream()
            .and_then(|socket| {
                socket.bind(path)?;
                socket.listen(backlog)
            })
            .map_err(refused)?;
        let file = fs::symlink_metadata(path).map_err(refused)?;
        Ok(SocketFile {
            listener,
            path: path.to_owned(),
            identity: (file.dev(), file.ino()),
        })
    }

    /// The next connection. Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same =
            fs::symlink_metadata(&self.path).is_ok_and(|file| (file.dev(), file.ino()) == self.identity);
        if same && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket's file");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Other;

    use super::*;

    fn listen(path: &Path) -> Result<SocketFile, Error> {
        SocketFile::listen(path, 16)
    }

    #[tokio::test]
    async fn a_dead_file_is_replaced_a_live_one_is_named_and_ours_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let other = Other::bind(&path).unwrap();
        let error = listen(&path).unwrap_err();
        assert!(matches!(&error, Error::Live(named) if *named == path), "{error}");
        drop(other);
        assert!(Probe::connect(&path).is_err());
        let ours = listen(&path).unwrap();
        Probe::connect(&path).unwrap();
        assert!(matches!(listen(&path), Err(Error::Live(_))));
        drop(ours);
        assert!(fs::symlink_metadata(&path).is_err());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("f"), folder.path().join("l"));
        fs::write(&file, "mine").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &folder.path().to_owned()] {
            assert!(matches!(listen(path), Err(Error::NoSocket(_))));
        }
        assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_file_that_took_the_place_of_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let ours = listen(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let other = Other::bind(&path).unwrap();
        drop(ours);
        assert!(Probe::connect(&path).is_ok());
        drop(other);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_told() {
        let path = Path::new("/tmp").join("x".repeat(200));
        let error = listen(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
