//! Addresses as people write them.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use midge::Address;

use crate::text::{cut, parse_number};

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
    if cut(text, b'%').is_some() {
        return Err(AddressError::Scope);
    }
    let (host, port, is_v6) = split(text).ok_or(AddressError::Syntax)?;
    let error = if is_name(host) { AddressError::Name } else { AddressError::Syntax };
    let port = match port {
        None => default_port,
        Some(digits) => {
            let number = parse_number(digits.as_bytes()).and_then(|n| u16::try_from(n).ok());
            number.ok_or(error)?
        }
    };
    let address = if is_v6 {
        host.parse().ok().map(|ip: Ipv6Addr| Address::v6(ip.octets(), port))
    } else {
        host.parse().ok().map(|ip: Ipv4Addr| Address::v4(ip.octets(), port))
    };
    address.ok_or(error)
}

/// The host without its brackets, the port, and whether the host must be IPv6: it is in brackets
/// or has more than one colon.
fn split(text: &str) -> Option<(&str, Option<&str>, bool)> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = cut(bracketed, b']')?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((host, port, true));
    }
    Some(match cut(text, b':') {
        None => (text, None, false),
        Some((host, port)) if cut(port, b':').is_none() => (host, Some(port), false),
        Some(_) => (text, None, true),
    })
}

/// Whether this looks like a host name: letters, digits, dots and hyphens.
fn is_name(host: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    host.bytes().all(of_name) && host.bytes().any(|b| b.is_ascii_alphabetic())
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
