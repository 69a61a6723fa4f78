//! `--state-dir`: what an agent knows at its next start.
//!
//! The directory is of one cluster, one machine, and one agent at a time. Its file `peers` names
//! members that were there last, as contact points for a node that was away for long, and for one
//! whose cluster was: written by a helper, at most once a minute, and only when it has changed.

use core::fmt::{self, Write as _};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use heapless::Vec;
use log::Level;
use midge::{Address, Duration, Instant, Node, State};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{fsync, mkdir};

use super::stop;
use crate::api::{DEFAULT_PORT, parse_address};
use crate::files::{self, PATH_BYTES, c_path, checksum, each_line, next_word, read_all, read_file};
use crate::helper::Helper;
use crate::http::Page;
use crate::logger::say;
use crate::os::{self, Reason};
use crate::poll::{Poll, Token};
use crate::text::parse_hex;

/// Peers that are kept.
const PEERS: usize = 16;

/// The longest file, bytes: a head of three lines, and a line of up to 48 for each peer.
const FILE_BYTES: usize = 1_024;

/// How often the file is written at most.
const PAUSE: Duration = Duration::from_secs(60);

/// How soon after there are others it is written when it names nobody.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

const NAME: &CStr = c"peers";
const NEW_NAME: &CStr = c"peers.new";

/// Whose the directory is, if it is not this agent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Cluster,
    Machine,
    Program,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "it is of another cluster; give each cluster a directory of its own",
            Self::Machine => {
                "it is of another machine: was its disk cloned? To start anew here, remove the \
                 file `peers` in it"
            }
            Self::Program => {
                "the file `peers` in it is not of midge, and would be overwritten; give another \
                 directory"
            }
        })
    }
}

pub(super) struct StateDir {
    path: &'static str,
    /// Open for reading.
    directory: OwnedFd,
    /// Open once more, for the lock alone: a helper keeps the other one, and no lock lives on in it.
    _lock: OwnedFd,
    cluster: &'static str,
    /// A checksum of the machine's id; 0 if it has none.
    machine: u32,
    pub(super) peers: Vec<Address, PEERS>,
    helper: Option<Helper>,
    /// Checksums of what the file holds, and of what it is to hold.
    written: u64,
    wanted: u64,
    due: Instant,
    /// Times that writing has failed.
    pub(super) errors: u32,
}

impl StateDir {
    /// With the directory and what locks it; nobody is known yet.
    fn new(
        path: &'static str,
        [directory, lock]: [OwnedFd; 2],
        cluster: &'static str,
        machine: u32,
    ) -> Self {
        Self {
            path,
            directory,
            _lock: lock,
            cluster,
            machine,
            peers: Vec::new(),
            helper: None,
            written: 0,
            wanted: 0,
            due: Instant::ZERO,
            errors: 0,
        }
    }

    /// Opens the directory, which is made if it is missing, and reads who was there last. If it
    /// cannot be made, opened, locked or read, or is not for this agent, the agent stops.
    pub(super) fn open(path: &'static str, cluster: &'static str) -> Self {
        let mut state = Self::new(path, open_locked(path), cluster, machine());
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
        let mut space = [0; FILE_BYTES];
        let text = match openat(&state.directory, NAME, flags, Mode::empty()) {
            Ok(file) => read_all(file, &mut space),
            Err(Errno::ENOENT) => Ok(&[][..]),
            Err(error) => Err(error),
        };
        let text = text.unwrap_or_else(|error| cannot(path, "read the file `peers` in", error));
        if let Some(other) = state.read(text) {
            refuse(path, &other);
        }
        state.written = checksum(text);
        state
    }

    /// Takes what the file says. Lines that make no sense are named and passed over. Says whose it
    /// is if it is not this agent's; one that is not empty names its cluster first.
    fn read(&mut self, text: &[u8]) -> Option<Other> {
        let mut other = (!text.is_empty()).then_some(Other::Program);
        each_line(text, &mut |number, mut line| {
            let word = next_word(&mut line);
            let value = next_word(&mut line);
            match word {
                "cluster" if value == self.cluster => {
                    other = other.filter(|other| *other != Other::Program);
                }
                "cluster" => other = Some(Other::Cluster),
                "machine" => {
                    let machine = parse_hex(value).unwrap_or(0) as u32;
                    if ![machine, self.machine].contains(&0) && machine != self.machine {
                        other = other.filter(|other| *other == Other::Cluster);
                        other = other.or(Some(Other::Machine));
                    }
                }
                _ => match parse_address(word, DEFAULT_PORT) {
                    Ok(peer) if value.is_empty() && peer.is_usable() => {
                        // There are never more than there is room for.
                        let _ = self.peers.push(peer);
                    }
                    _ if other.is_none() => say(
                        Level::Warn,
                        format_args!("state_dir={} line={number} note=\"ignored\"", self.path),
                    ),
                    // All of it is.
                    _ => {}
                },
            }
        });
        other
    }

