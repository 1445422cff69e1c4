//! Where the requests of a connection begin and end (RFC 9112 section 6), and two headers that the web framework would act on too early.
//!
//! * `Content-Length` beside `Transfer-Encoding: chunked`: the coding wins (section 6.3). The framework answers an empty 400.
//! * `Expect: 100-continue`: the framework asks for the body before anybody has looked at the head.
//!
//! Both are renamed in place, letter for letter, so that nothing after them moves; [`original_name`] gives the name back. Whatever is not
//! understood here is passed on as it is, with all that follows it on the connection: what the framework makes of it is its answer.

/// Bytes of a head that are looked at; beyond, the framework refuses it.
pub const MAX_HEAD_BYTES: usize = 128 * 1024;

const CONTENT_LENGTH: (&str, &str) = ("content-length", "content_length");
const EXPECT: (&str, &str) = ("expect", "x-expe");

/// The name that a header came under, for one in lower case as the framework shows it.
pub fn original_name(name: &str) -> &str {
    [CONTENT_LENGTH, EXPECT]
        .into_iter()
        .find(|(_, renamed)| *renamed == name)
        .map_or(name, |(original, _)| original)
}

/// What comes next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Head,
    /// Bytes of a body of known length.
    Body(u64),
    Chunks(Chunk),
    /// No chunk, where one had to come: nothing behind it can be told apart.
    Broken,
    /// Not HTTP as it is known here, or another protocol from here on.
    Anything,
}

/// The place inside a chunked body, as strict as the framework is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// The hexadecimal digits so far, and their value.
    Size(u8, u64),
    /// Blanks behind the size.
    Blanks(u64),
    /// An extension, up to the end of its line.
    Extension(u64),
    /// The last byte of the size's line.
    EndOfSize(u64),
    Data(u64),
    /// The end of the line behind the data, and whether it has begun.
    AfterData(bool),
    /// At the beginning of a line of the trailer.
    Trailer,
    /// Within a line that is not empty.
    Field,
    /// The last byte of a line, and whether it is an empty one.
    EndOfLine(bool),
}

/// Follows one connection.
#[derive(Debug)]
pub struct Framing {
    next: Next,
    /// Whether headers are renamed, and what makes no sense is kept from the framework.
    is_strict: bool,
}

impl Default for Framing {
    fn default() -> Self {
        Self {
            next: Next::Head,
            is_strict: true,
        }
    }
}

impl Framing {
    /// Only tells the requests apart.
    pub fn plain() -> Self {
        Self {
            is_strict: false,
            ..Self::default()
        }
    }

    pub fn next(&self) -> Next {
        self.next
    }

    /// Gives up: what follows is passed on unseen.
    pub fn lose_track(&mut self) {
        self.next = Next::Anything;
    }

    /// Takes bytes of a body and says how many of them are; what is left begins the next request.
    pub fn pass(&mut self, bytes: &[u8]) -> usize {
        match self.next {
            Next::Head | Next::Broken => 0,
            Next::Anything => bytes.len(),
            Next::Body(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - taken as u64;
                self.next = if left == 0 {
                    Next::Head
                } else {
                    Next::Body(left)
                };
                taken
            }
            Next::Chunks(chunk) => self.pass_chunks(chunk, bytes),
        }
    }

    fn pass_chunks(&mut self, mut chunk: Chunk, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Chunk::Data(left) = chunk {
                let here = (bytes.len() - at) as u64;
                let taken = left.min(here);
                at += usize::try_from(taken).unwrap_or(usize::MAX);
                chunk = if taken == left {
                    Chunk::AfterData(false)
                } else {
                    Chunk::Data(left - taken)
                };
                continue;
            }
            match chunk.step(*byte) {
                Step::To(next) => chunk = next,
                Step::End => {
                    self.next = Next::Head;
                    return at + 1;
                }
                Step::Broken if self.is_strict => {
                    self.next = Next::Broken;
                    return at;
                }
                Step::Broken => {
                    self.next = Next::Anything;
                    return bytes.len();
                }
            }
            at += 1;
        }
        self.next = Next::Chunks(chunk);
        at
    }

    /// Reads the head at the start of `bytes` and renames what has to be; gives its length, none while it is not whole.
    pub fn head(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let end = end_of_head(bytes)?;
        let (head, _) = bytes.split_at_mut(end);
        self.next = read_head(head, self.is_strict);
        Some(end)
    }
}

enum Step {
    To(Chunk),
    End,
    Broken,
}

