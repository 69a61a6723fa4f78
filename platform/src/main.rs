//! The `midge` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    midge_agent::run()
}
