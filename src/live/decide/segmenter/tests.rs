//! Cuts, cycles, gaps, and going on after being stored.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::media::flv::write as flv;
use crate::media::frame::{AudioCodec, AudioConfig, VideoCodec, VideoConfig};
use crate::media::mp4;

fn lane(format: Format, slice_s: i64, cycle_s: i64) -> FormatRule {
    FormatRule {
        format,
        object_prefix: String::new(),
        slice_prefix: None,
        slice_s,
        cycle_s,
    }
}

fn picture(codec: VideoCodec, version: u8) -> Print {
    Print::of_video(&VideoConfig {
        codec,
        record: Bytes::from(vec![version]),
        width: 0,
        height: 0,
    })
}

fn h264(version: u8) -> Print {
    picture(VideoCodec::H264, version)
}

fn sound(codec: AudioCodec, version: u8) -> Print {
    Print::of_audio(&AudioConfig {
        codec,
        // AAC-LC, and a byte that says nothing.
        record: Bytes::from(vec![0x12, 0x10, version]),
        sample_rate: 44_100,
        channels: 2,
    })
}

fn aac(version: u8) -> Print {
    sound(AudioCodec::Aac, version)
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
fn a_recording_begins_with_its_earliest_picture_and_time_stamps_have_room_for_it() {
    for (format, lengths) in [(Format::M3u8, vec![6_000, 8_000]), (Format::Mp4, vec![])] {
        let mut out = Vec::new();
        let mut segmenter = Segmenter::new(&[lane(format, 5, 21_600)], 0, 10_000);
        segmenter.config(Position::default(), Track::Video, h264(1));
        segmenter.config(Position::default(), Track::Audio, aac(1));
        let mut at = Position::default();
        // The sound's clock is two seconds ahead, and sound comes first.
        for i in 0..300_i64 {
            at.offset += 1;
            segmenter.frame(at, Track::Audio, (i * 40, 0), false, &mut out);
            at.offset += 1;
            segmenter.frame(at, Track::Video, (i * 40 - 2_000, 0), i % 50 == 0, &mut out);
        }
        at.offset += 1;
        segmenter.close_files(at, 12_000, &mut out);
        assert_eq!(files(&out), [(0, 14_000)]);
        assert_eq!(slices(&out), lengths);
        for output in &out {
            match output {
                Output::Slice(slice) => assert_eq!(slice.origin_ms, -1_500),
                Output::File(file) => assert_eq!((file.started_at, file.ended_at), (8_000, 22_000)),
            }
        }
    }
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
    segmenter.config(start, Track::Video, h264(1));
    let (at, _) = push(&mut segmenter, 0, 6, 2, &mut out);
    // Sound is first configured after the file began: its header announces it all the same.
    segmenter.config(at, Track::Audio, aac(7));
    let (at, _) = push(&mut segmenter, 6_000, 4, 2, &mut out);
    segmenter.config(at, Track::Video, h264(1));
    let (at, _) = push(&mut segmenter, 10_000, 4, 2, &mut out);
    assert_eq!(files(&out), []);
    segmenter.config(at, Track::Video, h264(2));
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

/// What a test needs of the spool: frames in order, each with its configuration.
#[derive(Debug, Clone, Copy)]
struct Laid {
    at: Position,
    track: Track,
    dts_ms: i64,
    key: bool,
    print: Print,
}

/// Feeds a segmenter as a session does, and remembers what lies in the spool.
struct Feed {
    segmenter: Segmenter,
    laid: Vec<Laid>,
    out: Vec<Output>,
    in_force: [Print; 2],
    at: Position,
    end_ms: i64,
}

impl Feed {
    fn new(formats: &[Format], slice_s: i64, cycle_s: i64) -> Self {
        let rules: Vec<FormatRule> = formats.iter().map(|f| lane(*f, slice_s, cycle_s)).collect();
        Self {
            segmenter: Segmenter::new(&rules, 0, 0),
            laid: Vec::new(),
            out: Vec::new(),
            in_force: [Print::default(); 2],
            at: Position::default(),
            end_ms: 0,
        }
    }

    fn config(&mut self, track: Track, print: Print) {
        self.at.offset += 1;
        self.in_force[usize::from(track == Track::Audio)] = print;
        self.segmenter.config(self.at, track, print);
    }

    fn frame(&mut self, track: Track, dts_ms: i64, key: bool) {
        self.at.offset += 1;
        let print = self.in_force[usize::from(track == Track::Audio)];
        let (at, times) = (self.at, (dts_ms, 0));
        self.laid.push(Laid {
            at,
            track,
            dts_ms,
            key,
            print,
        });
        self.segmenter.frame(at, track, times, key, &mut self.out);
        self.end_ms = self.end_ms.max(dts_ms + 40);
    }

    fn pictures(&mut self, from_ms: i64, to_ms: i64, group_ms: i64, with_sound: bool) {
        for dts_ms in (from_ms..to_ms).step_by(40) {
            self.frame(Track::Video, dts_ms, (dts_ms - from_ms) % group_ms == 0);
            if with_sound {
                self.frame(Track::Audio, dts_ms, false);
            }
        }
    }

    fn sound(&mut self, from_ms: i64, to_ms: i64) {
        for dts_ms in (from_ms..to_ms).step_by(40) {
            self.frame(Track::Audio, dts_ms, false);
        }
    }

    fn interrupt(&mut self, gap_ms: i64) {
        self.at.offset += 1;
        self.segmenter.pause(self.at, self.end_ms, &mut self.out);
        let wall = self.segmenter.wall(self.end_ms) + gap_ms;
        self.segmenter.resume(self.end_ms, wall);
    }

    fn finish(mut self) -> (Vec<Output>, Vec<Laid>) {
        self.at.offset += 1;
        self.segmenter
            .close_files(self.at, self.end_ms, &mut self.out);
        (self.out, self.laid)
    }
}

/// The frames of a span, as the spool's reader gives them.
fn within(laid: &[Laid], span: Span) -> Vec<Laid> {
    let is_in = |frame: &&Laid| {
        span.holds(frame.at, frame.track) && frame.at >= span.from && frame.at < span.to
    };
    laid.iter().filter(is_in).copied().collect()
}

fn spans(out: &[Output], wanted: usize) -> Vec<Span> {
    out.iter()
        .filter_map(|output| match output {
            Output::File(file) if file.lane == wanted => Some(file.span),
            _ => None,
        })
        .collect()
}

fn lasting(out: &[Output], wanted: usize) -> Vec<(i64, i64)> {
    out.iter()
        .filter_map(|output| match output {
            Output::File(file) if file.lane == wanted => Some((file.started_at, file.ended_at)),
            _ => None,
        })
        .collect()
}

fn breaks(out: &[Output], wanted: usize) -> Vec<bool> {
    out.iter()
        .filter_map(|output| match output {
            Output::Slice(slice) if slice.lane == wanted => Some(slice.discontinuity),
            _ => None,
        })
        .collect()
}

const ALL: [Format; 4] = [Format::M3u8, Format::Mp4, Format::Flv, Format::Cmaf];

#[test]
fn long_groups_of_pictures_are_never_cut_inside() {
    let mut feed = Feed::new(&ALL, 5, 15);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    for group in 0..3 {
        feed.pictures(group * 25_000, (group + 1) * 25_000, 25_000, true);
    }
    let (out, _) = feed.finish();
    assert_eq!(slices(&out), [25_000; 6]);
    assert_eq!(files(&out).len(), 12);
    assert!(files(&out).iter().all(|(_, ms)| *ms == 25_000));
}

#[test]
fn a_wanted_cut_waits_for_the_key_frame() {
    let mut feed = Feed::new(&[Format::Mp4], 5, 3600);
    feed.pictures(0, 7_000, 10_000, true);
    feed.segmenter.want_cut();
    for dts_ms in (7_000..10_000).step_by(40) {
        feed.frame(Track::Video, dts_ms, false);
        feed.frame(Track::Audio, dts_ms, false);
    }
    assert!(feed.segmenter.cut_is_wanted() && feed.out.is_empty());
    feed.pictures(10_000, 12_000, 10_000, true);
    assert!(!feed.segmenter.cut_is_wanted());
    assert_eq!(files(&feed.finish().0), [(0, 10_000), (1, 2_000)]);
}

/// The stream stood, so the cut was made there; then it goes on in the midst of a group.
#[test]
fn what_is_cut_off_from_its_key_frame_begins_with_it() {
    let mut feed = Feed::new(&[Format::Mp4, Format::M3u8], 5, 3600);
    feed.pictures(0, 7_000, 4_000, true);
    feed.segmenter
        .close_files(feed.at, feed.end_ms, &mut feed.out);
    for dts_ms in (7_000..8_000).step_by(40) {
        feed.frame(Track::Audio, dts_ms, false);
        feed.frame(Track::Video, dts_ms, false);
    }
    assert_eq!(feed.segmenter.keep_from(), Some(0));
    feed.pictures(8_000, 10_000, 4_000, true);
    let (out, laid) = feed.finish();
    for lane in 0..2 {
        let found: Vec<_> = spans(&out, lane)
            .iter()
            .map(|s| within(&laid, *s))
            .collect();
        let begins: Vec<_> = found.iter().map(|f| (f[0].dts_ms, f[0].key)).collect();
        assert_eq!(begins, [(0, true), (4_000, true)]);
    }
    assert_eq!(breaks(&out, 1), [false, true]);
}

#[test]
fn an_encoder_that_comes_back_otherwise_begins_a_file_where_it_comes_back() {
    for (video, audio, formats) in [
        (h264(1), aac(2), &ALL[..]),
        (h264(2), aac(1), &ALL[3..]),
        (picture(VideoCodec::H265, 1), aac(1), &ALL[..]),
    ] {
        let mut feed = Feed::new(formats, 5, 3600);
        feed.config(Track::Video, h264(1));
        feed.config(Track::Audio, aac(1));
        feed.pictures(0, 6_000, 2_000, true);
        feed.interrupt(5_000);
        feed.config(Track::Video, video);
        feed.config(Track::Audio, audio);
        feed.sound(6_000, 6_400);
        feed.pictures(6_400, 12_400, 2_000, true);
        let (out, laid) = feed.finish();
        for lane in 0..formats.len() {
            assert_eq!(lasting(&out, lane), [(0, 6_000), (11_000, 17_400)]);
            let found: Vec<_> = spans(&out, lane)
                .iter()
                .map(|s| within(&laid, *s))
                .collect();
            assert_eq!(found.iter().map(Vec::len).sum::<usize>(), laid.len());
            assert_eq!(found[1][0].dts_ms, 6_000);
            if formats[lane].is_sliced() {
                assert_eq!(
                    breaks(&out, lane),
                    [false, true, false][..breaks(&out, lane).len()]
                );
            }
        }
    }
}

#[test]
fn another_picture_size_goes_on_but_for_cmaf() {
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.pictures(0, 6_000, 2_000, false);
    feed.config(Track::Video, h264(2));
    feed.pictures(6_000, 12_000, 2_000, false);
    let (out, _) = feed.finish();
    let number = |lane| spans(&out, lane).len();
    assert_eq!([0, 1, 2, 3].map(number), [1, 1, 1, 2]);
    assert_eq!(breaks(&out, 0), [false, true]);
    let several: Vec<bool> = out
        .iter()
        .filter_map(|output| match output {
            Output::File(file) if file.lane == 1 || file.lane == 2 => Some(file.several),
            _ => None,
        })
        .collect();
    assert_eq!(several, [true, true]);
}

#[test]
fn sound_that_changes_in_a_group_waits_for_its_end() {
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 6_000, 4_000, true);
    feed.config(Track::Audio, aac(2));
    for dts_ms in (6_000..8_000).step_by(40) {
        feed.frame(Track::Video, dts_ms, false);
        feed.frame(Track::Audio, dts_ms, false);
    }
    assert!(
        feed.segmenter.open_mp4s().is_empty(),
        "its payload is not all its own"
    );
    feed.pictures(8_000, 12_000, 4_000, true);
    let (out, laid) = feed.finish();
    for (lane, format) in ALL.into_iter().enumerate() {
        let found: Vec<_> = spans(&out, lane)
            .iter()
            .map(|s| within(&laid, *s))
            .collect();
        let edges = |frames: &[Laid], track| {
            let of: Vec<_> = frames.iter().filter(|f| f.track == track).collect();
            (of[0].dts_ms, of[of.len() - 1].dts_ms)
        };
        // A playlist is cut before the key frame behind which the sound changed, a whole file before the next one.
        let cut_ms = if format.is_sliced() { 4_000 } else { 8_000 };
        assert_eq!(edges(&found[0], Track::Video), (0, cut_ms - 40));
        assert_eq!(edges(&found[0], Track::Audio), (0, 5_960));
        assert_eq!(edges(&found[1], Track::Video), (cut_ms, 11_960));
        assert_eq!(edges(&found[1], Track::Audio), (6_000, 11_960));
    }
}

#[test]
fn sound_that_changes_right_after_a_key_frame_came_with_it() {
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    // A slice of five seconds ends at the key frame at 6 s; at 10 s none does, so some of the old sound lies behind that one.
    for (key_ms, late_ms) in [(6_000, 0), (10_000, 200)] {
        feed.pictures(key_ms - 6_000, key_ms, 2_000, true);
        for dts_ms in (key_ms..key_ms + 2_000).step_by(40) {
            feed.frame(Track::Video, dts_ms, dts_ms == key_ms);
            if dts_ms == key_ms + late_ms {
                feed.config(Track::Audio, aac(u8::try_from(key_ms / 1000).unwrap()));
            }
            feed.frame(Track::Audio, dts_ms, false);
        }
        feed = {
            let (out, laid) = feed.finish();
            for lane in 0..4 {
                let found: Vec<_> = spans(&out, lane)
                    .iter()
                    .map(|s| within(&laid, *s))
                    .collect();
                assert_eq!(found.len(), 2);
                assert_eq!(found.iter().map(Vec::len).sum::<usize>(), laid.len());
                assert_eq!((found[1][0].dts_ms, found[1][0].key), (key_ms, true));
                let sound: Vec<_> = found[1]
                    .iter()
                    .filter(|f| f.track == Track::Audio)
                    .collect();
                assert_eq!(sound[0].dts_ms, key_ms + late_ms);
                assert!(sound.iter().all(|frame| frame.print == sound[0].print));
            }
            let mut next = Feed::new(&ALL, 7, 3600);
            next.config(Track::Video, h264(1));
            next.config(Track::Audio, aac(1));
            next.pictures(0, 4_000, 2_000, true);
            next
        };
    }
}

#[test]
fn sound_that_waits_for_a_key_frame_that_never_comes_is_a_file_of_its_own() {
    let mut feed = Feed::new(&[Format::Mp4, Format::M3u8], 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 4_000, 60_000, true);
    feed.config(Track::Audio, aac(2));
    feed.sound(4_000, 5_000);
    let (out, laid) = feed.finish();
    for lane in 0..2 {
        let found = spans(&out, lane)
            .iter()
            .map(|s| within(&laid, *s).len())
            .sum::<usize>();
        assert_eq!((spans(&out, lane).len(), found), (2, laid.len()));
    }
}

#[test]
fn a_track_that_joins_late_begins_a_file_and_one_that_joins_early_does_not() {
    for (joins_ms, number) in [(3_000, 1), (12_000, 2)] {
        // Sound first, its header alone or both headers.
        for announced in [false, true] {
            let mut feed = Feed::new(&ALL, 5, 3600);
            feed.config(Track::Audio, aac(1));
            if announced {
                feed.config(Track::Video, h264(1));
            }
            feed.sound(0, joins_ms);
            feed.config(Track::Video, h264(1));
            feed.pictures(joins_ms, joins_ms + 10_000, 2_000, true);
            let (out, laid) = feed.finish();
            for lane in 0..4 {
                let spans = spans(&out, lane);
                assert_eq!(spans.len(), number, "{joins_ms} {announced} {lane}");
                let last = within(&laid, spans[number - 1]);
                assert_eq!(last[0].key, number == 2);
                // A header tells of no track that the file does not have.
                let told = spans[0].configs.video.is_some();
                assert_eq!(told, number == 1, "{joins_ms} {announced} {lane}");
            }
        }
        // Picture first; sound joins in the midst of a group.
        let mut feed = Feed::new(&ALL, 5, 3600);
        feed.config(Track::Video, h264(1));
        feed.config(Track::Audio, aac(1));
        feed.pictures(0, joins_ms, 8_000, false);
        for dts_ms in (joins_ms..16_000).step_by(40) {
            feed.frame(Track::Video, dts_ms, false);
            feed.frame(Track::Audio, dts_ms, false);
        }
        feed.pictures(16_000, 24_000, 8_000, true);
        let (out, laid) = feed.finish();
        for lane in 0..4 {
            let found = spans(&out, lane)
                .iter()
                .map(|s| within(&laid, *s).len())
                .sum::<usize>();
            assert_eq!((spans(&out, lane).len(), found), (number, laid.len()));
        }
    }
}

#[test]
fn pictures_that_are_lost_end_a_playlist_where_they_stopped() {
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 6_000, 2_000, true);
    feed.sound(6_000, 30_000);
    feed.pictures(30_000, 36_000, 2_000, true);
    let (out, laid) = feed.finish();
    let number = |lane| spans(&out, lane).len();
    assert_eq!([0, 1, 2, 3].map(number), [3, 1, 1, 3]);
    for lane in [0, 3] {
        let begins: Vec<_> = spans(&out, lane)
            .iter()
            .map(|span| (within(&laid, *span)[0].dts_ms, span.configs.video.is_some()))
            .collect();
        assert_eq!(begins, [(0, true), (5_960, false), (30_000, true)]);
    }
}

