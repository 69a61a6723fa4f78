//! `midge decode`, which needs no agent.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Directory, command, midge, stderr, stdout};

const PING: &str = "01 4c f5 d6 5b 00 00 68 e5 cf 8b 01 05 01 02 03 04 01 04 11 12 13 14";

/// Runs it with this on stdin: exit status, stdout, stderr.
fn decode(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let all = [&["decode"], arguments].concat();
    let mut child = command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Whoever refuses the arguments reads nothing.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), stdout(&output), stderr(&output))
}

#[test]
fn a_datagram_is_explained_from_stdin_and_from_a_file() {
    let unchecked = "tag 5bd6f54c, tag_unchecked yes,";
    let expected = &format!(
        "datagram 1, bytes 23, {unchecked} epoch 1700000000000, refutation 5, \
         digest 04030201\n  section ping, number 11121314\n"
    );
    for arguments in [&[][..], &["-"]] {
        let (status, out, error) = decode(arguments, PING);
        assert_eq!((status, &out, error.as_str()), (Some(0), expected, ""));
    }
    let (status, out, _) = decode(&["--cluster", "default"], PING);
    assert_eq!((status, out), (Some(0), expected.replace(unchecked, "tag 5bd6f54c,")));
    let directory = Directory::new();
    let path = directory.path("datagram");
    fs::write(&path, PING).expect("a file");
    let output = midge(&["decode", path.to_str().expect("UTF-8")]);
    assert_eq!(&stdout(&output), expected);
    // The cluster of an agent to be asked is not that of the datagrams.
    let output = command(&["decode", path.to_str().expect("UTF-8")])
        .env("MIDGE_CLUSTER", "other")
        .output()
        .expect("the binary runs");
    assert_eq!(&stdout(&output), expected);
}

#[test]
fn what_is_wrong_is_said_and_the_status_is_1() {
    let input = format!("{PING}\n\n{PING} 00\n\nxyz\n");
    let (status, out, error) = decode(&["--json"], &input);
    assert_eq!(status, Some(1));
    assert_eq!(error, "midge: 2 of 3 datagrams are not well formed\n");
    let objects: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(objects[0]["sections"][0]["section"], "ping");
    assert_eq!(
        (&objects[1]["error"], &objects[1]["offset"]),
        (&"it ends too early".into(), &24.into())
    );
    assert_eq!((&objects[2]["datagram"], &objects[2]["line"]), (&3.into(), &5.into()));
}

#[test]
fn files_and_arguments_that_are_none_are_refused() {
    for (arguments, expected, words) in [
        (&["/no/such/file"][..], Some(1), "/no/such/file: cannot read: No such file"),
        (&["/"], Some(1), "/: cannot read: "),
        (&["a", "b"], Some(2), "unexpected argument `b`"),
        (&["--cluster", "a b"], Some(2), "`a b`"),
        (&["--api", "x"], Some(2), "unknown option --api"),
    ] {
        let (status, out, error) = decode(arguments, "");
        assert_eq!((status, out.as_str()), (expected, ""), "{arguments:?}");
        assert!(error.contains(words), "{error}");
    }
    let (status, out, error) = decode(&[], "# nothing\n");
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(error.contains("there is no datagram"), "{error}");
}
