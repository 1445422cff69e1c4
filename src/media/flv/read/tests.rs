//! Tags as publishers send them, made by hand, and hostile ones.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::{AudioCodec, VideoCodec};

/// Constrained Baseline, 1280 x 720.
const AVCC: &[u8] = &[
    1, 0x64, 0, 0x1F, 0xFF, 0xE1, 0, 0x0C, 0x67, 0x42, 0xC0, 0x1F, 0xDA, 0x01, 0x40, 0x16, 0xE8,
    0x40, 0, 0, 1, 0, 2, 0x68, 0xCE,
];

fn read(reader: &mut TagReader, kind: TagKind, body: &[u8]) -> Result<Vec<Item>, TagError> {
    let mut items = Vec::new();
    reader
        .read(kind, 1_000, Bytes::copy_from_slice(body), &mut |item| {
            items.push(item);
        })
        .map(|()| items)
}

fn video(reader: &mut TagReader, head: &[u8], rest: &[u8]) -> Result<Vec<Item>, TagError> {
    read(reader, TagKind::Video, &[head, rest].concat())
}

fn audio(reader: &mut TagReader, head: &[u8], rest: &[u8]) -> Result<Vec<Item>, TagError> {
    read(reader, TagKind::Audio, &[head, rest].concat())
}

#[test]
fn h264_in_legacy_tags() {
    let mut reader = TagReader::new();
    let items = video(&mut reader, &[0x17, 0, 0, 0, 0], AVCC).unwrap();
    let [Item::VideoConfig(config)] = items.as_slice() else {
        panic!("{items:?}");
    };
    assert_eq!(config.codec, VideoCodec::H264);
    assert_eq!((config.width, config.height), (1280, 720));
    assert_eq!(config.record, AVCC);

    let repeated = video(&mut reader, &[0x17, 0, 0, 0, 0], AVCC).unwrap();
    assert!(repeated.is_empty());

    let key = video(&mut reader, &[0x17, 1, 0, 0, 80], &[0, 0, 0, 1, 0x65]).unwrap();
    let expected = |key: bool, cts_ms: i32, unit: u8| Item::Video {
        timestamp: 1_000,
        cts_ms,
        key,
        data: Bytes::copy_from_slice(&[0, 0, 0, 1, unit]),
    };
    assert_eq!(key, [expected(true, 80, 0x65)]);
    let inter = video(
        &mut reader,
        &[0x27, 1, 0xFF, 0xFF, 0xFE],
        &[0, 0, 0, 1, 0x41],
    )
    .unwrap();
    assert_eq!(inter, [expected(false, -2, 0x41)]);
    let end = video(&mut reader, &[0x17, 2, 0, 0, 0], &[]).unwrap();
    assert_eq!(
        end,
        [Item::End {
            track: Track::Video
        }]
    );
}

#[test]
fn short_nal_lengths_become_long_in_config_and_pictures() {
    let mut reader = TagReader::new();
    let mut short = AVCC.to_vec();
    short[4] = 0xFD;
    let items = video(&mut reader, &[0x17, 0, 0, 0, 0], &short).unwrap();
    assert!(matches!(&items[..], [Item::VideoConfig(config)] if config.record == AVCC));
    let items = video(&mut reader, &[0x17, 1, 0, 0, 0], &[0, 2, 0x65, 1]).unwrap();
    assert!(
        matches!(&items[..], [Item::Video { data, .. }] if data.as_ref() == [0, 0, 0, 2, 0x65, 1])
    );
}

#[test]
fn a_changed_config_is_told_again() {
    let mut reader = TagReader::new();
    video(&mut reader, &[0x17, 0, 0, 0, 0], AVCC).unwrap();
    let mut changed = AVCC.to_vec();
    changed[3] = 0x28;
    let items = video(&mut reader, &[0x17, 0, 0, 0, 0], &changed).unwrap();
    assert!(matches!(&items[..], [Item::VideoConfig(config)] if config.record == changed));
}