/// Pictures come back in the midst of a group whose key frame is in another file: they are in no file that sound alone has begun.
#[test]
fn pictures_that_come_back_without_their_key_frame_wait_for_the_next_one() {
    let mut feed = Feed::new(&ALL, 5, 15);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 6_000, 6_000, true);
    feed.sound(6_000, 22_000);
    for dts_ms in (22_000..40_000).step_by(40) {
        feed.frame(Track::Video, dts_ms, false);
        feed.frame(Track::Audio, dts_ms, false);
    }
    feed.pictures(40_000, 46_000, 2_000, true);
    let (out, laid) = feed.finish();
    for (lane, format) in ALL.into_iter().enumerate() {
        let mut sounds = 0;
        for span in spans(&out, lane) {
            let held = within(&laid, span);
            let first = held.iter().find(|frame| frame.track == Track::Video);
            assert!(first.is_none_or(|frame| frame.key), "{format:?}: {first:?}");
            sounds += held.iter().filter(|it| it.track == Track::Audio).count();
        }
        let came = laid.iter().filter(|it| it.track == Track::Audio).count();
        assert_eq!(sounds, came, "{format:?}: all of the sound, once");
        let last = spans(&out, lane).last().map(|span| within(&laid, *span));
        let last = last.unwrap();
        assert_eq!((last[0].dts_ms, last[0].key), (40_000, true), "{format:?}");
    }
    for output in &out {
        if let Output::Slice(slice) = output {
            let held = within(&laid, slice.span);
            let first = held.iter().find(|frame| frame.track == Track::Video);
            assert!(first.is_none_or(|frame| frame.key), "{slice:?}");
        }
    }
}

