//! A fragmented MP4 of frames that come one after another, in bounded memory: what a browser plays of a recording in another container.
//!
//! The head tells the tracks, so the first frames wait until both are known, for a bounded time. A changed picture configuration goes
//! before its key picture (ISO/IEC 14496-15 clause 5.2.2); another codec cannot follow in the same file, nor can other sound, and what
//! has no place is left out. Times begin at zero. Where they go back, as at a seam of two recordings, they go on from where they were.

use bytes::{Bytes, BytesMut};

use crate::cmaf::{Fragmenter, Position, init_segment};
use crate::codec::sets::Sets;
use crate::frame::{AudioConfig, Frame, SampleInfo, Track, VideoConfig};
use crate::mp4::MuxError;

/// Media that waits for the configuration of the other track.
const PATIENCE_MS: i64 = 3_000;
/// A fragment is at least this long where a key picture may end it.
const SHORTEST_MS: i64 = 500;
/// A fragment ends after this long, whatever comes.
const LONGEST_MS: i64 = 2_000;
/// Bytes of one fragment.
const MOST_BYTES: usize = 4 << 20;
/// Samples of one fragment.
const MOST_SAMPLES: usize = 2_000;
/// Times that step back further than this begin anew.
const STEP_BACK_MS: i64 = 1_000;
/// What the time goes on by at such a seam.
const SEAM_MS: i64 = 40;

/// Makes the file, piece by piece.
#[derive(Debug, Default)]
pub struct Fragmented {
    video: Option<VideoConfig>,
    audio: Option<AudioConfig>,
    /// Tracks that are said to be there.
    expected: (bool, bool),
    fragmenter: Option<Fragmenter>,
    waiting: Vec<Frame>,
    /// Goes before the next key picture.
    sets: Option<Sets>,
    shift_ms: Option<i64>,
    /// The latest time of each track in the file, pictures first.
    last_ms: [i64; 2],
    samples: Vec<SampleInfo>,
    payload: BytesMut,
}

impl Fragmented {
    /// A file of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Which tracks will come: the head waits for their configurations.
    pub fn expect(&mut self, video: bool, audio: bool) {
        self.expected = (video, audio);
    }

    /// The first or a changed configuration of the pictures.
    pub fn video(&mut self, config: VideoConfig) {
        match &self.video {
            Some(known) if self.fragmenter.is_some() => {
                // Only parameter sets can follow inside the pictures.
                if known.codec == config.codec && known.record != config.record {
                    self.sets = Sets::of(&config).ok();
                }
            }
            _ => self.video = Some(config),
        }
    }

    /// The first configuration of the sound; a changed one has no place in the file.
    pub fn audio(&mut self, config: AudioConfig) {
        if self.fragmenter.is_none() {
            self.audio.get_or_insert(config);
        }
    }

    /// Takes a frame, and hands over what is whole.
    ///
    /// # Errors
    /// When the configurations cannot be written; there is nothing more then.
    pub fn frame(&mut self, frame: Frame, sink: &mut impl FnMut(Bytes)) -> Result<(), MuxError> {
        if self.fragmenter.is_some() {
            return self.put(&frame, sink);
        }
        self.waiting.push(frame);
        let all_known = (self.video.is_some() || !self.expected.0)
            && (self.audio.is_some() || !self.expected.1)
            && (self.video.is_some() || self.audio.is_some());
        if all_known || self.is_impatient() {
            self.begin(sink)?;
        }
        Ok(())
    }

    /// There are no more frames.
    ///
    /// # Errors
    /// As [`Fragmented::frame`].
    pub fn finish(&mut self, sink: &mut impl FnMut(Bytes)) -> Result<(), MuxError> {
        if self.fragmenter.is_none() && !self.waiting.is_empty() {
            self.begin(sink)?;
        }
        self.cut(None, sink)
    }

