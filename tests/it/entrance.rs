//! On several nodes a push passes an entrance first: whatever becomes of it, the entrance hears once that it is registered or came to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use localyun::testing::live::hub::{Arriving, Entrance, PublishError, Publisher};
use localyun::testing::model::rule::OnDemand;
use localyun::testing::model::stream_key::{PushArgs, StreamKey};
use tokio::sync::Semaphore;

use crate::support::Bench;

/// Lets in whoever finds a permit.
struct Door {
    permits: Semaphore,
    let_in: AtomicUsize,
    settled: AtomicUsize,
}

impl Door {
    fn counts(&self) -> (usize, usize) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (of(&self.let_in), of(&self.settled))
    }
}

impl Entrance for Door {
    fn enter<'a>(&'a self, _: &'a Arriving) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(async move {
            self.permits.acquire().await.unwrap().forget();
            self.let_in.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }

    fn settled(&self, _: &StreamKey) {
        self.settled.fetch_add(1, Ordering::Relaxed);
    }

    fn left(&self, _: &StreamKey) {}
}

async fn publish(bench: &Bench) -> Result<Arc<Publisher>, PublishError> {
    let domain = bench.key.domain.clone();
    let from = "127.0.0.1:1".to_owned();
    bench
        .hub
        .publish(bench.key.clone(), domain, from, PushArgs::default())
        .await
}

#[tokio::test]
async fn a_push_that_was_let_in_settles_once_whatever_becomes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path()).await;
    bench.rule(OnDemand::Automatic, 15).await;
    let door = Arc::new(Door {
        permits: Semaphore::new(0),
        let_in: AtomicUsize::new(0),
        settled: AtomicUsize::new(0),
    });
    bench.hub.guard(door.clone());
    // Whoever waits at the entrance and goes was never let in.
    assert!(publish(&bench).now_or_never().is_none());
    assert_eq!(door.counts(), (0, 0));
    // Let in and interrupted before it is registered, wherever that is.
    door.permits.add_permits(3);
    let interrupted = publish(&bench).now_or_never().is_none();
    assert!(interrupted, "it waits for the database");
    assert_eq!(door.counts(), (1, 1));
    // Registered.
    let publisher = publish(&bench).await.unwrap();
    assert_eq!(door.counts(), (2, 2));
    // Refused: somebody publishes already.
    assert!(matches!(
        publish(&bench).await,
        Err(PublishError::AlreadyPublished)
    ));
    assert_eq!(door.counts(), (3, 3));
    bench.hub.unpublish(&publisher);
}

#[tokio::test]
async fn a_push_that_is_still_coming_when_the_service_stops_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::open(folder.path()).await;
    let door = Arc::new(Door {
        permits: Semaphore::new(0),
        let_in: AtomicUsize::new(0),
        settled: AtomicUsize::new(0),
    });
    bench.hub.guard(door.clone());
    let mut coming = std::pin::pin!(publish(&bench));
    assert!(coming.as_mut().now_or_never().is_none());
    // Streams are given away to other nodes from here on: nothing of this one would get there.
    bench.hub.close();
    door.permits.add_permits(1);
    assert!(matches!(coming.await, Err(PublishError::Stopping)));
    assert!(bench.hub.publishers().is_empty());
    assert_eq!(door.counts(), (1, 1));
}
