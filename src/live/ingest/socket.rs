//! A peer's socket: watched by the runtime until the peer publishes, and only looked at from then on.
//!
//! The runtime is woken by every packet of a watched socket, whether anybody waits for it or not. A recorder looks at its publishers in
//! ticks, so while they publish that is all waste, and most of what a small stream costs.

use std::cell::Cell;
use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
use tokio::net::TcpStream;

use crate::clock;

/// Bytes of room that one reading has at least.
pub const BLOCK: usize = 64 * 1024;

thread_local! {
    static LANDING: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where bytes land, one for each thread: a buffer of each connection's own, ready for as much, would be nearly empty as a rule.
pub struct Landing(Vec<u8>);

impl Landing {
    /// The thread's, with what a connection had left over.
    #[must_use]
    pub fn with(left: &[u8]) -> Self {
        let mut bytes = LANDING.take();
        bytes.clear();
        bytes.extend_from_slice(left);
        Self(bytes)
    }
}

impl Deref for Landing {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Landing {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        LANDING.set(std::mem::take(&mut self.0));
    }
}

/// Between two tries to write to a peer that takes nothing.
const WRITE_AGAIN: Duration = Duration::from_millis(5);

pub enum Socket {
    Watched(TcpStream),
    LookedAt(std::net::TcpStream),
    /// Lost in a change between the two.
    Lost,
}

impl Socket {
    /// Stops watching: [`Socket::readable`] is true at once then, and the caller paces itself.
    ///
    /// # Errors
    /// When the runtime gives the socket up only with an error. The connection is lost then.
    pub fn stop_watching(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Watched(stream) => Self::LookedAt(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// Watches again.
    ///
    /// # Errors
    /// When the runtime cannot take the socket, mostly for want of descriptors. The connection is lost then.
    pub fn watch(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::LookedAt(stream) => Self::Watched(TcpStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }

    #[must_use]
    pub fn is_watched(&self) -> bool {
        matches!(self, Self::Watched(_))
    }

    /// Waits until something can be read; other tasks get their turn.
    ///
    /// # Errors
    /// When the socket broke: the connection is over.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Watched(stream) => stream.readable().await,
            _ => {
                tokio::task::yield_now().await;
                Ok(())
            }
        }
    }

    /// Reads what there is and room for, [`BLOCK`] bytes at least, behind what the buffer holds, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has come, which is no end: the caller waits. Everything else is the end of the connection.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        buffer.reserve(BLOCK);
        match self {
            Self::Watched(stream) => stream.try_read_buf(buffer),
            Self::LookedAt(stream) => {
                Ok(recv(stream, spare_capacity(buffer), RecvFlags::empty())?.0)
            }
            Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Writes everything, unless the peer takes nothing for `patience`.
    ///
    /// # Errors
    /// `TimedOut` for a peer that takes nothing, and what broke the socket. How much was written is not known, so the connection is over.
    pub async fn write_all(&mut self, mut bytes: &[u8], patience: Duration) -> io::Result<()> {
        let mut last = clock::monotonic();
        while !bytes.is_empty() {
            let written = match self {
                Self::Watched(stream) => stream.try_write(bytes),
                Self::LookedAt(stream) => stream.write(bytes),
                Self::Lost => Err(io::ErrorKind::NotConnected.into()),
            };
            match written {
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    last = clock::monotonic();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if last.elapsed() >= patience => return Err(io::ErrorKind::TimedOut.into()),
                Err(_) => clock::machine_sleep(WRITE_AGAIN).await,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_read_and_written_watched_or_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut socket = Socket::Watched(listener.accept().await.unwrap().0);
        let mut buffer = Vec::new();
        for round in 0..4 {
            peer.write_all(b"media").await.unwrap();
            let mut read = 0;
            while read < 5 {
                socket.readable().await.unwrap();
                read += socket.read(&mut buffer).unwrap_or(0);
            }
            socket.write_all(b"ack", Duration::ZERO).await.unwrap();
            let mut ack = [0; 3];
            peer.read_exact(&mut ack).await.unwrap();
            assert_eq!((&buffer[..], &ack), (&b"media"[..], b"ack"));
            buffer.clear();
            if round % 2 == 0 {
                socket.stop_watching().unwrap();
            } else {
                socket.watch().unwrap();
            }
            assert_eq!(socket.is_watched(), round % 2 == 1);
        }
        drop(peer);
        socket.stop_watching().unwrap();
        while socket.read(&mut buffer).is_err() {
            socket.readable().await.unwrap();
        }
        assert!(buffer.is_empty());
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut socket = Socket::Watched(listener.accept().await.unwrap().0);
        socket.stop_watching().unwrap();
        let much = vec![0; 64 << 20];
        let given_up = socket.write_all(&much, Duration::ZERO).await;
        assert_eq!(given_up.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
