//! Spools after a crash: whatever lies in the folder, reading it back ends without a panic and loses no whole record that
//! stands before the damage.

use std::cell::RefCell;
use std::path::Path;

use bytes::Bytes;
use localyun::testing::live::decide::machine::Cause;
use localyun::testing::live::decide::pictures::Pictures;
use localyun::testing::live::decide::segmenter::Segmenter;
use localyun::testing::live::decide::timeline::Timeline;
use localyun::testing::live::recovery::survey;
use localyun::testing::live::spool::read::SpoolReader;
use localyun::testing::live::spool::record::{
    Checkpoint, HEAD, Mark, Opening, Record, frame_head, parse, payload_length, put_audio_config,
    put_mark, put_video_config,
};
use localyun::testing::live::spool::{Position, segment_name};
use localyun::testing::media::frame::{
    AudioCodec, AudioConfig, Frame, Track, VideoCodec, VideoConfig,
};
use localyun::testing::model::rule::{Format, FormatRule, OnDemand, Rule};
use localyun::testing::model::stream_key::StreamKey;
use tempfile::TempDir;

use crate::input::Input;

const NOW_MS: i64 = 1_795_360_256_000;
const START: Position = Position {
    segment: 0,
    offset: 0,
};

fn opening(cycle_s: i64, slice_s: i64) -> Opening {
    let format = |format| FormatRule {
        format,
        object_prefix: "{Sequence}".to_owned(),
        slice_prefix: Some("{Sequence}".to_owned()),
        slice_s,
        cycle_s,
    };
    let formats = vec![
        format(Format::M3u8),
        format(Format::Mp4),
        format(Format::Flv),
        format(Format::Cmaf),
    ];
    Opening {
        session: "s".to_owned(),
        key: StreamKey::new("play.example.com", "live", "s1"),
        rule: Rule {
            domain: "play.example.com".to_owned(),
            app: "live".to_owned(),
            stream: "*".to_owned(),
            oss_endpoint: "e".to_owned(),
            oss_bucket: "bucket".to_owned(),
            start_time: None,
            end_time: None,
            on_demand: OnDemand::Automatic,
            delay_s: 180,
            formats: formats.clone(),
            transcode_formats: Vec::new(),
            transcode_templates: Vec::new(),
            created_at: 0,
        },
        formats,
        first_sequence: 0,
        wall: NOW_MS - 60_000,
        push_args: Vec::new(),
    }
}

/// Media times as a recording has them: years at most, and not in order.
fn time(input: &mut Input<'_>, last: &mut i64) -> i64 {
    *last = if input.u8() < 240 {
        *last + i64::from(input.u8()) * 8
    } else {
        input.i64() >> 24
    };
    *last
}

/// One record of the fuzzer's choice, as the recorder writes it.
fn put(input: &mut Input<'_>, last: &mut i64, out: &mut Vec<u8>) {
    match input.u8() % 12 {
        0 => put_video_config(
            out,
            &VideoConfig {
                codec: VideoCodec::H264,
                record: Bytes::copy_from_slice(input.counted()),
                width: 320,
                height: 180,
            },
        ),
        1 => put_audio_config(
            out,
            &AudioConfig {
                codec: AudioCodec::Aac,
                record: Bytes::copy_from_slice(input.counted()),
                sample_rate: 44_100,
                channels: 2,
            },
        ),
        2 => {
            let end_ms = time(input, last);
            let cause = if input.u8() & 1 == 0 {
                Cause::Lost
            } else {
                Cause::Command
            };
            put_mark(
                out,
                &Mark::Pause {
                    end_ms,
                    at: NOW_MS,
                    cause,
                },
            );
        }
        3 => {
            let media_ms = time(input, last);
            put_mark(
                out,
                &Mark::Resume {
                    media_ms,
                    wall: NOW_MS,
                },
            );
        }
        4 => {
            let end_ms = time(input, last);
            put_mark(
                out,
                &Mark::Cut {
                    at_once: input.u8() & 1 == 0,
                    end_ms,
                },
            );
        }
        5 => put_mark(out, &Mark::End { end_ms: *last }),
        kind => {
            let track = if kind & 1 == 0 {
                Track::Video
            } else {
                Track::Audio
            };
            let dts_ms = time(input, last);
            let flags = input.u8();
            let frame = Frame {
                track,
                dts_ms,
                cts_ms: i32::from(flags),
                key: track == Track::Video && flags & 3 == 0,
                data: Bytes::copy_from_slice(input.counted()),
            };
            out.extend_from_slice(&frame_head(&frame));
            out.extend_from_slice(&frame.data);
        }
    }
}

/// Ends of the whole records of a segment's bytes.
fn ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<HEAD>()) {
        let Ok(length) = payload_length(head) else {
            break;
        };
        let Some(payload) = bytes.get(at + HEAD..at + HEAD + length) else {
            break;
        };
        if parse(head, Bytes::copy_from_slice(payload)).is_err() {
            break;
        }
        at += HEAD + length;
        ends.push(at);
    }
    ends
}

fn read_all(folder: &Path, from: Position) -> Vec<(Position, String)> {
    let mut reader = SpoolReader::from(folder, from);
    let mut records = Vec::new();
    let mut before = from;
    while let Ok(Some((at, record))) = reader.next_record() {
        assert!(at >= before && reader.position() > at, "the reader goes on");
        before = reader.position();
        records.push((at, format!("{record:?}")));
        if let Record::Frame(frame) = &record {
            assert!(frame.data.len() <= 32 << 20);
        }
    }
    records
}

