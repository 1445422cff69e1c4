//! Tapes: what the viewers of one container get, made once for all of them.
//!
//! A tape is made of pieces, one a tick of the publisher as a rule. A viewer sends the tape's head, then what goes before its first piece, then
//! pieces as they come; after it fell behind, again what goes before the piece with which it goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::kept::Reader;
use super::log::{Bounds, Cursor, From, Log, Taken, USUAL};
use super::outgoing::Outgoing;
use super::{Fanout, Headers, Unit};
use crate::media::segments::{Run, Segments};

/// What is kept of a tape for readers that are a little behind: no more than is kept of the messages, with which it shares its bytes.
const KEPT: Bounds = Bounds {
    groups: 1,
    linger: Duration::from_secs(2),
    bytes: 32 << 20,
    entries: 16_384,
};
/// Bytes of messages that are worked on at a time.
const TURN: usize = 512 << 10;

/// What a viewer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// FLV tags, behind a file header.
    Flv,
    /// RTMP chunks of a message stream.
    Rtmp { stream_id: u32 },
    /// Movie fragments, behind an init segment.
    Mp4,
}

/// How the bytes of a tape go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As they are.
    Plain,
    /// In HTTP/1.1's chunked coding, for a connection that the web framework has given up.
    Chunked,
}

/// Bytes that follow each other on a tape.
#[derive(Debug)]
struct Piece {
    run: Run,
    /// Of a piece that a viewer can begin with: what goes before it.
    before: Option<Run>,
}

/// One container's tape.
pub struct Tape {
    log: Arc<Log<Piece>>,
    coding: Coding,
    head: Mutex<Run>,
}

/// The tape cannot go on: another one begins for who asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over;

impl Tape {
    pub(super) fn new(coding: Coding) -> Arc<Self> {
        Arc::new(Self {
            log: Log::new(KEPT, None),
            coding,
            head: Mutex::default(),
        })
    }

    /// A viewer's place on the tape.
    #[must_use]
    pub fn read(self: &Arc<Self>) -> TapeReader {
        TapeReader {
            cursor: Cursor::new(self.log.clone(), From::Newest),
            tape: self.clone(),
            has_head: false,
        }
    }

    fn lock_head(&self) -> MutexGuard<'_, Run> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes before everything: to be set before the first piece.
    pub(super) fn set_head(&self, head: Bytes) {
        let mut segments = Segments::new();
        segments.share(head);
        *self.lock_head() = self.coded(&mut segments);
    }

    /// Appends what was put together; `before` is what goes before it where a viewer can begin with it.
    pub(super) fn push(&self, segments: &mut Segments, before: Option<&mut Segments>) {
        let size = segments.length() + size_of::<Piece>();
        let piece = Piece {
            run: self.coded(segments),
            before: before.map(|before| self.coded(before)),
        };
        let size = size + piece.run.len() * size_of::<Bytes>();
        let starts = piece.before.is_some();
        self.log.push(piece, size, starts);
    }

    fn coded(&self, segments: &mut Segments) -> Run {
        match self.coding {
            Coding::Plain => segments.take(),
            Coding::Chunked => segments.take_chunk(),
        }
    }

    #[must_use]
    pub(super) fn is_over(&self) -> bool {
        self.log.is_closed()
    }
}

/// One viewer's place.
pub struct TapeReader {
    cursor: Cursor<Piece>,
    /// Keeps the tape being made.
    tape: Arc<Tape>,
    has_head: bool,
}

impl TapeReader {
    /// Appends what is to be sent next to `out`: up to `most` bytes, or one piece.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        out: &mut Outgoing,
        most: usize,
    ) -> Poll<Taken> {
        let Self {
            cursor,
            tape,
            has_head,
        } = self;
        cursor.poll_each(context, most, |taken, piece| {
            if !std::mem::replace(has_head, true) {
                out.push(tape.lock_head().clone());
            }
            if taken == Taken::Jumped
                && let Some(before) = &piece.before
            {
                out.push(before.clone());
            }
            out.push(piece.run.clone());
        })
    }

    /// What ends the answer of a tape that was read to its end.
    #[must_use]
    pub fn farewell(&self) -> Bytes {
        Bytes::from_static(match self.tape.coding {
            Coding::Plain => b"",
            Coding::Chunked => b"0\r\n\r\n",
        })
    }

    /// How often it fell behind since it last had read everything.
    #[must_use]
    pub fn skips_in_a_row(&self) -> u32 {
        self.cursor.skips_in_a_row()
    }

    /// How often it fell behind.
    #[must_use]
    pub fn skips(&self) -> u64 {
        self.cursor.skips()
    }
}

/// Makes what a container needs of messages.
pub(super) trait Maker: Send {
    /// Takes a message. `jumped`: it does not follow the one before.
    fn take(&mut self, unit: &Unit, jumped: bool, tape: &Tape) -> Result<(), Over>;

    /// What came so far goes onto the tape.
    fn flush(&mut self, tape: &Tape);

    /// Nothing more comes.
    fn end(&mut self, tape: &Tape) {
        self.flush(tape);
    }
}

/// Begins a tape; `maker` is made when the stream's tracks are known.
pub(super) fn make(
    fanout: &Arc<Fanout>,
    runtime: &Handle,
    coding: Coding,
    maker: impl FnOnce(&Headers) -> Box<dyn Maker> + Send + 'static,
) -> Arc<Tape> {
    let tape = Tape::new(coding);
    let weak = Arc::downgrade(&tape);
    let fanout = fanout.clone();
    // Its place is where the first viewer came: what is pushed while the tracks are found out is that viewer's too.
    let source = fanout.read(From::Newest);
    runtime.spawn(async move {
        if !fanout.tracks_known().await {
            return end(&weak);
        }
        let maker = maker(&fanout.headers());
        drop(fanout);
        run(source, &weak, maker).await;
        end(&weak);
    });
    tape
}

fn end(tape: &Weak<Tape>) {
    if let Some(tape) = tape.upgrade() {
        tape.log.close();
    }
}

/// Fills a tape for as long as somebody has it.
async fn run(mut source: Reader, tape: &Weak<Tape>, mut maker: Box<dyn Maker>) {
    let mut units = Vec::new();
    loop {
        let taken = source.take(&mut units, TURN).await;
        let Some(tape) = tape.upgrade() else { return };
        let mut jumped = taken == Taken::Jumped;
        for unit in units.drain(..) {
            if maker
                .take(&unit, std::mem::take(&mut jumped), &tape)
                .is_err()
            {
                maker.flush(&tape);
                return;
            }
        }
        if taken == Taken::Ended {
            maker.end(&tape);
            return;
        }
        maker.flush(&tape);
        tape.log.wake();
        units.shrink_to(USUAL);
    }
}
