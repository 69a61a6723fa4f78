//! The help of every command. Each fits a screen of 80 by 24 and has an example.

/// A text in pieces, of which several commands share some.
pub(super) type Text = &'static [&'static str];

const SHOW: &str = "\
  --json           as JSON
  --watch          again every second
";

const ASK: &str = "\
  --cluster NAME   ask the agent of this cluster; default \"default\"
  --api PATH       ask the agent at this socket
";

pub(super) const OVERVIEW: Text = &["\
midge: a tiny cluster agent. Nodes find each other and agree on who is alive.

usage: midge COMMAND [OPTION ...]

  agent        run the agent of this node
  members      who is in the cluster, as the agent on this host knows it
  status       this node at a glance
  join ADDR    tell the running agent another address to join through
  leave        make the agent leave the cluster and stop
  version      print the version
  help         this; help COMMAND or COMMAND --help: more about that command

Every long option can be given in the environment, as MIDGE_<OPTION>.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 \"no\" (--check), 4 no agent.

example, two nodes:
  host-a$ midge agent
  host-b$ midge agent --join 10.0.0.1
  host-b$ midge members
"];

pub(super) const AGENT: Text = &["\
usage: midge agent [OPTION ...]        run the agent of this node

  --bind ADDR[:PORT]       listen here (UDP); default [::]:6434, IPv4 included
  --advertise ADDR[:PORT]  how others reach this node; default: the bound
                           address, or the source of the route to the first seed
  --join ADDR[:PORT],...   addresses of members to join through
  --cluster NAME           only nodes of one name meet; default \"default\"
  --name NAME              default: the host name up to its first dot
  --tag KEY=VALUE,...      what others shall know about this node
  --period MS              protocol period, the same on all nodes; default 1000
  --api PATH               socket for `midge members` and others; default
                           /run/midge/CLUSTER.sock, else
                           $XDG_RUNTIME_DIR/midge-CLUSTER.sock
  --log LEVEL              error, warn, info (default), debug or trace

Addresses are 10.0.0.1, 10.0.0.1:6434, fd00::1 or [fd00::1]:6434.
SIGTERM and SIGINT leave the cluster and stop, a second SIGINT stops at once;
SIGUSR1 writes the state to the log.

example: midge agent --join 10.0.0.1,10.0.0.2 --tag zone=eu-1a
"];

pub(super) const MEMBERS: Text = &[
    "\
usage: midge members [OPTION ...]      who is in the cluster

  -q, --quiet      addresses of live members only, one a line
",
    SHOW,
    ASK,
    "
The state of a member is alive, suspect, failed or left, as this node knows it.

example: midge members --watch
",
];

pub(super) const STATUS: Text = &[
    "\
usage: midge status [OPTION ...]       this node at a glance

  --check          say nothing; exit 0 if the node has joined, 3 if not
",
    SHOW,
    ASK,
    "
example: until midge status --check; do sleep 1; done
",
];

pub(super) const JOIN: Text = &[
    "\
usage: midge join ADDR[:PORT] ...      join through these members, too

",
    ASK,
    "
The agent goes on asking until one answers; `midge status` shows if one has.

example: midge join 10.0.0.1
",
];

pub(super) const LEAVE: Text = &[
    "\
usage: midge leave [OPTION ...]        leave the cluster and stop the agent

",
    ASK,
    "
The others see the node as left, not as failed. The agent stops when they have
been told, after 3 seconds at most.

example: midge leave
",
];

pub(super) const VERSION: Text = &["\
usage: midge version                   print the version

example: midge version
"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_a_screen_and_has_an_example() {
        for pieces in [OVERVIEW, AGENT, MEMBERS, STATUS, JOIN, LEAVE, VERSION] {
            let text = pieces.concat();
            assert!(text.lines().count() <= 24, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("example") && text.ends_with('\n'), "{text}");
        }
    }
}
