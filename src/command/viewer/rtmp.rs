//! A play over RTMP.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{RtmpSource, SILENCE, Sink, Tally, WatchError};
use crate::clock;
use crate::media::flv::stream;
use crate::media::rtmp::client::{ClientSession, Event};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 64 << 10;

pub(super) async fn read(
    source: &RtmpSource,
    tally: &mut Tally,
    sink: &mut Sink,
) -> Result<(), WatchError> {
    let failed = |error: io::Error| WatchError::Connect {
        place: source.addr.clone(),
        problem: error.to_string(),
    };
    let connecting = TcpStream::connect(&source.addr);
    let mut socket = clock::machine_timeout(CONNECT_PATIENCE, connecting)
        .await
        .unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let broken = |error: io::Error| WatchError::Broken(error.to_string());
    socket.set_nodelay(true).map_err(broken)?;
    let tc_url = format!("rtmp://{}/{}", source.addr, source.app);
    let mut session = ClientSession::player(&source.app, &tc_url, &source.name);
    let mut input = BytesMut::new();
    let mut has_begun = false;
    let mut has_come = false;
    loop {
        let output = session.take_output();
        socket.write_all(&output).await.map_err(broken)?;
        input.reserve(READ_BYTES);
        let read = clock::machine_timeout(SILENCE, socket.read_buf(&mut input)).await;
        let count = read.ok_or(WatchError::Silent)?.map_err(broken)?;
        if count == 0 {
            tally.end();
            return if has_begun {
                Ok(())
            } else {
                Err(WatchError::Broken(
                    "the server closed it without a word".to_owned(),
                ))
            };
        }
        session.feed(&mut input)?;
        while let Some(event) = session.poll() {
            match event {
                Event::Ready => has_begun = true,
                Event::Media(message) => {
                    // A server may let a play begin before there is a stream.
                    if !has_come {
                        has_come = true;
                        sink.put(&stream::file_header(true, true))?;
                    }
                    tally.bytes(message.payload.len());
                    let mut tag = BytesMut::new();
                    stream::put_tag(message.kind, message.timestamp, &message.payload, &mut tag);
                    sink.put(&tag)?;
                    tally.message(message.kind, message.timestamp, message.payload);
                }
                Event::Refused { code, description } => {
                    return Err(WatchError::Denied { code, description });
                }
                Event::Closed { .. } => {
                    tally.end();
                    return Ok(());
                }
            }
        }
    }
}
