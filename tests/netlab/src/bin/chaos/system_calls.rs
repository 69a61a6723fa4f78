//! How much an agent asks of the kernel.

use std::process::{Command, Stdio};

use crate::fleet::{Fleet, Outcome};

pub(crate) const FILE: &str = file!();

/// For one packet, sent or received.
const LIMIT: f64 = 5.0;
const NODES: usize = 30;

/// strace counts what one of up to thirty idle agents calls in a minute.
pub(crate) fn system_calls(fleet: &mut Fleet, _quick: bool) -> Outcome {
    let size = fleet.network.nodes().len().min(NODES);
    fleet.form(size)?;
    let agent = fleet.agents().last().ok_or("there are no agents")?;
    let mut strace = Command::new("timeout");
    strace.args(["--signal=INT", "--kill-after=5", "60", "strace", "-c", "-f"]);
    strace.args(["-p", &agent.pid().to_string()]).stdin(Stdio::null()).stderr(Stdio::piped());
    // Not from this thread: its children inherit that interrupts are blocked.
    let output = fleet.network.nodes()[0].spawn(&mut strace)?.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let (mut calls, mut packets) = (0, 0);
    for line in said.lines() {
        // Percent, seconds, microseconds a call, calls, errors if any, name.
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(count), Some(name)) = (words.get(3), words.last()) else { continue };
        let Ok(count) = count.parse::<u32>() else { continue };
        if *name == "total" {
            calls = count;
        } else if ["sendto", "recvfrom"].contains(name) {
            let errors = if words.len() == 6 { words[4].parse()? } else { 0 };
            packets += count - errors;
        }
    }
    if packets == 0 {
        return Err(format!("strace counted nothing: {}", said.trim()).into());
    }
    let each = f64::from(calls) / f64::from(packets);
    if each > LIMIT {
        return Err(format!("{each:.1} system calls a packet:\n{said}").into());
    }
    Ok(format!("{calls} system calls for {packets} packets of 1 of {size}: {each:.1} each"))
}
