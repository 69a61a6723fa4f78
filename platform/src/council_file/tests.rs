mod power;

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use midge::Address;
use midge::council::{
    Configuration, Constants, Id, NOBODY, Release, State, Term, Told, Voter, Voters,
};
use midge::limits::VOTERS;
use midge::wire::crc_32c;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo, setfsuid};

use super::slot::{SLOT_BYTES, Slot, check_owner, encode, newest};
use super::*;
use crate::files::lock;
use crate::poll::Events;

const OWNER: Owner =
    Owner { cluster: "default", address: Address::v4([10, 0, 0, 1], 6434), machine: 7 };

const TOKEN: Token = Token(0);

fn term(number: u64) -> Term {
    Term::from_token(number).expect("it can be reached by voting")
}

/// What a voter remembers in this term: its vote, and a register that somebody proposed before.
fn record(number: u64) -> Record {
    let voters = (1..=3).map(|id| Voter { id, address: Address::v4([10, 0, 0, id as u8], 6434) });
    let state = State {
        id: Id { term: term(number / 2), seq: number },
        configuration: Configuration::of(voters.collect()),
        constants: Constants::DEFAULT,
        release: None,
    };
    Record { cluster: 77, node: 1, term: term(number), voted_for: number % 4, state }
}

fn largest() -> Record {
    let set = |from: u64| -> Voters {
        let address = |id: u64| Address::v6([id as u8; 16], 65_535);
        let voter = |id: u64| Voter { id: u64::MAX - id, address: address(id) };
        (from..from + VOTERS as u64).map(voter).collect()
    };
    let state = State {
        id: Id { term: term((1 << 39) - 1), seq: u64::MAX },
        configuration: Configuration::from_parts(set(32), set(64)).unwrap(),
        constants: Constants {
            promise_ms: 600_000,
            lease_ms: 600_000,
            drift_ppm: 100_000,
            heartbeat_ms: 150_000,
            voters: 7,
        },
        release: Some(Release {
            term: term((1 << 39) - 1),
            holder: u64::MAX,
            told: Told { true_ns: i64::MAX, hold: Duration::from_secs(3_600) },
        }),
    };
    let greatest = term((1 << 53) - (1 << 39) - 1);
    Record { cluster: u64::MAX, node: u64::MAX, term: greatest, voted_for: u64::MAX, state }
}

fn slot(owner: &Owner, sequence: u64, record: &Record) -> Slot {
    let mut slot = [0xaa; SLOT_BYTES];
    assert!(encode(&mut slot, owner, sequence, record), "there is room");
    slot
}

/// Both slots, of which the second is the later one.
fn slots() -> [Slot; 2] {
    [1, 2].map(|number| slot(&OWNER, number, &record(number)))
}

