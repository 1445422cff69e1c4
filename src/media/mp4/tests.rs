//! Reads the head back with an independent reader and finds every sample again.

mod read;

use bytes::{Buf, Bytes};
use mp4_atom::{Atom, Codec, Decode, Ftyp, Header, Moov, StszSamples};
use proptest::prelude::*;
use read::read;

use super::*;
use crate::frame::{AudioCodec, AudioConfig, SampleInfo, VideoCodec, VideoConfig};

const AVCC: &[u8] = &[
    1, 0x4D, 0x00, 0x1E, 0xFC, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 1, 0, 2, 0x68, 0xEE,
];

fn h264(width: u32) -> VideoConfig {
    VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(AVCC),
        width,
        height: 180,
    }
}

fn aac() -> AudioConfig {
    AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x12, 0x10]),
        sample_rate: 44_100,
        channels: 2,
    }
}

fn mp3(sample_rate: u32) -> AudioConfig {
    AudioConfig {
        codec: AudioCodec::Mp3,
        record: Bytes::new(),
        sample_rate,
        channels: 1,
    }
}

fn picture(dts_ms: i64, cts_ms: i32, key: bool, size: u32) -> SampleInfo {
    SampleInfo {
        track: Track::Video,
        dts_ms,
        cts_ms,
        key,
        size,
    }
}

fn sound(dts_ms: i64, size: u32) -> SampleInfo {
    SampleInfo {
        track: Track::Audio,
        dts_ms,
        cts_ms: 0,
        key: false,
        size,
    }
}

fn layout(samples: &[SampleInfo]) -> Layout {
    let mut layout = Layout::new();
    layout.video_config(h264(320)).unwrap();
    layout.audio_config(aac()).unwrap();
    for sample in samples {
        layout.push(*sample).unwrap();
    }
    layout
}

/// What must be found of the pushed samples: offset and size.
fn places(samples: &[SampleInfo], track: Track, head_len: u64) -> Vec<(u64, u32)> {
    let mut at = head_len;
    let mut places = Vec::new();
    for sample in samples {
        if sample.track == track {
            places.push((at, sample.size));
        }
        at += u64::from(sample.size);
    }
    places
}

fn usual(pictures: i64) -> Vec<SampleInfo> {
    let mut samples = Vec::new();
    let mut audio = 0;
    for n in 0..pictures {
        samples.push(picture(
            n * 40,
            [80, 160, 40, 0][n as usize % 4],
            n % 50 == 0,
            900 + n as u32,
        ));
        while audio * 1024 * 1000 / 44_100 < (n + 1) * 40 {
            samples.push(sound(audio * 1024 * 1000 / 44_100, 371));
            audio += 1;
        }
    }
    samples
}

#[test]
fn a_long_file_has_a_head_of_whole_blocks() {
    // The head grows by a few bytes a step, so that the space takes many lengths.
    for more in 0..200 {
        let mut samples = usual(30 + more);
        samples.push(picture(100_000, 0, false, 32 << 20));
        let read = read(&layout(&samples));
        let found = read.samples(VIDEO_TRACK);
        let at: Vec<_> = found.iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(at, places(&samples, Track::Video, read.head_len));
    }
}

#[test]
fn every_sample_is_where_the_index_says() {
    let samples = usual(200);
    let read = read(&layout(&samples));
    assert_eq!(
        read.payload,
        samples.iter().map(|s| u64::from(s.size)).sum::<u64>()
    );
    for (id, track) in [(VIDEO_TRACK, Track::Video), (AUDIO_TRACK, Track::Audio)] {
        let found = read.samples(id);
        let at: Vec<_> = found.iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(at, places(&samples, track, read.head_len));
    }
    let video = read.samples(VIDEO_TRACK);
    for (found, wanted) in video
        .iter()
        .zip(samples.iter().filter(|s| s.track == Track::Video))
    {
        assert_eq!(
            (found.2, found.3),
            (wanted.dts_ms as u64 * 90, i64::from(wanted.cts_ms) * 90)
        );
    }
    let audio = read.samples(AUDIO_TRACK);
    for (n, found) in audio.iter().enumerate() {
        assert_eq!(
            found.2,
            n as u64 * 1024,
            "exact although the stamps are rounded"
        );
    }
    assert_eq!(
        read.stbl(VIDEO_TRACK).stss.as_ref().unwrap().entries,
        [1, 51, 101, 151]
    );
    assert!(read.stbl(AUDIO_TRACK).stss.is_none());
    assert_eq!(
        read.stbl(AUDIO_TRACK).stsz.samples,
        StszSamples::Identical {
            count: audio.len() as u32,
            size: 371
        }
    );
    assert_eq!(read.moov.mvhd.duration, 200 * 40 + 80);
}