/// Pictures with a key frame every two seconds, and sound that lies behind them.
fn lagging(feed: &mut Feed, from_ms: i64, to_ms: i64, lag_ms: i64) {
    for dts_ms in (from_ms..to_ms).step_by(40) {
        feed.frame(Track::Video, dts_ms, dts_ms % 2_000 == 0);
        feed.frame(Track::Audio, dts_ms - lag_ms, false);
    }
}

#[test]
fn a_slice_is_as_long_as_its_pictures_where_sound_that_lies_behind_ends_it() {
    for lag_ms in [0, 15, 300] {
        // The pictures are lost.
        let mut feed = Feed::new(&[Format::M3u8, Format::Cmaf], 5, 3600);
        feed.config(Track::Video, h264(1));
        feed.config(Track::Audio, aac(1));
        lagging(&mut feed, 0, 8_000, lag_ms);
        feed.sound(8_000 - lag_ms, 25_000 - lag_ms);
        let (out, _) = feed.finish();
        assert_eq!(&slices(&out)[..4], [6_000, 6_000, 2_000, 2_000], "{lag_ms}");
        // The sound changes right after a key frame that began no slice.
        let mut feed = Feed::new(&[Format::M3u8, Format::Cmaf], 7, 3600);
        feed.config(Track::Video, h264(1));
        feed.config(Track::Audio, aac(1));
        lagging(&mut feed, 0, 10_000, lag_ms);
        feed.frame(Track::Video, 10_000, true);
        feed.config(Track::Audio, aac(2));
        feed.frame(Track::Audio, 10_000 - lag_ms, false);
        lagging(&mut feed, 10_040, 12_000, lag_ms);
        let (out, _) = feed.finish();
        assert_eq!(&slices(&out)[..4], [8_000, 8_000, 2_000, 2_000], "{lag_ms}");
    }
}