#[test]
fn h265_as_codec_12_and_as_fourcc_give_the_same() {
    let hvcc = hvcc();
    let legacy = {
        let mut reader = TagReader::new();
        let mut items = video(&mut reader, &[0x1C, 0, 0, 0, 0], &hvcc).unwrap();
        items.extend(video(&mut reader, &[0x1C, 1, 0, 0, 40], &[0, 0, 0, 1, 0x26]).unwrap());
        items
    };
    let extended = {
        let mut reader = TagReader::new();
        let mut items = video(&mut reader, b"\x90hvc1", &hvcc).unwrap();
        let coded = video(&mut reader, b"\x91hvc1\0\0\x28", &[0, 0, 0, 1, 0x26]);
        items.extend(coded.unwrap());
        items
    };
    assert_eq!(legacy, extended);
    assert!(
        matches!(&legacy[..], [Item::VideoConfig(config), Item::Video { cts_ms: 40, .. }]
        if config.codec == VideoCodec::H265)
    );

    let mut reader = TagReader::new();
    video(&mut reader, b"\x90hvc1", &hvcc).unwrap();
    let without_cts = video(&mut reader, b"\xA3hvc1", &[0, 0, 0, 1, 2]).unwrap();
    assert!(matches!(
        without_cts[..],
        [Item::Video {
            cts_ms: 0,
            key: false,
            ..
        }]
    ));
    let end = video(&mut reader, b"\x92hvc1", &[]).unwrap();
    assert!(matches!(end[..], [Item::End { .. }]));
    assert_eq!(video(&mut reader, b"\x94hvc1", b"colorInfo").unwrap(), []);
}

#[test]
fn mpeg4_part_2_with_a_record_or_with_headers_in_the_picture() {
    let headers = [
        0, 0, 1, 0xB0, 1, 0, 0, 1, 0x20, 0, 0xC4, 0x8D, 0x88, 0, 0xCD, 0x0A, 0x04, 0x1E, 0x14, 0x63,
    ];
    let picture = [0, 0, 1, 0xB6, 0x10, 0x60];
    let mut reader = TagReader::new();
    let items = video(&mut reader, &[0x19, 0, 0, 0, 0], &headers).unwrap();
    assert!(
        matches!(&items[..], [Item::VideoConfig(config)] if (config.width, config.height) == (320, 240))
    );
    let items = video(&mut reader, &[0x19, 1, 0, 0, 0], &picture).unwrap();
    assert!(matches!(&items[..], [Item::Video { data, .. }] if data.as_ref() == picture));

    let mut reader = TagReader::new();
    assert_eq!(video(&mut reader, &[0x19, 0, 0, 0, 0], &[]).unwrap(), []);
    let items = video(&mut reader, &[0x29, 1, 0, 0, 0], &picture).unwrap();
    let [Item::Unsupported { codec, cure, .. }] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(codec, "MPEG-4 part 2 without decoder headers");
    assert!(cure.unwrap().contains("-flags:v -global_header"));
    let both = [&headers[..], &picture[..]].concat();
    let items = video(&mut reader, &[0x19, 1, 0, 0, 0], &both).unwrap();
    assert!(
        matches!(&items[..], [Item::VideoConfig(config), Item::Video { data, .. }]
        if config.record == headers[..] && data == &both)
    );
}

#[test]
fn aac_in_both_kinds_of_tags() {
    for (config_head, frame_head) in [(&[0xAF, 0][..], &[0xAF, 1][..]), (b"\x90mp4a", b"\x91mp4a")]
    {
        let mut reader = TagReader::new();
        assert_eq!(
            audio(&mut reader, frame_head, &[1, 2]),
            Err(TagError::NoConfig(Track::Audio))
        );
        let items = audio(&mut reader, config_head, &[0x12, 0x10]).unwrap();
        let expected = AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x12, 0x10]),
            sample_rate: 44_100,
            channels: 2,
        };
        assert_eq!(items, [Item::AudioConfig(expected)]);
        assert_eq!(audio(&mut reader, config_head, &[0x12, 0x10]).unwrap(), []);
        let items = audio(&mut reader, frame_head, &[1, 2]).unwrap();
        assert!(
            matches!(&items[..], [Item::Audio { timestamp: 1_000, data }] if data.as_ref() == [1, 2])
        );
    }
}

