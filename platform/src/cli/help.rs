//! The help of every command. Each fits a screen of 80 by 24 and has an example.

/// A text in pieces, of which several commands share some.
pub(super) type Text = &'static [&'static str];

const SHOW: &str = "  --json           as JSON
  --watch          again every second
";

const ASK: &str = "  --cluster NAME   ask the agent of this cluster; default \"default\"
  --api PATH       ask the agent at this socket
";

pub(super) const OVERVIEW: Text = &["\
midge: a tiny cluster agent. Nodes find each other and agree on who is alive.

usage: midge COMMAND [OPTION ...]

  agent        run the agent of this node
  members      who is in the cluster, as the agent on this host knows it
  status       this node at a glance
  clock        what time it certainly is
  events       what happens, as it happens
  stats        the agent's counters
  join HOST    tell the running agent of another host to join through
  forget NODE  take a failed member for one that has left
  tag          change what others know about this node
  log LEVEL    change how much the agent writes to its log
  leave        make the agent leave the cluster and stop
  decode FILE  explain datagrams from hexadecimal text or a capture, no agent
  version      print the version
  help         this; help COMMAND or COMMAND --help: more about that command

Every long option can be given in the environment, as MIDGE_<OPTION>.
Exit status: 0 done, 1 failed, 2 wrong usage, 3 \"no\" (--check), 4 no agent.
example, two nodes:
  host-a$ midge agent
  host-b$ midge agent --join 10.0.0.1
"];

pub(super) const AGENT: Text = &["\
usage: midge agent [OPTION ...]        run the agent of this node

  --bind ADDR[:PORT]       listen here (UDP); default [::]:6434, IPv4 included
  --advertise ADDR[:PORT]  how others reach this node; default: the bound
                           address, or the source of the route to the first seed
  --join HOST[:PORT],...   members to join through; see: midge help joining
  --on-event CMD           run this at each event, with no shell; JSON on stdin
  --cluster NAME           only nodes of one name meet; default \"default\"
  --name NAME              default: the host name up to its first dot
  --tag KEY=VALUE,...      what others shall know about this node
  --period MS              protocol period, the same on all nodes; default 1000
  --api PATH               socket for clients; default /run/midge/CLUSTER.sock,
                           else $XDG_RUNTIME_DIR/midge-CLUSTER.sock
  --api-group GROUP, --api-mode MODE    who may use that; default mode 660
  --http ADDR[:PORT]       the API over TCP, for reading; default port 6435
  --metrics ADDR[:PORT]    Prometheus metrics and health alone, likewise
  --log LEVEL              error, warn, info (default), debug or trace

SIGTERM, SIGINT leave and stop, a second SIGINT at once; SIGUSR1 logs the state.
More options, of true time: midge help clockbound.

example: midge agent --join 10.0.0.1,10.0.0.2 --tag zone=eu-1a
"];

/// More options of the agent.
pub(super) const JOINING: Text = &["\
whom the agent joins: options of midge agent

  --join HOST[:PORT],...   addresses and names; all addresses of a name count
  --join-cmd CMD           run this, 30 s at most, while nobody is there, once a
                           minute: it prints more of them, one a line
  --join-file PATH         one in each line; read again when it changes
  --state-dir DIR          remember who was there last, for the next start
  --dns ADDR[:PORT],...    ask these nameservers; default: /etc/resolv.conf
  --allow-cidr NET,...     listen only to these networks, as in 10.0.0.0/8;
                           members on this machine count, too: 127.0.0.0/8

One list will do for all nodes: a node passes over its own address, and is the
first one if there is no other. Names are looked up in /etc/hosts, then by DNS;
again and again while nobody is there, at SIGHUP, and every few minutes.

example: midge agent --join seeds.example.com,10.0.0.2:7000
"];

/// And more of them.
pub(super) const CLOCKBOUND: Text = &["\
true time with a bound: options of midge agent

  --clockbound auto|PATH|off  read it from the segment of the ClockBound daemon;
                              auto (default): in /var/run/clockbound
  --max-drift-ppm N           by how much a clock drifts at most, in parts per
                              million, 1 to 10000; default 500

example: midge agent --clockbound /var/run/clockbound/shm0
"];

pub(super) const MEMBERS: Text = &[
    "\
usage: midge members [OPTION ...]      who is in the cluster

  -q, --quiet      addresses of live members only, one a line
  --state S,...    only these: alive, suspect, failed, left
  --tag K=V,...    only members with all of these tags
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

pub(super) const CLOCK: Text = &[
    "\
usage: midge clock [OPTION ...]        what time it certainly is

  --segment PATH   read this segment of ClockBound, without asking the agent
",
    SHOW,
    ASK,
    "
True time is between earliest and latest. Exit status 1: nobody can tell.

example: midge clock --segment /var/run/clockbound/shm0
",
];

pub(super) const EVENTS: Text = &[
    "\
usage: midge events [OPTION ...]       what happens, as it happens, a line each

  --since ID       go on after the event with this id; 0: all that are kept
  --json           as JSON, an object a line
",
    ASK,
    "
Ends when the agent has left; exit status 4 if it is gone without that. After
that, --since with the last id goes on, and says what was lost.

example: midge events --since 0 | grep member_failed
",
];

pub(super) const STATS: Text = &[
    "\
usage: midge stats [OPTION ...]        the agent's counters since its start

",
    SHOW,
    ASK,
    "
example: midge stats --watch
",
];

pub(super) const FORGET: Text = &[
    "\
usage: midge forget NODE ...           a failed member has left, for everybody

",
    ASK,
    "
NODE is an address, an id or a name that one member alone has. One that is
alive cannot be forgotten. Several: one by one, up to the first that cannot.

example: midge forget 10.0.0.7
",
];

pub(super) const TAG: Text = &[
    "\
usage: midge tag set KEY=VALUE ...     change what others know about this node
       midge tag rm KEY ...

",
    ASK,
    "
Until the agent ends; at its next start, --tag counts again.

example: midge tag set zone=eu-1a
",
];

pub(super) const LOG: Text = &[
    "\
usage: midge log LEVEL                 error, warn, info, debug or trace

",
    ASK,
    "
example: midge log debug
",
];

pub(super) const JOIN: Text = &[
    "\
usage: midge join HOST[:PORT] ...      join through these members, too

",
    ASK,
    "
HOST is an address or a name. The agent goes on asking until one answers;
`midge status` shows if one has.

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

pub(super) const DECODE: Text = &["\
usage: midge decode [OPTION ...] [FILE]    explain datagrams, without an agent

  --cluster NAME   check that their tags are those of this cluster; only where
                   given here, not as MIDGE_CLUSTER
  --json           as JSON, one object a line

FILE is a capture (pcap) or text: hexadecimal digits, an empty line between
datagrams, # before a comment. Without FILE, stdin. Exit status 1: not all are
well formed.

example: tcpdump -i any -c 20 -w - udp port 6434 | midge decode
"];

pub(super) const VERSION: Text = &["\
usage: midge version                   print the version

example: midge version
"];

#[cfg(test)]
mod tests {
    use super::super::COMMANDS;
    use super::*;

    #[test]
    fn fits_a_screen_and_has_an_example() {
        let commands = COMMANDS.iter().map(|command| command.help);
        for pieces in commands.chain([OVERVIEW, JOINING, CLOCKBOUND]) {
            let text = pieces.concat();
            assert!(text.lines().count() <= 24, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            assert!(text.contains("example") && text.ends_with('\n'), "{text}");
        }
    }
}
