//! Muxers: any frames give a well-formed file in every container or an error, with every payload in it.

use bytes::{Bytes, BytesMut};
use localyun::testing::media::cmaf;
use localyun::testing::media::flv::file::FlvFile;
use localyun::testing::media::flv::read::{Item, TagReader};
use localyun::testing::media::flv::write as flv;
use localyun::testing::media::frame::{
    AudioCodec, AudioConfig, Frame, SampleInfo, Track, VideoCodec, VideoConfig,
};
use localyun::testing::media::mp4;
use localyun::testing::media::mpegts::{Continuity, PACKET, TsMuxer};

use crate::input::Input;

const AVCC: &[u8] = b"\x01\x4d\x40\x0c\xff\xe1\x00\x04\x67\x4d\x40\x0c\x01\x00\x02\x68\xee";
const HVCC: &[u8] = b"\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\
\x03\xa0\x00\x01\x00\x03\x40\x01\x0c\xa1\x00\x01\x00\x03\x42\x01\x01\xa2\x00\x01\x00\x03\x44\x01\xc1";
/// Visual object sequence and a layer of 320 by 180.
const MPEG4: &[u8] = b"\x00\x00\x01\xb0\x01\x00\x00\x01\xb5\x89\x13\x00\x00\x01\x00\x00\x00\x01\x20\x00\xc4\x88\x80\x0c\x8a\x0a\x05\xa2\x14\x63";
const ASC: &[u8] = b"\x12\x10";
/// MPEG-1 layer III, 128 kbit/s, 44.1 kHz: frames of 417 bytes.
const MP3_HEADER: [u8; 4] = [0xFF, 0xFB, 0x90, 0x00];
const MP3_BYTES: usize = 417;
const MOST_FRAMES: usize = 400;

#[derive(Clone)]
enum Step {
    Video(VideoConfig),
    Audio(AudioConfig),
    Frame(Frame),
}

fn info(frame: &Frame) -> SampleInfo {
    SampleInfo {
        track: frame.track,
        dts_ms: frame.dts_ms,
        cts_ms: frame.cts_ms,
        key: frame.key,
        size: u32::try_from(frame.data.len()).expect("inputs are small"),
    }
}

fn video(choice: u8, own: &[u8]) -> VideoConfig {
    let (codec, record) = match choice % 4 {
        0 => (VideoCodec::H264, AVCC),
        1 => (VideoCodec::H265, HVCC),
        2 => (VideoCodec::Mpeg4, MPEG4),
        _ => (VideoCodec::H264, own),
    };
    let mut record = record.to_vec();
    // Unit lengths of 4 bytes, to which the reader brings every record and picture.
    if let (VideoCodec::H264, Some(byte)) = (codec, record.get_mut(4)) {
        *byte |= 3;
    }
    VideoConfig {
        codec,
        record: record.into(),
        width: 320,
        height: u32::from(choice),
    }
}

fn audio(choice: u8, own: &[u8]) -> AudioConfig {
    let (codec, record) = match choice % 3 {
        0 => (AudioCodec::Aac, ASC),
        1 => (AudioCodec::Mp3, &[][..]),
        _ => (AudioCodec::Aac, own),
    };
    AudioConfig {
        codec,
        record: Bytes::copy_from_slice(record),
        sample_rate: [44_100, 8_000, 48_000, 22_050][usize::from(choice >> 6)],
        channels: 1 + (choice >> 5 & 1),
    }
}

