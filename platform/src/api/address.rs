//! Addresses as people write them.

use core::fmt;

use midge::Address;

use crate::text::{cut, parse_hex, parse_number, parts};

/// The UDP port when none is given.
pub const DEFAULT_PORT: u16 = 6434;

/// The longest host name without the dot at its end, bytes.
pub const HOST_BYTES: usize = 253;

/// The TCP port of the API when none is given.
pub const HTTP_PORT: u16 = 6435;

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// Neither a name nor a literal IPv4 or IPv6 address, or its port is no number up to 65535.
    Syntax,
    /// No address, where only one will do.
    NoAddress,
    /// A host name that cannot be one.
    Host,
    /// An IPv6 address with a scope (`%eth0`), which means nothing on another host.
    Scope,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "give an IP address, no name: 10.0.0.7, 10.0.0.7:7000, 2001:db8::7 or [2001:db8::7]:7000",
            Self::Host => "a name has at most 253 bytes, between its dots 1 to 63 letters, digits and hyphens, and what is not ASCII in its xn-- form",
            Self::Syntax => "give a name or an IP address, with a port if it is not 6434: web-1, 10.0.0.7:7000, 2001:db8::7 or [2001:db8::7]:7000",
            Self::Scope => "an address with a scope means nothing on another host; give one that all hosts can reach",
        })
    }
}

impl core::error::Error for AddressError {}

