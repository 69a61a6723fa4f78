//! `GET /v1/events`: the events as they come.

use midge::Duration;

use super::{Place, Record};
use crate::api::{Api, accepts, put};
use crate::http::{ContentType, Cursor, Next, Page, Reply, Request, StatusCode};
use crate::logger::write_time;

/// While nothing happens, a stream says so often that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The longest id, and then some.
const ID_BYTES: usize = 40;

/// The forms, in `Cursor::kind`.
const SERVER_SENT: u8 = 0;
const LINES: u8 = 1;
const TEXT: u8 = 2;

impl<const N: usize> Api<'_, N> {
    pub(in crate::api) fn events(
        &self,
        request: &Request<'_>,
        content: ContentType,
        reply: &mut Reply<'_>,
    ) -> Next {
        let Ok(at) = self.place(request) else {
            let what = "since is the id of an event, or 0 for all that are kept";
            reply.error(StatusCode::BadRequest, content, &what);
            return Next::Done;
        };
        let (kind, content) = if accepts(request, b"text/event-stream") {
            (SERVER_SENT, ContentType::Events)
        } else if content == ContentType::Text {
            (TEXT, content)
        } else if accepts(request, b"application/json") {
            (LINES, ContentType::JsonLines)
        } else {
            (SERVER_SENT, ContentType::Events)
        };
        let page = reply.begin(StatusCode::Ok, content);
        self.events_page(Cursor { kind, mask: 0, at }, page)
    }

    /// The number of the event to begin with; 0 when the reader has been in another life.
    fn place(&self, request: &Request<'_>) -> Result<u64, ()> {
        // A reader that comes again by itself says where it was in the header, and asks for the
        // path that it was once given.
        let header = request.header("last-event-id").next().filter(|id| !id.is_empty());
        let mut space = [0; ID_BYTES];
        let since = match header {
            Some(id) => Some(core::str::from_utf8(id).map_err(drop)?),
            None => request.argument("since", &mut space).map_err(drop)?,
        };
        let Some(since) = since else { return Ok(self.events.last() + 1) };
        Ok(match self.events.after(since).ok_or(())? {
            Place::At(seq) => seq,
            Place::Unknown => 0,
        })
    }

    /// Goes on with a stream that has nothing to send at this moment or whose page was full.
    pub(in crate::api) fn more_events(&self, cursor: Cursor, page: &mut Page<'_>) -> Next {
        let next = self.events_page(cursor, page);
        if page.is_empty() {
            page.push(if cursor.kind == SERVER_SENT { b":\n\n" } else { b"\n" });
        }
        next
    }

    /// Writes events from the cursor on until the page is full. An empty page has room for the
    /// longest.
    fn events_page(&self, mut cursor: Cursor, page: &mut Page<'_>) -> Next {
        let first = self.events.first();
        if cursor.at < first {
            let missed = (cursor.at > 0).then_some(first - cursor.at);
            self.write_event(&self.events.lost(missed), cursor.kind, page);
            cursor.at = first;
        }
        while let Some(record) = self.events.get(cursor.at) {
            let mark = page.mark();
            self.write_event(record, cursor.kind, page);
            if !page.keep(mark) {
                // It has its place among those that wait, and keeps it.
                return Next::Wait(cursor, self.now);
            }
            cursor.at += 1;
        }
        if self.node.has_left() { Next::Done } else { Next::Wait(cursor, self.now + KEEP_ALIVE) }
    }

    fn write_event(&self, record: &Record, kind: u8, page: &mut Page<'_>) {
        match kind {
            SERVER_SENT => {
                page.push(b"id: ");
                self.events.id(record, page);
                page.push(b"\ndata: ");
                self.events.json(record, page);
                page.push(b"\n\n");
            }
            LINES => {
                self.events.json(record, page);
                page.push(b"\n");
            }
            _ => {
                write_time(page, record.time_ms / 1_000);
                put(page, record);
                page.push(b" id=");
                self.events.id(record, page);
                page.push(b"\n");
            }
        }
    }
}
