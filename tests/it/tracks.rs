//! Sound alone, pictures without key frames, and what cannot be recorded.

use std::collections::BTreeMap;
use std::path::Path;

use localyun::testing::live::decide::machine::{Input, State};
use localyun::testing::model::rule::OnDemand;

use crate::recovery::after_a_kill;
use crate::support::{Bench, RATE};

const BELOW: [&str; 4] = ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"];
const AAC_LC: &[u8] = &[0x12, 0x10];
/// Enhanced low delay, frames of 480 samples.
const AAC_ELD: &[u8] = &[0xF8, 0xE8, 0x50];

/// How many events of a kind were told.
async fn told(bench: &Bench, kind: &str) -> usize {
    let rows = bench.services.store.recent_callbacks(1_000).await.unwrap();
    rows.iter().filter(|row| row.kind.as_str() == kind).count()
}

/// The names of the spool's segments.
fn segments(folder: &Path) -> Vec<String> {
    let sessions = std::fs::read_dir(folder.join("spool")).unwrap().flatten();
    let files = sessions.flat_map(|session| std::fs::read_dir(session.path()).unwrap().flatten());
    let mut names: Vec<String> = files
        .map(|file| file.file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".spool"))
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_alone_lets_go_of_its_spool_and_is_finished_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule_of(OnDemand::Automatic, 15, [10; 4]).await;
    let publisher = bench.publish_sound(AAC_LC).await;
    let pushed = bench.push_sound(&publisher, 33);
    publisher.recorder.flush();
    bench.advance(0).await;
    std::mem::forget(publisher);
    let left = segments(folder.path());
    assert!(!left.is_empty() && left[0] != "00000000.spool", "{left:?}");

    let (copy, bench) = after_a_kill(folder.path()).await;
    bench.advance(60).await;
    let expected = pushed.map(|n| (n, 1)).collect();
    for below in BELOW {
        assert_eq!(bench.found(copy.path(), below), expected, "{below}");
    }
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    for format in ["m3u8", "mp4", "flv", "cmaf"] {
        let of_format = files.iter().filter(|f| f.format.as_str() == format);
        let mut lengths: Vec<i64> = of_format.map(|f| f.duration_ms).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [3_000, 10_000, 10_000, 10_000], "{format}");
    }
    // What was committed before lies in segments that are gone: nothing is lost with them.
    assert_eq!(told(&bench, "record_error").await, 0);
}

