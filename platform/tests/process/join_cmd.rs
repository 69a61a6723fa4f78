//! `--join-cmd`: a program that names members to join through.

use std::fs;

use crate::harness::{Agent, Directory, Options, eventually, one_view};

fn asking(command: String) -> Options {
    Options { more: vec!["--join-cmd".into(), command], ..Options::default() }
}

#[test]
fn what_it_prints_is_joined() {
    let seed = Agent::start(&Options::default());
    let directory = Directory::new();
    let count = directory.path("count");
    // A line that is no address is named in the log; the others count.
    let command = format!(
        "sh -c 'echo run >> {}; printf \"# seeds\\n\\nnot an address\\n%s\\n\" {}'",
        count.display(),
        seed.addr()
    );
    let agent = Agent::start(&asking(command));
    one_view(&[&seed, &agent]);
    agent.logged(&["seeds=join-cmd", "line=3", "not an address"]);
    eventually("it has joined", || {
        let status = agent.get("/v1/status")?;
        if status["joined"] == true { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(fs::read_to_string(&count).unwrap(), "run\n");
}

/// It is not the first of its cluster because the program says nothing; and what a program that
/// failed has said does not count.
#[test]
fn one_that_fails_makes_no_first_node() {
    let seed = Agent::start(&Options::default());
    for (command, words) in [
        ("/nowhere/seeds".to_string(), "there is no such program"),
        (format!("sh -c 'echo {}; exit 3'", seed.addr()), "exit status 3"),
        (format!("sh -c 'echo {}; yes'", seed.addr()), "it wrote too much"),
    ] {
        let agent = Agent::start(&asking(command));
        agent.logged(&["warn event=command_failed option=join-cmd", words]);
        let status = agent.get("/v1/status").unwrap();
        assert_eq!(status["joined"], false, "{status}");
        assert_eq!(status["seeds"].as_array().unwrap().len(), 0, "{status}");
        // Told of a member by other means, it joins.
        assert!(agent.client(&["join", seed.addr()]).status.success());
        agent.sees(seed.addr(), "alive");
    }
}

/// One that succeeds and names nobody says that this is the first node.
#[test]
fn one_that_names_nobody_makes_the_first_node() {
    let agent = Agent::start(&asking("true".into()));
    eventually("it is the first", || {
        let status = agent.get("/v1/status")?;
        if status["joined"] == true { Ok(()) } else { Err(status.to_string()) }
    });
    agent.logged(&["event=joined"]);
}

/// Nodes that boot together do not ask together: of eight, one takes more than a third of a second
/// at least.
#[test]
fn it_is_asked_at_a_time_of_its_own() {
    let directory = Directory::new();
    let paths: Vec<_> = (0..8).map(|at| directory.path(&format!("asked-{at}"))).collect();
    let options: Vec<_> =
        paths.iter().map(|path| asking(format!("touch {}", path.display()))).collect();
    let agents = Agent::start_all(&options);
    let delays = agents.iter().zip(&paths).map(|(agent, path)| {
        let asked = eventually("it asks", || {
            fs::metadata(path).and_then(|file| file.modified()).map_err(|_| agent.log())
        });
        let up = fs::metadata(agent.api()).unwrap().modified().unwrap();
        asked.duration_since(up).unwrap_or_default().as_millis()
    });
    let delays: Vec<_> = delays.collect();
    assert!(delays.iter().any(|ms| *ms > 333), "{delays:?}");
}
