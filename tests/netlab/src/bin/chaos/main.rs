//! Real agents on a network that loses packets, is cut in two and loses hosts.
//!
//! ```text
//! make chaos                everything, about 13 minutes
//! make chaos QUICK=1        the short form that CI runs, about a minute
//! make chaos ONLY=pause     one scenario
//! ```
//!
//! One view means that each agent's own socket gives the same sorted list of alive and suspect
//! addresses. What agents took for dead is read from their logs.

mod fleet;
mod flood;
mod hostile;
mod scenarios;
mod system_calls;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use netlab::{Kind, Network, Work};

use fleet::Fleet;
use scenarios::{NOT_IN_SHORT, SCENARIOS};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios; whether all of them passed.
fn run() -> Result<bool, Box<dyn Error>> {
    let quick = env::args().any(|argument| argument == "--quick");
    let only = env::args().skip_while(|argument| argument != "--only").nth(1);
    let midge = env::var_os("MIDGE_BIN").ok_or("MIDGE_BIN is not set: use make chaos")?;
    let midge =
        PathBuf::from(midge).canonicalize().map_err(|error| format!("MIDGE_BIN: {error}"))?;
    let is_chosen = |name| match &only {
        Some(only) => name == only,
        None => !(quick && NOT_IN_SHORT.contains(&name)),
    };
    let chosen = || SCENARIOS.iter().filter(|(name, ..)| is_chosen(name));
    if chosen().next().is_none() {
        let names: Vec<&str> = SCENARIOS.iter().map(|(name, ..)| *name).collect();
        return Err(format!("no such scenario; there are {}", names.join(", ")).into());
    }

    let work = Work::enter("chaos")?;
    let network = Network::new(if quick { 20 } else { 60 }).inspect_err(|_| work.remove())?;
    let mut failed = false;
    for (name, file, scenario) in chosen() {
        let start = Instant::now();
        let directory = work.path().join(name);
        std::fs::create_dir(&directory)?;
        let mut fleet = Fleet::new(Kind::Midge(midge.clone()), &network, directory.clone());
        let result = scenario(&mut fleet, quick);
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(said) => {
                println!("chaos: {name}: {said} ({seconds} s)");
                // What comes before the figures is for people alone.
                if let Some((_, figures)) = said.split_once(": ").filter(|_| !quick) {
                    println!("numbers: {file}::{name} {figures}");
                }
            }
            Err(error) => {
                failed = true;
                println!("chaos: {name}: FAILED after {seconds} s: {error}");
                println!("chaos: {name}: views: {}", fleet.views());
                println!("chaos: {name}: each agent's log: less {}/*.log", directory.display());
                println!(
                    "chaos: {name}: this one again: make chaos ONLY={name}{}",
                    if quick { " QUICK=1" } else { "" }
                );
            }
        }
        network.heal()?;
    }
    if !failed {
        work.remove();
    }
    Ok(!failed)
}
