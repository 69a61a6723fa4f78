//! The agent: what it needs to start, in an order in which every error comes before any packet.
//!
//! - [`driver`]: the loop
//! - [`joining`]: whom to join; [`finder`]: names become addresses; [`join_file`]: a file of them
//! - [`networks`]: whom to listen to; [`state_dir`]: what is known at the next start
//! - [`clock`]: when true time is read
//! - [`udp`]: the socket of the node; [`advertise`]: which address it tells the others
//! - [`signals`]: signals as input; [`api_socket`]: where the API listens
//! - [`children`]: programs that run beside the loop; [`hooks`]: which event is next
//! - [`systemd`]: what a service manager is told
//! - [`words`]: what the log says

mod advertise;
mod api_socket;
mod children;
mod clock;
mod driver;
mod finder;
mod hooks;
mod join_file;
mod joining;
mod networks;
mod signals;
mod state_dir;
mod systemd;
mod udp;
mod words;

use core::fmt;
use log::LevelFilter;
use midge::limits::{EPOCH_END, NAME_BYTES, TAGS_BYTES};
use midge::{Address, Config, Node};
use nix::errno::Errno;

use crate::child::CommandLine;
use crate::dns::config::SERVERS;
use crate::http::Access;
use crate::logger::complain;
use crate::os::{self, Reason, Slot, Strings};
use crate::poll::{Poll, Token};
use crate::seeds::Seeds;
use crate::socket::SocketPaths;
use api_socket::Door;
use children::Children;
use clock::Watch;
use driver::{Driver, Halt, Parts};
use joining::Joining;
pub(crate) use networks::{Network, Networks};
use signals::Signals;
use udp::Udp;

/// How many members the agent has room for, itself included.
pub(crate) const CAPACITY: usize = 8_192;

/// The node, in memory that costs nothing until a row of it is used.
static NODE: Slot<Node<CAPACITY>> = Slot::new(Node::EMPTY);

const UDP: Token = Token(0);
const SIGNALS: Token = Token(1);
const NAMES: Token = Token(2);
const PROGRAM: Token = Token(3);
/// The API has this token and all above.
const API: Token = Token(4);

/// Validated options.
pub(crate) struct Settings {
    pub(crate) bind: Option<Address>,
    pub(crate) advertise: Option<Address>,
    pub(crate) name: heapless::String<NAME_BYTES>,
    pub(crate) tags: heapless::String<TAGS_BYTES>,
    pub(crate) cluster: &'static str,
    pub(crate) state_dir: Option<&'static str>,
    pub(crate) join_file: Option<&'static str>,
    pub(crate) allowed: Networks,
    pub(crate) dns: heapless::Vec<Address, SERVERS>,
    pub(crate) period_ms: u32,
    /// The segments to read true time from; none if it is not to be read.
    pub(crate) clockbound: &'static [&'static str],
    /// How much clocks drift at most, parts per million.
    pub(crate) max_drift_ppm: u32,
    pub(crate) api: SocketPaths,
    /// Where to listen for readers over TCP.
    pub(crate) http: Option<Address>,
    /// Where to listen for metrics over TCP.
    pub(crate) metrics: Option<Address>,
    pub(crate) api_access: Access,
    pub(crate) log: LevelFilter,
    pub(crate) on_event: Option<CommandLine>,
    pub(crate) join_cmd: Option<CommandLine>,
    pub(crate) environment: Strings,
}

/// Says in one line, for the operator, why the agent cannot start, and ends the process. What it
/// has opened by then is closed with it; code that does so itself would be 2 KB.
#[cold]
fn stop(what: fmt::Arguments<'_>) -> ! {
    complain(what);
    os::exit(1)
}

#[cold]
fn cannot(what: &str, error: Errno) -> ! {
    stop(format_args!("cannot {what}: {}", Reason(error)))
}

