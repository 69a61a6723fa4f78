//! Namespaces and a directory for one run.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

/// Names the run's directory to the program's second life, inside the namespaces.
const DIRECTORY: &str = "NETLAB_DIRECTORY";

/// The directory of one run, with its logs and sockets.
pub struct Work(PathBuf);

impl Work {
    /// Starts this program once more, as the first process of namespaces of its own; in there, it
    /// returns. When that process ends, the kernel ends everything that it started.
    pub fn enter(name: &str) -> io::Result<Self> {
        if let Some(directory) = env::var_os(DIRECTORY) {
            return Self::inside(directory);
        }
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Err(io::Error::other("network namespaces need root"));
        }
        let directory = env::temp_dir().join(format!("midge-{name}-{}", process::id()));
        Err(Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"])
            .arg(env::current_exe()?)
            .args(env::args_os().skip(1))
            .env(DIRECTORY, directory)
            .exec())
    }

    fn inside(directory: OsString) -> io::Result<Self> {
        let directory = PathBuf::from(directory);
        fs::create_dir_all(&directory)?;
        // Where `ip netns` keeps the names of namespaces.
        crate::network::run("mount", &["-t", "tmpfs", "tmpfs", "/run"], "")?;
        stop_on_interrupt(directory.clone())?;
        Ok(Self(directory))
    }

    /// Its path; gone when [`Self::remove`] is called or the run is interrupted.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes it. A run that failed keeps it instead.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first process of a namespace ignores signals without a handler; so they are waited for.
fn stop_on_interrupt(directory: PathBuf) -> io::Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    thread::spawn(move || {
        if signals.wait().is_ok() {
            let _ = fs::remove_dir_all(directory);
            process::exit(130);
        }
    });
    Ok(())
}
