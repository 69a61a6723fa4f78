//! Datagrams from texts and captures of every form, in words and as JSON.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::{Input, decode_all};
use crate::cli::Failure;

/// The golden vectors of the core, as text that can be read: names and clusters as comments.
fn golden(text: &str) -> String {
    text.replace("\n[", "\n\n# [").replace("\ncluster", "\n# cluster")
}

fn vectors() -> String {
    golden(include_str!("../../../../tests/wire_golden/vectors.txt"))
}

/// Decodes a file with these bytes: how it ends, and what it says.
fn run(bytes: &[u8], cluster: Option<&str>, json: bool) -> (Result<(), Failure>, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("midge-decode-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    let mut sink = |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok(())
    };
    let mut buffer = [0; super::input::BUFFER_BYTES];
    let mut input = Input::open(path.to_str().unwrap(), &mut buffer).unwrap();
    let outcome = decode_all(&mut input, cluster, json, &mut sink);
    fs::remove_file(&path).unwrap();
    (outcome, String::from_utf8(out).unwrap())
}

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What text says, when nothing is wrong with it.
fn lines(text: &str) -> Vec<String> {
    let (outcome, out) = run(text.as_bytes(), None, false);
    assert_eq!(outcome, Ok(()), "{out}");
    out.lines().map(String::from).collect()
}

const PING: &str = "01 4c f5 d6 5b 00 00 68 e5 cf 8b 01 05 01 02 03 04 01 04 11 12 13 14";
const PING_SAYS: [&str; 2] = [
    "datagram 1, bytes 23, tag 5bd6f54c, tag_unchecked yes, epoch 1700000000000, refutation 5, \
     digest 04030201",
    "  section ping, number 11121314",
];

#[test]
fn hexadecimal_is_read_however_it_is_written() {
    let joined: String = PING.split(' ').collect();
    let prefixed = PING.replace(' ', ", 0x");
    for text in [
        PING.to_string(),
        joined.to_uppercase(),
        format!("0x{joined}"),
        format!("0x{prefixed}\n"),
        PING.replace(' ', ":"),
        PING.replace(' ', "\r\n"),
        PING.replace(' ', " # zz\n"),
        format!("# nothing\n\n \n\n{PING}\n\n\n"),
    ] {
        assert_eq!(lines(&text), PING_SAYS, "{text}");
    }
}

#[test]
fn an_empty_line_ends_a_datagram_and_a_bad_one_does_not_end_the_text() {
    let text = format!("{PING}\n\n01 4\n\n{PING}0g\n# still\n\n01\n\n{PING}");
    let (outcome, out) = run(text.as_bytes(), None, false);
    assert_eq!(outcome, Err(Failure::Failed));
    let heads: Vec<&str> = out.lines().filter(|line| !line.starts_with(' ')).collect();
    let ends = [
        "04030201",
        "error not hexadecimal, two digits a byte, as xxd -p writes it, line 3",
        "error not hexadecimal, two digits a byte, as xxd -p writes it, line 5",
        "bytes 1, error it ends too early, offset 1, section header",
        "04030201",
    ];
    assert_eq!(heads.len(), ends.len(), "{out}");
    for (at, (head, end)) in heads.iter().zip(ends).enumerate() {
        assert!(head.starts_with(&format!("datagram {}, bytes", at + 1)), "{head}");
        assert!(head.ends_with(end), "{head}");
    }
}