#[test]
fn mp3_frames_are_split_and_a_changed_rate_is_told() {
    let frame = |second: u8, third: u8, size: usize| {
        let mut frame = vec![0xFF, second, third, 0];
        frame.resize(size, 0x55);
        frame
    };
    let stereo_44 = frame(0xFB, 0x90, 417);
    let rate_48 = frame(0xFB, 0x94, 384);
    let mut reader = TagReader::new();
    let body = [&stereo_44[..], &stereo_44, &rate_48].concat();
    let items = audio(&mut reader, &[0x2F], &body).unwrap();
    let [
        Item::AudioConfig(first),
        Item::Audio {
            timestamp: 1_000,
            data,
        },
        Item::Audio {
            timestamp: 1_026, ..
        },
        Item::AudioConfig(second),
        Item::Audio {
            timestamp: 1_048, ..
        },
    ] = items.as_slice()
    else {
        panic!("{items:?}");
    };
    assert_eq!((first.sample_rate, second.sample_rate), (44_100, 48_000));
    assert_eq!(data, &stereo_44);
    let again = audio(&mut reader, b"\x91.mp3", &rate_48).unwrap();
    assert!(matches!(again[..], [Item::Audio { .. }]));
    assert_eq!(
        audio(&mut reader, &[0x2F], &stereo_44[..416]),
        Err(TagError::Mp3Frame {
            needed: 417,
            left: 416
        })
    );
}

#[test]
fn unsupported_codecs_are_named_once() {
    for (head, name) in [
        (&[0x22][..], "Sorenson H.263"),
        (&[0x14], "On2 VP6"),
        (b"\x90av01", "AV1"),
        (b"\x90vp09", "VP9"),
        (b"\x90\x01\xFFx ", "..x "),
        // The default track of several, and behind a ModEx packet of three bytes.
        (b"\x96\x00av01\x00", "AV1"),
        (b"\x97\x02\0\0\x01\x00vp09", "VP9"),
    ] {
        let mut reader = TagReader::new();
        let first = video(&mut reader, head, &[0; 8]).unwrap();
        assert_eq!(first, [unsupported(Track::Video, name)]);
        assert_eq!(video(&mut reader, head, &[0; 8]).unwrap(), []);
    }
    for (head, name) in [
        (&[0xB2][..], "Speex"),
        (&[0x62], "Nellymoser"),
        (&[0x32], "Linear PCM"),
        (b"\x90Opus", "Opus"),
        (b"\x91fLaC", "FLAC"),
        (b"\x91ac-3", "AC-3"),
        (b"\x95\x00Opus\x00", "Opus"),
        (b"\x97\x02\0\0\x01\x00fLaC", "FLAC"),
    ] {
        let mut reader = TagReader::new();
        let first = audio(&mut reader, head, &[0; 8]).unwrap();
        assert_eq!(first, [unsupported(Track::Audio, name)]);
        assert_eq!(audio(&mut reader, head, &[0; 8]).unwrap(), []);
    }
}

#[test]
fn metadata_with_and_without_set_data_frame() {
    use crate::amf0::{Value, encode};
    let fields = Value::EcmaArray(vec![
        ("width".into(), 1280.0.into()),
        ("height".into(), (-1.0).into()),
        ("framerate".into(), 29.97.into()),
        ("videodatarate".into(), 2500.9.into()),
        ("audiodatarate".into(), f64::NAN.into()),
        ("encoder".into(), "Lavf".into()),
    ]);
    let expected = Metadata {
        width: Some(1280),
        frame_rate: Some(29.97),
        video_kbps: Some(2500),
        encoder: Some("Lavf".into()),
        ..Metadata::default()
    };
    let body = |names: &[&str]| {
        let mut body = bytes::BytesMut::new();
        for name in names {
            encode(&(*name).into(), &mut body);
        }
        encode(&fields, &mut body);
        body
    };
    let mut reader = TagReader::new();
    for names in [&["onMetaData"][..], &["@setDataFrame", "onMetaData"]] {
        let items = read(&mut reader, TagKind::Data, &body(names)).unwrap();
        assert_eq!(items, [Item::Metadata(expected.clone())]);
    }
    let other = read(&mut reader, TagKind::Data, &body(&["onTextData"])).unwrap();
    assert!(other.is_empty());
    assert_eq!(
        read(&mut reader, TagKind::Data, &[2, 0]),
        Err(TagError::Metadata(Amf0Error::Truncated))
    );
}

