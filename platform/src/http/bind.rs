//! The Unix socket of the API: made so that nobody can connect before its mode is right, and
//! removed at the end.

use core::fmt;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockType, UnixAddr, listen};
use nix::sys::stat::{Mode, SFlag, lstat, umask};
use nix::unistd::{mkdir, unlink};

use super::listener::Listener;
use crate::os::Reason;
use crate::socket::{CPath, Socket};

/// A listening Unix socket. Dropping it removes its file, if that is still its own.
#[derive(Debug)]
pub struct UnixSocket {
    listener: Socket,
    path: CPath,
    file: FileId,
}

/// Device and inode.
type FileId = (u64, u64);

/// Why there is no socket. Nothing was changed, except that the directory may have been made, and
/// the socket of an agent that is gone removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Another process answers at the path.
    InUse,
    /// The path exists and is not a socket.
    NotASocket,
    /// The socket at the path could not be asked whether a process answers.
    Unclear(Errno),
    /// The directory could not be made.
    Directory(Errno),
    /// The socket could not be made.
    Socket(Errno),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, error) = match self {
            Self::InUse => return f.write_str("another agent answers there"),
            Self::NotASocket => return f.write_str("the file there is not a socket"),
            Self::Unclear(error) => ("tell whether an agent answers", error),
            Self::Directory(error) => ("make its directory", error),
            Self::Socket(error) => ("make the socket", error),
        };
        write!(f, "cannot {what}: {}", Reason(*error))
    }
}

impl core::error::Error for BindError {}

/// Listens at `path`. The directory is made (mode 0755) if it is missing; the socket file of an
/// agent that is gone is replaced. Who may connect is decided by `mode` from the first moment on:
/// for that moment the umask of the process is another one, which would be noticed by a thread
/// that makes files at that time.
///
/// Two agents that start at one path in the same instant may both see the file of a third that is
/// gone, and the last one gets the path; an agent therefore binds its UDP port first.
///
/// # Errors
/// A [`BindError`], which does not name the path.
pub fn bind_unix(path: &CStr, mode: u32) -> Result<UnixSocket, BindError> {
    check_free(path)?;
    make_parents(path).map_err(BindError::Directory)?;
    bind_free(path, mode).map_err(BindError::Socket)
}

/// Makes the directories above `path` that are missing.
fn make_parents(path: &CStr) -> Result<(), Errno> {
    let bytes = path.to_bytes();
    for end in 1..bytes.len() {
        if bytes[end] != b'/' {
            continue;
        }
        let mut parent = CPath::new();
        parent.extend_from_bytes(&bytes[..end]).map_err(|_| Errno::ENAMETOOLONG)?;
        match mkdir(parent.as_c_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn bind_free(path: &CStr, mode: u32) -> Result<UnixSocket, Errno> {
    let address = UnixAddr::new(path)?;
    let mut own_path = CPath::new();
    own_path.extend_from_bytes(path.to_bytes()).map_err(|_| Errno::ENAMETOOLONG)?;
    let listener = Socket::new(AddressFamily::Unix, SockType::Stream)?;
    let _ = unlink(path);
    let umask_before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = listener.bind(&address);
    umask(umask_before);
    bound?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(UnixSocket { listener, path: own_path, file: file_id(path)? })
}

fn file_id(path: &CStr) -> Result<FileId, Errno> {
    lstat(path).map(|file| (file.st_dev, file.st_ino))
}

fn check_free(path: &CStr) -> Result<(), BindError> {
    let file = match lstat(path) {
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(BindError::Unclear(error)),
        Ok(file) => file,
    };
    if file.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
        return Err(BindError::NotASocket);
    }
    // A listener with a full backlog is `EAGAIN`, and alive.
    match Socket::connect_unix(path) {
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(()),
        Ok(_) | Err(Errno::EAGAIN) => Err(BindError::InUse),
        Err(error) => Err(BindError::Unclear(error)),
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let path = self.path.as_c_str();
        if file_id(path) == Ok(self.file) {
            let _ = unlink(path);
        }
    }
}

impl Listener for UnixSocket {
    fn accept(&self) -> Result<Socket, Errno> {
        self.listener.accept()
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
