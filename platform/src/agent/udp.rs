//! The UDP socket of the node.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use midge::limits::MTU_BYTES;
use midge::{Address, Transmit};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockType, SockaddrStorage, getsockname, listen, recvfrom,
    sendto, setsockopt, sockopt,
};

use super::networks::Networks;
use crate::api::DEFAULT_PORT;
use crate::os::Reason;
use crate::poll::{Interest, Poll, Token};
use crate::socket::Socket;

/// Room for one byte more than a datagram may have, so that a longer one is seen to be longer.
pub(super) type Buffer = [u8; MTU_BYTES + 1];

/// What a read of the socket gave.
pub(super) enum Received {
    /// A datagram of so many bytes.
    Datagram(Address, usize),
    /// Nothing is left, or there is an error.
    Nothing,
}

/// What became of a datagram handed to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was sent, or refused for good and counted.
    Done,
    /// The socket's buffer is full; the datagram is kept and goes first.
    Full,
}

pub(super) struct Udp<'s> {
    socket: Socket,
    token: Token,
    /// Whether it is an IPv6 socket, which wants IPv4 addresses in their mapped form.
    v6: bool,
    /// A datagram that found the socket's buffer full, in `outgoing`.
    held: Option<Transmit>,
    pub(super) outgoing: [u8; MTU_BYTES],
    /// Where datagrams are taken from.
    pub(super) allowed: &'s Networks,
    /// Datagrams that the system refused to send: no route, a filter, no buffer.
    pub(super) send_dropped: u64,
}

impl<'s> Udp<'s> {
    /// Binds the socket; with no address, `[::]` and IPv4 with it, or `0.0.0.0` where there is no
    /// IPv6. A port of 0 lets the system choose.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn bind(
        address: Option<Address>,
        allowed: &'s Networks,
        poll: &Poll,
        token: Token,
    ) -> Result<Self, BindError> {
        let wanted = address.unwrap_or(Address::v6([0; 16], DEFAULT_PORT));
        let kind = SockType::Datagram;
        let result = if address.is_none() { open_any(DEFAULT_PORT) } else { open(wanted, kind) };
        let bound = result.and_then(|(socket, v6)| {
            poll.add(&socket, token, Interest::Read)?;
            Ok(Self {
                socket,
                token,
                v6,
                held: None,
                outgoing: [0; MTU_BYTES],
                allowed,
                send_dropped: 0,
            })
        });
        bound.map_err(|error| BindError { option: "bind", address: wanted, error })
    }

    /// Whether it reaches IPv6.
    pub(super) fn is_v6(&self) -> bool {
        self.v6
    }

    /// The bound address, with the port that the system chose.
    pub(super) fn local_address(&self) -> Result<Address, Errno> {
        local_address(&self.socket)
    }

    /// Reads one datagram. Errors are passed over: of hosts and ports that are not there, probes
    /// find out by themselves. As one may be there to stay, the next try waits for the next event,
    /// which the next datagram is at the latest.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> Received {
        match receive_from(&self.socket, buffer) {
            Ok((from, len)) => Received::Datagram(from, len),
            Err(_) => Received::Nothing,
        }
    }

    /// Whether a datagram waits for room in the socket's buffer. While one does, no other is
    /// taken from the node: what it owes it still knows, and newer facts replace older ones.
    pub(super) fn is_full(&self) -> bool {
        self.held.is_some()
    }

    /// Sends the datagram that is in `outgoing`.
    pub(super) fn send(&mut self, transmit: Transmit, poll: &Poll) -> Sent {
        let sent = self.try_send(transmit);
        if sent == Sent::Full {
            self.held = Some(transmit);
            self.watch(poll, Interest::ReadWrite);
        }
        sent
    }

    /// The socket may have room again: sends what waits for it.
    pub(super) fn resume(&mut self, poll: &Poll) {
        let Some(transmit) = self.held else { return };
        if self.try_send(transmit) == Sent::Done {
            self.held = None;
            // Writability is watched only while something waits for it: the kernel reports it
            // anew after every datagram that leaves.
            self.watch(poll, Interest::Read);
        }
    }

    fn try_send(&mut self, transmit: Transmit) -> Sent {
        let datagram = &self.outgoing[..transmit.len];
        match send_to(&self.socket, datagram, transmit.to, self.v6) {
            Ok(()) => Sent::Done,
            Err(Errno::EAGAIN) => Sent::Full,
            Err(_) => {
                self.send_dropped += 1;
                Sent::Done
            }
        }
    }

    fn watch(&self, poll: &Poll, interest: Interest) {
        // It fails only for a descriptor that is not watched, and this one is.
        let _ = poll.modify(&self.socket, self.token, interest);
    }
}

