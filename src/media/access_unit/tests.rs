//! Messages as encoders cut them, and the bounds.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::frame::Track;

/// x264, Main, interlaced: pictures may be fields; frame_num has four bits.
const AVCC_1080I: &str =
    "014d4028ffe10019674d4028f403c0227ef0110000030001000003003c1f162ea001000468de0fc8";

const AUD: &[u8] = &[9, 0xF0];
const SEI: &[u8] = &[6, 5, 1, 7, 0x80];
const FILLER: &[u8] = &[12, 0xFF, 0x80];
const IDR: &[u8] = &[0x65, 0x88, 1];
/// 1 first_mb_in_slice, 1 slice_type P.
const P: &[u8] = &[0x41, 0xC0, 2];
/// 010 first_mb_in_slice 1.
const REST: &[u8] = &[0x41, 0x40, 3];
const REST_OF_IDR: &[u8] = &[0x65, 0x40, 4];

fn joined(units: &[&[u8]]) -> Bytes {
    let mut out = BytesMut::new();
    for unit in units {
        put(&mut out, unit);
    }
    out.freeze()
}

fn video(timestamp: u32, key: bool, units: &[&[u8]]) -> Arrived {
    message(Track::Video, timestamp, key, joined(units))
}

fn sound(timestamp: u32) -> Arrived {
    let data = Bytes::copy_from_slice(&timestamp.to_be_bytes());
    message(Track::Audio, timestamp, false, data)
}

fn message(track: Track, timestamp: u32, key: bool, data: Bytes) -> Arrived {
    Arrived {
        frame: Frame {
            track,
            dts_ms: 0,
            cts_ms: 0,
            key,
            data,
        },
        timestamp,
        at: timestamp.into(),
    }
}

fn config(codec: VideoCodec, record: &'static [u8]) -> VideoConfig {
    VideoConfig {
        codec,
        record: Bytes::from_static(record),
        width: 0,
        height: 0,
    }
}

fn reader(codec: VideoCodec) -> AccessUnits {
    let mut units = AccessUnits::default();
    units.configure(&config(codec, &[]), &mut |_| {});
    units
}

/// What comes out when the messages have come and the push ends; refused messages are left out.
fn through(units: &mut AccessUnits, messages: Vec<Arrived>) -> Vec<Arrived> {
    let mut out = Vec::new();
    for message in messages {
        if message.frame.track == Track::Audio {
            units.audio(message, &mut |frame| out.push(frame));
        } else {
            let _ = units.video(message, &mut |frame| out.push(frame));
        }
    }
    units.settle(&mut |frame| out.push(frame));
    out
}

#[test]
fn a_picture_of_one_message_is_passed_on_without_a_copy() {
    let mut units = reader(VideoCodec::H264);
    let picture = video(40, true, &[AUD, SEI, IDR, REST_OF_IDR]);
    let address = picture.frame.data.as_ptr();
    let out = through(&mut units, vec![picture.clone()]);
    assert_eq!(out, [picture]);
    assert_eq!(out[0].frame.data.as_ptr(), address);
    assert!(!units.are_in_parts());
}

#[test]
fn delimiter_sei_and_slice_in_messages_of_their_own_are_one_picture() {
    let mut units = reader(VideoCodec::H264);
    let messages = vec![
        video(0, true, &[AUD]),
        video(0, true, &[SEI]),
        video(0, true, &[IDR]),
        video(40, false, &[AUD]),
        // Its timestamp says nothing.
        video(33, false, &[SEI]),
        video(40, false, &[P]),
    ];
    let out = through(&mut units, messages);
    let expected = [
        video(0, true, &[AUD, SEI, IDR]),
        video(40, false, &[AUD, SEI, P]),
    ];
    assert_eq!(out, expected);
}

#[test]
fn an_access_unit_has_one_delimiter_at_its_beginning() {
    let mut units = reader(VideoCodec::H264);
    let out = through(
        &mut units,
        vec![video(0, false, &[SEI]), video(0, false, &[AUD, P])],
    );
    assert_eq!(out, [video(0, false, &[AUD, SEI, P])]);
    let out = through(
        &mut units,
        vec![video(0, false, &[AUD, SEI]), video(0, false, &[AUD, P])],
    );
    assert_eq!(out, [video(0, false, &[AUD, SEI, P])]);
    // In one message, behind others and a second time.
    for opening in [&[SEI, AUD][..], &[AUD, SEI, AUD]] {
        let message = video(0, false, &[opening, &[P, REST]].concat());
        let out = through(&mut units, vec![message]);
        assert_eq!(out, [video(0, false, &[AUD, SEI, P, REST])]);
    }
    // Of the pictures of one message, the second one keeps its own.
    let two = video(0, false, &[AUD, P, AUD, P]);
    let address = two.frame.data.as_ptr();
    let out = through(&mut units, vec![two.clone()]);
    assert_eq!(out, [two]);
    assert_eq!(out[0].frame.data.as_ptr(), address);
}

