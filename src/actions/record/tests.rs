//! Handlers of the recording family over a real store.

use serde_json::{Value, json};

use crate::actions::arguments::testbed::Testbed;
use crate::model::stream_key::{PushArgs, StreamKey};

mod commands;
mod index_files;
mod notify;

const RULE: &str = "DomainName=Play.example.com&AppName=live&OssBucket=liverec&OssEndpoint=https://oss-cn-shanghai.aliyuncs.com";

fn rule(more: &str) -> String {
    format!("{RULE}&RecordFormat.1.Format=m3u8{more}")
}

async fn rules(bed: &Testbed, more: &str) -> Value {
    bed.ok(
        "DescribeLiveRecordConfig",
        &format!("DomainName=play.example.com{more}"),
    )
    .await
}

fn first(answer: &Value) -> &Value {
    &answer["LiveAppRecordList"]["LiveAppRecord"][0]
}

#[tokio::test]
async fn a_rule_is_stored_with_the_defaults_and_shown_as_documented() {
    let bed = Testbed::new().await;
    bed.ok(
        "AddLiveAppRecordConfig",
        &rule("&RecordFormat.2.Format=mp4&RecordFormat.2.CycleDuration=1800"),
    )
    .await;
    let answer = rules(&bed, "").await;
    let prefix = "record/{AppName}/{StreamName}/{EscapedStartTime}_{EscapedEndTime}";
    assert_eq!(
        *first(&answer),
        json!({
            "DomainName": "play.example.com", "AppName": "live", "StreamName": "*",
            "OssEndpoint": "oss-cn-shanghai.aliyuncs.com", "OssBucket": "liverec",
            "OnDemond": 0, "DelayTime": 180, "CreateTime": "2026-03-01T02:00:00Z",
            "RecordFormatList": {"RecordFormat": [
                {"Format": "m3u8", "CycleDuration": 21600, "OssObjectPrefix": prefix, "SliceDuration": 30,
                 "SliceOssObjectPrefix": "record/{AppName}/{StreamName}/{UnixTimestamp}_{Sequence}"},
                {"Format": "mp4", "CycleDuration": 1800, "OssObjectPrefix": prefix},
            ]},
            "TranscodeRecordFormatList": {"RecordFormat": []},
            "TranscodeTemplates": {"Templates": []},
        })
    );
    assert_eq!(
        (&answer["TotalNum"], &answer["TotalPage"], &answer["Order"]),
        (&json!(1), &json!(1), &json!("asc"))
    );
    assert!(
        bed.ctx
            .services
            .objects
            .bucket_exists("liverec")
            .await
            .unwrap()
    );
    assert_eq!(
        bed.refused("AddLiveAppRecordConfig", &rule("&StreamName=*"))
            .await,
        ("ConfigAlreadyExists".to_owned(), 400)
    );
}

