//! Measures what midge promises about size, and fails when a budget is exceeded.
//!
//! ```text
//! size-report [--write] BUDGET BASELINE AGENT NAME=FILE...
//! ```
//!
//! For each `NAME=FILE`, an ELF file, it prints bytes by section and by crate; crates are known
//! from the linker's map beside it (`FILE.map`), or where there is none from the symbol table. The
//! file AGENT is also run. For `NAME=WITH,WITHOUT` it measures by how much the one file is longer
//! than the other: what it costs a program to have what only the first one has. Then it prints which sections and crates differ from the baseline file,
//! or writes that file, and every measured value against the budget file: one `key = bytes` a line.
//! A value above its budget, a value without a budget and a budget without a value each fail.

mod agent;
mod baseline;
mod budget;
mod crates;
mod dependencies;
mod figures;
mod image;
mod map;
mod stack;

use std::fmt::Write as _;
use std::process::ExitCode;

use figures::{Figures, grouped};
use image::Image;
use midge::Swim;

/// A value, or what was wrong with the input.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let (flags, arguments): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument == "--write");
    match run(&arguments, !flags.is_empty()) {
        Ok((report, kept)) => {
            print!("{report}");
            if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("size-report: {error}");
            ExitCode::from(2)
        }
    }
}

/// The report, and whether every budget was kept.
fn run(arguments: &[String], write: bool) -> Result<(String, bool)> {
    let usage = "usage: size-report [--write] BUDGET BASELINE AGENT NAME=FILE...";
    let [budgets, baseline, program, files @ ..] = arguments else { return Err(usage.into()) };
    let budgets = figures::read(budgets)?;
    let mut report = String::new();
    let mut measured = memory();
    let mut built = Figures::new();
    for file in files {
        let (name, path) = file.split_once('=').ok_or(usage)?;
        if let Some((with, without)) = path.split_once(',') {
            measured.insert(format!("{name}.growth"), growth(with, without)?);
            continue;
        }
        let image = Image::read(path)?;
        let _ = writeln!(report, "{name}: {path}\n{image}");
        measured.extend(image.values(name));
        built.extend(image.shares(name));
    }
    let image = Image::read(program)?;
    measured.insert("agent.static".into(), image.static_bytes());
    measured.insert("agent.tables".into(), image.static_named("NODE").ok_or("no static NODE")?);
    measured.insert("dependencies.agent".into(), dependencies::count("midge-agent")?);
    measured.insert("dependencies.core".into(), dependencies::count("midge")?);
    built.extend(measured.clone());
    if write {
        baseline::write(baseline, &built)?;
    }
    baseline::compare(&figures::read(baseline)?, &built, &mut report);

    // These differ a little from run to run, so that they are no part of the baseline.
    let usage = agent::measure(program)?;
    measured.insert("agent.resident".into(), usage.resident);
    measured.insert("agent.anonymous".into(), usage.anonymous);
    measured.insert("agent.stack".into(), usage.stack);
    measured.insert("memory.stack_of_swim_32".into(), stack::of_core()?);
    let proportional = usage.proportional;
    let _ = writeln!(report, "a running agent: {proportional} bytes, shared pages in part\n");
    let kept = budget::compare(&budgets, &measured, &mut report);
    report.push('\n');
    for (name, value) in &measured {
        let unit = if name.starts_with("dependencies.") { "" } else { " B" };
        let _ = writeln!(report, "numbers: budget::{name} {}{unit}", grouped(*value));
    }
    Ok((report, kept))
}

/// By how many bytes a file is longer than another.
fn growth(with: &str, without: &str) -> Result<u64> {
    let bytes = |path: &str| std::fs::metadata(path).map_err(|e| format!("{path}: {e}"));
    let (with, without) = (bytes(with)?.len(), bytes(without)?.len());
    with.checked_sub(without).ok_or("what should be longer is shorter".into())
}

/// Sizes of the state itself, on this machine.
fn memory() -> Figures {
    let swim_32 = size_of::<Swim<32>>() as u64;
    let swim_64 = size_of::<Swim<64>>() as u64;
    Figures::from([
        ("memory.swim_32".to_string(), swim_32),
        ("memory.member".to_string(), (swim_64 - swim_32).div_ceil(32)),
    ])
}
