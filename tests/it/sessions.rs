//! Whatever happens to a stream, its recording holds each second once: random sequences of pushes, drops, commands and clock steps.

use std::collections::BTreeMap;

use localyun::testing::live::decide::machine::{Input, State};
use localyun::testing::model::rule::OnDemand;
use proptest::prelude::*;

use crate::support::Bench;

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Push(u64),
    Drop,
    Start,
    Stop,
    CancelDelay,
    Restart,
    Advance(i64),
}

fn steps() -> impl Strategy<Value = (bool, Vec<Step>)> {
    let step = prop_oneof![
        3 => Just(Step::Publish),
        5 => (1u64..12).prop_map(Step::Push),
        2 => Just(Step::Drop),
        1 => Just(Step::Start),
        1 => Just(Step::Stop),
        1 => Just(Step::CancelDelay),
        1 => Just(Step::Restart),
        3 => (1i64..40).prop_map(Step::Advance),
    ];
    (any::<bool>(), proptest::collection::vec(step, 1..25))
}

async fn run(manual: bool, steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench
        .rule(
            if manual {
                OnDemand::Manual
            } else {
                OnDemand::Automatic
            },
            15,
        )
        .await;
    let mut publisher = None;
    let mut expected: BTreeMap<u64, u32> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Publish if publisher.is_none() => publisher = Some(bench.publish().await),
            Step::Push(seconds) => {
                let Some(publisher) = &publisher else {
                    continue;
                };
                let recording = publisher.recorder.view().state == State::Recording;
                let frames = bench.push(publisher, seconds);
                if recording {
                    expected.extend(frames.map(|n| (n, 1)));
                }
            }
            Step::Drop => {
                if let Some(publisher) = publisher.take() {
                    bench.hub.unpublish(&publisher);
                }
            }
            Step::Start | Step::Restart | Step::Stop | Step::CancelDelay => {
                let input = match step {
                    Step::Start => Input::Start,
                    Step::Restart => Input::Restart,
                    Step::Stop => Input::Stop,
                    _ => Input::CancelDelay,
                };
                // Start and restart need a live stream; the action refuses them otherwise.
                let Some(recorder) = bench.hub.find_recorder(&bench.key) else {
                    continue;
                };
                if publisher.is_some() || matches!(step, Step::Stop | Step::CancelDelay) {
                    let _ = recorder.command(input, None);
                }
            }
            Step::Advance(seconds) => bench.advance(seconds).await,
            Step::Publish => {}
        }
    }
    if let Some(publisher) = publisher.take() {
        bench.hub.unpublish(&publisher);
    }
    bench.advance(60).await;

    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert_eq!(
            bench.found(folder.path(), below),
            expected,
            "each frame is in exactly one object of {below}"
        );
    }

    let (sessions, slices, files) = bench.services.store.export_records().await.unwrap();
    for session in &sessions {
        assert_eq!(session.state.as_str(), "ended");
        let of_format = |format: &str| -> i64 {
            files
                .iter()
                .filter(|f| f.session_id == session.id && f.format.as_str() == format)
                .map(|f| f.duration_ms)
                .sum()
        };
        let sliced: i64 = slices
            .iter()
            .filter(|s| s.session_id == session.id && s.object.starts_with("M3u8"))
            .map(|s| s.duration_ms)
            .sum();
        assert_eq!(of_format("m3u8"), of_format("cmaf"));
        assert_eq!(of_format("m3u8"), of_format("mp4"));
        assert_eq!(of_format("m3u8"), of_format("flv"));
        assert_eq!(of_format("m3u8"), sliced);
    }
    let seconds = i64::try_from(expected.len()).unwrap() * 1000 / 25;
    let recorded: i64 = files
        .iter()
        .filter(|f| f.format.as_str() == "flv")
        .map(|f| f.duration_ms)
        .sum();
    assert_eq!(
        recorded, seconds,
        "media time is neither lost nor counted twice"
    );
    for below in ["M3u8", "Cmaf"] {
        let of_format = slices.iter().filter(|s| s.object.starts_with(below));
        let mut sequences: Vec<i64> = of_format.map(|s| s.sequence).collect();
        sequences.sort_unstable();
        assert_eq!(
            sequences,
            (0..i64::try_from(sequences.len()).unwrap()).collect::<Vec<_>>(),
            "the slice counters of {below} have no hole"
        );
    }

    check_events(&bench, files.len()).await;
    let left: Vec<_> = std::fs::read_dir(folder.path().join("spool"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "no spool is left: {left:?}");
}

/// One file event a file, and status events in an order that the product could send.
async fn check_events(bench: &Bench, files: usize) {
    let mut rows = bench.services.store.recent_callbacks(1_000).await.unwrap();
    rows.reverse();
    assert_eq!(
        rows.iter()
            .filter(|row| row.kind.as_str() == "file_created")
            .count(),
        files
    );
    let (mut open, mut paused) = (false, false);
    for row in &rows {
        match row.kind.as_str() {
            // A restart says record_started once more.
            "record_started" => (open, paused) = (true, false),
            "record_paused" => {
                assert!(open && !paused, "paused out of order");
                paused = true;
            }
            "record_resumed" => {
                assert!(open && paused, "resumed out of order");
                paused = false;
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_comes_back_and_sends_nothing_is_no_interruption_of_its_own() {
    run(
        false,
        vec![Step::Publish, Step::Push(1), Step::Drop, Step::Publish],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_before_anything_came_back_ends_the_files_at_the_pause() {
    let steps = [
        Step::Publish,
        Step::Push(1),
        Step::Stop,
        Step::Start,
        Step::Restart,
        Step::Push(1),
    ];
    run(false, steps.to_vec()).await;
}

/// Wall times count from the first frame, and the gap of an interruption from the loss of what was being recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_brought_nothing_moves_no_later_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let nothing = bench.publish().await;
    bench.hub.unpublish(&nothing);
    bench.advance(5).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 5);
    bench.advance(600).await;
    bench.hub.unpublish(&publisher);
    bench.advance(5).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 5);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let (_, _, files) = bench.services.store.export_records().await.unwrap();
    let flv: Vec<_> = files
        .iter()
        .filter(|f| f.format.as_str() == "flv")
        .collect();
    assert_eq!((flv.len(), flv[0].duration_ms), (1, 10_000));
    let lasted = flv[0].ended_at - flv[0].started_at;
    assert!(
        (15_000..60_000).contains(&lasted),
        "10 s of media and a gap of 5: {lasted}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn each_second_is_recorded_once((manual, steps) in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(manual, steps));
    }
}
