//! A nameserver on loopback that answers as it is told to: honestly, or not.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// An address that is nobody's: an agent that has it as a seed has believed a lie.
pub(crate) const LIE: [u8; 4] = [127, 9, 9, 9];

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Honest,
    /// Not at all.
    Silent,
    /// Not at all about names that begin with `silent`, and about others honestly.
    SilentAboutSome,
    /// That there is no such name.
    NoName,
    /// That it cannot tell.
    Failure,
    /// With lies in every form that is to be seen through, and then with the truth.
    Lying,
    /// With the last record cut off, and said so.
    Truncating,
    /// Honestly for A, and not at all for AAAA.
    HalfDeaf,
}

#[derive(Debug)]
struct Zone {
    manner: Manner,
    addresses: Vec<IpAddr>,
    asked: Vec<(String, u8)>,
}

/// Every name has the same addresses. It stops when dropped.
pub(crate) struct Nameserver {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Nameserver {
    pub(crate) fn start(manner: Manner, addresses: &[IpAddr]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let address = socket.local_addr().expect("an address");
        let addresses = addresses.to_vec();
        let zone = Arc::new(Mutex::new(Zone { manner, addresses, asked: Vec::new() }));
        let stop = Arc::new(AtomicBool::new(false));
        let (served, stopped) = (Arc::clone(&zone), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let other = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let mut query = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut query) else { continue };
                let mut zone = served.lock().expect("no panic");
                zone.serve(&query[..len], &mut |answer, elsewhere| {
                    let socket = if elsewhere { &other } else { &socket };
                    let _ = socket.send_to(answer, from);
                });
            }
        });
        Self { address, zone, stop, thread: Some(thread) }
    }

    /// The option that makes an agent ask it.
    pub(crate) fn option(&self) -> String {
        format!("--dns={}", self.address)
    }

    pub(crate) fn set(&self, manner: Manner, addresses: &[IpAddr]) {
        let mut zone = self.zone.lock().expect("no panic");
        (zone.manner, zone.addresses) = (manner, addresses.to_vec());
    }

    /// What it was asked: names and types.
    pub(crate) fn asked(&self) -> Vec<(String, u8)> {
        self.zone.lock().expect("no panic").asked.clone()
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Zone {
    fn serve(&mut self, query: &[u8], send: &mut dyn FnMut(&[u8], bool)) {
        let (name, end) = question(query);
        let kind = query[end - 3];
        let is_silent = self.manner == Manner::SilentAboutSome && name.starts_with("silent");
        self.asked.push((name, kind));
        if is_silent {
            return;
        }
        let question = &query[..end];
        let honest: Vec<_> = self.addresses.iter().filter_map(|ip| octets(*ip, kind)).collect();
        match self.manner {
            Manner::HalfDeaf if kind == 28 => {}
            Manner::Silent => {}
            Manner::Honest | Manner::HalfDeaf | Manner::SilentAboutSome => {
                send(&answer(question, 0, &honest), false)
            }
            Manner::NoName => send(&answer(question, 3, &[]), false),
            Manner::Failure => send(&answer(question, 2, &[]), false),
            Manner::Truncating => {
                let mut cut = answer(question, 0, &honest);
                cut[2] |= 2;
                cut.truncate(cut.len() - 3);
                send(&cut, false);
            }
            Manner::Lying => {
                let lie =
                    answer(question, 0, &[octets(LIE.into(), kind).unwrap_or(vec![0xfd; 16])]);
                let changed = |at: usize| {
                    let mut bytes = lie.clone();
                    bytes[at] ^= 0x11;
                    bytes
                };
                // Another id, another name, another type.
                [0, 1, 13, end - 3].into_iter().for_each(|at| send(&changed(at), false));
                // A query; two questions; a record too many; half of it; nothing.
                [2, 5, 7].into_iter().for_each(|at| send(&changed(at), false));
                send(&lie[..lie.len() - 1], false);
                send(&[], false);
                // A name that is a pointer to itself, and the record behind it is cut off.
                let mut circle = answer(question, 0, &[]);
                circle[7] = 1;
                circle.extend([0xc0, end as u8, 0, kind]);
                send(&circle, false);
                // The same lie, said well, but by somebody else.
                send(&lie, true);
                send(&answer(question, 0, &honest), false);
                // And too late.
                send(&lie, false);
            }
        }
    }
}

/// The name that is asked for, and where the question ends.
fn question(query: &[u8]) -> (String, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

fn octets(ip: IpAddr, kind: u8) -> Option<Vec<u8>> {
    match ip {
        IpAddr::V4(ip) if kind == 1 => Some(ip.octets().to_vec()),
        IpAddr::V6(ip) if kind == 28 => Some(ip.octets().to_vec()),
        _ => None,
    }
}

fn answer(question: &[u8], code: u8, addresses: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = question.to_vec();
    bytes[2..12].copy_from_slice(&[0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    for octets in addresses {
        bytes.extend([0xc0, 12, 0, if octets.len() == 4 { 1 } else { 28 }, 0, 1, 0, 0, 0, 60, 0]);
        bytes.push(octets.len() as u8);
        bytes.extend(octets);
    }
    bytes
}
