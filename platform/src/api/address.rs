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
    /// A host name.
    Name,
    /// An IPv6 address with a scope (`%eth0`), which means nothing on another host.
    Scope,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "names are not looked up; give an IP address: 10.0.0.7, 10.0.0.7:7000, 2001:db8::7 or [2001:db8::7]:7000",
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
    match ip {
        Ok(ip) => Ok(Address::from(SocketAddr::new(ip, default_port))),
        Err(_) if is_name(text) => Err(AddressError::Name),
        Err(_) => Err(AddressError::Syntax),
    }
}

/// Whether this looks like a host name, perhaps with a port: letters, digits, dots and hyphens.
fn is_name(text: &str) -> bool {
    let host = text.split_once(':').map_or(text, |(host, _)| host);
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let one_colon = text.bytes().filter(|b| *b == b':').count() <= 1;
    one_colon && host.bytes().all(of_name) && host.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::{AddressError, parse_address};

    #[test]
    fn reads_every_form_with_and_without_a_port() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1:6434"),
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("10.0.0.1:0", "10.0.0.1:0"),
            ("::", "[::]:6434"),
            ("fd00::1", "[fd00::1]:6434"),
            ("[fd00::1]", "[fd00::1]:6434"),
            ("[fd00::1]:65535", "[fd00::1]:65535"),
            ("::1:6434", "[::1:6434]:6434"),
            ("::ffff:10.0.0.1", "10.0.0.1:6434"),
            ("[::ffff:10.0.0.1]:1", "10.0.0.1:1"),
        ] {
            let address = parse_address(text, 6434).map(|address| address.to_string());
            assert_eq!(address, Ok(shown.to_string()), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        use AddressError::{Name, Scope, Syntax};
        for (text, error) in [
            ("", Syntax),
            (":6434", Syntax),
            ("10.0.0", Syntax),
            ("10.0.0.256", Syntax),
            ("10.0.0.1.2", Syntax),
            ("010.0.0.1", Syntax),
            ("10.0.0.1:", Syntax),
            ("10.0.0.1:x", Syntax),
            ("10.0.0.1:+1", Syntax),
            ("10.0.0.1:65536", Syntax),
            ("10.0.0.1 ", Syntax),
            ("[fd00::1", Syntax),
            ("[fd00::1]6434", Syntax),
            ("[fd00::1]:-1", Syntax),
            ("[10.0.0.1]:6434", Syntax),
            ("fd00:::1", Syntax),
            ("ho st", Syntax),
            ("localhost", Name),
            ("seed-1.example.com:6434", Name),
            ("fe80::1%eth0", Scope),
            ("[fe80::1%2]:6434", Scope),
        ] {
            assert_eq!(parse_address(text, 6434), Err(error), "{text}");
        }
    }
}
