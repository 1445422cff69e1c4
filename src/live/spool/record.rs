//! The form of a spool record: a 24-byte head, then the payload.
//!
//! `u32 length | u32 crc32 of the rest of the head and the payload | u8 kind | u8 flags | u16 0 | i32 cts_ms | i64 dts_ms`, little-endian.

use bytes::{BufMut, Bytes};
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::live::decide::machine::Cause;
use crate::live::decide::pictures::Pictures;
use crate::live::decide::segmenter::Segmenter;
use crate::live::decide::timeline::Timeline;
use crate::media::frame::{
    AudioCodec, AudioConfig, Frame, SampleInfo, Track, VideoCodec, VideoConfig,
};
use crate::model::event::Fault;
use crate::model::rule::{FormatRule, Rule};
use crate::model::stream_key::StreamKey;

/// Bytes before a record's payload.
pub const HEAD: usize = 24;
/// Bytes of the longest payload. A longer length means that the log is damaged here.
pub const MAX_PAYLOAD: usize = 32 << 20;

const KIND_VIDEO: u8 = 1;
const KIND_AUDIO: u8 = 2;
const KIND_VIDEO_CONFIG: u8 = 3;
const KIND_AUDIO_CONFIG: u8 = 4;
const KIND_MARK: u8 = 5;
const FLAG_KEY: u8 = 1;

/// What a session begins with: all that its outputs depend on beside the media.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opening {
    pub session: String,
    pub key: StreamKey,
    pub rule: Rule,
    /// The rule's formats as the on-demand answer left them.
    pub formats: Vec<FormatRule>,
    pub first_sequence: u64,
    /// The service clock at the first frame.
    pub wall: UnixMs,
    pub push_args: Vec<(String, String)>,
}

/// Everything that is not media.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    Open(Box<Opening>),
    Pause {
        end_ms: i64,
        at: UnixMs,
        cause: Cause,
    },
    Resume {
        media_ms: i64,
        wall: UnixMs,
    },
    /// New files from here on: at the next cut point, or at once.
    Cut {
        at_once: bool,
        end_ms: i64,
    },
    /// Pictures come, and no key frame has: sound alone of this stream would be half a recording, unless they are late.
    Keyless {
        #[serde(default)]
        late: bool,
    },
    /// The session is over; nothing follows.
    End {
        end_ms: i64,
    },
    /// The same, by a fault: whether anybody has been told of that yet is not known here.
    Failed {
        end_ms: i64,
        by: FatalFault,
    },
    /// The session was thrown away: nothing is made of it, and nothing follows.
    Void,
    /// The first record of every segment but the first.
    Checkpoint(Box<Checkpoint>),
}

/// The fault that a session ended by, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FatalFault {
    #[serde(with = "StoredFault")]
    pub fault: Fault,
    pub at: UnixMs,
    /// Which of the session's events it is: under the same name it is told once.
    pub number: u32,
}

/// The names of faults in the log.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Fault")]
enum StoredFault {
    BucketNotFound,
    AccessDenied,
    StreamFormatError,
    TsSegmenterFail,
    ContentBad,
    StorageFull,
    StorageFileTooLarge,
    StorageDenied,
    StorageNoDescriptors,
    StorageFailed,
}

/// What a reader must know to begin at a segment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    pub opening: Opening,
    pub segmenter: Segmenter,
    pub timeline: Timeline,
    pub statuses: u32,
    #[serde(default = "Pictures::recorded")]
    pub pictures: Pictures,
}

/// One record, read back.
#[derive(Debug, Clone)]
pub enum Record {
    Frame(Frame),
    Video(VideoConfig),
    Audio(AudioConfig),
    Mark(Box<Mark>),
}

#[derive(Serialize, Deserialize)]
struct StoredVideo {
    codec: VideoCodec,
    record: String,
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredAudio {
    codec: AudioCodec,
    record: String,
    sample_rate: u32,
    channels: u8,
}

/// Why bytes are no record.
///
/// # What to do
/// The log ends before these bytes: [`super::read`] tells their place as `ReadError::Damaged`, and nothing behind them is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("the checksum does not match")]
    Checksum,
    #[error("the length is out of bounds")]
    Length,
    #[error("the kind is unknown or the payload not readable")]
    Content,
}

// Whole numbers of the head's two parts instead of a field after the other: it is made for every frame.
fn head(kind: u8, flags: u8, cts_ms: i32, dts_ms: i64, payload: &[u8]) -> [u8; HEAD] {
    let rest = u128::from(kind)
        | u128::from(flags) << 8
        | u128::from(cts_ms.cast_unsigned()) << 32
        | u128::from(dts_ms.cast_unsigned()) << 64;
    let rest = rest.to_le_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&rest);
    crc.update(payload);
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let sums = (u64::from(length) | u64::from(crc.finalize()) << 32).to_le_bytes();
    let mut head = [0; HEAD];
    let (before, behind) = head.split_at_mut(sums.len());
    before.copy_from_slice(&sums);
    behind.copy_from_slice(&rest);
    head
}

