//! What our own muxer writes comes back, in pieces of any size; hostile bytes are passed over.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::flv::file::FlvFile;
use crate::flv::read::{Item, TagReader};
use crate::frame::Track;
use crate::mpegts::units::{MOST_STRAY, MOST_UNIT, SYNC};
use crate::mpegts::{Continuity, PACKET, TsMuxer};

/// Configurations and frames of a fixture.
fn source(file: &'static [u8]) -> (Option<VideoConfig>, Option<AudioConfig>, Vec<Frame>) {
    let (mut video, mut audio, mut frames) = (None, None, Vec::new());
    let mut reader = TagReader::new();
    for tag in FlvFile::new(Bytes::from_static(file)).unwrap() {
        let tag = tag.unwrap();
        let mut sink = |item| match item {
            Item::VideoConfig(config) => video = Some(config),
            Item::AudioConfig(config) => audio = Some(config),
            Item::Video {
                timestamp,
                cts_ms,
                key,
                data,
            } => frames.push(Frame {
                track: Track::Video,
                dts_ms: timestamp.into(),
                cts_ms,
                key,
                data,
            }),
            Item::Audio { timestamp, data } => frames.push(Frame {
                track: Track::Audio,
                dts_ms: timestamp.into(),
                cts_ms: 0,
                key: false,
                data,
            }),
            _ => {}
        };
        reader
            .read(tag.kind, tag.timestamp, tag.payload, &mut sink)
            .unwrap();
    }
    (video, audio, frames)
}

fn muxed(video: Option<&VideoConfig>, audio: Option<&AudioConfig>, frames: &[Frame]) -> Bytes {
    let mut muxer = TsMuxer::new(video, audio, Continuity::default()).unwrap();
    let mut out = BytesMut::new();
    muxer.begin_slice(&mut out);
    for frame in frames {
        muxer.write(frame, &mut out).unwrap();
    }
    out.freeze()
}

fn read(bytes: &[u8], piece: usize) -> Vec<Found> {
    let mut reader = TsReader::new();
    let mut found = Vec::new();
    for part in bytes.chunks(piece) {
        reader.feed(part, &mut |it| found.push(it)).unwrap();
    }
    reader.finish(&mut |it| found.push(it));
    found
}

fn frames_of(found: &[Found], track: Track) -> Vec<Frame> {
    let frames = found.iter().filter_map(|it| match it {
        Found::Frame(frame) if frame.track == track => Some(frame.clone()),
        _ => None,
    });
    frames.collect()
}

