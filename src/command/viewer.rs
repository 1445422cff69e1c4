//! A viewer of our own: reads a live stream as FLV, RTMP or HLS and tells what came, so that a first look needs no other program.

mod flv;
mod hls;
mod rtmp;
mod tally;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock;
use crate::media::flv::file::FlvFileError;
use crate::media::mpegts::units::TsError;
use crate::media::rtmp::RtmpError;
pub use tally::{Tally, TrackTally};

/// Without a byte for this long, a stream is given up.
const SILENCE: Duration = Duration::from_secs(20);
const DEFAULT_RTMP_PORT: u16 = 1935;

/// Where a stream is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Flv(Url),
    Hls(Url),
    Rtmp(RtmpSource),
}

/// A stream of an RTMP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtmpSource {
    /// `host:port`.
    pub addr: String,
    pub app: String,
    /// With its query.
    pub name: String,
}

/// What to watch.
#[derive(Debug, Clone)]
pub struct WatchPlan {
    pub source: Source,
    /// Machine seconds; without it until the stream ends or the watch is cancelled.
    pub seconds: Option<f64>,
    /// FLV for FLV and RTMP, MPEG-TS for HLS; `-` is standard output.
    pub output: Option<PathBuf>,
}

impl WatchPlan {
    /// Whether standard output carries the stream, and nothing else then.
    #[must_use]
    pub fn writes_to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }
}

/// Why a watch came to nothing.
#[derive(Debug, Error)]
pub enum WatchError {
    #[error(
        "{0:?} is no address of a stream: write rtmp://…/APP/STREAM or http://…/APP/STREAM.flv or .m3u8"
    )]
    Address(String),
    #[error("no connection to {place}: {problem}")]
    Connect { place: String, problem: String },
    #[error("the server answered {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("the server refused the play: {description} ({code})")]
    Denied { code: String, description: String },
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("nothing came for {} s", SILENCE.as_secs())]
    Silent,
    #[error("what came is no FLV: {0}")]
    Flv(#[from] FlvFileError),
    #[error("what came is no MPEG-TS: {0}")]
    Ts(#[from] TsError),
    #[error("what came is no playlist: {0}")]
    Playlist(String),
    #[error("what came is no RTMP: {0}")]
    Rtmp(#[from] RtmpError),
    #[error("{path}: {source}")]
    Output {
        path: String,
        source: std::io::Error,
    },
}

impl Source {
    /// Reads the address of a stream; what an HTTP address holds is told by its ending.
    ///
    /// # Errors
    /// When it is none that can be watched.
    pub fn read(text: &str) -> Result<Self, WatchError> {
        let wrong = || WatchError::Address(text.to_owned());
        let url = Url::parse(text).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        match url.scheme() {
            "rtmp" => {
                let port = url.port().unwrap_or(DEFAULT_RTMP_PORT);
                let path = url.path().trim_start_matches('/');
                let (app, stream) = path.rsplit_once('/').ok_or_else(wrong)?;
                if app.is_empty() || stream.is_empty() {
                    return Err(wrong());
                }
                let query = url.query().map(|query| format!("?{query}"));
                Ok(Self::Rtmp(RtmpSource {
                    addr: format!("{host}:{port}"),
                    app: app.to_owned(),
                    name: format!("{stream}{}", query.unwrap_or_default()),
                }))
            }
            "http" | "https" if url.path().ends_with(".m3u8") => Ok(Self::Hls(url)),
            "http" | "https" if url.path().ends_with(".flv") => Ok(Self::Flv(url)),
            _ => Err(wrong()),
        }
    }

    #[must_use]
    pub fn form(&self) -> &'static str {
        match self {
            Self::Flv(_) => "flv",
            Self::Hls(_) => "hls",
            Self::Rtmp(_) => "rtmp",
        }
    }
}

/// How a watch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The stream is over.
    Over,
    /// The time that was asked for is over, or the watch was cancelled.
    Stopped,
}

