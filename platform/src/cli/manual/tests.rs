//! Everything in the table is in what is made from it, and shells that are there can read it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::super::COMMANDS;
use super::{
    Described, Parts, Values, arguments, bash, described, first_word, fish, man_page, texts, zsh,
};

#[test]
fn a_help_tells_of_all_options_of_its_command_and_of_no_others() {
    for command in &COMMANDS {
        let described = described(command);
        assert_eq!(described.len(), command.flags.len() + 1);
        for Described { flag, placeholder, text } in &described {
            assert_eq!(flag.takes_value(), !placeholder.is_empty(), "--{}", flag.name());
            assert!(!text.is_empty(), "{} --{}", command.name, flag.name());
        }
        for entry in texts(command).iter().flat_map(|text| &text.entries) {
            for head in entry.heads.iter().filter(|head| head.starts_with("--")) {
                let long = first_word(head).trim_start_matches('-');
                let known = command.flags.iter().any(|flag| flag.name() == long);
                assert!(known, "{} has no option {head}", command.name);
            }
        }
    }
}

#[test]
fn every_command_and_option_is_in_the_man_page_and_in_the_completions() {
    let man = man_page().replace("\\-", "-");
    for (name, text, dashes) in
        [("man", man, "--"), ("bash", bash(), "--"), ("zsh", zsh(), "--"), ("fish", fish(), "-l ")]
    {
        for command in &COMMANDS {
            assert!(text.contains(command.name), "{name} lacks {}", command.name);
            for flag in command.flags {
                let option = format!("{dashes}{}", flag.name());
                assert!(text.contains(&option), "{name} lacks {option}");
            }
        }
    }
}

#[test]
fn values_that_can_be_listed_are() {
    let log = Values::Words(vec!["error", "warn", "info", "debug", "trace"]);
    let of = |name: &str| arguments(COMMANDS.iter().find(|command| command.name == name).unwrap());
    assert_eq!(of("log"), log);
    assert_eq!(of("tag"), Values::Words(vec!["set", "rm"]));
    assert_eq!(of("decode"), Values::Files);
    assert_eq!((of("join"), of("members")), (Values::Any, Values::Any));
    assert_eq!(Values::of("S,..."), Values::Words(vec!["alive", "suspect", "failed", "left"]));
}

#[test]
fn helps_are_read_in_their_parts() {
    let parts = Parts::of(&[
        "usage: midge x [OPTION ...]    does it\n       midge x rm\n\n  -q, --quiet    a\n",
        "                 b\n  --to A[:P],... c  d\n  --k V, --l W   both\n\nOne\ntwo.\n\n",
        "example: midge x\n",
    ]);
    assert_eq!(parts.usage, ["midge x [OPTION ...]", "midge x rm"]);
    assert_eq!(parts.summary, "does it");
    let heads: Vec<_> = parts.entries.iter().map(|entry| entry.heads.join("|")).collect();
    assert_eq!(heads, ["-q|--quiet", "--to A[:P],... c", "--k V|--l W"]);
    assert_eq!(parts.entries[0].text, "a b");
    assert_eq!(parts.paragraphs, ["One two."]);
    assert_eq!(parts.example.1, ["midge x"]);
}

/// Hands a text to a program that finds mistakes in it.
fn is_accepted(program: &str, arguments: &[&str], text: &str) {
    let piped = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = piped.unwrap_or_else(|error| panic!("{program}: {error}; see: make setup"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program}: {said}");
}

#[test]
fn shells_and_man_accept_what_is_made_for_them() {
    is_accepted("bash", &["-n"], &bash());
    is_accepted("zsh", &["-n"], &zsh());
    is_accepted("fish", &["--no-execute"], &fish());
    is_accepted("mandoc", &["-Tlint", "-Werror"], &man_page());
    is_accepted("man", &["--warnings=w", "-l", "-"], &man_page());
}

/// bash completes as a person expects.
#[test]
fn bash_completes() {
    let complete = |words: &[&str]| {
        let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "{}\ncompopt() {{ echo files; }}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_midge\n\
             echo \"${{COMPREPLY[@]}}\"",
            bash(),
            list.join(" "),
            words.len() - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output();
        let output = output.expect("every host of these tests has bash");
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    };
    assert_eq!(complete(&["midge", "mem"]), "members");
    assert_eq!(complete(&["midge", "agent", "--per"]), "--period");
    assert_eq!(complete(&["midge", "agent", "--log", "d"]), "debug");
    assert_eq!(complete(&["midge", "agent", "--api", ""]), "files");
    assert_eq!(complete(&["midge", "agent", "--bind", ""]), "");
    assert_eq!(complete(&["midge", "tag", "s"]), "set");
    assert_eq!(complete(&["midge", "decode", "x"]), "files");
    assert_eq!(complete(&["midge", "decode", "--j"]), "--json");
}