#[test]
fn slices_of_one_picture_apart_are_one_picture() {
    let mut units = reader(VideoCodec::H264);
    let messages = vec![
        video(0, true, &[AUD, IDR]),
        sound(0),
        video(0, true, &[REST_OF_IDR]),
        // As some stamp them: the bitstream decides.
        video(9, false, &[REST_OF_IDR, FILLER]),
        video(40, false, &[P]),
        sound(23),
        video(40, false, &[REST]),
    ];
    let out = through(&mut units, messages);
    let expected = [
        video(0, true, &[AUD, IDR, REST_OF_IDR, REST_OF_IDR, FILLER]),
        sound(0),
        video(40, false, &[P, REST]),
        sound(23),
    ];
    assert_eq!(out, expected);
    assert!(units.are_in_parts());
}

#[test]
fn sei_behind_a_slice_waits_for_the_next_picture_and_the_rest_of_its_own_still_joins() {
    let mut units = reader(VideoCodec::H264);
    let messages = vec![
        video(0, true, &[IDR]),
        video(0, true, &[SEI]),
        video(0, true, &[REST_OF_IDR]),
        video(40, false, &[P]),
    ];
    let out = through(&mut units, messages);
    let expected = [
        video(0, true, &[IDR, REST_OF_IDR]),
        video(40, false, &[SEI, P]),
    ];
    assert_eq!(out, expected);
}

#[test]
fn a_message_is_cut_where_another_picture_begins() {
    let mut units = reader(VideoCodec::H264);
    let messages = vec![
        video(0, true, &[IDR]),
        video(40, false, &[SEI, REST_OF_IDR, AUD, SEI, P, REST]),
    ];
    let out = through(&mut units, messages);
    let expected = [
        video(0, true, &[IDR, REST_OF_IDR]),
        video(40, false, &[AUD, SEI, SEI, P, REST]),
    ];
    assert_eq!(out, expected);
}

#[test]
fn the_slices_decide_what_is_a_key_frame() {
    let mut units = reader(VideoCodec::H264);
    let messages = vec![
        video(0, false, &[IDR]),
        video(40, true, &[P]),
        video(80, true, &[P]),
    ];
    let keys: Vec<bool> = through(&mut units, messages)
        .iter()
        .map(|arrived| arrived.frame.key)
        .collect();
    assert_eq!(keys, [true, false, false]);
}

#[test]
fn a_slice_without_its_picture_is_refused() {
    let mut units = reader(VideoCodec::H264);
    let mut none = |_| panic!("nothing comes out");
    assert_eq!(
        units.video(video(0, false, &[REST]), &mut none),
        Err(UnitError::NoBeginning)
    );
    assert_eq!(units.video(video(0, false, &[FILLER]), &mut none), Ok(()));
    // The beginning of another picture in it counts.
    let out = through(&mut units, vec![video(40, false, &[REST, P])]);
    assert_eq!(out, [video(40, false, &[P])]);
}

#[test]
fn two_fields_of_one_timestamp_are_one_frame() {
    let record = hex::decode(AVCC_1080I).unwrap();
    let mut units = AccessUnits::default();
    let interlaced = VideoConfig {
        record: record.into(),
        ..config(VideoCodec::H264, &[])
    };
    units.configure(&interlaced, &mut |_| {});
    assert!(units.fields.is_some(), "pictures may be fields");
    // 1 first_mb, 1 slice_type P, 1 pps, frame_num 0101, field_pic_flag, bottom_field_flag
    let bits = units.fields.unwrap().frame_num_bits;
    assert_eq!(bits, 4);
    let top = &[0x41, 0b1110_1011, 0b0000_0001][..];
    let bottom = &[0x41, 0b1110_1011, 0b1000_0001][..];
    let frame = &[0x41, 0b1110_1010, 0b0000_0001][..];
    let out = through(
        &mut units,
        vec![
            video(0, false, &[top]),
            video(0, false, &[bottom]),
            video(40, false, &[top]),
            video(60, false, &[bottom]),
            video(80, false, &[frame]),
            video(80, false, &[frame]),
        ],
    );
    let expected = [
        video(0, false, &[top, bottom]),
        video(40, false, &[top]),
        video(60, false, &[bottom]),
        video(80, false, &[frame]),
        video(80, false, &[frame]),
    ];
    assert_eq!(out, expected);
}

#[test]
fn pictures_of_h265_by_their_first_slice_segment() {
    const IRAP: &[u8] = &[0x26, 1, 0x80, 1];
    const IRAP_REST: &[u8] = &[0x26, 1, 0x40, 2];
    const SEI5: &[u8] = &[0x4E, 1, 5, 1, 7, 0x80];
    const AUD5: &[u8] = &[0x46, 1, 0x50];
    let mut units = reader(VideoCodec::H265);
    let messages = vec![
        video(0, false, &[AUD5]),
        video(0, false, &[SEI5]),
        video(0, false, &[IRAP]),
        video(0, false, &[IRAP_REST]),
    ];
    let out = through(&mut units, messages);
    assert_eq!(out, [video(0, true, &[AUD5, SEI5, IRAP, IRAP_REST])]);
}

