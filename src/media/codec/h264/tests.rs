//! Records and parameter sets that real encoders wrote, and bounds.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// x264, High profile, 1920 x 1080 progressive: eight lines are cropped.
const AVCC_1080P: &str =
    "01640028ffe1001b67640028acd940780227e5c044000003000400000300f03c60c65801000468ef8fcbfdf8f800";
/// x264, 1920 x 1080 interlaced: height counts field pairs.
const AVCC_1080I: &str =
    "014d4028ffe10019674d4028f403c0227ef0110000030001000003003c1f162ea001000468de0fc8";
/// x264, 322 x 242 in 4:4:4 with a scaling matrix.
const AVCC_444: &str = "01f4000dffe1001a67f4000d919b282a10f1f1f80880000003008000001e078a14cb01000868ebe3c44c000440fff8f800";

#[test]
fn records_of_real_encoders() {
    for (record, profile, level, width, height) in [
        (AVCC_1080P, 100, 40, 1920, 1080),
        (AVCC_1080I, 77, 40, 1920, 1080),
        (AVCC_444, 244, 13, 322, 242),
    ] {
        let avcc = parse_avcc(&unhex(record)).unwrap();
        assert_eq!(
            (avcc.length_size, avcc.profile, avcc.level),
            (4, profile, level)
        );
        assert_eq!((avcc.sps.len(), avcc.pps.len()), (1, 1));
        assert_eq!(avcc.pps[0][0], 0x68);
        let sps = parse_sps(&avcc.sps[0]).unwrap();
        assert_eq!((sps.width, sps.height), (width, height));
        assert_eq!((sps.profile, sps.level), (profile, level));
    }
}

#[test]
fn a_record_is_written_as_encoders_write_it() {
    for record in [AVCC_1080P, AVCC_1080I, AVCC_444] {
        let record = unhex(record);
        let avcc = parse_avcc(&record).unwrap();
        assert_eq!(write_avcc(&avcc.sps, &avcc.pps), Some(record));
    }
}

/// The set of [`AVCC_1080P`] with another aspect_ratio_idc, and what follows it.
fn with_aspect(index: u8, wide: u16, high: u16) -> Vec<u8> {
    // Byte 11 begins with the two flags before the index.
    let head = 0b11_u64 << 8 | u64::from(index);
    let bits = head << 32 | u64::from(wide) << 16 | u64::from(high);
    [&unhex(AVCC_1080P)[8..19], &(bits << 22).to_be_bytes()].concat()
}

#[test]
fn the_shape_of_pixels_is_read_where_they_are_no_squares() {
    for (index, told, expected) in [
        (0, (0, 0), None),
        (1, (0, 0), None),
        (2, (0, 0), Some((12, 11))),
        (14, (0, 0), Some((4, 3))),
        (16, (0, 0), Some((2, 1))),
        (17, (0, 0), None),
        (255, (64, 45), Some((64, 45))),
        (255, (7, 7), None),
        (255, (0, 45), None),
        (255, (64, 0), None),
    ] {
        let (wide, high) = told;
        let set = with_aspect(index, wide, high);
        assert_eq!(pixel_aspect(&set), expected, "{index} {told:?}");
        let sps = parse_sps(&set).unwrap();
        assert_eq!((sps.width, sps.height), (1920, 1080));
    }
    // Cut off before it, the set still tells the size.
    let set = with_aspect(14, 0, 0);
    assert_eq!(pixel_aspect(&set[..11]), None);
    assert_eq!(parse_sps(&set[..11]).unwrap().width, 1920);
    assert_eq!(pixel_aspect(&[0x68, 1, 2, 3]), None);
}

#[test]
fn parameter_sets_share_the_records_memory() {
    let record = unhex(AVCC_1080P);
    let avcc = parse_avcc(&record).unwrap();
    assert_eq!(avcc.sps[0].as_ptr(), record[8..].as_ptr());
}

#[test]
fn a_record_cut_anywhere_is_an_error() {
    let record = unhex(AVCC_1080I);
    for end in 0..record.len() {
        assert!(parse_avcc(&record.slice(..end)).is_err(), "{end} bytes");
    }
}

#[test]
fn forbidden_values_are_named() {
    let with = |offset: usize, value: u8| {
        let mut record = unhex(AVCC_1080I).to_vec();
        record[offset] = value;
        parse_avcc(&Bytes::from(record))
    };
    assert_eq!(with(0, 2), Err(CodecError::invalid("avcC version", 2_u8)));
    assert_eq!(
        with(4, 0xFE),
        Err(CodecError::invalid("NAL length size", 3_u8))
    );
    assert_eq!(
        parse_sps(&[0x68, 1, 2, 3]),
        Err(CodecError::invalid("H.264 SPS NAL unit type", 8_u8))
    );
}

#[test]
fn cropping_more_than_the_picture_is_an_error() {
    assert_eq!(visible_side(1088, 2, [0, 4]), Ok(1080));
    assert_eq!(
        visible_side(16, 2, [4, 4]),
        Err(CodecError::invalid("picture side", 0_u8))
    );
    assert_eq!(visible_side(65_535, 1, [0, 0]), Ok(65_535));
    assert!(visible_side(65_536, 1, [0, 0]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_avcc(&Bytes::from(bytes.clone()));
        if let Some(first) = bytes.first_mut() {
            *first = 0x67;
        }
        let _ = pixel_aspect(&bytes);
        if let Ok(sps) = parse_sps(&bytes) {
            prop_assert!((1..=MAX_SIDE).contains(&sps.width));
            prop_assert!((1..=MAX_SIDE).contains(&sps.height));
        }
    }
}

fn unhex(text: &str) -> Bytes {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
