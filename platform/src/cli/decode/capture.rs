//! Captures in the format of libpcap (draft-ietf-opsawg-pcap): the UDP datagrams in them. Packets
//! of other protocols are passed over, and so are fragments and options of IPv6, which midge does
//! not send.

use midge::Address;

use super::Decoder;
use super::input::{BUFFER_BYTES, Input};
use crate::cli::Failure;

/// The first field as a file of either order of bytes has it: times in microseconds, or in
/// nanoseconds; and that of a pcapng file.
const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;
const PCAPNG: u32 = 0x0a0d_0d0a;

const FILE_HEADER_BYTES: usize = 24;
const PACKET_HEADER_BYTES: usize = 16;

/// A kind of link (LINKTYPE_*), how long its header is, and where that says what follows.
struct Link(u16, u8, u8);

/// The header says nothing about what follows.
const NOWHERE: u8 = u8::MAX;

const LINKS: [Link; 10] = [
    Link(0, 4, NOWHERE),   // NULL: loopback of BSD
    Link(1, 14, 12),       // ETHERNET
    Link(12, 0, NOWHERE),  // RAW, as some systems number it
    Link(14, 0, NOWHERE),  // RAW, likewise
    Link(101, 0, NOWHERE), // RAW
    Link(108, 4, NOWHERE), // LOOP: loopback of OpenBSD
    Link(113, 16, 14),     // LINUX_SLL
    Link(228, 0, NOWHERE), // IPV4
    Link(229, 0, NOWHERE), // IPV6
    Link(276, 20, 0),      // LINUX_SLL2
];

/// Before the type that counts may stand tags of virtual LANs, two at most (IEEE 802.1ad).
const ETHERTYPES_VLAN: [u32; 2] = [0x8100, 0x88a8];
const VLAN_TAGS: usize = 2;
const VLAN_BYTES: usize = 4;
const ETHERTYPES_IP: [u32; 2] = [0x0800, 0x86dd];

/// The longest packet that tcpdump writes (MAXIMUM_SNAPLEN).
const PACKET_BYTES_MAX: usize = 262_144;

const UDP: u32 = 17;
const UDP_HEADER_BYTES: usize = 8;

/// What the header of the file says.
pub(super) struct Capture {
    little_endian: bool,
    /// Parts of a second in its times, by a thousand.
    per_ms: u32,
    link: &'static Link,
}

impl Capture {
    /// What it is, if it is a capture; then its header is taken.
    pub(super) fn of(input: &mut Input<'_>) -> Result<Option<Self>, Failure> {
        let head = input.peek(FILE_HEADER_BYTES);
        let magic = number(head, 0, 4);
        let little_endian = [MICROS, NANOS].contains(&magic.swap_bytes());
        let ordered = |number: u32| if little_endian { number.swap_bytes() } else { number };
        let per_ms = match ordered(magic) {
            MICROS => 1_000,
            NANOS => 1_000_000,
            PCAPNG => return Err(broken("this is pcapng; convert it: editcap -F pcap IN OUT")),
            _ => return Ok(None),
        };
        // The upper bits may say how long a checksum behind each packet is.
        let kind = ordered(number(head, 20, 4)) as u16;
        let Some(link) = LINKS.iter().find(|link| link.0 == kind) else {
            return Err(broken("not a link that carries IP; use: tcpdump -i any -w FILE udp"));
        };
        input.skip(FILE_HEADER_BYTES);
        Ok(Some(Self { little_endian, per_ms, link }))
    }

    /// Reads all of it.
    pub(super) fn read(
        &self,
        input: &mut Input<'_>,
        decoder: &mut Decoder<'_>,
    ) -> Result<(), Failure> {
        loop {
            let head = input.peek(PACKET_HEADER_BYTES);
            if head.is_empty() {
                return Ok(());
            }
            if head.len() < PACKET_HEADER_BYTES {
                return Err(broken(CUT));
            }
            let [secs, part, len] = [0, 4, 8].map(|at| {
                let number = number(head, at, 4);
                if self.little_endian { number.swap_bytes() } else { number }
            });
            input.skip(PACKET_HEADER_BYTES);
            let len = len as usize;
            if len > PACKET_BYTES_MAX {
                return Err(broken("the capture is damaged: a packet of more than 262144 bytes"));
            }
            let packet = input.peek(len.min(BUFFER_BYTES));
            if packet.len() < len.min(BUFFER_BYTES) {
                return Err(broken(CUT));
            }
            if let Some((way, bytes, error)) = self.udp(packet) {
                let time_ms = u64::from(secs) * 1_000 + u64::from(part / self.per_ms);
                decoder.captured(time_ms, &way, bytes, error)?;
            }
            if !input.skip(len) {
                return Err(broken(CUT));
            }
        }
    }

    /// From and to, and the datagram in a packet, as much of it as there is; and why that is not
    /// all of it.
    fn udp<'p>(&self, packet: &'p [u8]) -> Option<([Address; 2], &'p [u8], &'static str)> {
        let Link(_, ip_at, type_at) = *self.link;
        let (mut ip_at, mut at) = (usize::from(ip_at), usize::from(type_at));
        if type_at != NOWHERE {
            for _ in 0..VLAN_TAGS {
                // Behind a type that comes first of all stands something else than a tag.
                if at > 0 && ETHERTYPES_VLAN.contains(&number(packet, at, 2)) {
                    at += VLAN_BYTES;
                    ip_at += VLAN_BYTES;
                }
            }
            if !ETHERTYPES_IP.contains(&number(packet, at, 2)) {
                return None;
            }
        }
        let ip = packet.get(ip_at..)?;
        let first = number(ip, 0, 1);
        // Where the protocol, the addresses and the next header stand, and how long an address is.
        let (protocol_at, from_at, udp_at, address_bytes) = match first >> 4 {
            4 if number(ip, 6, 2) & 0x3fff == 0 => (9, 12, (first & 15) as usize * 4, 4),
            6 => (6, 8, 40, 16),
            _ => return None,
        };
        let udp = ip.get(udp_at..)?;
        if number(ip, protocol_at, 1) != UDP || udp.len() < UDP_HEADER_BYTES {
            return None;
        }
        let from = address(ip, from_at, address_bytes, number(udp, 0, 2))?;
        let to = address(ip, from_at + address_bytes, address_bytes, number(udp, 2, 2))?;
        let end = number(udp, 4, 2) as usize;
        let error = if end < UDP_HEADER_BYTES {
            "its UDP header tells a length that is less than its own"
        } else if end > udp.len() {
            "the capture has not all of it"
        } else {
            ""
        };
        let end = if error.is_empty() { end } else { udp.len() };
        Some(([from, to], &udp[UDP_HEADER_BYTES..end], error))
    }
}

/// An address of 4 or 16 bytes and a port.
#[inline(never)]
fn address(ip: &[u8], at: usize, bytes: usize, port: u32) -> Option<Address> {
    // IPv4 in the form of IPv6 is IPv4.
    let mut octets = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
    octets[16 - bytes..].copy_from_slice(ip.get(at..)?.get(..bytes)?);
    Some(Address::v6(octets, port as u16))
}

const CUT: &str = "the capture ends within a packet";

#[inline(never)]
fn broken(what: &'static str) -> Failure {
    Failure::failed(format_args!("{what}"))
}

/// A number of up to four bytes as the network orders them; 0 where there are none.
#[inline(never)]
fn number(bytes: &[u8], at: usize, count: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|rest| rest.get(..count)).unwrap_or_default();
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
