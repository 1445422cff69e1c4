//! A process that dies in the middle of a recording: the next one finishes what was on disk.

use std::time::Duration;

use localyun::model::rule::OnDemand;

use crate::support::Bench;

/// The frames of a bench that vanishes without a goodbye are in the files of the next one, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_cut_off_is_finished_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let pushed = {
        let mut bench = Bench::open(folder.path()).await;
        bench.rule(OnDemand::Automatic, 15).await;
        let publisher = bench.publish().await;
        let pushed = bench.push(&publisher, 33);
        publisher.recorder.flush();
        // On disk, and not told to anybody: what a kill leaves.
        localyun::clock::machine_sleep(Duration::from_millis(300)).await;
        std::mem::forget(publisher);
        pushed
    };
    let copy = tempfile::tempdir().unwrap();
    copy_tree(folder.path(), copy.path());
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
}

/// The publisher comes back within DelayTime after the restart: one file goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_comes_back_after_a_restart_continues_its_file() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut bench = Bench::open(folder.path()).await;
        bench.rule(OnDemand::Automatic, 180).await;
        let publisher = bench.publish().await;
        bench.push(&publisher, 7);
        publisher.recorder.flush();
        localyun::clock::machine_sleep(Duration::from_millis(300)).await;
        std::mem::forget(publisher);
    }
    let copy = tempfile::tempdir().unwrap();
    copy_tree(folder.path(), copy.path());
    let mut bench = Bench::open(copy.path()).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 5);
    bench.hub.unpublish(&publisher);
    bench.advance(200).await;
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    let flv: Vec<i64> = files
        .iter()
        .filter(|f| f.format == "flv")
        .map(|f| f.duration_ms)
        .collect();
    assert_eq!(flv, [12_000]);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
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