#[test]
fn a_picture_after_a_long_pause_lasts_as_long_as_those_before_it() {
    let mut feed = Feed::new(&[Format::Cmaf], 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 6_000, 2_000, true);
    feed.sound(6_000, 20_000);
    feed.pictures(20_000, 20_040, 2_000, true);
    feed.sound(20_040, 40_000);
    let (out, laid) = feed.finish();
    let of_pictures: Vec<i64> = out
        .iter()
        .filter_map(|output| match output {
            Output::Slice(slice) => Some(slice),
            Output::File(_) => None,
        })
        .filter(|slice| {
            let held = within(&laid, slice.span);
            held.iter().any(|frame| frame.track == Track::Video)
        })
        .map(|slice| slice.duration_ms)
        .collect();
    assert_eq!(of_pictures, [6_000, 40]);
}

#[test]
fn a_slice_without_the_sound_of_those_before_it_begins_a_playlist() {
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.config(Track::Video, h264(1));
    feed.config(Track::Audio, aac(1));
    feed.pictures(0, 6_000, 2_000, true);
    feed.pictures(6_000, 20_000, 2_000, false);
    feed.pictures(20_000, 26_000, 2_000, true);
    let (out, laid) = feed.finish();
    let number = |lane| spans(&out, lane).len();
    assert_eq!([0, 1, 2, 3].map(number), [3, 1, 1, 3]);
    for lane in [0, 3] {
        let begins: Vec<_> = spans(&out, lane)
            .iter()
            .map(|span| (within(&laid, *span)[0].dts_ms, span.configs.audio.is_some()))
            .collect();
        assert_eq!(begins, [(0, true), (6_000, false), (20_000, true)]);
    }
    // A slice that has none because the stream ends with it is its file's last.
    let mut feed = Feed::new(&ALL, 5, 3600);
    feed.pictures(0, 6_000, 2_000, true);
    feed.pictures(6_000, 7_000, 2_000, false);
    assert_eq!(files(&feed.finish().0).len(), 4);
}

