//! True time: what the agent and `midge clock` say of segments, good and bad, that come, change and
//! go.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use midge::clockbound::{ClockStatus, GENERATION_OFFSET, Layout, Segment};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    Agent, Directory, Options, Running, command, eventually, midge, skip, stderr, stdout,
};
use crate::writer::{Now, Writer, encode, fresh, patch};

const HOUR_NS: i64 = 3_600_000_000_000;

/// The page that a segment may demand, and where an agent looks for segments by itself.
const VM_CLOCK: &str = "/dev/vmclock0";
const BY_ITSELF: [&str; 3] =
    ["/var/run/clockbound/shm1", "/var/run/clockbound/shm0", "/var/run/clockbound/shm"];

fn good() -> Segment {
    fresh(Layout::V2, Now::read(), HOUR_NS)
}

fn name(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// An agent that reads this segment.
fn reader(path: &Path) -> Agent {
    let more = vec![format!("--clockbound={}", path.display())];
    Agent::start(&Options { more, ..Options::default() })
}

/// The statuses that events of the clock have told, one after the other. Another reason for the same
/// may be told after a minute.
fn told(agent: &Agent) -> Vec<String> {
    let log = agent.log();
    let events = log.lines().filter_map(|line| line.split_once("event=clock status="));
    let mut told: Vec<_> =
        events.map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_string()).collect();
    told.dedup();
    told
}

fn until_told(agent: &Agent, statuses: &[&str]) {
    eventually("the clock's events", || {
        let told = told(agent);
        if told == statuses { Ok(()) } else { Err(format!("{told:?}\n{}", agent.log())) }
    });
}

/// Bytes with one of them changed.
fn with(segment: &Segment, at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = encode(segment);
    bytes[at] = byte;
    bytes
}

/// What a file may hold that is of no use, with what is said of it and what to do.
fn bad() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let good = good();
    let again = "restart the ClockBound daemon";
    let changed = |change: &dyn Fn(&mut Segment)| {
        let mut segment = good;
        change(&mut segment);
        encode(&segment)
    };
    vec![
        (Vec::new(), "it is too short", again),
        (encode(&good)[..79].to_vec(), "it is too short", again),
        (b"some other file, and quite long".to_vec(), "wrong number", "name a segment"),
        (with(&good, 12, 4), "unknown version", "name another segment"),
        (with(&good, 9, 1), "wrong size", again),
        (with(&good, 14, 0), "not been written yet", again),
        (with(&good, 14, 7), "it is being written", again),
        (with(&good, 31, 1), "as_of is out of range", again),
        (with(&good, 47, 1), "void_after is out of range", again),
        (changed(&|segment| segment.bound_ns = -1), "bound is negative", again),
        (changed(&|segment| segment.max_drift_ppb = 1_000_000_000), "drift is out of range", again),
        (with(&good, 68, 9), "status is unknown", again),
        (with(&good, 72, 2), "disruption support is unknown", again),
        (changed(&|segment| segment.as_of_ns += HOUR_NS), "written later than now", again),
        (changed(&|segment| segment.bound_ns = i64::MAX), "64 bits of nanoseconds", again),
    ]
}

/// One line that says what, where and what to do, and the status of what did not work.
fn explained(arguments: &[&str], pieces: &[&str]) {
    let output = midge(arguments);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{pieces:?}: {error}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(error.starts_with("midge: ") && error.lines().count() == 1, "{error}");
    assert!(pieces.iter().all(|piece| error.contains(piece)), "{error} has not {pieces:?}");
}