#[tokio::test]
async fn what_a_rule_may_not_say_is_refused_and_nothing_is_made() {
    let bed = Testbed::new().await;
    let far = "&StreamName=s1&StartTime=2026-03-08T02:01:00Z";
    let backwards = "&StreamName=s1&StartTime=2026-03-02T00:00:00Z&EndTime=2026-03-02T00:00:00Z";
    for (query, code) in [
        (RULE.to_owned(), "MissingRecordFormat"),
        (rule("&RecordFormat.2.SliceDuration=5"), "MissingFormat"),
        (
            rule("&RecordFormat.2.Format=m3u8"),
            "InvalidFormat.Malformed",
        ),
        (
            rule("&RecordFormat.1.OssObjectPrefix=x"),
            "InvalidOssObjectPrefix.Malformed",
        ),
        (
            rule("&RecordFormat.1.SliceOssObjectPrefix=x"),
            "InvalidSliceOssObjectPrefix.Malformed",
        ),
        (rule("&StreamName=s*"), "InvalidStreamName.Malformed"),
        (rule("&StreamName=s%00"), "InvalidStreamName"),
        (
            rule("").replace("AppName=live", "AppName=a/b"),
            "InvalidAppName.Malformed",
        ),
        (
            rule("").replace("liverec", "Live_Rec"),
            "InvalidOssBucket.Malformed",
        ),
        (
            rule("").replace("https://oss-cn-shanghai.aliyuncs.com", "https://"),
            "InvalidOssEndpoint.Malformed",
        ),
        (rule(far), "InvalidStartTime.Malformed"),
        (rule(backwards), "InvalidEndTime.Malformed"),
        (
            rule("&TranscodeTemplates.1=%0A"),
            "InvalidTranscodeTemplates.Malformed",
        ),
        (
            rule("").replace("Play.example.com", "play_/"),
            "InvalidDomainName.Malformed",
        ),
    ] {
        assert_eq!(
            bed.refused("AddLiveAppRecordConfig", &query).await,
            (code.to_owned(), 400),
            "{query}"
        );
    }
    assert_eq!(rules(&bed, "").await["TotalNum"], 0);
    assert!(
        !bed.ctx
            .services
            .objects
            .bucket_exists("liverec")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn settings_decide_about_unknown_buckets_and_domains() {
    let bed = Testbed::with(&[("buckets", "existing"), ("domains", "declared")]).await;
    let missing = bed.refused("AddLiveAppRecordConfig", &rule("")).await;
    assert_eq!(missing, ("InvalidDomain.NotFound".to_owned(), 404));
    let domain = "DomainName=play.example.com&LiveDomainType=liveVideo&Region=cn-shanghai";
    bed.ok("AddLiveDomain", domain).await;
    let missing = bed.refused("AddLiveAppRecordConfig", &rule("")).await;
    assert_eq!(missing, ("InvalidOssBucket.NotFound".to_owned(), 400));
    bed.ctx
        .services
        .objects
        .create_bucket("liverec")
        .await
        .unwrap();
    bed.ok("AddLiveAppRecordConfig", &rule("")).await;
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_name() {
    let bed = Testbed::new().await;
    let update = "DomainName=play.example.com&AppName=live&StreamName=s1&OssEndpoint=oss-cn-beijing.aliyuncs.com";
    let gone = ("InvalidConfig.NotFound".to_owned(), 404);
    assert_eq!(bed.refused("UpdateLiveAppRecordConfig", update).await, gone);
    let prefix = "&RecordFormat.1.OssObjectPrefix=x/{StartTime}_{EndTime}&RecordFormat.1.SliceOssObjectPrefix=x/{UnixTimestamp}_{Sequence}";
    let window = "&StartTime=2026-03-02T00:00:00Z&EndTime=2026-03-20T00:00:00Z";
    bed.ok(
        "AddLiveAppRecordConfig",
        &rule(&format!("&StreamName=s1&OnDemand=7{prefix}{window}")),
    )
    .await;
    bed.ok("UpdateLiveAppRecordConfig", update).await;
    let answer = rules(&bed, "").await;
    let shown = first(&answer);
    assert_eq!(
        (&shown["OssEndpoint"], &shown["OnDemond"]),
        (&json!("oss-cn-beijing.aliyuncs.com"), &json!(7))
    );
    assert_eq!(
        shown["EndTime"], "2026-03-09T00:00:00Z",
        "clipped to seven days"
    );
    let formats = "&RecordFormat.1.Format=flv&RecordFormat.2.Format=m3u8&RecordFormat.2.SliceDuration=5&DelayTime=15";
    bed.ok(
        "UpdateLiveAppRecordConfig",
        &format!("{update}{formats}&EndTime=2026-03-03T00:00:00Z"),
    )
    .await;
    let answer = rules(&bed, "").await;
    let shown = first(&answer);
    let list = &shown["RecordFormatList"]["RecordFormat"];
    assert_eq!(
        (&list[0]["Format"], &list[1]["SliceDuration"]),
        (&json!("flv"), &json!(5))
    );
    assert_eq!(
        list[1]["SliceOssObjectPrefix"],
        "x/{UnixTimestamp}_{Sequence}"
    );
    assert_eq!(
        (&shown["StartTime"], &shown["EndTime"]),
        (
            &json!("2026-03-02T00:00:00Z"),
            &json!("2026-03-03T00:00:00Z")
        )
    );
    assert_eq!(shown["DelayTime"], 15);
    let refused = bed
        .refused(
            "UpdateLiveAppRecordConfig",
            &format!("{update}&EndTime=2026-03-01T23:00:00Z"),
        )
        .await;
    assert_eq!(refused.0, "InvalidEndTime.Malformed");
}

#[tokio::test]
async fn rules_are_listed_by_page_and_deleted_by_exact_triple() {
    let bed = Testbed::new().await;
    for n in 0..7 {
        bed.ok(
            "AddLiveAppRecordConfig",
            &rule(&format!("&StreamName=s{n}")),
        )
        .await;
    }
    let page = rules(&bed, "&PageNum=2&PageSize=5&Order=desc").await;
    let list = page["LiveAppRecordList"]["LiveAppRecord"]
        .as_array()
        .unwrap();
    let streams: Vec<&Value> = list.iter().map(|row| &row["StreamName"]).collect();
    assert_eq!(streams, ["s1", "s0"]);
    assert_eq!(
        (&page["TotalNum"], &page["TotalPage"], &page["PageNum"]),
        (&json!(7), &json!(2), &json!(2))
    );
    assert_eq!(
        rules(&bed, "&StreamName=s3&AppName=live").await["TotalNum"],
        1
    );
    assert_eq!(rules(&bed, "&AppName=other").await["TotalNum"], 0);
    assert_eq!(rules(&bed, "&AppName=&StreamName=").await["TotalNum"], 7);
    let names = "DomainName=play.example.com&AppName=live";
    let gone = ("InvalidConfig.NotFound".to_owned(), 404);
    assert_eq!(bed.refused("DeleteLiveAppRecordConfig", names).await, gone);
    bed.ok(
        "DeleteLiveAppRecordConfig",
        &format!("{names}&StreamName=s3"),
    )
    .await;
    assert_eq!(
        bed.refused(
            "DeleteLiveAppRecordConfig",
            &format!("{names}&StreamName=s3")
        )
        .await,
        gone
    );
    assert_eq!(rules(&bed, "").await["TotalNum"], 6);
}

fn key() -> StreamKey {
    StreamKey::new("play.example.com", "live", "s1")
}

const STREAM: &str = "DomainName=play.example.com&AppName=live&StreamName=s1";

/// Publishes the stream without a socket.
async fn publish(bed: &Testbed) {
    let args = PushArgs::default();
    let address = "127.0.0.1:50000".to_owned();
    bed.ctx
        .hub
        .publish(key(), "push.example.com".to_owned(), address, args)
        .await
        .map(drop)
        .unwrap();
}
