//! Sockets that never block and are closed when dropped, and where the one of the API is.

use core::fmt;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, SockaddrLike, UnixAddr,
};

/// A socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// A new one.
    ///
    /// # Errors
    /// The system has no such sockets, or no file descriptor is left.
    pub fn new(family: AddressFamily, kind: SockType) -> Result<Self, Errno> {
        socket::socket(family, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)
            .map(Self)
    }

    /// A connection to the Unix socket at a path. `EAGAIN`: somebody listens there and has no
    /// time.
    ///
    /// # Errors
    /// Nobody listens there, or the path is too long.
    pub fn connect_unix(path: &CStr) -> Result<Self, Errno> {
        let address = UnixAddr::new(path)?;
        let socket = Self::new(AddressFamily::Unix, SockType::Stream)?;
        socket.connect(&address)?;
        Ok(socket)
    }

    /// Binds it to an address.
    ///
    /// # Errors
    /// Those of bind(2).
    pub fn bind(&self, address: &dyn SockaddrLike) -> Result<(), Errno> {
        socket::bind(self.raw(), address)
    }

    /// Connects it to an address.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn connect(&self, address: &dyn SockaddrLike) -> Result<(), Errno> {
        socket::connect(self.raw(), address)
    }

    /// The next connection to a listening socket; `EAGAIN` when there is none.
    ///
    /// # Errors
    /// Those of accept(2).
    pub fn accept(&self) -> Result<Self, Errno> {
        let fd = socket::accept4(self.raw(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
        // SAFETY: the system has just made it for this call, so that nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Reads what is there; 0 at the end; `EAGAIN` when nothing is.
    ///
    /// # Errors
    /// Those of recv(2).
    pub fn receive(&self, space: &mut [u8]) -> Result<usize, Errno> {
        socket::recv(self.raw(), space, MsgFlags::empty())
    }

    /// Writes what there is room for; `EAGAIN` when there is none.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        socket::send(self.raw(), bytes, MsgFlags::MSG_NOSIGNAL)
    }

    /// Says that nothing more will be sent, while reading goes on.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub fn shutdown_write(&self) -> Result<(), Errno> {
        socket::shutdown(self.raw(), Shutdown::Write)
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The descriptor must be one that does not block.
impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// The longest path of a Unix socket, bytes (unix(7)).
pub(crate) const PATH_BYTES: usize = 107;

/// A path as the system takes it.
pub(crate) type CPath = heapless::CString<{ PATH_BYTES + 1 }>;

/// Where the API's socket may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketPaths {
    pub(crate) first: SocketPath,
    pub(crate) second: Option<SocketPath>,
}

impl SocketPaths {
    /// `--api PATH`.
    pub(crate) fn given(path: &'static str) -> Self {
        Self { first: SocketPath([path, "", "", ""]), second: None }
    }

    /// `/run/midge/CLUSTER.sock`, then `$XDG_RUNTIME_DIR/midge-CLUSTER.sock`.
    pub(crate) fn defaults(cluster: &'static str, runtime_directory: Option<&'static str>) -> Self {
        let directory = runtime_directory.filter(|directory| !directory.is_empty());
        Self {
            first: SocketPath(["/run/midge/", cluster, ".sock", ""]),
            second: directory.map(|path| SocketPath([path, "/midge-", cluster, ".sock"])),
        }
    }
}

/// A path in its parts, put together when it is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketPath([&'static str; 4]);

impl SocketPath {
    /// `None` if it is longer than a socket's path may be.
    pub(crate) fn c_path(self) -> Option<CPath> {
        let mut path = CPath::new();
        for part in self.0 {
            path.extend_from_bytes(part.as_bytes()).ok()?;
        }
        Some(path)
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(part))
    }
}
