//! `midge agent`: from options to validated settings.

use core::fmt;
use heapless::Vec;
use log::LevelFilter;
use midge::config::{validate_name, validate_tags};
use midge::limits::{NAME_BYTES, TAGS_BYTES};
use midge::{Address, ConfigError, JoinError};
use nix::sys::utsname::uname;

use super::options::{self, Flag, Options, Value};
use super::{Failure, client};
use crate::agent::{self, Network, Networks, Settings};
use crate::api::{DEFAULT_PORT, HTTP_PORT, parse_address, parse_target};
use crate::child::CommandLine;
use crate::dns::config::{DNS_PORT, SERVERS};
use crate::group::find_group;
use crate::http::Access;
use crate::logger;
use crate::os::Slot;
use crate::seeds::{Seeds, Source};
use crate::text::{cut, parse_digits, parse_number};

/// In memory that costs nothing until it is used.
static SEEDS: Slot<Seeds> = Slot::new(Seeds::EMPTY);

pub(super) const FLAGS: &[&Flag] = &[
    options::BIND,
    options::ADVERTISE,
    options::NAME,
    options::TAG,
    options::CLUSTER,
    options::JOIN,
    options::JOIN_FILE,
    options::STATE_DIR,
    options::DNS,
    options::ALLOW_CIDR,
    options::PERIOD,
    options::API,
    options::HTTP,
    options::METRICS,
    options::API_GROUP,
    options::API_MODE,
    options::ON_EVENT,
    options::JOIN_CMD,
    options::LOG,
];

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (settings, seeds) = (settings(options)?, seeds(options)?);
    logger::init(settings.log, options.environment.variable("JOURNAL_STREAM"));
    agent::run(&settings, seeds).map_err(|_| Failure::Failed)
}

fn settings(options: &Options) -> Result<Settings, Failure> {
    let cluster = client::cluster(options)?;
    Ok(Settings {
        bind: bind(options)?,
        advertise: advertise(options)?,
        name: name(options)?,
        tags: tags(options)?,
        cluster,
        state_dir: path(options, options::STATE_DIR)?,
        join_file: path(options, options::JOIN_FILE)?,
        allowed: allowed(options)?,
        dns: dns(options)?,
        period_ms: period_ms(options)?,
        api: client::api_paths(options, cluster)?,
        http: tcp(options, options::HTTP)?,
        metrics: tcp(options, options::METRICS)?,
        api_access: api_access(options)?,
        log: level(options)?,
        on_event: command(options, options::ON_EVENT)?,
        join_cmd: command(options, options::JOIN_CMD)?,
        environment: options.environment,
    })
}

fn wrong(value: Value, what: fmt::Arguments<'_>) -> Failure {
    Failure::usage(format_args!("{value}{what}"))
}

fn literal(value: Value, port: u16) -> Result<Address, Failure> {
    parse_address(value.text, port).map_err(|error| wrong(value, format_args!(": {error}")))
}

fn bind(options: &Options) -> Result<Option<Address>, Failure> {
    let Some(value) = options.last(options::BIND) else { return Ok(None) };
    literal(value, DEFAULT_PORT).map(Some)
}

/// Where the API listens on TCP, if anywhere.
fn tcp(options: &Options, flag: &'static Flag) -> Result<Option<Address>, Failure> {
    let Some(value) = options.last(flag) else { return Ok(None) };
    literal(value, HTTP_PORT).map(Some)
}

/// Port 0 stands for the port that is bound.
fn advertise(options: &Options) -> Result<Option<Address>, Failure> {
    let Some(value) = options.last(options::ADVERTISE) else { return Ok(None) };
    let address = literal(value, 0)?;
    // Any port will do to see whether the host is one.
    if !address.with_port(1).is_usable() {
        return Err(wrong(value, format_args!(" is not the address of one host; others need one")));
    }
    Ok(Some(address))
}

fn seeds(options: &Options) -> Result<&'static mut Seeds, Failure> {
    let seeds = SEEDS.take().ok_or(Failure::Failed)?;
    if options.last(options::JOIN_CMD).is_some() {
        seeds.wait_for(Source::Command);
    }
    options.items(options::JOIN, &mut |value| {
        let target = parse_target(value.text, DEFAULT_PORT)
            .map_err(|error| wrong(value, format_args!(": {error}")))?;
        seeds.add(Source::Options, target).map_err(|error| match error {
            JoinError::Full => Failure::failed(format_args!("--join: {target}: {error}")),
            _ => wrong(value, format_args!(" is {error}")),
        })
    })?;
    Ok(seeds)
}