#[test]
fn pictures_of_mpeg4_by_their_start_codes() {
    let part = |timestamp, key, data: &'static [u8]| {
        message(Track::Video, timestamp, key, Bytes::from_static(data))
    };
    let mut units = reader(VideoCodec::Mpeg4);
    let messages = vec![
        part(0, true, &[0, 0, 1, 0xB0, 1]),
        part(0, false, &[0, 0, 1, 0xB6, 0x10, 1]),
        part(0, false, &[7, 8]),
        part(40, true, &[0, 0, 1, 0xB6, 0x50, 2]),
    ];
    let out = through(&mut units, messages);
    let expected = [
        part(0, true, &[0, 0, 1, 0xB0, 1, 0, 0, 1, 0xB6, 0x10, 1, 7, 8]),
        part(40, false, &[0, 0, 1, 0xB6, 0x50, 2]),
    ];
    assert_eq!(out, expected);
}

#[test]
fn sound_waits_behind_a_picture_and_not_for_ever() {
    let mut units = reader(VideoCodec::H264);
    let mut out = 0;
    units
        .video(video(0, true, &[IDR]), &mut |_| out += 1)
        .unwrap();
    for n in 0..21 {
        units.audio(sound(n * 23), &mut |_| out += 1);
    }
    assert_eq!((out, units.held()), (0, Some(1)));
    units.audio(sound(500), &mut |_| out += 1);
    assert_eq!((out, units.held()), (23, None));
    // Behind the picture by its timestamps.
    units
        .video(video(600, false, &[P]), &mut |_| out += 1)
        .unwrap();
    for n in 0..64 {
        units.audio(sound(200 + n), &mut |_| out += 1);
    }
    assert_eq!((out, units.held()), (23 + 65, None));
    units.audio(sound(700), &mut |_| out += 1);
    assert_eq!(out, 23 + 66);
}

#[test]
fn a_stream_of_sei_alone_is_bounded() {
    let mut units = reader(VideoCodec::H264);
    let sei = [6_u8; 1_000];
    let mut refused = 0;
    for n in 0..10_000 {
        let none = &mut |_| panic!("nothing comes out");
        if let Err(error) = units.video(video(n, true, &[&sei]), none) {
            assert_eq!(error, UnitError::Ahead);
            refused += 1;
        }
    }
    assert!(units.ahead.capacity() <= 2 * MOST_AHEAD);
    assert_eq!(refused, 10_000 - MOST_AHEAD / 1_004);
    let out = through(&mut units, vec![video(0, true, &[IDR])]);
    assert!(out[0].frame.data.len() <= MOST_AHEAD + 7 && out[0].frame.key);
    assert!(units.ahead.is_empty());
}

#[test]
fn ten_thousand_slices_are_one_picture_within_the_bound() {
    let mut units = reader(VideoCodec::H264);
    let mut rest = vec![0xFF; 2_000];
    rest[..2].copy_from_slice(&[0x41, 0x40]);
    let mut messages = vec![video(0, true, &[IDR])];
    messages.extend((0..10_000).map(|_| video(0, false, &[&rest])));
    let mut refused = 0;
    for message in messages {
        let taken = units.video(message, &mut |_| panic!("nothing comes out"));
        refused += i32::from(taken == Err(UnitError::Picture));
    }
    let mut out = Vec::new();
    units.settle(&mut |frame| out.push(frame));
    assert_eq!(out.len(), 1);
    assert!(out[0].frame.data.len() <= MOST_PICTURE);
    assert!(out[0].frame.data.len() > MOST_PICTURE - 2_004);
    assert_eq!(refused, 10_000 - (MOST_PICTURE as i32 - 7) / 2_004);
}

proptest! {
    /// However access units are cut into messages, they come out whole and in order.
    #[test]
    fn cut_anywhere_and_put_together(
        pictures in proptest::collection::vec((0..4_usize, any::<bool>(), any::<u8>()), 1..20),
        cuts in proptest::collection::vec(any::<bool>(), 200),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let (mut expected, mut messages) = (Vec::new(), Vec::new());
        for (n, (rest, sei, mark)) in (0_u32..).zip(pictures) {
            let first = [if n % 5 == 0 { 0x65 } else { 0x41 }, 0x88, mark];
            let more = [0x41, 0x40, mark];
            let mut list: Vec<&[u8]> = vec![AUD];
            if sei { list.push(SEI); }
            list.push(&first);
            list.extend(std::iter::repeat_n(&more[..], rest));
            expected.push((n * 40, joined(&list)));
            let mut from = 0;
            for end in 1..=list.len() {
                if end == list.len() || cuts.next().unwrap() {
                    messages.push(video(n * 40, false, &list[from..end]));
                    from = end;
                }
            }
        }
        let out = through(&mut reader(VideoCodec::H264), messages);
        let out: Vec<_> = out.into_iter().map(|a| (a.timestamp, a.frame.data)).collect();
        prop_assert_eq!(out, expected);
    }
}
