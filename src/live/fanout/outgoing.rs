//! What a viewer is still to be sent: runs of segments that it shares with all others, and how far it has come in them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::media::segments::Run;

/// Room for so many runs is kept: a viewer that keeps up has one at a time, and one that comes has a whole group for a moment.
const USUAL: usize = 4;

#[derive(Debug, Default)]
pub struct Outgoing {
    runs: VecDeque<Run>,
    /// The place in the first run: a segment of it, and a byte of that.
    segment: usize,
    offset: usize,
}

impl Outgoing {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub fn push(&mut self, run: Run) {
        if !run.is_empty() {
            self.runs.push_back(run);
        }
    }

    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.runs.push_back([bytes].into());
        }
    }

    /// Shows what comes next, as much as there is room for; says how many slices it is.
    pub fn show<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut from = self.segment;
        let mut offset = self.offset;
        let mut room = slices.iter_mut();
        let mut shown = 0;
        for run in &self.runs {
            for bytes in run.iter().skip(std::mem::take(&mut from)) {
                let Some(slice) = room.next() else {
                    return shown;
                };
                let rest = bytes.get(std::mem::take(&mut offset)..);
                *slice = IoSlice::new(rest.unwrap_or_default());
                shown += 1;
            }
        }
        shown
    }

    /// So many bytes were sent.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(segment) = self.runs.front().and_then(|run| run.get(self.segment)) {
            let left = segment.len().saturating_sub(self.offset);
            if count < left {
                self.offset += count;
                return;
            }
            count -= left;
            self.next_segment();
        }
    }

    fn next_segment(&mut self) {
        self.offset = 0;
        self.segment += 1;
        if self
            .runs
            .front()
            .is_some_and(|run| self.segment < run.len())
        {
            return;
        }
        self.segment = 0;
        self.runs.pop_front();
        if self.runs.is_empty() && self.runs.capacity() > USUAL {
            self.runs = VecDeque::new();
        }
    }

    /// Takes the next bytes, up to `most`, for who cannot send slices.
    pub fn take(&mut self, most: usize) -> Option<Bytes> {
        let segment = self.runs.front()?.get(self.segment)?;
        let end = segment.len().min(self.offset.saturating_add(most));
        let bytes = segment.slice(self.offset.min(end)..end);
        self.advance(bytes.len());
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Outgoing {
        let mut outgoing = Outgoing::default();
        for run in [
            vec!["ab", "cde"],
            vec![],
            vec!["f"],
            vec!["gh", "i", "jklm"],
        ] {
            outgoing.push(run.into_iter().map(Bytes::from).collect());
        }
        outgoing.push_bytes(Bytes::new());
        outgoing.push_bytes(Bytes::from_static(b"no"));
        outgoing
    }

    #[test]
    fn it_is_sent_in_order_however_much_is_taken_at_a_time() {
        for step in 1..16 {
            for room in 1..5 {
                let mut outgoing = filled();
                let mut sent = Vec::new();
                while !outgoing.is_empty() {
                    let mut slices = [IoSlice::new(&[]); 4];
                    let count = outgoing.show(&mut slices[..room.min(4)]);
                    let shown: Vec<u8> = slices[..count].iter().flat_map(|s| s.to_vec()).collect();
                    let taken = step.min(shown.len());
                    assert!(taken > 0);
                    sent.extend_from_slice(&shown[..taken]);
                    outgoing.advance(taken);
                }
                assert_eq!(sent, b"abcdefghijklmno", "{step} {room}");
            }
        }
    }

    #[test]
    fn pieces_are_taken_up_to_a_bound_and_the_room_is_given_back() {
        let mut outgoing = filled();
        for _ in 0..100 {
            outgoing.push_bytes(Bytes::from_static(b"x"));
        }
        assert_eq!(outgoing.take(1).as_deref(), Some(&b"a"[..]));
        assert_eq!(outgoing.take(2).as_deref(), Some(&b"b"[..]));
        assert_eq!(outgoing.take(9).as_deref(), Some(&b"cde"[..]));
        while outgoing.take(1 << 20).is_some() {}
        assert!(outgoing.is_empty() && outgoing.runs.capacity() == 0);
    }
}
