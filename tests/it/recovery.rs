//! A process that dies in the middle of a recording: the next one finishes what was on disk.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use localyun::testing::clock::machine_sleep;
use localyun::testing::live::decide::machine::Input;
use localyun::testing::model::rule::OnDemand;

use crate::support::{Bench, numbers_in};

/// A copy of what lies on disk when a process is killed in the middle of a push, and the frames that were pushed.
async fn left_by_a_kill(seconds: u64, delay_s: i64) -> (tempfile::TempDir, Range<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, delay_s).await;
    let publisher = bench.publish().await;
    let pushed = bench.push(&publisher, seconds);
    publisher.recorder.flush();
    // Nothing is at work any more, and the end is told to nobody.
    bench.advance(0).await;
    std::mem::forget(publisher);
    let copy = tempfile::tempdir().unwrap();
    copy_tree(folder.path(), copy.path());
    (copy, pushed)
}

/// The frames of a bench that vanishes without a goodbye are in the files of the next one, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_cut_off_is_finished_by_the_next_start() {
    let (copy, pushed) = left_by_a_kill(33, 15).await;
    let bench = Bench::open(copy.path()).await;
    bench.advance(60).await;
    let expected = pushed.map(|n| (n, 1)).collect();
    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert_eq!(bench.found(copy.path(), below), expected, "{below}");
    }
    let (sessions, slices, files) = bench.services.store.export_records().await.unwrap();
    assert_eq!((sessions.len(), sessions[0].state.as_str()), (1, "ended"));
    assert_eq!(
        slices.iter().map(|s| s.duration_ms).sum::<i64>(),
        2 * 33_000
    );
    assert_eq!(files.len(), 5, "two mp4, one flv, one m3u8, one cmaf");
    // All slices are made of what is still in the spool, and so the counters of the last ones go on from those before.
    assert!(slices.iter().all(|slice| !slice.discontinuity));
}

/// The spool has let go of the first slices: how far their counters had come is not known any more, and the playlist says that the next
/// slice does not go on from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_behind_those_of_an_earlier_process_is_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    let cycles_s = [3600, 10, 10, 3600];
    bench.rule_of(OnDemand::Automatic, 15, cycles_s).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 33);
    publisher.recorder.flush();
    bench.advance(0).await;
    std::mem::forget(publisher);
    let (_copy, bench) = after_a_kill(folder.path()).await;
    bench.advance(60).await;
    let (_, slices, _) = bench.services.store.export_records().await.unwrap();
    for below in ["M3u8", "Cmaf"] {
        let of_format = slices.iter().filter(|s| s.object.starts_with(below));
        let mut breaks: Vec<(i64, bool)> = of_format
            .map(|slice| (slice.sequence, slice.discontinuity))
            .collect();
        breaks.sort_unstable();
        let expected: Vec<(i64, bool)> = (0..7).map(|n| (n, n == 6)).collect();
        assert_eq!(breaks, expected, "{below}");
    }
}

/// What happens to a segment in the middle of a spool.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Damaged,
    Cut,
    Missing,
}

/// A segment in the middle of the spool is damaged, cut or missing: what lies behind it is recorded all the same, in every format.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_spool_costs_what_was_in_it_and_no_more() {
    for harm in [Harm::Damaged, Harm::Cut, Harm::Missing] {
        let (copy, pushed) = left_by_a_kill(33, 15).await;
        // What was made of it before the kill is to be made again.
        for below in ["Mp4", "Flv", "M3u8", "M3u8-slices", "Cmaf", "Cmaf-slices"] {
            let _ = std::fs::remove_dir_all(copy.path().join("oss/bucket").join(below));
        }
        for name in ["t.db", "t.db-wal", "t.db-shm"] {
            let _ = std::fs::remove_file(copy.path().join(name));
        }
        let session = std::fs::read_dir(copy.path().join("spool")).unwrap().next();
        let spool = session.unwrap().unwrap().path();
        let mut segments: Vec<_> = std::fs::read_dir(&spool)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|suffix| suffix == "spool"))
            .collect();
        segments.sort();
        let middle = &segments[segments.len() / 2];
        let mut bytes = std::fs::read(middle).unwrap();
        let mut held = numbers_in(&bytes);
        let (last, at) = (bytes.len() - 100, bytes.len() - 200);
        bytes[at] ^= 1;
        match harm {
            Harm::Damaged | Harm::Cut => {
                bytes.truncate(if matches!(harm, Harm::Cut) {
                    last
                } else {
                    bytes.len()
                });
                std::fs::write(middle, &bytes).unwrap();
                // What lies before the harm is there.
                held.drain(..held.len() - 4);
            }
            Harm::Missing => std::fs::remove_file(middle).unwrap(),
        }
        let bench = Bench::open(copy.path()).await;
        bench
            .services
            .objects
            .create_bucket("bucket")
            .await
            .unwrap();
        bench.advance(60).await;
        for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
            let found = bench.found(copy.path(), below);
            let lost: Vec<u64> = pushed.clone().filter(|n| !found.contains_key(n)).collect();
            assert!(
                !lost.is_empty() && lost.iter().all(|n| held.contains(n)),
                "{below}, {harm:?}: {lost:?} lost of {held:?}"
            );
            assert!(found.values().all(|times| *times == 1), "{below}");
        }
    }
}

