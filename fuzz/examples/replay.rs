//! Replays inputs of the targets `datagram` and `node`, and shows that every section of the wire
//! passes: how often each was accepted by the decoders and encoded to the same bytes again, taken
//! in by the node, and sent by it. One that never was fails; but those of the council a node does not
//! send by itself.
//!
//! `replay FOLDER...`: each holds the folders `datagram` and `node`. `.ci/coverage` replays the
//! committed corpora like this, and measures what they and all that was found reach.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use midge_fuzz::tally::{COUNCIL, SECTIONS, Tally};
use midge_fuzz::{datagram, node};

fn main() -> ExitCode {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let mut accepted = Tally::default();
    let mut passed = node::Passed::default();
    let replayed = each_input(&folders, "datagram", &mut |input| {
        datagram::run(input, &mut accepted);
    })
    .and_then(|datagrams| {
        let programs = each_input(&folders, "node", &mut |input| {
            node::run(input, Some(&mut passed));
        })?;
        Ok((datagrams, programs))
    });
    let (datagrams, programs) = match replayed {
        Ok(replayed) => replayed,
        Err(error) => {
            eprintln!("replay: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{datagrams} datagrams and {programs} programs for a node:");
    show(&accepted, &passed)
}

/// Runs every file in the folders of a target, and returns how many there are.
fn each_input(folders: &[PathBuf], target: &str, run: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
    let mut count = 0;
    for folder in folders {
        let folder: &Path = &folder.join(target);
        let named = |error| io::Error::other(format!("{}: {error}", folder.display()));
        for entry in fs::read_dir(folder).map_err(named)? {
            run(&fs::read(entry?.path())?);
            count += 1;
        }
    }
    Ok(count)
}

/// Prints the table, and says whether every section is in each of its columns.
fn show(accepted: &Tally, passed: &node::Passed) -> ExitCode {
    println!("{:<13}{:>9}{:>9}{:>9}", "", "decoded", "taken in", "sent");
    let mut missing = Vec::new();
    for (at, section) in SECTIONS.iter().enumerate() {
        let counts = [accepted.0[at], passed.taken.0[at], passed.sent.0[at]];
        println!("{section:<13}{:>9}{:>9}{:>9}", counts[0], counts[1], counts[2]);
        // A node by itself is in no council: it takes what is said there, and says nothing.
        let sent = if at < COUNCIL { counts[2] } else { 1 };
        if counts[0] == 0 || counts[1] == 0 || sent == 0 {
            missing.push(*section);
        }
    }
    if missing.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("replay: a column has none of these: {}", missing.join(", "));
    ExitCode::FAILURE
}
