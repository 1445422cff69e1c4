//! Frame and bit rates of pushed streams, minute by minute.

use serde::Serialize;

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::figures::{Asked, Inflow, TrackFigures};
use crate::wire_time::to_api;

/// What a stream brought in one minute. Bit rates are bits a second of the stream's own time.
#[derive(Debug, Clone, PartialEq)]
pub struct Minute {
    pub minute: i64,
    pub url: String,
    pub video: TrackFigures,
    pub audio: TrackFigures,
}

impl Minute {
    fn of(row: Inflow) -> Self {
        let Inflow {
            minute,
            key,
            ingest_domain,
            video,
            audio,
            ..
        } = row;
        Self {
            minute,
            url: format!("rtmp://{ingest_domain}/{}/{}", key.app, key.stream),
            video,
            audio,
        }
    }

    /// Both tracks.
    pub fn bit_rate(&self) -> f64 {
        self.video.bit_rate() + self.audio.bit_rate()
    }
}

/// The rates of one stream, as answers write them: frames a second and bits a second.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Rates {
    pub stream_url: String,
    pub video_frame_rate: f64,
    pub audio_frame_rate: f64,
    pub bit_rate: f64,
}

impl From<Minute> for Rates {
    fn from(minute: Minute) -> Self {
        Self {
            video_frame_rate: rounded(minute.video.frame_rate()),
            audio_frame_rate: rounded(minute.audio.frame_rate()),
            bit_rate: rounded(minute.bit_rate()),
            stream_url: minute.url,
        }
    }
}

/// The rates of one stream in one minute.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct TimedRates {
    pub time: String,
    #[serde(flatten)]
    pub rates: Rates,
}

impl From<Minute> for TimedRates {
    fn from(minute: Minute) -> Self {
        Self {
            time: to_api(minute.minute),
            rates: minute.into(),
        }
    }
}

/// A list of rates, in the wrapping that most answers have.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Infos<R> {
    pub frame_rate_and_bit_rate_info: Vec<R>,
}

impl<R: From<Minute>> From<Vec<Minute>> for Infos<R> {
    fn from(minutes: Vec<Minute>) -> Self {
        Self {
            frame_rate_and_bit_rate_info: minutes.into_iter().map(R::from).collect(),
        }
    }
}

/// A rate as the answers hold it: it is no more exact than timestamps in milliseconds.
#[must_use]
pub fn rounded(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

/// The minutes of all streams that are asked for, oldest first. Those in which nothing came are not there.
pub async fn minutes(ctx: &Context, asked: &Asked) -> Result<Vec<Minute>, ApiError> {
    let mut found: Vec<Minute> = Vec::new();
    for row in ctx.services.meter.brought(asked).await? {
        let row = Minute::of(row);
        // A minute in which the service was started anew has two rows.
        let same = |known: &&mut Minute| known.minute == row.minute && known.url == row.url;
        match found
            .iter_mut()
            .rev()
            .take_while(|k| k.minute == row.minute)
            .find(same)
        {
            Some(known) => {
                known.video.add(&row.video);
                known.audio.add(&row.audio);
            }
            None => found.push(row),
        }
    }
    Ok(found)
}
