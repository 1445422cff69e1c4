//! A clip played round after round, as tags with the time that the stream has then. No I/O.
//!
//! Timestamps run on without a seam: each round begins exactly one period of the clip after the one before, in both
//! tracks, so that they stay in step for ever. Metadata goes out once; a sequence header goes out when it is another one
//! than that in force; the end-of-sequence mark never does, since the stream goes on.

use bytes::Bytes;

use super::clip::{Clip, Role, role};
use crate::media::flv::TagKind;

/// A tag with its time in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamTag {
    pub(super) kind: TagKind,
    /// Milliseconds since the start of the push.
    pub(super) at_ms: u64,
    pub(super) payload: Bytes,
}

/// Iterates the tags of the stream; without an end it never stops.
#[derive(Debug)]
pub(super) struct Looped {
    clip: Clip,
    end_ms: Option<u64>,
    round: u64,
    index: usize,
    video_header: Option<Bytes>,
    audio_header: Option<Bytes>,
    position_ms: u64,
}

impl Looped {
    /// From the start of the clip, up to `end_ms` of media.
    pub(super) fn new(clip: Clip, end_ms: Option<u64>) -> Self {
        Self {
            clip,
            end_ms,
            round: 0,
            index: 0,
            video_header: None,
            audio_header: None,
            position_ms: 0,
        }
    }

    /// Media that has come out so far.
    pub(super) fn position_ms(&self) -> u64 {
        self.position_ms.min(self.end_ms.unwrap_or(u64::MAX))
    }

    fn round_start_ms(&self) -> u64 {
        self.round.saturating_mul(self.clip.period_us()) / 1_000
    }

    /// Whether this header is not in force yet; it is from now on.
    fn renews(&mut self, kind: TagKind, payload: &Bytes) -> bool {
        let in_force = match kind {
            TagKind::Video => &mut self.video_header,
            TagKind::Audio => &mut self.audio_header,
            TagKind::Data => return false,
        };
        if in_force.as_ref() == Some(payload) {
            return false;
        }
        *in_force = Some(payload.clone());
        true
    }
}

impl Iterator for Looped {
    type Item = StreamTag;

    fn next(&mut self) -> Option<StreamTag> {
        // Every clip has a frame that lies before the end of its round, so this comes to an end.
        loop {
            let Some(tag) = self.clip.tag(self.index).cloned() else {
                self.index = 0;
                self.round += 1;
                continue;
            };
            let round_start = self.round_start_ms();
            if self.end_ms.is_some_and(|end| round_start >= end) {
                return None;
            }
            self.index += 1;
            let at_ms = round_start + self.clip.time_of(&tag);
            // Tracks are interleaved loosely: a later tag may still lie before the end.
            if self.end_ms.is_some_and(|end| at_ms >= end) {
                continue;
            }
            let wanted = match role(&tag) {
                Role::Script => self.round == 0,
                Role::Header => self.renews(tag.kind, &tag.payload),
                Role::End => false,
                Role::Frame => {
                    let stands_until = at_ms + self.clip.frame_ms();
                    self.position_ms = self.position_ms.max(stands_until);
                    true
                }
            };
            if wanted {
                return Some(StreamTag {
                    kind: tag.kind,
                    at_ms,
                    payload: tag.payload,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clip::BUILTIN;
    use super::*;

    fn looped(name: &str, seconds: u64) -> (Vec<StreamTag>, u64) {
        let mut media = Looped::new(Clip::builtin(name).unwrap(), Some(seconds * 1_000));
        let tags = media.by_ref().collect();
        (tags, media.position_ms())
    }

    fn of(tags: &[StreamTag], kind: TagKind) -> Vec<&StreamTag> {
        tags.iter().filter(|tag| tag.kind == kind).collect()
    }

    #[test]
    fn three_rounds_have_no_seam() {
        let (tags, length) = looped("h264_aac", 30);
        assert_eq!(length, 30_000);
        let video = of(&tags, TagKind::Video);
        // One sequence header and 25 pictures a second.
        assert_eq!(video.len(), 1 + 750);
        assert_eq!(video[0].payload[..2], [0x17, 0]);
        for (number, picture) in video[1..].iter().enumerate() {
            assert_eq!(picture.at_ms, 40 * number as u64);
            assert_eq!(picture.payload[1], 1);
        }
        let audio = of(&tags, TagKind::Audio);
        assert_eq!(audio.len(), 1 + 3 * 431);
        for pair in audio[1..].windows(2) {
            let distance = pair[1].at_ms - pair[0].at_ms;
            assert!((10..=24).contains(&distance), "{distance}");
        }
        // The second round begins at the same instant in both tracks.
        assert_eq!((video[251].at_ms, audio[432].at_ms), (10_000, 10_000));
        assert_eq!(of(&tags, TagKind::Data).len(), 1);
    }

    #[test]
    fn key_frames_keep_their_distance_over_the_seam() {
        let (tags, _) = looped("hevc_enhanced", 25);
        let keys: Vec<u64> = of(&tags, TagKind::Video)
            .into_iter()
            .filter(|tag| tag.payload[0] & 0x70 == 0x10 && role_of(tag) == Role::Frame)
            .map(|tag| tag.at_ms)
            .collect();
        assert_eq!(keys, (0..13).map(|n| n * 2_000).collect::<Vec<_>>());
    }

    fn role_of(tag: &StreamTag) -> Role {
        role(&crate::media::flv::file::Tag {
            kind: tag.kind,
            timestamp: 0,
            payload: tag.payload.clone(),
        })
    }

    #[test]
    fn every_clip_ends_where_it_is_told_to() {
        for (name, ..) in BUILTIN {
            let (tags, length) = looped(name, 12);
            assert_eq!(length, 12_000, "{name}");
            assert!(tags.iter().all(|tag| tag.at_ms < 12_000), "{name}");
            let headers = tags
                .iter()
                .filter(|tag| role_of(tag) == Role::Header)
                .count();
            let tracks = if name.ends_with("_only") || *name == "one_per_second" {
                1
            } else {
                2
            };
            assert_eq!(headers, tracks, "{name}");
            assert!(tags.iter().all(|tag| role_of(tag) != Role::End), "{name}");
        }
    }

    #[test]
    fn a_day_of_media_is_exact() {
        let mut media = Looped::new(Clip::builtin("one_per_second").unwrap(), Some(86_400_000));
        let pictures = media.by_ref().filter(|tag| role_of(tag) == Role::Frame);
        let times: Vec<u64> = pictures.map(|tag| tag.at_ms).collect();
        assert_eq!(times.len(), 86_400);
        assert!(times.iter().zip(0..).all(|(time, n)| *time == n * 1_000));
        assert_eq!(media.position_ms(), 86_400_000);
    }

    #[test]
    fn without_an_end_it_goes_on() {
        let mut media = Looped::new(Clip::builtin("audio_only").unwrap(), None);
        assert!(media.nth(5_000).is_some_and(|tag| tag.at_ms > 100_000));
    }

    #[test]
    fn one_millisecond_is_one_frame_of_each_track() {
        let mut media = Looped::new(Clip::builtin("h264_aac").unwrap(), Some(1));
        let frames = media
            .by_ref()
            .filter(|tag| role_of(tag) == Role::Frame)
            .count();
        assert_eq!((frames, media.position_ms()), (2, 1));
    }
}
