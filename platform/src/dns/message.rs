//! Queries and answers as bytes (RFC 1035 section 4, RFC 3596, RFC 6891).
//!
//! An answer is taken whole or not at all. Whom its records are of is not looked at: a nameserver
//! that has followed the aliases of a name puts only what they lead to into an answer, and one that
//! lies could do so under any name. So no name is ever unpacked, and no pointer followed.

use midge::Address;

use super::Addresses;
use crate::text::{parts, same_word};

/// The longest query: a header, the longest name with its type and class, and the EDNS record.
pub(crate) const QUERY_BYTES: usize = HEADER_BYTES + NAME_BYTES + 4 + EDNS.len();

/// The longest answer that is asked for; what is longer comes truncated. It fits every path
/// (DNS flag day 2020), and 75 addresses or 43, depending on the type.
pub(crate) const ANSWER_BYTES: usize = 1232;

const HEADER_BYTES: usize = 12;
const NAME_BYTES: usize = 255;
/// A record of type OPT: answers may have 1,232 bytes; no extension is asked for.
const EDNS: [u8; 11] = [0, 0, 41, (ANSWER_BYTES >> 8) as u8, ANSWER_BYTES as u8, 0, 0, 0, 0, 0, 0];

/// The types of records with addresses, A and AAAA; each is asked for by itself.
pub(crate) const TYPES: [u8; 2] = [1, 28];

/// A question, which is a query from its first byte on.
#[derive(Debug)]
pub(crate) struct Question {
    bytes: [u8; QUERY_BYTES],
    len: usize,
}

impl Question {
    pub(crate) const NONE: Self = Self { bytes: [0; QUERY_BYTES], len: 0 };

    /// Asks for a host in a domain, which may be empty. Both have no dot at their ends. Says
    /// whether that is a name: labels have 1 to 63 bytes, and all of it 255.
    pub(crate) fn set(&mut self, host: &str, domain: &str) -> bool {
        let mut end = HEADER_BYTES;
        for name in [host, domain] {
            if name.is_empty() {
                continue;
            }
            for label in parts(name, b'.') {
                let (start, len) = (end + 1, label.len());
                if len == 0 || len > 63 || start + len >= HEADER_BYTES + NAME_BYTES {
                    return false;
                }
                self.bytes[end] = len as u8;
                end = start + len;
                self.bytes[start..end].copy_from_slice(label.as_bytes());
            }
        }
        // Type and class are two bytes each; the class is IN.
        let rest = [0, 0, 0, 0, 1];
        self.len = end + rest.len();
        self.bytes[end..self.len].copy_from_slice(&rest);
        self.bytes[self.len..][..EDNS.len()].copy_from_slice(&EDNS);
        true
    }

    /// Makes it a query for one type: one question, and recursion is desired.
    pub(crate) fn query(&mut self, id: [u8; 2], kind: u8, edns: bool) -> &[u8] {
        let head = [id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
        self.bytes[..HEADER_BYTES].copy_from_slice(&head);
        self.bytes[self.len - 3] = kind;
        &self.bytes[..self.len + if edns { EDNS.len() } else { 0 }]
    }
}

/// What a nameserver says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The name has the addresses that were added; perhaps none. Or there is no such name.
    Known,
    /// It has those that were added, and others.
    Part,
    /// It cannot tell.
    Failure,
    /// It cannot read the query, perhaps because of its EDNS record.
    NotRead,
    /// It is no answer to this, or cannot be read.
    Nonsense,
}

/// Reads the answer to a query that has been made, and adds the addresses in it.
pub(crate) fn read_answer(message: &[u8], asked: &Question, found: &mut Addresses) -> Answer {
    let question = &asked.bytes[..asked.len];
    let Some(start) = message.get(..question.len()) else { return Answer::Nonsense };
    let ([head @ .., _, _, _, _, _, _], name) = start.split_at(HEADER_BYTES) else {
        return Answer::Nonsense;
    };
    // An answer (0x80) of a standard query (0x78), to one question, with the name that was asked
    // for: lengths are no letters, so that only letters may differ in case.
    if head[..2] != question[..2]
        || head[2] & 0xf8 != 0x80
        || head[4..] != [0, 1]
        || !same_word(name, &question[HEADER_BYTES..])
    {
        return Answer::Nonsense;
    }
    match head[3] & 0xf {
        0 => {}
        // No such name.
        3 => return Answer::Known,
        // What servers without EDNS say (RFC 6891 section 7).
        1 | 4 => return Answer::NotRead,
        _ => return Answer::Failure,
    }
    let is_cut = head[2] & 2 != 0;
    let known = found.len();
    let mut at = question.len();
    for _ in 0..word(message, 6).unwrap_or(0) {
        match read_record(message, at, asked.bytes[asked.len - 3], found) {
            Some(end) => at = end,
            // Of what was truncated, the beginning counts.
            None if is_cut => break,
            None => {
                found.truncate(known);
                return Answer::Nonsense;
            }
        }
    }
    match is_cut {
        false => Answer::Known,
        true if found.len() > known => Answer::Part,
        true => Answer::Failure,
    }
}

/// Returns where the record ends. A new address of this type in it is added, if there is room.
fn read_record(message: &[u8], mut at: usize, kind: u8, found: &mut Addresses) -> Option<usize> {
    // To the end of the name, which is a root or a pointer.
    while let length @ 1..=63 = *message.get(at)? {
        at += usize::from(length) + 1;
    }
    at += if message[at] == 0 { 1 } else { 2 };
    let start = at + 10;
    let end = start + word(message, at + 8)?;
    let data = message.get(start..end)?;
    if message[at..at + 4] == [0, kind, 0, 1] {
        let address = match *data {
            [a, b, c, d] if kind == TYPES[0] => Address::v4([a, b, c, d], 0),
            _ => Address::v6(data.try_into().ok().filter(|_| kind == TYPES[1])?, 0),
        };
        if !found.contains(&address) {
            let _ = found.push(address);
        }
    }
    Some(end)
}

fn word(message: &[u8], at: usize) -> Option<usize> {
    let bytes = message.get(at..at + 2)?;
    Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
}
