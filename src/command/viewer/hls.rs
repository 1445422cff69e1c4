//! HLS: a playlist that is loaded again and again, and its slices, each once.

use std::collections::HashSet;
use std::time::Duration;

use url::Url;

use super::{Sink, Tally, WatchError, chunk, get};
use crate::clock;
use crate::media::hls::{self, Playlist};
use crate::media::mpegts::units::{Demuxed, TsUnits};

/// Bytes of the largest playlist that is read.
const MOST_PLAYLIST: usize = 1 << 20;
/// Without a new slice, a playlist is loaded again after half its target duration (RFC 8216 section 6.3.4), and not sooner.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A playlist that names others leads on so often.
const MOST_STEPS: usize = 3;

pub(super) async fn read(
    url: &Url,
    client: &reqwest::Client,
    tally: &mut Tally,
    sink: &mut Sink,
) -> Result<(), WatchError> {
    let mut url = url.clone();
    let mut steps = 0;
    let mut seen: HashSet<u64> = HashSet::new();
    let mut last: Option<u64> = None;
    loop {
        let playlist = load(&url, client).await?;
        if let Some(variant) = playlist.variant {
            steps += 1;
            if steps > MOST_STEPS {
                return Err(WatchError::Playlist(
                    "it names only other playlists".to_owned(),
                ));
            }
            url = join(&url, &variant)?;
            continue;
        }
        let mut has_news = false;
        for (index, uri) in playlist.segments.iter().enumerate() {
            let number = playlist.media_sequence + index as u64;
            if last.is_some_and(|last| number <= last) || !seen.insert(number) {
                continue;
            }
            if let Some(last) = last {
                tally.missing_slices += number.saturating_sub(last + 1);
            }
            last = Some(number);
            has_news = true;
            slice(&join(&url, uri)?, client, tally, sink).await?;
        }
        seen.clear();
        if playlist.has_ended {
            return Ok(());
        }
        if !has_news {
            let wait = Duration::from_secs(playlist.target_s) / 4;
            clock::machine_sleep(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)).await;
        }
    }
}

fn join(base: &Url, uri: &str) -> Result<Url, WatchError> {
    base.join(uri)
        .map_err(|_| WatchError::Playlist(format!("{uri:?} is no address")))
}

async fn load(url: &Url, client: &reqwest::Client) -> Result<Playlist, WatchError> {
    let mut response = get(url, client).await?;
    let mut text = Vec::new();
    while let Some(bytes) = chunk(&mut response).await? {
        if text.len() + bytes.len() > MOST_PLAYLIST {
            return Err(WatchError::Playlist("it is too long".to_owned()));
        }
        text.extend_from_slice(&bytes);
    }
    hls::read(&String::from_utf8_lossy(&text)).map_err(|why| WatchError::Playlist(why.to_owned()))
}

async fn slice(
    url: &Url,
    client: &reqwest::Client,
    tally: &mut Tally,
    sink: &mut Sink,
) -> Result<(), WatchError> {
    let mut response = get(url, client).await?;
    let mut reader = TsUnits::new();
    while let Some(bytes) = chunk(&mut response).await? {
        tally.bytes(bytes.len());
        sink.put(&bytes)?;
        reader.feed(&bytes, &mut |it| count(tally, it))?;
    }
    reader.end(&mut |it| count(tally, it));
    tally.slices += 1;
    tally.missing_packets += reader.gaps();
    Ok(())
}

fn count(tally: &mut Tally, demuxed: Demuxed) {
    if let Demuxed::Unit(unit) = demuxed {
        tally.unit(&unit);
    }
}
