//! The connection under the web framework: what came whole is worked off, though the peer is gone.
//!
//! The framework drops a request's work when it hears that the connection ended, with what it had read of the body and not yet handed
//! on. A sender that closes behind its last byte (ffmpeg, a CI step with a time limit) would lose a body that came whole. So the end is
//! told only when nobody is harmed by it: while a request is worked on, it is kept back until its body is waited for and no byte of it
//! is left; and what is written to a peer that is gone vanishes.
//!
//! Here too the peer is asked for a body that it holds back (`Expect: 100-continue`): when somebody wants to read it.

pub mod framing;
pub mod unread;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use framing::{Framing, MAX_HEAD_BYTES, Next};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes read at a time while a head is expected.
const HEAD_READ: usize = 8 * 1024;

/// What a connection and the work on its requests know of each other.
#[derive(Default)]
pub struct Line {
    /// Requests being worked on.
    working: Cell<usize>,
    /// Somebody waits for more of a body.
    waiting: Cell<bool>,
    /// The body is wanted, and the peer waits to hear it.
    asked: Cell<bool>,
    /// Woken when the end may be told.
    reader: RefCell<Option<Waker>>,
}

impl Line {
    /// To be held while a request is worked on.
    #[must_use]
    pub fn work(self: &Rc<Self>) -> Working {
        self.working.set(self.working.get() + 1);
        Working(self.clone())
    }

    /// Says whether somebody waits for more of a body.
    pub fn wait_for_body(&self, waits: bool) {
        self.waiting.set(waits);
        if waits {
            self.wake();
        }
    }

    /// Asks the peer for the body that it holds back.
    pub fn ask_for_body(&self) {
        self.asked.set(true);
    }

    fn may_end(&self) -> bool {
        self.working.get() == 0 || self.waiting.get()
    }

    fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// A request is being worked on.
pub struct Working(Rc<Line>);

impl Drop for Working {
    fn drop(&mut self) {
        let line = &self.0;
        line.working.set(line.working.get().saturating_sub(1));
        line.waiting.set(false);
        line.asked.set(false);
        line.wake();
    }
}

/// A connection.
pub struct Wire<T> {
    io: T,
    line: Rc<Line>,
    framing: Framing,
    /// Bytes that were read and not yet passed on.
    held: BytesMut,
    /// How many of them may be.
    free: usize,
    ended: bool,
    /// Nothing that is written arrives any more.
    deaf: bool,
    /// What is still to be sent of the interim answer.
    interim: &'static [u8],
}

impl<T> Wire<T> {
    pub fn new(io: T) -> Self {
        Self {
            io,
            line: Rc::default(),
            framing: Framing::default(),
            held: BytesMut::new(),
            free: 0,
            ended: false,
            deaf: false,
            interim: &[],
        }
    }

    pub fn line(&self) -> Rc<Line> {
        self.line.clone()
    }

    /// Finds out how much of what is held may be passed on.
    fn release(&mut self) {
        if self.free > 0 || self.held.is_empty() {
            return;
        }
        self.free = match self.framing.next() {
            Next::Head => match self.framing.head(&mut self.held) {
                Some(length) => length,
                None if self.held.len() >= MAX_HEAD_BYTES || self.ended => {
                    self.framing.lose_track();
                    self.held.len()
                }
                None => 0,
            },
            _ => self.framing.pass(&self.held),
        };
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Takes what the socket has to where it is wanted; what belongs to the next request is held.
    fn read_body(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if came.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        let taken = self.framing.pass(came);
        self.held
            .extend_from_slice(came.get(taken..).unwrap_or_default());
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }

    fn read_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut block = [0; HEAD_READ];
        let mut block = ReadBuf::new(&mut block);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut block))?;
        if block.filled().is_empty() {
            self.ended = true;
        }
        self.held.extend_from_slice(block.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            this.release();
            if this.free > 0 {
                let count = this.free.min(buffer.remaining());
                buffer.put_slice(this.held.get(..count).unwrap_or_default());
                this.held.advance(count);
                this.free -= count;
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                if this.line.may_end() {
                    return Poll::Ready(Ok(()));
                }
                *this.line.reader.borrow_mut() = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            let read = match this.framing.next() {
                Next::Head => this.read_head(cx),
                _ => this.read_body(cx, buffer),
            };
            match ready!(read) {
                Ok(()) if buffer.filled().len() > before => return Poll::Ready(Ok(())),
                Ok(()) => {}
                // The framework would drop everything at once; an end lets it work off what came.
                Err(error) => {
                    tracing::trace!(target: "localyun::connection", %error, "a connection broke");
                    this.ended = true;
                }
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    /// What is written while a request is worked on must not end the work.
    fn forgive(&mut self, error: io::Error) -> io::Result<()> {
        self.deaf = true;
        if self.line.working.get() > 0 {
            Ok(())
        } else {
            Err(error)
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf {
            let told = this.forgive(io::ErrorKind::BrokenPipe.into());
            return Poll::Ready(told.map(|()| bytes.len()));
        }
        match ready!(Pin::new(&mut this.io).poll_write(cx, bytes)) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => Poll::Ready(this.forgive(error).map(|()| bytes.len())),
        }
    }

    /// The framework flushes when it has written all it has, which is where an interim answer fits between two others.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.line.asked.take() {
            this.interim = CONTINUE;
        }
        while !this.interim.is_empty() && !this.deaf {
            match ready!(Pin::new(&mut this.io).poll_write(cx, this.interim)) {
                Ok(count) => this.interim = this.interim.get(count..).unwrap_or_default(),
                Err(error) => this.forgive(error)?,
            }
        }
        if this.deaf {
            return Poll::Ready(Ok(()));
        }
        match ready!(Pin::new(&mut this.io).poll_flush(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(this.forgive(error)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
