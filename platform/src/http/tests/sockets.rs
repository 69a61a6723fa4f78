//! The Unix socket itself.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};

use super::*;

/// Binding changes the umask of the process for a moment, so these tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A directory of its own, removed at the end.
struct Scratch(PathBuf, #[expect(dead_code, reason = "held for its drop")] MutexGuard<'static, ()>);

impl Scratch {
    fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("midge-http-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path, turn)
    }

    fn entries(&self) -> usize {
        fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bind_unix(path: &Path, mode: u32) -> Result<UnixSocket, BindError> {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    super::bind_unix(&path, Access { mode, group: None })
}

#[test]
fn a_socket_is_made_with_its_directory_and_mode_and_removed() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("run");
    let path = directory.join("a.sock");
    for mode in [0o660, 0o600, 0o666] {
        let socket = bind_unix(&path, mode).unwrap();
        let file = fs::symlink_metadata(&path).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o7777, mode);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "nothing but it and its lock");
        let lock = fs::symlink_metadata(directory.join("a.sock.lock")).unwrap();
        assert_eq!((lock.permissions().mode() & 0o7777, lock.len()), (0o600, 0));
        drop(socket);
        assert!(!path.exists());
    }
}

#[test]
fn requests_over_a_bound_socket() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    let mut poll = Poll::new().unwrap();
    let buffers = Box::leak(Box::new(Buffers::EMPTY));
    let socket = bind_unix(&path, 0o600).unwrap();
    let mut server = Server::new([Some(socket), None, None], buffers, &poll, Token(0)).unwrap();
    let mut app = Fake::default();
    let mut events = Events::new();
    let mut clients: Vec<UnixStream> = Vec::new();
    for _ in 0..3 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_nonblocking(true).unwrap();
        client.write_all(&get("/hello")).unwrap();
        clients.push(client);
        loop {
            poll.wait(&mut events, Some(Duration::ZERO)).unwrap();
            events.iter().for_each(|event| server.handle_event(&event));
            if !server.run(Instant::ZERO, &poll, &mut app) && events.is_empty() {
                break;
            }
        }
    }
    for client in &mut clients {
        let mut space = [0; 1024];
        let bytes = client.read(&mut space).unwrap();
        assert!(space[..bytes].ends_with(b"\r\n\r\nhello\n"));
    }
}

#[test]
fn the_socket_of_an_agent_that_is_gone_is_replaced() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves it");
    let socket = bind_unix(&path, 0o600).unwrap();
    assert!(UnixStream::connect(&path).is_ok());
    drop(socket);
    assert_eq!(scratch.entries(), 1, "only the lock file");
}

/// Who holds the lock may be just about to make the socket.
#[test]
fn a_path_whose_lock_another_holds_is_not_touched() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    drop(UnixListener::bind(&path).unwrap());
    let inode = fs::symlink_metadata(&path).unwrap().ino();
    let file = fs::File::create(scratch.0.join("a.sock.lock")).unwrap();
    let lock = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    assert_eq!(bind_unix(&path, 0o600).unwrap_err(), BindError::InUse);
    assert_eq!(fs::symlink_metadata(&path).unwrap().ino(), inode);
    drop(lock);
    let socket = bind_unix(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(bind_unix(&path, 0o600).unwrap_err(), BindError::InUse, "it lives without a file");
    drop(socket);
    assert!(bind_unix(&path, 0o600).is_ok());
}

#[test]
fn a_lock_file_that_cannot_be() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    let lock = scratch.0.join("a.sock.lock");
    std::os::unix::fs::symlink("elsewhere", &lock).unwrap();
    let error = bind_unix(&path, 0o600).unwrap_err();
    assert_eq!(error, BindError::Lock(Errno::ELOOP), "links are not followed");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    assert_eq!(bind_unix(&path, 0o600).unwrap_err(), BindError::Lock(Errno::EISDIR));
    assert_eq!(scratch.entries(), 1, "nothing was made");
}

#[test]
fn the_socket_of_a_living_agent_is_not_touched() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    let other = UnixListener::bind(&path).unwrap();
    let error = bind_unix(&path, 0o600).unwrap_err();
    assert!(matches!(error, BindError::InUse));
    assert_eq!(error.to_string(), "another agent answers there");
    assert!(other.accept().is_ok());
    assert!(UnixStream::connect(&path).is_ok());
}

#[test]
fn other_files_are_not_touched() {
    let scratch = Scratch::new();
    let path = scratch.0.join("file");
    fs::write(&path, "precious").unwrap();
    let error = bind_unix(&path, 0o600).unwrap_err();
    assert!(matches!(error, BindError::NotASocket));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let link = scratch.0.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(bind_unix(&link, 0o600), Err(BindError::NotASocket)));
    assert!(matches!(bind_unix(&scratch.0, 0o600), Err(BindError::IsADirectory)));
    assert!(matches!(bind_unix(&path.join("a.sock"), 0o600), Err(BindError::Unclear(_))));
    assert_eq!(scratch.entries(), 2, "nothing was made");
}

#[test]
fn paths_that_cannot_be() {
    let scratch = Scratch::new();
    let long = scratch.0.join("x".repeat(120));
    let error = bind_unix(&long.join("a.sock"), 0o600).unwrap_err();
    assert_eq!(error, BindError::Directory(Errno::ENAMETOOLONG));
    assert_eq!(scratch.entries(), 0, "nothing is left");
}

#[test]
fn a_successor_at_the_path_is_not_removed() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    let first = bind_unix(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(UnixStream::connect(&path).is_ok());
}

#[test]
fn the_longest_path_is_107_bytes() {
    let scratch = Scratch::new();
    let directory = scratch.0.as_os_str().len() + 1;
    for bytes in [106, 107] {
        let path = scratch.0.join("x".repeat(bytes - directory));
        let socket = bind_unix(&path, 0o600).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }
    let entries = scratch.entries();
    let path = scratch.0.join("x".repeat(108 - directory));
    assert_eq!(bind_unix(&path, 0o600).unwrap_err(), BindError::Lock(Errno::ENAMETOOLONG));
    assert_eq!(scratch.entries(), entries, "nothing was made");
}
