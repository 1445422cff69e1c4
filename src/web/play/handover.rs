//! A connection that the web framework gives up behind an answer's head: what follows is sent without it.
//!
//! The framework holds buffers of its own for as long as a connection is there, several times what a live viewer needs. So the answer to one
//! says that the connection closes behind it and has an empty body; when the framework has sent its head and would close the socket, the
//! socket goes to whoever sends the stream instead.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Who takes a socket over.
type Taker = Box<dyn FnOnce(TcpStream)>;

/// Where a request's handler leaves word with the connection.
#[derive(Default)]
pub struct Desk(Cell<Option<Taker>>);

impl Desk {
    /// The socket goes to `taker` where it would be closed.
    pub fn hand_over(&self, taker: impl FnOnce(TcpStream) + 'static) {
        self.0.set(Some(Box::new(taker)));
    }
}

/// A connection as the web framework sees it.
pub struct Handover {
    socket: Option<TcpStream>,
    desk: Rc<Desk>,
}

impl Handover {
    #[must_use]
    pub fn new(socket: TcpStream) -> Self {
        Self {
            socket: Some(socket),
            desk: Rc::default(),
        }
    }

    #[must_use]
    pub fn desk(&self) -> Rc<Desk> {
        self.desk.clone()
    }

    /// Does something with the socket, while it is here.
    fn with<T>(
        &mut self,
        work: impl FnOnce(Pin<&mut TcpStream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.socket {
            Some(socket) => work(Pin::new(socket)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Handover {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut()
            .with(|socket| socket.poll_read(context, buffer))
    }
}

impl AsyncWrite for Handover {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .with(|socket| socket.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .with(|socket| socket.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().with(|socket| socket.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(taker) = this.desk.0.take() {
            if let Some(socket) = this.socket.take() {
                taker(socket);
            }
            return Poll::Ready(Ok(()));
        }
        this.with(|socket| socket.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_handed_over_where_it_would_be_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for is_taken in [false, true] {
            let mut peer = TcpStream::connect(address).await.unwrap();
            let mut wire = Handover::new(listener.accept().await.unwrap().0);
            let taken = Rc::new(Cell::new(None));
            if is_taken {
                let taken = taken.clone();
                wire.desk().hand_over(move |socket| taken.set(Some(socket)));
            }
            wire.write_all(b"head").await.unwrap();
            wire.shutdown().await.unwrap();
            drop(wire);
            let socket = taken.take();
            assert_eq!(socket.is_some(), is_taken);
            if let Some(mut socket) = socket {
                socket.write_all(b"body").await.unwrap();
            }
            let mut came = String::new();
            peer.read_to_string(&mut came).await.unwrap();
            assert_eq!(came, if is_taken { "headbody" } else { "head" });
        }
    }
}
