//! A player on the RTMP port: what it asks is answered by `play`; then its connection is left to [`Sending`], and all that only a publisher
//! needs is given back.

use bytes::{Bytes, BytesMut};

use super::Connection;
use super::socket::Socket;
use crate::live::fanout::tape::{Coding, Form, TapeReader};
use crate::live::play::sending::{Ears, Sending};
use crate::live::play::{Asked, Player, Refusal, SEND_BUFFER, Viewer};
use crate::media::rtmp::server::{Event, ServerSession};
use crate::model::stream_key::{PushArgs, split_name};

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
            player: Player::Rtmp,
        };
        let granted = self.door.grant(&asked).await?;
        let fanout = self.door.find(&granted.key).await?;
        let viewer = self.door.enter(&granted, &fanout, &asked)?;
        let tape = fanout.tape(Form::Rtmp { stream_id }, Coding::Plain);
        let reader = tape.read();
        Ok(Watching { viewer, reader })
    }

    /// Leaves the connection to the player. What was answered has been written.
    ///
    /// # Errors
    /// Where the socket is lost.
    pub(super) fn watch(self, watching: Watching) -> Result<Sending<Speaker>, String> {
        let Socket::Watched(socket) = self.socket else {
            return Err("the socket is lost".to_owned());
        };
        if let Err(error) = socket2::SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER) {
            tracing::debug!(%error, "a player's socket keeps its buffer");
        }
        let Watching { viewer, reader } = watching;
        let mut session = self.session;
        session.shrink();
        let ears = Speaker {
            session: Box::new(session),
            left: BytesMut::from(&self.left[..]),
        };
        Ok(Sending::new(socket, viewer, reader, ears))
    }
}

/// What an RTMP player says while it watches.
pub(super) struct Speaker {
    session: Box<ServerSession>,
    /// What is no whole chunk yet.
    left: BytesMut,
}

impl Ears for Speaker {
    fn hear(&mut self, said: &[u8]) -> Result<Bytes, String> {
        self.left.extend_from_slice(said);
        self.session
            .feed(&mut self.left)
            .map_err(|error| error.to_string())?;
        if self.left.len() > MOST_LEFT {
            return Err("the player says too much".to_owned());
        }
        if self.left.is_empty() {
            self.left = BytesMut::new();
        }
        while let Some(event) = self.session.poll() {
            if event == Event::StopPlay {
                return Err("the player has stopped".to_owned());
            }
        }
        let answer = self.session.take_output();
        self.session.shrink();
        Ok(answer)
    }

    fn farewell(&mut self) -> Bytes {
        self.session.close_play("the stream is over");
        self.session.take_output()
    }
}