/// The objects below a folder of the bucket, by the numbers at the ends of their names.
fn objects(folder: &Path, below: &str) -> BTreeMap<u32, Vec<u8>> {
    let entries = std::fs::read_dir(folder.join("oss/bucket").join(below)).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    let slices = names.filter(|path| path.extension().is_some_and(|it| it == "ts" || it == "m4s"));
    slices
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (_, number) = name.rsplit_once('_').unwrap();
            (number.parse().unwrap(), std::fs::read(&path).unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_that_are_put_at_the_second_try_are_those_of_the_first() {
    let (mut of_ts, mut of_cmaf) = (Vec::new(), Vec::new());
    for fails in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(folder.path()).await;
        bench.rule(OnDemand::Automatic, 15).await;
        if fails {
            let fault = serde_json::json!({"at": "object-put", "code": "InternalError"});
            let fault = serde_json::from_value(fault).unwrap();
            bench.services.faults.arm(vec![fault]);
        }
        let publisher = bench.publish_sound(AAC_LC).await;
        bench.push_sound(&publisher, 33);
        publisher.recorder.flush();
        bench.advance(3).await;
        bench.services.faults.arm(Vec::new());
        bench.hub.unpublish(&publisher);
        bench.advance(600).await;
        of_ts.push(objects(folder.path(), "M3u8-slices"));
        of_cmaf.push(objects(folder.path(), "Cmaf-slices"));
    }
    assert!(of_ts[0].len() > 3 && of_ts[0] == of_ts[1]);
    assert!(of_cmaf[0].len() > 3 && of_cmaf[0] == of_cmaf[1]);
}

/// A recording that was cancelled while it waited for a key frame leaves its wait to nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_waits_for_a_key_frame_from_its_own_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Manual, 15).await;
    let publisher = bench.publish().await;
    let recorder = publisher.recorder.clone();
    bench.push(&publisher, 2);
    recorder.command(Input::Start, None).unwrap();
    bench.push_picture(&publisher, false, 0);
    bench.push_picture(&publisher, false, 0);
    recorder.command(Input::CancelDelay, None).unwrap();
    bench.push(&publisher, 70);
    recorder.command(Input::Start, None).unwrap();
    let pushed = bench.push(&publisher, 5);
    assert_eq!(recorder.view().state, State::Recording);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let expected = pushed.map(|n| (n, 1)).collect();
    for below in BELOW {
        assert_eq!(bench.found(folder.path(), below), expected, "{below}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_recorded_is_refused_whenever_its_recording_begins() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Manual, 15).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 2);
    publisher.recorder.unsupported();
    bench.push(&publisher, 2);
    publisher.recorder.command(Input::Start, None).unwrap();
    assert_eq!(publisher.recorder.view().state, State::Idle);
    bench.push(&publisher, 8);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    for below in BELOW {
        assert!(bench.found(folder.path(), below).is_empty(), "{below}");
    }
    assert_eq!(told(&bench, "record_error").await, 1);
}

/// What is thrown away may have slices in the bucket: those of the next recording have other numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_are_numbered_on_behind_a_recording_that_was_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    let publisher = bench.publish().await;
    bench.push(&publisher, 1);
    publisher.recorder.unsupported();
    assert_eq!(publisher.recorder.view().state, State::Idle);
    bench.hub.unpublish(&publisher);
    let publisher = bench.publish().await;
    bench.push(&publisher, 2);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let (_, slices, _) = bench.services.store.export_records().await.unwrap();
    for below in ["M3u8", "Cmaf"] {
        let of_format = slices.iter().filter(|s| s.object.starts_with(below));
        let mut numbers: Vec<i64> = of_format.map(|s| s.sequence).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1], "{below}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aac_that_slices_cannot_carry_goes_into_the_other_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish_sound(AAC_ELD).await;
    let pushed = bench.push_sound(&publisher, 33);
    assert_eq!(publisher.recorder.view().refused_formats.len(), 1);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let expected = pushed.map(|n| (n, 1)).collect();
    for below in ["Mp4", "Flv", "Cmaf-slices"] {
        assert_eq!(bench.found(folder.path(), below), expected, "{below}");
    }
    assert!(bench.found(folder.path(), "M3u8-slices").is_empty());
    assert_eq!(told(&bench, "record_error").await, 1);
}

/// Pictures join after twenty seconds, and none of them is a key frame: the sound before them is a recording.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_was_recorded_before_pictures_without_a_key_frame_stays() {
    for (keyless_s, killed) in [(20, false), (5, false), (5, true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(folder.path()).await;
        bench.rule_of(OnDemand::Automatic, 15, [3600; 4]).await;
        let publisher = bench.publish_sound(AAC_LC).await;
        let pushed = bench.push_sound(&publisher, 20);
        bench.announce_pictures(&publisher);
        for _ in 0..keyless_s * RATE {
            bench.push_picture(&publisher, false, 0);
        }
        let (folder, bench) = if killed {
            publisher.recorder.flush();
            bench.advance(0).await;
            std::mem::forget(publisher);
            after_a_kill(folder.path()).await
        } else {
            bench.hub.unpublish(&publisher);
            (folder, bench)
        };
        bench.advance(60).await;
        let expected = pushed.map(|n| (n, 1)).collect();
        for below in BELOW {
            let found = bench.found(folder.path(), below);
            assert_eq!(found, expected, "{below}, {keyless_s} s, {killed}");
        }
        let (_, _, files) = bench.services.store.export_records().await.unwrap();
        let lengths: Vec<i64> = files.iter().map(|file| file.duration_ms).collect();
        assert_eq!(lengths, [20_000; 4], "{keyless_s} s, {killed}");
        let errors = told(&bench, "record_error").await;
        assert_eq!(errors, 1, "{keyless_s} s, {killed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_with_a_wild_composition_offset_costs_no_file_and_moves_no_push() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule_of(OnDemand::Automatic, 15, [3600; 4]).await;
    let publisher = bench.publish().await;
    let first = bench.push(&publisher, 4).start;
    bench.push_picture(&publisher, false, 4_000_000);
    bench.push(&publisher, 4);
    assert_eq!(publisher.recorder.view().timestamp_jumps, 1);
    bench.hub.unpublish(&publisher);
    let publisher = bench.publish().await;
    let last = bench.push(&publisher, 4).end;
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let expected = (first..last).map(|n| (n, 1)).collect();
    for below in BELOW {
        assert_eq!(bench.found(folder.path(), below), expected, "{below}");
    }
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    let lengths: Vec<i64> = files.iter().map(|file| file.duration_ms).collect();
    assert_eq!(lengths, [12_040; 4]);
}
