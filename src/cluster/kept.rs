//! Buffers that the spool's threads have written and the mirror has not put yet. Kept, they need not be read back from the file.
//!
//! They go round: who gives one away gets one for it that has come back from the store. There is a bound, and what is over it lies in its file alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Bytes of memory of all buffers together, of those that are on their way into the store as well as of empty ones. Two flushes of a hundred streams.
pub const MOST: usize = 32 << 20;

/// Where buffers come back to.
pub struct Buffers {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Bytes of memory of those that are not empty.
    full: usize,
    empty: Vec<Vec<u8>>,
    /// Bytes of memory of the empty ones.
    empty_bytes: usize,
}

impl Held {
    fn take_empty(&mut self) -> Option<Vec<u8>> {
        let buffer = self.empty.pop()?;
        self.empty_bytes -= buffer.capacity();
        Some(buffer)
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::up_to(MOST)
    }
}

impl Buffers {
    #[must_use]
    pub fn up_to(most: usize) -> Self {
        Self {
            most,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a buffer, and another one for it, which is empty and may be one without memory. Where the bound is reached there are no
    /// bytes, and the buffer itself comes back.
    pub fn keep(self: &Arc<Self>, buffer: Vec<u8>) -> (Option<Bytes>, Vec<u8>) {
        let mut held = self.held();
        let full = held.full + buffer.capacity();
        if full > self.most {
            return (None, buffer);
        }
        held.full = full;
        let empty = held.take_empty().unwrap_or_default();
        drop(held);
        (Some(self.clone().bytes(buffer)), empty)
    }

    /// An empty buffer, to be filled and given to [`Self::read`].
    #[must_use]
    pub fn empty(&self) -> Vec<u8> {
        self.held().take_empty().unwrap_or_default()
    }

    /// The bytes of a buffer that was read to. No bound keeps anybody from reading: who reads bounds what is read at once.
    pub fn read(self: &Arc<Self>, buffer: Vec<u8>) -> Bytes {
        self.held().full += buffer.capacity();
        self.clone().bytes(buffer)
    }

    fn bytes(self: Arc<Self>, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Kept {
            buffer,
            buffers: self,
        })
    }

    /// Lets the memory of the empty ones go.
    pub fn let_go(&self) {
        let mut held = self.held();
        held.empty = Vec::new();
        held.empty_bytes = 0;
    }

    /// A buffer whose bytes nobody has any more.
    fn comes_back(&self, mut buffer: Vec<u8>) {
        let mut held = self.held();
        held.full -= buffer.capacity();
        let empty_bytes = held.empty_bytes + buffer.capacity();
        if held.full + empty_bytes <= self.most {
            buffer.clear();
            held.empty.push(buffer);
            held.empty_bytes = empty_bytes;
        }
    }
}

/// A buffer that goes back with the last of who has its bytes.
struct Kept {
    buffer: Vec<u8>,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.buffers.comes_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(byte: u8) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(100);
        buffer.resize(40, byte);
        buffer
    }

    #[test]
    fn buffers_go_round_and_what_is_over_the_bound_is_not_kept() {
        let buffers = Arc::new(Buffers::up_to(250));
        let (first, empty) = buffers.keep(buffer(1));
        assert_eq!(empty.capacity(), 0, "there is none to give yet");
        let (second, _) = buffers.keep(buffer(2));
        let (third, back) = buffers.keep(buffer(3));
        assert_eq!((third, back), (None, buffer(3)));
        // As long as anybody has a part of its bytes, a buffer is not empty.
        let mut first = first.unwrap();
        let part = first.split_off(10);
        drop(first);
        assert!(buffers.keep(buffer(4)).0.is_none());
        assert_eq!(part, vec![1; 30]);
        drop(part);
        let (fourth, empty) = buffers.keep(buffer(4));
        assert_eq!((empty.len(), empty.capacity()), (0, 100));
        assert_eq!(
            (second.unwrap(), fourth.unwrap()),
            (buffer(2).into(), buffer(4).into())
        );
    }

    #[test]
    fn what_is_read_comes_back_as_far_as_the_bound_goes() {
        let buffers = Arc::new(Buffers::up_to(250));
        let read: Vec<Bytes> = (0..4).map(|n| buffers.read(buffer(n))).collect();
        assert!(buffers.keep(buffer(9)).0.is_none());
        drop(read);
        let held = buffers.held();
        assert_eq!((held.full, held.empty.len(), held.empty_bytes), (0, 2, 200));
        drop(held);
        assert_eq!(buffers.empty().capacity(), 100);
        buffers.let_go();
        assert_eq!(buffers.empty().capacity(), 0);
    }
}
