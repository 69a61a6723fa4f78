//! Writes the man page and the completions of shells: `make manual`.
//!
//! ```text
//! cargo run --package midge-agent --example manual -- DIRECTORY
//! ```

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use midge_agent::manual::{bash, fish, man_page, zsh};

fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, text) in
        [("midge.1", man_page()), ("midge.bash", bash()), ("_midge", zsh()), ("midge.fish", fish())]
    {
        let path = directory.join(name);
        fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(directory), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: manual DIRECTORY");
        return ExitCode::from(2);
    };
    match write(Path::new(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manual: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
