//! `midge agent`: from options to validated settings.

use core::fmt;
use log::LevelFilter;
use midge::config::{validate_name, validate_tags};
use midge::limits::NAME_BYTES;
use midge::{Address, ConfigError, JoinError};
use nix::sys::utsname::uname;

use super::options::{Flag, Options, Value};
use super::{Failure, client, clock};
use crate::agent::{self, Network, Networks, Settings};
use crate::api::{DEFAULT_PORT, HTTP_PORT, parse_address, parse_target};
use crate::child::CommandLine;
use crate::clock::SEGMENT_PATHS;
use crate::dns::config::DNS_PORT;
use crate::group::find_group;
use crate::http::Access;
use crate::logger;
use crate::os::Slot;
use crate::seeds::{Seeds, Source};
use crate::text::{cut, parse_digits, parse_number};

/// In memory that costs nothing until it is used.
static SEEDS: Slot<Seeds> = Slot::new(Seeds::EMPTY);

/// The path of the segment, if it is given.
static SEGMENT: Slot<[&str; 1]> = Slot::new([""]);

pub(super) const FLAGS: &[Flag] = &[
    Flag::Bind,
    Flag::Advertise,
    Flag::Name,
    Flag::Tag,
    Flag::Cluster,
    Flag::Join,
    Flag::JoinFile,
    Flag::StateDir,
    Flag::Dns,
    Flag::AllowCidr,
    Flag::Period,
    Flag::Api,
    Flag::Http,
    Flag::Metrics,
    Flag::ApiGroup,
    Flag::ApiMode,
    Flag::OnEvent,
    Flag::JoinCmd,
    Flag::Log,
    Flag::Clockbound,
    Flag::MaxDriftPpm,
];

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let seeds = SEEDS.take().ok_or(Failure::Failed)?;
    let cluster = client::cluster(options)?;
    let mut settings = Settings {
        bind: None,
        advertise: None,
        name: heapless::String::new(),
        tags: heapless::String::new(),
        cluster,
        state_dir: None,
        join_file: None,
        allowed: Networks::new(),
        dns: heapless::Vec::new(),
        period_ms: 1_000,
        clockbound: SEGMENT_PATHS,
        max_drift_ppm: 500,
        api: client::api_paths(options, cluster)?,
        http: None,
        metrics: None,
        // By default the owner and the group may connect; who can, can stop the agent.
        api_access: Access { mode: 0o660, group: None },
        log: LevelFilter::Info,
        on_event: None,
        join_cmd: None,
        environment: options.environment,
    };
    for &flag in FLAGS {
        options.values(flag, &mut |value| set(&mut settings, seeds, &value))?;
    }
    if settings.name.is_empty() {
        take_host_name(&mut settings)?;
    }
    logger::init(settings.log, options.environment.variable("JOURNAL_STREAM"));
    agent::run(&settings, seeds).map_err(|_| Failure::Failed)
}

/// Puts a value where it belongs.
fn set(settings: &mut Settings, seeds: &mut Seeds, value: &Value) -> Result<(), Failure> {
    match value.flag {
        Flag::Bind => return take(&mut settings.bind, value, DEFAULT_PORT),
        Flag::Http => return take(&mut settings.http, value, HTTP_PORT),
        Flag::Metrics => return take(&mut settings.metrics, value, HTTP_PORT),
        Flag::Advertise => return take_advertised(settings, value),
        Flag::Name => {
            let text = value.text;
            validate_name(text)
                .map_err(|error| wrong(value, format_args!(" ({} bytes): {error}", text.len())))?;
            put(&mut settings.name, text);
        }
        Flag::Tag => return add_tag(settings, value),
        Flag::Join => return add_seed(seeds, value),
        Flag::JoinFile => settings.join_file = Some(path(value)?),
        Flag::StateDir => settings.state_dir = Some(path(value)?),
        Flag::Dns => return add_nameserver(settings, value),
        Flag::AllowCidr => return add_network(settings, value),
        Flag::Period => match parse_number(value.text.as_bytes()) {
            Some(ms @ 50..=60_000) => settings.period_ms = ms as u32,
            _ => return Err(is(value, "not a number of milliseconds from 50 to 60000")),
        },
        Flag::Clockbound => settings.clockbound = segments(value)?,
        // What is off by more than 1 in 100 is broken, and no lease would be left of it.
        Flag::MaxDriftPpm => match parse_number(value.text.as_bytes()) {
            Some(ppm @ 1..=10_000) => settings.max_drift_ppm = ppm as u32,
            _ => return Err(is(value, "not a number of parts per million from 1 to 10000")),
        },
        Flag::ApiMode => match parse_digits(value.text, 8) {
            Some(mode @ 0..=0o777) => settings.api_access.mode = mode as u32,
            _ => return Err(is(value, "not a mode from 0 to 777, like 660")),
        },
        Flag::ApiGroup => match find_group(value.text) {
            None => return Err(is(value, "no group in /etc/group, and no number")),
            group => settings.api_access.group = group,
        },
        Flag::OnEvent => settings.on_event = Some(command(value)?),
        Flag::JoinCmd => {
            settings.join_cmd = Some(command(value)?);
            seeds.wait_for(Source::Command);
        }
        Flag::Log => match logger::find_level(value.text) {
            Some((_, level)) => settings.log = level,
            None => return Err(is(value, "none of error, warn, info, debug or trace")),
        },
        // Those that the clients have, too, are read by what is common to all.
        _ => {}
    }
    Ok(())
}

