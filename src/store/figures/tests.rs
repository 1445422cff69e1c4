//! Rows of figures: all of them come in, and how long they stay.

use super::*;
use crate::store::testbed;

fn row(minute: UnixMs) -> Inflow {
    Inflow {
        minute,
        key: StreamKey::new("play", "live", "s"),
        ingest_domain: "push".to_owned(),
        bytes: 1,
        video: TrackFigures::default(),
        audio: TrackFigures::default(),
    }
}

fn all() -> Asked {
    Asked {
        from: 0,
        to: i64::MAX,
        ..Asked::default()
    }
}

#[tokio::test]
async fn a_minute_of_more_rows_than_a_statement_takes_is_written_whole() {
    let (store, _folder) = testbed::store().await;
    let many = i64::try_from(ROWS).unwrap() * 2 + 1;
    let figures = Figures {
        inflow: (0..many).map(row).collect(),
        ..Figures::default()
    };
    store.put_figures(&figures).await.unwrap();
    let minutes = store.inflow(&all()).await.unwrap();
    let minutes: Vec<UnixMs> = minutes.iter().map(|it| it.minute).collect();
    assert_eq!(minutes, (0..many).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_old_go_and_the_young_stay() {
    let (store, _folder) = testbed::store().await;
    store.forget_figures(1).await.unwrap();
    let figures = Figures {
        inflow: (0..10).map(|n| row(n * 60_000)).collect(),
        ..Figures::default()
    };
    store.put_figures(&figures).await.unwrap();
    store.forget_figures(240_000).await.unwrap();
    let left = store.inflow(&all()).await.unwrap();
    assert_eq!(left.first().unwrap().minute, 240_000);
    assert_eq!(left.len(), 6);
    store.forget_figures(600_000).await.unwrap();
    assert!(store.inflow(&all()).await.unwrap().is_empty());
}
