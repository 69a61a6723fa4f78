//! Which address a node tells the others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::udp;

/// Addresses that no host has (RFC 5737, RFC 3849): the route to them is the one to anywhere.
const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// What is known when the choice is made.
pub(super) struct Known<'a> {
    /// `--advertise`; port 0 stands for the bound port.
    pub(super) given: Option<SocketAddr>,
    /// The bound address, with its real port.
    pub(super) bound: SocketAddr,
    /// Addresses to join through.
    pub(super) seeds: &'a [SocketAddr],
}

/// The address to advertise, and whether a warning is due because nobody on another machine can
/// reach it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) address: SocketAddr,
    pub(super) warn_loopback: bool,
}

/// Chooses: what was given; else the bound address; with a wildcard, where the route to the first
/// seed starts, or the route to anywhere if there are no seeds. A machine without any route that
/// joins nobody gets loopback, so that midge can be tried out there.
///
/// # Errors
/// One line for the operator: there are seeds but no route to any, or the only address there
/// means nothing to other hosts.
pub(super) fn choose(known: &Known<'_>) -> Result<Choice, String> {
    choose_with(known, udp::source_address)
}

fn choose_with(
    known: &Known<'_>,
    route: impl Fn(SocketAddr) -> io::Result<IpAddr>,
) -> Result<Choice, String> {
    let bound_ip = known.bound.ip().to_canonical();
    let ip = match known.given {
        Some(given) => given.ip(),
        None if !bound_ip.is_unspecified() => bound_ip,
        None if known.seeds.is_empty() => {
            let v4_only = known.bound.is_ipv4();
            let mut targets = ANYWHERE.iter().filter(|ip| ip.is_ipv4() || !v4_only);
            targets
                .find_map(|ip| route(SocketAddr::new(*ip, 1)).ok())
                .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
        }
        None => source_to_seed(known, route)?,
    };
    if matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return Err(format!(
            "{ip} is a link-local address, which means nothing to other hosts; say which address \
             they reach with --advertise ADDR"
        ));
    }
    let port = known.given.map_or(0, |given| given.port());
    let port = if port == 0 { known.bound.port() } else { port };
    let meant = bound_ip.is_loopback()
        || (!known.seeds.is_empty() && known.seeds.iter().all(|seed| seed.ip().is_loopback()));
    let address = SocketAddr::new(ip, port);
    Ok(Choice { address, warn_loopback: ip.is_loopback() && !meant })
}

/// A socket without IPv6 reaches IPv4 seeds alone.
fn source_to_seed(
    known: &Known<'_>,
    route: impl Fn(SocketAddr) -> io::Result<IpAddr>,
) -> Result<IpAddr, String> {
    let mut first_error = None;
    for seed in known.seeds.iter().filter(|seed| seed.is_ipv4() || known.bound.is_ipv6()) {
        match route(*seed) {
            Ok(ip) => return Ok(ip),
            Err(error) => {
                first_error.get_or_insert((seed, error));
            }
        }
    }
    let reason = match first_error {
        Some((seed, error)) => format!("no route to {seed}: {error}"),
        None => "all addresses of --join are IPv6, which this machine does not have".into(),
    };
    Err(format!("cannot tell which address others reach this node at: {reason}; say --advertise"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// 10.0.0.0/8 is reached from 10.0.0.9, loopback from itself, anywhere from 198.51.100.9 if
    /// there is a default route, fe80::/10 from fe80::9.
    fn route(target: SocketAddr, default_route: bool) -> io::Result<IpAddr> {
        match target.ip() {
            ip if ip.is_loopback() => Ok(ip),
            IpAddr::V4(v4) if v4.octets()[0] == 10 => Ok([10, 0, 0, 9].into()),
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Ok(address("[fe80::9]:1").ip()),
            IpAddr::V4(_) if default_route => Ok([198, 51, 100, 9].into()),
            _ => Err(io::ErrorKind::NetworkUnreachable.into()),
        }
    }

    fn chosen(
        given: Option<&str>,
        bound: &str,
        seeds: &[&str],
        default_route: bool,
    ) -> Result<(String, bool), String> {
        let seeds: Vec<_> = seeds.iter().map(|s| address(s)).collect();
        let known = Known { given: given.map(address), bound: address(bound), seeds: &seeds };
        let choice = choose_with(&known, |target| route(target, default_route))?;
        Ok((choice.address.to_string(), choice.warn_loopback))
    }

    #[test]
    fn what_is_given_comes_first_then_what_is_bound_then_the_route() {
        let seed = &["10.0.0.1:6434"][..];
        for (given, bound, seeds, address) in [
            (Some("203.0.113.5:9"), "10.0.0.2:7", seed, "203.0.113.5:9"),
            (Some("203.0.113.5:0"), "[::]:7", seed, "203.0.113.5:7"),
            (None, "10.0.0.2:7", seed, "10.0.0.2:7"),
            (None, "[fd00::2]:7", seed, "[fd00::2]:7"),
            (None, "[::]:7", seed, "10.0.0.9:7"),
            (None, "0.0.0.0:7", &["[fd00::1]:6434", "10.0.0.1:6434"], "10.0.0.9:7"),
            (None, "[::]:7", &["[fd00::1]:6434", "10.0.0.1:6434"], "10.0.0.9:7"),
            (None, "[::]:7", &[], "198.51.100.9:7"),
        ] {
            assert_eq!(chosen(given, bound, seeds, true), Ok((address.into(), false)), "{bound}");
        }
    }

    #[test]
    fn loopback_gets_a_warning_unless_it_is_what_was_asked_for() {
        let (near, far) = (&["127.0.0.1:6434"][..], &["127.0.0.1:6434", "10.0.0.1:6434"][..]);
        for (given, bound, seeds, warn) in [
            (None, "127.0.0.1:7", &[][..], false),
            (None, "[::1]:7", far, false),
            (None, "[::]:7", near, false),
            (None, "[::]:7", far, true),
            (None, "[::]:7", &[], true),
            (Some("127.0.0.1:0"), "[::]:7", &[], true),
            (Some("127.0.0.1:0"), "[::]:7", near, false),
        ] {
            let (address, warned) = chosen(given, bound, seeds, false).unwrap();
            assert_eq!(warned, warn, "{given:?} {bound} {seeds:?} gave {address}");
        }
    }

    #[test]
    fn seeds_without_a_route_and_link_local_addresses_are_errors() {
        let error = chosen(None, "[::]:7", &["198.51.100.1:6434"], false).unwrap_err();
        assert!(error.contains("no route to 198.51.100.1:6434"), "{error}");
        let error = chosen(None, "0.0.0.0:7", &["[fd00::1]:6434"], true).unwrap_err();
        assert!(error.contains("are IPv6"), "{error}");
        let error = chosen(None, "[::]:7", &["[fe80::1]:6434"], true).unwrap_err();
        assert!(error.contains("link-local"), "{error}");
    }
}
