//! Callbacks that wait in the outbox: who ends them, and that each ends.

use std::path::Path;

use localyun::testing::model::event::{Delivery, Kind};
use localyun::testing::store::callbacks::{Attempt, NewCallback, Row};
use localyun::testing::store::streams::Fence;

use crate::support::Bench;

/// A service whose clock stands, so that nothing is tried again before it is told to.
async fn still(folder: &Path) -> Bench {
    let bench = Bench::open(folder).await;
    bench.services.clock.stop().await;
    bench.advance(0).await;
    bench
}

/// Stores a callback for a receiver that nobody is.
async fn store(bench: &Bench, name: &str) {
    let callback = NewCallback {
        dedupe: name.to_owned(),
        key: bench.key.clone(),
        owner: bench.key.hash(),
        kind: Kind::RecordStarted,
        method: "POST",
        url: "http://127.0.0.1:9/".to_owned(),
        body: "{}".to_owned(),
        sign_host: String::new(),
        sign_key: String::new(),
    };
    let store = &bench.services.store;
    let stored = store.enqueue_callback(&callback, 0, &Fence::NONE).await;
    assert!(stored.unwrap());
}

async fn wake(bench: &Bench) {
    let services = &bench.services;
    services.notifier.wake(services.clock.busy());
    bench.advance(0).await;
}

async fn row(bench: &Bench, name: &str) -> Row {
    let rows = bench.services.store.recent_callbacks(100).await.unwrap();
    rows.into_iter().find(|row| row.dedupe == name).unwrap()
}

fn attempts(row: &Row) -> Vec<Attempt> {
    serde_json::from_str(&row.attempts).unwrap()
}

/// Ends a callback, as another node does that has its stream for a while.
async fn end_elsewhere(bench: &Bench, name: &str) {
    let row = row(bench, name).await;
    let store = &bench.services.store;
    store
        .update_callback(&row, Delivery::Success, &attempts(&row), 0, 1)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_has_ended_is_not_sent_and_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let bench = still(folder.path()).await;
    for name in ["tried", "behind", "last"] {
        store(&bench, name).await;
    }
    wake(&bench).await;
    for name in ["tried", "behind"] {
        end_elsewhere(&bench, name).await;
    }
    bench.advance(60).await;
    for (name, state, tries) in [
        ("tried", Delivery::Success, 1),
        ("behind", Delivery::Success, 0),
        ("last", Delivery::Failed, 6),
    ] {
        let row = row(&bench, name).await;
        assert_eq!((row.state, attempts(&row).len()), (state, tries), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_comes_late_does_not_undo_what_another_node_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let bench = still(folder.path()).await;
    store(&bench, "a").await;
    let found = row(&bench, "a").await;
    end_elsewhere(&bench, "a").await;
    let services = &bench.services;
    let late = services
        .store
        .update_callback(&found, Delivery::Pending, &[], 0, 0);
    late.await.unwrap();
    assert_eq!(row(&bench, "a").await.state, Delivery::Success);
}

/// It was being sent once more when the process ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_after_all_of_its_tries_ends_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let bench = still(folder.path()).await;
    store(&bench, "a").await;
    let waiting = row(&bench, "a").await;
    let made = Attempt {
        at: 1,
        status: Some(503),
        error: None,
        response: String::new(),
        headers: String::new(),
    };
    let store = &bench.services.store;
    store
        .update_callback(&waiting, Delivery::Pending, &vec![made; 8], 0, 0)
        .await
        .unwrap();
    wake(&bench).await;
    bench.advance(60).await;
    let row = row(&bench, "a").await;
    assert_eq!((row.state, attempts(&row).len()), (Delivery::Failed, 9));
}
