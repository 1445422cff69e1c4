//! Reads the written packets back with a small demultiplexer of its own.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::frame::{AudioCodec, VideoCodec};

const SPS: [u8; 4] = [0x67, 0x4D, 0x00, 0x1E];
const PPS: [u8; 2] = [0x68, 0xEE];

fn h264() -> VideoConfig {
    let mut record = vec![1, 0x4D, 0x00, 0x1E, 0xFF, 0xE1, 0, 4];
    record.extend_from_slice(&SPS);
    record.extend_from_slice(&[1, 0, 2]);
    record.extend_from_slice(&PPS);
    VideoConfig {
        codec: VideoCodec::H264,
        record: record.into(),
        width: 320,
        height: 180,
    }
}

const H265_SETS: [&[u8]; 3] = [
    &[0x40, 0x01, 0x0C],
    &[0x42, 0x01, 0x01],
    &[0x44, 0x01, 0xC1],
];

fn h265() -> VideoConfig {
    let mut record = vec![1; 21];
    record.extend_from_slice(&[3, 3]);
    for (kind, set) in (32..).zip(H265_SETS) {
        record.extend_from_slice(&[kind, 0, 1, 0, 3]);
        record.extend_from_slice(set);
    }
    VideoConfig {
        codec: VideoCodec::H265,
        record: record.into(),
        width: 320,
        height: 180,
    }
}

fn mpeg4() -> VideoConfig {
    VideoConfig {
        codec: VideoCodec::Mpeg4,
        record: Bytes::from_static(&[0, 0, 1, 0x20, 0xAA]),
        width: 0,
        height: 0,
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
        channels: 2,
    }
}

fn nals(units: &[&[u8]]) -> Bytes {
    let mut data = Vec::new();
    for unit in units {
        data.extend_from_slice(&u32::try_from(unit.len()).unwrap().to_be_bytes());
        data.extend_from_slice(unit);
    }
    data.into()
}

fn picture(dts_ms: i64, cts_ms: i32, key: bool, size: usize) -> Frame {
    let mut slice = vec![if key { 0x65 } else { 0x41 }];
    slice.resize(size.max(1), 0x5A);
    Frame {
        track: Track::Video,
        dts_ms,
        cts_ms,
        key,
        data: nals(&[&slice]),
    }
}

/// Units as they lie in the stream.
fn with_start_codes(units: &[&[u8]]) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat())
        .collect()
}

fn sound(dts_ms: i64, size: usize) -> Frame {
    Frame {
        track: Track::Audio,
        dts_ms,
        cts_ms: 0,
        key: false,
        data: vec![0xA5; size].into(),
    }
}

#[derive(Debug, Default)]
struct Pes {
    bytes: Vec<u8>,
    pts: u64,
    dts: u64,
    announced: usize,
    random_access: bool,
}

type Pmt = (u8, u16, Vec<(u8, u16)>);

#[derive(Debug, Default)]
struct Read {
    pes: BTreeMap<u16, Vec<Pes>>,
    /// PID and base of every clock reference, in order.
    pcr: Vec<(u16, u64)>,
    /// version, clock PID, (stream type, PID) of every PMT.
    pmt: Vec<Pmt>,
    pats: usize,
    counters: BTreeMap<u16, u8>,
}

fn stamp(b: &[u8]) -> u64 {
    let b: Vec<u64> = b.iter().map(|b| u64::from(*b)).collect();
    assert_eq!((b[0] & 1, b[2] & 1, b[4] & 1), (1, 1, 1), "marker bits");
    ((b[0] >> 1 & 7) << 30) | (b[1] << 22) | ((b[2] >> 1) << 15) | (b[3] << 7) | (b[4] >> 1)
}

impl Read {
    fn new(bytes: &[u8]) -> Self {
        let mut read = Self::default();
        assert_eq!(bytes.len() % PACKET, 0);
        for packet in bytes.chunks(PACKET) {
            read.packet(packet);
        }
        read
    }