/// The store is down while a recording is thrown away, and the process dies before anything of that is written: the next one makes nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_was_thrown_away_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let fault = serde_json::json!({"at": "store", "code": "503"});
    let faults = &bench.services.faults;
    faults.arm(vec![serde_json::from_value(fault).unwrap()]);
    let publisher = bench.publish().await;
    // What is made of an earlier recording waits for the store, and all that follows waits behind it.
    let earlier = bench.push(&publisher, 11);
    let recorder = &publisher.recorder;
    recorder.command(Input::CancelDelay, None).unwrap();
    recorder.command(Input::Start, None).unwrap();
    bench.push(&publisher, 2);
    let thrown_away = recorder.view().session.unwrap();
    recorder.unsupported();
    bench.advance(0).await;
    for _ in 0..250 {
        if holds(&folder.path().join("spool"), b"\"void\"") {
            break;
        }
        machine_sleep(Duration::from_millis(20)).await;
    }
    std::mem::forget(publisher);
    let (copy, bench) = after_a_kill(folder.path()).await;
    bench.advance(60).await;
    let expected = earlier.map(|n| (n, 1)).collect();
    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert_eq!(bench.found(copy.path(), below), expected, "{below}");
    }
    let (sessions, _, files) = bench.services.store.export_records().await.unwrap();
    assert!(sessions.iter().all(|it| it.state.as_str() == "ended"));
    assert!(files.iter().all(|file| file.session_id != thrown_away));
    let told = bench.services.store.recent_callbacks(100).await.unwrap();
    assert!(!told.iter().any(|row| row.dedupe.starts_with(&thrown_away)));
    let mut left = std::fs::read_dir(copy.path().join("spool")).unwrap();
    assert!(left.next().is_none(), "no spool is left");
}

/// A recording fails, and the process dies before that is told, or while the files wait for the store: it is told once, and they are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fault_that_ended_a_recording_is_told_once() {
    for is_told in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::open(folder.path()).await;
        bench.rule(OnDemand::Automatic, 15).await;
        let faults = bench.services.faults.clone();
        let stop_store = || {
            let fault = serde_json::json!({"at": "store", "code": "503"});
            faults.arm(vec![serde_json::from_value(fault).unwrap()]);
        };
        if !is_told {
            // The first slice waits for it, and whatever is told waits behind that.
            stop_store();
        }
        let publisher = bench.publish().await;
        let pushed = bench.push(&publisher, 7);
        let recorder = &publisher.recorder;
        recorder.flush();
        bench.advance(0).await;
        stop_store();
        let session = recorder.view().session.unwrap();
        recorder.unsupported();
        bench.advance(0).await;
        for _ in 0..250 {
            if holds(&folder.path().join("spool"), b"\"failed\"") {
                break;
            }
            machine_sleep(Duration::from_millis(20)).await;
        }
        let told = bench.statuses().await;
        assert_eq!(told.contains(&"record_error"), is_told);
        std::mem::forget(publisher);
        let (copy, bench) = after_a_kill(folder.path()).await;
        bench.advance(60).await;
        let told = bench.statuses().await;
        assert_eq!(told, ["record_started", "record_error"], "{is_told}");
        let rows = bench.services.store.recent_callbacks(100).await.unwrap();
        let name = format!("{session}:record_error:1");
        assert!(rows.iter().any(|row| row.dedupe == name), "{is_told}");
        let expected = pushed.map(|n| (n, 1)).collect();
        for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
            let found = bench.found(copy.path(), below);
            assert_eq!(found, expected, "{below}, {is_told}");
        }
    }
}

/// The publisher comes back within DelayTime after the restart: one file goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_comes_back_after_a_restart_continues_its_file() {
    let (copy, _) = left_by_a_kill(7, 180).await;
    let mut bench = Bench::open(copy.path()).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 5);
    bench.hub.unpublish(&publisher);
    bench.advance(200).await;
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    let flv: Vec<i64> = files
        .iter()
        .filter(|f| f.format.as_str() == "flv")
        .map(|f| f.duration_ms)
        .collect();
    assert_eq!(flv, [12_000]);
}

/// Two recordings of one stream lie there, neither of which has ended: the earlier one is over, since the later one has begun, and nothing of it is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_open_recordings_of_a_stream_are_both_finished() {
    let (copy, earlier) = left_by_a_kill(8, 180).await;
    let (other, later) = left_by_a_kill(6, 180).await;
    copy_tree(&other.path().join("spool"), &copy.path().join("spool"));
    let bench = Bench::open(copy.path()).await;
    bench.advance(200).await;
    let mut expected = std::collections::BTreeMap::new();
    for number in earlier.chain(later) {
        *expected.entry(number).or_default() += 1;
    }
    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert_eq!(bench.found(copy.path(), below), expected, "{below}");
    }
    let (sessions, _, _) = bench.services.store.export_records().await.unwrap();
    assert!(sessions.iter().all(|it| it.state.as_str() == "ended"));
}

/// Whether a file of the folders in a folder holds some bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let within =
        |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = within(folder.to_owned()).flat_map(|entry| within(entry.path()));
    let mut contents = files.filter_map(|entry| std::fs::read(entry.path()).ok());
    contents.any(|content| content.windows(bytes.len()).any(|part| part == bytes))
}

/// Opens another service on what lies on the disk when a process is killed.
pub async fn after_a_kill(folder: &Path) -> (tempfile::TempDir, Bench) {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(folder, copy.path());
    let bench = Bench::open(copy.path()).await;
    (copy, bench)
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
