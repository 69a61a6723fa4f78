//! Measures what midge promises about size, and fails when a budget is exceeded.
//!
//! ```text
//! size-report BUDGET NAME=FILE...
//! ```
//!
//! For each `NAME=FILE`, an ELF file, it prints bytes by section and by crate; crates are known
//! from the linker's map beside it (`FILE.map`), or where there is none from the symbol table.
//! Then it prints every measured value against the budget file: one `key = bytes` a line. A value
//! above its budget, a value without a budget and a budget without a value each fail.

mod budget;
mod crates;
mod image;
mod map;

use std::fmt::Write as _;
use std::process::ExitCode;

use budget::Budget;
use image::Image;
use midge::Swim;

/// Bytes, or what was wrong with the input.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
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
fn run(mut arguments: impl Iterator<Item = String>) -> Result<(String, bool)> {
    let usage = "usage: size-report BUDGET NAME=FILE...";
    let budget = arguments.next().ok_or(usage)?;
    let budget = Budget::read(&budget)?;
    let mut report = String::new();
    let mut measured = memory();
    for argument in arguments {
        let (name, path) = argument.split_once('=').ok_or(usage)?;
        let image = Image::read(path)?;
        let _ = writeln!(report, "{name}: {path}\n{image}");
        measured.extend(image.values(name));
    }
    let kept = budget.compare(&measured, &mut report);
    Ok((report, kept))
}

/// Sizes of the state itself, on this machine.
fn memory() -> Vec<(String, u64)> {
    let swim_32 = size_of::<Swim<32>>() as u64;
    let swim_64 = size_of::<Swim<64>>() as u64;
    vec![
        ("memory.swim_32".to_string(), swim_32),
        ("memory.member".to_string(), (swim_64 - swim_32).div_ceil(32)),
    ]
}
