//! The networks that datagrams are taken from.

use heapless::Vec;
use midge::Address;

use crate::api::parse_address;
use crate::text::{cut, parse_number};

/// Networks that can be listed.
const NETWORKS: usize = 16;

/// One network: all addresses of a family that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    first: u128,
    /// How many bits count, of the 128 that IPv4 has in its mapped form, too.
    bits: u32,
    is_v4: bool,
}

impl Network {
    /// Reads `10.0.0.0/8` or `fd00::/8`; an address alone is a network of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (host, bits) = cut(text, b'/').map_or((text, None), |(host, bits)| (host, Some(bits)));
        // With a port it is no network.
        let address = parse_address(host, 1).ok().filter(|address| address.port() == 1)?;
        let is_v4 = address.octets_v4().is_some();
        let most = if is_v4 { 32 } else { 128 };
        let bits = match bits {
            Some(digits) => parse_number(digits.as_bytes()).filter(|bits| *bits <= most)?,
            None => most,
        };
        let bits = (128 - most + bits) as u32;
        Some(Self { first: u128::from_be_bytes(*address.octets()), bits, is_v4 })
    }

    fn has(&self, address: Address) -> bool {
        let differing = u128::from_be_bytes(*address.octets()) ^ self.first;
        address.octets_v4().is_some() == self.is_v4 && differing.leading_zeros() >= self.bits
    }
}

/// A list of networks. An empty one means all.
pub(crate) type Networks = Vec<Network, NETWORKS>;

/// Whether datagrams from this address are taken.
pub(super) fn allows(networks: &Networks, address: Address) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.has(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse::<std::net::SocketAddr>().unwrap().into()
    }

    #[test]
    fn networks_are_told_apart_by_family_and_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1:1", "11.0.0.1:1"),
            // What is behind the bits does not count.
            ("10.1.2.3/8", "10.255.0.1:1", "11.0.0.1:1"),
            ("10.0.0.1", "10.0.0.1:1", "10.0.0.2:1"),
            ("10.0.0.0/31", "10.0.0.1:1", "10.0.0.2:1"),
            ("0.0.0.0/0", "255.1.2.3:1", "[::1]:1"),
            ("::/0", "[::1]:1", "10.0.0.1:1"),
            ("fd00::/8", "[fdff::1]:1", "[fe00::1]:1"),
            ("2001:db8::/33", "[2001:db8:7fff::1]:1", "[2001:db8:8000::1]:1"),
            ("::1/128", "[::1]:1", "[::2]:1"),
            ("::ffff:10.0.0.0/8", "10.0.0.1:1", "11.0.0.1:1"),
        ] {
            let networks: Networks = Network::parse(network).into_iter().collect();
            assert_eq!(networks.len(), 1, "{network}");
            assert!(allows(&networks, address(inside)), "{network} {inside}");
            assert!(!allows(&networks, address(outside)), "{network} {outside}");
        }
        assert!(allows(&Networks::new(), address("10.0.0.1:1")), "no list, no limit");
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "fd00::/129",
            "10/8",
            "a.example",
            "10.0.0.1:80/8",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