#[test]
fn sound_and_picture_start_together() {
    // Presentation of pictures begins at 80 ms, sound at 0: pictures are delayed and skip their reordering.
    let samples = [
        picture(0, 80, true, 1),
        sound(0, 1),
        picture(40, 80, false, 1),
    ];
    let found = read(&layout(&samples));
    assert_eq!(found.edit(VIDEO_TRACK), (80, 80 * 90));
    assert_eq!(found.edit(AUDIO_TRACK), (0, 0));
    // Sound comes later.
    let samples = [
        picture(1_000, 80, true, 1),
        picture(1_040, 80, false, 1),
        sound(1_100, 1),
    ];
    let found = read(&layout(&samples));
    assert_eq!(found.edit(VIDEO_TRACK), (0, 80 * 90));
    assert_eq!(found.edit(AUDIO_TRACK), (20, 0));
    assert_eq!(found.moov.mvhd.duration, 80);
    // Nothing to say.
    let found = read(&layout(&[picture(7, 0, true, 1), sound(7, 1)]));
    assert!(found.moov.trak.iter().all(|trak| trak.edts.is_none()));
    assert_eq!(found.stbl(VIDEO_TRACK).ctts, None);
}

#[test]
fn negative_offsets_keep_their_sign_or_are_moved_up() {
    let cts = [0, 80, -40, -40];
    let samples: Vec<_> = (0..)
        .zip(cts)
        .map(|(n, cts)| picture(n * 40, cts, n == 0, 5))
        .collect();
    let found = read(&layout(&samples));
    let offsets: Vec<_> = found.samples(VIDEO_TRACK).iter().map(|s| s.3).collect();
    assert_eq!(offsets, [0, 7_200, -3_600, -3_600]);
    // A picture presented before the first decoding time.
    let found = read(&layout(&[
        picture(0, 0, true, 5),
        picture(40, -60, false, 5),
    ]));
    let offsets: Vec<_> = found.samples(VIDEO_TRACK).iter().map(|s| s.3).collect();
    assert_eq!(offsets, [20 * 90, -40 * 90]);
    assert_eq!(found.edit(VIDEO_TRACK), (0, 0));
}

#[test]
fn a_file_with_signed_offsets_says_so() {
    for (cts_ms, signed) in [(0, false), (80, false), (-40, true)] {
        let samples = [picture(0, 0, true, 5), picture(40, cts_ms, false, 5)];
        let mut head = layout(&samples).head().unwrap();
        let brands = Ftyp::decode(&mut head).unwrap().compatible_brands;
        assert_eq!(brands.contains(&b"iso4".into()), signed, "{cts_ms}");
    }
}

#[test]
fn four_gigabytes_and_beyond() {
    // A long file's head has whole blocks, and one block is enough for two samples.
    let fits = u32::MAX - HEAD_BLOCK as u32 - 7;
    for (last, wide) in [(7, false), (8, true)] {
        let samples = [picture(0, 0, true, fits), picture(40, 0, true, last)];
        let found = read(&layout(&samples));
        assert_eq!(found.stbl(VIDEO_TRACK).co64.is_some(), wide);
        let at: Vec<_> = found
            .samples(VIDEO_TRACK)
            .iter()
            .map(|s| (s.0, s.1))
            .collect();
        assert_eq!(at, places(&samples, Track::Video, found.head_len));
    }
    // Chunks beyond 4 GiB are found by their 64-bit offsets, and the media data box takes the long form.
    let samples: Vec<_> = (0..10)
        .flat_map(|n| [picture(n * 40, 0, true, 900_000_000), sound(n * 40, 400)])
        .collect();
    let found = read(&layout(&samples));
    assert_eq!(found.payload, 9_000_004_000);
    for (id, track) in [(VIDEO_TRACK, Track::Video), (AUDIO_TRACK, Track::Audio)] {
        let at: Vec<_> = found.samples(id).iter().map(|s| (s.0, s.1)).collect();
        assert_eq!(at, places(&samples, track, found.head_len));
    }
}