#[test]
fn every_golden_datagram_is_explained() {
    let (outcome, json) = run(vectors().as_bytes(), None, true);
    assert_eq!(outcome, Ok(()));
    let objects = objects(&json);
    let names = vectors().lines().filter(|line| line.starts_with("# [")).count();
    assert_eq!(objects.len(), names);
    let mut seen: Vec<&str> = Vec::new();
    for object in &objects {
        assert!(object["epoch"].is_u64(), "{object}");
        for section in object["sections"].as_array().into_iter().flatten() {
            seen.push(section["section"].as_str().unwrap_or("a number"));
        }
    }
    seen.sort_unstable();
    seen.dedup();
    let kinds = "a number,ack,append,append-ack,buckets,challenge,details,hello,nack,page,\
                 page-request,ping,ping-req,pre-vote,pre-voted,refused,rumours,vote,voted";
    assert_eq!(seen.join(","), kinds);
    // In text there is a line a datagram, a section and a row.
    let (_, text) = run(vectors().as_bytes(), None, false);
    let count = |key: &str| -> usize {
        let sections = objects.iter().flat_map(|object| object["sections"].as_array());
        sections.flatten().map(|s| s[key].as_array().map_or(0, Vec::len)).sum()
    };
    let sections: usize =
        objects.iter().map(|object| object["sections"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(text.lines().count(), objects.len() + sections + count("rows"));
}

/// All fields of a section, in text.
fn says(section: &str) -> String {
    let (_, text) = run(vectors().as_bytes(), None, false);
    let start = format!("  section {section}");
    let from = text.find(&start).unwrap_or_else(|| panic!("no {section}"));
    let rest = &text[from + 2..];
    rest[..rest.find("\ndatagram").unwrap()].to_owned()
}

#[test]
fn messages_of_the_council_are_explained() {
    let nodes = "cluster 1122334455667788, from a1a2a3a4a5a6a7a8, to b1b2b3b4b5b6b7b8";
    let back = "cluster 1122334455667788, from b1b2b3b4b5b6b7b8, to a1a2a3a4a5a6a7a8";
    for (section, fields) in [
        ("pre-vote", format!("{nodes}, term 7, id_term 5, id_seq 300")),
        ("pre-voted", format!("{back}, term 7, granted yes")),
        ("vote", format!("{nodes}, term 7, id_term 5, id_seq 300")),
        (
            "voted",
            format!(
                "{back}, term 7, granted yes, holder c1c2c3c4c5c6c7c8, holder_term 5, \
                 value_hold_us 1500000, value_true_ns 1700000000000000000, floor_hold_us 250000, \
                 floor_true_ns 0"
            ),
        ),
        (
            "append",
            format!(
                "{nodes}, term 100, number 10000000, id_term 100, id_seq 100, \
                 committed_term 100, committed_seq 100, \
                 promise_hold_us 2000000, promise_true_ns 1700000000000000000, floor_hold_us 0, \
                 floor_true_ns 0"
            ),
        ),
        (
            "append-ack",
            format!("{back}, term 100, bounded yes, number 10000000, id_term 100, id_seq 100"),
        ),
    ] {
        assert_eq!(says(&format!("{section},")), format!("section {section}, {fields}"));
    }
    let joint = says(&format!("append, {nodes}, term 7, number 70000"));
    let fields = ", lease_ms 10000, longest_promise_ms 20000, drift_ppm 1000, heartbeat_ms 2500, voters 3, \
                  release_holder c1c2c3c4c5c6c7c8, release_term 5, release_hold_us 400000, \
                  release_true_ns 1700000000000000001\n    \
                  set old, id a1a2a3a4a5a6a7a8, addr 10.0.0.1:6434\n";
    assert!(joint.contains(fields), "{joint}");
    assert!(joint.ends_with("set new, id 00000000000000e1, addr [fe80::ffff:1234]:1"), "{joint}");
    assert!(says(&format!("append, {nodes}, term 7, stand yes")).ends_with("floor_true_ns 0"));
}

#[test]
fn fields_are_those_of_the_specification() {
    let (_, json) = run(vectors().as_bytes(), None, true);
    let objects = objects(&json);
    let section = |kind: &str, field: &str, value: &str| {
        let all = objects.iter().flat_map(|o| o["sections"].as_array()).flatten();
        let mut of_kind = all.filter(|s| s["section"] == kind);
        let found = of_kind.find(|s| s[field].to_string().trim_matches('"') == value);
        found.unwrap_or_else(|| panic!("no {kind} with {field} {value}")).clone()
    };
    assert_eq!(section("ping-req", "target", "10.0.0.2:6434")["number"], "11121314");
    let details = section("details", "name", "node-ä-7");
    for (field, value) in [
        ("life", Value::from("01020304")),
        ("id", "1122334455667788".into()),
        ("protocol_low", 1.into()),
        ("protocol_high", 3.into()),
        ("period_ms", 60_000.into()),
        ("tags", "zone=eu-1,rack=17".into()),
    ] {
        assert_eq!(details[field], value, "{field}");
    }
    assert_eq!(section("details", "later_bytes", "2")["protocol_high"], 2);
    let hello = section("hello", "uptime_s", "300");
    assert_eq!((&hello["token"], &hello["echo"]), (&"11121314".into(), &"21222324".into()));
    assert_eq!(hello["name"], "node-ä-7");
    section("challenge", "observed", "192.168.255.254:65535");
    section("page-request", "first", "1234");
    let page = section("page", "next", "700");
    assert_eq!(page["rows"][2]["addr"], "[fe80::ffff:1234]:1");
    assert_eq!(page["rows"][3]["state"], "left");
    let rumour = section("rumours", "section", "rumours");
    assert!(rumour.get("rows").is_none(), "the first one is empty: {rumour}");
    let buckets = objects.iter().flat_map(|o| o["sections"].as_array()).flatten();
    let buckets = buckets.into_iter().find(|s| s["section"] == "buckets").unwrap();
    assert_eq!(buckets["rows"].as_array().unwrap().len(), 64);
    section("refused", "reason", "no protocol version in common");
    assert!(
        objects.iter().any(|o| o["advertised"] == "[2001:db8::1]:6434" && o["leaving"] == true)
    );
}

#[test]
fn what_is_malformed_is_explained_too() {
    let text = golden(include_str!("../../../../tests/wire_golden/malformed.txt"));
    let (outcome, json) = run(text.as_bytes(), None, true);
    assert_eq!(outcome, Err(Failure::Failed));
    let objects = objects(&json);
    assert_eq!(objects.len(), text.matches('[').count());
    for object in &objects {
        assert!(object["error"].is_string() && object["offset"].as_u64() >= Some(5), "{object}");
        assert!(object["section"].is_string() || object["section"].is_u64(), "{object}");
    }
    assert_eq!(objects[0]["error"], "a second section of its type");
    assert_eq!((&objects[0]["offset"], &objects[0]["section"]), (&23.into(), &"ping".into()));
    assert_eq!(objects[2]["error"], "it ends too early");
}

#[test]
fn other_versions_and_long_ones_are_no_datagrams_of_midge() {
    let sealed = PING.replacen("01", "81", 1);
    let long = "01".repeat(1_300);
    for (text, error) in [
        (sealed.as_str(), "error not version 1: sealed, or not of midge"),
        (&long, "error longer than 1200 bytes"),
    ] {
        let (outcome, out) = run(text.as_bytes(), None, false);
        assert_eq!(outcome, Err(Failure::Failed));
        assert!(out.trim_end().ends_with(error), "{out}");
    }
    assert_eq!(run(b"# nothing\n\n", None, false), (Err(Failure::Failed), String::new()));
}

#[test]
fn a_tag_is_checked_if_a_cluster_is_named() {
    let (outcome, out) = run(PING.as_bytes(), Some("default"), false);
    assert_eq!(outcome, Ok(()));
    assert!(!out.contains("unchecked"), "{out}");
    let (outcome, out) = run(PING.as_bytes(), Some("other"), false);
    assert_eq!(outcome, Err(Failure::Failed));
    assert!(out.contains("error the tag is not that of the cluster"), "{out}");
    assert!(out.contains("section ping"), "what it says is shown all the same: {out}");
}

/// However much there is, it goes through the same buffer, and nothing is lost.
#[test]
fn many_datagrams_are_streamed() {
    let text = format!("{}\n\n", vectors()).repeat(20);
    let (outcome, json) = run(text.as_bytes(), None, true);
    assert_eq!(outcome, Ok(()));
    let objects = objects(&json);
    assert_eq!(objects.last().unwrap()["datagram"], objects.len());
    assert_eq!(objects.len() % 20, 0);
}

/// Bytes of a datagram.
fn ping() -> Vec<u8> {
    PING.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    [&[0x19, 0x22, 0x19, 0x23][..], &len.to_be_bytes(), &[0, 0], payload].concat()
}

fn ipv4(options: usize, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45 + (options / 4) as u8, 0, 0, 0, 0, 0];
    ip.extend_from_slice(&fragment.to_be_bytes());
    ip.extend_from_slice(&[64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    ip.extend(vec![1; options]);
    ip.extend_from_slice(payload);
    ip
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x60, 0, 0, 0, 0, 0, 17, 64][..], &address(1), &address(2), payload].concat()
}

/// A capture of packets on this kind of link.
fn pcap(magic: u32, link: u32, packets: &[Vec<u8>], little_endian: bool) -> Vec<u8> {
    let number = |n: u32| if little_endian { n.to_le_bytes() } else { n.to_be_bytes() };
    let mut file = [number(magic), [2, 0, 4, 0], [0; 4], [0; 4], [0; 4], number(link)].concat();
    for packet in packets {
        let len = packet.len() as u32;
        let part = if magic == 0xa1b2_3c4d { 250_000_000 } else { 250_000 };
        for field in [1_700_000_000, part, len, len] {
            file.extend_from_slice(&number(field));
        }
        file.extend_from_slice(packet);
    }
    file
}

const MICROS: u32 = 0xa1b2_c3d4;
const FROM_V4: &str =
    "datagram 1, time_ms 1700000000250, from 10.0.0.1:6434, to 10.0.0.2:6435, bytes 23, tag";

fn first_line(file: &[u8]) -> String {
    let (outcome, out) = run(file, None, false);
    assert_eq!(outcome, Ok(()), "{out}");
    assert_eq!(out.lines().count(), 2, "{out}");
    out.lines().next().unwrap().to_string()
}

#[test]
fn captures_of_every_kind_of_link_are_read() {
    let packet = ipv4(0, 0x4000, 17, &udp(&ping()));
    let with = |header: &[u8]| [header, &packet].concat();
    let ethernet = [&[0; 12][..], &[0x08, 0]].concat();
    let tagged = [&[0; 12][..], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 0x08, 0]].concat();
    let cooked = [&[0; 14][..], &[0x08, 0]].concat();
    let cooked_2 = [&[0x08, 0][..], &[0; 18]].concat();
    for (link, header) in [
        (1, &ethernet[..]),
        (1, &tagged),
        (0x0400_0001, &ethernet),
        (113, &cooked),
        (276, &cooked_2),
        (0, &[2, 0, 0, 0]),
        (108, &[0, 0, 0, 2]),
        (12, &[]),
        (14, &[]),
        (101, &[]),
        (228, &[]),
    ] {
        for magic in [MICROS, 0xa1b2_3c4d] {
            for little_endian in [true, false] {
                let file = pcap(magic, link, &[with(header)], little_endian);
                assert!(first_line(&file).starts_with(FROM_V4), "{link} {magic:x}");
            }
        }
    }
    let file = pcap(MICROS, 229, &[ipv6(&udp(&ping()))], true);
    assert!(first_line(&file).contains("from [fd00::1]:6434, to [fd00::2]:6435, bytes 23"));
    let file = pcap(MICROS, 101, &[ipv4(12, 0, 17, &udp(&ping()))], true);
    assert!(first_line(&file).starts_with(FROM_V4), "options of IPv4 are passed over");
}

