//! The meter over a real store and a clock that tests advance.

use super::*;
use crate::media::frame::Track;
use crate::model::figures::Asked;
use crate::store::testbed;

/// 2026-03-01T02:00:30Z: half a minute is over.
const START: UnixMs = 1_772_330_430_000;
const MINUTE: UnixMs = 1_772_330_400_000;

struct Bed {
    meter: Meter,
    clock: Clock,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
        let (store, folder) = testbed::store().await;
        let clock = Clock::new(Some(START));
        let meter = Meter::new(clock.clone(), store.clone());
        let (running, ticking) = (meter.clone(), clock.clone());
        tokio::spawn(async move { running.run().await });
        tokio::spawn(async move { ticking.run().await });
        while !meter.inner.is_running.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        Self {
            meter,
            clock,
            store,
            _folder: folder,
        }
    }

    fn coming(address: &str) -> Coming<'static> {
        Coming {
            domain: "play",
            app: "live",
            stream: "s",
            player: Player::Flv,
            secure: false,
            address: address.parse().unwrap(),
        }
    }
}

fn key() -> StreamKey {
    StreamKey::new("play", "live", "s")
}

fn all() -> Asked {
    Asked {
        from: 0,
        to: i64::MAX,
        ..Asked::default()
    }
}

fn push(inflow: &Inflow, from: u32, frames: u32) {
    for number in from..from + frames {
        inflow.frame(Track::Video, number * 40, 1_000);
        inflow.arrived(1_005);
    }
}

#[tokio::test]
async fn a_minute_is_one_row_a_stream_and_queries_see_the_running_one() {
    let bed = Bed::new().await;
    let inflow = bed.meter.inflow(&key(), "push");
    push(&inflow, 0, 100);
    let running = bed.meter.brought(&all()).await.unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!((running[0].minute, running[0].bytes), (MINUTE, 100_500));
    assert!(bed.store.inflow(&all()).await.unwrap().is_empty());
    assert!(bed.clock.advance(40_000).await.settled);
    assert_eq!(bed.store.inflow(&all()).await.unwrap(), running);
    push(&inflow, 100, 50);
    bed.clock.advance(60_000).await;
    let rows = bed.meter.brought(&all()).await.unwrap();
    let figures: Vec<_> = rows
        .iter()
        .map(|row| (row.minute - MINUTE, row.video.frames, row.video.media_ms))
        .collect();
    assert_eq!(figures, [(0, 100, 4_000), (60_000, 50, 2_000)]);
}

#[tokio::test]
async fn idle_time_has_no_rows_and_no_due_times() {
    let bed = Bed::new().await;
    let inflow = bed.meter.inflow(&key(), "push");
    push(&inflow, 0, 10);
    drop(inflow);
    bed.meter.http_code("play", 404);
    let viewer = bed.meter.viewer(Bed::coming("10.0.0.1"));
    viewer.sent(10);
    drop(viewer);
    bed.clock.advance(3 * MINUTE_MS).await;
    assert_eq!(bed.clock.waiting(), 0, "nobody waits for an idle minute");
    bed.clock.advance(30 * 24 * 3_600_000).await;
    assert_eq!(bed.store.inflow(&all()).await.unwrap().len(), 1);
    assert_eq!(bed.store.outflow(&all()).await.unwrap().len(), 1);
    assert_eq!(
        bed.store.answered(&all()).await.unwrap(),
        [(MINUTE, 404, 1)]
    );
    // It begins again at the minute of the next count, whatever an advance does at once.
    let inflow = bed.meter.inflow(&key(), "push");
    push(&inflow, 0, 1);
    let at = minute_of(bed.clock.now());
    bed.clock.advance(3_600_000).await;
    let rows = bed.store.inflow(&all()).await.unwrap();
    assert_eq!(rows.last().unwrap().minute, at);
}

#[tokio::test]
async fn a_viewer_is_there_each_minute_until_it_goes() {
    let bed = Bed::new().await;
    let viewer = bed.meter.viewer(Bed::coming("10.0.0.1"));
    let other = bed.meter.viewer(Bed::coming("10.0.0.1"));
    assert_eq!(bed.meter.watched("play")[0].viewers, 2);
    assert!(bed.meter.watched("push").is_empty());
    drop(other);
    bed.clock.advance(2 * MINUTE_MS).await;
    drop(viewer);
    bed.clock.advance(60 * MINUTE_MS).await;
    let rows = bed.store.outflow(&all()).await.unwrap();
    let viewers: Vec<u64> = rows.iter().map(|row| row.viewers).collect();
    assert_eq!(viewers, [2, 1, 1]);
    assert_eq!(rows.iter().map(|row| row.came).sum::<u64>(), 2);
    assert_eq!(
        bed.store.visitors(&all()).await.unwrap(),
        [(MINUTE, 1)],
        "one address"
    );
    assert!(bed.meter.watched("play").is_empty());
}