#[test]
fn sound_that_a_format_has_no_place_for_keeps_the_stream_out_of_it() {
    let low_delay = Print::of_audio(&AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0xF8, 0xE8, 0x50]),
        sample_rate: 44_100,
        channels: 2,
    });
    let cases = [
        ([Format::Cmaf, Format::M3u8], sound(AudioCodec::Mp3, 0)),
        ([Format::M3u8, Format::Mp4], low_delay),
    ];
    for (formats, barred) in cases {
        assert!(barred.is_barred_from(formats[0]) && !barred.is_barred_from(formats[1]));
        // From the begin on, and from later on.
        for (before_ms, of_barred) in [(0, 0), (400, 0), (8_000, 1)] {
            let mut feed = Feed::new(&formats, 5, 3600);
            feed.config(Track::Video, h264(1));
            feed.config(Track::Audio, aac(1));
            feed.pictures(0, before_ms, 2_000, true);
            feed.config(Track::Audio, barred);
            feed.pictures(before_ms, before_ms + 6_000, 2_000, true);
            let (out, laid) = feed.finish();
            let found = spans(&out, 0);
            assert_eq!(found.len(), of_barred, "{formats:?} {before_ms}");
            let is_barred = |frame: &Laid| frame.print == barred;
            assert!(
                found
                    .iter()
                    .all(|span| !within(&laid, *span).iter().any(is_barred))
            );
            assert!(!spans(&out, 1).is_empty());
        }
    }
}

