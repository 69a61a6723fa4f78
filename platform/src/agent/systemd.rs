//! What a service manager is told (sd_notify(3)): that the agent is ready, how it is, that it
//! stops; and, if the manager asks for it, that the loop goes round.

use log::Level;
use midge::{Duration, Instant, Node};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockType, UnixAddr};

use crate::http::Page;
use crate::logger::say;
use crate::os::{Reason, Strings};
use crate::socket::{CPath, Socket};
use crate::text::parse_number;

/// How often it is told how the agent is, without a watchdog.
const PAUSE: Duration = Duration::from_secs(60);

/// After how long one tries again when the manager's socket is full.
const RETRY: Duration = Duration::from_secs(1);

/// What it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Joining,
    Joined,
    Isolated,
    Leaving,
}

/// By what it was told.
const WORDS: [&str; 5] = ["", "joining", "joined", "isolated", "leaving"];

/// The manager that started the agent, or none.
#[derive(Debug)]
pub(super) struct Manager {
    /// Where it listens: a path, or with `@` first an abstract name.
    address: Option<&'static str>,
    /// How often it is told how the agent is: twice in the time of its watchdog.
    pause: Duration,
    told: Told,
    due: Instant,
}

impl Manager {
    pub(super) fn new(environment: Strings) -> Self {
        let watchdog = environment.variable("WATCHDOG_USEC");
        let pause = match watchdog.and_then(|us| parse_number(us.as_bytes())) {
            None | Some(0) => PAUSE,
            Some(us) => PAUSE.min(Duration::from_micros(us / 2)),
        };
        let address = environment.variable("NOTIFY_SOCKET");
        Self { address, pause, told: Told::Nothing, due: Instant::ZERO }
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
        let state = match (status.leaving, status.isolated, status.joined) {
            (true, ..) => Told::Leaving,
            (_, true, _) => Told::Isolated,
            (.., true) => Told::Joined,
            _ => Told::Joining,
        };
        if self.due > now && self.told == state {
            return;
        }
        let mut space = [0; 256];
        let mut text = Page::new(&mut space);
        text.push(match (self.told, state) {
            (Told::Nothing, _) => b"READY=1",
            (_, Told::Leaving) => b"STOPPING=1",
            _ => b"WATCHDOG=1",
        });
        text.push(b"\nSTATUS=");
        text.push(WORDS[state as usize].as_bytes());
        text.push(b", alive ");
        text.number(u64::from(status.alive));
        text.push(b", suspect ");
        text.number(u64::from(status.suspect));
        text.push(b", failed ");
        text.number(u64::from(status.failed));
        self.due = now + self.pause;
        match send(address, text.written()) {
            Ok(()) => self.told = state,
            Err(Errno::EAGAIN) => self.due = now + RETRY,
            Err(error) => {
                let error = Reason(error);
                say(
                    Level::Warn,
                    format_args!("event=notify_failed note=\"NOTIFY_SOCKET: {error}\""),
                );
                self.address = None;
            }
        }
    }
}

fn send(address: &str, bytes: &[u8]) -> Result<(), Errno> {
    let address = match address.as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name)?,
        path => {
            let mut c_path = CPath::new();
            c_path.extend_from_bytes(path).map_err(|_| Errno::ENAMETOOLONG)?;
            UnixAddr::new(c_path.as_c_str())?
        }
    };
    let socket = Socket::new(AddressFamily::Unix, SockType::Datagram)?;
    socket.connect(&address)?;
    socket.send(bytes).map(drop)
}
