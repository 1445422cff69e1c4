//! Handlers of the stream family over a real store and hub.

use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::actions::arguments::testbed::Testbed;
use crate::live::ingest::admission::{AccessError, check_kept_out};
use crate::live::ingest::kept_out;
use crate::media::flv::read::Metadata;
use crate::model::domain::Domain;
use crate::model::event::{Delivery, Kind};
use crate::model::forbidden::Forbidden;
use crate::model::stream_key::{PushArgs, StreamKey};
use crate::store::callbacks::{Attempt, NewCallback};
use crate::store::documents::Kind as DocumentKind;
use crate::store::streams::Fence;

const DOMAIN: &str = "DomainName=push.example.com";

#[tokio::test]
async fn publish_callbacks_are_set_as_a_whole() {
    let bed = Testbed::new().await;
    let set = "SetLiveStreamsNotifyUrlConfig";
    let gone = ("InvalidConfig.NotFound".to_owned(), 404);
    assert_eq!(
        bed.refused("DescribeLiveStreamsNotifyUrlConfig", DOMAIN)
            .await,
        gone
    );
    for (more, code) in [
        ("", "MissingNotifyUrl"),
        ("&NotifyUrl=h", "InvalidNotifyUrl.Malformed"),
        (
            "&NotifyUrl=http://h/x&ExceptionNotifyUrl=h",
            "InvalidExceptionNotifyUrl",
        ),
        (
            "&NotifyUrl=http://h/x&NotifyReqAuth=yes",
            "MissingNotifyAuthKey",
        ),
    ] {
        assert_eq!(
            bed.refused(set, &format!("{DOMAIN}{more}")).await,
            (code.to_owned(), 400),
            "{more}"
        );
    }
    let auth = "&NotifyReqAuth=yes&NotifyAuthKey=0123456789abcdef";
    bed.ok(
        set,
        &format!("{DOMAIN}&NotifyUrl=http://h/x&ExceptionNotifyUrl=http://h/e{auth}"),
    )
    .await;
    bed.ok(set, &format!("{DOMAIN}&NotifyUrl=http://h/y")).await;
    let shown = bed.ok("DescribeLiveStreamsNotifyUrlConfig", DOMAIN).await;
    assert_eq!(
        shown["LiveStreamsNotifyConfig"],
        json!({"DomainName": "push.example.com", "NotifyUrl": "http://h/y", "ExceptionNotifyUrl": "",
            "NotifyReqAuth": "no", "NotifyAuthKey": ""})
    );
    bed.ok("DeleteLiveStreamsNotifyUrlConfig", DOMAIN).await;
    assert_eq!(
        bed.refused("DeleteLiveStreamsNotifyUrlConfig", DOMAIN)
            .await,
        gone
    );
}

async fn publish(bed: &Testbed, app: &str, stream: &str) {
    let key = StreamKey::new("play.example.com", app, stream);
    let address = "10.0.0.1:50000".to_owned();
    let args = PushArgs::default();
    let publisher = bed
        .ctx
        .hub
        .publish(key, "push.example.com".to_owned(), address, args)
        .await;
    publisher.unwrap().note(|facts| {
        facts.video_codec = Some("h264".to_owned());
        facts.width = 320;
        facts.take_metadata(&Metadata {
            frame_rate: Some(24.6),
            video_kbps: Some(900),
            audio_kbps: Some(128),
            ..Metadata::default()
        });
    });
}

#[tokio::test]
async fn live_streams_are_found_by_either_domain() {
    let bed = Testbed::new().await;
    publish(&bed, "live", "s1").await;
    let state = "DescribeLiveStreamState";
    for (domain, expected) in [
        ("play.example.com", "online"),
        ("push.example.com", "online"),
        ("x.example.com", "offline"),
    ] {
        let answer = bed
            .ok(
                state,
                &format!("DomainName={domain}&AppName=live&StreamName=s1"),
            )
            .await;
        assert_eq!(
            (&answer["StreamState"], &answer["Type"]),
            (&json!(expected), &json!("push"))
        );
    }
    let other = bed
        .ok(
            state,
            "DomainName=play.example.com&AppName=live&StreamName=s2",
        )
        .await;
    assert_eq!(other["StreamState"], "offline");
}

