//! Lists of others: whom to join, from a file or a command, and `/etc/hosts`.
//!
//! The input is the text, and read as both. A list means the same when it is read again, or read
//! from what it was taken for, and touches nothing that another source has named; of hosts is found
//! what a plain reading finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midge::Address;
use midge_agent::api::{Target, parse_address};
use midge_agent::dns::{Addresses, hosts};
use midge_agent::seeds::{Seeds, Source};

const OPTION: Address = Address::v4([192, 0, 2, 1], 6434);
const HOST: &str = "seed.example";

fuzz_target!(|text: &[u8]| {
    read_list(text);
    read_hosts(text);
});

fn read_list(text: &[u8]) {
    let mut seeds = Box::new(Seeds::EMPTY);
    seeds.set_lines(Source::File, text);
    let taken = shown(&seeds);
    seeds.set_lines(Source::File, taken.join("\n").as_bytes());
    assert_eq!(shown(&seeds), taken);
    seeds.set_lines(Source::File, text);
    assert_eq!(shown(&seeds), taken);
    seeds.add(Source::Options, Target::Address(OPTION)).expect("a file gives way");
    seeds.set_lines(Source::File, b"");
    assert_eq!(shown(&seeds), [OPTION.to_string()]);
}

fn shown(seeds: &Seeds) -> Vec<String> {
    let mut shown: Vec<_> = seeds.targets().map(|target| target.to_string()).collect();
    shown.sort_unstable();
    shown
}

fn read_hosts(text: &[u8]) {
    let mut found = Addresses::new();
    hosts::find(text, HOST, &mut found);
    let mut expected = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let line = str::from_utf8(line).unwrap_or("?");
        let mut words = line.split(|c| c <= ' ').filter(|word| !word.is_empty());
        let address = parse_address(words.next().unwrap_or_default(), 0);
        if words.any(|word| word.eq_ignore_ascii_case(HOST)) {
            expected.extend(address.ok());
        }
    }
    expected.truncate(found.capacity());
    assert_eq!(found[..], expected[..]);
}
