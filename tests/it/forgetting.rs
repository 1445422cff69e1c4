//! All is forgotten while something is under way: nothing of it comes later, and what comes then is whole.

use std::path::Path;

use localyun::testing::faults::Fault;
use localyun::testing::model::rule::OnDemand;
use serde_json::json;

use crate::support::Bench;

/// As a reset has it: what is live ends, and the queues of callbacks go.
async fn forget_all(bench: &Bench) {
    let services = &bench.services;
    bench.hub.forget_all();
    services.notifier.reset(services.clock.busy());
    assert!(services.clock.settle().await);
}

fn spools(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("spool")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_rests_between_two_tries_comes_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let services = bench.services.clone();
    let fault: Fault =
        serde_json::from_value(json!({"at": "object-put", "code": "InternalError"})).unwrap();
    services.faults.arm(vec![fault]);
    let publisher = bench.publish().await;
    bench.push(&publisher, 12);
    bench.hub.unpublish(&publisher);
    bench.advance(16).await;
    assert_eq!(spools(folder.path()), 1);
    forget_all(&bench).await;
    assert_eq!(spools(folder.path()), 0);
    services.store.clear().await.unwrap();
    services.faults.arm(Vec::new());
    bench.advance(600).await;
    let (sessions, slices, files) = services.store.export_records().await.unwrap();
    assert!(sessions.is_empty() && slices.is_empty() && files.is_empty());
    for below in ["Mp4", "Flv", "M3u8-slices", "Cmaf-slices"] {
        assert!(bench.found(folder.path(), below).is_empty(), "{below}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_within_its_delay_goes_with_its_spool_and_the_next_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 7);
    bench.hub.unpublish(&publisher);
    bench.advance(0).await;
    assert_eq!(spools(folder.path()), 1);
    forget_all(&bench).await;
    assert_eq!(spools(folder.path()), 0);
    let publisher = bench.publish().await;
    let pushed = bench.push(&publisher, 6);
    bench.hub.unpublish(&publisher);
    bench.advance(60).await;
    let expected = pushed.map(|n| (n, 1)).collect();
    for below in ["Mp4", "Flv"] {
        assert_eq!(bench.found(folder.path(), below), expected, "{below}");
    }
    assert_eq!(spools(folder.path()), 0);
}

/// How many requests were made for all callbacks together.
async fn requests_made(bench: &Bench) -> usize {
    let rows = bench.services.store.recent_callbacks(1_000).await.unwrap();
    let made = rows
        .iter()
        .map(|row| row.attempts.matches("\"at\"").count());
    made.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_rests_between_two_tries_is_not_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let publisher = bench.publish().await;
    bench.push(&publisher, 1);
    bench.advance(0).await;
    // The rows stay here, so that one sees what becomes of them.
    forget_all(&bench).await;
    let made = requests_made(&bench).await;
    assert!(made > 0);
    bench.advance(60).await;
    assert_eq!(requests_made(&bench).await, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_stands_still_is_not_sent_when_deliveries_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    bench.services.notifier.pause(true);
    let publisher = bench.publish().await;
    bench.push(&publisher, 1);
    bench.advance(0).await;
    forget_all(&bench).await;
    assert!(!bench.services.notifier.is_paused());
    bench.advance(60).await;
    let rows = bench.services.store.recent_callbacks(1_000).await.unwrap();
    assert_eq!((rows.len(), requests_made(&bench).await), (1, 0));
}
