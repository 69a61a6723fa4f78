//! In which order what is written where, and the file itself.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{Whence, fdatasync, fsync, lseek};

use super::slot::{Refusal, SLOT_BYTES, Slot};
use crate::files::{lock, read_all};
use crate::os;

const NAME: &CStr = c"council";
const NEW_NAME: &CStr = c"council.new";

/// Where the slots begin: each in sectors of its own, also where a sector has 4,096 bytes.
pub(super) const OFFSETS: [u32; 2] = [0, 4_096];

/// Where a record goes, so that the last one that is safe stays until this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into both slots of a new file, which takes the place of the one that is there.
    NewFile,
    /// Over a slot of the file that is there.
    Slot(usize),
}

/// Which sequence number and which place are next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    sequence: u64,
    place: Place,
}

impl Order {
    /// After this number. What was read from a file may be in the memory of the system alone, and
    /// a writer of the agent before this one may hang in it: so the first file is a new one.
    pub(super) const fn after(sequence: u64) -> Self {
        Self { sequence, place: Place::NewFile }
    }

    /// Takes the next number.
    pub(super) fn next(&mut self) -> (u64, Place) {
        self.sequence += 1;
        (self.sequence, self.place)
    }

    /// What was begun last is safe, or nobody knows what became of it. What the system holds of a
    /// file that it failed to sync, and what the disk does, may be two things from then on.
    pub(super) fn settle(&mut self, synced: bool) {
        self.place = match self.place {
            Place::Slot(0) if synced => Place::Slot(1),
            _ if synced => Place::Slot(0),
            _ => Place::NewFile,
        };
    }
}

/// What writing takes of a disk.
pub(super) trait Disk {
    /// Opens the file.
    fn open(&mut self) -> Result<(), Errno>;
    /// Opens the new file, which is made if it is missing, for this process alone.
    fn create(&mut self) -> Result<(), Errno>;
    /// Writes a slot of the file that is open.
    fn write(&mut self, offset: u32, slot: &Slot) -> Result<(), Errno>;
    /// Returns when what was written is safe.
    fn sync(&mut self) -> Result<(), Errno>;
    /// The new file takes the place of the file.
    fn rename(&mut self) -> Result<(), Errno>;
    /// Returns when that is safe.
    fn sync_directory(&mut self) -> Result<(), Errno>;
}

/// Writes a slot to its place; it is safe when this returns without an error.
pub(super) fn write(disk: &mut impl Disk, place: Place, slot: &Slot) -> Result<(), Errno> {
    let is_new = place == Place::NewFile;
    if is_new {
        disk.create()?
    } else {
        disk.open()?
    }
    for (at, offset) in OFFSETS.into_iter().enumerate() {
        if is_new || place == Place::Slot(at) {
            disk.write(offset, slot)?;
        }
    }
    disk.sync()?;
    if is_new {
        disk.rename()?;
        disk.sync_directory()?;
    }
    Ok(())
}

/// The files in a directory.
pub(super) struct Files<'a> {
    directory: BorrowedFd<'a>,
    file: Option<OwnedFd>,
}

impl<'a> Files<'a> {
    pub(super) const fn new(directory: BorrowedFd<'a>) -> Self {
        Self { directory, file: None }
    }

    fn open_file(&mut self, name: &CStr, flags: OFlag) -> Result<&OwnedFd, Errno> {
        let flags = flags | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(self.directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(self.file.insert(file))
    }

    fn file(&self) -> Result<&OwnedFd, Errno> {
        self.file.as_ref().ok_or(Errno::EBADF)
    }
}

impl Disk for Files<'_> {
    fn open(&mut self) -> Result<(), Errno> {
        self.open_file(NAME, OFlag::empty()).map(|_| ())
    }

    fn create(&mut self) -> Result<(), Errno> {
        // A writer of the agent before this one may hang between here and its renaming, which would
        // then rename this one's file. It holds the lock for as long.
        lock(self.open_file(NEW_NAME, OFlag::O_CREAT)?)
    }

    fn write(&mut self, offset: u32, slot: &Slot) -> Result<(), Errno> {
        let file = self.file()?;
        lseek(file, offset.into(), Whence::SeekSet)?;
        os::write_all(file.as_fd(), slot)
    }

    fn sync(&mut self) -> Result<(), Errno> {
        fdatasync(self.file()?)
    }

    fn rename(&mut self) -> Result<(), Errno> {
        renameat(self.directory, NEW_NAME, self.directory, NAME)
    }

    fn sync_directory(&mut self) -> Result<(), Errno> {
        fsync(self.directory)
    }
}

/// The file and a bit more, in pieces as long as a slot.
pub(super) type Pieces = [Slot; LAST_PIECE + 2];

/// The piece that is the second slot.
const LAST_PIECE: usize = OFFSETS[1] as usize / SLOT_BYTES;

/// Reads both slots, if there is a file.
pub(super) fn read<'a>(
    directory: BorrowedFd<'_>,
    pieces: &'a mut Pieces,
) -> Result<Option<[&'a Slot; 2]>, Refusal> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let opened = openat(directory, NAME, flags, Mode::empty());
    match opened.and_then(|file| read_all(file, pieces.as_flattened_mut()).map(<[u8]>::len)) {
        Ok(len) if len < (LAST_PIECE + 1) * SLOT_BYTES => Err(Refusal::Damaged),
        Ok(_) => Ok(Some([&pieces[0], &pieces[LAST_PIECE]])),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(Refusal::Unreadable(error)),
    }
}
