//! What a process uses, as the kernel counts it.

use std::fs;
use std::io;

/// An Ethernet header: part of an interface's byte counters, and not of anybody's IP traffic.
const LINK_HEADER_BYTES: u64 = 14;

/// What a process and its host have used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Packets that its host has sent.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Processor time of all its threads, in user mode and in the kernel, ns.
    pub cpu_ns: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let interfaces = fs::read_to_string(format!("/proc/{pid}/net/dev"))?;
        let line = interfaces.lines().find_map(|line| line.trim_start().strip_prefix("eth0:"));
        let counters: Vec<u64> =
            line.unwrap_or("").split_whitespace().flat_map(str::parse).collect();
        let (Some(bytes), Some(packets)) = (counters.get(8), counters.get(9)) else {
            return Err(io::Error::other("/proc/PID/net/dev lacks eth0"));
        };
        let mut cpu_ns = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let times = fs::read_to_string(task?.path().join("schedstat"))?;
            cpu_ns += number(times.split(' ').next().unwrap_or(""))?;
        }
        Ok(Self { packets: *packets, bytes: bytes - LINK_HEADER_BYTES * packets, cpu_ns })
    }
}

/// What a process keeps in memory, KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// All pages that are resident, those of its file included (`VmRSS`).
    pub resident: u64,
    /// The same, each page divided by how many processes have it (`Pss`).
    pub proportional: u64,
    /// Pages of its own: heap, stack, changed data (`Anonymous`).
    pub anonymous: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self {
            resident: kibibytes(&status, "VmRSS:")?,
            proportional: kibibytes(&rollup, "Pss:")?,
            anonymous: kibibytes(&rollup, "Anonymous:")?,
        })
    }
}

/// Datagrams that the host of a process has thrown away because nobody had read those before.
pub(crate) fn unread(pid: u32) -> io::Result<u64> {
    let counters = fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
    // A line of names, and one of values.
    let mut lines = counters.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
    let value = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "RcvbufErrors");
    number(value.map_or("", |(_, value)| value))
}

fn kibibytes(text: &str, field: &str) -> io::Result<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(field));
    number(rest.and_then(|rest| rest.split_whitespace().next()).unwrap_or(""))
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("/proc: '{text}' is no number")))
}
