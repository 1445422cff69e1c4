//! The handshake (RTMP 1.0 clause 5.2).
//!
//! The plain form only. Clients that put a digest into their first packet accept an echo as the answer, and the
//! peer's echo is not checked: it proves nothing, and some clients send another.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::RtmpError;

const VERSION: u8 = 3;

/// Bytes of C1, C2, S1 and S2.
pub(super) const PACKET: usize = 1536;

/// Which packet is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// C0 and C1, or S0 and S1.
    Greeting,
    /// C2 or S2.
    Echo,
    Done,
}

/// One side of the handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    /// Our version byte and random packet.
    greeting: Bytes,
    greeted: bool,
}

impl Handshake {
    /// `seed` makes the random bytes; they need to differ between connections, not to be secret.
    pub(super) fn new(seed: u64) -> Self {
        let mut greeting = BytesMut::with_capacity(1 + PACKET);
        greeting.put_u8(VERSION);
        greeting.put_u64(0); // time, and the zeros that say "no digest"
        let mut state = seed;
        while greeting.len() < 1 + PACKET {
            greeting.put_u64(next_random(&mut state));
        }
        Self {
            stage: Stage::Greeting,
            greeting: greeting.freeze(),
            greeted: false,
        }
    }

    /// The client speaks first.
    pub(super) fn start_client(&mut self, output: &mut BytesMut) {
        if !self.greeted {
            self.greeted = true;
            output.put_slice(&self.greeting);
        }
    }

    /// Takes the packets that are there whole; true once the handshake is over.
    pub(super) fn feed(
        &mut self,
        input: &mut impl Buf,
        output: &mut BytesMut,
    ) -> Result<bool, RtmpError> {
        if self.stage == Stage::Greeting {
            if let Some(version) = input.chunk().first().copied()
                && version != VERSION
            {
                return Err(RtmpError::Version(version));
            }
            if input.remaining() <= PACKET {
                return Ok(false);
            }
            input.advance(1);
            self.start_client(output); // the server's greeting, if it has not gone out
            output.put(Buf::take(&mut *input, PACKET));
            self.stage = Stage::Echo;
        }
        if self.stage == Stage::Echo {
            if input.remaining() < PACKET {
                return Ok(false);
            }
            input.advance(PACKET);
            self.stage = Stage::Done;
            self.greeting = Bytes::new();
        }
        Ok(true)
    }
}

/// SplitMix64.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_byte_by_byte() {
        let mut client = Handshake::new(1);
        let mut server = Handshake::new(2);
        let mut to_server = BytesMut::new();
        client.start_client(&mut to_server);
        let client_packet = to_server[1..].to_vec();
        assert_eq!(to_server.len(), 1 + PACKET);

        let mut to_client = BytesMut::new();
        let mut input = BytesMut::new();
        for byte in to_server.split() {
            assert!(to_client.is_empty());
            input.put_u8(byte);
            assert_eq!(server.feed(&mut input, &mut to_client), Ok(false));
        }
        assert_eq!(to_client.len(), 1 + 2 * PACKET);
        assert_eq!(to_client[1 + PACKET..], client_packet);

        to_client.put_slice(b"more");
        assert_eq!(client.feed(&mut to_client, &mut to_server), Ok(true));
        assert_eq!(to_client.as_ref(), b"more");
        assert_eq!(to_server.len(), PACKET);
        assert_eq!(server.feed(&mut to_server, &mut to_client), Ok(true));
        assert!(to_server.is_empty());
    }

    #[test]
    fn other_protocols_are_noticed_at_the_first_byte() {
        for first in [b'G', 0x16, 6, 0] {
            let mut input = BytesMut::from(&[first][..]);
            let answer = Handshake::new(1).feed(&mut input, &mut BytesMut::new());
            assert_eq!(answer, Err(RtmpError::Version(first)));
        }
    }

    #[test]
    fn seeds_make_different_greetings() {
        assert_ne!(Handshake::new(1).greeting, Handshake::new(2).greeting);
        assert_eq!(Handshake::new(7).greeting, Handshake::new(7).greeting);
    }
}
