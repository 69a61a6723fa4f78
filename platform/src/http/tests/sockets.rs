//! The Unix socket itself.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("midge-http-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
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
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing else is left");
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
    let mut server = Server::new(socket, buffers, poll.registry(), Token(0)).unwrap();
    let mut app = Fake::default();
    let mut events = Events::with_capacity(8);
    let mut clients: Vec<UnixStream> = Vec::new();
    for _ in 0..3 {
        let mut client = UnixStream::connect(&path).unwrap();
        client.set_nonblocking(true).unwrap();
        client.write_all(&get("/hello")).unwrap();
        clients.push(client);
        loop {
            poll.poll(&mut events, Some(core::time::Duration::ZERO)).unwrap();
            events.iter().for_each(|event| server.handle_event(event));
            if !server.run(Instant::ZERO, &mut app) && events.is_empty() {
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
    assert_eq!(scratch.entries(), 0);
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
    assert!(matches!(bind_unix(&scratch.0, 0o600), Err(BindError::NotASocket)));
    assert!(matches!(bind_unix(&path.join("a.sock"), 0o600), Err(BindError::Unclear(_))));
}

#[test]
fn paths_that_cannot_be() {
    let scratch = Scratch::new();
    let long = scratch.0.join("x".repeat(120));
    let error = bind_unix(&long.join("a.sock"), 0o600).unwrap_err();
    assert!(matches!(error, BindError::Socket(_)), "{error}");
    assert!(error.to_string().contains("SUN_LEN"), "{error}");
    assert_eq!(fs::read_dir(&long).unwrap().count(), 0, "nothing is left");
}

#[test]
fn a_successor_at_the_path_is_not_removed() {
    let scratch = Scratch::new();
    let path = scratch.0.join("a.sock");
    let first = bind_unix(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let second = bind_unix(&path, 0o600).unwrap();
    drop(first);
    assert!(UnixStream::connect(&path).is_ok());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn what_a_crash_left_in_the_way_is_cleared() {
    let scratch = Scratch::new();
    let private = scratch.0.join(format!(".midge-{}", std::process::id()));
    fs::create_dir(&private).unwrap();
    fs::write(private.join("s"), "").unwrap();
    let socket = bind_unix(&scratch.0.join("a.sock"), 0o600).unwrap();
    assert_eq!(scratch.entries(), 1);
    drop(socket);
}
