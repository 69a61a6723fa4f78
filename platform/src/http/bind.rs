//! The Unix socket of the API: made so that nobody can connect before its mode is right, and
//! removed at the end.
//!
//! A path belongs to whoever holds the lock on the file `PATH.lock` beside it, for as long as the
//! socket lives. Looking for an agent, removing what a dead one left and making the socket anew
//! are three steps; without the lock, two agents could each remove the socket of the other. The
//! lock file stays: removing it would let two agents lock two files of one name.

use core::fmt;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, open};
use nix::libc;
use nix::sys::socket::{AddressFamily, Backlog, SockType, UnixAddr, listen};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, chown, mkdir, unlink};

use super::listener::Listener;
use crate::files::{FileId, look_at};
use crate::os::Reason;
use crate::socket::{CPath, PATH_BYTES, Socket};

/// A listening Unix socket. Dropping it removes its file, if that is still its own.
#[derive(Debug)]
pub struct UnixSocket {
    listener: Socket,
    path: CPath,
    file: FileId,
    /// Given up last, when the file is gone.
    #[expect(dead_code, reason = "held for its drop")]
    lock: OwnedFd,
}

/// What the path of the lock file has after that of the socket.
const LOCK_SUFFIX: &[u8] = b".lock";

/// Why there is no socket. Nothing was changed, except that the directory and the lock file may
/// have been made, and the socket of an agent that is gone removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Another process answers at the path, or is about to.
    InUse,
    /// The path is a directory.
    IsADirectory,
    /// The path exists and is neither a socket nor a directory.
    NotASocket,
    /// The socket at the path could not be asked whether a process answers.
    Unclear(Errno),
    /// The directory could not be made.
    Directory(Errno),
    /// The lock file could not be opened or locked.
    Lock(Errno),
    /// The socket could not be made.
    Socket(Errno),
    /// The socket could not be given to the group.
    Group(Errno),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, error) = match self {
            Self::InUse => return f.write_str("another agent answers there"),
            Self::IsADirectory => return f.write_str("this is a directory"),
            Self::NotASocket => return f.write_str("the file there is not a socket"),
            Self::Unclear(error) => ("tell whether an agent answers", error),
            Self::Directory(error) => ("make its directory", error),
            Self::Lock(error) => ("lock the file of this name with .lock", error),
            Self::Socket(error) => ("make the socket", error),
            Self::Group(error) => ("give the socket to the group", error),
        };
        write!(f, "cannot {what}: {}", Reason(*error))
    }
}

impl core::error::Error for BindError {}

/// Who may connect.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The mode of the socket's file.
    pub mode: u32,
    /// Its group, by number; otherwise that of the process, or of the directory.
    pub group: Option<u32>,
}

/// Listens at `path`. The directory is made (mode 0755) if it is missing; the socket file of an
/// agent that is gone is replaced. Who may connect is decided by `access` from the first moment on:
/// nobody can before the socket listens, and as it is made the umask of the process is another one,
/// which would be noticed by a thread that makes files at that time.
///
/// # Errors
/// A [`BindError`], which does not name the path.
pub fn bind_unix(path: &CStr, access: Access) -> Result<UnixSocket, BindError> {
    // A mistake is told before anything is made.
    find_stale(path)?;
    make_parents(path).map_err(BindError::Directory)?;
    let lock = lock(path)?;
    // Nobody else has been removing or making sockets here since, so that this is the last word.
    let stale = find_stale(path)?;
    if stale.is_some_and(|stale| file_id(path) == Ok(stale)) {
        unlink(path).map_err(BindError::Socket)?;
    }
    bind_free(path, access, lock)
}

/// Takes the path for as long as the descriptor is open.
fn lock(path: &CStr) -> Result<OwnedFd, BindError> {
    let bytes = path.to_bytes();
    if bytes.len() > PATH_BYTES {
        return Err(BindError::Lock(Errno::ENAMETOOLONG));
    }
    let mut name = [0; PATH_BYTES + LOCK_SUFFIX.len() + 1];
    name[..bytes.len()].copy_from_slice(bytes);
    name[bytes.len()..][..LOCK_SUFFIX.len()].copy_from_slice(LOCK_SUFFIX);
    let name = CStr::from_bytes_until_nul(&name).expect("the last byte is always 0");
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = open(name, flags, mode).map_err(BindError::Lock)?;
    #[expect(deprecated, reason = "`Flock` panics with the words of every errno, 4 KB of them")]
    let locked = nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockExclusiveNonblock);
    match locked {
        Ok(()) => Ok(file),
        Err(Errno::EAGAIN) => Err(BindError::InUse),
        Err(error) => Err(BindError::Lock(error)),
    }
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

fn bind_free(path: &CStr, access: Access, lock: OwnedFd) -> Result<UnixSocket, BindError> {
    let mut own_path = CPath::new();
    let copied = own_path.extend_from_bytes(path.to_bytes()).map_err(|_| Errno::ENAMETOOLONG);
    let listener =
        copied.and_then(|()| bind_with_mode(path, access.mode)).map_err(BindError::Socket)?;
    let file = begin_to_listen(&listener, path, access.group).inspect_err(|_| {
        let _ = unlink(path);
    })?;
    Ok(UnixSocket { listener, path: own_path, file, lock })
}

fn bind_with_mode(path: &CStr, mode: u32) -> Result<Socket, Errno> {
    let address = UnixAddr::new(path)?;
    let listener = Socket::new(AddressFamily::Unix, SockType::Stream)?;
    let umask_before = umask(Mode::from_bits_truncate(!mode & 0o777));
    let bound = listener.bind(&address);
    umask(umask_before);
    bound.map(|()| listener)
}

fn begin_to_listen(
    listener: &Socket,
    path: &CStr,
    group: Option<u32>,
) -> Result<FileId, BindError> {
    if let Some(group) = group {
        chown(path, None, Some(Gid::from_raw(group))).map_err(BindError::Group)?;
    }
    let listening = listen(listener, Backlog::MAXCONN).and_then(|()| file_id(path));
    listening.map_err(BindError::Socket)
}

fn file_id(path: &CStr) -> Result<FileId, Errno> {
    look_at(libc::AT_FDCWD, path).map(|(_, file)| file)
}

/// The socket that an agent which is gone has left at the path; `None` if nothing is there.
#[inline(never)]
fn find_stale(path: &CStr) -> Result<Option<FileId>, BindError> {
    let file = match look_at(libc::AT_FDCWD, path) {
        Ok((libc::S_IFSOCK, file)) => file,
        Ok((libc::S_IFDIR, _)) => return Err(BindError::IsADirectory),
        Ok(_) => return Err(BindError::NotASocket),
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(BindError::Unclear(error)),
    };
    // A listener with a full backlog is `EAGAIN`, and alive.
    match Socket::connect_unix(path) {
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => Ok(Some(file)),
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
