//! The UDP socket of the node.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use midge::limits::MTU_BYTES;
use midge::{Address, Transmit};
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn6, bind, setsockopt, socket, sockopt,
};

use crate::api::DEFAULT_PORT;

/// Room for one byte more than a datagram may have, so that a longer one is seen to be longer.
pub(super) type Buffer = [u8; MTU_BYTES + 1];

/// What a read of the socket gave.
pub(super) enum Received {
    /// A datagram of so many bytes.
    Datagram(Address, usize),
    /// An error that says something about an earlier datagram, not about this socket.
    Ignored,
    /// Nothing is left.
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

pub(super) struct Udp {
    socket: UdpSocket,
    token: Token,
    /// Whether it is an IPv6 socket, which wants IPv4 addresses in their mapped form.
    v6: bool,
    /// A datagram that found the socket's buffer full, in `outgoing`.
    held: Option<Transmit>,
    pub(super) outgoing: [u8; MTU_BYTES],
    /// Datagrams that the system refused to send: no route, a filter, no buffer.
    pub(super) send_dropped: u64,
}

impl Udp {
    /// Binds the socket; with no address, `[::]` and IPv4 with it, or `0.0.0.0` where there is no
    /// IPv6. A port of 0 lets the system choose.
    ///
    /// # Errors
    /// One line for the operator.
    pub(super) fn bind(
        address: Option<SocketAddr>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, String> {
        let address_or_default =
            address.unwrap_or(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), DEFAULT_PORT));
        let mut result = open(address_or_default);
        if address.is_none() && matches!(&result, Err(error) if lacks_ipv6(error)) {
            result = open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_PORT));
        }
        let mut socket = result.map_err(|error| explain(address_or_default, &error))?;
        registry
            .register(&mut socket, token, Interest::READABLE)
            .map_err(|error| format!("cannot watch the UDP socket: {error}"))?;
        let v6 = matches!(socket.local_addr(), Ok(SocketAddr::V6(_)));
        Ok(Self { socket, token, v6, held: None, outgoing: [0; MTU_BYTES], send_dropped: 0 })
    }

    /// The bound address, with the port that the system chose.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Reads one datagram. Errors here are ICMP's answers to what was sent before (a host or port
    /// that is not there): probes find that out by themselves.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> Received {
        match self.socket.recv_from(buffer) {
            Ok((len, from)) => Received::Datagram(from.into(), len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
            Err(_) => Received::Ignored,
        }
    }

    /// Whether a datagram waits for room in the socket's buffer. While one does, no other is
    /// taken from the node: what it owes it still knows, and newer facts replace older ones.
    pub(super) fn is_full(&self) -> bool {
        self.held.is_some()
    }

    /// Sends the datagram that is in `outgoing`.
    pub(super) fn send(&mut self, transmit: Transmit, registry: &Registry) -> Sent {
        let sent = self.try_send(transmit);
        if sent == Sent::Full {
            self.held = Some(transmit);
            self.watch(registry, Interest::READABLE | Interest::WRITABLE);
        }
        sent
    }

    /// The socket may have room again: sends what waits for it.
    pub(super) fn resume(&mut self, registry: &Registry) {
        let Some(transmit) = self.held else { return };
        if self.try_send(transmit) == Sent::Done {
            self.held = None;
            // Writability is watched only while something waits for it: the kernel reports it
            // anew after every datagram that leaves.
            self.watch(registry, Interest::READABLE);
        }
    }

    fn try_send(&mut self, transmit: Transmit) -> Sent {
        let to = self.target(transmit.to);
        match self.socket.send_to(&self.outgoing[..transmit.len], to) {
            Ok(_) => Sent::Done,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Full,
            Err(_) => {
                self.send_dropped += 1;
                Sent::Done
            }
        }
    }

    fn target(&self, address: Address) -> SocketAddr {
        if self.v6 {
            let ip = Ipv6Addr::from(*address.octets());
            SocketAddr::V6(SocketAddrV6::new(ip, address.port(), 0, 0))
        } else {
            address.into()
        }
    }

    fn watch(&mut self, registry: &Registry, interest: Interest) {
        // It fails only for a descriptor that is not registered, and this one is.
        let _ = registry.reregister(&mut self.socket, self.token, interest);
    }
}

/// Opens and binds. An IPv6 socket takes IPv4 as well, whatever the system's default is.
fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let SocketAddr::V6(v6) = address else { return UdpSocket::bind(address) };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet6, SockType::Datagram, flags, None)?;
    setsockopt(&fd, sockopt::Ipv6V6Only, &false)?;
    bind(fd.as_raw_fd(), &SockaddrIn6::from(v6))?;
    Ok(fd.into())
}

/// The system has no IPv6, or none that is switched on.
fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: another program, or another agent, has this port; stop \
             it or choose another address with --bind ADDR:PORT"
        ),
        ErrorKind::AddrNotAvailable => format!(
            "cannot listen on {address}: this machine does not have this address; choose one that \
             `ip addr` lists with --bind ADDR"
        ),
        ErrorKind::PermissionDenied => format!(
            "cannot listen on {address}: not permitted; ports below 1024 are root's, choose \
             another with --bind ADDR:PORT"
        ),
        _ => format!("cannot listen on {address}: {error}; choose another with --bind ADDR:PORT"),
    }
}

/// Where the route to `target` starts: the address of this machine that datagrams to it carry.
/// Nothing is sent.
pub(super) fn source_address(target: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(target)?;
    Ok(socket.local_addr()?.ip().to_canonical())
}