/// The memory that is there for one agent.
fn take<T>(slot: &'static Slot<T>) -> &'static mut T {
    let Some(memory) = slot.take() else {
        stop(format_args!("this process runs an agent already"))
    };
    memory
}

/// The agent stopped without leaving; why has been said on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// Runs the agent until it has left. If it cannot start, it ends the process.
///
/// # Errors
/// It stopped without leaving.
pub(crate) fn run(settings: &Settings, seeds: &'static mut Seeds) -> Result<(), Stopped> {
    prepare(settings, seeds).run().map_err(|halt| {
        match halt {
            Halt::Interrupted => complain(format_args!("interrupted: stopped without leaving")),
            Halt::Wait(error) => {
                complain(format_args!("cannot wait for events: {}", Reason(error)))
            }
        }
        Stopped
    })
}

/// All that comes before the loop, which begins on the stack where this began: pages that both
/// have used are resident once.
#[inline(never)]
fn prepare<'s>(settings: &'s Settings, seeds: &'static mut Seeds) -> Driver<'s> {
    let mut poll = Poll::new().unwrap_or_else(|error| cannot("start the loop", error));
    let signals =
        Signals::new(&poll, SIGNALS).unwrap_or_else(|error| cannot("take signals", error));
    // The port comes before the API: two agents that start at once cannot both have it.
    let udp = Udp::bind(settings.bind, &settings.allowed, &poll, UDP)
        .unwrap_or_else(|e| stop(format_args!("{e}")));
    let bound = udp.local_address().unwrap_or_else(|error| cannot("read the bound address", error));
    let mut joining = Joining::new(seeds, settings, bound, NAMES);
    let given = settings.advertise;
    if given.is_none() && advertise::is_wildcard(bound) {
        joining.find_first(&mut poll);
    }
    let (found, named) = (joining.seeds.addresses(), joining.seeds.has_names());
    let known = advertise::Known { given, bound, v6: udp.is_v6(), seeds: &found, named };
    let choice = advertise::choose(&known).unwrap_or_else(|error| stop(format_args!("{error}")));
    let node = start_node(settings, choice.address);
    let http = listen_tcp(settings.http, "http");
    let metrics = listen_tcp(settings.metrics, "metrics");
    let (socket, api) = api_socket::bind(&settings.api, settings.api_access);
    let doors = [Some(Door::Unix(socket)), http, metrics];
    words::greet(node, bound, api, joining.seeds);
    words::tell_doors(&doors);
    words::warn_address(&choice);
    let children = Children::new(settings, api);
    let clock = Watch::new(settings);
    Driver::new(Parts { poll, node, joining, udp, signals, doors, children, clock })
}

fn listen_tcp(address: Option<Address>, option: &'static str) -> Option<Door> {
    let (socket, bound) =
        udp::listen_tcp(address?, option).unwrap_or_else(|e| stop(format_args!("{e}")));
    Some(Door::Tcp { socket, option, bound })
}

fn start_node(settings: &Settings, advertise: Address) -> &'static mut Node<CAPACITY> {
    let mut entropy = [0; 32];
    let (mut seed, mut id) = ([0; 8], [0; 8]);
    for bytes in [&mut entropy[..], &mut seed, &mut id] {
        fill_random(bytes);
    }
    let mut config = Config::new(&settings.name, advertise);
    config.cluster = settings.cluster;
    config.tags = &settings.tags;
    config.period_ms = settings.period_ms;
    // 0 stands for none.
    config.id = u64::from_le_bytes(id).max(1);
    // A clock beyond what an epoch can hold is as good as none: the fleet repairs 0.
    config.epoch = Some(os::unix_ms()).filter(|ms| *ms < EPOCH_END).unwrap_or(0);

    let node = take(&NODE);
    node.init(&config, entropy, u64::from_le_bytes(seed), os::now())
        .unwrap_or_else(|error| stop(format_args!("{error}")));
    node
}

fn fill_random(bytes: &mut [u8]) {
    os::fill_random(bytes).unwrap_or_else(|error| cannot("get random numbers", error));
}
