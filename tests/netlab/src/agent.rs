//! Agents of three kinds, each asked for its own list of members.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::network::Node;
use crate::serf;
use crate::usage::{self, Memory, Usage};

/// Addresses of the members that an agent takes for alive or suspects, sorted, its own included.
pub type View = Vec<Ipv4Addr>;

/// What is run, and where its program is.
#[derive(Clone)]
pub enum Kind {
    /// `midge agent`.
    Midge(PathBuf),
    /// foca's example, `foca_insecure_udp_agent`.
    Foca(PathBuf),
    /// `serf agent`.
    Serf(PathBuf),
}

impl Kind {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Midge(_) => "midge",
            Self::Foca(_) => "foca",
            Self::Serf(_) => "serf",
        }
    }

    /// Its command with its own defaults, except that it says no more than it must.
    fn command(&self, own: Ipv4Addr, seed: Option<Ipv4Addr>, base: &Path) -> Command {
        let (Self::Midge(program) | Self::Foca(program) | Self::Serf(program)) = self;
        let mut command = Command::new(program);
        command.env_clear();
        match self {
            Self::Midge(_) => {
                command.arg("agent").args(["--name", &format!("node{}", own.octets()[3])]);
                command.args(["--bind", &own.to_string()]).arg("--api").arg(base);
                command.args(seed.iter().flat_map(|seed| ["--join".into(), seed.to_string()]));
            }
            Self::Foca(_) => {
                command.env("RUST_LOG", "warn").arg(format!("{own}:7000"));
                command.arg("--filename").arg(base);
                command.args(
                    seed.iter().flat_map(|seed| ["--announce".into(), format!("{seed}:7000")]),
                );
            }
            Self::Serf(_) => {
                command.args(["agent", "-log-level=warn", &format!("-node={own}")]);
                command.arg(format!("-bind={own}")).arg(format!("-rpc-addr={own}:{}", serf::PORT));
                command.args(seed.iter().map(|seed| format!("-retry-join={seed}")));
            }
        }
        command
    }
}

/// A process on a host; it is killed when dropped.
pub struct Agent {
    kind: Kind,
    address: Ipv4Addr,
    /// The path of what it is asked through.
    base: PathBuf,
    serf: Option<serf::Client>,
    child: Child,
}

impl Agent {
    /// Starts one, which joins through `seed` if that is another host. Its log is added to the one
    /// of this host in `directory`.
    pub fn start(kind: &Kind, node: &Node, seed: Ipv4Addr, directory: &Path) -> io::Result<Self> {
        let address = node.address();
        let base = directory.join(address.to_string());
        // Foca's list from the life before.
        let _ = fs::remove_file(&base);
        let log = File::options()
            .create(true)
            .append(true)
            .open(directory.join(format!("{address}.log")))?;
        let mut command = kind.command(address, (seed != address).then_some(seed), &base);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = node.spawn(&mut command).map_err(|error| {
            io::Error::other(format!("{}: {error}", command.get_program().display()))
        })?;
        Ok(Self { kind: kind.clone(), address, base, serf: None, child })
    }

    /// The address of its host.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its own list; empty if it does not answer.
    pub fn view(&mut self) -> View {
        let mut view = match self.kind {
            Kind::Midge(_) => self.get("/v1/members?quiet=1").map(|text| addresses(&text)),
            Kind::Foca(_) => self.read_foca(),
            Kind::Serf(_) => self.ask_serf(),
        }
        .unwrap_or_default();
        view.sort_unstable();
        view
    }

    /// What midge's socket answers to a request.
    pub fn get(&self, path: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.base)?;
        // Longer than an agent takes to answer, unless it is stopped.
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
            _ => Err(io::Error::other(format!("{path}: {}", answer.lines().next().unwrap_or("")))),
        }
    }

    /// The file of foca's example lacks itself, and is there only when it has met another. It is up
    /// when it has its socket, the only one on its host: what is sent to it before is lost.
    fn read_foca(&self) -> io::Result<View> {
        let sockets = fs::read_to_string(format!("/proc/{}/net/udp", self.child.id()))?;
        if sockets.lines().nth(1).is_none() {
            return Ok(View::new());
        }
        let others = fs::read_to_string(&self.base).unwrap_or_default();
        Ok(addresses(&others).into_iter().chain([self.address]).collect())
    }

    fn ask_serf(&mut self) -> io::Result<View> {
        if self.serf.is_none() {
            self.serf = Some(serf::Client::connect(self.address)?);
        }
        let answer = self.serf.as_mut().expect("it was just set").alive();
        if answer.is_err() {
            self.serf = None;
        }
        answer
    }

    /// Ends the connections that it was asked through, so that nothing but its own work is left.
    pub fn hang_up(&mut self) {
        self.serf = None;
    }

    /// What it has used so far.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.child.id())
    }

    /// What it keeps in memory.
    pub fn memory(&self) -> io::Result<Memory> {
        Memory::of(self.child.id())
    }

    /// Datagrams for it that its host has thrown away, its socket being full.
    pub fn unread(&self) -> io::Result<u64> {
        usage::unread(self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().ok()??;
        Some(status.code().unwrap_or(-1))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One address with its port a line.
fn addresses(text: &str) -> View {
    let addresses = text.lines().filter_map(|line| line.parse().ok());
    let ipv4 = |address| match address {
        SocketAddr::V4(address) => Some(*address.ip()),
        SocketAddr::V6(_) => None,
    };
    addresses.filter_map(ipv4).collect()
}
