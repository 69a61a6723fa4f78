//! Which address a node tells the others.

use core::fmt;

use midge::Address;
use nix::errno::Errno;

use super::udp;
use crate::os::Reason;
use crate::seeds::is_link_local;

const LOOPBACK: Address = Address::v4([127, 0, 0, 1], 0);

/// Where the route to an address starts.
type Route<'a> = &'a dyn Fn(Address) -> Result<Address, Errno>;

/// Addresses that no host has (RFC 5737, RFC 3849): the route to them is the one to anywhere.
const ANYWHERE: [Address; 2] = [
    Address::v4([192, 0, 2, 1], 1),
    Address::v6([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1),
];

/// What is known when the choice is made.
pub(super) struct Known<'a> {
    /// `--advertise`; port 0 stands for the bound port.
    pub(super) given: Option<Address>,
    /// The bound address, with its real port.
    pub(super) bound: Address,
    /// The socket reaches IPv6.
    pub(super) v6: bool,
    /// Addresses to join through.
    pub(super) seeds: &'a [Address],
    /// There are names, too, of which more addresses may become known.
    pub(super) named: bool,
}

/// The address to advertise, and why it may not be the one that others reach.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) address: Address,
    /// Nobody on another machine can reach it.
    pub(super) loopback: bool,
    /// Whom to join is known by names alone, and none has resolved.
    pub(super) guessed: bool,
}

/// Why there is no choice.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// The only address there means nothing to other hosts.
    LinkLocal(Address),
    /// No seed can be reached; the first of them, and why.
    NoRoute(Address, Errno),
    /// All seeds are IPv6, and the socket is not.
    NoIpv6,
}

impl fmt::Display for NoChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkLocal(address) => write!(
                f,
                "{address} is a link-local address, which means nothing to other hosts; say which \
                 address they reach with --advertise ADDR"
            ),
            Self::NoRoute(seed, error) => write!(
                f,
                "cannot tell which address others reach this node at: no route to {seed}: {}; say \
                 --advertise ADDR",
                Reason(*error)
            ),
            Self::NoIpv6 => {
                f.write_str("all addresses of --join are IPv6, which this machine does not have")
            }
        }
    }
}

/// Chooses: what was given; else the bound address; with a wildcard, where the route to the first
/// seed starts, or the route to anywhere if there are no seeds. A machine without any route that
/// joins nobody gets loopback, so that midge can be tried out there.
///
/// # Errors
/// A [`NoChoice`].
pub(super) fn choose(known: &Known<'_>) -> Result<Choice, NoChoice> {
    choose_with(known, &udp::source_address)
}

fn choose_with(known: &Known<'_>, route: Route<'_>) -> Result<Choice, NoChoice> {
    // A machine's own name may lead to a loopback address and nowhere else: that is no way to others.
    let is_near = known.seeds.iter().all(|seed| is_loopback(*seed));
    let seeds = if is_near && known.named { &[] } else { known.seeds };
    let host = match known.given {
        Some(given) => given,
        None if !is_wildcard(known.bound) => known.bound,
        None => match first_route(seeds, known.v6, route) {
            Err(error) if !seeds.is_empty() && !known.named => return Err(error),
            Err(_) => first_route(&ANYWHERE, known.v6, route).unwrap_or(LOOPBACK),
            Ok(host) => host,
        },
    };
    if is_link_local(host) {
        return Err(NoChoice::LinkLocal(host));
    }
    let port = known.given.map_or(0, |given| given.port());
    let port = if port == 0 { known.bound.port() } else { port };
    let meant = is_loopback(known.bound) || (is_near && !seeds.is_empty());
    let guessed =
        known.named && known.seeds.is_empty() && known.given.is_none() && is_wildcard(known.bound);
    let loopback = is_loopback(host) && !meant;
    Ok(Choice { address: host.with_port(port), loopback, guessed })
}

/// The first of the targets to which there is a route. A socket without IPv6 has none to those, and
/// loopback addresses are passed over unless there are no others.
fn first_route(targets: &[Address], v6: bool, route: Route<'_>) -> Result<Address, NoChoice> {
    let mut first_error = None;
    let near = targets.iter().all(|target| is_loopback(*target));
    for target in targets {
        if is_loopback(*target) != near || !v6 && target.octets_v4().is_none() {
            continue;
        }
        match route(*target) {
            Ok(source) => return Ok(source),
            Err(error) => {
                first_error.get_or_insert(NoChoice::NoRoute(*target, error));
            }
        }
    }
    Err(first_error.unwrap_or(NoChoice::NoIpv6))
}

/// Whether datagrams to this address come back to this node.
pub(super) fn is_own(address: Address, advertised: Address, bound: Address) -> bool {
    is_own_with(address, advertised, bound, &udp::source_address)
}

fn is_own_with(address: Address, advertised: Address, bound: Address, route: Route<'_>) -> bool {
    // Who listens on everything has the port at every address of the machine: at loopback ones,
    // of which a host's file may give one to the own name, and at those that the route to starts.
    let here =
        || is_loopback(address) || route(address).is_ok_and(|source| source.ip() == address.ip());
    address == advertised
        || address == bound
        || is_wildcard(bound) && address.port() == bound.port() && here()
}