/// How many configurations the frames of a span have, and how often they change.
fn configurations(laid: &[Laid], span: Span) -> (usize, usize) {
    let held = within(laid, span);
    let mut distinct: Vec<Print> = Vec::new();
    for frame in &held {
        if !distinct.contains(&frame.print) {
            distinct.push(frame.print);
        }
    }
    let changes = held.windows(2).filter(|two| two[0].print != two[1].print);
    (distinct.len(), changes.count())
}

#[test]
fn a_file_ends_before_its_container_can_tell_of_no_more_configurations() {
    // So many groups of pictures, so many configurations by turns, and the files that come of it in MP4 and in FLV.
    for (groups, by_turns, number) in [(100, 2, [1, 1]), (200, 200, [5, 1]), (5_000, 2, [3, 3])] {
        let mut feed = Feed::new(&[Format::Mp4, Format::Flv], 5, 21_600);
        for group in 0..groups {
            feed.config(Track::Video, h264(u8::try_from(group % by_turns).unwrap()));
            feed.pictures(group * 80, (group + 1) * 80, 80, false);
        }
        let (out, laid) = feed.finish();
        for (lane, number) in number.into_iter().enumerate() {
            let found = spans(&out, lane);
            assert_eq!(found.len(), number, "{groups} {by_turns} {lane}");
            let frames: usize = found.iter().map(|span| within(&laid, *span).len()).sum();
            assert_eq!(frames, laid.len());
            for span in found {
                let (distinct, changes) = configurations(&laid, span);
                assert!(lane > 0 || distinct <= mp4::MAX_CONFIGS, "{distinct}");
                assert!(changes <= mp4::MAX_SWITCHES, "{changes}");
                assert!(changes <= usize::try_from(flv::MAX_CONFIG_TAGS).unwrap());
            }
        }
    }
    // A file that is full ends before a key frame, though that one has no other configuration.
    let mut feed = Feed::new(&[Format::Mp4], 5, 21_600);
    for picture in 0..60_u8 {
        feed.config(Track::Video, h264(picture));
        feed.frame(Track::Video, i64::from(picture) * 40, picture == 0);
    }
    assert!(feed.out.is_empty(), "inside a group nothing is cut");
    feed.frame(Track::Video, 2_400, true);
    assert_eq!(files(&feed.finish().0), [(0, 2_400), (1, 40)]);
}

#[test]
fn mp3_frames_of_another_rate_are_another_configuration() {
    let of = |sample_rate, channels| {
        Print::of_audio(&AudioConfig {
            codec: AudioCodec::Mp3,
            record: Bytes::new(),
            sample_rate,
            channels,
        })
    };
    assert!(of(44_100, 2).differs(of(48_000, 2)) && of(44_100, 2).differs(of(44_100, 1)));
    assert!(!of(44_100, 2).differs(of(44_100, 2)) && !of(44_100, 2).differs(Print::default()));
}

/// A session that a program before this one began: no configuration is told of what is open.
#[test]
fn a_segmenter_of_an_older_program_goes_on() {
    let mut feed = Feed::new(&[Format::Mp4, Format::Cmaf], 5, 3600);
    feed.pictures(0, 6_000, 2_000, true);
    let mut old = serde_json::to_value(&feed.segmenter).unwrap();
    for name in ["last_picture_ms", "in_force", "gap", "lead", "key"] {
        old.as_object_mut().unwrap().remove(name);
    }
    for lane in old["lanes"].as_array_mut().unwrap() {
        for name in [
            "tracks",
            "tracks_known",
            "several",
            "changes",
            "sound_to",
            "pictures_from",
        ] {
            lane["file"].as_object_mut().unwrap().remove(name);
        }
    }
    feed.segmenter = serde_json::from_value(old).unwrap();
    feed.config(Track::Video, h264(1));
    feed.pictures(6_000, 12_000, 2_000, true);
    assert_eq!(files(&feed.finish().0), [(0, 12_000), (0, 12_000)]);
}

