//! Frame and bit rates of pushed streams, minute by minute.

use crate::actions::Context;
use crate::error::ApiError;
use crate::model::figures::{Asked, Inflow, TrackFigures};

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
