//! A record that x265 wrote (its SEI array shortened), and bounds.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// Main profile, 1278 x 718: two columns and two lines are cropped. VPS, SPS, PPS and an SEI of 4 bytes.
const HVCC: &str = "0101600000009000000000005df000fcfdf8f800000f04\
    200001001840010c01ffff01600000030090000003000003005d959809\
    210001002c42010101600000030090000003000003005da00280802d1d565959a4932bc05a020000030002000003003c10\
    22000100074401c172b46240\
    27000100044e010580";

#[test]
fn record_of_a_real_encoder() {
    let record = unhex(HVCC);
    let hvcc = parse_hvcc(&record).unwrap();
    assert_eq!((hvcc.length_size, hvcc.profile, hvcc.level), (4, 1, 93));
    assert_eq!((hvcc.vps.len(), hvcc.sps.len(), hvcc.pps.len()), (1, 1, 1));
    assert_eq!(&hvcc.pps[0][..2], [0x44, 1]);
    let sps = parse_sps(&hvcc.sps[0]).unwrap();
    assert_eq!(
        sps,
        Sps {
            width: 1278,
            height: 718
        }
    );
}

#[test]
fn sub_layer_information_is_passed_over() {
    // As the set above, but with two more sub-layers: one with profile and level, one with a level only.
    let hvcc = parse_hvcc(&unhex(HVCC)).unwrap();
    let plain = unescape(&hvcc.sps[0]);
    let mut layered = plain[..2].to_vec();
    layered.push(plain[2] & 0xF1 | 2 << 1);
    layered.extend(&plain[3..15]);
    layered.extend([0b1101_0000, 0]);
    layered.extend([0; 12 + 1]);
    layered.extend(&plain[15..]);
    let escaped = escape(&layered);
    assert_eq!(
        parse_sps(&escaped),
        Ok(Sps {
            width: 1278,
            height: 718
        })
    );
}

#[test]
fn a_record_cut_anywhere_is_an_error() {
    let record = unhex(HVCC);
    for end in 0..record.len() {
        assert!(parse_hvcc(&record.slice(..end)).is_err(), "{end} bytes");
    }
}

#[test]
fn parameter_sets_are_bounded() {
    let record = |units: u16| {
        let mut record = unhex(HVCC)[..22].to_vec();
        record.push(1);
        record.push(0x20);
        record.extend(units.to_be_bytes());
        record.extend(vec![0; usize::from(units) * 2]);
        parse_hvcc(&Bytes::from(record))
    };
    assert_eq!(record(256).unwrap().vps.len(), 256);
    assert_eq!(
        record(257),
        Err(CodecError::invalid(
            "number of HEVC parameter sets",
            257_u32
        ))
    );
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_hvcc(&Bytes::from(bytes.clone()));
        if let Some(first) = bytes.first_mut() {
            *first = 0x42;
        }
        if let Ok(sps) = parse_sps(&bytes) {
            prop_assert!(sps.width > 0 && sps.height > 0);
        }
    }
}

fn escape(rbsp: &[u8]) -> Vec<u8> {
    let mut nal = Vec::new();
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros == 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    nal
}

fn unhex(text: &str) -> Bytes {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
