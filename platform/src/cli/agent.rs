//! `midge agent`: from options to validated settings.

use std::net::SocketAddr;

use log::LevelFilter;
use midge::Address;
use midge::config::{validate_name, validate_tags};
use midge::limits::NAME_BYTES;
use nix::unistd::gethostname;

use super::options::{self, Flag, Options, Value};
use super::{Failure, client};
use crate::agent::{self, Settings};
use crate::api::{DEFAULT_PORT, parse_address};
use crate::logger;

pub(super) const FLAGS: &[&Flag] = &[
    options::BIND,
    options::ADVERTISE,
    options::NAME,
    options::TAG,
    options::CLUSTER,
    options::JOIN,
    options::PERIOD,
    options::API,
    options::LOG,
];

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let settings = settings(options).map_err(Failure::Usage)?;
    logger::init(settings.log);
    agent::run(&settings).map_err(Failure::Failed)
}

fn settings(options: &Options) -> Result<Settings, String> {
    let cluster = client::cluster(options)?;
    let bind = options.last(options::BIND).map(|v| literal(v, DEFAULT_PORT)).transpose()?;
    let bind = bind.map(SocketAddr::from);
    Ok(Settings {
        bind,
        advertise: advertise(options)?,
        name: name(options)?,
        tags: tags(options)?,
        api: client::api_paths(options, &cluster),
        cluster,
        join: join(options)?,
        period_ms: period_ms(options)?,
        log: level(options)?,
    })
}

fn literal(value: Value<'_>, port: u16) -> Result<Address, String> {
    parse_address(value.text, port)
        .map_err(|error| value.complain(&format!("`{}`: {error}", value.text)))
}

/// Port 0 stands for the port that is bound.
fn advertise(options: &Options) -> Result<Option<SocketAddr>, String> {
    let Some(value) = options.last(options::ADVERTISE) else { return Ok(None) };
    let address = literal(value, 0)?;
    // Any port will do to see whether the host is one.
    if address.with_port(1).is_usable() {
        Ok(Some(address.into()))
    } else {
        let text = value.text;
        Err(value.complain(&format!("`{text}` is not the address of one host; others need one")))
    }
}

fn join(options: &Options) -> Result<Vec<SocketAddr>, String> {
    let mut seeds = Vec::new();
    for value in options.items(options::JOIN) {
        let seed = literal(value, DEFAULT_PORT)?;
        if !seed.is_usable() {
            let text = value.text;
            return Err(
                value.complain(&format!("`{text}` is not the address and port of one host"))
            );
        }
        seeds.push(seed.into());
    }
    Ok(seeds)
}

fn name(options: &Options) -> Result<String, String> {
    if let Some(value) = options.last(options::NAME) {
        let text = value.text;
        validate_name(text)
            .map_err(|e| value.complain(&format!("`{text}` ({} bytes): {e}", text.len())))?;
        return Ok(text.into());
    }
    let host = gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
    let name = short_name(&host);
    validate_name(name)
        .map_err(|_| format!("--name: the host name `{host}` gives none; say --name NAME"))?;
    Ok(name.into())
}

/// A host name up to its first dot, cut to what a name can hold.
fn short_name(host: &str) -> &str {
    let name = host.split('.').next().unwrap_or_default();
    let mut end = name.len().min(NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn tags(options: &Options) -> Result<String, String> {
    let mut tags = String::new();
    for value in options.items(options::TAG) {
        let text = value.text;
        validate_tags(text).map_err(|e| value.complain(&format!("`{text}`: {e}")))?;
        if !tags.is_empty() {
            tags.push(',');
        }
        tags.push_str(text);
        // Alone it may be well and together with the others not: too long, or a key twice.
        validate_tags(&tags).map_err(|e| value.complain(&format!("with `{text}`: {e}")))?;
    }
    Ok(tags)
}

fn period_ms(options: &Options) -> Result<u32, String> {
    let Some(value) = options.last(options::PERIOD) else { return Ok(1_000) };
    let period = value.text.parse().ok().filter(|ms| (50..=60_000).contains(ms));
    period.ok_or_else(|| {
        let text = value.text;
        value.complain(&format!("`{text}` is not a number of milliseconds from 50 to 60000"))
    })
}

fn level(options: &Options) -> Result<LevelFilter, String> {
    let Some(value) = options.last(options::LOG) else { return Ok(LevelFilter::Info) };
    Ok(match value.text {
        "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "info" => LevelFilter::Info,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        text => {
            let expected = "error, warn, info, debug or trace";
            return Err(value.complain(&format!("`{text}` is none of {expected}")));
        }
    })
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
