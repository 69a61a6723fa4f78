//! `GET /v1/status`: the node at a glance.

use core::fmt;

use midge::Status;

use super::members::id;
use super::table::printable;
use super::{About, Api, put};
use crate::http::json::{self, Object};
use crate::http::{ContentType, Page, Reply, StatusCode};
use crate::seeds::Seeds;

/// Where the values of the text begin.
const VALUE: usize = 13;

/// Up to here names are written, the longest of 262 bytes; those that come after it are left out,
/// lest the page be too small for what follows.
const NAMES_END: usize = 3_400;

impl<const N: usize> Api<'_, N> {
    pub(super) fn status(&self, content: ContentType, reply: &mut Reply<'_>) {
        let page = reply.begin(StatusCode::Ok, content);
        let status = self.node.status();
        let uptime_ms = self.now.since(self.about.started).as_millis();
        match content {
            ContentType::Text => write_text(page, &status, self.seeds, self.about, uptime_ms),
            _ => write_json(page, &status, self.seeds, self.about, uptime_ms),
        }
    }
}

pub(super) fn write_json(
    page: &mut Page<'_>,
    status: &Status<'_>,
    unresolved: &Seeds,
    about: &About,
    uptime_ms: u64,
) {
    let own = &status.own;
    let mut object = Object::open(page);
    object.text("cluster", status.cluster);
    object.text("name", own.name);
    object.display("addr", &own.address);
    id(&mut object, own.id);
    object.text("version", about.version);
    object.number("protocol", u64::from(status.protocol));
    object.number("epoch", own.incarnation.epoch);
    object.number("refutation", u64::from(own.incarnation.refutation));
    object.text("state", own.state.name());
    object.flag("joined", status.joined);
    object.flag("isolated", status.isolated);
    object.flag("leaving", status.leaving);
    let mut members = Object::open(object.key("members"));
    members.number("alive", u64::from(status.alive));
    members.number("suspect", u64::from(status.suspect));
    members.number("failed", u64::from(status.failed));
    members.number("left", u64::from(status.left));
    members.close();
    object.number("capacity", u64::from(status.capacity));
    object.flag("partial", status.partial);
    object.number("health", u64::from(status.health));
    object.hex("digest", u64::from(status.digest), 8);
    object.number("period_ms", u64::from(status.period_ms));
    let list = object.key("seeds");
    list.push(b"[");
    seeds(list, status, unresolved, ",", &json::display);
    list.push(b"]");
    object.number("uptime_ms", uptime_ms);
    object.close();
    page.push(b"\n");
}

/// Writes the addresses to join through, and the names that have none yet.
fn seeds(
    page: &mut Page<'_>,
    status: &Status<'_>,
    unresolved: &Seeds,
    comma: &str,
    write: &dyn Fn(&mut Page<'_>, &dyn fmt::Display),
) {
    let mut before = "";
    let mut one = |page: &mut Page<'_>, seed: &dyn fmt::Display| {
        page.push(before.as_bytes());
        write(page, seed);
        before = comma;
    };
    for seed in status.seeds {
        one(page, seed);
    }
    for name in unresolved.unresolved() {
        if page.len() < NAMES_END {
            one(page, &name);
        }
    }
}

pub(super) fn write_text(
    page: &mut Page<'_>,
    status: &Status<'_>,
    unresolved: &Seeds,
    about: &About,
    uptime_ms: u64,
) {
    let own = &status.own;
    printable(line(page, "cluster"), status.cluster);
    printable(line(page, "name"), own.name);
    put(line(page, "address"), &own.address);
    match own.id {
        0 => line(page, "id").push(b"-"),
        id => line(page, "id").hex(id, 16),
    }
    let Status { alive, suspect, failed, left, .. } = status;
    let (version, protocol) = (about.version, status.protocol);
    put(line(page, "version"), &format_args!("{version} (protocol {protocol})"));
    put(line(page, "incarnation"), &own.incarnation);
    put(line(page, "state"), &own.state);
    page.push(if status.joined { b", joined" } else { b", not joined" });
    page.push(if status.isolated { b", isolated" } else { b"" });
    page.push(if status.leaving { b", leaving" } else { b"" });
    put(
        line(page, "members"),
        &format_args!("{alive} alive, {suspect} suspect, {failed} failed, {left} left"),
    );
    line(page, "capacity").number(u64::from(status.capacity));
    page.push(if status.partial { b" (partial: the fleet is larger)" } else { b"" });
    line(page, "health").number(u64::from(status.health));
    line(page, "digest").hex(u64::from(status.digest), 8);
    line(page, "period").number(u64::from(status.period_ms));
    page.push(b" ms");
    let start = line(page, "seeds").len();
    seeds(page, status, unresolved, ", ", &put);
    page.push(if page.len() > start { b"" } else { b"-" });
    uptime(line(page, "uptime"), uptime_ms / 1_000);
    page.push(b"\n");
}

/// Begins a line, of which the caller writes the value.
fn line<'p, 'a>(page: &'p mut Page<'a>, name: &str) -> &'p mut Page<'a> {
    if !page.is_empty() {
        page.push(b"\n");
    }
    page.push(name.as_bytes());
    page.spaces(VALUE - name.len());
    page
}

/// The two largest units that matter: `3 d 4 h`, `4 h 5 min`, `5 min 6 s`, `6 s`.
fn uptime(page: &mut Page<'_>, seconds: u64) {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let ((larger, unit), (smaller, subunit)) = match (days, hours, minutes) {
        (0, 0, _) => ((minutes, " min "), (rest, " s")),
        (0, _, _) => ((hours, " h "), (minutes, " min")),
        _ => ((days, " d "), (hours, " h")),
    };
    if larger > 0 {
        page.number(larger);
        page.push(unit.as_bytes());
    }
    page.number(smaller);
    page.push(subunit.as_bytes());
}