    fn packet(&mut self, p: &[u8]) {
        assert_eq!(p[0], 0x47);
        let start = p[1] & 0x40 != 0;
        let pid = u16::from_be_bytes([p[1] & 0x1F, p[2]]);
        let (control, counter) = (p[3] >> 4 & 3, p[3] & 15);
        let mut at = 4;
        let mut random_access = false;
        if control & 2 != 0 {
            let field = &p[5..5 + usize::from(p[4])];
            at = 5 + field.len();
            if let [flags, rest @ ..] = field {
                random_access = flags & 0x40 != 0;
                if flags & 0x10 != 0 {
                    let base = u64::from(u32::from_be_bytes(rest[..4].try_into().unwrap()));
                    self.pcr.push((pid, base << 1 | u64::from(rest[4] >> 7)));
                }
            }
        }
        if control & 1 == 0 {
            assert_eq!(at, PACKET);
            if let Some(next) = self.counters.get(&pid) {
                assert_eq!(counter, next.wrapping_sub(1) & 15, "repeats the last one");
            }
            return;
        }
        if let Some(next) = self.counters.insert(pid, (counter + 1) & 15) {
            assert_eq!(counter, next, "PID {pid:#x}");
        }
        let payload = &p[at..];
        match pid {
            0 => self.pats += 1,
            0x1000 => self.read_pmt(&payload[1..]),
            _ if start => self.begin(pid, payload, random_access),
            _ => {
                let units = self.pes.get_mut(&pid).unwrap();
                units.last_mut().unwrap().bytes.extend_from_slice(payload);
            }
        }
    }

    fn begin(&mut self, pid: u16, payload: &[u8], random_access: bool) {
        assert_eq!(payload[..3], [0, 0, 1]);
        let announced = usize::from(u16::from_be_bytes([payload[4], payload[5]]));
        let fields = usize::from(payload[8]);
        let pts = stamp(&payload[9..14]);
        let both = payload[7] & 0x40 != 0;
        let dts = if both { stamp(&payload[14..19]) } else { pts };
        self.pes.entry(pid).or_default().push(Pes {
            bytes: payload[9 + fields..].to_vec(),
            pts,
            dts,
            announced: announced.saturating_sub(3 + fields),
            random_access,
        });
    }

    fn read_pmt(&mut self, s: &[u8]) {
        let length = usize::from(u16::from_be_bytes([s[1] & 0x0F, s[2]]));
        let pid = |b: &[u8]| u16::from_be_bytes([b[0] & 0x1F, b[1]]);
        let streams = s[12..3 + length - 4].chunks(5);
        let streams = streams.map(|b| (b[0], pid(&b[1..]))).collect();
        self.pmt.push((s[5] >> 1 & 0x1F, pid(&s[8..]), streams));
    }
}

fn write_all(muxer: &mut TsMuxer, frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    muxer.begin_slice(&mut out);
    for frame in frames {
        muxer.write(frame, &mut out).unwrap();
    }
    out
}

#[test]
fn a_key_picture_brings_delimiter_and_parameter_sets() {
    let mut muxer = TsMuxer::new(Some(&h264()), Some(&aac()), Continuity::default()).unwrap();
    let out = write_all(
        &mut muxer,
        &[
            picture(0, 80, true, 2),
            sound(5, 9),
            picture(40, 0, false, 2),
        ],
    );
    let read = Read::new(&out);
    assert_eq!((read.pats, read.pmt.len()), (1, 1));
    assert_eq!(read.pmt[0], (0, 0x100, vec![(0x1B, 0x100), (0x0F, 0x101)]));
    let video = &read.pes[&0x100];
    let key = [
        &[0, 0, 0, 1, 0x09, 0xF0, 0, 0, 0, 1][..],
        &SPS,
        &[0, 0, 0, 1],
        &PPS,
        &[0, 0, 0, 1, 0x65, 0x5A],
    ];
    assert_eq!(video[0].bytes, key.concat());
    assert_eq!((video[0].dts, video[0].pts), (126_000, 133_200));
    assert!(video[0].random_access && !video[1].random_access);
    assert_eq!(
        video[1].bytes,
        [0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, 0x41, 0x5A]
    );
    let audio = &read.pes[&0x101];
    assert_eq!(audio[0].pts, 126_450);
    assert_eq!(audio[0].bytes[..2], [0xFF, 0xF1]);
    assert_eq!(audio[0].bytes[7..], [0xA5; 9]);
}