#[test]
fn a_new_configuration_is_a_second_description() {
    let mut layout = layout(&[picture(0, 0, true, 10), picture(40, 0, true, 10)]);
    layout.video_config(h264(320)).unwrap(); // no change
    layout.push(picture(80, 0, true, 10)).unwrap();
    layout.video_config(h264(1_280)).unwrap();
    layout.push(picture(120, 0, true, 10)).unwrap();
    layout.audio_config(mp3(22_050)).unwrap(); // before the first sound: holds alone
    layout.push(sound(120, 4)).unwrap();
    layout.video_config(h264(640)).unwrap(); // replaced before a picture came
    layout.video_config(h264(320)).unwrap();
    layout.push(picture(160, 0, true, 10)).unwrap();
    let found = read(&layout);
    let descriptions: Vec<_> = found.samples(VIDEO_TRACK).iter().map(|s| s.4).collect();
    assert_eq!(descriptions, [1, 1, 1, 2, 1]);
    let widths = found
        .stbl(VIDEO_TRACK)
        .stsd
        .codecs
        .iter()
        .map(|codec| match codec {
            Codec::Avc1(avc1) => avc1.visual.width,
            other => panic!("{other:?}"),
        });
    assert_eq!(widths.collect::<Vec<_>>()[..2], [320, 1_280]);
    assert_eq!(found.samples(AUDIO_TRACK)[0].4, 2);
}

#[test]
fn sample_entries_carry_what_the_publisher_sent() {
    let found = read(&layout(&[picture(0, 0, true, 1), sound(0, 1)]));
    let Codec::Avc1(avc1) = &found.stbl(VIDEO_TRACK).stsd.codecs[0] else {
        panic!()
    };
    assert_eq!((avc1.visual.width, avc1.visual.height), (320, 180));
    assert_eq!(avc1.avcc.length_size, 4, "the record said 1");
    assert_eq!(
        avc1.avcc.sequence_parameter_sets,
        [[0x67, 0x4D, 0x00, 0x1E]]
    );
    let Codec::Mp4a(mp4a) = &found.stbl(AUDIO_TRACK).stsd.codecs[0] else {
        panic!()
    };
    let config = &mp4a.esds.es_desc.dec_config;
    assert_eq!(
        (config.object_type_indication, config.stream_type),
        (0x40, 5)
    );
    assert_eq!(config.dec_specific.as_ref().unwrap().raw, [0x12, 0x10]);

    for (rate, object_type, frame) in [(44_100, 0x6B, 1_152), (22_050, 0x69, 576)] {
        let mut layout = Layout::new();
        layout.audio_config(mp3(rate)).unwrap();
        layout.push(sound(0, 5)).unwrap();
        let found = read(&layout);
        let Codec::Mp4a(mp4a) = &found.stbl(AUDIO_TRACK).stsd.codecs[0] else {
            panic!()
        };
        let config = &mp4a.esds.es_desc.dec_config;
        assert_eq!(
            (config.object_type_indication, &config.dec_specific),
            (object_type, &None)
        );
        let mdhd = &found.trak(AUDIO_TRACK).mdia.mdhd;
        assert_eq!((mdhd.timescale, mdhd.duration), (rate, frame));
    }
}

/// High profile, 1920 x 1080, each pixel 4 wide and 3 high.
const WIDE_PIXELS: &[u8] = &[
    1, 0x64, 0x00, 0x28, 0xFF, 0xE1, 0, 14, 0x67, 0x64, 0x00, 0x28, 0xAC, 0xD9, 0x40, 0x78, 0x02,
    0x27, 0xE5, 0xC3, 0x80, 0x20, 1, 0, 2, 0x68, 0xEE,
];

#[test]
fn pixels_that_are_no_squares_are_told() {
    let wide = VideoConfig {
        record: Bytes::from_static(WIDE_PIXELS),
        height: 1_080,
        ..h264(1_920)
    };
    let mut layout = Layout::new();
    layout.video_config(wide).unwrap();
    layout.push(picture(0, 0, true, 1)).unwrap();
    let found = read(&layout);
    let Codec::Avc1(avc1) = &found.stbl(VIDEO_TRACK).stsd.codecs[0] else {
        panic!()
    };
    let pasp = avc1.pasp.as_ref().unwrap();
    assert_eq!((pasp.h_spacing, pasp.v_spacing), (4, 3));
    assert_eq!((avc1.visual.width, avc1.visual.height), (1_920, 1_080));
    let tkhd = &found.trak(VIDEO_TRACK).tkhd;
    assert_eq!(
        (tkhd.width.integer(), tkhd.height.integer()),
        (2_560, 1_080)
    );
}

