//! Cuts, cycles, gaps, and going on after being stored.

use super::*;

fn lane(format: Format, slice_s: i64, cycle_s: i64) -> FormatRule {
    FormatRule {
        format,
        object_prefix: String::new(),
        slice_prefix: None,
        slice_s,
        cycle_s,
    }
}

/// 25 fps with a key frame every `gop_s` seconds and an audio frame beside every picture.
fn push(
    segmenter: &mut Segmenter,
    from_ms: i64,
    seconds: i64,
    gop_s: i64,
    out: &mut Vec<Output>,
) -> (Position, i64) {
    let mut at = Position {
        segment: 0,
        offset: u64::try_from(from_ms).unwrap(),
    };
    for i in 0..seconds * 25 {
        let dts = from_ms + i * 40;
        at.offset = u64::try_from(dts).unwrap() * 2;
        segmenter.frame(at, Track::Video, (dts, 0), i % (gop_s * 25) == 0, out);
        at.offset += 1;
        segmenter.frame(at, Track::Audio, (dts, 0), false, out);
    }
    at.offset += 1;
    (at, from_ms + seconds * 1000)
}

fn slices(out: &[Output]) -> Vec<i64> {
    out.iter()
        .filter_map(|o| {
            if let Output::Slice(s) = o {
                Some(s.duration_ms)
            } else {
                None
            }
        })
        .collect()
}

fn files(out: &[Output]) -> Vec<(u64, i64)> {
    out.iter()
        .filter_map(|o| {
            if let Output::File(f) = o {
                Some((f.number, f.duration_ms))
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn slices_are_cut_at_the_first_key_frame_after_the_target() {
    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 7, 0);
    let (at, end) = push(&mut segmenter, 0, 40, 4, &mut out);
    segmenter.close_files(at, end, &mut out);
    assert_eq!(slices(&out), [8_000; 5]);
    assert_eq!(files(&out), [(0, 40_000)]);
    assert_eq!(segmenter.next_sequence(), 12);
}

#[test]
fn each_format_has_its_own_cycle() {
    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(
        &[lane(Format::M3u8, 5, 3600), lane(Format::Mp4, 30, 20)],
        0,
        0,
    );
    let (at, end) = push(&mut segmenter, 0, 50, 2, &mut out);
    segmenter.close_files(at, end, &mut out);
    let mp4: Vec<i64> = out
        .iter()
        .filter_map(|o| {
            if let Output::File(File {
                lane: 1,
                duration_ms,
                ..
            }) = o
            {
                Some(*duration_ms)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(mp4, [20_000, 20_000, 10_000]);
    assert_eq!(slices(&out).iter().sum::<i64>(), 50_000);
}

#[test]
fn a_gap_belongs_to_the_clock_and_not_to_the_media() {
    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 0, 1_000_000);
    let (at, end) = push(&mut segmenter, 0, 20, 2, &mut out);
    segmenter.pause(at, end, &mut out);
    segmenter.resume(end, segmenter.wall(end) + 10_000);
    let (at, end) = push(&mut segmenter, end, 20, 2, &mut out);
    segmenter.close_files(at, end, &mut out);
    let Some(Output::File(file)) = out.last() else {
        panic!("no file")
    };
    assert_eq!(
        (file.duration_ms, file.ended_at - file.started_at),
        (40_000, 50_000)
    );
    let marked = out
        .iter()
        .filter(|o| matches!(o, Output::Slice(s) if s.discontinuity))
        .count();
    assert_eq!(marked, 1);
}

#[test]
fn sound_alone_is_cut_at_audio_frames_and_a_stream_without_key_frames_makes_no_file() {
    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(&[lane(Format::M3u8, 5, 21_600)], 0, 0);
    let mut at = Position {
        segment: 0,
        offset: 0,
    };
    for i in 0..500 {
        at.offset += 1;
        segmenter.frame(at, Track::Audio, (i * 24, 0), false, &mut out);
    }
    segmenter.close_files(at, 12_000, &mut out);
    assert_eq!(slices(&out).len(), 3);
    assert_eq!(files(&out), [(0, 12_000)]);

    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(&[lane(Format::Mp4, 5, 21_600)], 0, 0);
    segmenter.frame(at, Track::Video, (0, 0), false, &mut out);
    segmenter.close_files(at, 40, &mut out);
    assert_eq!(out, []);
}

#[test]
fn the_segmenter_goes_on_alike_after_being_stored() {
    let rules = [lane(Format::M3u8, 5, 20), lane(Format::Flv, 30, 10)];
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    let mut one = Segmenter::new(&rules, 0, 0);
    push(&mut one, 0, 13, 2, &mut whole);
    let (at, end) = push(&mut one, 13_000, 30, 2, &mut whole);
    one.close_files(at, end, &mut whole);

    let mut two = Segmenter::new(&rules, 0, 0);
    push(&mut two, 0, 13, 2, &mut parts);
    let text = serde_json::to_string(&two).unwrap();
    let mut two: Segmenter = serde_json::from_str(&text).unwrap();
    let (at, end) = push(&mut two, 13_000, 30, 2, &mut parts);
    two.close_files(at, end, &mut parts);
    assert_eq!(whole, parts);
}

#[test]
fn a_changed_configuration_ends_a_cmaf_file_and_a_repeated_one_does_not() {
    let rules = [lane(Format::Cmaf, 5, 21_600), lane(Format::M3u8, 5, 21_600)];
    let mut out = Vec::new();
    let mut segmenter = Segmenter::new(&rules, 0, 0);
    let start = Position {
        segment: 0,
        offset: 0,
    };
    segmenter.config(start, Track::Video, 1);
    let (at, _) = push(&mut segmenter, 0, 6, 2, &mut out);
    // Sound is first configured after the file began: its header announces it all the same.
    segmenter.config(at, Track::Audio, 7);
    let (at, _) = push(&mut segmenter, 6_000, 4, 2, &mut out);
    segmenter.config(at, Track::Video, 1);
    let (at, _) = push(&mut segmenter, 10_000, 4, 2, &mut out);
    assert_eq!(files(&out), []);
    segmenter.config(at, Track::Video, 2);
    let (at, end) = push(&mut segmenter, 14_000, 6, 2, &mut out);
    segmenter.close_files(at, end, &mut out);
    let of = |wanted: usize| -> Vec<(i64, i64)> {
        out.iter()
            .filter_map(|output| match output {
                Output::File(file) if file.lane == wanted => {
                    Some((file.started_at, file.duration_ms))
                }
                _ => None,
            })
            .collect()
    };
    assert_eq!(of(0), [(0, 14_000), (14_000, 6_000)]);
    assert_eq!(of(1), [(0, 20_000)]);
}