#[test]
fn what_a_picture_brings_itself_is_not_doubled() {
    let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let mut frame = picture(0, 0, true, 0);
    frame.data = nals(&[&[9, 0x10], &SPS, &PPS, &[], &[0x65]]);
    let read = Read::new(&write_all(&mut muxer, &[frame.clone()]));
    let own = [
        &[0, 0, 0, 1, 9, 0x10, 0, 0, 0, 1][..],
        &SPS,
        &[0, 0, 0, 1],
        &PPS,
        &[0, 0, 0, 1, 0x65],
    ];
    assert_eq!(read.pes[&0x100][0].bytes, own.concat());
    // Without one of the sets, all are written.
    frame.data = nals(&[&SPS, &[0x65]]);
    let read = Read::new(&write_all(&mut muxer, &[frame.clone()]));
    assert_eq!(
        read.pes[&0x100][0]
            .bytes
            .windows(4)
            .filter(|w| *w == SPS)
            .count(),
        2
    );
    // A delimiter of its own stays the first unit where the sets are ours.
    for (config, delimiter, slice, sets) in [
        (h264(), &[9, 0x10][..], &[0x65][..], &[&SPS[..], &PPS][..]),
        (h265(), &[0x46, 1, 0x10], &[0x26, 1, 0xAF], &H265_SETS),
    ] {
        let mut muxer = TsMuxer::new(Some(&config), None, Continuity::default()).unwrap();
        let mut frame = picture(0, 0, true, 0);
        frame.data = nals(&[&[], delimiter, &[], slice, slice]);
        let out = write_all(&mut muxer, &[frame]);
        let written = &Read::new(&out).pes[&0x100][0].bytes;
        let units = [&[delimiter][..], sets, &[slice, slice]].concat();
        assert_eq!(*written, with_start_codes(&units));
    }
    // A unit that only looks like a delimiter, since it stands elsewhere, stays where it is.
    frame.data = nals(&[&[6, 0x80], &[9, 0x10], &[0x65]]);
    let read = Read::new(&write_all(&mut muxer, &[frame]));
    let units: [&[u8]; 6] = [&[9, 0xF0], &SPS, &PPS, &[6, 0x80], &[9, 0x10], &[0x65]];
    assert_eq!(read.pes[&0x100][0].bytes, with_start_codes(&units));
}

#[test]
fn mpeg4_headers_come_before_a_key_picture_that_lacks_them() {
    let mut muxer = TsMuxer::new(Some(&mpeg4()), None, Continuity::default()).unwrap();
    let mut bare = picture(0, 0, true, 0);
    bare.data = Bytes::from_static(&[0, 0, 1, 0xB6, 0x10]);
    let mut whole = bare.clone();
    whole.data = Bytes::from_static(&[0, 0, 1, 0x20, 0xBB, 0, 0, 1, 0xB6, 0x10]);
    let read = Read::new(&write_all(&mut muxer, &[bare.clone(), whole.clone()]));
    let video = &read.pes[&0x100];
    assert_eq!(video[0].bytes, [mpeg4().record, bare.data].concat());
    assert_eq!(video[1].bytes, whole.data);
    assert_eq!(read.pmt[0].2, [(0x10, 0x100)]);
}

#[test]
fn counters_go_on_in_the_next_slice_of_another_process() {
    let frames: Vec<_> = (0..40)
        .map(|n| picture(n * 40, 0, n % 20 == 0, 700))
        .collect();
    let mut first = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let mut all = write_all(&mut first, &frames[..20]);
    let kept = serde_json::to_string(&first.continuity()).unwrap();
    let state = serde_json::from_str(&kept).unwrap();
    let mut second = TsMuxer::new(Some(&h264()), None, state).unwrap();
    all.extend_from_slice(&write_all(&mut second, &frames[20..]));
    let read = Read::new(&all); // asserts every counter
    assert_eq!((read.pats, read.pes[&0x100].len()), (2, 40));
    assert_eq!(
        read.pmt[0], read.pmt[1],
        "the same programme keeps its version"
    );
}

