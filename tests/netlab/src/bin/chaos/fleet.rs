//! Agents of one scenario, and what they say.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use netlab::{Agent, Kind, Network, Node, View, until};
use nix::sys::signal::Signal;

/// What a scenario ends with: a sentence of figures, or what went wrong.
pub(crate) type Outcome<T = String> = Result<T, Box<dyn Error>>;

/// Agents on the hosts of a network, all of which join through the first.
pub(crate) struct Fleet<'a> {
    pub(crate) network: &'a Network,
    kind: Kind,
    directory: PathBuf,
    agents: BTreeMap<Ipv4Addr, Agent>,
    /// How much of each log is about what has been judged already, bytes.
    judged: BTreeMap<Ipv4Addr, usize>,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(kind: Kind, network: &'a Network, directory: PathBuf) -> Self {
        Self { network, kind, directory, agents: BTreeMap::new(), judged: BTreeMap::new() }
    }

    /// The address of a host.
    pub(crate) fn address(&self, host: usize) -> Ipv4Addr {
        self.network.nodes()[host].address()
    }

    /// Starts agents on these hosts at once.
    pub(crate) fn start(&mut self, hosts: impl IntoIterator<Item = usize>) -> Outcome<()> {
        for host in hosts {
            let host = &self.network.nodes()[host];
            let agent = Agent::start(&self.kind, host, self.address(0), &self.directory)?;
            self.agents.insert(host.address(), agent);
        }
        Ok(())
    }

    /// Starts a fleet of this size at once; how long it takes until it has one view.
    pub(crate) fn form(&mut self, size: usize) -> Outcome<Duration> {
        let start = Instant::now();
        self.start(0..size)?;
        self.one_view(Duration::from_secs(30))?;
        Ok(start.elapsed())
    }

    /// Kills the agent of a host.
    pub(crate) fn crash(&mut self, host: usize) {
        let address = self.address(host);
        self.agents.remove(&address);
    }

    /// Asks agents to leave, and waits until each has ended well.
    pub(crate) fn leave(&mut self, hosts: impl IntoIterator<Item = usize>) -> Outcome<()> {
        let addresses: Vec<Ipv4Addr> = hosts.into_iter().map(|host| self.address(host)).collect();
        let mut leaving: Vec<Agent> =
            addresses.iter().filter_map(|address| self.agents.remove(address)).collect();
        leaving.iter().for_each(|agent| agent.signal(Signal::SIGTERM));
        let mut failed = None;
        until(Duration::from_secs(30), || {
            leaving.retain_mut(|agent| match agent.ended() {
                None => true,
                Some(0) => false,
                Some(status) => {
                    failed = Some(format!("{} left with status {status}", agent.address()));
                    false
                }
            });
            leaving.is_empty()
        })
        .ok_or_else(|| format!("{} agents did not end 30 s after SIGTERM", leaving.len()))?;
        failed.map_or(Ok(()), |failed| Err(failed.into()))
    }

    /// Sends a signal to the agent of a host.
    pub(crate) fn signal(&self, host: usize, signal: Signal) {
        self.agents[&self.address(host)].signal(signal);
    }

    /// Waits until the own list of each agent is all agents; how long that took.
    pub(crate) fn one_view(&mut self, deadline: Duration) -> Outcome<Duration> {
        let all = self.addresses();
        self.view_of(&all, &all, deadline)
    }

    /// Waits until the own list of each of these agents is this one.
    pub(crate) fn view_of(
        &mut self,
        of: &[Ipv4Addr],
        view: &View,
        deadline: Duration,
    ) -> Outcome<Duration> {
        let agents = &mut self.agents;
        let agreed = || {
            let mut asked = agents.iter_mut().filter(|(address, _)| of.contains(address));
            asked.all(|(_, agent)| agent.view() == *view)
        };
        until(deadline, agreed).ok_or_else(|| {
            format!("no view of {} by all {} within {} s", view.len(), of.len(), deadline.as_secs())
                .into()
        })
    }

    /// Which agents have another list than they should, and how it differs.
    pub(crate) fn views(&mut self) -> String {
        let all = self.addresses();
        let mut text = String::new();
        for (address, agent) in &mut self.agents {
            let view = agent.view();
            let more: Vec<_> = view.iter().filter(|other| !all.contains(other)).collect();
            let less: Vec<_> = all.iter().filter(|other| !view.contains(other)).collect();
            if view.is_empty() {
                let _ = write!(text, "\n  {address} does not answer");
            } else if view != all {
                let _ = write!(text, "\n  {address} lists {}: ", view.len());
                let _ =
                    write!(text, "{} too many {more:?}, lacks {} {less:?}", more.len(), less.len());
            }
        }
        if text.is_empty() { "now all the same".into() } else { text }
    }

    /// From here on, accusations count.
    pub(crate) fn judge_from_here(&mut self) {
        self.judged = self.agents.keys().map(|own| (*own, self.log(*own).len())).collect();
    }

    /// Lines of the logs since then in which an agent has this event about one of these members.
    pub(crate) fn heard(&self, event: &str, about: &[Ipv4Addr]) -> Vec<String> {
        let mut heard = Vec::new();
        for (own, judged) in &self.judged {
            let log = self.log(*own);
            let lines =
                log[*judged..].lines().filter(|line| line.contains(&format!("event={event} ")));
            let about = |line: &&str| {
                about.iter().any(|address| line.contains(&format!("addr={address}:")))
            };
            heard.extend(lines.filter(about).map(|line| format!("{own}: {line}")));
        }
        heard
    }

    /// An error if any agent took one of these for dead, all of which are healthy.
    pub(crate) fn nobody_failed(&self, healthy: &[Ipv4Addr]) -> Outcome<()> {
        let failed = self.heard("member_failed", healthy);
        match failed.first() {
            None => Ok(()),
            Some(first) => {
                Err(format!("{} times a healthy member was failed; first {first}", failed.len())
                    .into())
            }
        }
    }

    /// Each agent.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// The addresses of all agents.
    pub(crate) fn addresses(&self) -> View {
        self.agents.keys().copied().collect()
    }

    fn log(&self, own: Ipv4Addr) -> String {
        fs::read_to_string(self.directory.join(format!("{own}.log"))).unwrap_or_default()
    }
}

/// Addresses of hosts.
pub(crate) fn addresses(hosts: &[Node]) -> View {
    hosts.iter().map(Node::address).collect()
}