fn steps(input: &mut Input<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut video_now, mut audio_now) = (None, None);
    let mut now = i64::from(input.u8()) * 1_000;
    while !input.is_empty() && steps.len() < MOST_FRAMES {
        let flags = input.u8();
        match flags & 0x0F {
            0 => {
                let config = video(input.u8(), input.counted());
                video_now = Some(config.codec);
                steps.push(Step::Video(config));
            }
            1 => {
                let config = audio(input.u8(), input.counted());
                audio_now = Some(config.codec);
                steps.push(Step::Audio(config));
            }
            _ => {
                let is_video = flags & 2 != 0;
                now = match flags >> 4 & 3 {
                    0 => now + i64::from(input.u8()),
                    1 => now + i64::from(input.u16()) * 4,
                    2 => now - i64::from(input.u8() >> 6),
                    _ => input.i64() >> (input.u8() & 63),
                };
                let cts_ms = match flags & 0x0C {
                    0 => 0,
                    4 => i32::from(input.u8()) * 10,
                    8 => -i32::from(input.u8()) * 10,
                    _ => input.u32().cast_signed(),
                };
                let mut data = Vec::new();
                match (is_video, video_now, audio_now) {
                    (true, Some(VideoCodec::Mpeg4) | None, _) => {
                        data.extend_from_slice(input.counted())
                    }
                    (true, ..) => {
                        for _ in 0..1 + flags % 3 {
                            let nal = input.counted();
                            data.extend_from_slice(
                                &u32::try_from(nal.len()).expect("16 bits").to_be_bytes(),
                            );
                            data.extend_from_slice(nal);
                        }
                        // Sometimes the lengths are wrong.
                        if flags & 0xC0 == 0xC0 {
                            data.extend_from_slice(input.take(3));
                        }
                    }
                    (false, _, Some(AudioCodec::Mp3)) => {
                        data.extend_from_slice(&MP3_HEADER);
                        data.extend_from_slice(input.take(MP3_BYTES - 4));
                        data.resize(MP3_BYTES, 0);
                    }
                    (false, ..) => data.extend_from_slice(input.counted()),
                }
                steps.push(Step::Frame(Frame {
                    track: if is_video { Track::Video } else { Track::Audio },
                    dts_ms: now,
                    cts_ms: if is_video { cts_ms } else { 0 },
                    key: is_video && flags & 0x80 != 0,
                    data: data.into(),
                }));
            }
        }
    }
    steps
}

/// Payload of each unit in a transport stream, checked packet by packet.
fn demux(stream: &[u8]) -> [Vec<Vec<u8>>; 2] {
    assert_eq!(stream.len() % PACKET, 0);
    let mut units: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    // The programme map has the highest of the PIDs in use.
    let mut counters = [None; 0x1001];
    for packet in stream.chunks(PACKET) {
        assert_eq!(packet[0], 0x47);
        let pid = usize::from(u16::from_be_bytes([packet[1] & 0x1F, packet[2]]));
        assert!(counters.len() > pid, "PID {pid}");
        let (has_field, has_payload) = (packet[3] & 0x20 != 0, packet[3] & 0x10 != 0);
        let counter = packet[3] & 0x0F;
        if let Some(last) = counters[pid] {
            let wanted = if has_payload { (last + 1) & 0x0F } else { last };
            assert_eq!(counter, wanted, "continuity of PID {pid}");
            counters[pid] = Some(counter);
        } else if has_payload {
            counters[pid] = Some(counter);
        }
        let start = if has_field {
            5 + usize::from(packet[4])
        } else {
            4
        };
        assert!(
            start <= PACKET && has_payload != (start == PACKET),
            "{start}"
        );
        let Some(list) = pid.checked_sub(0x100).and_then(|at| units.get_mut(at)) else {
            continue;
        };
        if packet[1] & 0x40 != 0 {
            assert_eq!(&packet[start..start + 3], [0, 0, 1]);
            let header = 9 + usize::from(packet[start + 8]);
            list.push(packet[start + header..].to_vec());
        } else if has_payload {
            list.last_mut()
                .expect("a unit has begun")
                .extend_from_slice(&packet[start..]);
        }
    }
    units
}

/// NAL units with lengths as a transport stream carries them.
fn with_start_codes(mut picture: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((length, rest)) = picture.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (nal, rest) = rest.split_at_checked(length).expect("the muxer took it");
        if !nal.is_empty() {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal);
        }
        picture = rest;
    }
    out
}

