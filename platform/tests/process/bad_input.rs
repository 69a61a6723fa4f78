//! What an operator can get wrong: each is said clearly, and costs nobody anything.

use std::fs;
use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::harness::{
    Agent, Directory, Options, cluster, command, eventually, midge, one_view, request, stderr,
};

/// Runs `midge agent` with these arguments and a socket of its own, to its end.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let directory = Directory::new();
    let api = directory.path("api");
    let mut all = vec!["agent", "--api", api.to_str().expect("UTF-8")];
    all.extend(arguments);
    let output = midge(&all);
    assert!(!api.exists(), "nothing is left behind");
    (output.status.code(), stderr(&output))
}

/// Wrong usage: status 2, the option and the value in the first line, where to read on in the
/// second.
fn misused(arguments: &[&str], pieces: &[&str]) {
    let (status, error) = refused(arguments);
    assert_eq!(status, Some(2), "{arguments:?}: {error}");
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("midge: "), "{error}");
    for piece in pieces {
        assert!(lines[0].contains(piece), "{piece} is not in {error}");
    }
    assert_eq!(lines[1], "see: midge agent --help");
}

#[test]
fn addresses_that_cannot_be_read() {
    for option in ["--bind", "--advertise", "--join"] {
        for value in [
            "10.0.0",
            "10.0.0.256",
            "10.0.0.1:",
            "10.0.0.1:65536",
            "10.0.0.1:-1",
            "10.0.0.1:x",
            "[fd00::1",
            "[fd00::1]:x",
            "fd00:::1",
            "[10.0.0.1]:6434",
            "fe80::1%eth0",
            " 10.0.0.1",
        ] {
            misused(&[option, value], &[option, &format!("`{value}`")]);
        }
    }
    for option in ["--bind", "--advertise"] {
        for value in ["nonsense", "localhost", "seed-1.example.com:6434"] {
            misused(
                &[option, value],
                &[option, &format!("`{value}`"), "give an IP address, no name"],
            );
        }
    }
    misused(&["--bind", ""], &["--bind", "``"]);
    misused(&["--join", "10.0.0.1,,10.0.0.2"], &["--join", "``"]);
    misused(&["--join", "10.0.0.1,no sense"], &["--join", "`no sense`"]);
    misused(&["--join", "seed..example.com"], &["`seed..example.com`", "1 to 63 letters"]);
    misused(&["--join", "s\u{e9}ed.example.com"], &["xn--"]);
    misused(&["--join", "seed.example.com:0"], &["`seed.example.com:0`"]);
}

#[test]
fn addresses_that_are_nobodys() {
    for value in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255:6434", "ff02::1"] {
        misused(&["--advertise", value], &["--advertise", &format!("`{value}`")]);
        misused(&["--join", value], &["--join", &format!("`{value}`")]);
    }
    misused(&["--join", "10.0.0.1:0"], &["--join", "`10.0.0.1:0`"]);
}

#[test]
fn names_and_tags_that_do_not_fit() {
    let (name_32, name_33) = ("n".repeat(32), "n".repeat(33));
    misused(&["--name", &name_33], &["--name", &name_33, "1 to 32 bytes"]);
    misused(&["--name", ""], &["--name", "1 to 32 bytes"]);
    misused(&["--name", "a\tb"], &["--name", "control characters"]);
    let (tag_128, tag_129) = (format!("k={}", "v".repeat(126)), format!("k={}", "v".repeat(127)));
    misused(&["--tag", &tag_129], &["--tag", "128 bytes in all"]);
    misused(&["--tag", &tag_128, "--tag", "a=b"], &["--tag", "`a=b`", "128 bytes in all"]);
    misused(&["--tag", "novalue"], &["--tag", "`novalue`"]);
    misused(&["--tag", "=value"], &["--tag", "`=value`"]);
    misused(&["--tag", "a=1,a=2"], &["--tag", "`a=2`"]);
    misused(&["--cluster", "a/b"], &["--cluster", "`a/b`"]);
    misused(&["--cluster", &"c".repeat(33)], &["--cluster", "1 to 32 characters"]);

    // The longest that fit do fit.
    let more = vec!["--name".into(), name_32.clone(), "--tag".into(), tag_128];
    let cluster = "c".repeat(32);
    let agent = Agent::start(&Options { cluster, more, ..Options::default() });
    assert_eq!(agent.member(agent.addr()).unwrap().name, name_32);
}