/// A slot whose sum is right again.
fn summed(mut slot: Slot) -> Slot {
    let sum = crc_32c(&slot[..SLOT_BYTES - 4]);
    slot[SLOT_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// What a start makes of these slots, if they are this node's.
fn load([first, second]: &[Slot; 2]) -> Result<(u64, Record), Refusal> {
    let (slot, sequence) = newest([first, second])?;
    assert_eq!(check_owner(slot, &OWNER), Ok(None));
    Ok((sequence, slot::record(slot).ok_or(Refusal::Damaged)?))
}

fn found(slots: &[Slot; 2]) -> Result<Record, Refusal> {
    load(slots).map(|(_, record)| record)
}

/// A directory that is removed in the end.
struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("midge-council-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        let fd = open(&path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        Self { path, fd }
    }

    fn file(&self) -> PathBuf {
        self.path.join("council")
    }

    fn new_file(&self) -> PathBuf {
        self.path.join("council.new")
    }

    /// Writes both slots where they lie.
    fn put(&self, slots: &[Slot; 2]) {
        let mut bytes = vec![0; 4_096 + SLOT_BYTES];
        bytes[..SLOT_BYTES].copy_from_slice(&slots[0]);
        bytes[4_096..].copy_from_slice(&slots[1]);
        fs::write(self.file(), bytes).unwrap();
    }

    fn read(&self) -> Result<Result<Record, NewId>, Refusal> {
        CouncilFile::new(OWNER).read(self.fd.as_fd())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// An agent's loop around the file, with a clock of its own.
struct Loop<'a> {
    folder: &'a Folder,
    file: CouncilFile,
    poll: Poll,
    events: Events,
    now: Instant,
}

impl<'a> Loop<'a> {
    fn new(folder: &'a Folder) -> Self {
        let mut file = CouncilFile::new(OWNER);
        let _ = file.read(folder.fd.as_fd()).unwrap();
        let now = Instant::from_micros(1_000_000);
        Self { folder, file, poll: Poll::new().unwrap(), events: Events::new(), now }
    }

    fn run(&mut self, wanted: Option<(u64, &Record)>) -> Option<u64> {
        self.file.run(self.now, &self.poll, TOKEN, self.folder.fd.as_fd(), wanted)
    }

    /// Begins to write what is wanted, and lets the helper tell and end.
    fn finish(&mut self, wanted: (u64, &Record)) -> Option<u64> {
        let mut safe = self.run(Some(wanted));
        while self.file.helper.is_some() {
            self.poll.wait(&mut self.events, Some(Duration::from_secs(60))).unwrap();
            assert!(!self.events.is_empty(), "the helper tells something");
            safe = safe.or(self.run(None));
        }
        safe
    }
}

#[test]
fn the_largest_record_has_room() {
    let record = largest();
    let slot = slot(&OWNER, u64::MAX, &record);
    assert_eq!(found(&[slot, slot]), Ok(record));
    let nobody = Record {
        cluster: 0,
        node: 5,
        term: Term::ZERO,
        voted_for: NOBODY,
        state: State { constants: Constants::DEFAULT, ..State::EMPTY },
    };
    let slot = self::slot(&OWNER, 1, &nobody);
    assert_eq!(found(&[slot, slot]), Ok(nobody));
}

#[test]
fn the_later_slot_counts_wherever_it_lies() {
    let [first, second] = slots();
    assert_eq!(found(&[first, second]), Ok(record(2)));
    assert_eq!(found(&[second, first]), Ok(record(2)));
    assert_eq!(load(&[first, second]).map(|(sequence, _)| sequence), Ok(2));
}

#[test]
fn a_slot_with_a_wrong_bit_does_not_count() {
    let [first, second] = slots();
    for bit in 0..SLOT_BYTES * 8 {
        let mut flipped = second;
        flipped[bit / 8] ^= 1 << (bit % 8);
        // The format is looked at first: what is there may be later than what can be read.
        let is_format = (64..80).contains(&bit);
        let expected = if is_format { Err(Refusal::OtherFormat) } else { Ok(record(1)) };
        assert_eq!(found(&[first, flipped]), expected, "bit {bit}");
        let expected = if is_format { expected } else { Err(Refusal::Damaged) };
        assert_eq!(found(&[[0; SLOT_BYTES], flipped]), expected, "bit {bit}");
    }
}

#[test]
fn what_no_version_wrote_is_damaged() {
    let [first, _] = slots();
    for (at, bytes) in [
        // More than there is, less than the record has, and more.
        (10, &u16::MAX.to_le_bytes()[..]),
        (10, &[0, 0]),
        (10, &[255, 0]),
        // A term that nobody reached.
        (74 + 24, &[0xff; 10]),
    ] {
        let mut slot = first;
        slot[at..at + bytes.len()].copy_from_slice(bytes);
        let slot = summed(slot);
        assert_eq!(found(&[slot, [0; SLOT_BYTES]]), Err(Refusal::Damaged), "{at}");
    }
}

#[test]
fn a_later_format_is_refused_although_the_other_slot_is_good() {
    let [first, second] = slots();
    let mut later = first;
    later[8] = 2;
    for slots in [[later, second], [second, later], [summed(later), second]] {
        assert_eq!(found(&slots), Err(Refusal::OtherFormat));
    }
}

#[test]
fn what_others_wrote_is_refused_or_takes_a_new_id() {
    let [first, second] = slots();
    let (slot, _) = newest([&first, &second]).unwrap();
    let load = |owner: &Owner| check_owner(slot, owner);
    for cluster in ["other", "default2", "defaul", ""] {
        assert_eq!(load(&Owner { cluster, ..OWNER }), Err(Refusal::OtherCluster));
    }
    for (owner, why) in [
        (Owner { machine: 8, ..OWNER }, NewId::OtherMachine),
        (Owner { machine: 0, ..OWNER }, NewId::OtherMachine),
        (Owner { address: OWNER.address.with_port(1), ..OWNER }, NewId::OtherAddress),
        (Owner { address: Address::v4([10, 0, 0, 2], 6434), ..OWNER }, NewId::OtherAddress),
    ] {
        assert_eq!(load(&owner), Ok(Some(why)), "{owner:?}");
    }
}

#[test]
fn without_a_file_the_id_is_new() {
    let folder = Folder::new();
    assert_eq!(folder.read(), Ok(Err(NewId::NoFile)));
    // What was never renamed was never safe.
    fs::write(folder.new_file(), slots()[1]).unwrap();
    assert_eq!(folder.read(), Ok(Err(NewId::NoFile)));
}

#[test]
fn a_file_that_is_too_short_or_empty_is_damaged() {
    let folder = Folder::new();
    folder.put(&slots());
    let whole = fs::read(folder.file()).unwrap();
    assert_eq!(folder.read(), Ok(Ok(record(2))));
    for len in [0, 1, SLOT_BYTES, 4_096, whole.len() - 1] {
        fs::write(folder.file(), &whole[..len]).unwrap();
        assert_eq!(folder.read().unwrap_err(), Refusal::Damaged, "{len} bytes");
    }
    fs::write(folder.file(), vec![0; whole.len()]).unwrap();
    assert_eq!(folder.read().unwrap_err(), Refusal::Damaged);
    fs::write(folder.file(), vec![b'x'; whole.len()]).unwrap();
    assert_eq!(folder.read().unwrap_err(), Refusal::Damaged);
}

#[test]
fn what_is_no_file_or_not_ours_is_refused() {
    let folder = Folder::new();
    let refused = |error| {
        assert_eq!(folder.read().unwrap_err(), Refusal::Unreadable(error));
    };
    fs::create_dir(folder.file()).unwrap();
    refused(Errno::EISDIR);
    fs::remove_dir(folder.file()).unwrap();
    mkfifo(&folder.file(), Mode::S_IRWXU).unwrap();
    assert_eq!(folder.read().unwrap_err(), Refusal::Damaged, "nobody writes to the pipe");
    fs::remove_file(folder.file()).unwrap();
    symlink("/dev/null", folder.file()).unwrap();
    refused(Errno::ELOOP);
    fs::remove_file(folder.file()).unwrap();

    folder.put(&slots());
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o000)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if geteuid().is_root() {
                // Of this thread alone.
                setfsuid(65_534.into());
            }
            refused(Errno::EACCES);
        });
    });
}

