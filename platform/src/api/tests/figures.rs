//! `GET /v1/stats` and `GET /metrics`.

use std::collections::BTreeMap;

use midge::Reject;

use super::*;
use crate::http::Stats as Http;

/// A world in which every figure of the agent has another value.
fn world() -> World<Fleet> {
    let mut world = Fleet::world(3);
    let source = clock::Source::new("metrics");
    source.write(&source.fresh());
    world.app.time = source.time();
    world.app.time.tell(&mut world.app.nodes[0]);
    world.app.counters = Counters {
        http: Http {
            connections: 101,
            requests: 102,
            refused: 103,
            timeouts: 104,
            busy: 105,
            evicted: 106,
            accept_errors: 107,
        },
        send_dropped: 108,
        log_dropped: 109,
        state_errors: 121,
        hooks: HookStats { runs: 113, failed: 114, merged: 115, lost: 116 },
        allocations: 110,
        rounds: 111,
        busy_us: 12_000_034,
        longest_us: 1_112,
    };
    world
}

#[test]
fn every_counter_is_in_the_stats() {
    let mut world = world();
    let _ = world.app.nodes[0].handle_datagram(world.now, address(9), &[0]);
    let stats = world.app.nodes[0].stats();
    assert!(stats.probes > 0 && stats.datagrams_in > 0);
    let answer = json(&world.ask(&get("/v1/stats")).only());
    for (name, value) in [
        ("datagrams_in", stats.datagrams_in),
        ("datagrams_out", stats.datagrams_out),
        ("bytes_in", stats.bytes_in),
        ("bytes_out", stats.bytes_out),
        ("unknown_sections", stats.unknown_sections.into()),
        ("probes", stats.probes.into()),
        ("probes_failed", stats.probes_failed.into()),
        ("refutations", stats.refutations.into()),
        ("reconciliations", stats.reconciliations.into()),
        ("rows_refused", stats.rows_refused.into()),
        ("accusations_ignored", stats.accusations_ignored.into()),
        ("requests_ignored", stats.requests_ignored.into()),
        ("epochs_ignored", stats.epochs_ignored.into()),
        ("overflows", stats.overflows.into()),
        ("events_lost", stats.events_lost.into()),
        ("rtt_us", stats.rtt_us.into()),
        ("api_connections", 101),
        ("api_requests", 102),
        ("api_refused", 103),
        ("api_timeouts", 104),
        ("api_busy", 105),
        ("api_evicted", 106),
        ("api_accept_errors", 107),
        ("send_dropped", 108),
        ("log_dropped", 109),
        ("state_errors", 121),
        ("hook_runs", 113),
        ("hook_failures", 114),
        ("hook_events_merged", 115),
        ("hook_events_lost", 116),
        ("allocations", 110),
        ("loop_rounds", 111),
        ("loop_busy_us", 12_000_034),
        ("loop_longest_us", 1_112),
        ("events", 0),
    ] {
        assert_eq!(answer[name], value, "{name}");
    }
    let rejects = answer["rejects"].as_object().unwrap();
    assert_eq!(rejects.len(), Reject::COUNT);
    assert_eq!(answer["rejects"]["short"], 1);
    assert_eq!(answer.as_object().unwrap().len(), 36, "and nothing that this test does not know");
}

#[test]
fn stats_as_text() {
    let text = world().text("/v1/stats");
    for line in [
        "api_accept_errors         107",
        "loop_longest_us           1112",
        "rejects bad_tag           0",
    ] {
        assert!(text.lines().any(|given| given == line), "{line:?} in\n{text}");
    }
}