/// What happens next in a random stream.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A whole group of pictures, with sound or without.
    Group {
        pictures: u8,
        sound: bool,
    },
    /// More pictures of the group before.
    Rest(u8),
    Sound(u8),
    Size(u8),
    Rate(u8),
    Codec(bool),
    Mp3,
    /// Sound of another configuration in the midst of a group.
    RateInGroup(u8),
    WantCut,
    Gap {
        lead: u8,
    },
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..90_u8, any::<bool>()).prop_map(|(pictures, sound)| Event::Group { pictures, sound }),
        2 => (1..20_u8).prop_map(Event::Rest),
        2 => (0..120_u8).prop_map(Event::Sound),
        1 => (0..3_u8).prop_map(Event::Size),
        1 => (0..3_u8).prop_map(Event::Rate),
        1 => any::<bool>().prop_map(Event::Codec),
        1 => Just(Event::Mp3),
        1 => (0..3_u8).prop_map(Event::RateInGroup),
        1 => Just(Event::WantCut),
        1 => (0..20_u8).prop_map(|lead| Event::Gap { lead }),
    ]
}

/// 200 ms a frame, so that a group of 90 pictures is longer than any slice, cycle or patience.
const STEP_MS: i64 = 200;

/// `store_at`: before this event the segmenter is stored and read back.
fn play(feed: &mut Feed, events: &[Event], store_at: Option<usize>) {
    let mut now_ms = 0;
    let (mut codec, mut size) = (VideoCodec::H264, 0);
    // Sound that changes twice inside one group is nobody's stream.
    let (mut changed, mut silent, mut last_picture_ms) = (false, false, -60_000);
    // A session takes no picture before a key frame when a push begins, or another codec.
    let mut goes_on = false;
    feed.config(Track::Video, picture(codec, size));
    feed.config(Track::Audio, aac(0));
    for (number, event) in events.iter().enumerate() {
        if store_at == Some(number) {
            let text = serde_json::to_string(&feed.segmenter).unwrap();
            feed.segmenter = serde_json::from_str(&text).unwrap();
        }
        let may_change = !changed || now_ms - last_picture_ms > PICTURE_LOST_MS + STEP_MS;
        match *event {
            Event::Group { pictures, sound } => {
                (changed, silent, goes_on) = (false, !sound, true);
                for n in 0..pictures {
                    feed.frame(Track::Video, now_ms, n == 0);
                    if sound {
                        feed.frame(Track::Audio, now_ms, false);
                    }
                    last_picture_ms = now_ms;
                    now_ms += STEP_MS;
                }
            }
            Event::Rest(pictures) if goes_on => {
                changed |= silent;
                for _ in 0..pictures {
                    feed.frame(Track::Video, now_ms, false);
                    feed.frame(Track::Audio, now_ms, false);
                    last_picture_ms = now_ms;
                    now_ms += STEP_MS;
                }
            }
            Event::Rest(_) => {}
            Event::Sound(frames) => {
                // Sound that joins is a change.
                changed |= silent && frames > 0;
                for _ in 0..frames {
                    feed.frame(Track::Audio, now_ms, false);
                    now_ms += STEP_MS;
                }
            }
            Event::Size(other) => {
                goes_on = false;
                size = other;
                feed.config(Track::Video, picture(codec, size));
            }
            Event::Codec(is_hevc) => {
                goes_on = false;
                codec = if is_hevc {
                    VideoCodec::H265
                } else {
                    VideoCodec::H264
                };
                feed.config(Track::Video, picture(codec, size));
            }
            Event::Rate(other) if may_change => {
                changed = true;
                feed.config(Track::Audio, aac(other));
            }
            Event::Mp3 if may_change => {
                changed = true;
                feed.config(Track::Audio, sound(AudioCodec::Mp3, 0));
            }
            Event::RateInGroup(other) => {
                changed = true;
                for n in 0..10 {
                    feed.frame(Track::Video, now_ms, n == 0);
                    feed.frame(Track::Audio, now_ms, false);
                    if n == 4 {
                        feed.config(Track::Audio, aac(other));
                    }
                    last_picture_ms = now_ms;
                    now_ms += STEP_MS;
                }
            }
            Event::Rate(_) | Event::Mp3 => {}
            Event::WantCut => feed.segmenter.want_cut(),
            Event::Gap { lead } => {
                if feed.laid.is_empty() {
                    continue;
                }
                (changed, goes_on) = (false, false);
                feed.end_ms = feed.end_ms.max(now_ms);
                now_ms = feed.end_ms;
                feed.interrupt(5_000);
                for _ in 0..lead {
                    feed.frame(Track::Audio, now_ms, false);
                    now_ms += STEP_MS;
                }
            }
        }
    }
    feed.end_ms = feed.end_ms.max(now_ms);
}

