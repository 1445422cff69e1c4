//! The bodies of answers that go on for as long as a stream is live, where the web framework sends them: over TLS.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use crate::live::fanout::log::Taken;
use crate::live::fanout::outgoing::Outgoing;
use crate::live::fanout::tape::TapeReader;
use crate::live::play::{MOST_SKIPS, Viewer};

/// Bytes handed to the web framework at a time: what it puts them into stays as large for as long as the player is there.
const PART: usize = 8 << 10;
/// Bytes that are taken off the tape at a time.
const TURN: usize = 256 << 10;

/// What a player is sent.
pub(super) struct Playing {
    viewer: Viewer,
    reader: TapeReader,
    outgoing: Outgoing,
}

impl Playing {
    pub(super) fn new(viewer: Viewer, reader: TapeReader) -> Self {
        Self {
            viewer,
            reader,
            outgoing: Outgoing::default(),
        }
    }
}

impl MessageBody for Playing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        loop {
            if let Some(part) = this.outgoing.take(PART) {
                this.viewer.sent(part.len() as u64);
                return Poll::Ready(Some(Ok(part)));
            }
            if this.viewer.is_cut() {
                return Poll::Ready(None);
            }
            let taken = ready!(this.reader.poll_next(context, &mut this.outgoing, TURN));
            this.viewer.skipped(this.reader.skips());
            if taken == Taken::Ended {
                return Poll::Ready(None);
            }
            if this.reader.skips_in_a_row() > MOST_SKIPS {
                tracing::debug!(stream.key = %this.viewer.key(), "a player is too slow");
                return Poll::Ready(None);
            }
        }
    }
}

/// The body that HEAD leaves out, and the one that somebody else sends: of no known length, and empty.
pub(super) struct Nothing;

impl MessageBody for Nothing {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
