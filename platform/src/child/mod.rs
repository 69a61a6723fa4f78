//! Programs that the agent runs: hooks, and commands that name addresses to join through.
//!
//! A program is started directly, without a shell, found as execvp(3) finds it, in a process group
//! of its own. Its stdin holds what it is told, its stdout is read and has a bound, its stderr is
//! that of the agent. It inherits no other descriptor, and no signal is blocked or ignored. It
//! dies with the agent, however that ends.
//!
//! - [`words`]: from a command line to words
//! - [`task`]: one program from its start to its end, with bounds on time and output

mod task;
mod words;

use core::mem::MaybeUninit;
use core::ptr;
use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Pid, setpgid, write};

use crate::http::Page;
use crate::os::{self, Strings};
use crate::text::parts;

pub(crate) use task::{Limits, Task};
pub(crate) use words::{COMMAND_BYTES, CommandLine};

/// What a program is told on stdin at most, bytes: as much as any pipe takes without a reader.
pub(crate) const INPUT_BYTES: usize = 4_096;

/// Entries of the environment that a program gets, at most; the agent's own that come after so
/// many are not handed on.
const ENVIRONMENT: usize = 1_024;

/// The longest path that a program is looked for at, bytes.
const PATH_BYTES: usize = 4_096;

/// What `exec` failing is told with, as env(1) and shells do.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// The last of all signals.
const LAST_SIGNAL: i32 = 64;

/// How a program is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program<'a> {
    pub(crate) command: CommandLine,
    /// Its stdin, at most `INPUT_BYTES`.
    pub(crate) input: &'a [u8],
    /// Entries of its environment, each ending with a null byte, and fewer than `ENVIRONMENT`.
    pub(crate) variables: &'a [u8],
    /// The rest of its environment: that of the agent, without its own options, `MIDGE_...`.
    pub(crate) environment: Strings,
}

