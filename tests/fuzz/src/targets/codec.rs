//! Codec headers: any bytes are a header within its standard's bounds or an error, and more bytes behind a header that is
//! read whole change nothing.

use bytes::Bytes;
use localyun::testing::media::codec::{aac, h264, h265, mp3, mpeg4};

use crate::input::Input;

const MAX_SIDE: u32 = 65_535;

fn side(width: u32, height: u32) {
    assert!(
        (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height),
        "{width}x{height}"
    );
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.u8() % 8;
    let body = input.rest();
    let record = Bytes::copy_from_slice(body);
    let mut longer = body.to_vec();
    longer.extend_from_slice(&[0xA5; 9]);
    match kind {
        0 => {
            if let Ok(avcc) = h264::parse_avcc(&record) {
                assert!(matches!(avcc.length_size, 1 | 2 | 4));
                let sets: usize = avcc.sps.iter().chain(&avcc.pps).map(Bytes::len).sum();
                assert!(sets <= body.len());
                assert_eq!(h264::parse_avcc(&longer.into()), Ok(avcc));
            }
        }
        1 => {
            if let Ok(hvcc) = h265::parse_hvcc(&record) {
                assert!(matches!(hvcc.length_size, 1 | 2 | 4));
                let all = hvcc.vps.iter().chain(&hvcc.sps).chain(&hvcc.pps);
                assert!(all.map(Bytes::len).sum::<usize>() <= body.len());
                assert_eq!(h265::parse_hvcc(&longer.into()), Ok(hvcc));
            }
        }
        2 => {
            if let Ok(sps) = h264::parse_sps(body) {
                side(sps.width, sps.height);
                assert_eq!(h264::parse_sps(&longer), Ok(sps));
            }
        }
        3 => {
            if let Ok(sps) = h265::parse_sps(body) {
                side(sps.width, sps.height);
                assert_eq!(h265::parse_sps(&longer), Ok(sps));
            }
        }
        4 => {
            if let Ok(asc) = aac::parse_asc(body) {
                assert!(
                    asc.sample_rate > 0 && asc.channels > 0 && asc.frame_samples > 0,
                    "{asc:?}"
                );
            }
        }
        5 => {
            if let Ok(header) = mp3::parse_header(body) {
                assert!((8_000..=48_000).contains(&header.sample_rate), "{header:?}");
                assert!(matches!(header.channels, 1 | 2) && matches!(header.samples, 576 | 1152));
                assert!((4..=2_881).contains(&header.frame_bytes), "{header:?}");
                assert_eq!(mp3::parse_header(&longer), Ok(header));
            }
        }
        6 => {
            if let Ok(vol) = mpeg4::parse_vol(body) {
                assert!(vol.width <= MAX_SIDE && vol.height <= MAX_SIDE);
                assert_eq!(mpeg4::parse_vol(&longer), Ok(vol));
            }
        }
        _ => {
            let headers = mpeg4::leading_headers(body);
            assert!(body.starts_with(headers));
            let _ = mpeg4::is_intra(body);
        }
    }
}