#[test]
fn a_new_stream_type_gets_a_new_pmt_version() {
    let mut muxer = TsMuxer::new(None, Some(&aac()), Continuity::default()).unwrap();
    let mut out = write_all(&mut muxer, &[sound(0, 10)]);
    muxer.set_audio(&mp3(44_100)).unwrap();
    muxer.write(&sound(23, 10), &mut out).unwrap();
    muxer.set_audio(&mp3(32_000)).unwrap(); // the same type
    muxer.write(&sound(46, 10), &mut out).unwrap();
    muxer.set_video(&h264()).unwrap();
    muxer.write(&picture(50, 0, true, 10), &mut out).unwrap();
    let read = Read::new(&out);
    let versions: Vec<_> = read.pmt.iter().map(|pmt| (pmt.0, pmt.1)).collect();
    assert_eq!(versions, [(0, 0x101), (1, 0x101), (2, 0x100)]);
    let next = TsMuxer::new(None, Some(&mp3(16_000)), muxer.continuity()).unwrap();
    assert_eq!(next.continuity().version, 3);
    assert_eq!(next.continuity().audio_type, Some(0x04));
}

#[test]
fn the_version_wraps_at_five_bits() {
    let state = Continuity {
        version: 31,
        audio_type: Some(0x03),
        ..Continuity::default()
    };
    let muxer = TsMuxer::new(None, Some(&aac()), state).unwrap();
    assert_eq!(muxer.continuity().version, 0);
}

fn pcr_gaps(read: &Read) -> Vec<u64> {
    read.pcr
        .windows(2)
        .map(|pair| (pair[1].1.wrapping_sub(pair[0].1)) & 0x1_FFFF_FFFF)
        .collect()
}

#[test]
fn clock_references_bridge_slow_pictures_up_to_a_bound() {
    let mut muxer = TsMuxer::new(Some(&h264()), Some(&aac()), Continuity::default()).unwrap();
    let frames = [
        sound(0, 10),
        picture(10, 0, true, 50_000),
        picture(1_010, 0, false, 10),
        sound(1_300, 10),
        picture(1_330, 0, false, 10),
    ];
    let read = Read::new(&write_all(&mut muxer, &frames));
    assert!(read.pcr.iter().all(|(pid, _)| *pid == 0x100));
    assert!(pcr_gaps(&read).iter().all(|gap| (1..=9_000).contains(gap)));
    // Every reference runs 0.7 s behind decoding.
    assert_eq!(read.pcr[0].1, 126_000 - 63_000);

    for (pause, packets) in [(30_000, 300), (30_001, 2), (i64::MAX / 2, 2)] {
        let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
        let frames = [picture(0, 0, true, 10), picture(pause, 0, false, 10)];
        let read = Read::new(&write_all(&mut muxer, &frames));
        assert_eq!(read.pcr.len(), 1 + packets, "{pause}");
    }
}

#[test]
fn audio_alone_carries_the_clock() {
    let mut muxer = TsMuxer::new(None, Some(&aac()), Continuity::default()).unwrap();
    let frames: Vec<_> = (0..100)
        .map(|n| sound(n * 1024 * 1000 / 44_100, 180))
        .collect();
    let read = Read::new(&write_all(&mut muxer, &frames));
    assert!(read.pcr.iter().all(|(pid, _)| *pid == 0x101));
    assert!(pcr_gaps(&read).iter().all(|gap| (1..=9_000).contains(gap)));
    assert!(read.pcr.len() > 40);
}

