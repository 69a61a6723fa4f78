//! The tables, and the documents that they are written into.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use netlab::Kind;

use crate::{DEADLINE, Figures, chart};

/// The size of fleet that README and the chart are about.
pub(crate) const SHOWN_NODES: usize = 30;

/// Every figure.
pub(crate) fn table(all: &[Figures]) -> String {
    let mut text = String::from(
        "| N | agent | sent, B/s a node | worst node, B/s | packets/s | resident, KiB | proportional, KiB | \
         anonymous, KiB | CPU, ms a minute | all agree, s | a crash is known to all, s |\n\
         |--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for figures in all {
        let idle = &figures.idle;
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {:.1} | {} | {} | {} | {:.0} | {} | {} |",
            figures.nodes,
            figures.kind,
            idle.bytes,
            idle.bytes_worst,
            idle.packets,
            idle.resident,
            idle.proportional,
            idle.anonymous,
            idle.cpu_ms,
            spread(&figures.agree),
            spread(&figures.crash),
        );
    }
    text
}

/// The same for those who only want to know which is smaller.
fn short_table(all: &[Figures]) -> String {
    let mut text = format!(
        "| {SHOWN_NODES} nodes | sent a node, idle | resident memory | CPU a minute | \
         started at once, all agree | a crash is known to all |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for figures in all.iter().filter(|figures| figures.nodes == SHOWN_NODES) {
        let _ = writeln!(
            text,
            "| {} | {:.0} B/s | {} KiB | {:.0} ms | {} s | {} s |",
            figures.kind,
            figures.idle.bytes,
            figures.idle.resident,
            figures.idle.cpu_ms,
            seconds(median(&figures.agree)),
            seconds(median(&figures.crash)),
        );
    }
    text
}

/// The figures that docs/numbers.md has, by their checks.
pub(crate) fn numbers(all: &[Figures]) -> String {
    let of = |kind: &str, nodes: usize| {
        let mut found = all.iter().filter(|figures| figures.kind == kind && figures.nodes == nodes);
        found.next().expect("all kinds are measured at all sizes")
    };
    let (few, midge, serf) = (of("midge", 3), of("midge", SHOWN_NODES), of("serf", SHOWN_NODES));
    let (idle, others) = (&midge.idle, serf.idle.cpu_ms / midge.idle.cpu_ms);
    let (agree, crash) = (median(&midge.agree), median(&midge.crash));
    let (agree_serf, crashes) = (median(&serf.agree), midge.crash.len());
    let slowest = seconds(midge.crash[crashes - 1]);
    let lines = [
        ("idle", format!("{:.0} / {:.0} B/s", few.idle.bytes_worst, idle.bytes_worst)),
        ("used/memory", format!("{} KiB, {} of them its own", idle.resident, idle.anonymous)),
        ("used/processor", format!("{:.0} ms a minute, 1/{others:.0}", idle.cpu_ms)),
        ("started_at_once", format!("{} s, serf {} s", seconds(agree), seconds(agree_serf))),
        ("crash_known_to_all", format!("{} s, at most {slowest} s of {crashes}", seconds(crash))),
    ];
    let mut text = String::new();
    for (check, value) in lines {
        let _ = writeln!(text, "numbers: tests/netlab/src/bin/peers/main.rs::{check} {value}");
    }
    text
}

/// The median of sorted times.
pub(crate) fn median(sorted: &[Duration]) -> Duration {
    (sorted[sorted.len() / 2] + sorted[(sorted.len() - 1) / 2]) / 2
}

fn spread(sorted: &[Duration]) -> String {
    let worst = sorted[sorted.len() - 1];
    format!("{} (worst of {}: {})", seconds(median(sorted)), sorted.len(), seconds(worst))
}

fn seconds(time: Duration) -> String {
    if time >= DEADLINE {
        return format!("> {}", DEADLINE.as_secs());
    }
    // Two digits that mean something.
    let digits = if time < Duration::from_secs(1) { 2 } else { 1 };
    format!("{:.digits$}", time.as_secs_f64())
}

/// Replaces the generated parts of the documents.
pub(crate) fn write(all: &[Figures], kinds: &[Kind]) -> Result<(), Box<dyn Error>> {
    let machine = machine(kinds)?;
    replace("docs/peers.md", &format!("{machine}\n{}", table(all)))?;
    replace("README.md", &short_table(all))?;
    fs::write("docs/peers.svg", chart::svg(all))?;
    eprintln!("written: docs/peers.md, docs/peers.svg, README.md");
    Ok(())
}

/// Puts `text` between the markers of a document.
fn replace(path: &str, text: &str) -> Result<(), Box<dyn Error>> {
    const START: &str = "<!-- written by make bench-peers -->\n";
    const END: &str = "<!-- end of what is written -->\n";
    let document = fs::read_to_string(path)?;
    let missing = || format!("{path}: a marker of the generated part is missing");
    let (head, rest) = document.split_once(START).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(END).ok_or_else(missing)?;
    fs::write(path, format!("{head}{START}\n{text}\n{END}{tail}"))?;
    Ok(())
}

/// What was measured, and on what.
fn machine(kinds: &[Kind]) -> Result<String, Box<dyn Error>> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let mut text = format!("Measured on {count} cores of {model}, Linux {}", kernel.trim());
    let _ = writeln!(text, " (load average at the end: {}).", load.split(' ').next().unwrap_or(""));
    for kind in kinds {
        let (program, version) = match kind {
            Kind::Midge(program) => (program, said(program, "version")?),
            Kind::Foca(program) => (program, "foca 2.0.0".into()),
            Kind::Serf(program) => (program, said(program, "version")?),
        };
        let bytes = fs::metadata(program)?.len();
        let build = build(program).map(|build| format!(" ({build} build)")).unwrap_or_default();
        let _ =
            writeln!(text, "- {}: {version}{build}, a file of {} kB", kind.name(), bytes / 1000);
    }
    Ok(text)
}

/// Which of the Makefile's builds of midge it is.
fn build(program: &Path) -> Option<&str> {
    let folder = program.parent()?.file_name()?.to_str()?;
    ["tiny", "release"].into_iter().find(|build| *build == folder)
}

/// The first line that a program prints.
fn said(program: &Path, argument: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).arg(argument).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or("").to_owned())
}