impl Chunk {
    fn step(self, byte: u8) -> Step {
        Step::To(match (self, byte) {
            (Self::Size(digits, value), _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size(digits + 1, value << 4 | u64::from(digit))
            }
            (Self::Size(1.., value) | Self::Blanks(value), b' ' | b'\t') => Self::Blanks(value),
            (Self::Size(1.., value) | Self::Blanks(value), b';') => Self::Extension(value),
            (Self::Size(1.., value) | Self::Blanks(value) | Self::Extension(value), b'\r') => {
                Self::EndOfSize(value)
            }
            (Self::Extension(_), b'\t' | b' '..=0x7e | 0x80..) => self,
            (Self::EndOfSize(0), b'\n') => Self::Trailer,
            (Self::EndOfSize(size), b'\n') => Self::Data(size),
            (Self::AfterData(false), b'\r') => Self::AfterData(true),
            (Self::AfterData(true), b'\n') => Self::Size(0, 0),
            (Self::Trailer, b'\r') => Self::EndOfLine(true),
            (Self::Field, b'\r') => Self::EndOfLine(false),
            (Self::Trailer | Self::Field, _) => Self::Field,
            (Self::EndOfLine(true), b'\n') => return Step::End,
            (Self::EndOfLine(false), b'\n') => Self::Trailer,
            // Data is passed as a whole, so nobody asks for it here.
            _ => return Step::Broken,
        })
    }
}

/// Behind the first empty line that follows another. Empty lines may stand before a request: they are part of its head.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let mut from = bytes.iter().position(|byte| !is_end(byte))?;
    while let Some(line) = bytes.get(from..)?.iter().position(|byte| *byte == b'\n') {
        let behind = from + line + 1;
        match bytes.get(behind..)? {
            [b'\n', ..] => return Some(behind + 1),
            [b'\r', b'\n', ..] => return Some(behind + 2),
            _ => from = behind,
        }
    }
    None
}

/// What the header fields of a request say of what follows them.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    /// Whether the body comes in chunks, where a coding is named at all.
    chunked: Option<bool>,
    upgrade: bool,
}

impl Facts {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(CONTENT_LENGTH.0.as_bytes()) {
            let text = std::str::from_utf8(value).unwrap_or_default();
            self.length = text.parse().ok().or(self.length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // The second is the framework's to refuse.
            self.chunked = Some(self.chunked.is_none() && value.eq_ignore_ascii_case(b"chunked"));
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade |= value.eq_ignore_ascii_case(b"websocket");
        }
    }
}

/// What the body of a head's request is; renames headers where it may.
fn read_head(head: &mut [u8], renames: bool) -> Next {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let start = head.iter().position(|byte| !is_end(byte));
    let start = start.unwrap_or_default();
    let request_line = line_at(head, start);
    let first = head.get(request_line.clone()).unwrap_or_default();
    let modern = first.trim_ascii_end().ends_with(b"HTTP/1.1");
    let mut facts = Facts {
        upgrade: first.starts_with(b"CONNECT "),
        ..Facts::default()
    };
    let fields = request_line.end + 1;
    each_field(head, fields, |name, value| {
        if modern && renames && is_expectation(name, value) {
            name.copy_from_slice(EXPECT.1.as_bytes());
        } else {
            facts.take(name, value);
        }
    });
    match facts {
        Facts {
            chunked: Some(true),
            ..
        } if modern => {
            if renames {
                each_field(head, fields, |name, _| {
                    if name.eq_ignore_ascii_case(CONTENT_LENGTH.0.as_bytes()) {
                        name.copy_from_slice(CONTENT_LENGTH.1.as_bytes());
                    }
                });
            }
            Next::Chunks(Chunk::Size(0, 0))
        }
        Facts {
            chunked: Some(_), ..
        }
        | Facts { upgrade: true, .. } => Next::Anything,
        Facts {
            length: None | Some(0),
            ..
        } => Next::Head,
        Facts {
            length: Some(length),
            ..
        } => Next::Body(length),
    }
}

fn is_expectation(name: &[u8], value: &[u8]) -> bool {
    name.eq_ignore_ascii_case(EXPECT.0.as_bytes()) && value.eq_ignore_ascii_case(b"100-continue")
}

/// The line that begins at a place, without its end.
fn line_at(head: &[u8], from: usize) -> std::ops::Range<usize> {
    let rest = head.get(from..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == b'\n');
    from..from + length.unwrap_or(rest.len())
}