/// Whatever the packet is, looking into it ends.
#[test]
fn tags_of_virtual_lans_are_two_at_most() {
    for link in [1, 113, 276] {
        for tags in [3, 64, 100] {
            let packet = [0x81, 0, 0, 0].repeat(tags);
            let (outcome, out) = run(&pcap(MICROS, link, &[packet], true), None, false);
            assert_eq!((outcome, out.as_str()), (Err(Failure::Failed), ""), "{link} {tags}");
        }
    }
}

#[test]
fn other_packets_are_passed_over() {
    let good = ipv4(0, 0, 17, &udp(&ping()));
    let ethernet = |kind: [u8; 2], rest: &[u8]| [&[0; 12][..], &kind, rest].concat();
    let mut packets = vec![
        ethernet([8, 6], &good),
        ethernet([8, 0], &ipv4(0, 0, 6, &udp(&ping()))),
        ethernet([8, 0], &ipv4(0, 0x2000, 17, &udp(&ping()))),
        ethernet([8, 0], &ipv4(0, 1, 17, &udp(&ping()))),
        ethernet([8, 0], &[0x45; 12]),
        ethernet([8, 0], &[]),
        vec![],
        vec![0; 9_000],
    ];
    packets.push(ethernet([8, 0], &good));
    assert!(first_line(&pcap(MICROS, 1, &packets, true)).starts_with(FROM_V4));
}