/// Where a member is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// There.
    Address(Address),
    /// At the addresses of a host, at a port.
    Name(&'a str, u16),
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// Reads `IP` or `IP:PORT`; an IPv6 address with a port stands in brackets, without one it may.
/// Without a port it gets `default_port`.
///
/// # Errors
/// An [`AddressError`] other than `Syntax`.
pub fn parse_address(text: &str, default_port: u16) -> Result<Address, AddressError> {
    match parse_target(text, default_port) {
        Ok(Target::Address(address)) => Ok(address),
        Ok(Target::Name(..)) | Err(AddressError::Syntax) => Err(AddressError::NoAddress),
        Err(error) => Err(error),
    }
}

/// Reads what [`parse_address`] reads, and `NAME` or `NAME:PORT`.
///
/// # Errors
/// An [`AddressError`] other than `NoAddress`.
pub fn parse_target(text: &str, default_port: u16) -> Result<Target<'_>, AddressError> {
    if cut(text, b'%').is_some() {
        return Err(AddressError::Scope);
    }
    let (host, port, is_v6) = split(text).ok_or(AddressError::Syntax)?;
    let port = match port {
        None => Some(default_port),
        Some(digits) => parse_number(digits.as_bytes()).and_then(|n| u16::try_from(n).ok()),
    };
    let port = port.ok_or(AddressError::Syntax)?;
    if !is_v6 && is_name(host) {
        let named = is_host(host).then_some(Target::Name(host, port));
        return named.ok_or(AddressError::Host);
    }
    let address = if is_v6 {
        parse_v6(host).map(|octets| Address::v6(octets, port))
    } else {
        parse_v4(host).map(|octets| Address::v4(octets, port))
    };
    address.map(Target::Address).ok_or(AddressError::Syntax)
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

/// Four numbers up to 255. Leading zeroes are refused, because some read such numbers as octal.
fn parse_v4(text: &str) -> Option<[u8; 4]> {
    let mut numbers = parts(text, b'.');
    let mut octets = [0; 4];
    for octet in &mut octets {
        let digits = numbers.next()?.as_bytes();
        if digits.len() > 1 && digits[0] == b'0' {
            return None;
        }
        *octet = parse_number(digits)?.try_into().ok()?;
    }
    numbers.next().is_none().then_some(octets)
}

/// RFC 4291 section 2.2. With the library's parser the smallest binary is half a kilobyte larger.
fn parse_v6(text: &str) -> Option<[u8; 16]> {
    let mut octets = [0; 16];
    let Some(gap) = text.as_bytes().windows(2).position(|two| two == b"::") else {
        return (parse_groups(text, &mut octets)? == 16).then_some(octets);
    };
    let (before, after) = (&text[..gap], &text[gap + 2..]);
    let mut tail = [0; 16];
    let head_len = parse_groups(before, &mut octets)?;
    let tail_len = parse_groups(after, &mut tail)?;
    // The gap stands for one group at least, and an IPv4 address for the last two.
    if head_len + tail_len > 14 || cut(before, b'.').is_some() {
        return None;
    }
    octets[16 - tail_len..].copy_from_slice(&tail[..tail_len]);
    Some(octets)
}

/// Groups of four hexadecimal digits at most, and perhaps an IPv4 address at the end. Returns how
/// many bytes they are.
fn parse_groups(text: &str, octets: &mut [u8; 16]) -> Option<usize> {
    let mut len = 0;
    let mut groups = parts(text, b':');
    if text.is_empty() {
        return Some(0);
    }
    while let Some(group) = groups.next() {
        if cut(group, b'.').is_some() {
            octets.get_mut(len..len + 4)?.copy_from_slice(&parse_v4(group)?);
            return groups.next().is_none().then_some(len + 4);
        }
        let number = parse_hex(group).filter(|_| group.len() <= 4)?;
        octets.get_mut(len..len + 2)?.copy_from_slice(&(number as u16).to_be_bytes());
        len += 2;
    }
    Some(len)
}

/// Whether this is meant as a host name: letters, digits, dots and hyphens, and whatever is not
/// ASCII.
fn is_name(host: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphabetic() || !b.is_ascii();
    let of_name = |b: u8| is_letter(b) || b.is_ascii_digit() || b"._-".contains(&b);
    host.bytes().all(of_name) && host.bytes().any(is_letter)
}

/// Whether a name has the lengths of RFC 1035 section 2.3.4, and is ASCII. The dot at the end, which
/// says that the name is whole, may be there or not.
pub(crate) fn is_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = |label: &str| (1..=63).contains(&label.len());
    name.len() <= HOST_BYTES && name.is_ascii() && parts(name, b'.').all(fits)
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::{AddressError, Target, parse_address, parse_target, parse_v4, parse_v6};

    /// Every text of up to six of these pieces.
    #[test]
    fn reads_what_the_library_reads() {
        let pieces = ["", "1", "0", "fe", ":", "::", ".", "1.2.3", "1:2:3:4:5"];
        for number in 0..pieces.len().pow(6) {
            let digits = (0..6).map(|place| number / pieces.len().pow(place) % pieces.len());
            let text: String = digits.map(|digit| pieces[digit]).collect();
            let (v4, v6) = (text.parse::<Ipv4Addr>().ok(), text.parse::<Ipv6Addr>().ok());
            assert_eq!(parse_v4(&text), v4.map(|ip| ip.octets()), "{text}");
            assert_eq!(parse_v6(&text), v6.map(|ip| ip.octets()), "{text}");
        }
        for text in ["256.0.0.1", "1.2.3.04", "12345::", "::1.2.3.400", "::G", "::ffff:1.2.3.4"] {
            let (v4, v6) = (text.parse::<Ipv4Addr>().ok(), text.parse::<Ipv6Addr>().ok());
            assert_eq!(parse_v4(text), v4.map(|ip| ip.octets()), "{text}");
            assert_eq!(parse_v6(text), v6.map(|ip| ip.octets()), "{text}");
        }
    }

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
        use AddressError::{Host, NoAddress, Scope, Syntax};
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
            ("localhost:x", Syntax),
            ("[localhost]", Syntax),
            ("a..b", Host),
            (".a", Host),
            ("b\u{fc}cher.example", Host),
            ("fe80::1%eth0", Scope),
            ("[fe80::1%2]:6434", Scope),
        ] {
            assert_eq!(parse_target(text, 6434), Err(error), "{text}");
            // Where names will not do, they are not proposed.
            let error = if error == Syntax { NoAddress } else { error };
            assert_eq!(parse_address(text, 6434), Err(error), "{text}");
        }
        for name in ["localhost", "seed-1.example.com:6434"] {
            assert_eq!(parse_address(name, 6434), Err(NoAddress), "{name}");
        }
    }

    #[test]
    fn names_have_the_lengths_of_dns() {
        let label = "a".repeat(63);
        let longest = [&label[..], &label, &label, &label[2..]].join(".");
        assert_eq!(longest.len(), 253);
        for (text, host, port) in [
            ("seed", "seed", 6434),
            ("Seed-1.Example.COM.:7000", "Seed-1.Example.COM.", 7000),
            ("my_service", "my_service", 6434),
            ("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa", 6434),
            (&longest, &longest, 6434),
            (&format!("{longest}."), &format!("{longest}."), 6434),
        ] {
            assert_eq!(parse_target(text, 6434), Ok(Target::Name(host, port)), "{text}");
        }
        for text in [format!("{label}a.b"), format!("a.{longest}"), format!("{longest}b")] {
            assert_eq!(parse_target(&text, 6434), Err(AddressError::Host), "{text}");
        }
        let address = parse_target("10.0.0.1", 6434).map(|target| target.to_string());
        assert_eq!(address, Ok("10.0.0.1:6434".into()));
    }
}