/// Opens and binds to `[::]` and IPv4 with it, or to `0.0.0.0` where there is no IPv6, or none that
/// is switched on; says whether it is IPv6.
pub(super) fn open_any(port: u16) -> Result<(Socket, bool), Errno> {
    let kind = SockType::Datagram;
    match open(Address::v6([0; 16], port), kind) {
        Err(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT) => open(Address::v4([0; 4], port), kind),
        result => result,
    }
}

/// Reads one datagram: where it came from, and its length.
pub(super) fn receive_from(socket: &Socket, space: &mut [u8]) -> Result<(Address, usize), Errno> {
    let (len, from) = recvfrom::<SockaddrStorage>(socket.raw(), space)?;
    Ok((from.map_or(Address::NONE, |from| from_system(&from)), len))
}

/// Sends one datagram over a socket that is IPv6 or not.
pub(super) fn send_to(
    socket: &Socket,
    datagram: &[u8],
    to: Address,
    v6: bool,
) -> Result<(), Errno> {
    let to = to_system(to, v6);
    sendto(socket.raw(), datagram, &to, MsgFlags::empty()).map(|_| ())
}

/// Opens and binds; says whether it is IPv6. Such a socket takes IPv4 as well, whatever the
/// system's default is.
fn open(address: Address, kind: SockType) -> Result<(Socket, bool), Errno> {
    let v6 = address.octets_v4().is_none();
    let socket = socket(v6, kind)?;
    if v6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    if kind == SockType::Stream {
        // An agent that is started anew does not wait for connections of the last one to fade.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        // Pages of answers do not wait for one another. Connections inherit it.
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        // A client whose host is gone does not keep its place.
        setsockopt(&socket, sockopt::TcpUserTimeout, &UNREAD_MS)?;
    }
    socket.bind(&to_system(address, v6))?;
    Ok((socket, v6))
}

/// How long a client over TCP may take to confirm what it is sent, ms.
const UNREAD_MS: u32 = 10_000;

/// Listens for TCP connections, as the option of this name says; returns the bound address, too.
pub(super) fn listen_tcp(
    address: Address,
    option: &'static str,
) -> Result<(Socket, Address), BindError> {
    let listening = open(address, SockType::Stream).and_then(|(socket, _)| {
        listen(&socket, Backlog::MAXCONN)?;
        let bound = local_address(&socket)?;
        Ok((socket, bound))
    });
    listening.map_err(|error| BindError { option, address, error })
}

/// Where the route to `target` starts: the address of this machine that datagrams to it carry,
/// with some port. Nothing is sent.
pub(super) fn source_address(target: Address) -> Result<Address, Errno> {
    let v6 = target.octets_v4().is_none();
    let socket = socket(v6, SockType::Datagram)?;
    socket.connect(&to_system(target, v6))?;
    local_address(&socket)
}

fn socket(v6: bool, kind: SockType) -> Result<Socket, Errno> {
    let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    Socket::new(family, kind)
}

fn local_address(socket: &Socket) -> Result<Address, Errno> {
    getsockname::<SockaddrStorage>(socket.raw()).map(|address| from_system(&address))
}

/// An address of another family than IP is none; these sockets have no others.
fn from_system(address: &SockaddrStorage) -> Address {
    if let Some(v6) = address.as_sockaddr_in6() {
        Address::v6(v6.ip().octets(), v6.port())
    } else if let Some(v4) = address.as_sockaddr_in() {
        Address::v4(v4.ip().octets(), v4.port())
    } else {
        Address::NONE
    }
}

/// IPv4 is in its mapped form for an IPv6 socket. An IPv6 address stays one, which the system
/// refuses to an IPv4 socket.
fn to_system(address: Address, v6: bool) -> SockaddrStorage {
    match address.octets_v4() {
        Some(octets) if !v6 => SocketAddrV4::new(Ipv4Addr::from(octets), address.port()).into(),
        _ => {
            let ip = Ipv6Addr::from(*address.octets());
            SocketAddrV6::new(ip, address.port(), 0, 0).into()
        }
    }
}

/// The socket could not be bound.
#[derive(Debug)]
pub(super) struct BindError {
    /// The option that chooses the address.
    option: &'static str,
    address: Address,
    error: Errno,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { option, address, error } = self;
        write!(f, "cannot listen on {address}: ")?;
        let why = match error {
            Errno::EADDRINUSE => {
                "another program, or another agent, has this port; stop it or choose another"
            }
            Errno::EADDRNOTAVAIL => {
                "this machine does not have this address; choose one that `ip addr` lists"
            }
            Errno::EACCES => "not permitted; ports below 1024 are root's, choose another",
            error => {
                return write!(f, "{}; choose another with --{option} ADDR:PORT", Reason(*error));
            }
        };
        write!(f, "{why} with --{option} ADDR:PORT")
    }
}