    /// When `run` has something to do beside what a helper tells.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.due
    }

    /// Does what is due or has come; `alone`: there is nobody yet, or any more. Says whether there
    /// are other peers than before.
    pub(super) fn run<const N: usize>(
        &mut self,
        now: Instant,
        poll: &Poll,
        token: Token,
        node: &Node<N>,
        alone: bool,
    ) -> bool {
        self.hear();
        if !alone && self.peers.is_empty() {
            self.due = self.due.min(now + FIRST_PAUSE);
        }
        if now < self.due {
            return false;
        }
        self.due = now + PAUSE;
        if self.helper.is_some() {
            self.fail(&"the disk does not answer");
            return false;
        }
        let changed = choose(&mut self.peers, node);
        let mut space = [0; FILE_BYTES];
        let mut page = Page::new(&mut space);
        // A page cannot fail, and the longest file fits.
        let _ = writeln!(page, "# of midge: who was there last\ncluster {}", self.cluster);
        let _ = writeln!(page, "machine {:x}", self.machine);
        for peer in &self.peers {
            let _ = writeln!(page, "{peer}");
        }
        self.wanted = checksum(page.written());
        if self.wanted != self.written {
            let (directory, text) = (self.directory.as_fd(), page.written());
            let helper = Helper::start(poll, token, Some(directory), &mut |socket| {
                let error = replace(directory, text).err().unwrap_or(Errno::UnknownErrno);
                // All numbers of errors are below 134, and 0 is none.
                let _ = socket.send(&[error as u8]);
            });
            match helper {
                Ok(helper) => self.helper = Some(helper),
                Err(error) => self.fail(&Reason(error)),
            }
        }
        changed
    }

    /// Hears what a helper tells.
    fn hear(&mut self) {
        let Some(helper) = &self.helper else { return };
        let mut told = [0];
        match helper.read(&mut told) {
            Ok(0) => self.helper = None,
            Ok(_) if told[0] == 0 => self.written = self.wanted,
            Ok(_) => self.fail(&Reason(Errno::from_raw(told[0].into()))),
            Err(_) => return,
        }
        // Its end comes after what it tells.
        self.hear();
    }

    /// Tells of a failure, which there is at most once a minute.
    fn fail(&mut self, reason: &dyn fmt::Display) {
        self.errors += 1;
        let path = self.path;
        say(
            Level::Warn,
            format_args!("state_dir={path} note=\"peers not written, is tried again: {reason}\""),
        );
    }
}

fn refuse(path: &str, why: &dyn fmt::Display) -> ! {
    stop(format_args!("--state-dir: {path}: {why}"))
}

fn cannot(path: &str, what: &str, error: Errno) -> ! {
    refuse(path, &format_args!("cannot {what} it: {}; give another directory", Reason(error)))
}