/// Shows the name and the value of each header field from a place on.
fn each_field(head: &mut [u8], mut from: usize, mut show: impl FnMut(&mut [u8], &[u8])) {
    while from < head.len() {
        let line = line_at(head, from);
        from = line.end + 1;
        let line = head.get_mut(line).unwrap_or_default();
        if let Some(colon) = line.iter().position(|byte| *byte == b':') {
            let (name, value) = line.split_at_mut(colon);
            show(name, value.get(1..).unwrap_or_default().trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The heads and bodies that a connection is cut into, and the bytes that come out, whatever pieces they came in.
    fn cut(bytes: &[u8], piece: usize) -> (Vec<String>, Vec<u8>) {
        let (mut framing, mut held, mut heads, mut out) =
            (Framing::default(), Vec::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            loop {
                let taken = match framing.next() {
                    Next::Head => match framing.head(&mut held) {
                        Some(length) => {
                            heads.push(String::from_utf8_lossy(&held[..length]).into_owned());
                            length
                        }
                        None => 0,
                    },
                    _ => framing.pass(&held),
                };
                out.extend(held.drain(..taken));
                if taken == 0 || held.is_empty() {
                    break;
                }
            }
        }
        out.extend(held);
        (heads, out)
    }

    const CHUNKED: &str = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                           5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n";
    const PLAIN: &str =
        "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-Continue\r\n\r\nGET ";
    const NONE: &str = "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";

    #[test]
    fn requests_are_told_apart_in_whatever_pieces_they_come() {
        let all = [CHUNKED, PLAIN, NONE, CHUNKED, NONE].concat();
        for piece in [1, 2, 3, 7, 64, all.len()] {
            let (heads, out) = cut(all.as_bytes(), piece);
            let lines: Vec<_> = heads.iter().map(|head| &head[..6]).collect();
            assert_eq!(
                lines,
                ["PUT /a", "PUT /b", "GET /c", "PUT /a", "GET /c"],
                "{piece}"
            );
            let renamed = all
                .replace("Content-Length: 5", "content_length: 5")
                .replace("Expect:", "x-expe:");
            assert_eq!(String::from_utf8_lossy(&out), renamed, "{piece}");
        }
        assert_eq!(original_name("content_length"), "content-length");
        assert_eq!(original_name("x-expe"), "expect");
        assert_eq!(original_name("etag"), "etag");
    }

    #[test]
    fn what_is_not_understood_is_passed_on_as_it_is() {
        for odd in [
            "PUT /a HTTP/1.0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\nhello",
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
            "GET /a HTTP/1.1\r\nUpgrade: websocket\r\n\r\nPUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\nPUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}",
            "\r\n\r\n",
            "nonsense\n\n",
        ] {
            for piece in [1, 5, odd.len()] {
                let (_, out) = cut(odd.as_bytes(), piece);
                assert_eq!(String::from_utf8_lossy(&out), odd);
            }
        }
    }

    #[test]
    fn a_plain_one_changes_and_keeps_nothing() {
        let mut framing = Framing::plain();
        let mut bytes = CHUNKED.as_bytes().to_vec();
        let head = framing.head(&mut bytes).unwrap_or_default();
        assert_eq!(bytes, CHUNKED.as_bytes());
        assert_eq!(framing.pass(&bytes[head..]), bytes.len() - head);
        assert_eq!(framing.next(), Next::Head);
        let mut expecting = PLAIN.as_bytes().to_vec();
        framing.head(&mut expecting);
        assert_eq!(expecting, PLAIN.as_bytes());
        let mut framing = Framing::plain();
        framing.head(&mut bytes);
        assert_eq!(framing.pass(b"zz\r\n"), 4);
        assert_eq!(framing.next(), Next::Anything);
    }

    #[test]
    fn no_byte_behind_a_broken_chunk_is_passed_on() {
        let head = "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (good, broken) in [
            ("4\r\nabcd\r\n", "zz\r\n"),
            ("", "-1\r\n"),
            ("0", "x4\r\nabcd\r\n"),
            ("4\r\nabcd", "4\r\nabcd\r\n"),
            ("4\r\nabcd\r", "\r\n"),
            ("4", "\nabcd\n"),
            ("FFFFFFFFFFFFFFFF", "F\r\n"),
            ("0\r\n\r", "x"),
        ] {
            let mut framing = Framing::default();
            let mut bytes = [head, good, broken].concat().into_bytes();
            assert_eq!(framing.head(&mut bytes), Some(head.len()));
            for piece in [good.len() + broken.len(), 1] {
                let mut framing = Framing {
                    next: framing.next(),
                    ..Framing::default()
                };
                let body = bytes.get(head.len()..).unwrap_or_default();
                let passed: usize = body.chunks(piece).map(|piece| framing.pass(piece)).sum();
                assert_eq!(passed, good.len(), "{good}{broken}");
                assert_eq!(framing.next(), Next::Broken, "{good}{broken}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_moved_or_added(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b'0'), Just(b'5'), any::<u8>()], 0..400), piece in 1_usize..50) {
            let all = [CHUNKED.as_bytes(), &bytes, PLAIN.as_bytes()].concat();
            let (_, out) = cut(&all, piece);
            prop_assert_eq!(out.len(), all.len());
        }
    }
}
