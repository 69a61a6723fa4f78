//! Addresses as people write them.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use midge::Address;

/// The UDP port when none is given.
pub const DEFAULT_PORT: u16 = 6434;

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Neither a literal IPv4 nor IPv6 address, or its port is no number up to 65535.
    Syntax,
    /// An IPv6 address with a scope (`%eth0`), which means nothing on another host.
    Scope,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "give an IP address, with a port if it is not 6434: 10.0.0.7, 10.0.0.7:7000, 2001:db8::7 or [2001:db8::7]:7000",
            Self::Scope => "an address with a scope means nothing on another host; give one that all hosts can reach",
        })
    }
}

impl core::error::Error for AddressError {}

/// Reads `IP` or `IP:PORT`; an IPv6 address with a port stands in brackets, without one it may.
/// Without a port it gets `default_port`.
///
/// # Errors
/// An [`AddressError`].
pub fn parse_address(text: &str, default_port: u16) -> Result<Address, AddressError> {
    if text.contains('%') {
        return Err(AddressError::Scope);
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(Address::from(socket));
    }
    let ip = match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<IpAddr>(),
    };
    let ip = ip.map_err(|_| AddressError::Syntax)?;
    Ok(Address::from(SocketAddr::new(ip, default_port)))
}