/// Opens the directory for this agent alone, to work in and to lock it.
fn open_locked(path: &str) -> [OwnedFd; 2] {
    let mut space = [0; PATH_BYTES];
    let c_path = c_path(path, &mut space).unwrap_or_else(|error| cannot(path, "make", error));
    match mkdir(c_path, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => cannot(path, "make", error),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = open(c_path, flags, Mode::empty());
    let directory = opened.unwrap_or_else(|error| cannot(path, "open", error));
    let opened = openat(&directory, c".", flags, Mode::empty());
    let lock = opened.unwrap_or_else(|error| cannot(path, "open", error));
    match files::lock(&lock) {
        Ok(()) => [directory, lock],
        Err(Errno::EAGAIN) => refuse(path, &"another agent uses it; give each one of its own"),
        Err(error) => cannot(path, "lock", error),
    }
}

/// The id of this machine is nobody else's business (machine-id(5)); a checksum tells machines apart
/// as well.
fn machine() -> u32 {
    let mut space = [0; 64];
    match read_file("/etc/machine-id", &mut space) {
        // 32 digits and the end of the line. Early in the boot there is another word.
        Ok(text) if text.len() >= 32 => (checksum(text) as u32).max(1),
        _ => 0,
    }
}

/// Writes the file anew: it is either as before or whole. This may take as long as the disk wants.
fn replace(directory: BorrowedFd<'_>, text: &[u8]) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = openat(directory, NEW_NAME, flags | OFlag::O_NOFOLLOW, mode)?;
    os::write_all(file.as_fd(), text)?;
    fsync(&file)?;
    renameat(directory, NEW_NAME, directory, NAME)?;
    fsync(directory)
}

/// Brings the peers up to date: who has left goes; who has failed stays until another one can take
/// the place. Says whether anything has changed.
fn choose<const N: usize>(peers: &mut Vec<Address, PEERS>, node: &Node<N>) -> bool {
    let is_live = |state| matches!(state, State::Alive | State::Suspect);
    let mut changed = false;
    let mut at = 0;
    while let Some(peer) = peers.get(at) {
        if node.member(*peer).is_some_and(|member| member.state == State::Left) {
            peers.swap_remove(at);
            changed = true;
        } else {
            at += 1;
        }
    }
    for (_, member) in node.members(0) {
        let address = member.address;
        if member.own || !is_live(member.state) || peers.contains(&address) {
            continue;
        }
        if peers.push(address).is_err() {
            let is_gone = |peer: &&mut Address| {
                !node.member(**peer).is_some_and(|member| is_live(member.state))
            };
            let Some(gone) = peers.iter_mut().find(is_gone) else { break };
            *gone = address;
        }
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use midge::Config;

    use super::*;

    fn address(host: u8) -> Address {
        Address::v4([10, 0, 0, host], 6434)
    }

    fn state() -> StateDir {
        let directory = open(c"/", OFlag::O_RDONLY, Mode::empty()).unwrap();
        let lock = directory.try_clone().unwrap();
        StateDir::new("/state", [directory, lock], "default", 7)
    }

    #[test]
    fn what_makes_no_sense_in_the_file_is_passed_over() {
        let mut state = state();
        let text = b"# x\ncluster default\nmachine 7\n10.0.0.2:6434\n\xff\nnonsense\n10.0.0\n\
            10.0.0.3 x\n0.0.0.0:1\n[fd00::1]:7000\n\0\0\0";
        assert_eq!(state.read(text), None);
        let peers: std::vec::Vec<_> = state.peers.iter().map(Address::to_string).collect();
        assert_eq!(peers, ["10.0.0.2:6434", "[fd00::1]:7000"]);
    }

    #[test]
    fn the_state_of_others_is_refused() {
        for (text, other) in [
            (&b"cluster other\n"[..], Other::Cluster),
            (b"cluster default\nmachine 8\n", Other::Machine),
            (b"machine 8\ncluster other\n", Other::Cluster),
            (b"cluster\n", Other::Cluster),
            (b"machine 8\ncluster default\n", Other::Machine),
            (b"alice\nbob secret\n", Other::Program),
            (b"machine 7\n10.0.0.2:6434\n", Other::Program),
        ] {
            assert_eq!(state().read(text), Some(other));
        }
        // Where one of the two is not known, nothing speaks against it.
        assert_eq!(state().read(b"cluster default\nmachine 0\nmachine\n"), None);
        assert_eq!(state().read(b""), None);
        let mut unknown = state();
        unknown.machine = 0;
        assert_eq!(unknown.read(b"cluster default\nmachine 8\n"), None);
    }

    #[test]
    fn the_longest_file_fits() {
        let mut space = [0; FILE_BYTES];
        let mut page = Page::new(&mut space);
        let longest = Address::v6([0x2a; 16], 65_535);
        let _ = writeln!(page, "# of midge: who was there last\ncluster {}", "c".repeat(32));
        let _ = writeln!(page, "machine {:x}", u32::MAX);
        for _ in 0..PEERS {
            let _ = writeln!(page, "{longest}");
        }
        assert!(!page.is_overfull());
    }

    #[test]
    fn peers_stay_until_others_take_their_place() {
        let mut node = Box::new(Node::<4>::EMPTY);
        node.init(&Config::new("a", address(1)), [1; 32], 1, Instant::ZERO).unwrap();
        let mut peers: Vec<_, PEERS> = [address(2), address(3)].into_iter().collect();
        assert!(!choose(&mut peers, &node), "nobody is there to replace them");
        assert_eq!(peers[..], [address(2), address(3)]);
    }
}