#[test]
fn the_words_say_what_to_do() {
    for (refusal, words) in [
        (Refusal::Damaged, "remove it"),
        (Refusal::OtherFormat, "run that one"),
        (Refusal::OtherCluster, "a directory of its own"),
        (Refusal::Unreadable(Errno::EACCES), "Permission denied; mend"),
    ] {
        let said = refusal.to_string();
        assert!(said.contains(words) && said.contains("`council`"), "{said}");
    }
    assert_eq!(Trouble::Failed(Errno::ENOSPC).to_string(), "No space left on device");
}

#[test]
fn what_is_said_to_be_safe_is_read_at_the_next_start() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    assert_eq!(agent.run(None), None);
    assert_eq!(agent.file.poll_timeout(), Instant::FAR_FUTURE);
    for change in 1..=5 {
        assert_eq!(agent.finish((change, &record(change))), Some(change));
        assert_eq!(agent.run(None), None, "it is said once");
        assert_eq!(folder.read(), Ok(Ok(record(change))));
    }
    assert!(!folder.new_file().exists());
    let mode = fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!((agent.file.trouble(), agent.file.errors()), (None, 0));

    // The next agent writes what it has read once more, into another file.
    let mut next = Loop::new(&folder);
    fs::hard_link(folder.file(), folder.path.join("before")).unwrap();
    assert_eq!(next.finish((0, &record(5))), Some(0));
    let before = fs::read(folder.path.join("before")).unwrap();
    assert_ne!(fs::read(folder.file()).unwrap(), before);
    assert_eq!(folder.read(), Ok(Ok(record(5))));
}

