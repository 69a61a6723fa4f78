//! What a service manager is told (sd_notify(3)): that the agent is ready, how it is, that it
//! stops; and, if the manager asks for it, that the loop goes round.

use log::Level;
use midge::{Duration, Instant, Node};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockType};

use crate::logger::say;
use crate::os::{Reason, Strings};
use crate::socket::Socket;
use crate::text::parse_number;

/// How often it is told how the agent is, without a watchdog.
const PAUSE: Duration = Duration::from_secs(60);

/// How often it is told at most, however impatient its watchdog is.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// After how long one tries again when the manager's socket is full, or gone.
const RETRY: Duration = Duration::from_secs(1);

/// What the manager is told, by how the node is. That it is ready is repeated, which changes
/// nothing; so is that the loop goes round, which only a watchdog listens to.
const MESSAGES: [&str; 4] = [
    "READY=1\nWATCHDOG=1\nSTATUS=joining",
    "READY=1\nWATCHDOG=1\nSTATUS=joined",
    "READY=1\nWATCHDOG=1\nSTATUS=isolated",
    "STOPPING=1\nWATCHDOG=1\nSTATUS=leaving",
];
const JOINING: usize = 0;
const JOINED: usize = 1;
const ISOLATED: usize = 2;
const LEAVING: usize = 3;

/// The manager that started the agent, or none.
#[derive(Debug)]
pub(super) struct Manager {
    /// Where it listens: a path, or with `@` first an abstract name.
    address: Option<&'static str>,
    /// How often it is told how the agent is: twice in the time of its watchdog.
    pause: Duration,
    /// Which message was sent last.
    told: usize,
    /// What it got last was nothing, as the log has told.
    failed: bool,
    due: Instant,
}

impl Manager {
    pub(super) fn new(environment: Strings) -> Self {
        let watchdog = environment.variable("WATCHDOG_USEC");
        let pause = match watchdog.and_then(|us| parse_number(us.as_bytes())) {
            None | Some(0) => PAUSE,
            Some(us) => Duration::from_micros(us / 2).clamp(LEAST_PAUSE, PAUSE),
        };
        let address = environment.variable("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        Self { address, pause, told: JOINING, failed: false, due: Instant::ZERO }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn poll_timeout(&self) -> Instant {
        self.address.map_or(Instant::FAR_FUTURE, |_| self.due)
    }

    /// Tells what is due, and what has changed. The loop calls this in every round, as then the
    /// node is up and the API answers.
    #[inline(never)]
    pub(super) fn handle_timeout<const N: usize>(&mut self, now: Instant, node: &Node<N>) {
        let Some(address) = self.address else { return };
        let status = node.status();
        let message = match (status.leaving, status.isolated, status.joined) {
            (true, ..) => LEAVING,
            (_, true, _) => ISOLATED,
            (.., true) => JOINED,
            _ => JOINING,
        };
        if self.due > now && self.told == message {
            return;
        }
        let sent = send(address, MESSAGES[message].as_bytes());
        if let Err(error) = sent
            && error != Errno::EAGAIN
            && !self.failed
        {
            let error = Reason(error);
            say(
                Level::Warn,
                format_args!("event=notify_failed note=\"NOTIFY_SOCKET={address}: {error}\""),
            );
            self.failed = true;
        }
        // What it did not get it gets later, not in each round until then.
        self.told = message;
        if sent.is_ok() {
            self.failed = false;
            self.due = now + self.pause;
        } else {
            self.due = now + RETRY.min(self.pause);
        }
    }
}

fn send(address: &str, bytes: &[u8]) -> Result<(), Errno> {
    let socket = Socket::new(AddressFamily::Unix, SockType::Datagram)?;
    let family = libc::AF_UNIX as libc::sa_family_t;
    let mut unix = libc::sockaddr_un { sun_family: family, sun_path: [0; _] };
    if address.len() > unix.sun_path.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (place, byte) in unix.sun_path.iter_mut().zip(address.bytes()) {
        *place = byte as libc::c_char;
    }
    if address.starts_with('@') {
        unix.sun_path[0] = 0;
    }
    let len = size_of_val(&unix.sun_family) + address.len();
    // `nix` has one function for paths and one for abstract names, which is 300 bytes more.
    // SAFETY: the pointers are to `bytes`, and to an address of which the first `len` bytes are set.
    let sent = unsafe {
        let (bytes, count, unix) = (bytes.as_ptr().cast(), bytes.len(), (&raw const unix).cast());
        libc::sendto(socket.raw(), bytes, count, libc::MSG_NOSIGNAL, unix, len as libc::socklen_t)
    };
    Errno::result(sent).map(drop)
}
