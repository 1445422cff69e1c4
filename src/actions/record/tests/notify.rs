//! The recording callbacks' configuration and their log.

use super::*;
use crate::actions::arguments::testbed::START;
use crate::model::event::{Delivery, Kind};
use crate::store::callbacks::{Attempt, NewCallback};
use crate::store::streams::Fence;

const DOMAIN: &str = "DomainName=play.example.com";

#[tokio::test]
async fn callbacks_are_configured_changed_and_removed() {
    let bed = Testbed::new().await;
    let gone = ("InvalidConfig.NotFound".to_owned(), 404);
    let url = format!("{DOMAIN}&NotifyUrl=http://127.0.0.1:9/x");
    for (action, query) in [
        ("DescribeLiveRecordNotifyConfig", DOMAIN),
        ("DeleteLiveRecordNotifyConfig", DOMAIN),
        ("UpdateLiveRecordNotifyConfig", &url),
    ] {
        assert_eq!(bed.refused(action, query).await, gone, "{action}");
    }
    for (more, code) in [
        ("NotifyUrl=ftp://h/x", "InvalidNotifyUrl.Malformed"),
        ("NotifyUrl=http://h/x&OnDemandUrl=h", "InvalidOnDemandUrl"),
        (
            "NotifyUrl=http://h/x&NotifyReqAuth=true",
            "MissingNotifyAuthKey",
        ),
        ("NotifyUrl=", "MissingNotifyUrl"),
    ] {
        assert_eq!(
            bed.refused("AddLiveRecordNotifyConfig", &format!("{DOMAIN}&{more}"))
                .await,
            (code.to_owned(), 400)
        );
    }
    bed.ok(
        "AddLiveRecordNotifyConfig",
        &format!("{url}&OnDemandUrl=http://h/q&NeedStatusNotify=True"),
    )
    .await;
    assert_eq!(
        bed.refused("AddLiveRecordNotifyConfig", &url).await,
        ("ConfigAlreadyExists".to_owned(), 400)
    );
    let key = "0123456789abcdef";
    bed.ok(
        "UpdateLiveRecordNotifyConfig",
        &format!("{DOMAIN}&NotifyUrl=http://h/y&NotifyReqAuth=true&NotifyAuthKey={key}"),
    )
    .await;
    let shown = bed.ok("DescribeLiveRecordNotifyConfig", DOMAIN).await;
    assert_eq!(
        shown["LiveRecordNotifyConfig"],
        json!({"DomainName": "play.example.com", "NotifyUrl": "http://h/y", "OnDemandUrl": "http://h/q",
            "NeedStatusNotify": true, "NotifyReqAuth": true, "NotifyAuthKey": key})
    );
    bed.ok(
        "UpdateLiveRecordNotifyConfig",
        &format!("{url}&OnDemandUrl="),
    )
    .await;
    let shown = bed.ok("DescribeLiveRecordNotifyConfig", DOMAIN).await;
    assert_eq!(shown["LiveRecordNotifyConfig"]["OnDemandUrl"], "");
    bed.ok("DeleteLiveRecordNotifyConfig", DOMAIN).await;
    assert_eq!(
        bed.refused("DeleteLiveRecordNotifyConfig", DOMAIN).await,
        gone
    );
}

async fn sent(
    bed: &Testbed,
    name: &str,
    kind: Kind,
    at: i64,
    state: Delivery,
    attempts: &[Attempt],
) {
    let new = NewCallback {
        dedupe: name.to_owned(),
        key: key(),
        owner: String::new(),
        kind,
        method: "POST",
        url: "http://h/x".to_owned(),
        body: format!("{{\"n\":\"{name}\"}}"),
        sign_host: String::new(),
        sign_key: String::new(),
    };
    let store = &bed.ctx.services.store;
    store
        .enqueue_callback(&new, at, &Fence::NONE)
        .await
        .unwrap();
    let row = store.recent_callbacks(1).await.unwrap().remove(0);
    store
        .update_callback(&row, state, attempts, 0, 0)
        .await
        .unwrap();
}

fn attempt(at: i64, status: Option<u16>) -> Attempt {
    let error = status.is_none().then(|| "connection refused".to_owned());
    Attempt {
        at,
        status,
        error,
        response: "body".to_owned(),
        headers: "h".to_owned(),
    }
}