fn put(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.extend_from_slice(&head(kind, 0, 0, 0, payload));
    out.extend_from_slice(payload);
}

/// The head of a frame's record; its data follow.
#[must_use]
pub fn frame_head(frame: &Frame) -> [u8; HEAD] {
    head(
        kind_of(frame.track),
        if frame.key { FLAG_KEY } else { 0 },
        frame.cts_ms,
        frame.dts_ms,
        &frame.data,
    )
}

/// Appends the head of a frame alone, for a log that only lists. It has no checksum.
pub fn put_frame_head(out: &mut Vec<u8>, sample: SampleInfo) {
    out.put_u32_le(sample.size);
    out.put_u32_le(0);
    out.put_u8(kind_of(sample.track));
    out.put_u8(if sample.key { FLAG_KEY } else { 0 });
    out.put_u16_le(0);
    out.put_i32_le(sample.cts_ms);
    out.put_i64_le(sample.dts_ms);
}

fn kind_of(track: Track) -> u8 {
    match track {
        Track::Video => KIND_VIDEO,
        Track::Audio => KIND_AUDIO,
    }
}

/// Appends a video configuration.
pub fn put_video_config(out: &mut Vec<u8>, config: &VideoConfig) {
    let stored = StoredVideo {
        codec: config.codec,
        record: hex::encode(&config.record),
        width: config.width,
        height: config.height,
    };
    put(
        out,
        KIND_VIDEO_CONFIG,
        &serde_json::to_vec(&stored).unwrap_or_default(),
    );
}

/// Appends an audio configuration.
pub fn put_audio_config(out: &mut Vec<u8>, config: &AudioConfig) {
    let stored = StoredAudio {
        codec: config.codec,
        record: hex::encode(&config.record),
        sample_rate: config.sample_rate,
        channels: config.channels,
    };
    put(
        out,
        KIND_AUDIO_CONFIG,
        &serde_json::to_vec(&stored).unwrap_or_default(),
    );
}

/// Appends a mark.
pub fn put_mark(out: &mut Vec<u8>, mark: &Mark) {
    put(
        out,
        KIND_MARK,
        &serde_json::to_vec(mark).unwrap_or_default(),
    );
}

/// The payload length that a head announces.
pub fn payload_length(head: &[u8; HEAD]) -> Result<usize, RecordError> {
    let [a, b, c, d, ..] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > MAX_PAYLOAD {
        Err(RecordError::Length)
    } else {
        Ok(length)
    }
}

/// What a head tells of a frame; `None` when its record is none.
pub fn frame_of(head: &[u8; HEAD], length: usize) -> Option<SampleInfo> {
    let [_, _, _, _, _, _, _, _, kind, flags, _, _, rest @ ..] = *head;
    let (cts, dts) = rest.split_first_chunk::<4>()?;
    Some(SampleInfo {
        track: match kind {
            KIND_VIDEO => Track::Video,
            KIND_AUDIO => Track::Audio,
            _ => return None,
        },
        dts_ms: i64::from_le_bytes(*dts.first_chunk()?),
        cts_ms: i32::from_le_bytes(*cts),
        key: flags & FLAG_KEY != 0,
        size: u32::try_from(length).unwrap_or(u32::MAX),
    })
}