#[test]
fn time_stamps_wrap_at_33_bits() {
    let wrap_ms = (1_i64 << 33) / 90;
    let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let frames = [
        picture(wrap_ms - 1_420, 0, true, 10),
        picture(wrap_ms - 1_380, 0, false, 10),
    ];
    let read = Read::new(&write_all(&mut muxer, &frames));
    let dts: Vec<_> = read.pes[&0x100].iter().map(|pes| pes.dts).collect();
    assert!(dts[0] > 1 << 32 && dts[1] < 9_000);
    assert_eq!(dts[1].wrapping_sub(dts[0]) & 0x1_FFFF_FFFF, 3_600);
}

#[test]
fn presentation_never_comes_before_decoding() {
    let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let cts = [0, 80, -40, -40, 80, -40, -40];
    let frames: Vec<_> = (0..)
        .zip(cts)
        .map(|(n, cts)| picture(n * 40, cts, n == 0, 10))
        .collect();
    let read = Read::new(&write_all(&mut muxer, &frames));
    let video = &read.pes[&0x100];
    assert!(video.iter().all(|pes| pes.dts <= pes.pts));
    assert!(video.windows(2).all(|pair| pair[0].dts <= pair[1].dts));
    let pts: Vec<_> = video.iter().map(|pes| (pes.pts - 126_000) / 90).collect();
    assert_eq!(
        pts,
        [0, 120, 40, 80, 240, 160, 200],
        "presentation is exact"
    );
    assert_eq!(muxer.continuity().decode_shift_ms, 40);
}

#[test]
fn decoding_times_hold_still_at_the_edge_of_slices_and_go_back_with_the_timeline() {
    let mut first = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let frames = [picture(0, 0, true, 9), picture(40, 0, false, 9)];
    write_all(&mut first, &frames);
    let kept = serde_json::to_string(&first.continuity()).unwrap();
    let dts_of = |begin_ms: i64| {
        let state = serde_json::from_str(&kept).unwrap();
        let mut next = TsMuxer::new(Some(&h264()), None, state).unwrap();
        next.expect_offsets_from(-100);
        let frames: Vec<_> = (0..5)
            .map(|n| picture(begin_ms + n * 40, 0, n == 0, 9))
            .collect();
        let read = Read::new(&write_all(&mut next, &frames));
        let ticks = read.pes[&0x100].iter().map(|pes| pes.dts);
        ticks
            .map(|ticks| (ticks.cast_signed() - 126_000) / 90)
            .collect::<Vec<_>>()
    };
    assert_eq!(dts_of(80), [40, 40, 60, 100, 140]);
    // A file that begins in the midst of the one before it.
    assert_eq!(dts_of(0), [-100, -60, -20, 20, 60]);
    // What an older program kept tells nothing of it.
    let old: Continuity = serde_json::from_str("{}").unwrap();
    assert_eq!(old, Continuity::default());
}

#[test]
fn a_long_picture_has_no_announced_length_and_a_short_one_has() {
    let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    // 65,535 = fields (8) + delimiter (6) + start code (4) + picture.
    let frames = [picture(0, 0, false, 65_517), picture(40, 0, false, 65_518)];
    let read = Read::new(&write_all(&mut muxer, &frames));
    let video = &read.pes[&0x100];
    assert_eq!(video[0].announced, video[0].bytes.len());
    assert_eq!((video[1].announced, video[1].bytes.len()), (0, 65_528));
}

#[test]
fn sound_without_a_form_is_not_written_as_that_before_it() {
    // Enhanced low delay.
    let other = AudioConfig {
        record: Bytes::from_static(&[0xF8, 0xE8, 0x50]),
        ..aac()
    };
    assert!(can_carry(&aac()) && can_carry(&mp3(44_100)) && !can_carry(&other));
    let mut muxer = TsMuxer::new(Some(&h264()), Some(&aac()), Continuity::default()).unwrap();
    let mut out = BytesMut::new();
    muxer.begin_slice(&mut out);
    muxer.write(&sound(0, 100), &mut out).unwrap();
    assert!(matches!(
        muxer.set_audio(&other),
        Err(MuxError::Adts { .. })
    ));
    assert_eq!(
        muxer.write(&sound(23, 100), &mut out),
        Err(MuxError::NoConfig(Track::Audio))
    );
    muxer.write(&picture(40, 0, true, 8), &mut out).unwrap();
    muxer.set_audio(&aac()).unwrap();
    muxer.write(&sound(46, 100), &mut out).unwrap();
}