/// Watches until the stream ends, the time is over, or the watch is cancelled. What came until then is in the tally, also after an error.
pub async fn watch(
    plan: &WatchPlan,
    client: &reqwest::Client,
    cancel: &CancellationToken,
    tally: &mut Tally,
) -> Result<End, WatchError> {
    let mut sink = Sink::open(plan)?;
    let time = plan
        .seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let stop = async {
        match time {
            Some(time) => clock::machine_sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let reading = async {
        match &plan.source {
            Source::Flv(url) => flv::read(url, client, tally, &mut sink).await,
            Source::Hls(url) => hls::read(url, client, tally, &mut sink).await,
            Source::Rtmp(source) => rtmp::read(source, tally, &mut sink).await,
        }
    };
    let end = tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(End::Stopped),
        () = stop => Ok(End::Stopped),
        done = reading => done.map(|()| End::Over),
    };
    sink.finish()?;
    end
}

/// Where the file goes, if one is wanted.
struct Sink {
    file: Option<(String, Box<dyn Write + Send>)>,
    /// Whoever reads standard output watches it now.
    is_live: bool,
}

impl Sink {
    fn open(plan: &WatchPlan) -> Result<Self, WatchError> {
        let open = |path: &PathBuf| -> Result<(String, Box<dyn Write + Send>), WatchError> {
            let shown = path.display().to_string();
            if plan.writes_to_stdout() {
                return Ok((shown, Box::new(std::io::stdout())));
            }
            match File::create(path) {
                Ok(file) => Ok((shown, Box::new(BufWriter::new(file)))),
                Err(source) => Err(WatchError::Output {
                    path: shown,
                    source,
                }),
            }
        };
        Ok(Self {
            file: plan.output.as_ref().map(open).transpose()?,
            is_live: plan.writes_to_stdout(),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WatchError> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)
            .and_then(|()| if self.is_live { file.flush() } else { Ok(()) })
            .map_err(|source| WatchError::Output {
                path: path.clone(),
                source,
            })
    }

    fn finish(&mut self) -> Result<(), WatchError> {
        match &mut self.file {
            Some((path, file)) => file.flush().map_err(|source| WatchError::Output {
                path: path.clone(),
                source,
            }),
            None => Ok(()),
        }
    }
}

/// An answer that is no 200, in the server's own words.
async fn refusal(response: reqwest::Response) -> WatchError {
    /// Characters that are shown.
    const MOST: usize = 300;
    let status = response.status().as_u16();
    let text = clock::machine_timeout(SILENCE, response.text()).await;
    let text = text.and_then(Result::ok).unwrap_or_default();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    WatchError::Refused {
        status,
        text: line.chars().take(MOST).collect(),
    }
}

/// The innermost reason of a failed request.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

/// Asks for an address.
async fn get(url: &Url, client: &reqwest::Client) -> Result<reqwest::Response, WatchError> {
    let asked = clock::machine_timeout(SILENCE, client.get(url.clone()).send()).await;
    let response = asked
        .ok_or(WatchError::Silent)?
        .map_err(|error| WatchError::Connect {
            place: url.origin().ascii_serialization(),
            problem: cause(&error),
        })?;
    if response.status() == reqwest::StatusCode::OK {
        Ok(response)
    } else {
        Err(refusal(response).await)
    }
}

/// The next bytes of an answer; none at its end.
async fn chunk(response: &mut reqwest::Response) -> Result<Option<bytes::Bytes>, WatchError> {
    clock::machine_timeout(SILENCE, response.chunk())
        .await
        .ok_or(WatchError::Silent)?
        .map_err(|error| WatchError::Broken(cause(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_how_a_stream_is_watched() {
        assert_eq!(
            Source::read("rtmp://h/live/s?vhost=d").unwrap(),
            Source::Rtmp(RtmpSource {
                addr: "h:1935".into(),
                app: "live".into(),
                name: "s?vhost=d".into()
            })
        );
        assert_eq!(
            Source::read("http://h:1/a/s.flv?x=1").unwrap().form(),
            "flv"
        );
        assert_eq!(Source::read("https://h/a/s.m3u8").unwrap().form(), "hls");
        for wrong in [
            "",
            "s",
            "rtmp://h/s",
            "rtmp://h/live/",
            "http://h/a/s",
            "ftp://h/a/s.flv",
        ] {
            assert!(Source::read(wrong).is_err(), "{wrong}");
        }
    }
}
