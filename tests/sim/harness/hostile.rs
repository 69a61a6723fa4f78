//! What an attacker on the network can do: record, replay, forge sources.

use midge::rng::mix;

use super::net::between;
use super::process::HostId;
use super::world::World;
use midge::Address;

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

    /// Sends bytes in the name of a host. What nodes then send to a host that never had a node is
    /// an answer to this and must not be longer.
    pub(crate) fn inject(&mut self, source: HostId, to: HostId, bytes: &[u8]) {
        let from = self.address(source);
        let victim = &mut self.hosts[source];
        if victim.clusters == 0 {
            victim.spoofed_bytes.0 += bytes.len() as u64;
        }
        let at = self.now + self.net.delay(&mut self.rng);
        self.trace.line(self.now, [source, to], |out| {
            use std::fmt::Write;
            write!(out, "attacker as {from} -> n{to} {bytes:02x?}")
        });
        self.enqueue(at, to, from, bytes);
    }
}
