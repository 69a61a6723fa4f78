//! Tests of the codec from inside. The golden bytes are in `tests/wire_golden.rs`.

mod builder;
mod codec;
mod strict;

use std::vec::Vec;

use super::crc_32c::Crc32c;
use super::{Header, MTU_BYTES};
use crate::member::Incarnation;

const CLUSTER: &str = "default";

const HEADER: Header = Header {
    advertised: None,
    partial: false,
    wants_details: false,
    leaving: false,
    incarnation: Incarnation { epoch: 1_700_000_000_000, refutation: 5 },
    digest: 0x0403_0201,
};

/// The header of these tests: flags, epoch, refutation and digest as they travel.
const HEADER_BYTES: [u8; 12] = [0, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 5, 1, 2, 3, 4];

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc32c::NEW;
    crc.update(bytes);
    crc.value()
}

/// A datagram of version 1 with the right tag, whatever follows the tag.
fn sealed(after_tag: &[u8]) -> Vec<u8> {
    let mut covered = Vec::from(CLUSTER);
    covered.extend_from_slice(&[0, 1]);
    covered.extend_from_slice(after_tag);
    let mut datagram = Vec::from([1]);
    datagram.extend_from_slice(&checksum(&covered).to_le_bytes());
    datagram.extend_from_slice(after_tag);
    datagram
}

/// A datagram with one section of these bytes, whose length is below 128.
fn with_section(kind: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128);
    let mut after_tag = Vec::from(HEADER_BYTES);
    after_tag.extend_from_slice(&[kind, body.len() as u8]);
    after_tag.extend_from_slice(body);
    sealed(&after_tag)
}

/// The same bytes one after another.
fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A buffer with something in it.
fn dirty(len: usize) -> Vec<u8> {
    assert!(len <= 2 * MTU_BYTES);
    std::vec![0xa5; len]
}