#[test]
fn what_a_capture_has_not_whole_is_said() {
    let mut short = ipv4(0, 0, 17, &udp(&ping()));
    short.truncate(40);
    let whole = ipv4(0, 0, 17, &udp(&ping()));
    let file = pcap(MICROS, 101, &[short, whole], true);
    let (outcome, out) = run(&file, None, false);
    assert_eq!(outcome, Err(Failure::Failed));
    assert!(out.contains("bytes 12, error the capture has not all of it"), "{out}");
    assert!(out.contains("section ping"), "{out}");
    // Of a file that ends within a packet, what is before that counts.
    for cut in [1, 15, 17, 60] {
        let (outcome, out) = run(&file[..file.len() - cut], None, false);
        assert_eq!(outcome, Err(Failure::Failed), "{cut}");
        assert_eq!(out.lines().count(), 1, "{out}");
    }
}

/// Of a long packet only the beginning is looked at; whether all of it is there counts all the
/// same, and no packet is longer than those that tcpdump writes.
#[test]
fn a_long_packet_that_is_cut_or_too_long_is_an_error() {
    let good = ipv4(0, 0, 17, &udp(&ping()));
    let file = pcap(MICROS, 101, &[good.clone(), vec![0; 5_000]], true);
    assert_eq!(run(&file, None, false).0, Ok(()));
    for cut in [1, 500, 904, 4_000] {
        let (outcome, out) = run(&file[..file.len() - cut], None, false);
        assert_eq!(outcome, Err(Failure::Failed), "{cut}");
        assert_eq!(out.lines().count(), 2, "{out}");
    }
    for (bytes, expected) in [(262_144, Ok(())), (262_145, Err(Failure::Failed))] {
        let file = pcap(MICROS, 101, &[good.clone(), vec![0; bytes]], true);
        assert_eq!(run(&file, None, false).0, expected, "{bytes}");
    }
}

