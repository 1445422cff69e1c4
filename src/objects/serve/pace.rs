//! `x-oss-traffic-limit`: the bytes of one request go no faster than it says, in either direction.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::dialect::Dialect;
use super::error::ServeError;
use super::request::Request;
use crate::clock::{machine_sleep, monotonic};

/// The header, parameter or form field that asks for it.
pub const NAME: &str = "x-oss-traffic-limit";
/// Bits a second that may be asked for, as in the product.
const BOUNDS: std::ops::RangeInclusive<u64> = 819_200..=838_860_800;
/// Bytes that leave at a time.
const PIECE: usize = 32 * 1024;

/// How fast bytes may go, and how many have.
#[derive(Debug, Clone)]
pub struct Pace {
    bytes_a_second: u64,
    began: Instant,
    gone: u64,
}

impl Pace {
    /// The pace that a request asks for, in a header or, in a signed address, by a parameter. S3 has none.
    pub fn of(request: &Request) -> Result<Option<Self>, ServeError> {
        if Dialect::of(request) == Dialect::S3 {
            return Ok(None);
        }
        let asked = request.header(NAME).or_else(|| request.param(NAME));
        asked.map(Self::parse).transpose()
    }

    /// Reads bits a second.
    pub fn parse(text: &str) -> Result<Self, ServeError> {
        let bits = text.trim().parse().ok();
        let bits = bits.filter(|bits| BOUNDS.contains(bits)).ok_or_else(|| {
            ServeError::argument(
                NAME,
                text,
                "The traffic limit must be a number of bits a second from 819200 to 838860800.",
            )
        })?;
        Ok(Self {
            bytes_a_second: bits / 8,
            began: monotonic(),
            gone: 0,
        })
    }

    /// Counts bytes; how long they must wait since their turn has not come.
    fn count(&mut self, bytes: u64, elapsed: Duration) -> Duration {
        self.gone = self.gone.saturating_add(bytes);
        let ms = self.gone.saturating_mul(1000) / self.bytes_a_second;
        Duration::from_millis(ms).saturating_sub(elapsed)
    }

    /// Waits until this many bytes more may have gone.
    pub async fn keep(&mut self, bytes: u64) {
        let wait = self.count(bytes, self.began.elapsed());
        if !wait.is_zero() {
            machine_sleep(wait).await;
        }
    }

    /// A body that keeps the pace.
    pub fn slow(
        self,
        body: impl Stream<Item = std::io::Result<Bytes>>,
    ) -> impl Stream<Item = std::io::Result<Bytes>> {
        let pieces = body.flat_map(|block| stream::iter(pieces(block)));
        pieces.scan(self, |pace, piece| {
            let mut now = pace.clone();
            let bytes = piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
            pace.gone = pace.gone.saturating_add(bytes);
            async move {
                now.keep(bytes).await;
                Some(piece)
            }
        })
    }
}

fn pieces(block: std::io::Result<Bytes>) -> Vec<std::io::Result<Bytes>> {
    let mut block = match block {
        Ok(block) => block,
        Err(error) => return vec![Err(error)],
    };
    let mut pieces = Vec::with_capacity(block.len().div_ceil(PIECE));
    while !block.is_empty() {
        pieces.push(Ok(block.split_to(PIECE.min(block.len()))));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_for_their_turn() {
        let mut pace = Pace::parse("819200").expect("the least");
        let seconds = Duration::from_secs;
        assert_eq!(pace.count(102_400, seconds(0)), seconds(1));
        assert_eq!(pace.count(102_400, seconds(0)), seconds(2));
        assert_eq!(pace.count(102_400, seconds(2)), seconds(1));
        assert_eq!(pace.count(0, seconds(9)), seconds(0));
        assert!(Pace::parse("838860800").is_ok());
        for refused in ["819199", "838860801", "", "fast", "-1"] {
            assert_eq!(
                Pace::parse(refused).expect_err(refused).code,
                "InvalidArgument"
            );
        }
    }

    #[test]
    fn a_block_leaves_in_pieces_and_nothing_is_lost() {
        let block: Bytes = (0..100_000_u32).map(|n| n as u8).collect();
        let sent: Vec<_> = pieces(Ok(block.clone()))
            .into_iter()
            .map(|piece| piece.expect("a piece"))
            .collect();
        assert!(sent.iter().all(|piece| piece.len() <= PIECE));
        assert_eq!(sent.concat(), block);
        assert!(pieces(Ok(Bytes::new())).is_empty());
    }
}
