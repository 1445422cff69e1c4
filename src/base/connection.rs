//! The connection under the web framework: what came whole is worked off, though the peer is gone.
//!
//! The framework drops a request's work when it hears that the connection ended, with what it had read of the body and not yet handed
//! on. A sender that closes behind its last byte (ffmpeg, a CI step with a time limit) would lose a body that came whole. So the end is
//! told only when nobody is harmed by it: while a request is worked on, it is kept back until its body is waited for and no byte of it
//! is left; and what is written to a peer that is gone vanishes.
//!
//! A request is passed on when the one before it is answered, however many come in one packet: the framework frames an answer by the last
//! request that it has read, so it would take the answer to a GET for one to the HEAD behind it.
//!
//! Here too the peer is asked for a body that it holds back (`Expect: 100-continue`): when somebody wants to read it.

pub mod framing;
pub mod unread;

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use framing::{Framing, MAX_HEAD_BYTES, Next};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Bytes read at a time while a head is expected.
const HEAD_READ: usize = 8 * 1024;
/// Times that as many are read and thrown away behind a body that makes no sense.
const MOST_THROWN_AWAY: usize = 32;

/// The address of this machine at which a connection came in. Who comes from the same one is on this machine.
#[derive(Debug, Clone, Copy)]
pub struct OwnEnd(pub IpAddr);

/// What a connection and the work on its requests know of each other.
#[derive(Default)]
pub struct Line {
    /// Requests being worked on.
    working: Cell<usize>,
    /// A request was passed on, and the head of its answer is not known yet.
    owes: Cell<bool>,
    /// No request is passed on any more.
    closes: Cell<bool>,
    /// The body is not framed as it says.
    broken: Cell<bool>,
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

    /// The answer that is under way is the last one of its connection.
    pub fn close(&self) {
        self.closes.set(true);
    }

    /// Whether the body broke off because it makes no sense.
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    fn may_begin(&self) -> bool {
        !self.owes.get() && !self.closes.get()
    }

    fn may_end(&self) -> bool {
        (self.working.get() == 0 && !self.owes.get()) || self.waiting.get()
    }