#[tokio::test]
async fn online_streams_are_listed_by_filter_and_page() {
    let bed = Testbed::new().await;
    for (app, stream) in [("live", "s1"), ("live", "s12"), ("other", "s1")] {
        publish(&bed, app, stream).await;
    }
    let list = async |more: &str| {
        bed.ok(
            "DescribeLiveStreamsOnlineList",
            &format!("DomainName=play.example.com{more}"),
        )
        .await
    };
    let all = list("").await;
    assert_eq!(
        (&all["TotalNum"], &all["PageSize"]),
        (&json!(3), &json!(2000))
    );
    assert_eq!(
        all["OnlineInfo"]["LiveStreamOnlineInfo"][0],
        json!({"DomainName": "play.example.com", "AppName": "live", "StreamName": "s1", "PublishTime": "2026-03-01T02:00:00Z",
            "PublishDomain": "push.example.com", "PushDomain": "push.example.com", "PlayDomain": "play.example.com", "PublishType": "edge", "PublishUrl": "rtmp://push.example.com/live/s1",
            "ClientIp": "10.0.0.1", "Transcoded": "no", "TranscodeId": "", "TranscodeDrm": "", "ServerIp": "127.0.0.1", "VideoCodecId": 7, "VideoDataRate": 900, "FrameRate": 25, "Width": 320, "AudioDataRate": 128})
    );
    for (more, count) in [
        ("&StreamName=s1", 3),
        ("&StreamName=s1&QueryType=strict", 2),
        ("&StreamName=s1&QueryType=strict&AppName=live", 1),
        ("&StreamType=trans", 0),
        ("&StreamType=raw", 3),
    ] {
        assert_eq!(list(more).await["TotalNum"], count, "{more}");
    }
    let page = list("&PageNum=2&PageSize=2&OnlyStream=yes").await;
    assert_eq!(
        page["OnlineInfo"]["LiveStreamOnlineInfo"],
        json!([{"DomainName": "play.example.com", "AppName": "other", "StreamName": "s1", "PublishTime": "2026-03-01T02:00:00Z"}])
    );
}

const PLAY: &str = "DomainName=play.example.com";
const S1: &str = "AppName=live&StreamName=s1&LiveStreamType=publisher";

async fn blocked(bed: &Testbed, domain: &str) -> Value {
    let answer = bed.ok("DescribeLiveStreamsBlockList", domain).await;
    assert_eq!(
        answer["TotalNum"],
        answer["StreamUrls"]["StreamUrl"].as_array().unwrap().len()
    );
    answer["StreamUrls"]["StreamUrl"].clone()
}

#[tokio::test]
async fn a_forbidden_stream_is_listed_until_it_is_let_in_again() {
    let bed = Testbed::new().await;
    bed.ok(
        "AddLiveDomainMapping",
        "PushDomain=push.example.com&PullDomain=play.example.com",
    )
    .await;
    let forbid = |domain: &str, more: &str| format!("{domain}&{S1}{more}");
    for more in ["&ResumeTime=soon", "&ResumeTime=2026-03-01T02:00:00Z"] {
        assert_eq!(
            bed.refused("ForbidLiveStream", &forbid(DOMAIN, more)).await,
            ("InvalidResumeTime.Malformed".to_owned(), 400),
            "{more}"
        );
    }
    // Oneshot keeps nothing out.
    bed.ok("ForbidLiveStream", &forbid(DOMAIN, "&Oneshot=yes"))
        .await;
    assert_eq!(blocked(&bed, PLAY).await, json!([]));
    bed.ok(
        "ForbidLiveStream",
        &forbid(DOMAIN, "&ResumeTime=2050-01-01T00:00:00Z"),
    )
    .await;
    for domain in [DOMAIN, PLAY] {
        assert_eq!(
            bed.refused("ForbidLiveStream", &forbid(domain, "")).await,
            ("ConfigAlreadyExists".to_owned(), 400)
        );
        assert_eq!(
            blocked(&bed, domain).await,
            json!(["play.example.com/live/s1"])
        );
    }
    assert_eq!(blocked(&bed, "DomainName=x.example.com").await, json!([]));
    bed.ok("ResumeLiveStream", &forbid(PLAY, "")).await;
    assert_eq!(blocked(&bed, PLAY).await, json!([]));
    // Nothing to do is no failure.
    bed.ok("ResumeLiveStream", &forbid(DOMAIN, "")).await;
    let history = bed
        .ok(
            "DescribeLiveStreamsControlHistory",
            &format!("{PLAY}&StartTime=2026-03-01T02:00:00Z&EndTime=2026-03-02T02:00:00Z"),
        )
        .await;
    let told = history["ControlInfo"]["LiveStreamControlInfo"]
        .as_array()
        .unwrap();
    let actions: Vec<&Value> = told.iter().map(|row| &row["Action"]).collect();
    assert_eq!(actions, ["forbid", "forbid", "resume"]);
    assert_eq!(told[0]["StreamName"], "play.example.com/live/s1");
    assert_eq!(told[0]["TimeStamp"], "2026-03-01T02:00:00Z");
}