#[test]
fn each_bad_segment_is_explained_and_the_agent_goes_on() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let (segment, agent) = (name(&path), reader(&path));
    let api = name(agent.api());
    let both = |what: &str, remedy: &str| {
        explained(&["clock", "--segment", segment], &[segment, what, remedy]);
        let by_agent =
            ["the agent says: time is unbounded", "a drift of 500 ppm", segment, what, remedy];
        explained(&["clock", "--api", api], &by_agent);
        explained(&["clock", "--json", "--api", api], &by_agent);
    };
    both("No such file", "start the ClockBound daemon");
    for (bytes, what, remedy) in bad() {
        fs::write(&path, bytes).unwrap();
        both(what, remedy);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    // Root may read even that.
    if fs::read(&path).is_err() {
        both("Permission denied", "make it readable");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    both("it is not a file", "name a segment");
    fs::remove_dir(&path).unwrap();

    // Why there is none has been told once, and then that there is one.
    fs::write(&path, encode(&good())).unwrap();
    until_told(&agent, &["unavailable", "synchronized"]);
    agent.logged(&["warn event=clock", segment, "midge clock says what to do"]);
    assert!(agent.client(&["clock"]).status.success());
    assert!(agent.client(&["status", "--check"]).status.success());
}

#[test]
fn a_marker_that_is_demanded_and_cannot_be_read() {
    if Path::new(VM_CLOCK).exists() {
        return skip("a_marker_that_is_demanded_and_cannot_be_read");
    }
    let directory = Directory::new();
    let path = directory.path("shm");
    let mut segment = good();
    segment.disruption_support = true;
    fs::write(&path, encode(&segment)).unwrap();
    let agent = reader(&path);
    let pieces = [VM_CLOCK, "No such file", "mount it", "PrivateDevices=no"];
    explained(&["clock", "--segment", name(&path)], &pieces);
    explained(&["clock", "--api", name(agent.api())], &pieces);
    agent.logged(&["event=clock status=unavailable", VM_CLOCK]);
    let clock = &agent.get("/v1/status").unwrap()["clock"];
    assert_eq!((&clock["leases"], &clock["max_drift_ppm"]), (&"monotonic".into(), &500.into()));
}

/// A source appears, changes its status, is disrupted, comes again and goes away.
#[test]
fn what_becomes_of_a_segment_is_told() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let hook = directory.path("hook");
    let agent = Agent::start(&Options {
        more: vec![
            format!("--clockbound={}", path.display()),
            "--max-drift-ppm=300".into(),
            format!("--on-event=sh -c 'cat >> {}'", hook.display()),
        ],
        ..Options::default()
    });
    until_told(&agent, &["unavailable"]);
    let writer = Writer::start(&path, Layout::V2);
    let mut segment = good();
    let mut statuses = vec!["unavailable"];
    for status in [
        ClockStatus::Synchronized,
        ClockStatus::FreeRunning,
        ClockStatus::Disrupted,
        ClockStatus::Unknown,
        ClockStatus::Synchronized,
    ] {
        segment.status = status;
        writer.update(&segment);
        statuses.push(status.name());
        until_told(&agent, &statuses);
        let clock = &agent.get("/v1/status").unwrap()["clock"];
        assert_eq!(
            (&clock["status"], &clock["max_drift_ppm"]),
            (&status.name().into(), &300.into())
        );
        let leases = if status.is_usable_for_leases() { "true_time" } else { "monotonic" };
        assert_eq!(clock["leases"], leases);
    }
    // The copy serves until it is void.
    segment = fresh(Layout::V2, Now::read(), 3_000_000_000);
    writer.update(&segment);
    agent.get("/v1/clock").expect("it is good");
    fs::remove_file(&path).unwrap();
    writer.begin();
    statuses.push("unavailable");
    until_told(&agent, &statuses);

    let is_info = |line: &str| line.contains("info event=clock ");
    let infos = agent.log().lines().filter(|line| is_info(line)).count();
    assert_eq!(infos, 3, "{}", agent.log());
    // Hooks hear the same.
    eventually("the hook has run for each", || {
        let given = fs::read_to_string(&hook).unwrap_or_default();
        let events: Vec<Value> =
            given.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let of_clock = events.iter().filter(|event| event["event"] == "clock");
        let told: Vec<_> =
            of_clock.map(|event| event["detail"]["status"].as_str().unwrap().to_string()).collect();
        if told == statuses { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

#[test]
fn a_clock_that_steps_back_is_told_and_goes_on() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let writer = Writer::start(&path, Layout::V3);
    let now = Now::read();
    writer.update(&fresh(Layout::V3, now, HOUR_NS));
    let agent = reader(&path);
    until_told(&agent, &["synchronized"]);
    let earlier = Now { realtime_ns: now.realtime_ns - HOUR_NS / 2, ..now };
    writer.update(&fresh(Layout::V3, earlier, HOUR_NS));
    until_told(&agent, &["synchronized", "unavailable", "synchronized"]);
    agent.logged(&["event=clock status=unavailable", "it was later before"]);
}

#[test]
fn a_daemon_that_starts_again_under_an_agent_is_no_event() {
    let directory = Directory::new();
    let path = directory.path("shm");
    Writer::start(&path, Layout::V2).update(&good());
    let agent = reader(&path);
    until_told(&agent, &["synchronized"]);
    for round in 0..200 {
        let writer = Writer::start(&path, Layout::V2);
        let between = agent.get("/v1/clock").expect("the copy serves");
        writer.update(&good());
        let after = agent.get("/v1/clock").expect("there is a new state");
        assert!(between["trouble"].is_string() && after["trouble"].is_null(), "round {round}");
    }
    assert_eq!(told(&agent), ["synchronized"]);
}

/// Most machines have no ClockBound: nothing is said of it unless somebody asks.
#[test]
fn a_machine_without_a_daemon_is_no_news() {
    if BY_ITSELF.iter().any(|path| Path::new(path).exists()) {
        return skip("a_machine_without_a_daemon_is_no_news");
    }
    let agent = Agent::start(&Options::default());
    explained(&["clock", "--api", name(agent.api())], &[BY_ITSELF[0], "No such file"]);
    let status = stdout(&agent.client(&["status"]));
    let clock = "\nclock        unavailable, time is unbounded\n";
    assert!(status.contains(clock), "{status}");
    assert!(status.contains("\nleases       rest on a drift of 500 ppm at most\n"), "{status}");
    agent.dump();
    assert_eq!(told(&agent), [""; 0]);
}

#[test]
fn a_clock_that_is_off_says_so() {
    let environment =
        vec![("MIDGE_CLOCKBOUND", "off".into()), ("MIDGE_MAX_DRIFT_PPM", "10000".into())];
    let agent = Agent::start(&Options { environment, ..Options::default() });
    let pieces = ["the agent has --clockbound off", "a drift of 10000 ppm at most"];
    explained(&["clock", "--api", name(agent.api())], &pieces);
    assert_eq!(agent.get("/v1/status").unwrap()["clock"]["status"], "off");
}

#[test]
fn wrong_values_are_named() {
    let long = format!("/{}", "x".repeat(255));
    for (arguments, piece) in [
        (
            &["agent", "--clockbound", "on"][..],
            "--clockbound: `on` is not auto, off or a path from / on",
        ),
        (&["agent", "--clockbound", "shm0"], "--clockbound: `shm0` is not auto"),
        (&["agent", "--clockbound", &long], "is not auto"),
        (&["agent", "--clockbound", "/a\nb"], "is not auto"),
        (&["agent", "--max-drift-ppm", "0"], "`0` is not a number of parts per million from 1 to"),
        (&["agent", "--max-drift-ppm", "10001"], "--max-drift-ppm: `10001` is not"),
        (&["agent", "--max-drift-ppm", "1.5"], "`1.5` is not"),
        (&["clock", "--segment", ""], "--segment: `` is no path from / on"),
        (&["clock", "--segment", &long], "is no path from / on"),
        (&["clock", "--clockbound", "off"], "unknown option --clockbound"),
    ] {
        let output = midge(arguments);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(
            error.contains(piece) && error.contains(&format!("see: midge {} --help", arguments[0])),
            "{error}"
        );
    }
    let help = stdout(&midge(&["help", "clockbound"]));
    assert!(help.contains("--max-drift-ppm N") && help.contains("example"), "{help}");
    assert!(stdout(&midge(&["agent", "--help"])).contains("midge help clockbound"));
}

#[test]
fn a_segment_is_read_without_an_agent() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let mut segment = good();
    segment.disruption_marker = 7;
    fs::write(&path, encode(&segment)).unwrap();
    let say = |arguments: &[&str]| {
        let mut all = vec!["clock", "--segment", name(&path)];
        all.extend(arguments);
        let output = midge(&all);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let text = say(&[]);
    for start in [
        "source       /",
        "layout       2\n",
        "status       synchronized\n",
        "earliest     2",
        "marker       -\n",
    ] {
        assert!(text.contains(start), "{text}");
    }
    let before = Now::read().realtime_ns;
    let json: Value = serde_json::from_str(&say(&["--json"])).unwrap();
    let after = Now::read().realtime_ns;
    let ns = |field: &str| json[field].as_str().unwrap().parse::<i64>().unwrap();
    assert!(ns("earliest_unix_ns") <= after && ns("latest_unix_ns") >= before, "{json}");

    // Again every second, until nobody reads any more.
    let mut watching = command(&["clock", "--watch", "--segment", name(&path)]);
    let mut watching = Running::start(watching.stdout(Stdio::piped()).stderr(Stdio::null()));
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let times: Vec<_> = lines.filter(|line| line.starts_with("latest ")).take(2).collect();
    assert!(times[0] < times[1], "{times:?}");
    let ended = eventually("it ends with its reader", || {
        watching.try_wait().unwrap().ok_or_else(|| "it runs".into())
    });
    assert_eq!(ended.code(), Some(0));
}

/// A reading may be there and nothing of it certain: it is shown, and the exit status says so.
#[test]
fn a_status_that_bounds_nothing_is_shown_and_fails() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let mut segment = good();
    let writer = Writer::start(&path, Layout::V2);
    writer.update(&segment);
    let agent = reader(&path);
    let ways = [["--segment", name(&path)], ["--api", name(agent.api())]];
    for (status, code) in [
        (ClockStatus::Synchronized, 0),
        (ClockStatus::Unknown, 1),
        (ClockStatus::FreeRunning, 0),
        (ClockStatus::Disrupted, 1),
    ] {
        segment.status = status;
        writer.update(&segment);
        for [option, value] in ways {
            let text = midge(&["clock", option, value]);
            let json = midge(&["clock", "--json", option, value]);
            assert_eq!((text.status.code(), json.status.code()), (Some(code), Some(code)));
            let shown = stdout(&text);
            assert!(shown.contains(&format!("status       {}", status.name())), "{shown}");
            assert_eq!(shown.contains("\nearliest     -\n"), code == 1, "{shown}");
            let answer: Value = serde_json::from_str(&stdout(&json)).unwrap();
            assert_eq!(answer["status"], status.name());
            assert_eq!(answer["earliest"].is_null(), code == 1, "{answer}");
            for output in [text, json] {
                assert_eq!(stderr(&output).contains("time is unbounded"), code == 1, "{output:?}");
            }
        }
    }
}

/// Whoever watches sees what is wrong, and then that it is well again.
#[test]
fn watching_survives_readings_that_fail() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let agent = reader(&path);
    for [option, value] in [["--segment", name(&path)], ["--api", name(agent.api())]] {
        let mut watching = command(&["clock", "--watch", option, value]);
        let watching = watching.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut watching = Running::start(watching);
        let lines = |of: Box<dyn Read>| BufReader::new(of).lines().map(Result::unwrap);
        let mut errors = lines(Box::new(watching.stderr.take().unwrap()));
        let mut shown = lines(Box::new(watching.stdout.take().unwrap()));
        for _ in 0..2 {
            let error = errors.next().expect("it goes on");
            assert!(error.contains("No such file"), "{error}");
        }
        let mut segment = good();
        let writer = Writer::start(&path, Layout::V2);
        for (status, is_certain) in [
            (ClockStatus::Synchronized, true),
            (ClockStatus::Disrupted, false),
            (ClockStatus::Synchronized, true),
        ] {
            segment.status = status;
            writer.update(&segment);
            let wanted = format!("status       {}", status.name());
            assert!(shown.any(|line| line.starts_with(&wanted)), "it goes on: {wanted}");
            let earliest = shown.find(|line| line.starts_with("earliest ")).expect("a whole page");
            assert_eq!(earliest != "earliest     -", is_certain, "{earliest}");
        }
        fs::remove_file(&path).unwrap();
        drop((shown, writer));
        let ended = eventually("it ends with its reader", || {
            watching.try_wait().unwrap().ok_or_else(|| "it runs".into())
        });
        assert_eq!(ended.code(), Some(0));
        assert_eq!(midge(&["clock", "--watch", "--segment", "no/path"]).status.code(), Some(2));
    }
    let nobody = directory.path("nobody");
    let output = midge(&["clock", "--watch", "--api", name(&nobody)]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
}

/// A file that is cut while the agent has it mapped does not kill it.
#[test]
fn a_file_that_is_cut_under_an_agent() {
    let directory = Directory::new();
    let path = directory.path("shm");
    let writer = Writer::start(&path, Layout::V2);
    writer.update(&fresh(Layout::V2, Now::read(), 2_000_000_000));
    let agent = reader(&path);
    until_told(&agent, &["synchronized"]);
    patch(&path, GENERATION_OFFSET, &9_u16.to_ne_bytes());
    fs::write(&path, "").unwrap();
    until_told(&agent, &["synchronized", "unavailable"]);
    agent.signal(Signal::SIGUSR1);
    agent.logged(&["dump end"]);
}
