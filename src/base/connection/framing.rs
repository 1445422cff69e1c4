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
    /// Not HTTP as it is known here, or another protocol from here on.
    Anything,
}

/// The place inside a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// The hexadecimal digits so far, and their value.
    Size(u8, u64),
    /// An extension, up to the end of its line.
    Extension(u64),
    Data(u64),
    /// The end of the line behind the data.
    AfterData,
    /// A line of the trailer, and whether anything stands on it.
    Trailer(bool),
}

/// Follows one connection.
#[derive(Debug)]
pub struct Framing {
    next: Next,
}

impl Default for Framing {
    fn default() -> Self {
        Self { next: Next::Head }
    }
}

impl Framing {
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
            Next::Head => 0,
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
                    Chunk::AfterData
                } else {
                    Chunk::Data(left - taken)
                };
                continue;
            }
            at += 1;
            match chunk.step(*byte) {
                Step::To(next) => chunk = next,
                Step::End => {
                    self.next = Next::Head;
                    return at;
                }
                Step::Lost => {
                    self.next = Next::Anything;
                    return bytes.len();
                }
            }
        }
        self.next = Next::Chunks(chunk);
        at
    }

    /// Reads the head at the start of `bytes` and renames what has to be; gives its length, none while it is not whole.
    pub fn head(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let end = end_of_head(bytes)?;
        let (head, _) = bytes.split_at_mut(end);
        self.next = read_head(head);
        Some(end)
    }
}

enum Step {
    To(Chunk),
    End,
    Lost,
}

impl Chunk {
    fn step(self, byte: u8) -> Step {
        match self {
            Self::Size(digits, value) => match (char::from(byte).to_digit(16), byte) {
                (Some(digit), _) if digits < 16 => {
                    Step::To(Self::Size(digits + 1, value << 4 | u64::from(digit)))
                }
                (None, b'\n') if digits > 0 => Step::To(Self::data(value)),
                (None, b'\r' | b' ' | b'\t' | b';') if digits > 0 => {
                    Step::To(Self::Extension(value))
                }
                _ => Step::Lost,
            },
            Self::Extension(value) if byte == b'\n' => Step::To(Self::data(value)),
            Self::Extension(_) => Step::To(self),
            // Never asked: the data is passed as a whole.
            Self::Data(_) => Step::Lost,
            Self::AfterData => match byte {
                b'\r' => Step::To(self),
                b'\n' => Step::To(Self::Size(0, 0)),
                _ => Step::Lost,
            },
            Self::Trailer(something) => match (byte, something) {
                (b'\n', false) => Step::End,
                (b'\n', true) => Step::To(Self::Trailer(false)),
                (b'\r', _) => Step::To(self),
                _ => Step::To(Self::Trailer(true)),
            },
        }
    }

    fn data(size: u64) -> Self {
        if size == 0 {
            Self::Trailer(false)
        } else {
            Self::Data(size)
        }
    }
}

/// Behind the first empty line that follows another.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
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

/// What the body of a head's request is; renames headers.
fn read_head(head: &mut [u8]) -> Next {
    let mut lines = Vec::new();
    let mut from = 0;
    for (at, _) in head.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        lines.push(from..at);
        from = at + 1;
    }
    let text = |range: &std::ops::Range<usize>, head: &[u8]| {
        let line = head.get(range.clone()).unwrap_or_default();
        String::from_utf8_lossy(line).trim_end().to_owned()
    };
    // Empty lines may stand before a request.
    let mut lines = lines
        .into_iter()
        .skip_while(|line| text(line, head).is_empty());
    let Some(first) = lines.next() else {
        return Next::Head;
    };
    let request_line = text(&first, head);
    let modern = request_line.ends_with("HTTP/1.1");
    let (mut length, mut coding, mut upgrade) = (None, None, request_line.starts_with("CONNECT "));
    let (mut lengths, mut expects) = (Vec::new(), Vec::new());
    for line in lines {
        let whole = text(&line, head);
        let Some((name, value)) = whole.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let at = line.start..line.start + name.len();
        if name.eq_ignore_ascii_case(CONTENT_LENGTH.0) {
            length = value.parse().ok().or(length);
            lengths.push(at);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            // The second is the framework's to refuse.
            coding = Some(match coding {
                None => value.eq_ignore_ascii_case("chunked"),
                Some(_) => false,
            });
        } else if name.eq_ignore_ascii_case("upgrade") {
            upgrade |= value.eq_ignore_ascii_case("websocket");
        } else if name.eq_ignore_ascii_case(EXPECT.0) && value.eq_ignore_ascii_case("100-continue")
        {
            expects.push(at);
        }
    }
    let mut rename = |places: &[std::ops::Range<usize>], name: &str| {
        for place in places {
            if let Some(held) = head.get_mut(place.clone()) {
                held.copy_from_slice(name.as_bytes());
            }
        }
    };
    if modern {
        rename(&expects, EXPECT.1);
    }
    match (coding, upgrade, length) {
        (Some(true), _, _) if modern => {
            rename(&lengths, CONTENT_LENGTH.1);
            Next::Chunks(Chunk::Size(0, 0))
        }
        (Some(_), ..) | (None, true, _) => Next::Anything,
        (None, false, None | Some(0)) => Next::Head,
        (None, false, Some(length)) => Next::Body(length),
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
            "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\nPUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
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