fn transport_stream(steps: &[Step]) {
    let mut configs = (None, None);
    for step in steps {
        match step {
            Step::Video(config) => configs.0 = configs.0.or(Some(config)),
            Step::Audio(config) => configs.1 = configs.1.or(Some(config)),
            Step::Frame(_) => {}
        }
    }
    let Ok(mut muxer) = TsMuxer::new(configs.0, configs.1, Continuity::default()) else {
        return;
    };
    let mut out = BytesMut::new();
    muxer.begin_slice(&mut out);
    let mut written: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    let mut codec = configs.0.map(|config| config.codec);
    let mut bytes = 0;
    for step in steps {
        match step {
            Step::Video(config) => {
                if muxer.set_video(config).is_ok() {
                    codec = Some(config.codec);
                }
            }
            Step::Audio(config) => drop(muxer.set_audio(config)),
            Step::Frame(frame) => {
                let before = out.len();
                if muxer.write(frame, &mut out).is_ok() {
                    let is_sound = frame.track == Track::Audio;
                    let payload = if is_sound || codec == Some(VideoCodec::Mpeg4) {
                        frame.data.to_vec()
                    } else {
                        with_start_codes(&frame.data)
                    };
                    written[usize::from(is_sound)].push(payload);
                    bytes += frame.data.len();
                } else {
                    assert_eq!(out.len(), before, "a refused frame leaves nothing");
                }
            }
        }
    }
    // Four packets for the tables, 300 clock references before a frame at most, and what a picture's parameter sets need.
    assert!(out.len() <= PACKET * (4 + 310 * steps.len()) + 3 * bytes + 200_000 * steps.len());
    let units = demux(&out);
    for (units, frames) in units.iter().zip(&written) {
        assert_eq!(units.len(), frames.len());
        for (unit, payload) in units.iter().zip(frames) {
            assert!(
                unit.ends_with(payload),
                "a payload of {} bytes is not whole",
                payload.len()
            );
        }
    }
    let restart = TsMuxer::new(configs.0, configs.1, muxer.continuity());
    assert!(restart.is_ok());
}

/// Walks boxes whose sizes have to fill their parent; calls `leaf` with each box that holds none.
fn walk(mut bytes: &[u8], leaf: &mut impl FnMut([u8; 4], &[u8])) {
    while !bytes.is_empty() {
        let head: [u8; 8] = *bytes.first_chunk().expect("a box has a header");
        let [s0, s1, s2, s3, kind @ ..] = head;
        let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
        assert!(
            size >= 8 && size <= bytes.len(),
            "{:?} of {size} in {}",
            String::from_utf8_lossy(&kind),
            bytes.len()
        );
        let (this, rest) = bytes.split_at(size);
        if matches!(
            &kind,
            b"moov"
                | b"trak"
                | b"mdia"
                | b"minf"
                | b"stbl"
                | b"edts"
                | b"dinf"
                | b"moof"
                | b"traf"
                | b"mvex"
        ) {
            walk(&this[8..], leaf);
        } else {
            leaf(kind, &this[8..]);
        }
        bytes = rest;
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 4).map_or(0, |b| {
        b.iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    })
}

fn mp4(steps: &[Step]) {
    let mut layout = mp4::Layout::new();
    let (mut samples, mut payload) = (0, 0);
    for step in steps {
        match step {
            Step::Video(config) => drop(layout.video_config(config.clone())),
            Step::Audio(config) => drop(layout.audio_config(config.clone())),
            Step::Frame(frame) => {
                if layout.push(info(frame)).is_ok() {
                    samples += 1;
                    payload += frame.data.len() as u64;
                }
            }
        }
    }
    assert_eq!(layout.payload_bytes(), payload);
    let head = match layout.head() {
        Ok(head) => head,
        Err(error) => {
            assert!(samples == 0 || !matches!(error, mp4::MuxError::Empty));
            return;
        }
    };
    assert_eq!(
        layout.total_size().expect("as the head"),
        head.len() as u64 + payload
    );
    let (index, data) = head.split_at(head.len() - 8);
    assert_eq!((number(data, 0), &data[4..]), (payload + 8, &b"mdat"[..]));
    let (mut sized, mut bytes, mut timed) = (0, 0, 0);
    walk(index, &mut |kind, body| match &kind {
        b"stsz" => {
            let (each, count) = (number(body, 4), number(body, 8));
            sized += count;
            for n in 0..count {
                bytes += if each > 0 {
                    each
                } else {
                    number(body, 12 + 4 * n as usize)
                };
            }
        }
        b"stts" => {
            for n in 0..number(body, 4) as usize {
                timed += number(body, 8 + 8 * n);
            }
        }
        b"stco" => {
            for n in 0..number(body, 4) as usize {
                let offset = number(body, 8 + 4 * n);
                assert!(offset >= head.len() as u64 && offset <= head.len() as u64 + payload);
            }
        }
        _ => {}
    });
    assert_eq!((sized, timed, bytes), (samples, samples, payload));
}