fn path(options: &Options, flag: &'static Flag) -> Result<Option<&'static str>, Failure> {
    match options.last(flag) {
        Some(value) if value.text.is_empty() => Err(wrong(value, format_args!(" is no path"))),
        value => Ok(value.map(|value| value.text)),
    }
}

fn allowed(options: &Options) -> Result<Networks, Failure> {
    let mut networks = Networks::new();
    options.items(options::ALLOW_CIDR, &mut |value| {
        let network = Network::parse(value.text).ok_or_else(|| {
            wrong(value, format_args!(" is no network; give one as 10.0.0.0/8 or fd00::/8"))
        })?;
        networks.push(network).map_err(|_| wrong(value, format_args!(" is one too many, 16 fit")))
    })?;
    Ok(networks)
}

fn dns(options: &Options) -> Result<Vec<Address, SERVERS>, Failure> {
    let mut servers = Vec::new();
    options.items(options::DNS, &mut |value| {
        let server = literal(value, DNS_PORT)?;
        if !server.is_usable() {
            return Err(wrong(value, format_args!(" is not the address and port of one host")));
        }
        servers
            .push(server)
            .map_err(|_| wrong(value, format_args!(" is one too many, 3 are asked")))
    })?;
    Ok(servers)
}

fn name(options: &Options) -> Result<heapless::String<NAME_BYTES>, Failure> {
    if let Some(value) = options.last(options::NAME) {
        let text = value.text;
        validate_name(text)
            .map_err(|error| wrong(value, format_args!(" ({} bytes): {error}", text.len())))?;
        return Ok(copy(text));
    }
    let system = uname().ok();
    let host = system.as_ref().and_then(|system| system.nodename().to_str()).unwrap_or_default();
    let name = short_name(host);
    validate_name(name).map_err(|_| {
        Failure::usage(format_args!("--name: the host name `{host}` gives none; say --name NAME"))
    })?;
    Ok(copy(name))
}

/// A text that is known to fit.
fn copy<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().unwrap_or_default()
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

fn tags(options: &Options) -> Result<heapless::String<TAGS_BYTES>, Failure> {
    let mut tags = heapless::String::new();
    options.items(options::TAG, &mut |value| {
        let text = value.text;
        validate_tags(text).map_err(|error| wrong(value, format_args!(": {error}")))?;
        // Alone it may be well and together with the others not: too long, or a key twice.
        let comma = if tags.is_empty() { "" } else { "," };
        let fits = tags.push_str(comma).and_then(|()| tags.push_str(text));
        fits.map_err(|_| ConfigError::Tags)
            .and_then(|()| validate_tags(&tags))
            .map_err(|error| wrong(value, format_args!(", with the other tags: {error}")))
    })?;
    Ok(tags)
}

fn period_ms(options: &Options) -> Result<u32, Failure> {
    let Some(value) = options.last(options::PERIOD) else { return Ok(1_000) };
    match parse_number(value.text.as_bytes()) {
        Some(ms @ 50..=60_000) => Ok(ms as u32),
        _ => Err(wrong(value, format_args!(" is not a number of milliseconds from 50 to 60000"))),
    }
}

/// By default the owner and the group may connect; who can, can stop the agent.
fn api_access(options: &Options) -> Result<Access, Failure> {
    let mut access = Access { mode: 0o660, group: None };
    if let Some(value) = options.last(options::API_MODE) {
        access.mode = match parse_digits(value.text, 8) {
            Some(mode @ 0..=0o777) => mode as u32,
            _ => return Err(wrong(value, format_args!(" is not a mode from 0 to 777, like 660"))),
        };
    }
    if let Some(value) = options.last(options::API_GROUP) {
        access.group = find_group(value.text);
        if access.group.is_none() {
            return Err(wrong(value, format_args!(" is no group in /etc/group, and no number")));
        }
    }
    Ok(access)
}

fn command(options: &Options, flag: &'static Flag) -> Result<Option<CommandLine>, Failure> {
    let Some(value) = options.last(flag) else { return Ok(None) };
    let command = CommandLine::parse(value.text);
    command.map(Some).map_err(|error| wrong(value, format_args!(" {error}")))
}

fn level(options: &Options) -> Result<LevelFilter, Failure> {
    let Some(value) = options.last(options::LOG) else { return Ok(LevelFilter::Info) };
    logger::find_level(value.text)
        .map(|(_, level)| level)
        .ok_or_else(|| wrong(value, format_args!(" is none of error, warn, info, debug or trace")))
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