#[test]
fn broken_tags_are_dropped_and_reading_goes_on() {
    let mut reader = TagReader::new();
    assert_eq!(
        video(&mut reader, &[0x17, 1, 0, 0, 0], &[0, 0, 0, 1, 5]),
        Err(TagError::NoConfig(Track::Video))
    );
    assert_eq!(
        video(&mut reader, &[0x17, 0, 0], &[]),
        Err(TagError::Truncated(Track::Video))
    );
    assert!(video(&mut reader, &[0x17, 0, 0, 0, 0], &AVCC[..9]).is_err());
    let huge = vec![1; MAX_RECORD + 1];
    assert!(video(&mut reader, &[0x17, 0, 0, 0, 0], &huge).is_err());
    video(&mut reader, &[0x17, 0, 0, 0, 0], AVCC).unwrap();
    assert_eq!(
        video(&mut reader, &[0x17, 1, 0, 0, 0], &[0, 0, 0, 9, 5]),
        Err(TagError::NalLengths { size: 5 })
    );
    let items = video(&mut reader, &[0x17, 1, 0, 0, 0], &[0, 0, 0, 1, 5]).unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(read(&mut reader, TagKind::Video, &[]).unwrap(), []);
    assert_eq!(read(&mut reader, TagKind::Audio, &[]).unwrap(), []);
}

/// Clip, pictures, key frames, audio frames: as ffprobe counts them, the sequence ends and headers left out.
#[test]
fn clips_of_real_encoders() {
    for (clip, pictures, keys, sounds) in [
        ("h264_aac", 250, 5, 431),
        ("h264_bframes_aac", 250, 5, 431),
        ("h264_mp3", 250, 5, 384),
        ("hevc_id12", 250, 5, 431),
        ("hevc_enhanced", 250, 5, 431),
        ("audio_only", 0, 0, 431),
    ] {
        let path = format!(
            "{}/../../fixtures/media/{clip}.flv",
            env!("CARGO_MANIFEST_DIR")
        );
        let file = crate::flv::file::FlvFile::new(std::fs::read(path).unwrap().into());
        let mut reader = TagReader::new();
        let mut found = (0, 0, 0);
        for tag in file.unwrap() {
            let tag = tag.unwrap();
            let mut count = |item: Item| match item {
                Item::Video { key, .. } => {
                    found.0 += 1;
                    found.1 += i32::from(key);
                }
                Item::Audio { .. } => found.2 += 1,
                _ => {}
            };
            reader
                .read(tag.kind, tag.timestamp, tag.payload, &mut count)
                .unwrap();
        }
        assert_eq!(found, (pictures, keys, sounds), "{clip}");
    }
}

/// AVC and AAC headers and a frame of each in track `number` of a multitrack message of `kind`.
fn in_track(kind: u8, number: u8, packet_type: u8, fourcc: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind << 4 | packet_type];
    if kind != 2 {
        out.extend(fourcc);
    }
    out.extend(share(kind, number, fourcc, body));
    out
}

fn share(kind: u8, number: u8, fourcc: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if kind == 2 {
        out.extend(fourcc);
    }
    out.push(number);
    if kind != 0 {
        out.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    }
    out.extend(body);
    out
}

#[test]
fn of_several_tracks_the_default_one_is_read_and_the_others_are_named_once() {
    for kind in 0..3 {
        let mut reader = TagReader::new();
        let config = in_track(kind, 0, 0, b"avc1", AVCC);
        let items = video(&mut reader, &[0x96], &config).unwrap();
        assert!(matches!(&items[..], [Item::VideoConfig(_)]), "{items:?}");
        let mut picture = in_track(kind, 0, 3, b"avc1", &[0, 0, 0, 1, 0x65]);
        if kind != 0 {
            picture.extend(share(kind, 3, b"avc1", &[1, 2]));
        }
        let items = video(&mut reader, &[0x96], &picture).unwrap();
        assert!(
            matches!(&items[0], Item::Video { data, key: true, .. } if data[..] == [0, 0, 0, 1, 0x65])
        );
        let named = Item::Ignored {
            what: "video track 3 (H.264)".to_owned(),
        };
        assert_eq!(&items[1..], &[named][..usize::from(kind != 0)]);
        let again = video(&mut reader, &[0x96], &picture).unwrap();
        assert_eq!(again.len(), 1);
        // Cut anywhere in the header of a track it is broken, and the next one is read.
        for end in 1..picture.len().min(10) {
            let _ = video(&mut reader, &[0x96], &picture[..end]);
        }
        assert_eq!(video(&mut reader, &[0x96], &picture).unwrap().len(), 1);
    }
    let mut reader = TagReader::new();
    let other = in_track(0, 1, 1, b"Opus", &[1, 2, 3]);
    let items = audio(&mut reader, &[0x95], &other).unwrap();
    let named = Item::Ignored {
        what: "audio track 1 (Opus)".to_owned(),
    };
    assert_eq!(items, [named]);
    assert_eq!(audio(&mut reader, &[0x95], &other).unwrap(), []);
    // A form to come has its tracks elsewhere.
    assert_eq!(audio(&mut reader, &[0x95], &[0x31, 1, 2]).unwrap(), []);
}

