//! An HTTP answer of the local agent, read as it comes and passed on.
//!
//! It reads what the agent writes (RFC 9112: a length, chunks, or until the end) and nothing else.

use nix::errno::Errno;

use super::Failure;
use crate::text::{cut, parse_hex, parse_number, parts, same_word, trim};

/// Bytes read at a time; also the longest line of a head.
pub(super) const BUFFER_BYTES: usize = 4096;

/// Where the answer comes from; 0 bytes are its end.
pub(super) type Source<'a> = dyn FnMut(&mut [u8]) -> Result<usize, Broken> + 'a;

/// Where the body goes, piece by piece.
pub(super) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Failure> + 'a;

/// Why an answer did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Nothing came for too long.
    Silent,
    /// It ended too early.
    Ended,
    /// It is not HTTP as the agent writes it.
    Nonsense,
    /// It could not be read.
    System(Errno),
    /// The sink did not take it.
    Sink(Failure),
}

/// How the body ends.
enum Framing {
    Length(u64),
    Chunked,
    UntilEnd,
}

/// An answer whose head has been read.
pub(super) struct Response<'a> {
    pub(super) status: u64,
    framing: Framing,
    input: Input<'a>,
}

impl<'a> Response<'a> {
    /// Reads the head.
    pub(super) fn read(
        source: &'a mut Source<'a>,
        buffer: &'a mut [u8; BUFFER_BYTES],
    ) -> Result<Self, Broken> {
        let mut input = Input { source, buffer, start: 0, end: 0 };
        let status = parse_status(input.line()?).ok_or(Broken::Nonsense)?;
        let mut framing = Framing::UntilEnd;
        loop {
            let line = input.line()?;
            if line.is_empty() {
                return Ok(Self { status, framing, input });
            }
            let (name, value) = cut(line, b':').ok_or(Broken::Nonsense)?;
            if same_word(name.as_bytes(), b"content-length") {
                let length = parse_number(trim(value.as_bytes())).ok_or(Broken::Nonsense)?;
                framing = Framing::Length(length);
            } else if same_word(name.as_bytes(), b"transfer-encoding") {
                framing = Framing::Chunked;
            }
        }
    }

    /// Hands the body to `sink`.
    pub(super) fn body(mut self, sink: &mut Sink<'_>) -> Result<(), Broken> {
        match self.framing {
            Framing::Length(length) => self.input.pass(length, sink),
            Framing::Chunked => self.input.pass_chunks(sink),
            Framing::UntilEnd => match self.input.pass(u64::MAX, sink) {
                Err(Broken::Ended) => Ok(()),
                result => result,
            },
        }
    }

    /// The beginning of the body, as much as there is space for.
    pub(super) fn beginning(self, space: &mut [u8]) -> Result<&mut [u8], Broken> {
        let mut len = 0;
        self.body(&mut |piece| {
            let n = piece.len().min(space.len() - len);
            space[len..len + n].copy_from_slice(&piece[..n]);
            len += n;
            Ok(())
        })?;
        Ok(&mut space[..len])
    }
}

fn parse_status(line: &str) -> Option<u64> {
    parse_number(line.as_bytes().strip_prefix(b"HTTP/1.1 ")?.get(..3)?)
}

/// A source and what has been read from it ahead.
struct Input<'a> {
    source: &'a mut Source<'a>,
    buffer: &'a mut [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
}

