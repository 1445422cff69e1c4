//! The socket under a push: moves bytes both ways at once, so that neither side can block the other.
//!
//! A close is orderly: our half is shut, then the server's answers are read until it closes too. Closing earlier with
//! its answers unread would make the kernel reset the connection and throw away the end of a fast push.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::looped::StreamTag;
use super::{PublishError, PublishPlan};
use crate::clock::{self, machine_sleep, machine_timeout};
use crate::media::rtmp::client::{ClientSession, Event, State};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// For the answer to the publish: the server may have to ask somebody first.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);
/// Without a byte in either direction.
const STALL_PATIENCE: Duration = Duration::from_secs(60);
/// For the reason that a server sends before it closes.
const LAST_WORDS_PATIENCE: Duration = Duration::from_secs(1);
/// Media that is put together before it is written.
const BATCH_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// A publish over a socket.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    session: ClientSession,
    input: BytesMut,
    output: BytesMut,
    sent: u64,
}

/// What one step did.
enum Step {
    Read(usize),
    Wrote(usize),
}

impl Connection {
    /// Connects, shakes hands and asks; comes back when the server has accepted the publish.
    pub(super) async fn open(plan: &PublishPlan) -> Result<Self, PublishError> {
        let addr = plan
            .rtmp_addr
            .strip_prefix("rtmp://")
            .unwrap_or(&plan.rtmp_addr);
        let addr = addr.trim_end_matches('/');
        let failed = |source| PublishError::Connect {
            addr: addr.to_owned(),
            source,
        };
        let socket = machine_timeout(CONNECT_PATIENCE, TcpStream::connect(addr))
            .await
            .unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        // Paced media is many small writes; each is due when it is written.
        socket.set_nodelay(true).map_err(failed)?;
        let tc_url = format!("rtmp://{addr}/{}", plan.app);
        let mut connection = Self {
            socket,
            session: ClientSession::new(&plan.app, &tc_url, &stream_name(plan)),
            input: BytesMut::new(),
            output: BytesMut::new(),
            sent: 0,
        };
        connection.take_answers();
        let accepted = async {
            while connection.session.state() != State::Ready {
                connection.step().await?;
            }
            connection.flush().await
        };
        match machine_timeout(ANSWER_PATIENCE, accepted).await {
            Some(done) => done.map(|()| connection),
            None => Err(PublishError::Stalled(ANSWER_PATIENCE.as_secs())),
        }
    }

    /// Comes back when media that is due `after` the start may be added. Full batches are written on the way.
    pub(super) async fn ready_at(
        &mut self,
        start: Instant,
        after: Duration,
    ) -> Result<(), PublishError> {
        let left = |start: Instant| after.saturating_sub(start.elapsed());
        if left(start).is_zero() {
            if self.output.len() >= BATCH_BYTES {
                self.flush().await?;
            }
            return Ok(());
        }
        self.flush().await?;
        let pause = machine_sleep(left(start));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Ok(()),
                step = self.step() => step?,
            }
        }
    }

    /// Puts a tag into the next batch.
    pub(super) fn send(&mut self, tag: &StreamTag) {
        // RTMP timestamps are modulo 2^32 (clause 5.3.1).
        let timestamp = u32::try_from(tag.at_ms & u64::from(u32::MAX)).unwrap_or_default();
        self.session
            .send(tag.kind, timestamp, &tag.payload, &mut self.output);
    }

    /// Ends the publish and waits until the server has read everything; gives the bytes sent.
    pub(super) async fn finish(mut self) -> Result<u64, PublishError> {
        self.session.finish();
        self.take_answers();
        self.flush().await?;
        self.socket.shutdown().await?;
        loop {
            self.input.clear();
            self.input.reserve(READ_BYTES);
            let read = self.socket.read_buf(&mut self.input);
            match machine_timeout(STALL_PATIENCE, read).await {
                Some(Ok(0)) => return Ok(self.sent),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(PublishError::Stalled(STALL_PATIENCE.as_secs())),
            }
        }
    }

    /// Writes everything that waits.
    pub(super) async fn flush(&mut self) -> Result<(), PublishError> {
        while !self.output.is_empty() {
            match machine_timeout(STALL_PATIENCE, self.step()).await {
                Some(step) => step?,
                None => return Err(PublishError::Stalled(STALL_PATIENCE.as_secs())),
            }
        }
        Ok(())
    }

    /// Reads or writes once, whichever is possible first. Dropped half-way it has done nothing.
    async fn step(&mut self) -> Result<(), PublishError> {
        self.input.reserve(READ_BYTES);
        let (mut reader, mut writer) = self.socket.split();
        let waiting = !self.output.is_empty();
        let step = tokio::select! {
            biased;
            read = reader.read_buf(&mut self.input) => read.map(Step::Read),
            wrote = writer.write_buf(&mut self.output), if waiting => wrote.map(Step::Wrote),
        };
        match step {
            Ok(Step::Read(0)) => Err(PublishError::Disconnected),
            Ok(Step::Read(_)) => self.digest(),
            Ok(Step::Wrote(bytes)) => {
                self.sent += bytes as u64;
                Ok(())
            }
            Err(error) => Err(self.last_words(error).await),
        }
    }

    fn digest(&mut self) -> Result<(), PublishError> {
        let fed = self.session.feed(&mut self.input);
        self.take_answers();
        match self.session.poll() {
            Some(Event::Refused { code, description }) => {
                Err(PublishError::Refused { code, description })
            }
            Some(Event::Closed { code, description }) => {
                Err(PublishError::Ended { code, description })
            }
            Some(Event::Ready | Event::Media(_)) | None => Ok(fed?),
        }
    }

    fn take_answers(&mut self) {
        let answers = self.session.take_output();
        self.output.extend_from_slice(&answers);
    }

    /// A write that fails has, as a rule, a reason that lies unread in the socket.
    async fn last_words(&mut self, error: std::io::Error) -> PublishError {
        let started = clock::monotonic();
        loop {
            self.input.reserve(READ_BYTES);
            let left = LAST_WORDS_PATIENCE.saturating_sub(started.elapsed());
            match machine_timeout(left, self.socket.read_buf(&mut self.input)).await {
                Some(Ok(read)) if read > 0 => {
                    if let Err(reason) = self.digest() {
                        return reason;
                    }
                }
                _ => return error.into(),
            }
        }
    }
}

/// The stream with its domain and further arguments, as encoders write them behind the name.
fn stream_name(plan: &PublishPlan) -> String {
    let mut name = format!("{}?vhost={}", plan.stream, plan.domain);
    if let Some(query) = plan.query.as_deref().filter(|query| !query.is_empty()) {
        name.push('&');
        name.push_str(query);
    }
    name
}
