//! The agent: what it needs to start, in an order in which every error comes before any packet.
//!
//! - [`driver`]: the loop
//! - [`joining`]: whom to join; [`finder`]: names become addresses; [`join_file`]: a file of them
//! - [`networks`]: whom to listen to; [`state_dir`]: what is known at the next start
//! - [`udp`]: the socket of the node; [`advertise`]: which address it tells the others
//! - [`signals`]: signals as input; [`api_socket`]: where the API listens
//! - [`children`]: programs that run beside the loop; [`hooks`]: which event is next
//! - [`systemd`]: what a service manager is told
//! - [`words`]: what the log says

mod advertise;
mod api_socket;
mod children;
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
use driver::{Driver, Halt};
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

/// The agent stopped because of an error, which has been said on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped;

/// Says in one line, for the operator, why the agent stops.
fn stop(what: fmt::Arguments<'_>) -> Stopped {
    complain(what);
    Stopped
}

fn cannot(what: &str, error: Errno) -> Stopped {
    stop(format_args!("cannot {what}: {}", Reason(error)))
}

/// Runs the agent until it has left.
///
/// # Errors
/// It could not start or go on.
pub(crate) fn run(settings: &Settings, seeds: &'static mut Seeds) -> Result<(), Stopped> {
    // Run where it is: it is large.
    let driver = &mut prepare(settings, seeds);
    driver.as_mut().map_err(|stopped| *stopped)?.run().map_err(|halt| match halt {
        Halt::Interrupted => stop(format_args!("interrupted: stopped without leaving")),
        Halt::Wait(error) => cannot("wait for events", error),
    })
}

/// All that comes before the loop, which begins on the stack where this began: pages that both
/// have used are resident once.
#[inline(never)]
fn prepare(settings: &Settings, seeds: &'static mut Seeds) -> Result<Driver, Stopped> {
    let mut poll = Poll::new().map_err(|error| cannot("start the loop", error))?;
    let signals = Signals::new(&poll, SIGNALS).map_err(|error| cannot("take signals", error))?;
    // The port comes before the API: two agents that start at once cannot both have it.
    let mut udp = Udp::bind(settings.bind, &poll, UDP).map_err(|e| stop(format_args!("{e}")))?;
    udp.allowed = settings.allowed.clone();
    let bound = udp.local_address().map_err(|error| cannot("read the bound address", error))?;
    let mut joining = Joining::new(seeds, settings, bound, NAMES)?;
    let given = settings.advertise;
    if given.is_none() && advertise::is_wildcard(bound) {
        joining.find_first(&mut poll);
    }
    let (found, named) = (joining.seeds.addresses(), joining.seeds.has_names());
    let known = advertise::Known { given, bound, v6: udp.is_v6(), seeds: &found, named };
    let choice = advertise::choose(&known).map_err(|error| stop(format_args!("{error}")))?;
    let http = listen_tcp(settings.http, "http")?;
    let metrics = listen_tcp(settings.metrics, "metrics")?;
    let (socket, api) = api_socket::bind(&settings.api, settings.api_access)
        .map_err(|e| stop(format_args!("{e}")))?;
    let doors = [Some(Door::Unix(socket)), http, metrics];
    let node = start_node(settings, choice.address)?;
    words::greet(node, bound, api, joining.seeds);
    words::tell_doors(&doors);
    words::warn_address(&choice);
    let children = Children::new(settings, api)?;
    Driver::new(poll, node, joining, udp, signals, doors, children)
}

fn listen_tcp(address: Option<Address>, option: &'static str) -> Result<Option<Door>, Stopped> {
    let Some(address) = address else { return Ok(None) };
    let (socket, bound) =
        udp::listen_tcp(address, option).map_err(|e| stop(format_args!("{e}")))?;
    Ok(Some(Door::Tcp { socket, option, bound }))
}

fn runs_already() -> Stopped {
    stop(format_args!("this process runs an agent already"))
}

fn start_node(
    settings: &Settings,
    advertise: Address,
) -> Result<&'static mut Node<CAPACITY>, Stopped> {
    let mut entropy = [0; 32];
    let (mut seed, mut id) = ([0; 8], [0; 8]);
    for bytes in [&mut entropy[..], &mut seed, &mut id] {
        os::fill_random(bytes).map_err(|error| cannot("get random numbers", error))?;
    }
    let mut config = Config::new(&settings.name, advertise);
    config.cluster = settings.cluster;
    config.tags = &settings.tags;
    config.period_ms = settings.period_ms;
    // 0 stands for none.
    config.id = u64::from_le_bytes(id).max(1);
    // A clock beyond what an epoch can hold is as good as none: the fleet repairs 0.
    config.epoch = Some(os::unix_ms()).filter(|ms| *ms < EPOCH_END).unwrap_or(0);

    let node = NODE.take().ok_or_else(runs_already)?;
    node.init(&config, entropy, u64::from_le_bytes(seed), os::now())
        .map_err(|error| stop(format_args!("{error}")))?;
    Ok(node)
}
