//! What our own muxer writes comes out in units, however it is cut; other bytes are refused or passed over.

use super::*;
use crate::frame::{AudioCodec, AudioConfig, Frame, VideoCodec, VideoConfig};
use crate::mpegts::{Continuity, TsMuxer};

const AVCC: &[u8] = &[
    1, 0x4D, 0x00, 0x1E, 0xFF, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 1, 0, 2, 0x68, 0xEE,
];

fn stream() -> (Vec<Frame>, Bytes) {
    let video = VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(AVCC),
        width: 0,
        height: 0,
    };
    let audio = AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
    };
    let mut muxer = TsMuxer::new(Some(&video), Some(&audio), Continuity::default()).unwrap();
    let mut out = BytesMut::new();
    muxer.begin_slice(&mut out);
    let mut frames = Vec::new();
    for n in 0..20_u8 {
        let size = 200 + usize::from(n) * 37;
        let mut picture = BytesMut::new();
        picture.extend_from_slice(&(size as u32).to_be_bytes());
        picture.extend_from_slice(&[if n % 10 == 0 { 0x65 } else { 0x41 }]);
        picture.resize(4 + size, n);
        for (track, data) in [
            (Track::Video, picture.freeze()),
            (Track::Audio, Bytes::from(vec![n; 60])),
        ] {
            let frame = Frame {
                track,
                dts_ms: i64::from(n) * 40,
                cts_ms: 0,
                key: track == Track::Video && n % 10 == 0,
                data,
            };
            muxer.write(&frame, &mut out).unwrap();
            frames.push(frame);
        }
    }
    (frames, out.freeze())
}

fn unit(it: Demuxed) -> Option<Unit> {
    match it {
        Demuxed::Unit(unit) => Some(unit),
        Demuxed::Programme(_) => None,
    }
}

fn read(bytes: &[u8], step: usize) -> (Vec<Unit>, u64) {
    let mut reader = TsUnits::new();
    let mut units = Vec::new();
    for piece in bytes.chunks(step) {
        reader
            .feed(piece, &mut |it| units.extend(unit(it)))
            .unwrap();
    }
    reader.end(&mut |it| units.extend(unit(it)));
    (units, reader.gaps())
}

#[test]
fn what_was_muxed_comes_out_however_it_is_cut() {
    let (frames, bytes) = stream();
    for step in [1, 188, 500, bytes.len()] {
        let (units, gaps) = read(&bytes, step);
        assert_eq!((units.len(), gaps), (frames.len(), 0));
        for track in [Track::Video, Track::Audio] {
            let of = |units: &[Unit]| -> Vec<Unit> {
                units.iter().filter(|u| u.track == track).cloned().collect()
            };
            let sent = frames.iter().filter(|frame| frame.track == track);
            for (unit, frame) in of(&units).iter().zip(sent) {
                let payload = match track {
                    Track::Video => frame.data.slice(4..),
                    Track::Audio => frame.data.clone(),
                };
                assert!(unit.data.ends_with(&payload));
                assert_eq!(unit.pts, Some(frame.dts_ms * 90 + 126_000));
                assert!(!frame.key || unit.random_access);
            }
        }
    }
}

#[test]
fn a_missing_packet_is_told() {
    let (_, bytes) = stream();
    // The sixth packet lies inside the second picture.
    let cut = [&bytes[..5 * PACKET], &bytes[6 * PACKET..]].concat();
    assert!(read(&cut, 188).1 > 0);
}

#[test]
fn other_bytes_are_refused() {
    let mut reader = TsUnits::new();
    let failure = Err(TsError::Sync(b'<'));
    assert_eq!(reader.feed(&[b'<'; 188], &mut |_| {}), failure);
    assert_eq!(reader.feed(&[], &mut |_| {}), failure);
}

#[test]
fn a_programme_that_changes_ends_what_it_names_no_more() {
    let (_, bytes) = stream();
    let (pictures, sound) = (0x100, 0x101);
    let id = |pid, stream_type| Some(StreamId { pid, stream_type });
    let both = Programme {
        video: id(pictures, 0x1B),
        audio: id(sound, 0x0F),
    };
    let mut found = Vec::new();
    let mut reader = TsUnits::new();
    reader.feed(&bytes, &mut |it| found.push(it)).unwrap();
    assert_eq!(found.first(), Some(&Demuxed::Programme(both)));
    let tables = found
        .iter()
        .filter(|it| matches!(it, Demuxed::Programme(_)));
    assert_eq!(tables.count(), 1);
    // The next table has no sound: its unit under way is told, and then the programme.
    let config = VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(AVCC),
        width: 0,
        height: 0,
    };
    let mut muxer = TsMuxer::new(Some(&config), None, Continuity::default()).unwrap();
    let mut tables = BytesMut::new();
    muxer.begin_slice(&mut tables);
    found.clear();
    reader.feed(&tables, &mut |it| found.push(it)).unwrap();
    let Some((Demuxed::Unit(last), rest)) = found.split_first() else {
        panic!("{found:?}")
    };
    assert_eq!(last.track, Track::Audio);
    let alone = Programme {
        audio: None,
        ..both
    };
    assert_eq!(rest, [Demuxed::Programme(alone)]);
}

#[test]
fn a_forgiving_reader_finds_the_packets_between_other_bytes() {
    let (frames, bytes) = stream();
    let mut reader = TsUnits::forgiving();
    let mut units = Vec::new();
    let stray = vec![7_u8; 1000];
    for bytes in [&stray[..], &bytes, &stray] {
        reader
            .feed(bytes, &mut |it| units.extend(unit(it)))
            .unwrap();
    }
    reader.end(&mut |it| units.extend(unit(it)));
    assert_eq!(units.len(), frames.len());
}
