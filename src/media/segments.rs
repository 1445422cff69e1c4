//! Bytes that follow each other, in segments: what is large is shared with whoever else holds it, what stands between is put together.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// Segments in their order, none of them empty.
pub type Run = Arc<[Bytes]>;

/// What is shorter is copied: a segment of its own would cost as much.
const SHORT: usize = 128;
/// Bytes of room for what stands between, taken at a time, when fewer than [`LITTLE`] are left.
const ROOM: usize = 1 << 10;
const LITTLE: usize = 64;
/// Room for so many segments is kept from one run to the next.
const USUAL: usize = 64;

/// Puts a run together.
#[derive(Debug, Default)]
pub struct Segments {
    open: BytesMut,
    done: Vec<Bytes>,
    length: usize,
}

impl Segments {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For what is small: appended to here.
    pub fn small(&mut self) -> &mut BytesMut {
        if self.open.is_empty() && self.open.capacity() < LITTLE {
            self.open.reserve(ROOM);
        }
        &mut self.open
    }

    /// Appends bytes without a copy, where they are not short.
    pub fn share(&mut self, bytes: Bytes) {
        if bytes.len() < SHORT {
            self.small().extend_from_slice(&bytes);
            return;
        }
        self.close();
        self.length += bytes.len();
        self.done.push(bytes);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.length += self.open.len();
            self.done.push(self.open.split().freeze());
        }
    }

    /// All bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length + self.open.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length() == 0
    }

    /// What was put together, and begins anew.
    #[must_use]
    pub fn take(&mut self) -> Run {
        self.close();
        self.length = 0;
        let run = self.done.drain(..).collect();
        self.done.shrink_to(USUAL);
        run
    }

    /// As [`Segments::take`], as one chunk of HTTP/1.1's chunked coding (RFC 9112 section 7.1); nothing where there is nothing, since an
    /// empty chunk would be the end.
    #[must_use]
    pub fn take_chunk(&mut self) -> Run {
        if self.is_empty() {
            return self.take();
        }
        let size = Bytes::from(format!("{:x}\r\n", self.length()));
        self.small().extend_from_slice(b"\r\n");
        self.close();
        self.length = 0;
        let run = std::iter::once(size).chain(self.done.drain(..)).collect();
        self.done.shrink_to(USUAL);
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(run: &Run) -> Vec<u8> {
        run.iter().flatten().copied().collect()
    }

    #[test]
    fn what_is_large_is_shared_and_the_rest_put_together() {
        let large = Bytes::from(vec![7; SHORT]);
        let mut segments = Segments::new();
        segments.small().extend_from_slice(b"head");
        segments.share(Bytes::from_static(b"short"));
        segments.share(large.clone());
        segments.share(Bytes::new());
        segments.small().extend_from_slice(b"tail");
        assert_eq!(segments.length(), 4 + 5 + SHORT + 4);
        let run = segments.take();
        assert_eq!(run.len(), 3);
        assert_eq!(flat(&run), [b"headshort", &large[..], b"tail"].concat());
        assert_eq!(run[1].as_ptr(), large.as_ptr());
        assert!(segments.is_empty() && segments.take().is_empty());
    }

    #[test]
    fn a_chunk_tells_its_size_and_nothing_is_no_chunk() {
        let mut segments = Segments::new();
        assert!(segments.take_chunk().is_empty());
        segments.share(Bytes::from(vec![b'x'; 300]));
        let chunk = segments.take_chunk();
        assert_eq!(
            flat(&chunk),
            [b"12c\r\n", &vec![b'x'; 300][..], b"\r\n"].concat()
        );
        segments.small().extend_from_slice(b"abc");
        assert_eq!(flat(&segments.take_chunk()), b"3\r\nabc\r\n");
    }
}
