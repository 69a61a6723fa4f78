//! Where the local API listens: which Unix socket it gets, and what is said when it gets none.

use std::os::fd::{AsFd, BorrowedFd};

use midge::Address;
use nix::errno::Errno;

use super::stop;
use crate::http::{Access, BindError, Listener, UnixSocket, bind_unix};
use crate::socket::{PATH_BYTES, Socket, SocketPath, SocketPaths};

/// What clients come in by.
pub(super) enum Door {
    Unix(UnixSocket),
    /// As this option says.
    Tcp {
        socket: Socket,
        option: &'static str,
        bound: Address,
    },
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(socket) => socket.as_fd(),
            Self::Tcp { socket, .. } => socket.as_fd(),
        }
    }
}

impl Listener for Door {
    fn accept(&self) -> Result<Socket, Errno> {
        match self {
            Self::Unix(socket) => socket.accept(),
            Self::Tcp { socket, .. } => socket.accept(),
        }
    }
}

/// Why there is no socket.
enum NoSocket {
    /// The path is longer than clients can connect to.
    Long,
    Obstacle(BindError),
}

impl NoSocket {
    /// This user may not use the path; another path may do.
    fn is_forbidden(&self) -> bool {
        let Self::Obstacle(
            BindError::Unclear(error)
            | BindError::Directory(error)
            | BindError::Lock(error)
            | BindError::Socket(error),
        ) = self
        else {
            return false;
        };
        matches!(error, Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ENOENT)
    }

    /// Tells it for this path, and ends the process.
    fn stop(&self, path: &SocketPath) -> ! {
        let obstacle = match self {
            Self::Long => stop(format_args!(
                "longer than the {PATH_BYTES} bytes that a socket's path may have; choose another \
                 --api PATH: {path}"
            )),
            Self::Obstacle(obstacle) => obstacle,
        };
        let remedy = match obstacle {
            BindError::InUse => "stop it with `midge leave`, or give another --api PATH",
            BindError::IsADirectory => "give a path in it, or another one, as --api PATH",
            BindError::NotASocket => "remove it, or give another --api PATH",
            BindError::Group(_) => {
                "run the agent as root or as a member of the group, or give another --api-group"
            }
            _ => "say where the API socket shall be with --api PATH",
        };
        stop(format_args!("{path}: {obstacle}; {remedy}"))
    }
}

/// Listens at the first of the paths where this user may. If an agent is there already, or no path
/// can be used, the agent stops, and says why not the first, if this user may not use it.
pub(super) fn bind(paths: &SocketPaths, access: Access) -> (UnixSocket, SocketPath) {
    let error = match bind_at(&paths.first, access) {
        Ok(socket) => return (socket, paths.first),
        Err(error) => error,
    };
    if let Some(second) = &paths.second
        && error.is_forbidden()
    {
        match bind_at(second, access) {
            Ok(socket) => return (socket, *second),
            Err(other) if other.is_forbidden() => {}
            Err(other) => other.stop(second),
        }
    }
    error.stop(&paths.first)
}

fn bind_at(path: &SocketPath, access: Access) -> Result<UnixSocket, NoSocket> {
    let c_path = path.c_path().ok_or(NoSocket::Long)?;
    bind_unix(c_path.as_c_str(), access).map_err(NoSocket::Obstacle)
}