/// Starts a program; gives its process, and the pipe that it writes to, which never blocks. That there is no such
/// program is told by its exit status.
///
/// # Errors
/// There is no memory, process or descriptor left.
fn spawn(program: &Program<'_>) -> Result<(Pid, OwnedFd), Errno> {
    let mut space = [0; COMMAND_BYTES];
    let mut argv = [ptr::null(); words::WORDS + 1];
    program.command.split(&mut space, &mut argv);
    let mut envp = [ptr::null(); ENVIRONMENT + 1];
    environment(program, &mut envp[..ENVIRONMENT]);

    let (stdin, input) = pipe()?;
    let (output, stdout) = pipe()?;
    // Where the program writes is another description, which blocks as any does.
    // SAFETY: it is a system call on a number.
    unsafe { libc::syscall(libc::SYS_fcntl, output.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    // The pipe is new and takes all of it at once.
    write(&input, &program.input[..program.input.len().min(INPUT_BYTES)])?;
    // SAFETY: the agent has one thread. In the copy nothing but system calls is done until a program
    // takes its place.
    let pid = Pid::from_raw(unsafe { os::fork(libc::SIGCHLD)? });
    // Both processes do it, so that whoever goes on first can count on it.
    let _ = setpgid(pid, pid);
    if pid.as_raw() != 0 {
        return Ok((pid, output));
    }
    for signal in 1..=LAST_SIGNAL {
        os::reset_signal(signal);
    }
    // SAFETY: these are system calls on numbers. What comes after them ends this process, and runs
    // nothing that belongs to the agent.
    unsafe {
        libc::dup2(stdin.as_raw_fd(), libc::STDIN_FILENO);
        libc::dup2(stdout.as_raw_fd(), libc::STDOUT_FILENO);
        // Whoever started the agent may have left others open. Where there is no such call (before
        // Linux 5.9), the program inherits those.
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
        libc::_exit(execute(&argv, &envp, program.environment.variable("PATH")))
    }
}

/// A pipe: where to read and where to write. Programs do not inherit it.
fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut fds = [0; 2];
    // The C library's function has a way for kernels that have no such call.
    // SAFETY: the system writes two descriptors, which nothing else owns.
    unsafe {
        let pipe = libc::syscall(libc::SYS_pipe2, fds.as_mut_ptr(), libc::O_CLOEXEC);
        Errno::result(pipe)?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Executes the program with these arguments, of which its name is the first; returns the exit
/// status that tells why not.
///
/// # Safety
/// Both arrays end with a null pointer and point to strings that end with a null byte.
unsafe fn execute(
    argv: &[*const c_char],
    envp: &[*const c_char],
    directories: Option<&'static str>,
) -> i32 {
    // SAFETY: the caller promises that it is a string.
    let name = unsafe { CStr::from_ptr(argv[0]) };
    search(name, directories, &mut |path| {
        // SAFETY: the caller promises it of the arrays; it returns only if it has failed.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        false
    })
}

/// Says why a program cannot be executed, as far as that can be told before.
pub(crate) fn check(command: CommandLine, environment: Strings) -> Option<&'static str> {
    let mut space = [0; COMMAND_BYTES];
    let name = command.program(&mut space);
    let status = search(name, environment.variable("PATH"), &mut |path| {
        // SAFETY: the path is a string.
        unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
    });
    task::why(status)
}

/// Tries the paths that a program of this name may have until one does; returns 0, or the exit
/// status that tells why none does.
fn search(
    name: &CStr,
    directories: Option<&'static str>,
    attempt: &mut dyn FnMut(&CStr) -> bool,
) -> i32 {
    let name = name.to_bytes_with_nul();
    let mut status = NOT_FOUND;
    let mut path = [0; PATH_BYTES];
    let directories = directories.unwrap_or("/usr/bin:/bin");
    let is_path = name.contains(&b'/');
    for directory in parts(if is_path { "" } else { directories }, b':') {
        let mut page = Page::new(&mut path);
        page.push(directory.as_bytes());
        page.push(if directory.is_empty() { b"" } else { b"/" });
        page.push(name);
        if page.is_overfull() {
            continue;
        }
        if attempt(CStr::from_bytes_until_nul(page.written()).unwrap_or_default()) {
            return 0;
        }
        if !matches!(Errno::last(), Errno::ENOENT | Errno::ENOTDIR) {
            status = NOT_EXECUTABLE;
        }
    }
    status
}

/// Points to the entries of the environment.
fn environment(program: &Program<'_>, envp: &mut [*const c_char]) {
    let mut count = 0;
    let mut begins = true;
    for (at, byte) in program.variables.iter().enumerate() {
        if begins {
            envp[count] = program.variables[at..].as_ptr().cast();
            count += 1;
        }
        begins = *byte == 0;
    }
    for entry in program.environment {
        if count == envp.len() {
            return;
        }
        if !entry.to_bytes().starts_with(b"MIDGE_") {
            envp[count] = entry.as_ptr();
            count += 1;
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// By a signal, not by itself.
    by_signal: bool,
    /// The signal, or the exit status.
    number: i32,
}

/// A child process that has ended, and how; `None` if there is none. Until it is [`reap`]ed, its
/// number stays its own.
pub(crate) fn next_ended() -> Option<(Pid, Ended)> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// Forgets a child process that has ended.
pub(crate) fn reap(pid: Pid) {
    wait(libc::P_PID, pid.as_raw() as u32, 0);
}

/// `nix` takes a death by a real-time signal for an error, and loses which process it was.
fn wait(kind: libc::idtype_t, id: u32, options: i32) -> Option<(Pid, Ended)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the system writes one `siginfo_t` at most, for which all bytes zero is a value as
    // well; that of a process which ended has these fields, and without one they stay 0.
    let (pid, code, number) = unsafe {
        libc::waitid(kind, id, info.as_mut_ptr(), options | libc::WEXITED | libc::WNOHANG);
        let info = info.assume_init();
        (info.si_pid(), info.si_code, info.si_status())
    };
    let ended = Ended { by_signal: code != libc::CLD_EXITED, number };
    (pid > 0).then_some((Pid::from_raw(pid), ended))
}
