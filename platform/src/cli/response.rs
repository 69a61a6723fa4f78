//! An HTTP answer of the local agent, read as it comes and passed on.
//!
//! It reads what the agent writes (RFC 9112: a length, chunks, or until the end) and nothing else.

use std::io::{self, ErrorKind, Read};

use super::Failure;

/// Bytes read at a time; also the longest line of a head.
const BUFFER_BYTES: usize = 4096;

/// How the body ends.
enum Framing {
    Length(u64),
    Chunked,
    UntilEnd,
}

/// An answer whose head has been read.
pub(super) struct Response<'a> {
    pub(super) status: u16,
    framing: Framing,
    input: Input<'a>,
}

impl<'a> Response<'a> {
    /// Reads the head.
    pub(super) fn read(stream: &'a mut dyn Read) -> io::Result<Self> {
        let mut input = Input { stream, buffer: [0; BUFFER_BYTES], start: 0, end: 0 };
        let status = parse_status(input.line()?).ok_or(ErrorKind::InvalidData)?;
        let mut framing = Framing::UntilEnd;
        loop {
            let line = input.line()?;
            if line.is_empty() {
                return Ok(Self { status, framing, input });
            }
            let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
            let value = value.trim_ascii();
            if name.eq_ignore_ascii_case("content-length") {
                framing = Framing::Length(value.parse().map_err(|_| ErrorKind::InvalidData)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            }
        }
    }

    /// Hands the body to `sink`, piece by piece.
    pub(super) fn body(
        mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), BodyError> {
        match self.framing {
            Framing::Length(length) => self.input.pass(length, sink),
            Framing::Chunked => self.input.pass_chunks(sink),
            Framing::UntilEnd => self.input.pass_rest(sink),
        }
    }

    /// The body as text of at most so many bytes.
    pub(super) fn text(self, most: usize) -> Result<String, BodyError> {
        let mut bytes = Vec::new();
        self.body(&mut |piece| {
            if bytes.len() + piece.len() <= most {
                bytes.extend_from_slice(piece);
            }
            Ok(())
        })?;
        String::from_utf8(bytes).map_err(|_| BodyError::Read(ErrorKind::InvalidData.into()))
    }
}

/// Why a body did not pass.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It could not be read.
    Read(io::Error),
    /// The sink did not take it.
    Sink(Failure),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

fn parse_status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A stream and what has been read from it ahead.
struct Input<'a> {
    stream: &'a mut dyn Read,
    buffer: [u8; BUFFER_BYTES],
    start: usize,
    end: usize,
}

impl Input<'_> {
    /// Reads more; `false` at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == BUFFER_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    let n = result?;
                    self.end += n;
                    return Ok(n > 0);
                }
            }
        }
    }

    /// One line without its end.
    fn line(&mut self) -> io::Result<&str> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(at) = unread[searched..].iter().position(|b| *b == b'\n') {
                let (start, end) = (self.start, self.start + searched + at);
                self.start = end + 1;
                let line = std::str::from_utf8(&self.buffer[start..end]);
                let line = line.map_err(|_| ErrorKind::InvalidData)?;
                return Ok(line.strip_suffix('\r').unwrap_or(line));
            }
            searched = unread.len();
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn pass(
        &mut self,
        mut length: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), BodyError> {
        while length > 0 {
            if self.start == self.end && !self.fill()? {
                return Err(BodyError::Read(ErrorKind::UnexpectedEof.into()));
            }
            let ahead = self.end - self.start;
            let n = usize::try_from(length).map_or(ahead, |length| length.min(ahead));
            sink(&self.buffer[self.start..self.start + n]).map_err(BodyError::Sink)?;
            self.start += n;
            length -= n as u64;
        }
        Ok(())
    }

    fn pass_chunks(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), BodyError> {
        loop {
            let length = u64::from_str_radix(self.line()?, 16);
            let length = length.map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
            self.pass(length, sink)?;
            // After a chunk, and after the last of length 0, comes an empty line.
            if !self.line()?.is_empty() {
                return Err(BodyError::Read(ErrorKind::InvalidData.into()));
            }
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn pass_rest(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), BodyError> {
        loop {
            sink(&self.buffer[self.start..self.end]).map_err(BodyError::Sink)?;
            self.start = self.end;
            if !self.fill()? {
                return Ok(());
            }
        }
    }
}

/// The text of an error of the agent, which is `{"error":"TEXT",...}`.
pub(super) fn error_text(object: &str) -> Option<String> {
    let mut rest = object.strip_prefix("{\"error\":\"")?.chars();
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => match rest.next()? {
                // Only control characters are written so, and a line has none.
                'u' => {
                    rest.nth(3)?;
                    text.push('?');
                }
                'n' | 'r' | 't' => text.push(' '),
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every place where a read can end is met.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (Some(byte), Some(place)) = (self.0.first(), buffer.first_mut()) else {
                return Ok(0);
            };
            *place = *byte;
            self.0 = &self.0[1..];
            Ok(1)
        }
    }

    fn read(bytes: &str) -> Result<(u16, String), String> {
        let read = |stream: &mut dyn Read| {
            let response = Response::read(stream).map_err(|e| e.kind().to_string())?;
            let status = response.status;
            match response.text(usize::MAX) {
                Ok(text) => Ok((status, text)),
                Err(BodyError::Read(error)) => Err(error.kind().to_string()),
                Err(BodyError::Sink(_)) => Err("sink".into()),
            }
        };
        let whole = read(&mut bytes.as_bytes());
        assert_eq!(read(&mut Trickle(bytes.as_bytes())), whole, "{bytes:?}");
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
    fn finds_the_text_of_an_error() {
        let object = r#"{"error":"no \"such\" ü\\ \u0007thing\n","code":"not_found"}"#;
        assert_eq!(error_text(object).as_deref(), Some(r#"no "such" ü\ ?thing "#));
        for other in ["", "{}", "busy", r#"{"error":5}"#, r#"{"error":"x"#, r#"{"error":"x\"#] {
            assert_eq!(error_text(other), None, "{other}");
        }
    }
}
