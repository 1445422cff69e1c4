//! A player with a socket of its own, from its request to its end: little state, no buffer. There are thousands of these.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{MOST_SKIPS, Viewer};
use crate::clock;
use crate::live::fanout::log::Taken;
use crate::live::fanout::outgoing::Outgoing;
use crate::live::fanout::tape::TapeReader;

/// Machine time in which a player must take some of what it was sent.
const STALLED: Duration = Duration::from_secs(20);
/// Between two looks at a player that takes nothing.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes that are taken off the tape at a time.
const TURN: usize = 256 << 10;
/// Bytes that a player may say at a time.
const READ: usize = 4 << 10;
/// Segments that one call to the kernel may bring.
const SLICES: usize = 64;
/// Bytes of answers that a player may leave unread. Then it is not heard until it has taken them: who asks and does not read would take memory.
const MOST_ANSWERS: usize = 64 << 10;

/// What a player's protocol makes of what it says.
pub trait Ears: Send {
    /// It said something, of any length. Gives what is to be answered.
    ///
    /// # Errors
    /// Why it has to go.
    fn hear(&mut self, said: &[u8]) -> Result<Bytes, String>;

    /// Whether a player that says nothing more may still be there.
    fn may_be_silent(&self) -> bool {
        false
    }

    /// The stream is over: what it is told last, beside the end of its tape.
    fn farewell(&mut self) -> Bytes;
}

/// For a protocol in which a player has nothing more to say.
pub struct Deaf;

impl Ears for Deaf {
    /// An HTTP client may close its side behind its request. One that is gone is noticed when it is sent something.
    fn may_be_silent(&self) -> bool {
        true
    }

    fn hear(&mut self, _: &[u8]) -> Result<Bytes, String> {
        Ok(Bytes::new())
    }

    fn farewell(&mut self) -> Bytes {
        Bytes::new()
    }
}

/// Sends a stream to its player until it is over or the player goes.
pub struct Sending<E> {
    socket: TcpStream,
    viewer: Viewer,
    reader: TapeReader,
    outgoing: Outgoing,
    ears: E,
    /// Bytes of answers that came to what is to be sent since it last was empty.
    answers: usize,
    /// The player has closed its side.
    is_silent: bool,
    /// The tape was read to its end.
    has_ended: bool,
    stalled: Option<Box<Stalled>>,
}

/// Of a player that takes nothing.
struct Stalled {
    since: Instant,
    look: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stalled {
    fn new() -> Box<Self> {
        Box::new(Self {
            since: clock::monotonic(),
            look: Box::pin(clock::machine_sleep(LOOK)),
        })
    }

    /// Ready when the player has had its time.
    fn poll(&mut self, context: &mut Context<'_>, viewer: &Viewer) -> Poll<String> {
        loop {
            ready!(self.look.as_mut().poll(context));
            if self.since.elapsed() >= STALLED {
                return Poll::Ready("the player reads nothing".to_owned());
            }
            if viewer.is_cut() {
                return Poll::Ready(CUT.to_owned());
            }
            self.look = Box::pin(clock::machine_sleep(LOOK));
        }
    }
}

const CUT: &str = "its domain was stopped";

impl<E: Ears> Sending<E> {
    #[must_use]
    pub fn new(socket: TcpStream, viewer: Viewer, reader: TapeReader, ears: E) -> Self {
        Self {
            socket,
            viewer,
            reader,
            outgoing: Outgoing::default(),
            ears,
            answers: 0,
            is_silent: false,
            has_ended: false,
            stalled: None,
        }
    }

    /// Works off what the player says, as long as it takes the answers; ready when it has gone.
    fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let mut block = [0; READ];
        while !self.is_silent && self.answers < MOST_ANSWERS {
            if let Err(error) = ready!(self.socket.poll_read_ready(context)) {
                return Poll::Ready(error.to_string());
            }
            let said = match self.socket.try_read(&mut block) {
                Ok(0) if self.ears.may_be_silent() => {
                    self.is_silent = true;
                    continue;
                }
                Ok(0) => return Poll::Ready("the player has gone".to_owned()),
                Ok(count) => block.get(..count).unwrap_or_default(),
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Poll::Ready(error.to_string()),
            };
            match self.ears.hear(said) {
                Ok(answer) => {
                    self.answers += answer.len();
                    self.outgoing.push_bytes(answer);
                }
                Err(why) => return Poll::Ready(why),
            }
        }
        Poll::Pending
    }

    /// Takes more off the tape; the error says why there is nothing more to send.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        if self.has_ended {
            return Poll::Ready(Err("the stream is over".to_owned()));
        }
        if self.viewer.is_cut() {
            return Poll::Ready(Err(CUT.to_owned()));
        }
        let taken = ready!(self.reader.poll_next(context, &mut self.outgoing, TURN));
        self.viewer.skipped(self.reader.skips());
        if self.reader.skips_in_a_row() > MOST_SKIPS {
            return Poll::Ready(Err("the player is too slow".to_owned()));
        }
        if taken == Taken::Ended {
            self.has_ended = true;
            self.outgoing.push_bytes(self.reader.farewell());
            self.outgoing.push_bytes(self.ears.farewell());
        }
        Poll::Ready(Ok(()))
    }

    /// Sends some of what is to be sent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        let ready = match self.socket.poll_write_ready(context) {
            Poll::Ready(ready) => ready,
            Poll::Pending => {
                let stalled = self.stalled.get_or_insert_with(Stalled::new);
                return stalled.poll(context, &self.viewer).map(Err);
            }
        };
        let sent = ready.and_then(|()| {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.outgoing.show(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            self.socket.try_write_vectored(slices)
        });
        match sent {
            Ok(count) => {
                self.stalled = None;
                self.outgoing.advance(count);
                self.viewer.sent(count as u64);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Poll::Ready(Err(error.to_string())),
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<String> {
        if let Poll::Ready(why) = self.poll_hear(context) {
            return Poll::Ready(why);
        }
        loop {
            let step = if !self.outgoing.is_empty() {
                self.poll_send(context)
            } else if std::mem::take(&mut self.answers) < MOST_ANSWERS {
                self.poll_fill(context)
            } else if let Poll::Ready(why) = self.poll_hear(context) {
                return Poll::Ready(why);
            } else {
                continue;
            };
            if let Err(why) = ready!(step) {
                return Poll::Ready(why);
            }
        }
    }
}

/// Nothing is wrong: it is to be tried again when the socket is ready.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

impl<E: Ears + Unpin> Future for Sending<E> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let why = ready!(this.poll_end(context));
        tracing::debug!(stream.key = %this.viewer.key(), why, "a player is sent nothing more");
        Poll::Ready(())
    }
}