#[inline(never)]
fn wrong(value: &Value, what: fmt::Arguments<'_>) -> Failure {
    Failure::usage(format_args!("{value}{what}"))
}

#[inline(never)]
fn is(value: &Value, what: &'static str) -> Failure {
    wrong(value, format_args!(" is {what}"))
}

#[inline(never)]
fn literal(value: &Value, port: u16) -> Result<Address, Failure> {
    parse_address(value.text, port).map_err(|error| wrong(value, format_args!(": {error}")))
}

#[inline(never)]
fn take(place: &mut Option<Address>, value: &Value, port: u16) -> Result<(), Failure> {
    *place = Some(literal(value, port)?);
    Ok(())
}

/// Port 0 stands for the port that is bound.
fn take_advertised(settings: &mut Settings, value: &Value) -> Result<(), Failure> {
    let address = literal(value, 0)?;
    // Any port will do to see whether the host is one.
    if !address.with_port(1).is_usable() {
        return Err(is(value, "not the address of one host; others need one"));
    }
    settings.advertise = Some(address);
    Ok(())
}

fn add_seed(seeds: &mut Seeds, value: &Value) -> Result<(), Failure> {
    let target = parse_target(value.text, DEFAULT_PORT)
        .map_err(|error| wrong(value, format_args!(": {error}")))?;
    seeds.add(Source::Options, target).map_err(|error| match error {
        JoinError::Full => Failure::failed(format_args!("--join: {target}: {error}")),
        _ => wrong(value, format_args!(" is {error}")),
    })
}

fn path(value: &Value) -> Result<&'static str, Failure> {
    if value.text.is_empty() { Err(is(value, "no path")) } else { Ok(value.text) }
}

fn segments(value: &Value) -> Result<&'static [&'static str], Failure> {
    match value.text {
        "auto" => Ok(SEGMENT_PATHS),
        "off" => Ok(&[]),
        text if clock::is_path(text) => {
            let paths = SEGMENT.take().ok_or(Failure::Failed)?;
            *paths = [text];
            Ok(paths)
        }
        _ => Err(is(value, "not auto, off or a path from / on")),
    }
}

fn add_network(settings: &mut Settings, value: &Value) -> Result<(), Failure> {
    let Some(network) = Network::parse(value.text) else {
        return Err(is(value, "no network; give one as 10.0.0.0/8 or fd00::/8"));
    };
    settings.allowed.push(network).map_err(|_| is(value, "one too many, 16 fit"))
}

fn add_nameserver(settings: &mut Settings, value: &Value) -> Result<(), Failure> {
    let server = literal(value, DNS_PORT)?;
    if !server.is_usable() {
        return Err(is(value, "not the address and port of one host"));
    }
    settings.dns.push(server).map_err(|_| is(value, "one too many, 3 are asked"))
}

/// Alone a tag may be well and together with the others not: too long, or a key twice.
fn add_tag(settings: &mut Settings, value: &Value) -> Result<(), Failure> {
    let (tags, text) = (&mut settings.tags, value.text);
    let link = match validate_tags(text) {
        Err(_) => "",
        Ok(()) => {
            let comma = if tags.is_empty() { "" } else { "," };
            let fits = tags.push_str(comma).is_ok() && tags.push_str(text).is_ok();
            if fits && validate_tags(tags).is_ok() {
                return Ok(());
            }
            ", with the other tags"
        }
    };
    Err(wrong(value, format_args!("{link}: {}", ConfigError::Tags)))
}

/// The host name is the name of a node that is given none.
fn take_host_name(settings: &mut Settings) -> Result<(), Failure> {
    let system = uname().ok();
    let host = system.as_ref().and_then(|system| system.nodename().to_str()).unwrap_or_default();
    let name = short_name(host);
    validate_name(name).map_err(|_| {
        Failure::usage(format_args!("--name: the host name `{host}` gives none; say --name NAME"))
    })?;
    put(&mut settings.name, name);
    Ok(())
}

/// The last text counts; it is known to fit.
fn put(name: &mut heapless::String<NAME_BYTES>, text: &str) {
    name.clear();
    let _ = name.push_str(text);
}

/// A host name up to its first dot, cut to what a name can hold.
fn short_name(host: &str) -> &str {
    let name = cut(host, b'.').map_or(host, |(name, _)| name);
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn command(value: &Value) -> Result<CommandLine, Failure> {
    CommandLine::parse(value.text).map_err(|error| wrong(value, format_args!(" {error}")))
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn a_host_name_is_cut_at_its_dot_and_between_characters() {
        for (host, name) in [
            ("web-1.example.com", "web-1"),
            ("web-1", "web-1"),
            (".example", ""),
            ("0123456789012345678901234567890123456789", "01234567890123456789012345678901"),
            ("0123456789012345678901234567890ü", "0123456789012345678901234567890"),
        ] {
            assert_eq!(short_name(host), name, "{host}");
        }
    }
}