    /// Whether a file has been begun.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.fragmenter.is_some()
    }

    fn is_impatient(&self) -> bool {
        let times = || self.waiting.iter().map(|frame| frame.dts_ms);
        let bytes: usize = self.waiting.iter().map(|frame| frame.data.len()).sum();
        let length = times().max().zip(times().min());
        length.is_some_and(|(last, first)| last - first > PATIENCE_MS)
            || self.waiting.len() > MOST_SAMPLES
            || bytes > MOST_BYTES
    }

    fn begin(&mut self, sink: &mut impl FnMut(Bytes)) -> Result<(), MuxError> {
        let (video, audio) = (self.video.as_ref(), self.audio.as_ref());
        sink(init_segment(video, audio)?);
        self.fragmenter = Some(Fragmenter::new(video, audio, Position::default())?);
        let waiting = std::mem::take(&mut self.waiting);
        self.shift_ms = waiting.iter().map(|frame| frame.dts_ms).min();
        waiting.iter().try_for_each(|frame| self.put(frame, sink))
    }

    fn put(&mut self, frame: &Frame, sink: &mut impl FnMut(Bytes)) -> Result<(), MuxError> {
        let is_video = frame.track == Track::Video;
        let known = if is_video {
            self.video.is_some()
        } else {
            self.audio.is_some()
        };
        if !known {
            return Ok(());
        }
        let latest = self.last_ms.iter().copied().max().unwrap_or(0);
        let shift = *self.shift_ms.get_or_insert(frame.dts_ms);
        let mut at = frame.dts_ms - shift;
        if at < latest - STEP_BACK_MS {
            self.shift_ms = Some(frame.dts_ms - latest - SEAM_MS);
            at = latest + SEAM_MS;
        }
        let slot = usize::from(!is_video);
        let last = self.last_ms.get(slot).copied().unwrap_or(0);
        let at = at.max(last).max(0);
        self.cut_before(frame, at, sink)?;
        if let Some(last) = self.last_ms.get_mut(slot) {
            *last = at;
        }
        let before = self.payload.len();
        match self.sets.take_if(|_| frame.key) {
            Some(sets) => {
                for piece in sets.within(&frame.data) {
                    self.payload.extend_from_slice(piece);
                }
            }
            None => self.payload.extend_from_slice(&frame.data),
        }
        self.samples.push(SampleInfo {
            track: frame.track,
            dts_ms: at,
            cts_ms: frame.cts_ms,
            key: frame.key,
            size: u32::try_from(self.payload.len() - before).unwrap_or(u32::MAX),
        });
        Ok(())
    }

    /// Ends a fragment where the frame that comes begins another.
    fn cut_before(
        &mut self,
        frame: &Frame,
        at: i64,
        sink: &mut impl FnMut(Bytes),
    ) -> Result<(), MuxError> {
        let Some(first) = self.samples.first() else {
            return Ok(());
        };
        let length = at - first.dts_ms;
        let is_picture = frame.track == Track::Video;
        let begins = frame.key || self.video.is_none();
        let full = self.payload.len() + frame.data.len() > MOST_BYTES
            || self.samples.len() >= MOST_SAMPLES
            || length >= LONGEST_MS;
        if full || begins && length >= SHORTEST_MS {
            self.cut(is_picture.then_some(at), sink)?;
        }
        Ok(())
    }

    fn cut(
        &mut self,
        next_picture_ms: Option<i64>,
        sink: &mut impl FnMut(Bytes),
    ) -> Result<(), MuxError> {
        let Some(fragmenter) = self.fragmenter.as_mut() else {
            return Ok(());
        };
        if self.samples.is_empty() {
            return Ok(());
        }
        let head = fragmenter.fragment(&self.samples, next_picture_ms)?;
        self.samples.clear();
        sink(head);
        sink(self.payload.split().freeze());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::file::FlvFile;
    use crate::flv::read::{Item, TagReader};

    const H264: &[u8] = include_bytes!("../../fixtures/media/h264_aac.flv");

    /// What a file's items do to the muxer.
    fn fed(file: &'static [u8], out: &mut Fragmented, shift: i64) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut reader = TagReader::new();
        for tag in FlvFile::new(Bytes::from_static(file)).unwrap() {
            let tag = tag.unwrap();
            let mut items = Vec::new();
            reader
                .read(tag.kind, tag.timestamp, tag.payload, &mut |item| {
                    items.push(item);
                })
                .unwrap();
            for item in items {
                let frame = match item {
                    Item::VideoConfig(config) => {
                        out.video(config);
                        continue;
                    }
                    Item::AudioConfig(config) => {
                        out.audio(config);
                        continue;
                    }
                    Item::Video {
                        timestamp,
                        cts_ms,
                        key,
                        data,
                    } => Frame {
                        track: Track::Video,
                        dts_ms: i64::from(timestamp) + shift,
                        cts_ms,
                        key,
                        data,
                    },
                    Item::Audio { timestamp, data } => Frame {
                        track: Track::Audio,
                        dts_ms: i64::from(timestamp) + shift,
                        cts_ms: 0,
                        key: false,
                        data,
                    },
                    _ => continue,
                };
                out.frame(frame, &mut |piece| pieces.push(piece)).unwrap();
            }
        }
        pieces
    }

    /// The types of the top-level boxes.
    fn boxes(pieces: &[Bytes]) -> Vec<String> {
        let whole = pieces.concat();
        let (mut at, mut found) = (0, Vec::new());
        while at < whole.len() {
            let size = u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
            found.push(String::from_utf8_lossy(&whole[at + 4..at + 8]).into_owned());
            at += size;
        }
        assert_eq!(at, whole.len());
        found
    }

    #[test]
    fn a_file_becomes_a_head_and_fragments() {
        let mut out = Fragmented::new();
        out.expect(true, true);
        let mut pieces = fed(H264, &mut out, 50_000);
        out.finish(&mut |piece| pieces.push(piece)).unwrap();
        let found = boxes(&pieces);
        assert_eq!(found[..2], ["ftyp", "moov"]);
        // Ten seconds with a key picture every two.
        let fragments = found.iter().filter(|name| *name == "moof").count();
        assert_eq!(fragments, 5, "{found:?}");
        assert_eq!(found.iter().filter(|name| *name == "mdat").count(), 5);
    }

    #[test]
    fn times_that_go_back_go_on() {
        let mut out = Fragmented::new();
        out.expect(true, true);
        let mut pieces = fed(H264, &mut out, 0);
        let before = out.last_ms[0];
        pieces.extend(fed(H264, &mut out, 0));
        out.finish(&mut |piece| pieces.push(piece)).unwrap();
        assert!(out.last_ms[0] > before + 9_000, "{:?}", out.last_ms);
        assert!(boxes(&pieces).len() >= 20);
    }

    #[test]
    fn a_track_that_never_comes_is_not_waited_for() {
        let mut out = Fragmented::new();
        out.expect(true, true);
        let only = include_bytes!("../../fixtures/media/video_only.flv");
        let pieces = fed(only, &mut out, 0);
        assert!(out.has_begun());
        assert!(!pieces.is_empty());
    }

    #[test]
    fn memory_has_a_bound_where_no_key_picture_comes() {
        let mut out = Fragmented::new();
        out.expect(true, false);
        out.video(VideoConfig {
            codec: crate::frame::VideoCodec::Mpeg4,
            record: Bytes::from_static(&[0, 0, 1, 0xB0, 1]),
            width: 16,
            height: 16,
        });
        let data = Bytes::from(vec![0; 1 << 20]);
        let mut sent = 0;
        for at in 0..100 {
            let frame = Frame {
                track: Track::Video,
                dts_ms: 0,
                cts_ms: 0,
                key: at == 0,
                data: data.clone(),
            };
            out.frame(frame, &mut |piece| sent += piece.len()).unwrap();
            assert!(out.payload.len() <= MOST_BYTES);
        }
        assert!(sent > 90 << 20);
    }
}