/// What a strict reader of the Prometheus text format 0.0.4 finds.
struct Exposition {
    /// By name and labels.
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Exposition {
    fn parse(text: &str) -> Self {
        let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
        let mut current: Option<&str> = None;
        assert!(text.ends_with('\n') && !text.contains('\r'));
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(kind == "counter" || kind == "gauge", "{line}");
                assert!(is_name(name), "{line}");
                assert!(
                    !kinds.contains_key(name),
                    "{name} is described twice, or not in one group"
                );
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                kinds.insert(name.to_string(), kind.to_string());
                current = Some(name);
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let name = match series.split_once('{') {
                    None => series,
                    Some((name, labels)) => {
                        let label = labels.strip_suffix("\"}").expect("the end of a label");
                        let (label, value) = label.split_once("=\"").expect("a label");
                        assert!(is_name(label) && !value.contains(['"', '\\']), "{line}");
                        name
                    }
                };
                assert!(is_name(name) && Some(name) == current, "{line}");
                let valid = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                assert!(valid, "{line}");
                let value = value.parse().expect("a number");
                assert!(samples.insert(series.to_string(), value).is_none(), "{line}: twice");
            }
        }
        for name in kinds.keys() {
            let of = |series: &String| series.split('{').next() == Some(name.as_str());
            assert!(samples.keys().any(of), "{name} has no sample");
        }
        Self { samples, kinds }
    }
}

#[test]
fn metrics_are_what_prometheus_reads() {
    let mut world = world();
    world.app.ready = true;
    let answer = world.ask(&get("/metrics")).only();
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let Exposition { samples, kinds } = Exposition::parse(answer.text());
    for (series, value) in [
        ("midge_members{state=\"alive\"}", 3.0),
        ("midge_members{state=\"left\"}", 0.0),
        ("midge_rejects_total{reason=\"bad_tag\"}", 0.0),
        ("midge_build_info{version=\"1.2.3\"}", 1.0),
        ("midge_api_busy_total", 105.0),
        ("midge_loop_busy_seconds_total", 12.000_034),
        ("midge_loop_longest_seconds", 0.001_112),
        ("midge_allocations_total", 110.0),
        ("midge_capacity", 64.0),
        ("midge_health", 0.0),
        ("midge_ready", 1.0),
        ("midge_joined", 1.0),
        ("midge_isolated", 0.0),
        ("midge_uptime_seconds", 5.0),
        ("midge_clock_status{status=\"synchronized\"}", 1.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}");
    }
    assert_eq!(kinds["midge_members"], "gauge");
    assert_eq!(kinds["midge_probes_total"], "counter");
    assert!(samples.contains_key("midge_rtt_seconds"));
    let bound = samples["midge_clock_bound_seconds"];
    assert!((0.001..1.0).contains(&bound), "{bound}");
    let sources = samples.iter().filter(|(series, _)| series.starts_with("midge_clock_source{"));
    let sources: Vec<_> = sources.collect();
    assert!(matches!(sources[..], [(series, 1.0)] if series.ends_with("/shm\"}")), "{sources:?}");
}

/// No figure stands for one that is not known.
#[test]
fn metrics_without_a_clock() {
    let answer = Fleet::world(1).ask(&get("/metrics")).only();
    let Exposition { samples, kinds } = Exposition::parse(answer.text());
    assert_eq!(samples["midge_clock_status{status=\"off\"}"], 1.0);
    assert!(!kinds.contains_key("midge_clock_bound_seconds"));
    assert!(!kinds.contains_key("midge_clock_source"));
}

/// When the numbers are large, a page does not hold them all.
#[test]
fn metrics_in_pages() {
    let mut world = world();
    let whole = world.ask(&get("/metrics")).only();
    let (mut paged, mut pages, mut cursor) = (String::new(), 0, Cursor::default());
    let api = world.app.api();
    loop {
        let mut space = [0; 2_048];
        let mut page = Page::new(&mut space);
        let next = api.metrics_page(cursor, &mut page);
        paged += core::str::from_utf8(page.written()).unwrap();
        pages += 1;
        match next {
            Next::More(at) => cursor = at,
            next => break assert_eq!(next, Next::Done),
        }
    }
    assert!(pages > 1 && pages < 5, "{pages}");
    assert_eq!(paged, whole.text());
}

/// The document says what there is, no more and no less.
#[test]
fn metrics_are_documented() {
    let document = include_str!("../../../../docs/metrics.md");
    let answer = world().ask(&get("/metrics")).only();
    let Exposition { kinds, .. } = Exposition::parse(answer.text());
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_string());
    let documented: Vec<String> = document
        .lines()
        .filter_map(row)
        .map(|name| name.split('{').next().unwrap().into())
        .collect();
    assert!(kinds.keys().all(|name| documented.contains(name)), "{kinds:?}\n{documented:?}");
    assert!(documented.iter().all(|name| kinds.contains_key(name)), "{kinds:?}\n{documented:?}");
}
