//! Small files of text.

use core::mem::MaybeUninit;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, open};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek, read};

/// What is read of a file; of one that is longer, the lines at its beginning count.
pub(crate) const FILE_BYTES: usize = 65_536;

/// Reads the beginning of a file, as much as there is room for. One that would keep its reader
/// waiting, such as a pipe, is an error.
///
/// # Errors
/// Those of open(2) and read(2).
#[inline(never)]
pub(crate) fn read_file<'a>(path: &str, space: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let file = open_file(path)?;
    // A pipe has no place to be at; without a writer it would pass for an empty file.
    lseek(&file, 0, Whence::SeekSet)?;
    read_all(file, space)
}

/// Opens a file to read it, without waiting for whoever has the other end of a pipe.
///
/// # Errors
/// Those of open(2).
#[inline(never)]
pub(crate) fn open_file(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    open(c_path(path, &mut [0; PATH_BYTES])?, flags, Mode::empty())
}

/// Reads what an open file has, or the whole lines that there is room for.
///
/// # Errors
/// Those of read(2).
#[inline(never)]
pub(crate) fn read_all(file: OwnedFd, space: &mut [u8]) -> Result<&[u8], Errno> {
    let mut len = 0;
    loop {
        match read(&file, &mut space[len..])? {
            0 => break,
            n => len += n,
        }
    }
    if len == space.len() {
        // A line that was cut could mean another thing.
        len = space.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    }
    Ok(&space[..len])
}

/// Locks an open file, or directory, for whoever has it open; does not wait.
///
/// # Errors
/// Those of flock(2): `EAGAIN` if somebody else has it locked.
pub(crate) fn lock(file: &OwnedFd) -> Result<(), Errno> {
    #[expect(deprecated, reason = "`Flock` panics with the words of every errno, 4 KB of them")]
    nix::fcntl::flock(file.as_raw_fd(), FlockArg::LockExclusiveNonblock)
}

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Looks at a file by its path, or at an open one by an empty path: its kind, such as `S_IFREG`, and
/// which one it is.
///
/// # Errors
/// Those of statx(2).
pub(crate) fn look_at(fd: RawFd, path: &CStr) -> Result<(u32, FileId), Errno> {
    let file = statx(fd, path)?;
    let device = libc::makedev(file.stx_dev_major, file.stx_dev_minor);
    Ok((u32::from(file.stx_mode) & libc::S_IFMT, FileId { device, inode: file.stx_ino }))
}

/// Looks at an open file: its kind, and how many bytes it has.
///
/// # Errors
/// Those of statx(2).
pub(crate) fn kind_and_bytes(file: &OwnedFd) -> Result<(u32, u64), Errno> {
    let file = statx(file.as_raw_fd(), c"")?;
    Ok((u32::from(file.stx_mode) & libc::S_IFMT, file.stx_size))
}

/// The C library's functions are 600 bytes around another call.
fn statx(fd: RawFd, path: &CStr) -> Result<libc::statx, Errno> {
    let mut file = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    let wanted = libc::STATX_TYPE | libc::STATX_INO | libc::STATX_SIZE;
    let (path, place) = (path.as_ptr(), file.as_mut_ptr());
    // SAFETY: the system reads a string and writes one `statx`, for which all bytes zero is a value.
    unsafe {
        Errno::result(libc::syscall(libc::SYS_statx, fd, path, flags, wanted, place))?;
        Ok(file.assume_init())
    }
}

/// The longest path of a file and its end, bytes.
pub(crate) const PATH_BYTES: usize = 1_024;

/// A path as the system takes it.
///
/// # Errors
/// It is too long.
pub(crate) fn c_path<'a>(path: &str, space: &'a mut [u8; PATH_BYTES]) -> Result<&'a CStr, Errno> {
    let start = space.get_mut(..path.len()).ok_or(Errno::ENAMETOOLONG)?;
    start.copy_from_slice(path.as_bytes());
    CStr::from_bytes_until_nul(space).map_err(|_| Errno::ENAMETOOLONG)
}

/// Hands over each line that is not empty, with its number from 1 on, without what follows a `#`. A
/// line that is not UTF-8 is handed over as `?`.
#[inline(never)]
pub(crate) fn each_line(text: &[u8], take: &mut dyn FnMut(u32, &str)) {
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let mut line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        number += 1;
        if let Some(remark) = line.iter().position(|byte| *byte == b'#') {
            line = &line[..remark];
        }
        if line.iter().any(|byte| *byte > b' ') {
            take(number, str::from_utf8(line).unwrap_or("?"));
        }
    }
}

/// Takes the next word off a line; empty at its end. Words stand between spaces and the like.
#[inline(never)]
pub(crate) fn next_word<'a>(line: &mut &'a str) -> &'a str {
    let bytes = line.as_bytes();
    let start = bytes.iter().position(|byte| *byte > b' ').unwrap_or(bytes.len());
    let word = bytes[start..].iter().position(|byte| *byte <= b' ');
    let end = word.map_or(bytes.len(), |len| start + len);
    let word = &line[start..end];
    *line = &line[end..];
    word
}

/// FNV-1a, to see changes that nobody makes on purpose to hide.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_numbers_and_no_remarks() {
        let mut lines = Vec::new();
        each_line(b"a\n\n# x\n b # c\r\n\xff\n \t\r\nlast", &mut |number, line| {
            lines.push((number, line.to_string()));
        });
        let expected = [(1, "a"), (4, " b "), (5, "?"), (7, "last")];
        assert_eq!(lines, expected.map(|(number, line)| (number, line.to_string())));
    }

    #[test]
    fn words_stand_between_white_space() {
        let mut line = "  a\tb\u{fc}  c\r";
        let words = [(); 5].map(|()| next_word(&mut line));
        assert_eq!(words, ["a", "b\u{fc}", "c", "", ""]);
    }

    #[test]
    fn checksums_are_those_of_fnv_1a() {
        // From the test suite of its authors.
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn files_are_read_from_their_beginning() {
        let mut space = [0; 8];
        // Of the first line there is no room for all of it.
        assert_eq!(read_file("/proc/self/status", &mut space), Ok(&[][..]));
        let mut space = [0; 32];
        let status = read_file("/proc/self/status", &mut space).expect("a file");
        assert!(status.starts_with(b"Name:\t") && status.len() < 32, "{status:?}");
        assert_eq!(read_file("/proc/self/none", &mut space), Err(Errno::ENOENT));
        assert_eq!(read_file("/proc/self", &mut space), Err(Errno::EISDIR));
        assert_eq!(read_file(&"x".repeat(1_024), &mut space), Err(Errno::ENAMETOOLONG));
    }
}