fn flash_video(steps: &[Step]) {
    let mut layout = flv::Layout::new();
    let mut taken = Vec::new();
    for step in steps {
        let ok = match step {
            Step::Video(config) => layout.video_config(config).is_ok(),
            Step::Audio(config) => layout.audio_config(config).is_ok(),
            Step::Frame(frame) => layout.push(info(frame)).is_ok(),
        };
        if ok {
            taken.push(step.clone());
        }
    }
    let (Ok(head), Ok(mut writer)) = (layout.head(), layout.writer()) else {
        return;
    };
    let mut file = BytesMut::from(head.as_ref());
    let mut wanted = Vec::new();
    let mut length_size = None;
    for step in &taken {
        match step {
            Step::Video(config) => {
                length_size = length_size_of(config);
                file.extend_from_slice(&writer.video_config(config).expect("as laid out"))
            }
            Step::Audio(config) => {
                file.extend_from_slice(&writer.audio_config(config).expect("as laid out"))
            }
            Step::Frame(frame) => {
                // The first pass knows the first sample only when all have been seen.
                let Ok(head) = writer.tag_head(&info(frame)) else {
                    return;
                };
                file.extend_from_slice(&head);
                file.extend_from_slice(&frame.data);
                file.extend_from_slice(&head.tail());
                wanted.extend(match (frame.track, length_size) {
                    (Track::Video, Some(size)) => with_long_lengths(&frame.data, size),
                    _ => Some(frame.data.to_vec()),
                });
            }
        }
    }
    assert_eq!(file.len() as u64, layout.total_size().expect("as the head"));
    let mut reader = TagReader::new();
    let mut wanted = wanted.into_iter();
    for tag in FlvFile::new(file.freeze()).expect("a file") {
        let tag = tag.expect("whole tags");
        let kind = tag.kind;
        let _ = reader.read(kind, tag.timestamp, tag.payload.clone(), &mut |item| {
            let data = match item {
                Item::Video { data, .. } | Item::Audio { data, .. } => data,
                _ => return,
            };
            // What the reader refuses (nothing in it, say) is passed over.
            let found = wanted.any(|frame| frame == data);
            assert!(found, "{} bytes that were never written", data.len());
        });
    }
}

/// Bytes of the length of a NAL unit, by the configuration; none for pictures without units.
fn length_size_of(config: &VideoConfig) -> Option<usize> {
    let at = match config.codec {
        VideoCodec::H264 => 4,
        VideoCodec::H265 => 21,
        _ => return None,
    };
    Some(usize::from(config.record.get(at).copied().unwrap_or(3) & 3) + 1)
}

/// A picture as the reader hands it on: with lengths of four bytes and without empty units. None where the lengths do not fit.
fn with_long_lengths(picture: &[u8], size: usize) -> Option<Vec<u8>> {
    let (mut rest, mut whole) = (picture, Vec::new());
    while !rest.is_empty() {
        let (prefix, after) = rest.split_at_checked(size)?;
        let length = prefix
            .iter()
            .fold(0, |len, byte| len << 8 | usize::from(*byte));
        let (unit, after) = after.split_at_checked(length)?;
        if !unit.is_empty() {
            whole.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
            whole.extend_from_slice(unit);
        }
        rest = after;
    }
    Some(whole)
}

fn fragments(steps: &[Step]) {
    let (mut video, mut audio) = (None, None);
    let mut position = cmaf::Position::default();
    let mut samples = Vec::new();
    for step in steps {
        match step {
            Step::Video(config) => video = Some(config),
            Step::Audio(config) => audio = Some(config),
            Step::Frame(frame) => samples.push(info(frame)),
        }
        if samples.len() < 5 && !matches!(step, Step::Video(_) | Step::Audio(_)) {
            continue;
        }
        if let Ok(init) = cmaf::init_segment(video, audio) {
            walk(&init, &mut |_, _| {});
        }
        let Ok(mut fragmenter) = cmaf::Fragmenter::new(video, audio, position) else {
            continue;
        };
        let payload: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
        let next = samples
            .iter()
            .rev()
            .find(|sample| sample.track == Track::Video)
            .map(|sample| sample.dts_ms);
        if let Ok(head) = fragmenter.fragment(&samples, next) {
            let (index, data) = head.split_at(head.len() - 8);
            assert_eq!((number(data, 0), &data[4..]), (payload + 8, &b"mdat"[..]));
            let mut count = 0;
            walk(index, &mut |kind, body| {
                if &kind == b"trun" {
                    count += number(body, 4);
                }
            });
            assert_eq!(count, samples.len() as u64);
        }
        position = fragmenter.position();
        samples.clear();
    }
}

pub fn run(data: &[u8]) {
    let steps = steps(&mut Input::new(data));
    transport_stream(&steps);
    mp4(&steps);
    flash_video(&steps);
    fragments(&steps);
}
