//! `GET /v1/members`: the rows, in pages.

use midge::config::validate_tags;
use midge::limits::TAGS_BYTES;
use midge::{Member, State};

use super::table::{Row, printable};
use super::{Api, put};
use crate::http::json::Object;
use crate::http::{ContentType, Cursor, Next, Page, Reply, Request, StatusCode};
use crate::http::{Values, fill, none, show};
use crate::text::{cut, parts};

/// The kinds of answer, in `Cursor::kind`.
const JSON: u8 = 0;
const TABLE: u8 = 1;
const QUIET: u8 = 2;

const ALL_STATES: u8 = 0b1111;
const LIVE_STATES: u8 = 1 << State::Alive as u8 | 1 << State::Suspect as u8;
/// In `Cursor::mask`: a row has been written, so a comma precedes the next.
const COMMA: u8 = 1;

/// Where the columns of the table begin: the titles fit a terminal of 80.
const ADDRESS: usize = 20;
const STATE: usize = 42;
const INCARNATION: usize = 50;
const RTT: usize = 67;
const TAGS: usize = 76;

const TITLES: [(usize, &str); 6] = [
    (0, "NAME"),
    (ADDRESS, "ADDRESS"),
    (STATE, "STATE"),
    (INCARNATION, "INCARNATION"),
    (RTT, "RTT"),
    (TAGS, "TAGS"),
];

/// Which members are listed.
struct Filter<'a> {
    quiet: bool,
    /// The states, a bit each.
    states: u8,
    /// Tags that a member has all of; empty for any.
    tags: &'a str,
}

/// Room for the names of all states, and for tags.
type Space = ([u8; 64], [u8; TAGS_BYTES]);
const SPACE: Space = ([0; 64], [0; TAGS_BYTES]);

impl<'a> Filter<'a> {
    fn read(request: &Request<'_>, space: &'a mut Space) -> Result<Self, &'static str> {
        let quiet = match request.argument("quiet", &mut [0; 4]) {
            Ok(None | Some("0")) => false,
            Ok(Some("1" | "")) => true,
            _ => return Err("quiet is 0 or 1"),
        };
        let default = if quiet { LIVE_STATES } else { ALL_STATES };
        let states = states(request, &mut space.0)?.unwrap_or(default);
        let tags = request.argument("tag", &mut space.1).ok();
        let tags = tags.map(Option::unwrap_or_default).filter(|tags| validate_tags(tags).is_ok());
        let tags = tags.ok_or("tag is one or more of KEY=VALUE, with commas")?;
        Ok(Self { quiet, states, tags })
    }

    fn takes(&self, member: &Member<'_>) -> bool {
        let has = |tag: &str| tag.is_empty() || parts(member.tags, b',').any(|of| of == tag);
        self.states & 1 << member.state as u8 != 0 && parts(self.tags, b',').all(has)
    }
}

impl<const N: usize> Api<'_, N> {
    pub(super) fn members(
        &self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) -> Next {
        let mut space = SPACE;
        let filter = match Filter::read(request, &mut space) {
            Ok(filter) => filter,
            Err(what) => {
                reply.error(StatusCode::BadRequest, content, &what);
                return Next::Done;
            }
        };
        let (kind, content) = match (filter.quiet, content) {
            (true, _) => (QUIET, ContentType::Text),
            (false, ContentType::Text) => (TABLE, ContentType::Text),
            (false, _) => (JSON, ContentType::Json),
        };
        let page = reply.begin(StatusCode::Ok, content);
        match kind {
            JSON => page.push(b"{\"members\":["),
            TABLE => heading(page),
            _ => {}
        }
        self.members_page(&filter, Cursor { kind, mask: 0, at: 0 }, page)
    }

    /// Goes on with a list.
    pub(super) fn more_members(
        &self,
        request: &Request<'_>,
        cursor: Cursor,
        page: &mut Page<'_>,
    ) -> Next {
        let mut space = SPACE;
        // It could be read before.
        let Ok(filter) = Filter::read(request, &mut space) else { return Next::Done };
        self.members_page(&filter, cursor, page)
    }

    /// Writes rows from the cursor on until the page is full.
    fn members_page(&self, filter: &Filter<'_>, mut cursor: Cursor, page: &mut Page<'_>) -> Next {
        for (slot, member) in self.node.members(cursor.at as usize) {
            if filter.takes(&member) {
                let mark = page.mark();
                match cursor.kind {
                    JSON => json_row(page, &member, cursor.mask & COMMA != 0),
                    TABLE => table_row(page, &member),
                    _ => put(page, &format_args!("{}\n", member.address)),
                }
                if !page.keep(mark) {
                    return Next::More(cursor);
                }
                cursor.mask |= COMMA;
            }
            cursor.at = slot as u64 + 1;
        }
        let mark = page.mark();
        if cursor.kind == JSON {
            page.push(b"]}\n");
        }
        if page.keep(mark) { Next::Done } else { Next::More(cursor) }
    }
}

