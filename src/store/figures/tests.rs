//! Rows of figures: how long they stay.

use super::*;

#[tokio::test]
async fn the_old_go_and_the_young_stay() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/t.db?mode=rwc", folder.path().display());
    let store = Store::open(&url).await.unwrap();
    let row = |minute| Inflow {
        minute,
        key: StreamKey::new("play", "live", "s"),
        ingest_domain: "push".to_owned(),
        bytes: 1,
        video: TrackFigures::default(),
        audio: TrackFigures::default(),
    };
    let all = Asked {
        from: 0,
        to: i64::MAX,
        ..Asked::default()
    };
    store.forget_figures(1).await.unwrap();
    let figures = Figures {
        inflow: (0..10).map(|n| row(n * 60_000)).collect(),
        ..Figures::default()
    };
    store.put_figures(&figures).await.unwrap();
    store.forget_figures(240_000).await.unwrap();
    let left = store.inflow(&all).await.unwrap();
    assert_eq!(left.first().unwrap().minute, 240_000);
    assert_eq!(left.len(), 6);
    store.forget_figures(600_000).await.unwrap();
    assert!(store.inflow(&all).await.unwrap().is_empty());
}