impl Input<'_> {
    /// Reads more; `false` at the end of the source.
    fn fill(&mut self) -> Result<bool, Broken> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == BUFFER_BYTES {
            return Err(Broken::Nonsense);
        }
        let n = (self.source)(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n > 0)
    }

    /// One line without its end.
    fn line(&mut self) -> Result<&str, Broken> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(at) = unread[searched..].iter().position(|b| *b == b'\n') {
                let (start, end) = (self.start, self.start + searched + at);
                self.start = end + 1;
                let line = core::str::from_utf8(&self.buffer[start..end]);
                let line = line.map_err(|_| Broken::Nonsense)?;
                return Ok(line.strip_suffix('\r').unwrap_or(line));
            }
            searched = unread.len();
            if !self.fill()? {
                return Err(Broken::Ended);
            }
        }
    }

    fn pass(&mut self, mut length: u64, sink: &mut Sink<'_>) -> Result<(), Broken> {
        while length > 0 {
            if self.start == self.end && !self.fill()? {
                return Err(Broken::Ended);
            }
            let ahead = self.end - self.start;
            let n = length.min(ahead as u64) as usize;
            sink(&self.buffer[self.start..self.start + n]).map_err(Broken::Sink)?;
            self.start += n;
            length -= n as u64;
        }
        Ok(())
    }

    fn pass_chunks(&mut self, sink: &mut Sink<'_>) -> Result<(), Broken> {
        loop {
            let length = parse_hex(self.line()?).ok_or(Broken::Nonsense)?;
            self.pass(length, sink)?;
            // After a chunk, and after the last of length 0, comes an empty line.
            if !self.line()?.is_empty() {
                return Err(Broken::Nonsense);
            }
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// The text of an error of the agent: that of `{"error":"TEXT",...}`, put in its place, or the
/// first line of a plain text. `None` if it is cut or not UTF-8.
pub(super) fn error_text(object: &mut [u8]) -> Option<&str> {
    const START: &[u8] = b"{\"error\":\"";
    if !object.starts_with(START) {
        return parts(core::str::from_utf8(object).ok()?, b'\n').next();
    }
    // What is read is always ahead of what is written.
    let (mut from, mut to) = (START.len(), 0);
    loop {
        let mut byte = *object.get(from)?;
        from += 1;
        if byte == b'"' {
            return core::str::from_utf8(&object[..to]).ok();
        }
        if byte == b'\\' {
            byte = match *object.get(from)? {
                // Only control characters are written so, and a line has none.
                b'u' => {
                    from += 4;
                    b'?'
                }
                b'n' | b'r' | b't' => b' ',
                byte => byte,
            };
            from += 1;
        }
        object[to] = byte;
        to += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in pieces of so many bytes. In pieces of one, every place where a read can end is
    /// met.
    fn read_in_pieces(bytes: &str, most: usize) -> Result<(u64, String), Broken> {
        let mut rest = bytes.as_bytes();
        let mut source = |space: &mut [u8]| {
            let n = rest.len().min(space.len()).min(most);
            space[..n].copy_from_slice(&rest[..n]);
            rest = &rest[n..];
            Ok(n)
        };
        let mut buffer = [0; BUFFER_BYTES];
        let response = Response::read(&mut source, &mut buffer)?;
        let status = response.status;
        let mut body = Vec::new();
        response.body(&mut |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok((status, String::from_utf8(body).unwrap()))
    }

    fn read(bytes: &str) -> Result<(u64, String), Broken> {
        let whole = read_in_pieces(bytes, usize::MAX);
        assert_eq!(read_in_pieces(bytes, 1), whole, "{bytes:?}");
        whole
    }

    #[test]
    fn reads_every_framing() {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhello and more",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello",
        ];
        for answer in answers {
            assert_eq!(read(answer), Ok((200, "hello".into())), "{answer}");
        }
        let long = "x".repeat(3 * BUFFER_BYTES);
        let answer = format!("HTTP/1.1 503 Busy\r\nContent-Length: {}\r\n\r\n{long}", long.len());
        assert_eq!(read(&answer), Ok((503, long)));
    }

    #[test]
    fn an_answer_that_is_cut_or_none_is_an_error() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n";
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        for answer in [chunked, sized] {
            for end in 0..answer.len() {
                assert!(read(&answer[..end]).is_err(), "{:?}", &answer[..end]);
            }
        }
        for answer in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        ] {
            assert!(read(answer).is_err(), "{answer:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(BUFFER_BYTES));
        assert!(read(&endless).is_err());
    }

    #[test]
    fn the_beginning_is_what_fits() {
        let mut rest = &b"HTTP/1.1 404 Not Found\r\n\r\nhello"[..];
        let mut source = |space: &mut [u8]| {
            let n = core::mem::take(&mut rest);
            space[..n.len()].copy_from_slice(n);
            Ok(n.len())
        };
        let mut space = [0; 3];
        let mut buffer = [0; BUFFER_BYTES];
        let response = Response::read(&mut source, &mut buffer).unwrap();
        assert_eq!(response.beginning(&mut space), Ok(&mut b"hel"[..].to_vec()[..]));
    }

    #[test]
    fn finds_the_text_of_an_error() {
        let text = |object: &str| error_text(&mut object.as_bytes().to_vec()).map(String::from);
        let object = r#"{"error":"no \"such\" ü\\ \u0007thing\n","code":"not_found"}"#;
        assert_eq!(text(object).as_deref(), Some(r#"no "such" ü\ ?thing "#));
        assert_eq!(text("busy, try again\n\n").as_deref(), Some("busy, try again"));
        for cut in [r#"{"error":"x"#, r#"{"error":"x\"#, r#"{"error":"\u00"#] {
            assert_eq!(text(cut), None, "{cut}");
        }
    }
}
