//! The man page, in the macros of man(7).

use std::fmt::Write;

use super::{Described, Parts, described, help, summary, texts};
use crate::cli::{COMMANDS, Command};

/// The man page of the program, section 1.
pub fn man_page() -> String {
    let overview = Parts::of(help::OVERVIEW);
    let mut out = String::new();
    // A page as a `String` cannot fail.
    let _ = writeln!(
        out,
        ".TH MIDGE 1 \"\" \"midge {}\" \"User Commands\"\n.SH NAME\nmidge \\- a tiny cluster agent",
        env!("CARGO_PKG_VERSION")
    );
    section(&mut out, "SYNOPSIS");
    out += ".nf\n";
    for command in &COMMANDS {
        for usage in Parts::of(command.help).usage {
            let _ = writeln!(out, ".B {}", escaped(&usage));
        }
    }
    out += ".fi\n";
    section(&mut out, "DESCRIPTION");
    let [about, rest @ ..] = &overview.paragraphs[..] else { panic!("the overview says nothing") };
    let about = about.split_once(": ").map_or(about.as_str(), |(_, about)| about);
    let _ = writeln!(out, "midge is {}", escaped(about));
    for paragraph in rest {
        let _ = writeln!(out, ".PP\n{}", escaped(paragraph));
    }
    section(&mut out, "COMMANDS");
    COMMANDS.iter().for_each(|command| about_command(&mut out, command));
    section(&mut out, "EXAMPLE");
    let (of, lines) = &overview.example;
    let _ = writeln!(out, "{}:", escaped(of));
    example(&mut out, lines);
    out
}

fn section(out: &mut String, name: &str) {
    let _ = writeln!(out, ".SH {name}");
}

fn about_command(out: &mut String, command: &Command) {
    let _ = writeln!(out, ".SS midge {}\n{}", command.name, escaped(&sentence(&summary(command))));
    for option in described(command) {
        about_option(out, &option);
    }
    for text in texts(command) {
        for paragraph in &text.paragraphs {
            let _ = writeln!(out, ".PP\n{}", escaped(paragraph));
        }
        example(out, &text.example.1);
    }
}

fn about_option(out: &mut String, option: &Described) {
    let Described { flag, placeholder, text } = option;
    let short =
        flag.letter().map(char::from).map_or(String::new(), |short| format!("\\-{short}, "));
    let value = if placeholder.is_empty() { String::new() } else { format!(" {placeholder}") };
    let long = escaped(&format!("--{}", flag.name()));
    let _ = writeln!(out, ".TP\n\\fB{short}{long}\\fR{}\n{}", escaped(&value), escaped(text));
}

fn example(out: &mut String, lines: &[String]) {
    if !lines.is_empty() {
        let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let _ = writeln!(out, ".PP\n.EX\n{}\n.EE", lines.join("\n"));
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map_or(String::new(), |first| first.to_uppercase().collect());
    format!("{first}{}.", chars.as_str())
}

/// Nothing in it is a macro, and hyphens are what they are on the command line.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
