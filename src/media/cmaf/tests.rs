//! Reads init segment and fragments back with the boxes of an independent library.

use bytes::{Buf, Bytes};
use mp4_atom::{Codec, Decode, Ftyp, Moof, Moov, Styp, Traf};
use proptest::prelude::*;

use super::*;
use crate::frame::{AudioCodec, VideoCodec};

fn h264() -> VideoConfig {
    VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[
            1, 0x4D, 0x00, 0x1E, 0xFF, 0xE1, 0, 4, 0x67, 0x4D, 0x00, 0x1E, 1, 0, 2, 0x68, 0xEE,
        ]),
        width: 320,
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

fn fragmenter(start: Position) -> Fragmenter {
    Fragmenter::new(Some(&h264()), Some(&aac()), start).unwrap()
}

/// The fragment box, its length, and the payload bytes that the media data box announces.
fn read(mut head: Bytes) -> (Moof, u64, u64) {
    Styp::decode(&mut head).unwrap();
    let before = head.len();
    let moof = Moof::decode(&mut head).unwrap();
    let moof_len = (before - head.len()) as u64;
    let mdat = u64::from(head.get_u32());
    assert_eq!(head.split_to(4)[..], *b"mdat");
    assert!(head.is_empty());
    (moof, moof_len, mdat - 8)
}

/// Position in the payload and size of every sample of a track.
fn places(traf: &Traf, moof_len: u64) -> Vec<(u64, u32)> {
    let mut places = Vec::new();
    for trun in &traf.trun {
        let mut at = trun.data_offset.unwrap() as u64 - moof_len - 8;
        for sample in &trun.samples {
            places.push((at, sample.size.unwrap()));
            at += u64::from(sample.size.unwrap());
        }
    }
    places
}

fn length(traf: &Traf) -> u64 {
    let samples = traf.trun.iter().flat_map(|trun| trun.samples.iter());
    samples
        .map(|sample| u64::from(sample.duration.unwrap()))
        .sum()
}

fn base(traf: &Traf) -> u64 {
    traf.tfdt.as_ref().unwrap().base_media_decode_time
}

#[test]
fn the_init_segment_describes_both_tracks() {
    let mut init = init_segment(Some(&h264()), Some(&aac())).unwrap();
    Ftyp::decode(&mut init).unwrap();
    let moov = Moov::decode(&mut init).unwrap();
    assert!(init.is_empty());
    let [video, audio] = moov.trak.as_slice() else {
        panic!()
    };
    assert!(matches!(
        video.mdia.minf.stbl.stsd.codecs[0],
        Codec::Avc1(_)
    ));
    assert!(matches!(
        audio.mdia.minf.stbl.stsd.codecs[0],
        Codec::Mp4a(_)
    ));
    assert_eq!(
        (video.mdia.mdhd.timescale, audio.mdia.mdhd.timescale),
        (90_000, 44_100)
    );
    assert!(video.edts.is_none() && audio.edts.is_none());
    let defaults: Vec<_> = moov
        .mvex
        .unwrap()
        .trex
        .iter()
        .map(|trex| trex.track_id)
        .collect();
    assert_eq!(defaults, [1, 2]);
    assert!(matches!(init_segment(None, None), Err(MuxError::Empty)));
}

#[test]
fn a_header_of_one_track_alone_is_called_cmaf() {
    let (video, audio) = (h264(), aac());
    for (video, audio, is_cmaf) in [
        (Some(&video), Some(&audio), false),
        (Some(&video), None, true),
        (None, Some(&audio), true),
    ] {
        let mut init = init_segment(video, audio).unwrap();
        let brands = Ftyp::decode(&mut init).unwrap().compatible_brands;
        assert_eq!(brands.contains(&b"cmfc".into()), is_cmaf);
        assert!(brands.contains(&b"iso6".into()));
    }
}

#[test]
fn fragments_follow_each_other_without_a_gap() {
    let mut samples = Vec::new();
    for n in 0..1_000_i64 {
        samples.push(picture(n * 40, 80, n % 50 == 0, 500));
        let frames = (n * 40 * 441).div_euclid(10_240)..((n + 1) * 40 * 441).div_euclid(10_240);
        for frame in frames {
            samples.push(sound(frame * 10_240 / 441, 99));
        }
    }
    let (mut state, mut rest) = (Position::default(), samples.as_slice());
    let (mut video_end, mut audio_end) = (0, 0);
    for number in 1..=4_u32 {
        let cut = rest
            .iter()
            .skip(1)
            .position(|s| s.key && s.dts_ms >= i64::from(number) * 10_000);
        let (now, later) = rest.split_at(cut.map_or(rest.len(), |cut| cut + 1));
        // Every fragment by another process.
        let state_text = serde_json::to_string(&state).unwrap();
        let mut writer = fragmenter(serde_json::from_str(&state_text).unwrap());
        let next = later.first().map(|sample| sample.dts_ms);
        let (moof, _, _) = read(writer.fragment(now, next).unwrap());
        assert_eq!(moof.mfhd.sequence_number, number);
        let [video, audio] = moof.traf.as_slice() else {
            panic!()
        };
        assert!(video.tfhd.default_base_is_moof && audio.tfhd.default_base_is_moof);
        assert_eq!(
            (base(video), base(audio)),
            (video_end, audio_end),
            "fragment {number}"
        );
        video_end += length(video);
        audio_end += length(audio);
        let first = video.trun[0].samples.get(0).unwrap();
        assert_eq!((first.flags, first.cts), (Some(0x0200_0000), Some(7_200)));
        state = writer.position();
        rest = later;
    }
    assert!(rest.is_empty());
    assert_eq!(video_end, 1_000 * 40 * 90);
    assert_eq!(audio_end % 1_024, 0, "every frame exactly as long as it is");
}

