//! Namespaces with one address each, a bridge between them, and faults on the bridge.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::SigSet;

/// The bridge, which is also our own way to the nodes.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 254);

/// What the bridge does to the packets that it forwards; nothing at first.
const FILTER: &str = "
    table bridge netlab {
        set apart { type ipv4_addr; }
        set cut { type ipv4_addr . ipv4_addr; }
        chain loss { }
        chain forward {
            type filter hook forward priority 0; policy accept;
            ip saddr @apart ip daddr != @apart counter drop
            ip saddr != @apart ip daddr @apart counter drop
            ip saddr . ip daddr @cut counter drop
            jump loss
        }
    }";

/// A host: a network namespace with one interface.
pub struct Node {
    address: Ipv4Addr,
    namespace: File,
}

impl Node {
    /// Its only address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Starts a process on this host.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        // A child is born in the namespace of the thread that starts it, with its signal mask.
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
                SigSet::empty().thread_set_mask()?;
                command.spawn()
            });
            thread.join().expect("starting a process does not panic")
        })
    }
}

/// Hosts on one bridge.
pub struct Network {
    nodes: Vec<Node>,
}

impl Network {
    /// Makes the bridge and `count` hosts (at most 250), which know each other's link addresses:
    /// nothing but what the agents send is ever sent.
    pub fn new(count: u8) -> io::Result<Self> {
        quiet()?;
        let bridge = format!(
            "link add bridge address {} type bridge stp_state 0 mcast_snooping 0\n\
             addr add {BRIDGE}/16 dev bridge\nlink set bridge up\n",
            link_address(BRIDGE)
        );
        run("ip", &["-batch", "-"], &bridge)?;
        run("nft", &["-f", "-"], FILTER)?;
        let addresses: Vec<Ipv4Addr> = (1..=count).map(|n| Ipv4Addr::new(10, 77, 0, n)).collect();
        run("ip", &["-batch", "-"], &neighbours(&addresses, "bridge"))?;
        let nodes: io::Result<_> = addresses.iter().map(|own| add_node(*own, &addresses)).collect();
        Ok(Self { nodes: nodes? })
    }

    /// Our own socket on this network.
    pub fn socket(&self) -> io::Result<UdpSocket> {
        UdpSocket::bind((BRIDGE, 0))
    }

    /// The hosts.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Every packet between hosts is lost with this probability, percent; 0 ends it.
    pub fn lose(&self, percent: u8) -> io::Result<()> {
        let mut rules = "flush chain bridge netlab loss\n".to_string();
        if percent > 0 {
            let _ = writeln!(
                rules,
                "add rule bridge netlab loss numgen random mod 100 < {percent} counter drop"
            );
        }
        run("nft", &["-f", "-"], &rules)
    }

    /// Nothing passes between these hosts and all others.
    pub fn part(&self, apart: &[Ipv4Addr]) -> io::Result<()> {
        let list: Vec<String> = apart.iter().map(Ipv4Addr::to_string).collect();
        run(
            "nft",
            &["-f", "-"],
            &format!("add element bridge netlab apart {{ {} }}\n", list.join(", ")),
        )
    }

    /// Nothing passes from one host to another; the other direction works.
    pub fn cut(&self, from: Ipv4Addr, to: Ipv4Addr) -> io::Result<()> {
        run("nft", &["-f", "-"], &format!("add element bridge netlab cut {{ {from} . {to} }}\n"))
    }

    /// How many packets these faults have taken so far; those of random losses until they change.
    pub fn dropped(&self) -> io::Result<u64> {
        let output = Command::new("nft").args(["list", "table", "bridge", "netlab"]).output()?;
        let rules = String::from_utf8_lossy(&output.stdout);
        let counters = rules.split("counter packets ").skip(1);
        Ok(counters.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Everything passes again.
    pub fn heal(&self) -> io::Result<()> {
        let rules = "flush set bridge netlab apart\nflush set bridge netlab cut\n\
                     flush chain bridge netlab loss\n";
        run("nft", &["-f", "-"], rules)
    }
}

fn add_node(own: Ipv4Addr, all: &[Ipv4Addr]) -> io::Result<Node> {
    let number = own.octets()[3];
    let name = format!("node{number}");
    let links = format!(
        "netns add {name}\n\
         link add port{number} type veth peer name eth0 address {} netns {name}\n\
         link set port{number} master bridge up\n",
        link_address(own)
    );
    run("ip", &["-batch", "-"], &links)?;
    let node = Node { address: own, namespace: File::open(format!("/run/netns/{name}"))? };
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(&node.namespace, CloneFlags::CLONE_NEWNET)?;
            quiet()
        });
        thread.join().expect("writing a setting does not panic")
    })?;
    let mut inside = format!("link set lo up\naddr add {own}/16 dev eth0\nlink set eth0 up\n");
    inside += &neighbours(all, "eth0");
    inside += &neighbours(&[BRIDGE], "eth0");
    run("ip", &["-n", &name, "-batch", "-"], &inside)?;
    Ok(node)
}

/// IPv6 off, in the network namespace of this thread: its own chatter would be counted.
fn quiet() -> io::Result<()> {
    for scope in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
    }
    Ok(())
}

fn link_address(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Lines for `ip -batch` that tell where these addresses are.
fn neighbours(addresses: &[Ipv4Addr], device: &str) -> String {
    let mut lines = String::new();
    for address in addresses {
        let link = link_address(*address);
        let _ = writeln!(lines, "neigh replace {address} lladdr {link} dev {device} nud permanent");
    }
    lines
}

/// Runs a program to its end with this text to read; an error has what it said.
pub(crate) fn run(program: &str, arguments: &[&str], input: &str) -> io::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::other(format!("{program}: {error}")))?;
    child.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}