#[test]
fn a_track_alone_is_cut_into_chunks_of_a_second() {
    let samples: Vec<_> = (0..100).map(|n| picture(n * 40, 0, true, 7)).collect();
    let found = read(&layout(&samples));
    assert_eq!(
        found.moov.trak.len(),
        1,
        "a configured track without samples is left out"
    );
    assert_eq!(
        found.stbl(VIDEO_TRACK).stco.as_ref().unwrap().entries.len(),
        4
    );
    assert_eq!(found.stbl(VIDEO_TRACK).stss, None, "all are key pictures");
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut layout = Layout::new();
    assert!(matches!(layout.head(), Err(MuxError::Empty)));
    assert!(matches!(
        layout.push(sound(0, 1)),
        Err(MuxError::NoConfig(Track::Audio))
    ));
    let bad = VideoConfig {
        record: Bytes::from_static(&[1, 2]),
        ..h264(1)
    };
    assert!(matches!(layout.video_config(bad), Err(MuxError::Codec(_))));
    let silent = AudioConfig {
        sample_rate: 0,
        ..mp3(1)
    };
    assert!(matches!(
        layout.audio_config(silent),
        Err(MuxError::TooMany { .. })
    ));

    layout.video_config(h264(320)).unwrap();
    layout.push(picture(100, 0, true, 1)).unwrap();
    assert!(matches!(
        layout.push(picture(99, 0, true, 1)),
        Err(MuxError::OutOfOrder { .. })
    ));
    assert!(matches!(
        layout.push(picture(i64::MIN, 0, true, 1)),
        Err(MuxError::Time(_))
    ));
    assert!(matches!(
        layout.push(picture(100, i32::MIN, true, 1)),
        Err(MuxError::Time(_))
    ));
    let too_far = 100 + MAX_STEP_MS + 1;
    assert!(matches!(
        layout.push(picture(too_far, 0, true, 1)),
        Err(MuxError::Time(_))
    ));
    layout.push(picture(too_far - 1, 0, true, 1)).unwrap();
    assert_eq!(layout.payload_bytes(), 2);
    assert_eq!(
        read(&layout).samples(VIDEO_TRACK)[1].2,
        MAX_STEP_MS as u64 * 90
    );
}

#[test]
fn configurations_are_bounded() {
    let mut layout = Layout::new();
    for n in 0..=MAX_CONFIGS {
        let taken = layout.video_config(h264(n as u32 + 1));
        assert_eq!(taken.is_ok(), n < MAX_CONFIGS, "{n}");
    }
    let mut layout = Layout::new();
    for n in 0..=MAX_SWITCHES {
        let taken = layout.video_config(h264(1 + n as u32 % 2));
        assert_eq!(taken.is_ok(), n < MAX_SWITCHES, "{n}");
        layout.push(picture(0, 0, true, 1)).unwrap();
    }
}

#[test]
fn boxes_stand_in_the_order_of_a_fast_start() {
    let mut head = layout(&usual(10)).head().unwrap();
    let mut kinds = Vec::new();
    while !head.is_empty() {
        let header = Header::decode(&mut head).unwrap();
        kinds.push(header.kind.to_string());
        head.advance(header.size.unwrap_or(0).min(head.len()));
    }
    assert_eq!(kinds, ["ftyp", Moov::KIND.to_string().as_str(), "mdat"]);
}

proptest! {
    #[test]
    fn any_interleaving_is_found_again(
        steps in prop::collection::vec((any::<bool>(), 0_i64..3_000, -50_i32..200, any::<bool>(), 0_u32..5_000), 1..80)
    ) {
        let (mut samples, mut now) = (Vec::new(), 0);
        for (video, step, cts, key, size) in steps {
            now += step;
            samples.push(if video { picture(now, cts, key, size) } else { sound(now, size) });
        }
        let found = read(&layout(&samples));
        for (id, track) in [(VIDEO_TRACK, Track::Video), (AUDIO_TRACK, Track::Audio)] {
            let wanted = places(&samples, track, found.head_len);
            if !wanted.is_empty() {
                let at: Vec<_> = found.samples(id).iter().map(|s| (s.0, s.1)).collect();
                prop_assert_eq!(at, wanted);
            }
        }
    }
}