#[test]
fn other_values_that_make_no_sense() {
    misused(&["--api", ""], &["--api: `` is not the path of a socket"]);
    for value in ["49", "60001", "-1", "1.5", "1s", ""] {
        misused(&["--period", value], &["--period", &format!("`{value}`"), "50 to 60000"]);
    }
    misused(&["--log", "loud"], &["--log", "`loud`", "error, warn, info, debug or trace"]);
    misused(&["--nonsense"], &["unknown option --nonsense"]);
    misused(&["-x"], &["unknown option -x"]);
    misused(&["extra"], &["unexpected argument `extra`"]);
    misused(&["--bind"], &["--bind: the value is missing"]);
}

#[test]
fn too_many_seeds() {
    let seeds: Vec<_> = (1..=33).map(|i| format!("127.0.0.{i}")).collect();
    let (status, error) = refused(&["--bind", "127.0.0.1:0", "--join", &seeds.join(",")]);
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("--join: 127.0.0.33:6434: the list of seeds is full (32)"), "{error}");
}

#[test]
fn the_port_of_another_program() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let (status, error) = refused(&["--bind", &taken]);
    assert_eq!(status, Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&taken) && error.contains("has this port"), "{error}");
    assert!(error.contains("--bind"), "{error}");
}

#[test]
fn an_address_of_another_machine() {
    // Documentation addresses (RFC 5737, RFC 3849) are nobody's.
    for address in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        let (status, error) = refused(&["--bind", address]);
        assert_eq!(status, Some(1), "{error}");
        assert!(error.contains(address) && error.contains("--bind ADDR"), "{error}");
    }
}

#[test]
fn the_socket_of_another_agent() {
    let first = Agent::start(&Options::default());
    let api = first.api().to_str().unwrap();
    let output = midge(&["agent", "--bind", "127.0.0.1:0", "--api", api]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains(api) && error.contains("another agent"), "{error}");
    assert!(error.contains("midge leave"), "{error}");
    // The first one still has it.
    assert!(first.client(&["status", "--check"]).status.success());
}

/// Two agents start at once at one path, where nothing is or where a crash has left a socket: one
/// of them gets it, and the other one says so.
#[test]
fn one_path_belongs_to_one_agent() {
    let directory = Directory::new();
    let api = directory.path("api");
    for round in 0..50 {
        if round % 2 == 0 {
            let _ = fs::remove_file(&api);
            drop(UnixListener::bind(&api).unwrap());
        }
        let mut agents = [0, 1].map(|_| {
            let mut command = command(&["agent", "--bind", "127.0.0.1:0", "--api"]);
            command.arg(&api).stderr(Stdio::piped()).spawn().expect("the binary starts")
        });
        let loser = eventually("one of the two ends", || {
            let ended = agents.iter_mut().position(|a| a.try_wait().unwrap().is_some());
            ended.ok_or_else(|| format!("both live in round {round}"))
        });
        let mut error = String::new();
        agents[loser].stderr.take().unwrap().read_to_string(&mut error).unwrap();
        let status = agents[loser].wait().unwrap();
        let winner = &mut agents[1 - loser];
        let answer = eventually("the other one answers", || match winner.try_wait().unwrap() {
            Some(status) => panic!("both ended in round {round}: {status}, {error}"),
            None => request(&api, "GET", "/healthz"),
        });
        // Killed, it leaves its socket; the next round may find it.
        winner.kill().unwrap();
        winner.wait().unwrap();
        assert_eq!(answer, (200, "ok\n".into()));
        assert_eq!(status.code(), Some(1), "{error}");
        assert!(error.contains("another agent answers there"), "{error}");
        if round % 4 == 1 {
            fs::remove_file(&api).unwrap();
        }
    }
}

#[test]
fn a_socket_that_was_left_behind_is_taken_over() {
    let mut first = Agent::start(&Options::default());
    first.crash();
    let api = first.api().to_path_buf();
    assert!(api.exists());
    let second = Agent::start(&Options { api: Some(api), ..Options::default() });
    assert_ne!(second.addr(), first.addr());
    assert!(second.client(&["status", "--check"]).status.success());
}