#[tokio::test]
async fn what_is_flushed_or_forgotten_is_counted_once() {
    let bed = Bed::new().await;
    let inflow = bed.meter.inflow(&key(), "push");
    push(&inflow, 0, 10);
    bed.meter.flush().await;
    push(&inflow, 10, 5);
    let rows = bed.meter.brought(&all()).await.unwrap();
    let frames: u64 = rows.iter().map(|row| row.video.frames).sum();
    assert_eq!((rows.len(), frames), (2, 15));
    bed.store.clear().await.unwrap();
    bed.meter.forget().await;
    assert!(bed.meter.brought(&all()).await.unwrap().is_empty());
    bed.clock.rewind().await;
    push(&inflow, 15, 5);
    bed.clock.advance(MINUTE_MS).await;
    let rows = bed.store.inflow(&all()).await.unwrap();
    assert_eq!((rows.len(), rows[0].video.frames), (1, 5));
}

#[tokio::test]
async fn a_stream_of_a_minute_that_is_stored_in_part_is_one() {
    let bed = Bed::new().await;
    let inflow = bed.meter.inflow(&key(), "push");
    push(&inflow, 0, 10);
    // As at the end of a run, whose minute goes on in the next one.
    bed.meter.flush().await;
    push(&inflow, 10, 5);
    let other = bed
        .meter
        .inflow(&StreamKey::new("play", "live", "other"), "push");
    push(&other, 0, 1);
    let minutes = bed.meter.publishing(&all()).await.unwrap();
    let minutes: Vec<(u64, u64)> = minutes.iter().map(|it| (it.streams, it.bytes)).collect();
    assert_eq!(minutes, [(2, 16 * 1_005)]);
}

#[tokio::test]
async fn pages_hold_each_stream_of_a_minute_once() {
    let bed = Bed::new().await;
    let streams = ["a", "b", "c"].map(|name| StreamKey::new("play", "live", name));
    let inflows = streams.map(|key| bed.meter.inflow(&key, "push"));
    let mut viewers = Vec::new();
    for (player, bytes) in [(Player::Flv, 100), (Player::Rtmp, 10), (Player::Hls, 1)] {
        for secure in [false, true] {
            let viewer = bed.meter.viewer(Coming {
                player,
                secure,
                ..Bed::coming("10.0.0.2")
            });
            viewer.sent(bytes);
            viewers.push(viewer);
        }
    }
    for _ in 0..2 {
        inflows.iter().for_each(|inflow| inflow.arrived(7));
        bed.clock.advance(MINUTE_MS).await;
    }
    inflows.iter().for_each(|inflow| inflow.arrived(7));
    let (page, total) = bed.meter.brought_page(&all(), 4, 4).await.unwrap();
    let names: Vec<&str> = page.iter().map(|row| row.stream.as_str()).collect();
    assert_eq!((names, total), (vec!["b", "c", "a", "b"], 9));
    let (page, total) = bed.meter.sent_page(&all(), 0, 5).await.unwrap();
    assert_eq!(total, 3);
    assert_eq!(page[0].bytes, [200, 20, 2, 0]);
    assert_eq!(page[2].viewers, [2, 2, 2, 0]);
    let sent = bed.meter.sent(&all()).await.unwrap();
    assert_eq!(sent.iter().map(|row| row.bytes).sum::<u64>(), 222);
    let mut asked = all();
    asked.players = Some(vec![Player::Rtmp]);
    assert_eq!(bed.meter.sent(&asked).await.unwrap().len(), 6);
    let publishing = bed.meter.publishing(&all()).await.unwrap();
    assert!(
        publishing
            .iter()
            .all(|row| row.streams == 3 && row.bytes == 21)
    );
}

#[tokio::test]
async fn names_of_callers_have_a_bound() {
    let bed = Bed::new().await;
    for number in 0..=MOST_DOMAINS {
        bed.meter.http_code(&format!("d{number}"), 200);
    }
    assert_eq!(
        bed.meter.answered(&all()).await.unwrap().len(),
        MOST_DOMAINS
    );
}

/// More rows than a page and than a batch hold: streams that are pushed and watched for an hour.
#[tokio::test]
async fn an_hour_of_many_streams_is_counted_to_the_byte() {
    const STREAMS: usize = 200;
    const MINUTES: i64 = 60;
    let bed = Bed::new().await;
    let mut there = Vec::new();
    for number in 0..STREAMS {
        let stream = format!("stream-{number}");
        let inflow = bed
            .meter
            .inflow(&StreamKey::new("play", "live", &stream), "push");
        let coming = Coming {
            stream: &stream,
            ..Bed::coming("10.0.0.1")
        };
        there.push((inflow, bed.meter.viewer(coming)));
    }
    for minute in 0..u32::try_from(MINUTES).unwrap() {
        for (inflow, viewer) in &there {
            push(inflow, minute * 2, 2);
            viewer.sent(1_000);
        }
        assert!(bed.clock.advance(MINUTE_MS).await.settled);
    }
    let mut asked = all();
    asked.domains = vec!["play".to_owned()];
    let traffic = bed.meter.brought_bytes(&asked).await.unwrap();
    let rows: u64 = traffic.iter().map(|(_, bytes)| bytes / 2_010).sum();
    assert_eq!(rows, STREAMS as u64 * 60);
    let (page, total) = bed.meter.sent_page(&asked, 10_000, 5_000).await.unwrap();
    // The running minute has its viewers too.
    assert_eq!((page.len(), total), (2_200, STREAMS as u64 * 61));
    asked.app = Some("live".to_owned());
    asked.stream = Some("stream-123".to_owned());
    assert_eq!(bed.meter.brought(&asked).await.unwrap().len(), 60);
}
