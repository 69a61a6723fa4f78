//! Where a member can be reached: an IP address and a UDP port.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IPv4 or IPv6 address with a port; the key of a member row. 18 bytes.
///
/// IPv4 is kept as IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), so an address that a dual-stack
/// socket reports and the same address read from a packet are equal. All zeroes means none.
#[derive(Clone, Copy, Default, Eq, PartialOrd, Ord)]
pub struct Address {
    ip: [u8; 16],
    port: u16,
}

const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl Address {
    /// No address.
    pub const NONE: Self = Self { ip: [0; 16], port: 0 };

    /// An IPv4 address and port.
    pub const fn v4(octets: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = octets;
        Self { ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d], port }
    }

    /// An IPv6 address and port; an IPv4-mapped one is the IPv4 address.
    pub const fn v6(octets: [u8; 16], port: u16) -> Self {
        Self { ip: octets, port }
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same host at another port.
    pub const fn with_port(self, port: u16) -> Self {
        Self { ip: self.ip, port }
    }

    /// The four octets if this is IPv4.
    #[inline]
    pub fn octets_v4(&self) -> Option<[u8; 4]> {
        match self.ip {
            [prefix @ .., a, b, c, d] if prefix == MAPPED => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// The sixteen octets of the IPv6 (or IPv4-mapped) form.
    pub const fn octets(&self) -> &[u8; 16] {
        &self.ip
    }

    /// The sixteen octets as two words, little endian.
    pub(crate) const fn words(&self) -> [u64; 2] {
        let ip = u128::from_le_bytes(self.ip);
        [ip as u64, (ip >> 64) as u64]
    }

    /// The IP address.
    pub fn ip(&self) -> IpAddr {
        match self.octets_v4() {
            Some(octets) => IpAddr::V4(Ipv4Addr::from(octets)),
            None => IpAddr::V6(Ipv6Addr::from(self.ip)),
        }
    }

    /// Whether this is the address of one host, with a port: not unspecified, not multicast, not
    /// the IPv4 broadcast address, port not 0. Only such addresses are sent to, accepted as a
    /// source, or kept in a row.
    pub fn is_usable(&self) -> bool {
        let host = match self.octets_v4() {
            Some(octets) => is_host_v4(octets),
            None => self.ip[0] != 0xff && self.ip != [0; 16],
        };
        host && self.port != 0
    }
}

/// Whether these are the octets of one host.
pub(crate) const fn is_host_v4(octets: [u8; 4]) -> bool {
    let ip = u32::from_be_bytes(octets);
    ip != 0 && ip != u32::MAX && ip >> 28 != 0b1110
}

impl PartialEq for Address {
    /// As numbers: that is less code than a comparison byte by byte, and inlined less than a call.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port && u128::from_ne_bytes(self.ip) == u128::from_ne_bytes(other.ip)
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.ip);
        state.write_u16(self.port);
    }
}

impl From<SocketAddr> for Address {
    /// The scope of a link-local IPv6 address is dropped: it means nothing on another host.
    fn from(socket: SocketAddr) -> Self {
        match socket {
            SocketAddr::V4(v4) => Self::v4(v4.ip().octets(), v4.port()),
            SocketAddr::V6(v6) => Self::v6(v6.ip().octets(), v6.port()),
        }
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        Self::new(address.ip(), address.port)
    }
}

impl fmt::Display for Address {
    /// `10.0.0.1:6434` or `[2001:db8::1]:6434`. The library's own writers of addresses, which can
    /// align them as well, would be 2 KB of the smallest binary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match self.octets_v4() {
            Some([a, b, c, d]) => write!(f, "{a}.{b}.{c}.{d}:{port}"),
            None => {
                f.write_str("[")?;
                write_v6(f, &self.ip)?;
                write!(f, "]:{port}")
            }
        }
    }
}

/// RFC 5952: groups without leading zeroes, in lower case; `::` for the first of the longest runs
/// of two or more groups of zero.
fn write_v6(f: &mut fmt::Formatter<'_>, octets: &[u8; 16]) -> fmt::Result {
    let group = |at: usize| u16::from_be_bytes([octets[2 * at], octets[2 * at + 1]]);
    let (mut start, mut end) = (8, 9);
    for from in 0..8 {
        let zeroes = (from..8).take_while(|at| group(*at) == 0).count();
        if zeroes > end - start {
            (start, end) = (from, from + zeroes);
        }
    }
    let mut at = 0;
    let mut separator = "";
    while at < 8 {
        if at == start {
            f.write_str("::")?;
            separator = "";
            at = end;
        } else {
            write!(f, "{separator}{:x}", group(at))?;
            separator = ":";
            at += 1;
        }
    }
    Ok(())
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddr};
    use std::string::ToString;

    use super::Address;

    #[test]
    fn addresses_are_written_as_the_library_writes_them() {
        let ips = [
            "::",
            "::1",
            "1::",
            "1:0:0:2::",
            "1:0:0:2::3:0",
            "0:1:0:1:0:1:0:1",
            "1:0:2:0:0:3:0:0",
            "fe80::1",
            "2001:db8:0:1:1:1:1:1",
            "ff02::2",
            "1:2:3:4:5:6:7:8",
            "0:0:1::",
        ];
        for ip in ips.iter().filter_map(|ip| ip.parse::<Ipv6Addr>().ok()) {
            let socket = SocketAddr::new(ip.into(), 6434);
            assert_eq!(Address::from(socket).to_string(), socket.to_string());
        }
        for socket in ["10.0.0.1:6434", "0.0.0.0:0", "255.255.255.255:65535"] {
            let parsed: SocketAddr = socket.parse().unwrap();
            assert_eq!(Address::from(parsed).to_string(), socket);
        }
    }

    /// Every pattern of groups that are zero.
    #[test]
    fn zeroes_are_shortened_as_the_library_shortens_them() {
        for pattern in (0..=255_u32).step_by(crate::SHORTER as usize) {
            let groups: [u16; 8] = core::array::from_fn(|at| (pattern >> at & 1) as u16 * 0xa0b);
            let socket = SocketAddr::new(Ipv6Addr::from(groups).into(), 1);
            assert_eq!(Address::from(socket).to_string(), socket.to_string());
        }
    }
}
