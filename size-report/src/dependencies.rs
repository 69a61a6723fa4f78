//! How many other packages a package is built from.

use std::collections::BTreeSet;
use std::process::Command;

use crate::Result;

/// Packages that `package` needs on Linux with musl, those of procedural macros included, and
/// neither those for tests nor midge's own.
pub(crate) fn count(package: &str) -> Result<u64> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--no-dedupe"]);
    cargo.args(["--package", package, "--target", &target]);
    let output = cargo.output().map_err(|e| format!("cargo tree: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(others(&String::from_utf8_lossy(&output.stdout)))
}

/// Distinct packages of a list that are not midge's: one a line, its name first.
fn others(list: &str) -> u64 {
    let own = ["midge", "midge-agent"];
    let name = |line: &str| line.split(' ').next().is_some_and(|name| !own.contains(&name));
    let packages: BTreeSet<&str> = list
        .lines()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty() && name(line))
        .collect();
    packages.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_counts_once_and_ours_do_not() {
        let list = "midge-agent v0.1.0 (/src/platform)\nlog v0.4.35\nmidge v0.1.0 (/src)\n\
                    serde v1.0.229\nsyn v2.0.1\nsyn v3.0.10\nserde v1.0.229\n";
        assert_eq!(others(list), 4);
    }

    #[test]
    fn a_package_that_does_not_exist_is_an_error() {
        assert!(count("no-such-package").unwrap_err().starts_with("cargo tree: "));
    }
}