#[test]
fn while_one_is_written_only_the_newest_waits() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    assert_eq!(agent.run(Some((1, &record(1)))), None);
    // Whatever comes meanwhile; it ends with the first.
    assert_eq!(agent.finish((2, &record(2))), Some(1));
    assert_eq!(agent.finish((3, &record(3))), Some(3));
    assert_eq!(folder.read(), Ok(Ok(record(3))));
}

#[test]
fn a_failure_is_tried_again_a_second_later() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    assert_eq!(agent.finish((1, &record(1))), Some(1));
    fs::remove_file(folder.file()).unwrap();
    assert_eq!(agent.finish((2, &record(2))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Failed(Errno::ENOENT)));
    // After a failure the file is a new one, which is in the way here.
    fs::create_dir(folder.new_file()).unwrap();
    assert_eq!(agent.run(Some((2, &record(2)))), None);
    assert_eq!(agent.file.errors(), 1, "it is not time yet");
    let second = agent.now + RETRY;
    assert_eq!(agent.file.poll_timeout(), second);
    agent.now = second;
    assert_eq!(agent.finish((2, &record(2))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Failed(Errno::EISDIR)));
    assert_eq!(agent.file.errors(), 2);
    fs::remove_dir(folder.new_file()).unwrap();
    agent.now = second + RETRY;
    assert_eq!(agent.finish((2, &record(2))), Some(2));
    assert_eq!(agent.file.trouble(), None);
    assert_eq!(folder.read(), Ok(Ok(record(2))));
}

#[test]
fn a_disk_that_does_not_answer_is_waited_for() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    // To open it for writing takes until somebody reads.
    mkfifo(&folder.new_file(), Mode::S_IRWXU).unwrap();
    assert_eq!(agent.run(Some((1, &record(1)))), None);
    assert_eq!(agent.file.trouble(), None);
    let stalls_at = agent.now + STALL;
    assert_eq!(agent.file.poll_timeout(), stalls_at);
    agent.now = stalls_at;
    assert_eq!(agent.run(Some((2, &record(2)))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Stalled));
    assert_eq!(agent.file.poll_timeout(), Instant::FAR_FUTURE, "nothing else is tried");

    let reader = fs::File::open(folder.new_file()).unwrap();
    assert_eq!(agent.finish((2, &record(2))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Failed(Errno::ESPIPE)));
    drop(reader);
    fs::remove_file(folder.new_file()).unwrap();
    agent.now += RETRY;
    assert_eq!(agent.finish((2, &record(2))), Some(2));
    assert_eq!(agent.file.trouble(), None);
}

#[test]
fn a_writer_that_tells_nothing_was_killed() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    let helper = Helper::start(&agent.poll, TOKEN, None, &mut |_| {}).unwrap();
    agent.file.helper = Some(helper);
    assert_eq!(agent.finish((1, &record(1))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Killed));
    agent.now += RETRY;
    assert_eq!(agent.finish((1, &record(1))), Some(1));
}

#[test]
fn the_new_file_is_of_one_writer_at_a_time() {
    let folder = Folder::new();
    let mut agent = Loop::new(&folder);
    let other = OwnedFd::from(fs::File::create(folder.new_file()).unwrap());
    lock(&other).unwrap();
    assert_eq!(agent.finish((1, &record(1))), None);
    assert_eq!(agent.file.trouble(), Some(Trouble::Failed(Errno::EAGAIN)));
    drop(other);
    agent.now += RETRY;
    assert_eq!(agent.finish((1, &record(1))), Some(1));
}
