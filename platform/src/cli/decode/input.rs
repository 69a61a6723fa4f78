//! A file that is read once from its beginning to its end.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;

use crate::cli::Failure;
use crate::os::{self, Reason};

/// Bytes that are held; also the most of a captured packet that is looked at.
pub(super) const BUFFER_BYTES: usize = 4096;

/// A file, and what has been read of it ahead.
pub(super) struct Input<'a> {
    path: &'a str,
    /// `None` is stdin.
    file: Option<OwnedFd>,
    buffer: &'a mut [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
    /// An error ends the file, and is asked for then.
    outcome: Result<(), Failure>,
}

impl<'a> Input<'a> {
    /// `-` is stdin. The buffer holds null bytes.
    pub(super) fn open(path: &'a str, buffer: &'a mut [u8; BUFFER_BYTES]) -> Result<Self, Failure> {
        let mut input = Self { path, file: None, buffer, start: 0, end: 0, outcome: Ok(()) };
        if path != "-" {
            input.file = Some(input.file(path).map_err(|error| input.broken(error))?);
        }
        Ok(input)
    }

    /// The path with a null byte behind it is made in the buffer, which is still free.
    fn file(&mut self, path: &str) -> Result<OwnedFd, Errno> {
        let place = self.buffer.get_mut(..path.len()).ok_or(Errno::ENAMETOOLONG)?;
        place.copy_from_slice(path.as_bytes());
        let path = CStr::from_bytes_until_nul(&*self.buffer).map_err(|_| Errno::ENAMETOOLONG)?;
        open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    #[inline(never)]
    fn broken(&self, error: Errno) -> Failure {
        Failure::failed(format_args!("{}: cannot read: {}", self.path, Reason(error)))
    }

    /// The next bytes, which are not taken: so many, up to [`BUFFER_BYTES`], or all that are left.
    #[inline(never)]
    pub(super) fn peek(&mut self, count: usize) -> &[u8] {
        while self.end - self.start < count && self.outcome.is_ok() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let file = self.file.as_ref().map(OwnedFd::as_fd);
            match read(file.unwrap_or(os::stdin()), &mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(Errno::EINTR) => {}
                Err(error) => self.outcome = Err(self.broken(error)),
            }
        }
        let end = self.end.min(self.start + count);
        &self.buffer[self.start..end]
    }

    /// Passes over bytes; `false` if there are fewer.
    pub(super) fn skip(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let passed = self.peek(count.min(BUFFER_BYTES)).len();
            if passed == 0 {
                return false;
            }
            self.start += passed;
            count -= passed;
        }
        true
    }

    /// The next byte; `None` at the end.
    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.peek(1).first().copied();
        self.start += usize::from(byte.is_some());
        byte
    }

    /// Whether it was read to its end, or to where its reader stopped.
    pub(super) fn outcome(&self) -> Result<(), Failure> {
        self.outcome
    }
}
