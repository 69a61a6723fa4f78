//! Where connections come from, and what the engine needs of one.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::event::Source;
use mio::net::UnixStream;

/// A non-blocking byte stream. The buffers, the slots and the protocol do not depend on which.
pub trait Stream: Read + Write + Source {
    /// Says that nothing more will be sent, while reading goes on.
    fn shutdown_write(&self) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A non-blocking source of streams.
pub trait Listener: Source {
    /// What it yields.
    type Stream: Stream;

    /// The next connection; `WouldBlock` when there is none.
    fn accept(&self) -> io::Result<Self::Stream>;
}