#[tokio::test]
async fn a_ban_from_before_the_mapping_is_one_of_the_same_stream() {
    let bed = Testbed::new().await;
    let forbid = |domain: &str| format!("{domain}&{S1}");
    bed.ok("ForbidLiveStream", &forbid(DOMAIN)).await;
    for push in ["push", "edge"] {
        let mapping = format!("PushDomain={push}.example.com&PullDomain=play.example.com");
        bed.ok("AddLiveDomainMapping", &mapping).await;
    }
    let key = StreamKey::new("play.example.com", "live", "s1");
    let domains = ["play.example.com", "push.example.com", "edge.example.com"];
    for domain in domains {
        let named = format!("DomainName={domain}");
        assert_eq!(
            blocked(&bed, &named).await,
            json!(["push.example.com/live/s1"])
        );
        let again = bed.refused("ForbidLiveStream", &forbid(&named)).await;
        assert_eq!(again.0, "ConfigAlreadyExists", "{domain}");
        let pushed = check_kept_out(&bed.ctx.services, &key, domain).await;
        assert!(
            matches!(pushed, Err(AccessError::Forbidden { .. })),
            "{domain}"
        );
    }
    bed.ok("ResumeLiveStream", &forbid(PLAY)).await;
    for domain in domains {
        let named = format!("DomainName={domain}");
        assert_eq!(blocked(&bed, &named).await, json!([]));
        let pushed = check_kept_out(&bed.ctx.services, &key, domain).await;
        assert!(pushed.is_ok(), "{domain}");
        let history = bed
            .ok(
                "DescribeLiveStreamsControlHistory",
                &format!("{named}&{DAY}"),
            )
            .await;
        let rows = &history["ControlInfo"]["LiveStreamControlInfo"];
        let told = (&rows[0]["Action"], &rows[1]["Action"], &rows[2]);
        assert_eq!(
            told,
            (&json!("forbid"), &json!("resume"), &Value::Null),
            "{domain}"
        );
    }
}

#[tokio::test]
async fn the_usual_ban_ends_after_six_months_of_the_service_clock() {
    let bed = Testbed::new().await;
    bed.ok("ForbidLiveStream", &format!("{PLAY}&{S1}")).await;
    let other = S1.replace("s1", "s2");
    bed.ok(
        "ForbidLiveStream",
        &format!("{PLAY}&{other}&ResumeTime=2026-03-01T02:01:00Z"),
    )
    .await;
    let clock = &bed.ctx.services.clock;
    clock.advance(60_000).await;
    assert_eq!(
        blocked(&bed, PLAY).await,
        json!(["play.example.com/live/s1"])
    );
    // 184 days from the first of March to the first of September.
    clock.advance(184 * 86_400_000 - 61_000).await;
    assert_eq!(
        blocked(&bed, PLAY).await,
        json!(["play.example.com/live/s1"])
    );
    clock.advance(1_000).await;
    assert_eq!(blocked(&bed, PLAY).await, json!([]));
    // What is over is no obstacle, and is forgotten.
    bed.ok("ForbidLiveStream", &format!("{PLAY}&{S1}")).await;
    let store = &bed.ctx.services.store;
    store.forget_forbidden(bed.ctx.now()).await.unwrap();
    let kept: Vec<(String, Value)> = store
        .list_documents(crate::store::documents::Kind::Forbidden)
        .await
        .unwrap();
    assert_eq!(kept.len(), 1);
}