#[test]
fn times_count_from_the_recordings_zero_in_every_fragment() {
    let mut writer = fragmenter(Position::default());
    let hours = 6 * 3_600_000;
    let (moof, _, _) = read(
        writer
            .fragment(&[sound(hours, 1), picture(hours + 7, -40, false, 1)], None)
            .unwrap(),
    );
    let [video, audio] = moof.traf.as_slice() else {
        panic!()
    };
    assert_eq!(base(video), (hours as u64 + 7) * 90);
    assert_eq!(base(audio), hours as u64 * 441 / 10);
    let sample = video.trun[0].samples.get(0).unwrap();
    assert_eq!(
        (sample.flags, sample.cts, sample.duration),
        (Some(0x0101_0000), Some(-3_600), Some(3_600))
    );
}

#[test]
fn a_next_picture_that_is_not_behind_the_last_one_tells_nothing() {
    let samples = [
        picture(0, 0, true, 1),
        picture(33, 0, false, 1),
        sound(18, 1),
    ];
    for next_picture_ms in [Some(18), Some(33), None] {
        let head = fragmenter(Position::default()).fragment(&samples, next_picture_ms);
        let (moof, _, _) = read(head.unwrap());
        assert_eq!(length(&moof.traf[0]), 2 * 33 * 90, "{next_picture_ms:?}");
    }
}

#[test]
fn another_sample_rate_starts_another_clock() {
    let mut writer = fragmenter(Position::default());
    writer.fragment(&[sound(0, 1)], None).unwrap();
    let mp3 = AudioConfig {
        codec: AudioCodec::Mp3,
        record: Bytes::new(),
        sample_rate: 48_000,
        channels: 2,
    };
    let mut writer = Fragmenter::new(None, Some(&mp3), writer.position()).unwrap();
    let (moof, _, _) = read(writer.fragment(&[sound(23, 1)], None).unwrap());
    assert_eq!(
        (base(&moof.traf[0]), length(&moof.traf[0])),
        (23 * 48, 1_152)
    );
    assert!(matches!(
        writer.fragment(&[picture(46, 0, true, 1)], None),
        Err(MuxError::NoConfig(Track::Video))
    ));
}

#[test]
fn what_is_refused_moves_nothing() {
    let mut writer = fragmenter(Position::default());
    let before = writer.position();
    let many = vec![sound(0, 1); MAX_FRAGMENT_SAMPLES + 1];
    let cases: [(&[SampleInfo], Option<i64>); 7] = [
        (&[], None),
        (&many, None),
        (&[sound(-1, 1)], None),
        (&[sound(5, 1), sound(4, 1)], None),
        (&[picture(0, i32::MAX, true, 1)], None),
        (
            &[picture(0, 0, true, 1), picture(i64::MAX, 0, true, 1)],
            None,
        ),
        (&[picture(0, 0, true, i32::MAX as u32), sound(0, 1)], None),
    ];
    for (number, (samples, next)) in cases.into_iter().enumerate() {
        assert!(writer.fragment(samples, next).is_err(), "case {number}");
        assert_eq!(writer.position(), before);
    }
    writer.fragment(&many[1..], None).unwrap();
}

proptest! {
    #[test]
    fn every_sample_is_where_its_run_says(
        steps in prop::collection::vec((any::<bool>(), 0_i64..500, 0_u32..2_000), 1..60)
    ) {
        let (mut samples, mut now) = (Vec::new(), 0);
        for (video, step, size) in steps {
            now += step;
            samples.push(if video { picture(now, 0, size % 9 == 0, size) } else { sound(now, size) });
        }
        let (moof, moof_len, payload) = read(fragmenter(Position::default()).fragment(&samples, None).unwrap());
        let mut wanted = [Vec::new(), Vec::new()];
        let mut at = 0;
        for sample in &samples {
            wanted[usize::from(sample.track == Track::Audio)].push((at, sample.size));
            at += u64::from(sample.size);
        }
        prop_assert_eq!(payload, at);
        for traf in &moof.traf {
            let found = places(traf, moof_len);
            prop_assert_eq!(&found, &wanted[traf.tfhd.track_id as usize - 1]);
        }
    }
}