#[test]
fn tracks_without_a_default_one_are_no_recording() {
    let mut reader = TagReader::new();
    let mut items = Vec::new();
    for n in 0..200_u32 {
        let mut body = vec![0x95];
        body.extend(in_track(0, 2, 1, b"mp4a", &[7]));
        let mut sink = |item| items.push(item);
        reader
            .read(
                TagKind::Audio,
                (u32::MAX - 999).wrapping_add(n * 23),
                body.into(),
                &mut sink,
            )
            .unwrap();
    }
    let said = "sound that is in no default track (number 0)";
    assert!(matches!(&items[0], Item::Ignored { .. }));
    assert_eq!(items[1..], [unsupported(Track::Audio, said)]);
}

#[test]
fn mod_ex_of_any_size_is_passed_over() {
    for size in [1_usize, 3, 255, 256, 65_536] {
        let mut body = match size {
            ..256 => vec![u8::try_from(size - 1).unwrap()],
            _ => [&[255][..], &u16::try_from(size - 1).unwrap().to_be_bytes()].concat(),
        };
        body.extend(vec![7; size]);
        body.push(0x10); // a type to come, then the sequence start
        body.extend(b"avc1");
        body.extend(AVCC);
        let mut reader = TagReader::new();
        let items = video(&mut reader, &[0x97], &body).unwrap();
        assert!(matches!(&items[..], [Item::VideoConfig(_)]), "{size}");
        assert_eq!(
            video(&mut reader, &[0x97], &body[..size]),
            Err(TagError::Truncated(Track::Video))
        );
    }
}

proptest! {
    #[test]
    fn any_tags_give_an_answer(
        tags in proptest::collection::vec(
            (0..3_usize, proptest::collection::vec(any::<u8>(), 0..64)), 0..32),
    ) {
        let mut reader = TagReader::new();
        for (kind, body) in tags {
            let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][kind];
            let sent = body.len();
            if let Ok(items) = read(&mut reader, kind, &body) {
                let handed: usize = items.iter().map(|item| match item {
                    Item::Video { data, .. } | Item::Audio { data, .. } => data.len(),
                    _ => 0,
                }).sum();
                prop_assert!(handed <= sent * 4);
            }
        }
    }

    #[test]
    fn codec_like_tags_give_an_answer(
        tags in proptest::collection::vec(
            (prop_oneof![Just(0x17_u8), Just(0x1C), Just(0x19), Just(0x90), Just(0x91)],
             0..3_u8,
             proptest::collection::vec(any::<u8>(), 3..40)),
            0..32),
    ) {
        let mut reader = TagReader::new();
        let _ = video(&mut reader, &[0x17, 0, 0, 0, 0], AVCC);
        for (first, packet_type, rest) in tags {
            let _ = video(&mut reader, &[first, packet_type], &rest);
            let _ = audio(&mut reader, &[first, packet_type], &rest);
        }
    }
}

fn unsupported(track: Track, codec: &str) -> Item {
    Item::Unsupported {
        track,
        codec: codec.to_owned(),
        cure: None,
    }
}

/// A record without parameter sets: legal, though the picture size is unknown.
fn hvcc() -> Vec<u8> {
    let mut record = vec![1, 1];
    record.extend([0; 10]);
    record.push(93);
    record.extend([0; 8]);
    record.extend([0x0F, 0]);
    record
}
