//! Enough of serf's RPC protocol (MessagePack over TCP) to ask an agent for its members.

use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpStream};
use std::time::Duration;

pub(crate) const PORT: u16 = 7373;

/// `{"Command":"handshake","Seq":0}{"Version":1}`
const HANDSHAKE: &[u8] = b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01";
/// `{"Command":"members","Seq":1}`
const MEMBERS: &[u8] = b"\x82\xa7Command\xa7members\xa3Seq\x01";

/// A connection to the RPC port of an agent.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(agent: Ipv4Addr) -> io::Result<Self> {
        let address = SocketAddrV4::new(agent, PORT).into();
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.set_nodelay(true)?;
        let mut client = Self(BufReader::new(stream));
        client.0.get_mut().write_all(HANDSHAKE)?;
        Value::read(&mut client.0)?;
        Ok(client)
    }

    /// Addresses of the members that the agent takes for alive, itself included.
    pub(crate) fn alive(&mut self) -> io::Result<Vec<Ipv4Addr>> {
        self.0.get_mut().write_all(MEMBERS)?;
        Value::read(&mut self.0)?;
        let body = Value::read(&mut self.0)?;
        let Some(Value::Array(members)) = body.get("Members") else {
            return Err(malformed());
        };
        let mut alive = Vec::new();
        for member in members {
            let (Some(Value::Bytes(address)), Some(Value::Bytes(status))) =
                (member.get("Addr"), member.get("Status"))
            else {
                return Err(malformed());
            };
            if status == b"alive" {
                alive.push(ipv4(address).ok_or_else(malformed)?);
            }
        }
        Ok(alive)
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not what serf answers")
}

/// Four bytes, or a mapped address of sixteen.
fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(octets.into());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    match IpAddr::from(Ipv6Addr::from(octets)).to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// What MessagePack carries. Numbers are read over: nothing here asks for one.
enum Value {
    Number,
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let is_key = |name: &Self| matches!(name, Self::Bytes(name) if name == key.as_bytes());
        entries.iter().find(|(name, _)| is_key(name)).map(|(_, value)| value)
    }

    fn read(from: &mut impl Read) -> io::Result<Self> {
        let kind = unsigned(from, 1)? as u8;
        match kind {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(Self::Number),
            0x80..=0x8f => Self::map(from, usize::from(kind & 15)),
            0x90..=0x9f => Self::array(from, usize::from(kind & 15)),
            0xa0..=0xbf => bytes(from, usize::from(kind & 31)).map(Self::Bytes),
            0xc4 | 0xd9 => sized(from, 1),
            0xc5 | 0xda => sized(from, 2),
            0xc6 | 0xdb => sized(from, 4),
            0xca..=0xcb => bytes(from, 4 << (kind - 0xca)).map(|_| Self::Number),
            0xcc..=0xcf => bytes(from, 1 << (kind - 0xcc)).map(|_| Self::Number),
            0xd0..=0xd3 => bytes(from, 1 << (kind - 0xd0)).map(|_| Self::Number),
            0xdc | 0xdd => {
                let count = unsigned(from, if kind == 0xdc { 2 } else { 4 })?;
                Self::array(from, count)
            }
            0xde | 0xdf => {
                let count = unsigned(from, if kind == 0xde { 2 } else { 4 })?;
                Self::map(from, count)
            }
            _ => Err(malformed()),
        }
    }

    fn array(from: &mut impl Read, count: usize) -> io::Result<Self> {
        (0..count).map(|_| Self::read(from)).collect::<io::Result<_>>().map(Self::Array)
    }

    fn map(from: &mut impl Read, count: usize) -> io::Result<Self> {
        let entry = |_| Ok((Self::read(from)?, Self::read(from)?));
        (0..count).map(entry).collect::<io::Result<_>>().map(Self::Map)
    }
}

fn sized(from: &mut impl Read, width: usize) -> io::Result<Value> {
    let length = unsigned(from, width)?;
    bytes(from, length).map(Value::Bytes)
}

fn bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn unsigned(from: &mut impl Read, width: usize) -> io::Result<usize> {
    let bytes = bytes(from, width)?;
    Ok(bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::{Value, ipv4};

    #[test]
    fn members_are_read() {
        let body: &[u8] = b"\x81\xa7Members\xdc\x00\x01\x83\xa4Addr\xb0\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x4d\0\x01\
            \xa6Status\xa5alive\xa4Port\xcd\x1f\x0a";
        let mut rest = body;
        let value = Value::read(&mut rest).unwrap();
        assert!(rest.is_empty());
        let Some(Value::Array(members)) = value.get("Members") else { panic!("no members") };
        let Some(Value::Bytes(address)) = members[0].get("Addr") else { panic!("no address") };
        assert_eq!(ipv4(address), Some([10, 77, 0, 1].into()));
        for end in 0..body.len() {
            assert!(Value::read(&mut &body[..end]).is_err(), "cut at {end}");
        }
    }
}