/// Every frame comes back with its bytes and its distance from the first one.
fn same(file: &'static [u8]) {
    let (video, audio, frames) = source(file);
    let found = read(&muxed(video.as_ref(), audio.as_ref(), &frames), 1000);
    let Some(Found::Tracks { video: v, audio: a }) = found.first() else {
        panic!("{:?}", found.first())
    };
    assert_eq!((*v, *a), (video.is_some(), audio.is_some()));
    let sizes = found.iter().filter_map(|it| match it {
        Found::Video(config) => Some((config.codec, config.width, config.height)),
        _ => None,
    });
    let wanted = video.iter().map(|it| (it.codec, it.width, it.height));
    assert_eq!(sizes.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    let rates = found.iter().filter_map(|it| match it {
        Found::Audio(config) => Some((config.codec, config.sample_rate, config.channels)),
        _ => None,
    });
    let wanted = audio
        .iter()
        .map(|it| (it.codec, it.sample_rate, it.channels));
    assert_eq!(rates.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    for track in [Track::Video, Track::Audio] {
        let before: Vec<&Frame> = frames.iter().filter(|f| f.track == track).collect();
        let after = frames_of(&found, track);
        assert_eq!(before.len(), after.len(), "{track:?}");
        for (one, other) in before.iter().zip(&after) {
            let apart = (other.dts_ms - after[0].dts_ms) - (one.dts_ms - before[0].dts_ms);
            assert!(apart.abs() <= 1, "{} {}", one.dts_ms, other.dts_ms);
            assert_eq!((one.key, one.cts_ms), (other.key, other.cts_ms));
            if track == Track::Audio {
                assert_eq!(one.data, other.data);
            } else {
                assert!(one.data.ends_with(&other.data[other.data.len() / 2..]));
            }
        }
    }
}

#[test]
fn what_the_muxer_wrote_comes_back() {
    same(include_bytes!("../../../../fixtures/media/h264_aac.flv"));
    same(include_bytes!(
        "../../../../fixtures/media/hevc_enhanced.flv"
    ));
    same(include_bytes!("../../../../fixtures/media/audio_only.flv"));
    same(include_bytes!("../../../../fixtures/media/video_only.flv"));
    same(include_bytes!("../../../../fixtures/media/h264_mp3.flv"));
    same(include_bytes!(
        "../../../../fixtures/media/h264_bframes_aac.flv"
    ));
}

#[test]
fn pieces_of_any_size_are_one_stream() {
    let (video, audio, frames) = source(include_bytes!("../../../../fixtures/media/h264_aac.flv"));
    let stream = muxed(video.as_ref(), audio.as_ref(), &frames[..60]);
    let whole = read(&stream, stream.len());
    for piece in [1, 7, 187, 188, 189, 5000] {
        assert_eq!(read(&stream, piece), whole, "{piece}");
    }
    // Bytes between packets are passed over.
    let mut stray = vec![0_u8; 100];
    stray.extend_from_slice(&stream);
    assert_eq!(read(&stray, 512), whole);
}

#[test]
fn time_stamps_go_on_behind_their_wrap() {
    let (video, _, frames) = source(include_bytes!("../../../../fixtures/media/video_only.flv"));
    // 2^33 ticks are 95,443,717 ms.
    let late: Vec<Frame> = frames
        .iter()
        .map(|frame| Frame {
            dts_ms: frame.dts_ms + 95_443_717 - 3_000,
            ..frame.clone()
        })
        .collect();
    let found = frames_of(
        &read(&muxed(video.as_ref(), None, &late), 4096),
        Track::Video,
    );
    assert_eq!(found.len(), frames.len());
    let last = found.last().unwrap().dts_ms - found[0].dts_ms;
    assert!((last - (frames.last().unwrap().dts_ms - frames[0].dts_ms)).abs() <= 1);
}

#[test]
fn other_files_are_refused() {
    let mut reader = TsReader::new();
    let junk = vec![7_u8; MOST_STRAY + 2 * PACKET];
    assert_eq!(reader.feed(&junk, &mut |_| ()), Err(TsError::Sync(7)));
}

#[test]
fn a_unit_without_an_end_is_refused_at_the_bound() {
    let (video, _, frames) = source(include_bytes!("../../../../fixtures/media/video_only.flv"));
    let stream = muxed(video.as_ref(), None, &frames[..1]);
    let mut reader = TsReader::new();
    reader.feed(&stream, &mut |_| ()).unwrap();
    let mut packet = [0_u8; PACKET];
    packet[..4].copy_from_slice(&[SYNC, 0x01, 0x00, 0x10]);
    let mut outcome = Ok(());
    let mut fed = 0;
    while outcome.is_ok() && fed < 2 * MOST_UNIT {
        outcome = reader.feed(&packet, &mut |_| ());
        fed += PACKET;
    }
    assert_eq!(outcome, Err(TsError::TooLarge));
    assert!(fed <= MOST_UNIT + MOST_UNIT / 16);
}

proptest! {
    #[test]
    fn hostile_packets_are_no_danger(packets in proptest::collection::vec((0_u16..3, any::<u8>(), proptest::collection::vec(any::<u8>(), 184)), 1..40)) {
        let mut reader = TsReader::new();
        for (pid, flags, body) in packets {
            let pid = [0_u16, 0x1000, 0x100][usize::from(pid)].to_be_bytes();
            let mut packet = vec![SYNC, pid[0] | flags & 0x40, pid[1], 0x10 | flags & 0x20];
            packet.extend(body);
            let _ = reader.feed(&packet, &mut |_| ());
        }
        reader.finish(&mut |_| ());
    }
}