fn states(request: &Request<'_>, space: &mut [u8]) -> Result<Option<u8>, &'static str> {
    const WRONG: &str = "state is one or more of alive, suspect, failed, left, with commas";
    let given = request.argument("state", space).map_err(|_| WRONG)?;
    let Some(given) = given else { return Ok(None) };
    let all = [State::Alive, State::Suspect, State::Failed, State::Left];
    let mut mask = 0;
    for name in parts(given, b',') {
        let state = all.iter().find(|state| state.name() == name).ok_or(WRONG)?;
        mask |= 1 << *state as u8;
    }
    Ok(Some(mask))
}

/// A row of the list, after a comma or the first one.
pub(super) fn json_row(page: &mut Page<'_>, member: &Member<'_>, comma: bool) {
    page.push(if comma { b",\n" } else { b"\n" });
    json(page, member, ",\"rtt_us\":~c,\"self\":?d}");
}

/// What is told of a member wherever it is told, and what is told in the list alone.
pub(super) fn json(page: &mut Page<'_>, member: &Member<'_>, end: &str) {
    const FIELDS: &str = "{\"name\":$a,\"addr\":!a,\"id\":!i,\"state\":$b,\"epoch\":#a,\
                          \"refutation\":#b,\"tags\":!t";
    let values = Values {
        numbers: &[
            member.incarnation.epoch,
            member.incarnation.refutation.into(),
            member.rtt_us.into(),
            member.own.into(),
        ],
        texts: &[member.name, member.state.name()],
        write: &|page, what, in_json| match what {
            b'a' => show(page, in_json, &member.address),
            b'i' => id(page, in_json, member.id),
            _ => tags(page, in_json, member.tags),
        },
    };
    fill(page, true, FIELDS, &values);
    fill(page, true, end, &values);
}

/// Tags as an object, or as they are.
pub(super) fn tags(page: &mut Page<'_>, in_json: bool, tags: &str) {
    if !in_json {
        return printable(page, tags);
    }
    let mut object = Object::open(page);
    for tag in parts(tags, b',') {
        if let Some((key, value)) = cut(tag, b'=') {
            object.text(key, value);
        }
    }
    object.close();
}

/// The id of a node, if it has one.
pub(super) fn id(page: &mut Page<'_>, in_json: bool, id: u64) {
    if id == 0 {
        return none(page, in_json);
    }
    hex(page, in_json, id, 16);
}

/// Hexadecimal digits, in JSON as a string.
pub(super) fn hex(page: &mut Page<'_>, in_json: bool, number: u64, digits: u32) {
    let quote = if in_json { "\"" } else { "" };
    page.push(quote.as_bytes());
    page.hex(number, digits);
    page.push(quote.as_bytes());
}

fn heading(page: &mut Page<'_>) {
    let mut row = Row::begin(page);
    for (column, title) in &TITLES {
        row.at(*column).push(title.as_bytes());
    }
    row.end();
}

pub(super) fn table_row(page: &mut Page<'_>, member: &Member<'_>) {
    let mut row = Row::begin(page);
    printable(row.at(0), if member.name.is_empty() { "-" } else { member.name });
    put(row.at(ADDRESS), &member.address);
    put(row.at(STATE), &member.state);
    put(row.at(INCARNATION), &member.incarnation);
    let (ms, us) = (member.rtt_us / 1_000, member.rtt_us % 1_000);
    match (member.own, member.rtt_us) {
        (true, _) => row.at(RTT).push(b"self"),
        (false, 0) => row.at(RTT).push(b"-"),
        _ => put(row.at(RTT), &format_args!("{ms}.{:02} ms", us / 10)),
    }
    if !member.tags.is_empty() {
        printable(row.at(TAGS), member.tags);
    }
    row.end();
}