#[tokio::test]
async fn the_log_shows_what_was_tried_with_its_last_outcome() {
    let bed = Testbed::new().await;
    let failed = [attempt(START, Some(503)), attempt(START + 1_000, None)];
    sent(
        &bed,
        "good",
        Kind::RecordStarted,
        START,
        Delivery::Success,
        &[attempt(START + 500, Some(200))],
    )
    .await;
    sent(
        &bed,
        "bad",
        Kind::FileCreated,
        START,
        Delivery::Failed,
        &failed,
    )
    .await;
    sent(
        &bed,
        "trying",
        Kind::RecordPaused,
        START,
        Delivery::Pending,
        failed.get(..1).unwrap(),
    )
    .await;
    sent(
        &bed,
        "untried",
        Kind::RecordPaused,
        START,
        Delivery::Pending,
        &[],
    )
    .await;
    sent(
        &bed,
        "publish",
        Kind::Publish,
        START,
        Delivery::Success,
        &[attempt(START, Some(200))],
    )
    .await;
    sent(
        &bed,
        "old",
        Kind::FileCreated,
        START - 8 * 86_400_000,
        Delivery::Success,
        &[attempt(START, Some(200))],
    )
    .await;
    let window = format!("{DOMAIN}&StartTime=2026-01-01T00:00:00Z&EndTime=2026-03-02T00:00:00Z");
    let all = bed.ok("DescribeLiveRecordNotifyRecords", &window).await;
    let rows = all["CallbackList"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["NotifyType"].as_str().unwrap(),
                row["NotifyResult"].as_str().unwrap(),
                row["Description"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("record_started", "success", "success"),
            ("file_created", "failed", "connection refused"),
            (
                "record_paused",
                "failed",
                "the receiver answered with HTTP status 503"
            ),
        ]
    );
    assert_eq!(rows[1]["NotifyTime"], "2026-03-01T02:00:01Z");
    assert_eq!(
        (&rows[0]["NotifyContent"], &rows[0]["NotifyResponse"]),
        (&json!("{\"n\":\"good\"}"), &json!("body"))
    );
    assert_eq!(
        (
            &all["TotalNum"],
            &all["PageNum"],
            &all["PageSize"],
            &all["Msg"]
        ),
        (&json!(3), &json!(1), &json!(20), &json!("ok"))
    );
    for (more, count) in [
        ("&Status=success", 1),
        ("&Status=failed", 2),
        ("&StorageType=vod", 0),
        ("&StorageType=oss", 3),
        ("&StreamName=s2", 0),
    ] {
        let some = bed
            .ok(
                "DescribeLiveRecordNotifyRecords",
                &format!("{window}{more}"),
            )
            .await;
        assert_eq!(some["TotalNum"], count, "{more}");
    }
    // The second that EndTime names counts as a whole.
    let window = format!("{DOMAIN}&StartTime=2026-03-01T01:59:59Z&EndTime=2026-03-01T02:00:00Z");
    sent(
        &bed,
        "late",
        Kind::FileCreated,
        START + 400,
        Delivery::Success,
        &[attempt(START + 400, Some(200))],
    )
    .await;
    let in_it = bed.ok("DescribeLiveRecordNotifyRecords", &window).await;
    let contents = in_it["CallbackList"].as_array().unwrap();
    assert!(
        contents
            .iter()
            .any(|row| row["NotifyContent"] == "{\"n\":\"late\"}"),
        "{in_it}"
    );
    let window = format!("{DOMAIN}&StartTime=2026-01-01T00:00:00Z&EndTime=2026-03-02T00:00:00Z");
    let page = bed
        .ok(
            "DescribeLiveRecordNotifyRecords",
            &format!("{window}&PageNumber=2&PageSize=2"),
        )
        .await;
    assert_eq!(
        (
            page["CallbackList"].as_array().unwrap().len(),
            &page["TotalPage"]
        ),
        (2, &json!(2))
    );
    let backwards = format!("{DOMAIN}&StartTime=2026-03-02T00:00:00Z&EndTime=2026-03-01T00:00:00Z");
    assert_eq!(
        bed.refused("DescribeLiveRecordNotifyRecords", &backwards)
            .await
            .0,
        "InvalidEndTime.Mismatch"
    );
}
