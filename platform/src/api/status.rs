//! `GET /v1/status`: the node at a glance.

use midge::Status;

use super::members::id;
use super::table::{Row, printable};
use super::{About, Api, put};
use crate::http::json::{self, Object};
use crate::http::{ContentType, Page, Reply, StatusCode};

/// Where the values of the text begin.
const VALUE: usize = 13;

impl<const N: usize> Api<'_, N> {
    pub(super) fn status(&self, content: ContentType, reply: &mut Reply<'_>) {
        let page = reply.begin(StatusCode::Ok, content);
        let status = self.node.status();
        let uptime_ms = self.now.since(self.about.started).as_millis();
        match content {
            ContentType::Json => write_json(page, &status, self.about, uptime_ms),
            ContentType::Text => write_text(page, &status, self.about, uptime_ms),
        }
    }
}

pub(super) fn write_json(page: &mut Page<'_>, status: &Status<'_>, about: &About, uptime_ms: u64) {
    let own = &status.own;
    let mut object = Object::open(page);
    object.text("cluster", status.cluster);
    object.text("name", own.name);
    object.display("addr", &own.address);
    id(&mut object, own.id);
    object.text("version", about.version);
    object.number("protocol", u64::from(about.protocol));
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
    seeds(object.key("seeds"), status);
    object.number("uptime_ms", uptime_ms);
    object.close();
    page.push(b"\n");
}

fn seeds(page: &mut Page<'_>, status: &Status<'_>) {
    page.push(b"[");
    for (at, seed) in status.seeds.iter().enumerate() {
        page.push(if at > 0 { b"," } else { b"" });
        json::display(page, seed);
    }
    page.push(b"]");
}

pub(super) fn write_text(page: &mut Page<'_>, status: &Status<'_>, about: &About, uptime_ms: u64) {
    let own = &status.own;
    line(page, "cluster", |page| printable(page, status.cluster));
    line(page, "name", |page| printable(page, own.name));
    line(page, "address", |page| put(page, &own.address));
    line(page, "id", |page| match own.id {
        0 => page.push(b"-"),
        id => page.hex(id, 16),
    });
    line(page, "version", |page| {
        put(page, &format_args!("{} (protocol {})", about.version, about.protocol));
    });
    line(page, "incarnation", |page| put(page, &own.incarnation));
    line(page, "state", |page| {
        put(page, &own.state);
        page.push(if status.joined { b", joined" } else { b", not joined" });
        if status.isolated {
            page.push(b", isolated");
        }
        if status.leaving {
            page.push(b", leaving");
        }
    });
    line(page, "members", |page| {
        let Status { alive, suspect, failed, left, .. } = status;
        put(page, &format_args!("{alive} alive, {suspect} suspect, {failed} failed, {left} left"));
    });
    line(page, "capacity", |page| {
        page.number(u64::from(status.capacity));
        if status.partial {
            page.push(b" (partial: the fleet is larger)");
        }
    });
    line(page, "health", |page| page.number(u64::from(status.health)));
    line(page, "digest", |page| page.hex(u64::from(status.digest), 8));
    line(page, "period", |page| put(page, &format_args!("{} ms", status.period_ms)));
    line(page, "seeds", |page| {
        for (at, seed) in status.seeds.iter().enumerate() {
            page.push(if at > 0 { b", " } else { b"" });
            put(page, seed);
        }
        if status.seeds.is_empty() {
            page.push(b"-");
        }
    });
    line(page, "uptime", |page| uptime(page, uptime_ms / 1_000));
}

fn line(page: &mut Page<'_>, name: &str, write: impl FnOnce(&mut Page<'_>)) {
    let mut row = Row::begin(page);
    row.at(0).push(name.as_bytes());
    write(row.at(VALUE));
    row.end();
}

/// The two largest units that matter: `3 d 4 h`, `4 h 5 min`, `5 min 6 s`, `6 s`.
fn uptime(page: &mut Page<'_>, seconds: u64) {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => put(page, &format_args!("{rest} s")),
        (0, 0, _) => put(page, &format_args!("{minutes} min {rest} s")),
        (0, _, _) => put(page, &format_args!("{hours} h {minutes} min")),
        _ => put(page, &format_args!("{days} d {hours} h")),
    }
}