#[tokio::test]
async fn every_application_is_let_in_by_a_star() {
    let bed = Testbed::new().await;
    for app in ["live", "show"] {
        let stream = format!("{PLAY}&AppName={app}&StreamName=s1&LiveStreamType=publisher");
        bed.ok("ForbidLiveStream", &stream).await;
    }
    let other = format!("{PLAY}&AppName=live&StreamName=s2&LiveStreamType=publisher");
    bed.ok("ForbidLiveStream", &other).await;
    let star = format!("{PLAY}&AppName=*&StreamName=s1&LiveStreamType=publisher");
    assert_eq!(
        bed.refused("ForbidLiveStream", &star).await,
        ("InvalidAppName.Malformed".to_owned(), 400)
    );
    bed.ok("ResumeLiveStream", &star).await;
    assert_eq!(
        blocked(&bed, PLAY).await,
        json!(["play.example.com/live/s2"])
    );
    let paged = bed
        .ok(
            "DescribeLiveStreamsBlockList",
            &format!("{PLAY}&PageNum=2&PageSize=1"),
        )
        .await;
    assert_eq!(paged["StreamUrls"]["StreamUrl"], json!([]));
    assert_eq!(
        (&paged["TotalNum"], &paged["TotalPage"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn forbidding_cuts_who_publishes_by_either_domain() {
    let bed = Testbed::new().await;
    for (domain, more) in [(DOMAIN, "&Oneshot=yes"), (PLAY, "")] {
        publish(&bed, "live", "s1").await;
        publish(&bed, "live", "s2").await;
        bed.ok("ForbidLiveStream", &format!("{domain}&{S1}{more}"))
            .await;
        let live: Vec<String> = bed
            .ctx
            .hub
            .publishers()
            .iter()
            .map(|publisher| publisher.key.stream.clone())
            .collect();
        assert_eq!(live, ["s2"], "{domain}");
        let s2 = bed.ctx.hub.publishers().remove(0);
        bed.ctx.hub.unpublish(&s2);
    }
}

#[tokio::test]
async fn forbidding_once_more_cuts_what_is_still_live() {
    let bed = Testbed::new().await;
    let forbid = format!("{DOMAIN}&{S1}");
    bed.ok("ForbidLiveStream", &forbid).await;
    // As where the call before got no further than the ban.
    publish(&bed, "live", "s1").await;
    publish(&bed, "live", "s2").await;
    assert_eq!(
        bed.refused("ForbidLiveStream", &forbid).await,
        ("ConfigAlreadyExists".to_owned(), 400)
    );
    let live = bed.ctx.hub.publishers();
    let names: Vec<&str> = live.iter().map(|it| it.key.stream.as_str()).collect();
    assert_eq!(names, ["s2"]);
}

#[tokio::test]
async fn what_another_node_forbade_or_stopped_is_cut_here() {
    let bed = Testbed::new().await;
    let hub = &bed.ctx.hub;
    for domain in ["play.example.com", "sub.example.com"] {
        bed.ok(
            "AddLiveDomain",
            &format!("DomainName={domain}&LiveDomainType=liveVideo&Region=cn-shanghai"),
        )
        .await;
    }
    publish(&bed, "live", "s1").await;
    publish(&bed, "live", "s2").await;
    let find = |stream: &str| hub.find(&StreamKey::new("play.example.com", "live", stream));
    let (forbidden, other) = (find("s1").unwrap(), find("s2").unwrap());
    let viewers = hub.audiences.join("sub.example.com");
    kept_out::cut(hub).await.unwrap();
    assert!(!forbidden.is_gone() && !other.is_gone() && !viewers.is_cut());
    // By the name of its ingest domain, as before that was mapped.
    let store = &bed.ctx.services.store;
    let ban = Forbidden {
        domain: "push.example.com".to_owned(),
        app: "live".to_owned(),
        stream: "s1".to_owned(),
        since: bed.ctx.now(),
        until: bed.ctx.now() + 60_000,
    };
    let name = ban.key().hash();
    let put = store.put_document(DocumentKind::Forbidden, &name, &ban);
    put.await.unwrap();
    stop(&bed, "sub.example.com").await;
    kept_out::cut(hub).await.unwrap();
    assert_eq!(forbidden.cut_because(), Some(kept_out::FORBIDDEN));
    assert!(forbidden.is_gone() && !other.is_gone() && viewers.is_cut());
    assert!(!hub.audiences.join("sub.example.com").is_cut());
    stop(&bed, "play.example.com").await;
    kept_out::cut(hub).await.unwrap();
    assert_eq!(
        other.cut_because(),
        Some("the domain play.example.com was stopped (StopLiveDomain)")
    );
    // A ban that is over keeps nobody out.
    bed.ok("StartLiveDomain", PLAY).await;
    bed.ctx.services.clock.advance(60_000).await;
    publish(&bed, "live", "s1").await;
    kept_out::cut(hub).await.unwrap();
    assert!(!find("s1").unwrap().is_gone());
}

/// Stops a domain as another node does: this one learns nothing of it by itself.
async fn stop(bed: &Testbed, domain: &str) {
    let store = &bed.ctx.services.store;
    let found: Option<Domain> = store
        .find_document(DocumentKind::Domain, domain)
        .await
        .unwrap();
    let stopped = Domain {
        stopped: true,
        ..found.unwrap()
    };
    let put = store.put_document(DocumentKind::Domain, domain, &stopped);
    put.await.unwrap();
}

const DAY: &str = "StartTime=2026-03-01T00:00:00Z&EndTime=2026-03-02T00:00:00Z";

#[tokio::test]
async fn pushes_are_listed_while_they_last_and_afterwards() {
    let bed = Testbed::new().await;
    publish(&bed, "live", "s1").await;
    bed.ctx.services.clock.advance(60_000).await;
    publish(&bed, "live", "S12").await;
    let first = bed.ctx.hub.publishers().pop().unwrap();
    assert_eq!(first.key.stream, "s1");
    bed.ctx.services.clock.advance(60_000).await;
    // Whoever sees that the stream is over, and lists what was pushed, waits for its end.
    bed.ctx.hub.unpublish(&first);
    let written = bed.ctx.hub.ends_are_written();
    assert!(written.now_or_never().is_none(), "it is not written yet");
    let list = async |more: &str| {
        bed.ok(
            "DescribeLiveStreamsPublishList",
            &format!("{PLAY}&{DAY}{more}"),
        )
        .await
    };
    let all = list("").await;
    assert_eq!(
        all["PublishInfo"]["LiveStreamPublishInfo"][0],
        json!({"DomainName": "play.example.com", "AppName": "live", "StreamName": "s1", "PublishDomain": "push.example.com",
            "PublishTime": "2026-03-01T02:00:00Z", "StopTime": "2026-03-01T02:02:00Z", "PublishType": "edge",
            "PublishUrl": "rtmp://push.example.com/live/s1", "StreamUrl": "rtmp://push.example.com/live/s1", "ClientAddr": "10.0.0.1",
            "EdgeNodeAddr": "", "AliInnerErrorFlags": "", "Transcoded": "no", "TranscodeId": ""})
    );
    assert_eq!(
        all["PublishInfo"]["LiveStreamPublishInfo"][1]["StopTime"],
        ""
    );
    assert_eq!(
        (&all["PageNum"], &all["PageSize"]),
        (&json!(1), &json!(2000))
    );
    for (more, count) in [
        ("&StreamName=s1", 1),
        ("&StreamName=1", 2),
        ("&StreamName=1&QueryType=strict", 0),
        ("&StreamName=%25", 0),
        ("&AppName=other", 0),
        ("&StreamType=trans", 0),
        ("&StreamType=all&PageSize=3000", 2),
    ] {
        assert_eq!(list(more).await["TotalNum"], count, "{more}");
    }
    let newest = list("&OrderBy=publish_time_desc&PageSize=1").await;
    assert_eq!(
        newest["PublishInfo"]["LiveStreamPublishInfo"][0]["StreamName"],
        "S12"
    );
    assert_eq!(
        (&newest["TotalNum"], &newest["TotalPage"]),
        (&json!(2), &json!(2))
    );
    let by_ingest = bed
        .ok("DescribeLiveStreamsPublishList", &format!("{DOMAIN}&{DAY}"))
        .await;
    assert_eq!(by_ingest["TotalNum"], 2);
    for (period, code) in [
        (
            "StartTime=x&EndTime=2026-03-02T00:00:00Z",
            "InvalidStartTime.Malformed",
        ),
        (
            "StartTime=2026-03-02T00:00:00Z&EndTime=x",
            "InvalidEndTime.Malformed",
        ),
        (
            "StartTime=2026-01-01T00:00:00Z&EndTime=2026-03-02T00:00:00Z",
            "InvalidEndTime.Mismatch",
        ),
    ] {
        assert_eq!(
            bed.refused(
                "DescribeLiveStreamsPublishList",
                &format!("{PLAY}&{period}")
            )
            .await,
            (code.to_owned(), 400)
        );
    }
    let too_many = format!("{PLAY}&{DAY}&PageSize=3001");
    assert_eq!(
        bed.refused("DescribeLiveStreamsPublishList", &too_many)
            .await
            .0,
        "InvalidPageSize"
    );
    let count = bed.ok("DescribeLiveStreamCount", PLAY).await;
    assert_eq!(count["StreamCountInfos"]["StreamCountInfo"][0]["Count"], 1);
    let total = bed
        .ok(
            "DescribeLiveStreamsTotalCount",
            "DomainName=x.example.com,play.example.com&StartTime=2026-03-01T01:55:00Z&EndTime=2026-03-01T03:00:00Z",
        )
        .await;
    assert_eq!(
        total["StreamCountList"]["StreamCountInfos"],
        json!([{"Timestamp": "2026-03-01T01:55:00Z", "Count": 0}, {"Timestamp": "2026-03-01T02:00:00Z", "Count": 2}])
    );
}

#[tokio::test]
async fn a_push_that_a_run_left_open_ends_with_the_next_start() {
    let bed = Testbed::new().await;
    publish(&bed, "live", "s1").await;
    let store = &bed.ctx.services.store;
    store.end_pushes(bed.ctx.now() + 5_000).await.unwrap();
    let list = bed
        .ok("DescribeLiveStreamsPublishList", &format!("{PLAY}&{DAY}"))
        .await;
    let rows = &list["PublishInfo"]["LiveStreamPublishInfo"];
    assert_eq!(rows[0]["StopTime"], "2026-03-01T02:00:05Z");
}

#[tokio::test]
async fn publish_callbacks_have_a_log() {
    let bed = Testbed::new().await;
    let store = &bed.ctx.services.store;
    let callback = |kind, dedupe: &str| NewCallback {
        dedupe: dedupe.to_owned(),
        key: StreamKey::new("push.example.com", "live", "s1"),
        owner: String::new(),
        kind,
        method: "GET",
        url: "http://h/x?a=b&action=publish&id=s1".to_owned(),
        body: String::new(),
        sign_host: String::new(),
        sign_key: String::new(),
    };
    let now = bed.ctx.now();
    for (n, kind) in [
        (1, Kind::Publish),
        (2, Kind::PublishDone),
        (3, Kind::FileCreated),
    ] {
        store
            .enqueue_callback(&callback(kind, &n.to_string()), now, &Fence::NONE)
            .await
            .unwrap();
        let attempt = Attempt {
            at: now,
            status: Some(if n == 1 { 200 } else { 500 }),
            error: None,
            response: "told".to_owned(),
            headers: String::new(),
        };
        let state = if n == 1 {
            Delivery::Success
        } else {
            Delivery::Failed
        };
        let row = store.find_callback(n).await.unwrap().unwrap();
        store
            .update_callback(&row, state, &[attempt], now, now)
            .await
            .unwrap();
    }
    let list = bed
        .ok(
            "DescribeLiveStreamsNotifyRecords",
            &format!("{DOMAIN}&{DAY}"),
        )
        .await;
    let rows = &list["NotifyRecordsInfo"]["LiveStreamNotifyRecordsInfo"];
    assert_eq!(
        (&list["TotalNum"], &rows[0]["NotifyType"]),
        (&json!(2), &json!("publish"))
    );
    assert_eq!(rows[0]["NotifyContent"], "a=b&action=publish&id=s1");
    assert_eq!(
        (
            &rows[1]["NotifyResult"],
            &rows[1]["Description"],
            &rows[1]["NotifyResponse"]
        ),
        (
            &json!("failed"),
            &json!("the receiver answered with HTTP status 500"),
            &json!("told")
        )
    );
    let failed = format!("{DOMAIN}&{DAY}&Status=failed&PageSize=1");
    let failed = bed.ok("DescribeLiveStreamsNotifyRecords", &failed).await;
    assert_eq!(
        failed["NotifyRecordsInfo"]["LiveStreamNotifyRecordsInfo"][0]["NotifyType"],
        "publish_done"
    );
}