#[test]
fn what_cannot_be_written_leaves_no_trace() {
    assert_eq!(
        TsMuxer::new(None, None, Continuity::default()).unwrap_err(),
        MuxError::NoTrack
    );
    let mut muxer = TsMuxer::new(Some(&h264()), None, Continuity::default()).unwrap();
    let (mut out, before) = (BytesMut::new(), muxer.continuity());
    assert_eq!(
        muxer.write(&sound(0, 1), &mut out),
        Err(MuxError::NoConfig(Track::Audio))
    );
    let mut bad = picture(0, 0, true, 8);
    for data in [&[0, 0, 0][..], &[0, 0, 0, 2, 0x65], &[0xFF; 9]] {
        bad.data = Bytes::copy_from_slice(data);
        assert_eq!(muxer.write(&bad, &mut out), Err(MuxError::BadNal));
    }
    muxer.set_audio(&aac()).unwrap();
    assert!(matches!(
        muxer.write(&sound(0, 8_185), &mut out),
        Err(MuxError::FrameTooLarge { .. })
    ));
    muxer.set_audio(&mp3(44_100)).unwrap();
    assert!(matches!(
        muxer.write(&sound(0, 65_528), &mut out),
        Err(MuxError::FrameTooLarge { .. })
    ));
    assert!(out.is_empty());
    assert_eq!(
        (muxer.continuity().video, muxer.continuity().audio),
        (before.video, before.audio)
    );
    muxer.write(&sound(0, 65_527), &mut out).unwrap();
    let read = Read::new(&out);
    assert_eq!(
        (
            read.pes[&0x101][0].announced,
            read.pes[&0x101][0].bytes.len()
        ),
        (65_527, 65_527)
    );
}

proptest! {
    #[test]
    fn any_sizes_fill_whole_packets(sizes in prop::collection::vec((any::<bool>(), 0_usize..2_000, 0_i64..300), 1..40)) {
        let mut muxer = TsMuxer::new(Some(&h264()), Some(&mp3(44_100)), Continuity::default()).unwrap();
        let (mut frames, mut now) = (Vec::new(), 0);
        for (video, size, step) in sizes {
            now += step;
            frames.push(if video { picture(now, 0, size % 7 == 0, size) } else { sound(now, size) });
        }
        let read = Read::new(&write_all(&mut muxer, &frames));
        let audio: Vec<_> = frames.iter().filter(|f| f.track == Track::Audio).map(|f| f.data.to_vec()).collect();
        let found: Vec<_> = read.pes.get(&0x101).into_iter().flatten().map(|pes| pes.bytes.clone()).collect();
        prop_assert_eq!(audio, found);
        prop_assert!(pcr_gaps(&read).iter().all(|gap| *gap <= 9_000));
        for (frame, pes) in frames.iter().filter(|f| f.track == Track::Video).zip(read.pes.get(&0x100).into_iter().flatten()) {
            prop_assert!(pes.bytes.ends_with(&frame.data[4..]));
            prop_assert_eq!(pes.announced, pes.bytes.len());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in prop::collection::vec(any::<u8>(), 0..300), dts_ms: i64, cts_ms: i32, key: bool) {
        for config in [h264(), mpeg4()] {
            let mut muxer = TsMuxer::new(Some(&config), None, Continuity::default()).unwrap();
            let frame = Frame { track: Track::Video, dts_ms, cts_ms, key, data: data.clone().into() };
            let mut out = BytesMut::new();
            let _ = muxer.write(&picture(0, 0, true, 3), &mut out);
            let _ = muxer.write(&frame, &mut out);
            prop_assert_eq!(out.len() % PACKET, 0);
            prop_assert!(out.len() < 400 * PACKET);
        }
    }
}
