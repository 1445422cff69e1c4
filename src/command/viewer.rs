//! A viewer of our own: reads a live stream as FLV, RTMP or HLS and tells what came, so that a first look needs no other program.

mod flv;
mod hls;
mod rtmp;
mod tally;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
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
                let (app, name) = names(text).ok_or_else(wrong)?;
                Ok(Self::Rtmp(RtmpSource {
                    addr: format!("{host}:{port}"),
                    app,
                    name,
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

/// The application of an RTMP address, and its stream with the query. They travel as they are written; a URL would encode what is not ASCII.
fn names(address: &str) -> Option<(String, String)> {
    let (_, rest) = address.trim().split_once("://")?;
    let rest = rest.split('#').next()?;
    let (place, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let (_, path) = place.split_once('/')?;
    let (app, stream) = path.trim_start_matches('/').rsplit_once('/')?;
    let both = !app.is_empty() && !stream.is_empty();
    both.then(|| (app.to_owned(), format!("{stream}{query}")))
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
    path: Option<PathBuf>,
    /// Open from the first byte on: a stream that does not come leaves the file of an earlier one as it was.
    file: Option<Box<dyn Write + Send>>,
    /// Whoever reads standard output watches it now.
    is_live: bool,
}

impl Sink {
    fn open(plan: &WatchPlan) -> Result<Self, WatchError> {
        let is_live = plan.writes_to_stdout();
        if let Some(path) = plan.output.as_deref().filter(|_| !is_live) {
            tried(path).map_err(|source| failed(path, source))?;
        }
        Ok(Self {
            path: plan.output.clone(),
            file: None,
            is_live,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WatchError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let file = match &mut self.file {
            Some(file) => file,
            None if self.is_live => self.file.insert(Box::new(io::stdout())),
            None => {
                let file = File::create(path).map_err(|source| failed(path, source))?;
                self.file.insert(Box::new(BufWriter::new(file)))
            }
        };
        file.write_all(bytes)
            .and_then(|()| if self.is_live { file.flush() } else { Ok(()) })
            .map_err(|source| failed(path, source))
    }

    fn finish(&mut self) -> Result<(), WatchError> {
        match (&self.path, &mut self.file) {
            (Some(path), Some(file)) => file.flush().map_err(|source| failed(path, source)),
            _ => Ok(()),
        }
    }
}

fn failed(path: &Path, source: io::Error) -> WatchError {
    WatchError::Output {
        path: path.display().to_string(),
        source,
    }
}

/// Whether a file can probably be written, found out without a change to it, so that a mistake is told before anything is asked for.
fn tried(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(there) if there.is_file() => OpenOptions::new().write(true).open(path).map(drop),
        // A pipe or a device is opened once: to open a pipe and leave it would end it for its reader.
        Ok(_) => Ok(()),
        Err(_) => {
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = std::fs::metadata(folder.unwrap_or(Path::new(".")))?;
            if folder.is_dir() {
                Ok(())
            } else {
                Err(ErrorKind::NotADirectory.into())
            }
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

    fn plan(output: &Path) -> WatchPlan {
        WatchPlan {
            source: Source::read("rtmp://h/live/s").unwrap(),
            seconds: None,
            output: Some(output.to_owned()),
        }
    }

    #[test]
    fn a_file_is_touched_by_the_first_byte_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
        std::fs::write(&old, "an earlier recording").unwrap();
        for path in [&old, &new] {
            Sink::open(&plan(path)).unwrap().finish().unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&old).unwrap(),
            "an earlier recording"
        );
        assert!(!new.exists());
        for path in [&old, &new] {
            let mut sink = Sink::open(&plan(path)).unwrap();
            sink.put(b"a").unwrap();
            sink.put(b"b").unwrap();
            sink.finish().unwrap();
            assert_eq!(std::fs::read(path).unwrap(), b"ab");
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in [
            folder.path().to_owned(),
            folder.path().join("no/such"),
            file.join("below"),
        ] {
            let told = Sink::open(&plan(&wrong)).map(|_| ()).unwrap_err();
            assert!(
                told.to_string().starts_with(&wrong.display().to_string()),
                "{told}"
            );
        }
        assert!(Sink::open(&plan(Path::new("/dev/null"))).is_ok());
        assert!(Sink::open(&plan(Path::new("-"))).is_ok());
    }

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
            "rtmp://h?/live/s",
            "rtmp://h#/live/s",
            "http://h/a/s",
            "ftp://h/a/s.flv",
        ] {
            assert!(Source::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_an_rtmp_address_stay_as_they_are_written() {
        for (address, app, name) in [
            ("rtmp://h/直播/流?vhost=d&x=é", "直播", "流?vhost=d&x=é"),
            ("rtmp://u@h:1//a/b/s%2F1?", "a/b", "s%2F1?"),
            ("RTMP://h/a%20b/s?to=/x/y#z", "a%20b", "s?to=/x/y"),
            (" rtmp://h/live/s ", "live", "s"),
        ] {
            let Ok(Source::Rtmp(source)) = Source::read(address) else {
                panic!("{address}")
            };
            assert_eq!((source.app.as_str(), source.name.as_str()), (app, name));
        }
    }
}
