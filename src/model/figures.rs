//! What was counted in one minute of the service clock: what a stream brought, what its viewers were sent, what was answered.

use crate::clock::UnixMs;
use crate::model::stream_key::StreamKey;

/// What one row is about.
pub const MINUTE_MS: i64 = 60_000;

/// The minute that an instant lies in.
#[must_use]
pub const fn minute_of(at: UnixMs) -> UnixMs {
    at - at.rem_euclid(MINUTE_MS)
}

/// How a viewer is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Player {
    Flv,
    Rtmp,
    Hls,
    Mp4,
}

impl Player {
    pub const ALL: [Self; 4] = [Self::Flv, Self::Rtmp, Self::Hls, Self::Mp4];

    /// As rows and requests name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flv => "flv",
            Self::Rtmp => "rtmp",
            Self::Hls => "hls",
            Self::Mp4 => "mp4",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|player| player.as_str() == name)
    }
}

/// One track of what was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrackFigures {
    pub frames: u64,
    pub bytes: u64,
    /// How much of the stream's own time the frames fill: a push that runs faster than time has the rates that its timestamps tell.
    pub media_ms: u64,
}

impl TrackFigures {
    /// Frames a second of the stream's own time.
    #[must_use]
    pub fn frame_rate(&self) -> f64 {
        per_second(self.frames, self.media_ms)
    }

    /// Bits a second of the stream's own time.
    #[must_use]
    pub fn bit_rate(&self) -> f64 {
        per_second(self.bytes, self.media_ms) * 8.0
    }

    /// The same with what another row of the track tells.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.media_ms += other.media_ms;
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a minute are far below 2^52"
)]
fn per_second(count: u64, ms: u64) -> f64 {
    if ms == 0 {
        return 0.0;
    }
    count as f64 * 1000.0 / ms as f64
}

/// What a stream brought in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflow {
    pub minute: UnixMs,
    pub key: StreamKey,
    /// The domain that the push named.
    pub ingest_domain: String,
    /// Everything that is media, with the headers of its tags.
    pub bytes: u64,
    pub video: TrackFigures,
    pub audio: TrackFigures,
}

/// What the viewers of a stream were sent in one minute, by a domain and in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outflow {
    pub minute: UnixMs,
    /// The domain is the one that the viewers named.
    pub key: StreamKey,
    pub player: Player,
    pub secure: bool,
    pub bytes: u64,
    /// The most that watched at a time.
    pub viewers: u64,
    /// Those that came.
    pub came: u64,
}

/// How often a domain's viewers were answered with a status in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub minute: UnixMs,
    pub domain: String,
    pub status: u16,
    pub count: u64,
}

/// A viewer's address that a domain had not seen before in an hour, as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    pub hour: UnixMs,
    pub domain: String,
    pub visitor: i64,
}

/// Everything that was counted up to the end of a minute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub inflow: Vec<Inflow>,
    pub outflow: Vec<Outflow>,
    pub answered: Vec<Answered>,
    pub visitors: Vec<Visitor>,
}

impl Figures {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.inflow.len() + self.outflow.len() + self.answered.len() + self.visitors.len()
    }

    pub fn append(&mut self, mut other: Self) {
        self.inflow.append(&mut other.inflow);
        self.outflow.append(&mut other.outflow);
        self.answered.append(&mut other.answered);
        self.visitors.append(&mut other.visitors);
    }
}

/// Whose figures are asked for. An absent part takes all.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// In lower case; none are all.
    pub domains: Vec<String>,
    pub app: Option<String>,
    pub stream: Option<String>,
    pub players: Option<Vec<Player>>,
    pub from: UnixMs,
    pub to: UnixMs,
}

impl Asked {
    fn is_about(&self, minute: UnixMs, domains: &[&str]) -> bool {
        (self.from..self.to).contains(&minute)
            && (self.domains.is_empty()
                || self.domains.iter().any(|d| domains.contains(&d.as_str())))
    }

    fn names(&self, key: &StreamKey) -> bool {
        self.app.as_ref().is_none_or(|app| *app == key.app)
            && self.stream.as_ref().is_none_or(|name| *name == key.stream)
    }

    /// A stream is found by the domain that plays it and by the one that it was pushed to.
    #[must_use]
    pub fn takes_inflow(&self, row: &Inflow) -> bool {
        self.is_about(row.minute, &[&row.key.domain, &row.ingest_domain]) && self.names(&row.key)
    }

    #[must_use]
    pub fn takes_outflow(&self, row: &Outflow) -> bool {
        let served = self.players.as_ref();
        self.is_about(row.minute, &[&row.key.domain])
            && self.names(&row.key)
            && served.is_none_or(|players| players.contains(&row.player))
    }

    #[must_use]
    pub fn takes_answered(&self, row: &Answered) -> bool {
        self.is_about(row.minute, &[&row.domain])
    }

    #[must_use]
    pub fn takes_visitor(&self, row: &Visitor) -> bool {
        self.is_about(row.hour, &[&row.domain])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_begin_at_full_ones_on_both_sides_of_the_epoch() {
        assert_eq!(minute_of(119_999), 60_000);
        assert_eq!(minute_of(120_000), 120_000);
        assert_eq!(minute_of(-1), -60_000);
    }

    #[test]
    fn rates_are_those_of_the_streams_own_time() {
        let track = TrackFigures {
            frames: 250,
            bytes: 1_250_000,
            media_ms: 10_000,
        };
        assert!((track.frame_rate() - 25.0).abs() < f64::EPSILON);
        assert!((track.bit_rate() - 1_000_000.0).abs() < f64::EPSILON);
        assert!(TrackFigures::default().bit_rate().abs() < f64::EPSILON);
    }

    #[test]
    fn a_stream_is_found_by_either_of_its_domains() {
        let row = Inflow {
            minute: 60_000,
            key: StreamKey::new("play", "live", "s"),
            ingest_domain: "push".to_owned(),
            bytes: 1,
            video: TrackFigures::default(),
            audio: TrackFigures::default(),
        };
        let mut asked = Asked {
            from: 60_000,
            to: 120_000,
            ..Asked::default()
        };
        assert!(asked.takes_inflow(&row));
        for (domain, takes) in [("play", true), ("push", true), ("other", false)] {
            asked.domains = vec![domain.to_owned()];
            assert_eq!(asked.takes_inflow(&row), takes, "{domain}");
        }
        asked.domains.clear();
        asked.stream = Some("t".to_owned());
        assert!(!asked.takes_inflow(&row));
        asked.stream = None;
        asked.to = 60_000;
        assert!(!asked.takes_inflow(&row));
    }
}
