//! `GET /v1/status`: the node at a glance.

use midge::Status;

use super::members::{hex, id};
use super::{About, Api, Target, TrueTime};
use crate::http::{ContentType, Page, Reply, StatusCode, Values, fill, show};
use crate::seeds::Seeds;

const JSON: &str = "{\"cluster\":$a,\"name\":$b,\"addr\":!a,\"id\":!i,\"version\":$c,\
    \"protocol\":#a,\"epoch\":#b,\"refutation\":#c,\"state\":$d,\"joined\":?d,\"isolated\":?e,\
    \"leaving\":?f,\"members\":{\"alive\":#g,\"suspect\":#h,\"failed\":#i,\"left\":#j},\
    \"capacity\":#k,\"partial\":?l,\"health\":#m,\"digest\":!d,\"period_ms\":#n,\"clock\":!k},\"seeds\":[!s],\
    \"uptime_ms\":#o}\n";

const TEXT: &str = "\
cluster      $a
name         $b
address      !a
id           !i
version      $c (protocol #a)
incarnation  #b.#c
state        $d, $e$f$g
members      #g alive, #h suspect, #i failed, #j left
capacity     #k$h
health       #m
digest       !d
period       #n ms
clock        !kseeds        !s
uptime       !u
";

/// Up to here names are written, the longest of 262 bytes; those that come after it are left out,
/// lest the page be too small for what follows.
const NAMES_END: usize = 3_400;

impl<const N: usize> Api<'_, N> {
    pub(super) fn status(&self, content: ContentType, reply: &mut Reply<'_>) {
        let page = reply.begin(StatusCode::Ok, content);
        let uptime_ms = self.now.since(self.about.started).as_millis();
        let in_json = content != ContentType::Text;
        write(
            page,
            in_json,
            &self.node.status(),
            self.seeds,
            self.true_time,
            self.about,
            uptime_ms,
        );
    }
}

pub(super) fn write(
    page: &mut Page<'_>,
    in_json: bool,
    status: &Status<'_>,
    unresolved: &Seeds,
    time: &TrueTime<'_>,
    about: &About,
    uptime_ms: u64,
) {
    let own = &status.own;
    let if_so = |so: bool, text: &'static str| if so { text } else { "" };
    let values = Values {
        numbers: &[
            status.protocol.into(),
            own.incarnation.epoch,
            own.incarnation.refutation.into(),
            status.joined.into(),
            status.isolated.into(),
            status.leaving.into(),
            status.alive.into(),
            status.suspect.into(),
            status.failed.into(),
            status.left.into(),
            status.capacity.into(),
            status.partial.into(),
            status.health.into(),
            status.period_ms.into(),
            uptime_ms,
        ],
        texts: &[
            status.cluster,
            own.name,
            about.version,
            own.state.name(),
            if status.joined { "joined" } else { "not joined" },
            if_so(status.isolated, ", isolated"),
            if_so(status.leaving, ", leaving"),
            if_so(status.partial, " (partial: the fleet is larger)"),
        ],
        write: &|page, what, in_json| match what {
            b'a' => show(page, in_json, &own.address),
            b'i' => id(page, in_json, own.id),
            b'd' => hex(page, in_json, status.digest.into(), 8),
            b'k' => time.write(page, in_json, false),
            b's' => seeds(page, in_json, status, unresolved),
            _ => uptime(page, uptime_ms / 1_000),
        },
    };
    fill(page, in_json, if in_json { JSON } else { TEXT }, &values);
}

/// Writes the addresses to join through, and the names that have none yet.
fn seeds(page: &mut Page<'_>, in_json: bool, status: &Status<'_>, unresolved: &Seeds) {
    let mut comma = "";
    let given = status.seeds.iter().map(|seed| Target::Address(*seed));
    for seed in given.chain(unresolved.unresolved()) {
        if page.len() > NAMES_END {
            break;
        }
        page.push(comma.as_bytes());
        show(page, in_json, &seed);
        comma = if in_json { "," } else { ", " };
    }
    if !in_json && comma.is_empty() {
        page.push(b"-");
    }
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