/// Pictures that came after a long silence and before the next key frame: files that sound alone has begun leave them out.
fn without_key(laid: &[Laid]) -> std::collections::HashSet<Position> {
    let (mut is_late, mut last_ms) = (false, i64::MIN);
    let mut found = std::collections::HashSet::new();
    for picture in laid.iter().filter(|it| it.track == Track::Video) {
        let was_silent = picture.dts_ms.saturating_sub(last_ms) > PICTURE_LOST_MS;
        is_late = !picture.key && (is_late || was_silent);
        last_ms = picture.dts_ms;
        if is_late {
            found.insert(picture.at);
        }
    }
    found
}

proptest! {
    /// Whatever a stream does: each file and slice begins with a key frame or holds no picture before one, holds of each track what one
    /// header can tell, and every frame is in exactly one file of each format, but for pictures of which nothing is to be seen there.
    #[test]
    fn files_begin_with_key_frames_and_hold_what_their_header_tells(
        events in proptest::collection::vec(any_event(), 1..40),
    ) {
        let mut feed = Feed::new(&ALL, 5, 15);
        play(&mut feed, &events, None);
        let (out, laid) = feed.finish();
        let alone = without_key(&laid);
        for (lane, format) in ALL.into_iter().enumerate() {
            let mut seen = std::collections::HashMap::new();
            let mut in_slices = 0;
            for output in &out {
                let (span, is_file) = match output {
                    Output::File(file) if file.lane == lane => (file.span, true),
                    Output::Slice(slice) if slice.lane == lane => (slice.span, false),
                    _ => continue,
                };
                let held = within(&laid, span);
                prop_assert!(!held.is_empty(), "{format:?}: nothing in {span:?}");
                let first = held.iter().find(|frame| frame.track == Track::Video);
                prop_assert!(first.is_none_or(|frame| frame.key), "{format:?}: {span:?} begins inside a group");
                let prints = |track| -> Vec<Print> {
                    let mut found: Vec<Print> = Vec::new();
                    for frame in held.iter().filter(|frame| frame.track == track) {
                        if !found.contains(&frame.print) {
                            found.push(frame.print);
                        }
                    }
                    found
                };
                let (video, audio) = (prints(Track::Video), prints(Track::Audio));
                prop_assert!(audio.len() <= 1, "{format:?}: {audio:?} in one");
                let codecs = video.windows(2).all(|pair| pair[0].codec == pair[1].codec);
                prop_assert!(codecs, "{format:?}: two codecs in one");
                if format == Format::Cmaf || !is_file && format == Format::M3u8 {
                    prop_assert!(video.len() <= 1, "{format:?}: {video:?} in one");
                    prop_assert!(format != Format::Cmaf || !audio.iter().any(|print| print.is_mp3()));
                }
                let last = held.iter().rev().find(|frame| frame.track == Track::Video);
                if let (Output::Slice(slice), Some(last)) = (output, last) {
                    let end_ms = slice.start_ms + slice.duration_ms;
                    prop_assert!(last.dts_ms < end_ms, "{format:?}: a picture at {} in {slice:?}", last.dts_ms);
                }
                if is_file {
                    for frame in &held {
                        *seen.entry(frame.at).or_insert(0) += 1;
                    }
                } else {
                    in_slices += held.len();
                }
            }
            if format == Format::Cmaf {
                continue;
            }
            prop_assert!(seen.values().all(|times| *times == 1), "{format:?}: a frame twice");
            let nowhere: Vec<_> = laid.iter().filter(|it| !seen.contains_key(&it.at)).collect();
            let stray = nowhere.iter().find(|it| !alone.contains(&it.at));
            prop_assert!(stray.is_none(), "{format:?}: {stray:?} in no file");
            prop_assert!(!format.is_sliced() || in_slices == seen.len(), "{format:?}: frames in no slice");
        }
    }

    /// Stored at any moment and taken up again, it decides the same.
    #[test]
    fn a_stored_segmenter_decides_the_same(
        events in proptest::collection::vec(any_event(), 1..20),
        at in 0..20_usize,
    ) {
        let (mut whole, mut parts) = (Feed::new(&ALL, 5, 15), Feed::new(&ALL, 5, 15));
        play(&mut whole, &events, None);
        play(&mut parts, &events, Some(at));
        prop_assert_eq!(whole.finish().0, parts.finish().0);
    }
}
