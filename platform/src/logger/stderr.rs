//! Writing to stderr without ever waiting for whoever reads it.
//!
//! `O_NONBLOCK` belongs to the open file description, which stderr shares with other processes:
//! set there, it would make *their* writes fail. And `poll(2)` alone promises too little: it
//! calls a terminal writable that has room for a part of a line, and another process may take
//! the room that it saw. So the agent opens the pipe or terminal behind stderr once more, with a
//! description of its own. Sockets cannot be opened that way; sending to them has a flag instead.
//! Regular files keep no writer waiting, and share their position with whoever has them, too.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc::{S_IFIFO, S_IFREG, S_IFSOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::os;

/// What a terminal has room for when `poll(2)` calls it writable: Linux keeps its room in units
/// of 256 bytes, and each byte of a line may take two, as its end does.
const TERMINAL_BYTES: usize = 128;

/// Writing waits until there is room: for the commands, whose user waits for the text.
const WAIT: usize = 0;
/// `OWN` is a description that does not block.
const OPENED: usize = 1;
/// stderr is a socket.
const SEND: usize = 2;
/// How to write. From `TERMINAL_BYTES` on: so many bytes at once if there is room.
static HOW: AtomicUsize = AtomicUsize::new(WAIT);

/// The agent's own descriptor for what is behind stderr.
static OWN: AtomicI32 = AtomicI32::new(-1);

/// From now on, `write` never waits. stderr is a file of this kind.
pub(super) fn never_wait(kind: u32) {
    let how = match kind {
        S_IFREG => WAIT,
        S_IFSOCK => SEND,
        kind => {
            let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            match open(c"/proc/self/fd/2", flags, Mode::empty()) {
                Ok(file) => {
                    // It stays open for good.
                    OWN.store(file.into_raw_fd(), Ordering::Relaxed);
                    OPENED
                }
                // Another user's, or there is no /proc. A pipe that is writable takes a whole
                // page, unless another process is quicker.
                Err(_) if kind == S_IFIFO => super::WRITE_BYTES,
                Err(_) => TERMINAL_BYTES,
            }
        }
    };
    HOW.store(how, Ordering::Relaxed);
}

/// Writes, in one piece where that is possible, so that lines of several processes do not mix.
/// Says how many bytes were taken.
pub(super) fn write(bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match write_some(&bytes[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    done
}

fn write_some(bytes: &[u8]) -> Result<usize, Errno> {
    let stderr = os::stderr();
    match HOW.load(Ordering::Relaxed) {
        WAIT => unistd::write(stderr, bytes),
        OPENED => {
            // SAFETY: `never_wait` has opened it before it said so, and nothing closes it.
            let own = unsafe { BorrowedFd::borrow_raw(OWN.load(Ordering::Relaxed)) };
            unistd::write(own, bytes)
        }
        SEND => send(stderr.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
        most => {
            let mut fds = [PollFd::new(stderr, PollFlags::POLLOUT)];
            // Errors and hang-ups count as room: the write then fails at once.
            if poll(&mut fds, PollTimeout::ZERO)? == 0 {
                return Err(Errno::EAGAIN);
            }
            unistd::write(stderr, &bytes[..bytes.len().min(most)])
        }
    }
}