    fn keep(&self, context: &Context<'_>) {
        *self.reader.borrow_mut() = Some(context.waker().clone());
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
        line.owes.set(false);
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
    /// The end is told when it comes.
    is_plain: bool,
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
            is_plain: false,
            deaf: false,
            interim: &[],
        }
    }

    /// One that only makes each request wait for the answer to the one before it.
    pub fn plain(io: T) -> Self {
        Self {
            framing: Framing::plain(),
            is_plain: true,
            ..Self::new(io)
        }
    }

    pub fn line(&self) -> Rc<Line> {
        self.line.clone()
    }

    /// What lies under it.
    pub fn io(&self) -> &T {
        &self.io
    }

    /// Finds out how much of what is held may be passed on.
    fn release(&mut self) {
        if self.free > 0 || self.held.is_empty() {
            return;
        }
        self.free = match self.framing.next() {
            Next::Head if !self.line.may_begin() => 0,
            Next::Head => match self.framing.head(&mut self.held) {
                Some(length) => {
                    self.line.owes.set(true);
                    length
                }
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

    /// Takes the next head: straight to where it is wanted if it comes whole and may be passed on, as nearly every one does.
    fn read_head(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.held.is_empty() || !self.line.may_begin() {
            return self.hold(cx);
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let came = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        self.ended = came.is_empty();
        let mut taken = 0;
        if let Some(length) = self.framing.head(came) {
            self.line.owes.set(true);
            taken = length + self.framing.pass(came.get(length..).unwrap_or_default());
        }
        self.held
            .extend_from_slice(came.get(taken..).unwrap_or_default());
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }

    /// Reads what is not passed on yet.
    fn hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut block = [const { MaybeUninit::uninit() }; HEAD_READ];
        let mut block = ReadBuf::uninit(&mut block);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut block))?;
        self.ended = block.filled().is_empty();
        self.held.extend_from_slice(block.filled());
        Poll::Ready(Ok(()))
    }

    /// Ends what comes here behind a body that makes no sense. What has come of it is thrown away: a socket that is closed over unread
    /// bytes takes the answer back.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        self.line.broken.set(true);
        for _ in 0..MOST_THROWN_AWAY {
            self.held.clear();
            if self.ended || !matches!(self.hold(cx), Poll::Ready(Ok(()))) {
                break;
            }
        }
        self.held.clear();
        self.ended = true;
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
            if this.framing.next() == Next::Broken && !this.line.is_broken() {
                this.give_up(cx);
            }
            let is_held_up = !this.held.is_empty() && !this.line.may_begin();
            let may_end = this.line.may_end() || (this.is_plain && !is_held_up);
            if this.ended && may_end {
                return Poll::Ready(Ok(()));
            }
            if this.ended || is_held_up {
                this.line.keep(cx);
                return Poll::Pending;
            }
            let before = buffer.filled().len();
            let read = match this.framing.next() {
                Next::Head => this.read_head(cx, buffer),
                _ => this.read_body(cx, buffer),
            };
            match ready!(read) {
                Ok(()) if buffer.filled().len() > before => return Poll::Ready(Ok(())),
                Ok(()) => {}
                Err(error) if this.is_plain => return Poll::Ready(Err(error)),
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
        if self.line.working.get() > 0 && !self.is_plain {
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const FIRST: &str = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n";
    const SECOND: &str = "PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
    const THIRD: &str = "\r\nHEAD /3 HTTP/1.1\r\nHost: h\r\n\r\n";

    /// What may be read now; none where nothing may, and an empty text at the end.
    async fn now(wire: &mut Wire<DuplexStream>) -> Option<String> {
        poll_fn(|cx| {
            let mut room = [0; 1024];
            let mut buffer = ReadBuf::new(&mut room);
            Poll::Ready(match Pin::new(&mut *wire).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => {
                    read.unwrap();
                    Some(String::from_utf8_lossy(buffer.filled()).into_owned())
                }
                Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn a_request_waits_for_the_answer_to_the_one_before_it() {
        let all = [FIRST, SECOND, THIRD].concat();
        for piece in [all.len(), 1] {
            let (mut peer, socket) = tokio::io::duplex(64 * 1024);
            let mut wire = Wire::new(socket);
            let line = wire.line();
            for bytes in all.as_bytes().chunks(piece) {
                peer.write_all(bytes).await.unwrap();
            }
            peer.shutdown().await.unwrap();
            for request in [FIRST, SECOND, THIRD] {
                let mut came = String::new();
                while came.len() < request.len() {
                    came += &now(&mut wire).await.unwrap();
                }
                assert_eq!(came, request);
                assert_eq!(now(&mut wire).await, None, "before it is worked on");
                let working = line.work();
                assert_eq!(now(&mut wire).await, None, "while it is worked on");
                drop(working);
            }
            assert_eq!(now(&mut wire).await, Some(String::new()));
        }
    }

    #[tokio::test]
    async fn a_plain_one_tells_the_end_behind_the_last_request() {
        let (mut peer, socket) = tokio::io::duplex(64 * 1024);
        let mut wire = Wire::plain(socket);
        let line = wire.line();
        peer.write_all([FIRST, FIRST].concat().as_bytes())
            .await
            .unwrap();
        peer.shutdown().await.unwrap();
        assert_eq!(now(&mut wire).await.as_deref(), Some(FIRST));
        let working = line.work();
        assert_eq!(now(&mut wire).await, None);
        drop(working);
        assert_eq!(now(&mut wire).await.as_deref(), Some(FIRST));
        let _working = line.work();
        assert_eq!(now(&mut wire).await, Some(String::new()));
    }

    #[tokio::test]
    async fn behind_the_last_answer_nothing_is_read() {
        let (mut peer, socket) = tokio::io::duplex(64 * 1024);
        let mut wire = Wire::new(socket);
        let line = wire.line();
        peer.write_all([FIRST, THIRD].concat().as_bytes())
            .await
            .unwrap();
        assert_eq!(now(&mut wire).await.as_deref(), Some(FIRST));
        let working = line.work();
        line.close();
        drop(working);
        assert_eq!(now(&mut wire).await, None);
    }

    #[tokio::test]
    async fn a_body_that_makes_no_sense_ends_there() {
        let (mut peer, socket) = tokio::io::duplex(64 * 1024);
        let mut wire = Wire::new(socket);
        let head = "PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let sent = [head, "4\r\nbody\r\n", "zz\r\n", FIRST].concat();
        peer.write_all(sent.as_bytes()).await.unwrap();
        let line = wire.line();
        let _working = line.work();
        line.wait_for_body(true);
        let mut came = Vec::new();
        wire.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, [head, "4\r\nbody\r\n"].concat().as_bytes());
        assert!(line.is_broken());
    }
}