fn fresh(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
}

fn write(folder: &Path, segment: u32, bytes: &[u8]) {
    std::fs::write(folder.join(segment_name(segment)), bytes).expect("the folder can be written");
}

/// Segments of any bytes.
fn raw(folder: &Path, input: &mut Input<'_>) {
    let first = u32::from(input.u8() & 3);
    let mut segment = first;
    while !input.is_empty() && segment < first + 4 {
        write(folder, segment, input.counted());
        segment += 1;
    }
    write(folder, segment, input.rest());
    let _ = survey(folder, NOW_MS);
    read_all(folder, START);
}

/// A spool as the recorder writes it, then damaged at one place.
fn damaged(folder: &Path, input: &mut Input<'_>) {
    let (how, place, byte) = (input.u8() % 4, input.u16(), input.u8());
    let opening = opening(i64::from(input.u8()) + 1, i64::from(input.u8() % 30) + 1);
    let mut segments = vec![Vec::new()];
    let mut last = 0;
    put_mark(&mut segments[0], &Mark::Open(Box::new(opening.clone())));
    let opened = segments[0].len();
    while !input.is_empty() && segments.len() < 4 {
        let bytes = segments.last_mut().expect("there is one");
        if bytes.len() > 3_000 && input.u8() & 7 == 0 {
            let mut next = Vec::new();
            let checkpoint = Checkpoint {
                opening: opening.clone(),
                segmenter: Segmenter::new(&opening.formats, 0, opening.wall),
                timeline: Timeline::default(),
                statuses: 1,
                pictures: Pictures::recorded(),
            };
            put_mark(&mut next, &Mark::Checkpoint(Box::new(checkpoint)));
            segments.push(next);
            continue;
        }
        put(input, &mut last, bytes);
    }
    for (segment, bytes) in segments.iter().enumerate() {
        write(folder, u32::try_from(segment).expect("few"), bytes);
    }
    let whole = read_all(folder, START);
    let count: usize = segments.iter().map(|bytes| ends(bytes).len()).sum();
    assert_eq!(whole.len(), count, "a spool that nobody damaged");
    let told = survey(folder, NOW_MS)
        .expect("it can be read")
        .expect("it has a beginning");
    let end = Position {
        segment: u32::try_from(segments.len() - 1).expect("few"),
        offset: segments.last().map_or(0, |bytes| bytes.len() as u64),
    };
    assert_eq!(told.1, end);

    let hit = usize::from(place) % segments.len();
    let bytes = &mut segments[hit];
    let at = usize::from(place) % bytes.len();
    match how {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= byte.max(1),
        2 => {
            bytes.truncate(at);
            bytes.extend_from_slice(&[byte; 40]);
        }
        // What a lost write leaves: zeros to the end.
        _ => bytes[at..].fill(0),
    }
    write(folder, u32::try_from(hit).expect("few"), bytes);
    let kept = read_all(folder, START);
    let place = Position {
        segment: u32::try_from(hit).expect("few"),
        offset: at as u64,
    };
    // A record is before the damage when the next one begins there or earlier.
    let before = whole.windows(2).filter(|pair| pair[1].0 <= place).count();
    assert!(
        kept.len() >= before,
        "{} of {before} records are left",
        kept.len()
    );
    assert_eq!(kept[..before], whole[..before]);
    let told = survey(folder, NOW_MS);
    if hit > 0 || at >= opened {
        let (_, end) = told
            .expect("a spool with its beginning")
            .expect("a recording");
        assert!(before == 0 || end > whole[before - 1].0);
    }
}

/// Records whose checksum is right and whose content is anything.
fn sealed(folder: &Path, input: &mut Input<'_>) {
    let mut bytes = Vec::new();
    put_mark(&mut bytes, &Mark::Open(Box::new(opening(10, 2))));
    while !input.is_empty() {
        let (kind, flags) = (input.u8() % 8, input.u8());
        // Marks are JSON that only the recorder writes; `damaged` has them.
        let kind = if kind == 5 { 1 } else { kind };
        let mut rest = vec![kind, flags, input.u8(), 0];
        rest.extend_from_slice(&input.u32().to_le_bytes());
        rest.extend_from_slice(&(input.i64() >> 24).to_le_bytes());
        let payload = input.counted();
        let mut crc = crc32fast::Hasher::new();
        crc.update(&rest);
        crc.update(payload);
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&crc.finalize().to_le_bytes());
        bytes.extend_from_slice(&rest);
        bytes.extend_from_slice(payload);
    }
    write(folder, 0, &bytes);
    let records = read_all(folder, START);
    assert_eq!(records.len(), ends(&bytes).len());
    assert!(survey(folder, NOW_MS).expect("it can be read").is_some());
}

pub fn run(data: &[u8]) {
    thread_local! {
        static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| {
            let memory = Path::new("/dev/shm");
            let made = if memory.is_dir() {
                TempDir::new_in(memory)
            } else {
                TempDir::new()
            };
            made.expect("a temporary folder")
        });
        fresh(folder.path());
        let mut input = Input::new(data);
        match input.u8() % 4 {
            0 => raw(folder.path(), &mut input),
            1 => sealed(folder.path(), &mut input),
            _ => damaged(folder.path(), &mut input),
        }
    });
}