/// Reads a record back.
pub fn parse(head: &[u8; HEAD], payload: Bytes) -> Result<Record, RecordError> {
    let [_, _, _, _, c0, c1, c2, c3, kind, ..] = *head;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[8..]);
    crc.update(&payload);
    if crc.finalize() != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(RecordError::Checksum);
    }
    let json = |_| RecordError::Content;
    let from_hex = |text: &str| {
        hex::decode(text)
            .map(Bytes::from)
            .map_err(|_| RecordError::Content)
    };
    Ok(match kind {
        KIND_VIDEO | KIND_AUDIO => {
            let sample = frame_of(head, payload.len()).ok_or(RecordError::Content)?;
            Record::Frame(Frame {
                track: sample.track,
                dts_ms: sample.dts_ms,
                cts_ms: sample.cts_ms,
                key: sample.key,
                data: payload,
            })
        }
        KIND_VIDEO_CONFIG => {
            let stored: StoredVideo = serde_json::from_slice(&payload).map_err(json)?;
            let record = from_hex(&stored.record)?;
            Record::Video(VideoConfig {
                codec: stored.codec,
                record,
                width: stored.width,
                height: stored.height,
            })
        }
        KIND_AUDIO_CONFIG => {
            let stored: StoredAudio = serde_json::from_slice(&payload).map_err(json)?;
            let record = from_hex(&stored.record)?;
            Record::Audio(AudioConfig {
                codec: stored.codec,
                record,
                sample_rate: stored.sample_rate,
                channels: stored.channels,
            })
        }
        KIND_MARK => Record::Mark(Box::new(serde_json::from_slice(&payload).map_err(json)?)),
        _ => return Err(RecordError::Content),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::OnDemand;

    fn split(bytes: &[u8]) -> ([u8; HEAD], Bytes) {
        let head: [u8; HEAD] = bytes[..HEAD].try_into().unwrap();
        let length = payload_length(&head).unwrap();
        (head, Bytes::copy_from_slice(&bytes[HEAD..HEAD + length]))
    }

    #[test]
    fn a_frame_comes_back_and_every_flipped_bit_is_noticed() {
        let frame = Frame {
            track: Track::Video,
            dts_ms: -7,
            cts_ms: -40,
            key: true,
            data: Bytes::from_static(b"payload"),
        };
        let bytes = [&frame_head(&frame)[..], &frame.data].concat();
        let (head, payload) = split(&bytes);
        let Record::Frame(back) = parse(&head, payload).unwrap() else {
            panic!("no frame")
        };
        assert_eq!(back, frame);
        for bit in 32..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (head, payload) = split(&damaged);
            assert!(parse(&head, payload).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_head_has_its_fields_where_they_are_described() {
        let data = Bytes::from_static(b"picture");
        let head = frame_head(&Frame {
            track: Track::Audio,
            dts_ms: -2,
            cts_ms: -3,
            key: true,
            data: data.clone(),
        });
        let mut fields = vec![KIND_AUDIO, FLAG_KEY, 0, 0];
        fields.extend((-3_i32).to_le_bytes());
        fields.extend((-2_i64).to_le_bytes());
        let sum = crc32fast::hash(&[&fields[..], &data].concat());
        assert_eq!(head[..4], 7_u32.to_le_bytes());
        assert_eq!(head[4..8], sum.to_le_bytes());
        assert_eq!(head[8..], fields[..]);
    }

    #[test]
    fn a_session_that_failed_says_by_what() {
        let fatal = FatalFault {
            fault: Fault::BucketNotFound,
            at: 1_737_367_500_000,
            number: 3,
        };
        let mark = Mark::Failed {
            end_ms: 7_000,
            by: fatal,
        };
        let mut record = Vec::new();
        put_mark(&mut record, &mark);
        let (head, payload) = split(&record);
        let Record::Mark(mark) = parse(&head, payload).unwrap() else {
            panic!("no mark")
        };
        let Mark::Failed { end_ms, by } = *mark else {
            panic!("another mark")
        };
        assert_eq!((end_ms, by), (7_000, fatal));
    }

    #[test]
    fn the_marks_of_an_older_program_are_read() {
        let read: Mark = serde_json::from_str(r#"{"mark":"keyless"}"#).unwrap();
        assert!(matches!(read, Mark::Keyless { late: false }));
        // Its segments began before key frames alone.
        let rule = Rule {
            domain: "play.example.com".to_owned(),
            app: "live".to_owned(),
            stream: "*".to_owned(),
            oss_endpoint: "e".to_owned(),
            oss_bucket: "b".to_owned(),
            start_time: None,
            end_time: None,
            on_demand: OnDemand::Automatic,
            delay_s: 15,
            formats: Vec::new(),
            transcode_formats: Vec::new(),
            transcode_templates: Vec::new(),
            created_at: 0,
        };
        let opening = Opening {
            session: "s".to_owned(),
            key: StreamKey::new("play.example.com", "live", "s1"),
            rule,
            formats: Vec::new(),
            first_sequence: 0,
            wall: 0,
            push_args: Vec::new(),
        };
        let checkpoint = Checkpoint {
            segmenter: Segmenter::new(&opening.formats, 0, 0),
            opening,
            timeline: Timeline::default(),
            statuses: 1,
            pictures: Pictures::default(),
        };
        let mut old = serde_json::to_value(Mark::Checkpoint(Box::new(checkpoint))).unwrap();
        old.as_object_mut().unwrap().remove("pictures");
        let read: Mark = serde_json::from_value(old).unwrap();
        assert!(matches!(read, Mark::Checkpoint(it) if it.pictures == Pictures::recorded()));
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused() {
        let mut head = [0u8; HEAD];
        head[..4].copy_from_slice(&u32::try_from(MAX_PAYLOAD + 1).unwrap().to_le_bytes());
        assert_eq!(payload_length(&head), Err(RecordError::Length));
    }
}
