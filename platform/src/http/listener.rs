//! Where connections come from.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::socket::Socket;

/// A source of connections that does not block. The descriptor becomes readable when there is one.
pub trait Listener: AsFd {
    /// The next connection.
    ///
    /// # Errors
    /// `EAGAIN` when there is none.
    fn accept(&self) -> Result<Socket, Errno>;
}