#[test]
fn a_socket_path_that_cannot_be_had() {
    let directory = Directory::new();
    let file = directory.path("file");
    fs::write(&file, "precious").unwrap();
    let long = directory.path(&"x".repeat(120));
    let nowhere = "/proc/midge/api".into();
    let mut cases =
        vec![(file.clone(), "not a socket"), (long, "107 bytes"), (nowhere, "directory")];
    let own_bytes = directory.path("").as_os_str().len();
    cases.push((directory.path(&"x".repeat(108 - own_bytes)), "longer than the 107 bytes"));
    cases.push((directory.path(""), "this is a directory; give a path in it"));
    let closed = directory.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write even there.
    if fs::write(closed.join("probe"), "").is_err() {
        cases.push((closed.join("api"), "Permission denied"));
    }
    for (path, piece) in cases {
        let shown = path.to_str().unwrap();
        let output = midge(&["agent", "--bind", "127.0.0.1:0", "--api", shown]);
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(&output);
        assert!(error.contains(shown) && error.contains(piece), "{error}");
        assert!(error.contains("--api PATH") && error.lines().count() == 1, "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn the_longest_socket_path() {
    let directory = Directory::new();
    let own_bytes = directory.path("").as_os_str().len();
    for bytes in [106, 107] {
        let api = directory.path(&"x".repeat(bytes - own_bytes));
        let agent = Agent::start(&Options { api: Some(api), ..Options::default() });
        assert!(agent.client(&["status", "--check"]).status.success(), "{bytes} bytes");
    }
}

#[test]
fn another_clusters_name() {
    let agents = cluster(2);
    let stranger = Agent::start(&Options {
        cluster: "other".into(),
        join: vec![agents[0].addr().into()],
        ..Options::default()
    });
    let line = stranger.logged(&["event=no_answer", "another cluster name"]);
    assert!(line.contains("not running") && line.contains("filtered"), "{line}");
    assert_eq!(stranger.get("/v1/status").unwrap()["joined"], false);
    assert_eq!(stranger.members().unwrap().len(), 1);
    agents[0].logged(&["warn event=foreign_cluster", stranger.addr()]);
    assert!(agents[0].rejected("bad_tag") > 0);
    assert_eq!(agents[0].members().unwrap().len(), 2);
    one_view(&agents.iter().collect::<Vec<_>>());
}

/// The one that was there first keeps the address. Whom the other one asks refuses it, and says
/// why; the conflict is reported by whoever has heard from the first since the other was started.
#[test]
fn two_nodes_with_one_address() {
    let agents = cluster(3);
    let contested = agents[1].addr();
    let before = agents[0].member(contested).unwrap();
    let impostor = Agent::start(&Options {
        join: vec![agents[0].addr().into()],
        more: vec![format!("--advertise={contested}")],
        ..Options::default()
    });
    impostor.logged(&[
        "warn event=refused",
        agents[0].addr(),
        "another live node uses this address",
    ]);
    agents[0].logged(&["event=address_conflict", contested]);
    one_view(&agents.iter().collect::<Vec<_>>());
    for agent in &agents {
        let row = agent.sees(contested, "alive");
        assert_eq!(row.epoch, before.epoch, "the older one stays");
    }
}

#[test]
fn two_nodes_with_one_name_are_both_kept() {
    let named = || Options { more: vec!["--name=twin".into()], ..Options::default() };
    let first = Agent::start(&named());
    let second = Agent::start(&Options { join: vec![first.addr().into()], ..named() });
    one_view(&[&first, &second]);
    first.logged(&["warn event=name_conflict", "name=twin", second.addr()]);
}

/// A name cannot pass for what the agent itself says.
#[test]
fn names_are_one_value_in_the_log() {
    let named = |name: &str| Options { more: vec![format!("--name={name}")], ..Options::default() };
    let first = Agent::start(&named("a\\\"b"));
    first.logged(&["info midge=", r#" name="a\\\"b""#]);
    let forger = named("x event=left state=\"ü");
    let second = Agent::start(&Options { join: vec![first.addr().into()], ..forger });
    one_view(&[&first, &second]);
    let name = r#" name="x event=left state=\"ü""#;
    eventually("the name is known", || {
        let dump = first.dump();
        if dump.contains(name) { Ok(()) } else { Err(dump) }
    });
    assert!(!first.log().replace(name, "").contains("event=left"), "{}", first.log());
}

#[test]
fn periods_that_differ_are_reported() {
    let first = Agent::start(&Options::default());
    let second = Agent::start(&Options {
        join: vec![first.addr().into()],
        period_ms: 300,
        ..Options::default()
    });
    one_view(&[&first, &second]);
    let pieces = ["warn event=parameter_mismatch", "period_ms=300", "own_period_ms=200"];
    first.logged(&pieces);
}

#[test]
fn an_address_that_only_this_machine_reaches() {
    let warned = |options: &Options| Agent::start(options).log().contains("only this machine");
    let advertised = |bind: &str, join: &[&str]| Options {
        bind: bind.into(),
        join: join.iter().map(|s| s.to_string()).collect(),
        more: vec!["--advertise=127.0.0.1".into()],
        ..Options::default()
    };
    assert!(warned(&advertised("[::]:0", &[])));
    assert!(warned(&advertised("[::]:0", &["127.0.0.1:1", "10.255.255.1"])));
    assert!(!warned(&advertised("[::]:0", &["127.0.0.1:1"])));
    assert!(!warned(&advertised("127.0.0.1:0", &[])));
}
