//! The Unix socket of the API: made so that nobody can connect before its mode is right, and
//! removed at the end.

use core::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::listener::Listener;

/// A listening Unix socket. Dropping it removes its file, if that is still its own.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    file: FileId,
}

/// Device and inode.
type FileId = (u64, u64);

/// Why there is no socket. Nothing was changed, except that the directory may have been made.
#[derive(Debug)]
pub enum BindError {
    /// Another process answers at the path.
    InUse,
    /// The path exists and is not a socket.
    NotASocket,
    /// The socket at the path could not be asked whether a process answers.
    Unclear(io::Error),
    /// The directory could not be made.
    Directory(io::Error),
    /// The socket could not be made.
    Socket(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("another agent answers there"),
            Self::NotASocket => f.write_str("the file there is not a socket"),
            Self::Unclear(error) => write!(f, "cannot tell whether an agent answers: {error}"),
            Self::Directory(error) => write!(f, "cannot make its directory: {error}"),
            Self::Socket(error) => write!(f, "cannot make the socket: {error}"),
        }
    }
}

impl core::error::Error for BindError {}

/// Listens at `path`. The directory is made (mode 0755) if it is missing; the socket file of an
/// agent that is gone is replaced. Who may connect is decided by `mode` from the first moment on,
/// whatever the umask.
///
/// Two agents that start at one path in the same instant may both see the file of a third that is
/// gone, and the last one gets the path; an agent therefore binds its UDP port first.
///
/// # Errors
/// A [`BindError`], which does not name the path.
pub fn bind_unix(path: &Path, mode: u32) -> Result<UnixSocket, BindError> {
    check_free(path)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(BindError::Directory)?;

    // `bind` makes the file with the mode that the umask leaves. So it is made in a directory that
    // only this user can enter, gets its mode there, and is then moved to its place.
    let private = parent.join(format!(".midge-{}", std::process::id()));
    let made = make_private(&private).and_then(|()| {
        let hidden = private.join("s");
        let socket = bind_hidden(&hidden, mode).and_then(|(listener, file)| {
            fs::rename(&hidden, path)?;
            Ok(UnixSocket { listener, path: path.to_path_buf(), file })
        });
        let _ = fs::remove_file(&hidden);
        let _ = fs::remove_dir(&private);
        socket
    });
    made.map_err(BindError::Socket)
}

/// Makes a directory that is certainly ours: one that an earlier process of the same number left
/// is removed first, and anything else there is an error.
fn make_private(path: &Path) -> io::Result<()> {
    let builder = || DirBuilder::new().mode(0o700).create(path);
    match builder() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let _ = fs::remove_file(path.join("s"));
            fs::remove_dir(path)?;
            builder()
        }
        result => result,
    }
}

fn bind_hidden(path: &Path, mode: u32) -> io::Result<(UnixListener, FileId)> {
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok((listener, file_id(path)?))
}

fn file_id(path: &Path) -> io::Result<FileId> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn check_free(path: &Path) -> Result<(), BindError> {
    let file = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::Unclear(error)),
        Ok(file) => file,
    };
    if !file.file_type().is_socket() {
        return Err(BindError::NotASocket);
    }
    // mio's connect does not block: a listener with a full backlog is `WouldBlock`, and alive.
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(BindError::Unclear(error)),
        _ => Err(BindError::InUse),
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if file_id(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener for UnixSocket {
    type Stream = UnixStream;

    fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }
}

impl Source for UnixSocket {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.listener.register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.listener.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.listener.deregister(registry)
    }
}
