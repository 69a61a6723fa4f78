//! `GET /v1/clock`, and the clock in the status, over files as the daemon writes them.

use std::fs;
use std::path::PathBuf;

use midge::TimeWindow;
use midge::clockbound::{ClockError, ClockStatus, Layout, Segment, SegmentError};
use nix::errno::Errno;
use serde_json::json;

use super::super::clock::{Shown, remedy};
use super::*;
use crate::clock::tests::writer::{self, Folder, Now, Writer, fresh};
use crate::clock::{Cause, Trouble};
use crate::os;

/// What a drift can be at most, and how long a path.
const MAX_DRIFT_PPM: u32 = 10_000;
const PATH_BYTES: usize = 255;

/// A file in a folder of its own, and what stands for the `VMClock`.
pub(super) struct Source {
    _folder: Folder,
    path: PathBuf,
    device: &'static str,
    paths: &'static [&'static str],
}

impl Source {
    pub(super) fn new(name: &str) -> Self {
        let folder = Folder::new(&format!("api-{name}"));
        let leak = |path: PathBuf| &*path.to_str().expect("UTF-8").to_string().leak();
        let (path, device) = (folder.path("shm"), leak(folder.path("vmclock0")));
        let paths = vec![leak(path.clone())].leak();
        Self { _folder: folder, path, device, paths }
    }

    pub(super) fn time(&self) -> TrueTime<'static> {
        TrueTime::new(self.paths, self.device, 500)
    }

    pub(super) fn fresh(&self) -> Segment {
        fresh(Layout::V2, Now::read(), 60_000_000_000)
    }

    pub(super) fn write(&self, segment: &Segment) {
        Writer::start(&self.path, segment.layout).update(segment);
    }

    /// A node that reads it.
    fn world(&self) -> World<Fleet> {
        let mut world = Fleet::world(1);
        world.app.time = self.time();
        world
    }
}

/// A clock about which there is as much to say as can be.
pub(super) fn longest() -> TrueTime<'static> {
    let path = &*"/".repeat(PATH_BYTES).leak();
    TrueTime::new(vec![path].leak(), "", MAX_DRIFT_PPM)
}

fn number(answer: &Value, field: &str) -> i64 {
    answer[field].as_str().and_then(|digits| digits.parse().ok()).expect(field)
}

#[test]
fn the_time_is_between_two_instants() {
    let source = Source::new("window");
    let mut segment = source.fresh();
    segment.disruption_marker = u64::MAX;
    source.write(&segment);
    let mut world = source.world();
    let asked = os::now();
    let before = Now::read().realtime_ns;
    let answer = world.ask(&get("/v1/clock")).only();
    let after = Now::read().realtime_ns;
    let answer = json(&answer);
    let names = [
        "status",
        "source",
        "bound_ns",
        "trouble",
        "leases",
        "max_drift_ppm",
        "earliest",
        "latest",
        "earliest_unix_ns",
        "latest_unix_ns",
        "width_ns",
        "age_ns",
        "layout",
        "disruption_marker",
    ];
    assert_eq!(answer.as_object().unwrap().len(), names.len());
    assert!(names.iter().all(|name| answer.get(name).is_some()), "{answer}");
    assert_eq!(answer["source"], source.paths[0]);
    assert_eq!((&answer["layout"], &answer["status"]), (&json!(2), &json!("synchronized")));
    assert_eq!(answer["trouble"], Value::Null);
    assert_eq!(answer["disruption_marker"], Value::Null, "it is not supported");
    assert_eq!((&answer["leases"], &answer["max_drift_ppm"]), (&json!("true_time"), &json!(500)));
    let (earliest, latest) =
        (number(&answer, "earliest_unix_ns"), number(&answer, "latest_unix_ns"));
    assert!(earliest <= after && latest >= before, "{answer}");
    assert_eq!(number(&answer, "width_ns"), latest - earliest);
    let bound = number(&answer, "bound_ns");
    assert!((1_000_000..1_000_000_000).contains(&bound), "{answer}");
    assert_eq!(latest - earliest, 2 * bound);
    assert!((0..60_000_000_000).contains(&number(&answer, "age_ns")));
    // The node has been told, with an instant behind the reading.
    let window = TimeWindow::new(earliest, latest).unwrap();
    let (read, told) = world.app.nodes[0].clock().unwrap();
    assert_eq!(told, window);
    assert!(asked <= read && read <= os::now(), "{read:?}");
}

