//! Files read back tag by tag, with the project's own reader.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::amf0::{self, Value};
use crate::flv::TagKind;
use crate::flv::file::{FlvFile, Tag};
use crate::frame::{AudioCodec, VideoCodec};

fn video(codec: VideoCodec, record: &'static [u8]) -> VideoConfig {
    VideoConfig {
        codec,
        record: Bytes::from_static(record),
        width: 1_280,
        height: 720,
    }
}

fn audio(codec: AudioCodec, sample_rate: u32) -> AudioConfig {
    AudioConfig {
        codec,
        record: Bytes::from_static(if codec == AudioCodec::Aac {
            &[0x12, 0x10]
        } else {
            &[]
        }),
        sample_rate,
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

enum Step {
    Video(VideoConfig),
    Audio(AudioConfig),
    Sample(SampleInfo),
}

/// Both passes.
fn file(steps: &[Step]) -> Bytes {
    let mut layout = Layout::new();
    for step in steps {
        match step {
            Step::Video(config) => layout.video_config(config).unwrap(),
            Step::Audio(config) => layout.audio_config(config).unwrap(),
            Step::Sample(sample) => layout.push(*sample).unwrap(),
        }
    }
    let mut out = BytesMut::from(layout.head().unwrap());
    let mut writer = layout.writer().unwrap();
    for step in steps {
        match step {
            Step::Video(config) => out.extend_from_slice(&writer.video_config(config).unwrap()),
            Step::Audio(config) => out.extend_from_slice(&writer.audio_config(config).unwrap()),
            Step::Sample(sample) => {
                let head = writer.tag_head(sample).unwrap();
                out.extend_from_slice(&head);
                out.resize(out.len() + sample.size as usize, 0x5A);
                out.extend_from_slice(&head.tail());
            }
        }
    }
    assert_eq!(out.len() as u64, layout.total_size().unwrap());
    out.freeze()
}

fn tags(file: &Bytes) -> Vec<Tag> {
    FlvFile::new(file.clone())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn metadata(file: &Bytes) -> Value {
    let first = tags(file).remove(0);
    assert_eq!((first.kind, first.timestamp), (TagKind::Data, 0));
    let mut values = amf0::decode_all(&first.payload).unwrap();
    assert_eq!(values[0].as_str(), Some("onMetaData"));
    values.remove(1)
}

fn number(metadata: &Value, name: &str) -> f64 {
    metadata.get(name).unwrap().as_number().unwrap()
}

fn list(metadata: &Value, name: &str) -> Vec<f64> {
    match metadata.get("keyframes").unwrap().get(name) {
        Some(Value::StrictArray(items)) => items.iter().map(|v| v.as_number().unwrap()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Every back pointer tells the size of the tag before it.
fn check_back_pointers(file: &Bytes) {
    let mut at = 9 + 4;
    while at < file.len() {
        let body = u32::from_be_bytes([0, file[at + 1], file[at + 2], file[at + 3]]) as usize;
        at += 11 + body;
        let pointer = u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        assert_eq!(pointer as usize, 11 + body);
        at += 4;
    }
    assert_eq!(at, file.len());
}

fn usual() -> Vec<Step> {
    let mut steps = vec![
        Step::Audio(audio(AudioCodec::Aac, 44_100)),
        Step::Video(video(VideoCodec::H264, &[1, 2, 3])),
    ];
    for n in 0..100_i64 {
        let cts = if n == 3 { -40 } else { 80 };
        let size = 1_000 + n as u32;
        steps.push(Step::Sample(picture(500 + n * 40, cts, n % 25 == 0, size)));
        steps.push(Step::Sample(sound(490 + n * 40, 300)));
    }
    steps
}

#[test]
fn the_key_frame_index_is_exact() {
    let file = file(&usual());
    check_back_pointers(&file);
    let metadata = metadata(&file);
    assert_eq!(list(&metadata, "times"), [0.01, 1.01, 2.01, 3.01]);
    for (n, position) in list(&metadata, "filepositions").into_iter().enumerate() {
        let tag = &file[position as usize..];
        assert_eq!((tag[0], tag[11]), (9, 0x17), "a video tag with a key frame");
        let timestamp = u32::from_be_bytes([0, tag[4], tag[5], tag[6]]);
        assert_eq!(timestamp, 10 + n as u32 * 1_000);
    }
    assert_eq!(number(&metadata, "filesize"), file.len() as f64);
    assert_eq!(number(&metadata, "duration"), 4.01);
    assert_eq!(number(&metadata, "lasttimestamp"), 3.97);
    assert_eq!(number(&metadata, "lastkeyframetimestamp"), 3.01);
    let places = list(&metadata, "filepositions");
    assert_eq!(
        Some(&number(&metadata, "lastkeyframelocation")),
        places.last()
    );
    assert_eq!(number(&metadata, "framerate"), 25.0);
    assert_eq!(
        (number(&metadata, "width"), number(&metadata, "height")),
        (1_280.0, 720.0)
    );
    assert_eq!(
        (
            number(&metadata, "videocodecid"),
            number(&metadata, "audiocodecid")
        ),
        (7.0, 10.0)
    );
    // 104,950 bytes of pictures and 30,000 of sound in four seconds each.
    assert_eq!(number(&metadata, "videodatarate"), 209.9);
    assert_eq!(number(&metadata, "audiodatarate"), 60.0);
}

#[test]
fn headers_come_first_and_times_count_from_the_earlier_track() {
    let file = file(&usual());
    assert_eq!(file[..9], *b"FLV\x01\x05\0\0\0\x09");
    let tags = tags(&file);
    assert_eq!(tags.len(), 203);
    assert_eq!(
        tags[1].payload,
        Bytes::from_static(&[0x17, 0, 0, 0, 0, 1, 2, 3])
    );
    assert_eq!(tags[2].payload, Bytes::from_static(&[0xAF, 0, 0x12, 0x10]));
    assert_eq!(
        (tags[3].timestamp, &tags[3].payload[..5]),
        (10, &[0x17, 1, 0, 0, 80][..])
    );
    assert_eq!(
        (tags[4].timestamp, &tags[4].payload[..2]),
        (0, &[0xAF, 1][..])
    );
    assert_eq!(
        tags[9].payload[..5],
        [0x27, 1, 0xFF, 0xFF, 0xD8],
        "-40 ms in 24 bits"
    );
}

#[test]
fn codec_ids() {
    for (codec, first) in [(VideoCodec::H265, 0x1C), (VideoCodec::Mpeg4, 0x19)] {
        let file = file(&[
            Step::Video(video(codec, &[7])),
            Step::Sample(picture(0, 0, true, 3)),
        ]);
        assert_eq!(file[4], 1, "video only");
        let tags = tags(&file);
        assert_eq!((tags[1].payload[0], tags[2].payload[0]), (first, first));
        assert_eq!(
            number(&metadata(&file), "videocodecid"),
            f64::from(first & 0x0F)
        );
    }
    for (rate, flags) in [
        (48_000, 0x2F),
        (44_100, 0x2F),
        (22_050, 0x2B),
        (11_025, 0x27),
        (8_000, 0xE3),
    ] {
        let file = file(&[
            Step::Audio(audio(AudioCodec::Mp3, rate)),
            Step::Sample(sound(0, 3)),
        ]);
        assert_eq!(file[4], 4, "audio only");
        let tags = tags(&file);
        assert_eq!(tags.len(), 2, "MP3 has no configuration tag");
        assert_eq!(tags[1].payload[..], [flags, 0x5A, 0x5A, 0x5A]);
        assert_eq!(metadata(&file).get("keyframes"), None);
    }
}

#[test]
fn a_change_of_configuration_is_a_tag_in_its_place() {
    let first = video(VideoCodec::H264, &[1]);
    let second = video(VideoCodec::H264, &[2, 2]);
    let file = file(&[
        Step::Audio(audio(AudioCodec::Aac, 44_100)),
        Step::Sample(sound(0, 1)),
        Step::Video(second.clone()), // replaced before a picture came
        Step::Video(first.clone()),
        Step::Sample(picture(0, 0, true, 1)),
        Step::Video(first),
        Step::Video(second),
        Step::Sample(picture(40, 0, true, 1)),
        Step::Audio(audio(AudioCodec::Mp3, 44_100)),
        Step::Sample(sound(45, 1)),
    ]);
    check_back_pointers(&file);
    let tags = tags(&file);
    let bodies: Vec<_> = tags[1..].iter().map(|tag| tag.payload.to_vec()).collect();
    let expected: [&[u8]; 7] = [
        &[0x17, 0, 0, 0, 0, 1],
        &[0xAF, 0, 0x12, 0x10],
        &[0xAF, 1, 0x5A],
        &[0x17, 1, 0, 0, 0, 0x5A],
        &[0x17, 0, 0, 0, 0, 2, 2],
        &[0x17, 1, 0, 0, 0, 0x5A],
        &[0x2F, 0x5A],
    ];
    assert_eq!(bodies, expected);
    let last_key = number(&metadata(&file), "lastkeyframelocation") as usize;
    assert_eq!(file[last_key + 11..last_key + 16], [0x17, 1, 0, 0, 0]);
}

#[test]
fn the_index_is_thinned_at_its_bound() {
    let mut layout = Layout::new();
    layout.video_config(&video(VideoCodec::H264, &[1])).unwrap();
    for n in 0..MAX_KEY_FRAMES as i64 {
        layout.push(picture(n * 1_000, 0, true, 10)).unwrap();
    }
    let full = metadata_of(&layout);
    assert_eq!(list(&full, "times").len(), MAX_KEY_FRAMES);
    for n in MAX_KEY_FRAMES as i64..MAX_KEY_FRAMES as i64 * 2 + 5 {
        layout.push(picture(n * 1_000, 0, true, 10)).unwrap();
    }
    let thinned = metadata_of(&layout);
    let times = list(&thinned, "times");
    assert_eq!(times.len(), MAX_KEY_FRAMES / 2 + 2);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 4.0));
    assert_eq!(number(&thinned, "lastkeyframetimestamp"), 40_004.0);
}

fn metadata_of(layout: &Layout) -> Value {
    let head = layout.head().unwrap();
    let first = FlvFile::new(head).unwrap().next().unwrap().unwrap();
    // The reader's bound on values is below the index: read the parts by hand.
    decode_unbounded(&first.payload)
}

/// Just enough AMF0 for our own metadata, without the bound that protects against strangers.
fn decode_unbounded(payload: &[u8]) -> Value {
    fn value(input: &mut &[u8]) -> Value {
        use bytes::Buf;
        match input.get_u8() {
            0 => Value::Number(input.get_f64()),
            1 => Value::Boolean(input.get_u8() != 0),
            2 => Value::String(name(input)),
            kind @ (3 | 8) => {
                if kind == 8 {
                    input.advance(4);
                }
                let mut properties = Vec::new();
                loop {
                    let name = name(input);
                    if name.is_empty() {
                        assert_eq!(input.get_u8(), 9);
                        return Value::Object(properties);
                    }
                    let value = value(input);
                    properties.push((name, value));
                }
            }
            10 => {
                let count = input.get_u32();
                Value::StrictArray((0..count).map(|_| value(input)).collect())
            }
            other => panic!("marker {other}"),
        }
    }
    fn name(input: &mut &[u8]) -> String {
        use bytes::Buf;
        let len = usize::from(input.get_u16());
        let (name, rest) = input.split_at(len);
        *input = rest;
        String::from_utf8(name.to_vec()).unwrap()
    }
    let mut input = payload;
    value(&mut input);
    value(&mut input)
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut layout = Layout::new();
    assert_eq!(layout.head(), Err(MuxError::Empty));
    assert_eq!(layout.writer().unwrap_err(), MuxError::Empty);
    assert_eq!(
        layout.push(sound(0, 1)),
        Err(MuxError::NoConfig(Track::Audio))
    );
    layout.video_config(&video(VideoCodec::H264, &[1])).unwrap();
    layout
        .audio_config(&audio(AudioCodec::Aac, 44_100))
        .unwrap();
    let largest = MAX_TAG_BODY - 5;
    layout.push(picture(0, 0x007F_FFFF, true, largest)).unwrap();
    for (bad, error) in [
        (
            picture(0, 0, true, largest + 1),
            MuxError::TooLarge { size: 0x0100_0000 },
        ),
        (
            picture(0, 0x0080_0000, true, 1),
            MuxError::Time(0x0080_0000),
        ),
        (picture(-1, 0, true, 1), MuxError::Time(-1)),
        (
            picture(i64::from(u32::MAX) + 1, 0, true, 1),
            MuxError::Time(0x1_0000_0000),
        ),
    ] {
        assert_eq!(layout.push(bad), Err(error));
    }
    // Each track for itself is fine, but not from one base.
    layout.push(sound(i64::MAX, 1)).unwrap();
    assert!(matches!(layout.head(), Err(MuxError::Time(_))));
    let huge = VideoConfig {
        record: vec![0; MAX_TAG_BODY as usize - 4].into(),
        ..video(VideoCodec::H264, &[])
    };
    assert_eq!(
        layout.video_config(&huge),
        Err(MuxError::TooLarge { size: 0x0100_0000 })
    );
}

#[test]
fn configuration_changes_are_bounded() {
    let mut layout = Layout::new();
    let configs = [video(VideoCodec::H264, &[1]), video(VideoCodec::H264, &[2])];
    layout.video_config(&configs[0]).unwrap();
    layout.push(picture(0, 0, true, 1)).unwrap();
    for n in 1..=MAX_CONFIG_TAGS as usize {
        layout.video_config(&configs[n % 2]).unwrap();
    }
    let one_more = layout.video_config(&configs[(MAX_CONFIG_TAGS as usize + 1) % 2]);
    assert_eq!(one_more, Err(MuxError::TooManyConfigs));
}

proptest! {
    #[test]
    fn any_samples_come_back(
        samples in prop::collection::vec((any::<bool>(), 0_i64..3_000, -500_i32..500, any::<bool>(), 0_u32..500), 1..60)
    ) {
        let mut steps = vec![
            Step::Video(video(VideoCodec::H265, &[9])),
            Step::Audio(audio(AudioCodec::Mp3, 44_100)),
        ];
        let (mut now, mut wanted) = (0, Vec::new());
        for (is_video, step, cts, key, size) in samples {
            now += step;
            let sample = if is_video { picture(now, cts, key, size) } else { sound(now, size) };
            wanted.push(sample);
            steps.push(Step::Sample(sample));
        }
        let file = file(&steps);
        check_back_pointers(&file);
        let base = wanted[0].dts_ms;
        let tags = tags(&file);
        let first_sample = tags.len() - wanted.len();
        for (tag, sample) in tags[first_sample..].iter().zip(&wanted) {
            prop_assert_eq!(i64::from(tag.timestamp), sample.dts_ms - base);
            let header = if sample.track == Track::Video { 5 } else { 1 };
            prop_assert_eq!(tag.payload.len(), header + sample.size as usize);
        }
        prop_assert_eq!(number(&metadata(&file), "filesize"), file.len() as f64);
    }
}
