//! A copy of the agent that does what may take long: reading or writing a file on a disk that is
//! stalled.
//!
//! It tells what comes of it over a socket, and ends. The loop hears of it when there is something
//! to be read, and never waits. A copy that hangs is let alone; the next one starts when it is gone.
//! It dies with the agent, as soon as the disk lets it.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::os;
use crate::poll::{Interest, Poll, Token};
use crate::socket::Socket;

/// Descriptors up to this one are closed in the copy: those of the agent are few and low.
const LAST_DESCRIPTOR: RawFd = 1_023;

/// A copy at work.
#[derive(Debug)]
pub(crate) struct Helper {
    process: libc::pid_t,
    socket: Socket,
}

impl Helper {
    /// Starts a copy, which does `work`, tells what it returns in its first byte, and keeps no other
    /// descriptor than the one given: one that hangs must hold neither port nor lock.
    ///
    /// # Errors
    /// There is no memory, process or descriptor left.
    pub(crate) fn start(
        poll: &Poll,
        token: Token,
        keep: Option<BorrowedFd<'_>>,
        work: &mut dyn FnMut(&Socket),
    ) -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (near, far) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
        let (near, far) = (Socket::from(near), Socket::from(far));
        poll.add(&near, token, Interest::Read)?;
        // No signal tells of its end: SIGCHLD is for programs.
        // SAFETY: the agent has one thread, and the copy ends below.
        let process = unsafe { os::fork(0)? };
        if process != 0 {
            return Ok(Self { process, socket: near });
        }
        let kept = [far.raw(), keep.map_or(-1, |fd| fd.as_raw_fd())];
        for fd in libc::STDERR_FILENO + 1..=LAST_DESCRIPTOR {
            if !kept.contains(&fd) {
                // SAFETY: nothing in this copy uses any other descriptor, nor drops its owner.
                unsafe { libc::close(fd) };
            }
        }
        // What it tells may be more than there is room for at once.
        // SAFETY: it is a system call on a number.
        unsafe { libc::syscall(libc::SYS_fcntl, far.raw(), libc::F_SETFL, 0) };
        work(&far);
        // SAFETY: the copy ends here; nothing of the agent is run or dropped in it.
        unsafe { libc::_exit(0) }
    }

    /// Reads what it has told; 0 when it is at its end, `EAGAIN` while it works.
    ///
    /// # Errors
    /// Those of recv(2).
    pub(crate) fn read(&self, space: &mut [u8]) -> Result<usize, Errno> {
        let len = self.socket.receive(space)?;
        if len == 0 {
            // It has closed its descriptors, which is the last that it does before it is gone.
            // SAFETY: without a place for the status, no memory is touched.
            unsafe { libc::waitpid(self.process, core::ptr::null_mut(), libc::__WALL) };
        }
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll as wait};
    use std::os::fd::AsFd;

    use super::*;

    /// More than a socket holds.
    const LONG: usize = 1 << 20;

    #[test]
    fn a_copy_tells_and_ends() {
        let poll = Poll::new().unwrap();
        let helper = Helper::start(&poll, Token(0), None, &mut |socket| {
            let _ = socket.send(&[b'x'; LONG]);
        });
        let helper = helper.unwrap();
        let (mut told, mut space) = (Vec::<u8>::new(), [0; 16]);
        loop {
            let mut fds = [PollFd::new(helper.socket.as_fd(), PollFlags::POLLIN)];
            wait(&mut fds, PollTimeout::from(60_000_u16)).unwrap();
            match helper.read(&mut space) {
                Ok(0) => break,
                Ok(n) => told.extend(&space[..n]),
                Err(error) => assert_eq!(error, Errno::EAGAIN),
            }
        }
        assert!(told.len() == LONG && told.iter().all(|byte| *byte == b'x'), "all of it");
        // SAFETY: as in `read`.
        let again = unsafe { libc::waitpid(helper.process, core::ptr::null_mut(), libc::__WALL) };
        assert_eq!(Errno::result(again), Err(Errno::ECHILD), "it is gone");
    }
}
