//! Access units: however a publisher cuts its pictures into messages, they come out as whole units, each with the beginning of a picture,
//! in the order of their arrival; no slice of an accepted message is lost, and no sound.

use bytes::Bytes;
use localyun::testing::media::access_unit::{AccessUnits, Arrived};
use localyun::testing::media::codec::unit::{Kind, kind, units};
use localyun::testing::media::frame::{Frame, Track, VideoCodec, VideoConfig};

use crate::input::Input;

/// Main, interlaced: pictures may be fields.
const AVCC: &[u8] = b"\x01\x4d\x40\x28\xff\xe1\x00\x19\x67\x4d\x40\x28\xf4\x03\xc0\x22\x7e\xf0\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x3c\x1f\x16\x2e\xa0\x01\x00\x04\x68\xde\x0f\xc8";

fn config(codec: VideoCodec) -> VideoConfig {
    VideoConfig {
        codec,
        record: Bytes::from_static(AVCC),
        width: 0,
        height: 0,
    }
}

fn slices(codec: VideoCodec, data: &[u8]) -> usize {
    let is_slice = |unit| matches!(kind(codec, unit), Kind::Begins | Kind::Continues);
    units(data).filter(|(_, unit)| is_slice(unit)).count()
}

fn is_whole(data: &[u8]) -> bool {
    let end = units(data).map(|(at, unit)| at + 4 + unit.len()).last();
    end.unwrap_or(0) == data.len()
}

fn message(input: &mut Input<'_>, flags: u8, codec: VideoCodec) -> Vec<u8> {
    if codec == VideoCodec::Mpeg4 {
        let mut data = if flags & 0x20 != 0 {
            vec![0, 0, 1, 0xB6]
        } else {
            Vec::new()
        };
        data.extend(input.counted());
        return data;
    }
    let mut data = Vec::new();
    for _ in 0..1 + (flags >> 5) {
        // What decides of a unit comes first, so that a few bytes make every kind.
        let head = [input.u8(), input.u8(), input.u8()];
        let length = usize::from(input.u8() & 0x3F);
        let tail = input.take(length);
        data.extend(u32::try_from(3 + tail.len()).expect("short").to_be_bytes());
        data.extend(head);
        data.extend(tail);
    }
    data
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut codec =
        [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mpeg4][usize::from(input.u8() % 3)];
    let mut reader = AccessUnits::default();
    let mut out: Vec<(VideoCodec, Arrived)> = Vec::new();
    reader.configure(&config(codec), &mut |_| panic!("nothing is held"));
    let (mut sent_slices, mut sounds, mut bytes, mut refused) = (0, Vec::new(), 0, false);
    let mut at = 0;
    let mut timestamp = 0_u32;
    while !input.is_empty() {
        let flags = input.u8();
        timestamp = match flags & 0x18 {
            0 => timestamp,
            8 => timestamp.wrapping_add(input.u8().into()),
            16 => timestamp.wrapping_sub(u32::from(input.u8()) << 4),
            _ => input.u32(),
        };
        at += 1;
        let mut sink = |frame| out.push((codec, frame));
        match flags & 7 {
            0 => reader.settle(&mut sink),
            1 if flags & 0xE0 == 0xE0 => {
                let next = [VideoCodec::H264, VideoCodec::H265, VideoCodec::Mpeg4]
                    [usize::from(input.u8() % 3)];
                reader.configure(&config(next), &mut sink);
                // What waits for a picture of the old codec goes with it; it holds no slice.
                codec = next;
            }
            1 | 2 => {
                sounds.push(at);
                let frame = Frame {
                    track: Track::Audio,
                    dts_ms: 0,
                    cts_ms: 0,
                    key: false,
                    data: Bytes::from_static(b"sound"),
                };
                reader.audio(
                    Arrived {
                        frame,
                        timestamp,
                        at,
                    },
                    &mut sink,
                );
            }
            _ => {
                let data = message(&mut input, flags, codec);
                bytes += data.len();
                if codec != VideoCodec::Mpeg4 {
                    sent_slices += slices(codec, &data);
                }
                let frame = Frame {
                    track: Track::Video,
                    dts_ms: 0,
                    cts_ms: 0,
                    key: flags & 0x80 != 0,
                    data: data.into(),
                };
                refused |= reader
                    .video(
                        Arrived {
                            frame,
                            timestamp,
                            at,
                        },
                        &mut sink,
                    )
                    .is_err();
            }
        }
    }
    reader.settle(&mut |frame| out.push((codec, frame)));
    assert!(reader.held().is_none());

    let (mut came_slices, mut came_sounds, mut came_bytes, mut last) = (0, Vec::new(), 0, 0);
    for (codec, arrived) in &out {
        assert!(arrived.at >= last, "out of order");
        last = arrived.at;
        let data = &arrived.frame.data;
        if arrived.frame.track == Track::Audio {
            came_sounds.push(arrived.at);
            continue;
        }
        came_bytes += data.len();
        if *codec != VideoCodec::Mpeg4 {
            assert!(is_whole(data), "units that do not fill the picture");
            let first = units(data).map(|(_, unit)| kind(*codec, unit));
            let mut first = first.filter(|kind| matches!(kind, Kind::Begins | Kind::Continues));
            assert_eq!(first.next(), Some(Kind::Begins));
            came_slices += slices(*codec, data);
        }
    }
    assert_eq!(came_sounds, sounds);
    assert!(came_bytes <= bytes, "more than was sent");
    assert!(came_slices <= sent_slices);
    if !refused {
        assert_eq!(came_slices, sent_slices);
    }
}