#[test]
fn a_udp_header_with_a_wrong_length_is_said_to_be_so() {
    let mut packet = udp(&ping());
    packet[4..6].copy_from_slice(&[0, 7]);
    let (outcome, out) = run(&pcap(MICROS, 101, &[ipv4(0, 0, 17, &packet)], true), None, false);
    assert_eq!(outcome, Err(Failure::Failed));
    assert!(out.contains("error its UDP header tells a length that is less than"), "{out}");
}

/// What others chose is one value, and nothing in it changes how the rest is read.
#[test]
fn a_name_cannot_pass_for_other_fields() {
    let name = "a, tags admin=1\u{2028}\u{202e} b";
    let body = [
        &[1, 2, 3, 4][..],
        &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 1, 1, 0xe8, 7],
        &[name.len() as u8],
        name.as_bytes(),
        &[3],
        b"k=v",
    ]
    .concat();
    let section = [&[6, body.len() as u8][..], &body].concat();
    let datagram = [&ping()[..17], &section].concat();
    let text: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
    let (outcome, out) = run(text.as_bytes(), None, false);
    assert_eq!(outcome, Ok(()), "{out}");
    assert!(out.ends_with("name \"a, tags admin=1?? b\", tags \"k=v\"\n"), "{out}");
    let (_, json) = run(text.as_bytes(), None, true);
    assert_eq!(objects(&json)[0]["sections"][0]["name"], name);
}

#[test]
fn what_a_later_protocol_adds_is_shown() {
    let mut datagram = ping();
    datagram[5] = 0x60;
    datagram.extend_from_slice(&[40, 3, 1, 2, 3]);
    let text: String = datagram.iter().map(|byte| format!("{byte:02x}")).collect();
    let says = lines(&text);
    assert!(says[0].ends_with("digest 04030201, later_flags 60"), "{says:?}");
    assert_eq!(says[2], "  section 40, bytes 3");
    assert!(!lines(PING)[0].contains("later"), "there is none");
}

#[test]
fn a_dump_with_offsets_is_no_datagram() {
    for text in ["00000000: 014c f5d6 5b00 0068", "00000000  01 4c f5 d6  |.L..|"] {
        let (outcome, out) = run(text.as_bytes(), None, false);
        assert_eq!(outcome, Err(Failure::Failed));
        assert!(out.contains("not hexadecimal, two digits a byte, as xxd -p"), "{out}");
    }
}

#[test]
fn captures_that_cannot_be_read_are_refused() {
    let pcapng = [&[0x0a, 0x0d, 0x0d, 0x0a][..], &[0; 60]].concat();
    let wireless = pcap(MICROS, 105, &[], true);
    for file in [&pcapng[..], &wireless] {
        assert_eq!(run(file, None, false), (Err(Failure::Failed), String::new()));
    }
}

/// Whatever the bytes are, it ends, with a line of JSON a datagram.
#[test]
fn damaged_captures_do_no_harm() {
    let mut rng = midge::rng::Rng::new(1);
    let packet = [&[0; 12][..], &[8, 0], &ipv4(0, 0, 17, &udp(&ping()))].concat();
    let file = pcap(MICROS, 1, &vec![packet; 5], true);
    for _ in 0..300 {
        let mut damaged = file.clone();
        for _ in 0..1 + rng.below(6) {
            let at = rng.below(damaged.len() as u32) as usize;
            damaged[at] = rng.next() as u8;
        }
        objects(&run(&damaged, None, true).1);
    }
}
