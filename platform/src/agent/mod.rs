//! The agent: what it needs to start, in an order in which every error comes before any packet.
//!
//! - [`driver`]: the loop
//! - [`udp`]: the socket of the node; [`advertise`]: which address it tells the others
//! - [`signals`]: signals as input; [`api_socket`]: where the API listens
//! - [`words`]: what the log says

mod advertise;
mod api_socket;
mod driver;
mod signals;
mod udp;
mod words;

use std::net::SocketAddr;

use log::LevelFilter;
use midge::{Config, Node};
use mio::{Poll, Token};

use crate::os::{self, Slot};
use driver::Driver;
use signals::Signals;
use udp::Udp;

/// How many members the agent has room for, itself included.
pub(crate) const CAPACITY: usize = 8_192;

/// The node, in memory that costs nothing until a row of it is used.
static NODE: Slot<Node<CAPACITY>> = Slot::new(Node::EMPTY);

const UDP: Token = Token(0);
const SIGNALS: Token = Token(1);
/// The API has this token and all above.
const API: Token = Token(2);

/// Validated options.
pub(crate) struct Settings {
    pub(crate) bind: Option<SocketAddr>,
    pub(crate) advertise: Option<SocketAddr>,
    pub(crate) name: String,
    pub(crate) tags: String,
    pub(crate) cluster: String,
    pub(crate) join: Vec<SocketAddr>,
    pub(crate) period_ms: u32,
    /// Where the API socket may be, the first choice first.
    pub(crate) api: Vec<String>,
    pub(crate) log: LevelFilter,
}

/// Runs the agent until it has left.
///
/// # Errors
/// One line for the operator.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let poll = Poll::new().map_err(|error| format!("cannot start the loop: {error}"))?;
    let signals = Signals::new(poll.registry(), SIGNALS)
        .map_err(|error| format!("cannot take signals: {error}"))?;
    // The port comes before the API: two agents that start at once cannot both have it.
    let udp = Udp::bind(settings.bind, poll.registry(), UDP)?;
    let bound = udp.local_address().map_err(|error| format!("no bound address: {error}"))?;
    let choice = advertise::choose(&advertise::Known {
        given: settings.advertise,
        bound,
        seeds: &settings.join,
    })?;
    let (socket, api) = api_socket::bind(&settings.api)?;
    let node = start_node(settings, choice.address)?;
    words::greet(node, bound, api, &settings.join);
    if choice.warn_loopback {
        log::warn!(
            "addr={}: only this machine reaches this address; say which one others reach with \
             --advertise ADDR",
            choice.address
        );
    }
    Driver::new(poll, node, udp, signals, socket)?.run()
}

fn start_node(
    settings: &Settings,
    advertise: SocketAddr,
) -> Result<&'static mut Node<CAPACITY>, String> {
    let mut entropy = [0; 32];
    let (mut seed, mut id) = ([0; 8], [0; 8]);
    for bytes in [&mut entropy[..], &mut seed, &mut id] {
        os::fill_random(bytes).map_err(|error| format!("no random numbers: {error}"))?;
    }
    let mut config = Config::new(&settings.name, advertise.into());
    config.cluster = &settings.cluster;
    config.tags = &settings.tags;
    config.period_ms = settings.period_ms;
    // 0 stands for none.
    config.id = u64::from_le_bytes(id).max(1);
    // A clock beyond what an epoch can hold is as good as none: the fleet repairs 0.
    config.epoch = Some(os::unix_ms()).filter(|ms| *ms < midge::limits::EPOCH_END).unwrap_or(0);

    let node = NODE.take().ok_or("this process runs an agent already")?;
    node.init(&config, entropy, u64::from_le_bytes(seed), os::now())
        .map_err(|error| error.to_string())?;
    for seed in &settings.join {
        node.join(os::now(), (*seed).into()).map_err(|error| format!("--join: {seed}: {error}"))?;
    }
    Ok(node)
}
