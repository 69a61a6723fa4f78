//! What an attacker on the network can do: record, replay, forge sources.

use std::fmt::Write;

use midge::rng::mix;
use midge::wire::Section;
use midge::{Address, wire};

use super::net::between;
use super::process::HostId;
use super::trace::words;
use super::world::{CLUSTERS, World};

/// Datagrams that an attacker remembers.
const REMEMBERED: usize = 20_000;

/// A datagram as it went over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) from: Address,
    pub(crate) to: HostId,
    pub(crate) bytes: Vec<u8>,
}

/// What an attacker has recorded.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    packets: Vec<Recorded>,
    seen: u64,
}

impl Recording {
    /// Remembers a datagram; when full, an even sample of all.
    pub(crate) fn add(&mut self, packet: Recorded) {
        self.seen += 1;
        if self.packets.len() < REMEMBERED {
            self.packets.push(packet);
        } else {
            let place = mix(self.seen) % self.seen;
            if let Some(old) = self.packets.get_mut(place as usize) {
                *old = packet;
            }
        }
    }
}

impl World {
    /// Any recorded datagram.
    pub(crate) fn any_recorded(&mut self) -> Option<Recorded> {
        let packets = &self.recording.as_ref()?.packets;
        let last = packets.len().checked_sub(1)? as u64;
        let at = between(&mut self.rng, 0, last);
        packets.get(at as usize).cloned()
    }

    /// Adds hosts that only an attacker ever names.
    pub(crate) fn add_strangers(&mut self, count: usize) -> HostId {
        let first = self.add_hosts(count);
        self.hosts[first..].iter_mut().for_each(|host| host.stranger = true);
        first
    }

    /// Sends bytes in the name of a host. What nodes then send to a stranger is an answer to this,
    /// and must not be longer.
    pub(crate) fn inject(&mut self, source: HostId, to: HostId, bytes: &[u8]) {
        let from = self.address(source);
        let opened = CLUSTERS.iter().find_map(|name| wire::open(name, bytes).ok());
        let advertised = opened.and_then(|datagram| {
            // Only a hello is answered where it claims to come from; the rest, at its source.
            let hello = datagram.sections().any(|section| matches!(section, Section::Hello(_)));
            datagram.header.advertised.filter(|_| hello)
        });
        let claimed = advertised.and_then(|address| self.host_of(address));
        // A hello in the name of a member is refused at its source.
        let asked = claimed.filter(|host| self.hosts[*host].stranger).unwrap_or(source);
        self.hosts[asked].spoofed_bytes.0 += bytes.len() as u64;
        let at = self.now + self.net.delay(&mut self.rng);
        self.trace.line(self.now, [source, to], |out| {
            write!(out, "attacker as {from} -> n{to} {}", words(bytes))
        });
        self.enqueue(at, to, from, bytes);
    }
}
