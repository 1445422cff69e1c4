//! A player on the RTMP port: what it asks is answered by `play`, and its tape goes to its socket a tick at a time.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::Connection;
use super::socket::Socket;
use crate::clock;
use crate::live::fanout::log::Taken;
use crate::live::fanout::tape::{Form, TapeReader};
use crate::live::play::{Asked, MOST_SKIPS, Player, Refusal, SEND_BUFFER, Viewer};
use crate::media::rtmp::server::Event;
use crate::model::stream_key::{PushArgs, split_name};

/// Machine time in which a player must take some of what it was sent.
const STALLED: Duration = Duration::from_secs(20);
/// Bytes that are taken off the tape at a time.
const TURN: usize = 256 << 10;
/// Bytes that a player may say at a time.
const READ: usize = 4 << 10;
/// Bytes of a command that has not come whole.
const MOST_LEFT: usize = 128 << 10;

/// A player that was let in.
pub(super) struct Watching {
    viewer: Viewer,
    reader: TapeReader,
}

impl Connection {
    /// Answers a play.
    pub(super) async fn play(&mut self, app: &str, tc_url: &str, name: &str, stream_id: u32) {
        match self.admit(app, tc_url, name, stream_id).await {
            Ok(watching) => {
                self.session.accept_play(stream_id);
                self.watching = Some(watching);
            }
            Err(refusal) => {
                let code = match refusal {
                    Refusal::NotLive(_) => "NetStream.Play.StreamNotFound",
                    _ => "NetStream.Play.Failed",
                };
                tracing::debug!(peer = %self.peer, %refusal, "play refused");
                self.session.refuse_publish(code, &refusal.to_string());
            }
        }
    }

    async fn admit(
        &mut self,
        app: &str,
        tc_url: &str,
        name: &str,
        stream_id: u32,
    ) -> Result<Watching, Refusal> {
        let (app, app_query) = split_name(app.trim_matches('/'));
        let (stream, query) = split_name(name);
        let tc_query = tc_url.split_once('?').map_or("", |(_, query)| query);
        let args = [query, app_query, tc_query].map(PushArgs::parse);
        let uri = format!("/{app}/{stream}");
        let asked = Asked {
            app,
            stream,
            uri: &uri,
            host: tc_url,
            args: &args,
            address: self.peer.ip().to_canonical(),
            referer: None,
            secure: false,
            can_redirect: false,
        };
        let granted = self.door.grant(&asked).await?;
        let publisher = self.door.find(&granted.key)?;
        let viewer = self
            .door
            .enter(&granted, &publisher, Player::Rtmp, &asked)?;
        let reader = publisher.fanout.tape(Form::Rtmp { stream_id }).read();
        Ok(Watching { viewer, reader })
    }

    /// Sends the stream until it is over or the player goes.
    ///
    /// # Errors
    /// Why the connection ended early, for the log: the player broke off, took nothing for too long, or fell behind too often.
    pub(super) async fn watch(&mut self, watching: Watching) -> Result<(), String> {
        let Socket::Watched(socket) = std::mem::replace(&mut self.socket, Socket::Lost) else {
            return Err("the socket is lost".to_owned());
        };
        if let Err(error) = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER) {
            tracing::debug!(%error, "a player's socket keeps its buffer");
        }
        let Watching { viewer, mut reader } = watching;
        let mut input = BytesMut::from(&std::mem::take(&mut self.left)[..]);
        let (mut pieces, mut queue) = (Vec::new(), VecDeque::new());
        loop {
            let took = std::future::poll_fn(|context| {
                reader.poll_next(context, &mut pieces, &mut queue, TURN)
            });
            tokio::select! {
                biased;
                ready = socket.readable() => {
                    ready.map_err(|e| e.to_string())?;
                    if !self.hear(&socket, &mut input)? {
                        return Ok(());
                    }
                    queue.push_back(self.session.take_output());
                }
                taken = took => {
                    viewer.skipped(reader.skips());
                    if reader.skips_in_a_row() > MOST_SKIPS {
                        return Err("the player is too slow".to_owned());
                    }
                    if taken == Taken::Ended {
                        self.session.close_play("the stream is over");
                        queue.push_back(self.session.take_output());
                        return self.send(&socket, &mut queue, &mut input, &viewer).await.map(|_| ());
                    }
                }
            }
            if !self.send(&socket, &mut queue, &mut input, &viewer).await? {
                return Ok(());
            }
        }
    }

    /// Sends what is queued; false when the player has gone meanwhile.
    async fn send(
        &mut self,
        socket: &TcpStream,
        queue: &mut VecDeque<Bytes>,
        input: &mut BytesMut,
        viewer: &Viewer,
    ) -> Result<bool, String> {
        let mut last = clock::monotonic();
        while let Some(front) = queue.front_mut() {
            if front.is_empty() {
                queue.pop_front();
                continue;
            }
            match socket.try_write(front) {
                Ok(count) => {
                    front.advance(count);
                    viewer.sent(count as u64);
                    last = clock::monotonic();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(error.to_string());
                }
                Err(_) => {
                    let left = STALLED.saturating_sub(last.elapsed());
                    tokio::select! {
                        biased;
                        ready = socket.writable() => ready.map_err(|e| e.to_string())?,
                        ready = socket.readable() => {
                            ready.map_err(|e| e.to_string())?;
                            if !self.hear(socket, input)? {
                                return Ok(false);
                            }
                            queue.push_back(self.session.take_output());
                        }
                        () = clock::machine_sleep(left) => {
                            return Err("the player reads nothing".to_owned());
                        }
                    }
                }
            }
        }
        Ok(true)
    }

    /// Works off what the player says; false when it has gone.
    fn hear(&mut self, socket: &TcpStream, input: &mut BytesMut) -> Result<bool, String> {
        // A player says little: what it says lands on the stack, and only what is no whole chunk yet is kept.
        let mut block = [0; READ];
        let came = match socket.try_read(&mut block) {
            Ok(0) => return Ok(false),
            Ok(count) => block.get(..count).unwrap_or_default(),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(true);
            }
            Err(error) => return Err(error.to_string()),
        };
        input.extend_from_slice(came);
        self.session.feed(input).map_err(|e| e.to_string())?;
        if input.len() > MOST_LEFT {
            return Err("the player says too much".to_owned());
        }
        if input.is_empty() {
            *input = BytesMut::new();
        }
        while let Some(event) = self.session.poll() {
            if event == Event::StopPlay {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
