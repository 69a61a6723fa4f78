//! What a datagram says, field by field. The fields are those of `docs/wire.md`.

use midge::limits::MTU_BYTES;
use midge::wire::kind::PRE_VOTE;
use midge::wire::{self, Details, Flaw, Header, Malformed, Rumours, Section, Token, VERSION};
use midge::{Address, Incarnation};

use super::council;
use super::output::Output;
use crate::text::parts;

/// The sections, by their types from 1 on.
const SECTIONS: &str = "ping ack ping-req nack rumours details hello challenge page-request \
                        page buckets refused";

/// Those of the council, by their types from [`PRE_VOTE`] on.
const COUNCIL: &str = "pre-vote pre-voted vote voted append append-ack";

/// The flags that have no name yet.
const FLAGS_LATER: u8 = 0xe0;

/// Says what is in a datagram, and what is wrong with it: `error`, or what is found. Returns that;
/// nothing if all is well.
pub(super) fn datagram(
    output: &mut Output<'_>,
    cluster: Option<&str>,
    bytes: &[u8],
    mut error: &'static str,
) -> &'static str {
    if !error.is_empty() {
        // Whatever else is wrong comes of that.
    } else if bytes.len() > MTU_BYTES {
        error = "longer than 1200 bytes";
    } else if bytes.first().is_some_and(|version| *version != VERSION) {
        error = "not version 1: sealed, or not of midge";
    }
    if !error.is_empty() {
        output.text("error", error);
        return error;
    }
    match wire::read(bytes) {
        Ok(datagram) => {
            if cluster.is_some_and(|name| !wire::header::is_of(name, bytes)) {
                error = "the tag is not that of the cluster";
                output.text("error", error);
            }
            header(output, &datagram.header, bytes, cluster.is_none());
            for it in datagram.sections() {
                section(output, &it);
            }
        }
        Err(Malformed { offset, section, flaw }) => {
            error = match flaw {
                Flaw::Cut => "it ends too early",
                Flaw::Value => "a value that may not stand there",
                Flaw::Behind => "bytes behind the last field",
                Flaw::Twice => "a second section of its type",
            };
            output.text("error", error);
            output.number("offset", offset as u64);
            match section {
                None => output.text("section", "header"),
                Some(section) => kind(output, section),
            }
        }
    }
    error
}

/// Which section.
fn kind(output: &mut Output<'_>, kind: u8) {
    let (names, first) = if kind < PRE_VOTE { (SECTIONS, 1) } else { (COUNCIL, PRE_VOTE) };
    match parts(names, b' ').nth(usize::from(kind).wrapping_sub(usize::from(first))) {
        Some(name) => output.text("section", name),
        None => output.number("section", u64::from(kind)),
    }
}

fn header(output: &mut Output<'_>, header: &Header, bytes: &[u8], unchecked: bool) {
    let (tag, flags) = match *bytes {
        [_version, a, b, c, d, flags, ..] => (u32::from_le_bytes([a, b, c, d]), flags),
        // It was read, so they are there.
        _ => (0, 0),
    };
    output.hex("tag", u64::from(tag), 8);
    output.flag("tag_unchecked", unchecked);
    address(output, "advertised", header.advertised.as_ref());
    incarnation(output, header.incarnation);
    output.hex("digest", u64::from(header.digest), 8);
    output.flag("partial", header.partial);
    output.flag("wants_details", header.wants_details);
    output.flag("leaving", header.leaving);
    if flags & FLAGS_LATER > 0 {
        output.hex("later_flags", u64::from(flags & FLAGS_LATER), 2);
    }
}

fn incarnation(output: &mut Output<'_>, incarnation: Incarnation) {
    output.number("epoch", incarnation.epoch);
    output.number("refutation", u64::from(incarnation.refutation));
}

fn section(output: &mut Output<'_>, section: &Section<'_>) {
    output.begin(1);
    kind(output, section.kind());
    match section {
        Section::Ping(number) | Section::Ack(number) | Section::Nack(number) => {
            output.token("number", *number);
        }
        Section::PingReq(request) => {
            output.token("number", request.number);
            output.display("target", &request.target);
        }
        Section::Rumours(rumours) => rows(output, *rumours),
        Section::Details(it) => details(output, it),
        Section::Hello(hello) => {
            output.token("token", hello.token);
            echo(output, hello.echo);
            output.number("uptime_s", u64::from(hello.uptime_s));
            details(output, &hello.details);
        }
        Section::Challenge(challenge) => {
            output.token("token", challenge.token);
            echo(output, challenge.echo);
            address(output, "observed", challenge.observed.as_ref());
        }
        Section::PageRequest(request) => {
            output.hex("buckets", request.buckets, 16);
            output.number("first", u64::from(request.first));
        }
        Section::Page(page) => {
            output.hex("buckets", page.buckets, 16);
            output.number("first", u64::from(page.first));
            output.number("next", u64::from(page.next));
            rows(output, page.rows);
        }
        Section::Buckets(buckets) => {
            for (bucket, digest) in buckets.digests().enumerate() {
                output.begin(2);
                output.number("bucket", bucket as u64);
                output.hex("digest", u64::from(digest), 8);
            }
        }
        Section::Refused(refused) => {
            output.token("echo", refused.echo);
            output.display("reason", &refused.reason);
        }
        Section::Council(it) => council::message(output, it),
        Section::Unknown(_, bytes) => output.number("bytes", *bytes as u64),
    }
}

fn echo(output: &mut Output<'_>, token: Option<Token>) {
    if let Some(token) = token {
        output.token("echo", token);
    }
}

fn address(output: &mut Output<'_>, key: &str, address: Option<&Address>) {
    if let Some(address) = address {
        output.display(key, address);
    }
}

fn rows(output: &mut Output<'_>, rumours: Rumours<'_>) {
    for rumour in rumours {
        output.begin(2);
        output.display("addr", &rumour.address);
        output.text("state", rumour.state.name());
        incarnation(output, rumour.incarnation);
        address(output, "accuser", rumour.accuser.as_ref());
    }
}

fn details(output: &mut Output<'_>, details: &Details<'_>) {
    output.token("life", Token(details.life));
    output.hex("id", details.id, 16);
    output.number("protocol_low", u64::from(details.protocol_low));
    output.number("protocol_high", u64::from(details.protocol_high));
    output.number("period_ms", u64::from(details.period_ms));
    output.quoted("name", details.name);
    output.quoted("tags", details.tags);
    if !details.later.is_empty() {
        output.number("later_bytes", details.later.len() as u64);
    }
}