pub(super) fn is_wildcard(address: Address) -> bool {
    address.octets_v4() == Some([0; 4]) || *address.octets() == [0; 16]
}

pub(super) fn is_loopback(address: Address) -> bool {
    match address.octets_v4() {
        Some([first, ..]) => first == 127,
        None => u128::from_be_bytes(*address.octets()) == 1,
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<SocketAddr>().unwrap().into()
    }

    /// 10.0.0.0/8 is reached from 10.0.0.9, loopback from itself, anywhere from 198.51.100.9 if
    /// there is a default route, fe80::/10 from fe80::9.
    fn route(target: Address, default_route: bool) -> Result<Address, Errno> {
        match target.octets_v4() {
            _ if is_loopback(target) => Ok(target),
            Some([10, ..]) => Ok(address("10.0.0.9:1")),
            None if is_link_local(target) => Ok(address("[fe80::9]:1")),
            Some(_) if default_route => Ok(address("198.51.100.9:1")),
            _ => Err(Errno::ENETUNREACH),
        }
    }

    fn chosen(
        given: Option<&str>,
        bound: &str,
        seeds: &[&str],
        default_route: bool,
    ) -> Result<(String, bool), NoChoice> {
        let seeds: Vec<_> = seeds.iter().map(|s| address(s)).collect();
        let (given, bound) = (given.map(address), address(bound));
        let v6 = bound.octets_v4().is_none();
        let known = Known { given, bound, v6, seeds: &seeds, named: false };
        let choice = choose_with(&known, &|target| route(target, default_route))?;
        assert!(!choice.guessed);
        Ok((choice.address.to_string(), choice.loopback))
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
            (None, "[::]:7", &["127.0.1.1:6434", "10.0.0.1:6434"], "10.0.0.9:7"),
            (None, "[::]:7", &["[::1]:6434", "127.0.0.1:6434"], "[::1]:7"),
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
            (None, "[::]:7", far, false),
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
        let error = chosen(None, "[::]:7", &["198.51.100.1:6434"], false).unwrap_err().to_string();
        assert!(error.contains("no route to 198.51.100.1:6434"), "{error}");
        let error = chosen(None, "0.0.0.0:7", &["[fd00::1]:6434"], true).unwrap_err().to_string();
        assert!(error.contains("are IPv6"), "{error}");
        let error = chosen(None, "[::]:7", &["[fe80::1]:6434"], true).unwrap_err().to_string();
        assert!(error.contains("link-local"), "{error}");
    }

    #[test]
    fn all_of_the_machine_is_its_own_for_who_listens_on_everything() {
        for (seed, bound, own) in [
            ("203.0.113.5:9", "10.0.0.2:7", true),
            ("10.0.0.2:7", "10.0.0.2:7", true),
            ("10.0.0.9:7", "10.0.0.2:7", false),
            ("127.0.1.1:7", "10.0.0.2:7", false),
            ("10.0.0.9:7", "[::]:7", true),
            ("10.0.0.9:8", "[::]:7", false),
            ("10.0.0.8:7", "[::]:7", false),
            ("198.51.100.1:7", "[::]:7", false),
            ("127.0.1.1:7", "0.0.0.0:7", true),
            ("[::1]:7", "[::]:7", true),
        ] {
            let advertised = address("203.0.113.5:9");
            let route = |target| {
                let source = route(target, false)?;
                Ok(source.with_port(40_000))
            };
            let found = is_own_with(address(seed), advertised, address(bound), &route);
            assert_eq!(found, own, "{seed} {bound}");
        }
    }

    #[test]
    fn without_an_address_of_a_name_it_is_a_guess() {
        for (given, bound, seeds, address_, guessed) in [
            (None, "[::]:7", &[][..], "198.51.100.9:7", true),
            (None, "10.0.0.2:7", &[], "10.0.0.2:7", false),
            (Some("203.0.113.5:9"), "[::]:7", &[], "203.0.113.5:9", false),
            (None, "[::]:7", &["10.0.0.1:6434"], "10.0.0.9:7", false),
            (None, "[::]:7", &["[fd00::1]:6434"], "198.51.100.9:7", false),
            // The machine's own name, with what a hosts file has for it.
            (None, "[::]:7", &["127.0.1.1:6434"], "198.51.100.9:7", false),
            (None, "[::]:7", &["127.0.1.1:6434", "10.0.0.1:6434"], "10.0.0.9:7", false),
        ] {
            let seeds: Vec<_> = seeds.iter().map(|s| address(s)).collect();
            let (given, bound) = (given.map(address), address(bound));
            let known = Known { given, bound, v6: true, seeds: &seeds, named: true };
            let choice = choose_with(&known, &|target| route(target, true)).unwrap();
            let shown = (choice.address.to_string(), choice.guessed);
            assert_eq!(shown, (address_.into(), guessed), "{bound} {seeds:?}");
        }
    }
}