/// The lines of a text, as names and values.
fn lines(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .map(|line| line.split_at(13))
        .map(|(name, value)| (name.trim_end(), value))
        .collect()
}

fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let found = lines(text).into_iter().find(|(of, _)| *of == name);
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}")).1
}

#[test]
fn the_clock_as_text() {
    let source = Source::new("text");
    source.write(&source.fresh());
    let text = source.world().text("/v1/clock");
    let names: Vec<_> = lines(&text).iter().map(|(name, _)| *name).collect();
    let expected = [
        "status", "source", "bound", "trouble", "leases", "earliest", "latest", "width", "age",
        "layout", "marker",
    ];
    assert_eq!(names, expected);
    for (name, expected) in [
        ("status", "synchronized"),
        ("source", source.paths[0]),
        ("trouble", "-"),
        ("marker", "-"),
        ("leases", "rest on true time, and on a drift of 500 ppm at most"),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    for name in ["bound", "width", "age"] {
        let (whole, part) = value(&text, name).split_once('.').unwrap();
        assert!(whole.parse::<u64>().is_ok() && part.len() == 9 && part.ends_with(" ms"), "{text}");
    }
}

#[test]
fn every_time_of_64_bits_has_a_date() {
    let shown = |what, number| Shown { what, in_json: false, number }.to_string();
    for (ns, date) in [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_763_866_858_000_000_042, "2025-11-23T03:00:58.000000042Z"),
        (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
    ] {
        assert_eq!(shown(b'e', ns as u64), date);
        assert_eq!(shown(b'g', ns as u64), ns.to_string());
    }
    assert_eq!(shown(b'w', u64::MAX), "18446744073709.551615 ms");
    assert_eq!(shown(b'b', 1), "0.000001 ms");
}

#[test]
fn a_marker_is_shown_and_compared() {
    let source = Source::new("marker");
    let mut segment = fresh(Layout::V3, Now::read(), 60_000_000_000);
    segment.disruption_support = true;
    segment.disruption_marker = u64::MAX;
    source.write(&segment);
    let mut world = source.world();
    let answer = world.ask(&get("/v1/clock")).only();
    assert_eq!(answer.status, 503);
    let error = json(&answer)["error"].as_str().unwrap().to_string();
    assert!(error.contains(&format!("{}: No such file", source.device)), "{error}");
    assert!(error.contains("mount it") && error.contains("PrivateDevices=no"), "{error}");
    for (marker, status) in [(u64::MAX, "synchronized"), (5, "disrupted")] {
        fs::write(source.device, writer::vm_clock(marker)).unwrap();
        source.write(&segment);
        let mut world = source.world();
        let answer = json(&world.ask(&get("/v1/clock")).only());
        assert_eq!((&answer["status"], &answer["layout"]), (&json!(status), &json!(3)));
        assert_eq!(answer["disruption_marker"], u64::MAX.to_string());
    }
}

/// What is not certain is not shown.
#[test]
fn a_segment_that_cannot_be_used_bounds_nothing() {
    let source = Source::new("unusable");
    let mut segment = source.fresh();
    segment.status = ClockStatus::Disrupted;
    source.write(&segment);
    let mut world = source.world();
    let answer = json(&world.ask(&get("/v1/clock")).only());
    assert_eq!((&answer["status"], &answer["leases"]), (&json!("disrupted"), &json!("monotonic")));
    for name in ["earliest", "latest", "earliest_unix_ns", "latest_unix_ns", "width_ns", "bound_ns"]
    {
        assert_eq!(answer[name], Value::Null, "{name}");
    }
    assert!(number(&answer, "age_ns") >= 0);
    assert_eq!(world.app.nodes[0].clock(), None);
    let status = &json(&world.ask(&get("/v1/status")).only())["clock"];
    let expected = json!({
        "status": "disrupted", "source": source.paths[0], "bound_ns": null, "trouble": null,
        "leases": "monotonic", "max_drift_ppm": 500,
    });
    assert_eq!(*status, expected);
    let text = world.text("/v1/status");
    assert_eq!(value(&text, "clock"), "disrupted, time is unbounded");
}

#[test]
fn without_a_segment_it_says_so_and_what_to_do() {
    let source = Source::new("missing");
    let mut world = source.world();
    let answer = world.ask(&get("/v1/clock")).only();
    assert_eq!((answer.status, &json(&answer)["code"]), (503, &json!("no_clock")));
    let why = format!(
        "time is unbounded: {}: No such file or directory; start the ClockBound daemon. Leases rest on a \
         drift of 500 ppm at most",
        source.paths[0]
    );
    assert_eq!(json(&answer)["error"], why);
    let status = json(&world.ask(&get("/v1/status")).only());
    let trouble = format!("{}: No such file or directory", source.paths[0]);
    let expected = json!({
        "status": "unavailable", "source": null, "bound_ns": null, "trouble": trouble,
        "leases": "monotonic", "max_drift_ppm": 500,
    });
    assert_eq!(status["clock"], expected);
    let text = world.text("/v1/status");
    assert_eq!(value(&text, "clock"), "unavailable, time is unbounded");
    assert_eq!(value(&text, "trouble"), trouble);
    assert_eq!(value(&text, "leases"), "rest on a drift of 500 ppm at most");
    source.write(&source.fresh());
    assert_eq!(world.ask(&get("/v1/clock")).only().status, 200);
    let text = world.text("/v1/status");
    assert_eq!((value(&text, "clock"), value(&text, "trouble")), ("synchronized", "-"));
}

#[test]
fn a_copy_that_serves_says_so() {
    let source = Source::new("copy");
    source.write(&source.fresh());
    let mut world = source.world();
    assert_eq!(json(&world.ask(&get("/v1/clock")).only())["trouble"], Value::Null);
    writer::patch(&source.path, midge::clockbound::GENERATION_OFFSET, &7_u16.to_ne_bytes());
    let answer = json(&world.ask(&get("/v1/clock")).only());
    assert_eq!(answer["status"], "synchronized");
    assert_eq!(answer["trouble"], format!("{}: it is being written", source.paths[0]));
}

#[test]
fn a_clock_that_is_off_says_so() {
    let mut world = Fleet::world(1);
    let answer = world.ask(&get("/v1/clock")).only();
    assert_eq!(answer.status, 503);
    let error = json(&answer)["error"].as_str().unwrap().to_string();
    assert!(error.starts_with("time is unbounded: the agent has --clockbound off. "), "{error}");
    assert_eq!(world.ask(b"POST /v1/clock HTTP/1.1\r\nHost: x\r\n\r\n").only().status, 405);
}

/// What there is to do about every error.
#[test]
fn every_error_has_a_remedy() {
    use SegmentError as S;
    let again = "restart the ClockBound daemon";
    for (cause, expected) in [
        (Cause::System(Errno::ENOENT), "start the ClockBound daemon"),
        (Cause::System(Errno::ENOTDIR), "start the ClockBound daemon"),
        (Cause::System(Errno::EACCES), "make it readable"),
        (Cause::System(Errno::EPERM), "make it readable"),
        (Cause::System(Errno::EMFILE), "raise this limit"),
        (Cause::System(Errno::ENFILE), "raise this limit"),
        (Cause::System(Errno::ENOMEM), "raise this limit"),
        (Cause::System(Errno::EIO), "name a segment"),
        (Cause::System(Errno::ELOOP), "name a segment"),
        (Cause::System(Errno::ENAMETOOLONG), "name a segment"),
        (Cause::System(Errno::ENODEV), "name a segment"),
        (Cause::NotAFile, "name a segment"),
        (Cause::Segment(S::Magic), "name a segment"),
        (Cause::Segment(S::Version), "name another segment"),
        (Cause::Segment(S::Short), again),
        (Cause::Segment(S::Size), again),
        (Cause::Segment(S::NeverWritten), again),
        (Cause::Segment(S::Busy), again),
        (Cause::Segment(S::AsOf), again),
        (Cause::Segment(S::VoidAfter), again),
        (Cause::Segment(S::Bound), again),
        (Cause::Segment(S::Drift), again),
        (Cause::Segment(S::Period), again),
        (Cause::Segment(S::Status), again),
        (Cause::Segment(S::DisruptionSupport), again),
        (Cause::Clock(ClockError::Causality), again),
        (Cause::Clock(ClockError::Range), again),
        (Cause::NoCounter, "as /var/run/clockbound/shm0"),
        (Cause::SteppedBack, "later readings count again"),
    ] {
        let trouble = Trouble { path: "/run/shm", is_vm_clock: false, cause };
        assert!(remedy(&trouble).contains(expected), "{cause}: {}", remedy(&trouble));
        let of_vm_clock = Trouble { is_vm_clock: true, ..trouble };
        assert!(remedy(&of_vm_clock).contains("mount it"), "{cause}");
    }
}
