//! Index files and the timeline of what was recorded, over rows as the recorder writes them.

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;
use crate::actions::arguments::testbed::START;
use crate::model::recorded::{Origin, SessionState};
use crate::model::retention::{DAY_MS, RECORDINGS};
use crate::model::rule::Format;
use crate::objects::folder::{FolderError, FolderStore, ObjectInfo};
use crate::objects::{Store as ObjectStore, Upload};
use crate::store::records::{FileRow, SessionRow, SliceRow};
use crate::store::streams::Fence;
use crate::wire_time::to_api;

fn session(id: &str, from: i64, to: i64) -> SessionRow {
    SessionRow {
        id: id.to_owned(),
        stream_hash: key().hash(),
        domain: "play.example.com".to_owned(),
        app: "live".to_owned(),
        stream: "s1".to_owned(),
        bucket: "liverec".to_owned(),
        endpoint: "e.example.com".to_owned(),
        prefix: "r/{UnixTimestamp}_{Sequence}".to_owned(),
        started_at: from,
        ended_at: to,
        state: SessionState::Ended,
    }
}

/// The slice that ends `n` times five seconds after the start.
fn slice(n: i64, bucket: &str) -> SliceRow {
    SliceRow {
        id: format!("{bucket}:{n}"),
        stream_hash: key().hash(),
        session_id: "a".to_owned(),
        sequence: n,
        bucket: bucket.to_owned(),
        endpoint: "e.example.com".to_owned(),
        object: format!("r/{n}.ts"),
        started_at: START + (n - 1) * 5_000,
        ended_at: START + n * 5_000,
        duration_ms: 5_000,
        uploaded_at: START + n * 5_000,
        discontinuity: false,
        width: 320,
        height: 180,
    }
}

/// A stream with twelve slices of five seconds.
async fn recorded() -> Testbed {
    let bed = Testbed::new().await;
    let store = &bed.ctx.services.store;
    store
        .put_session(session("a", START, START + 60_000), &Fence::NONE)
        .await
        .unwrap();
    for n in 1..=12 {
        store
            .put_slice(slice(n, "liverec"), &Fence::NONE)
            .await
            .unwrap();
    }
    bed
}

fn index(from_s: i64, to_s: i64, more: &str) -> String {
    let times = format!(
        "StartTime={}&EndTime={}",
        to_api(START + from_s * 1_000),
        to_api(START + to_s * 1_000)
    );
    let target = "OssBucket=liverec&OssEndpoint=e.example.com&OssObject=clips/{AppName}/a.m3u8";
    format!("{STREAM}&{times}&{target}{more}")
}

const INDEX: &str = "CreateLiveStreamRecordIndexFiles";

async fn text(bed: &Testbed, object: &str) -> String {
    let whole = |info: &ObjectInfo| Ok::<_, FolderError>((0, info.size));
    let (_, reader) = embedded(bed).read("liverec", object, whole).await.unwrap();
    let blocks: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
    String::from_utf8(blocks.concat()).unwrap()
}

fn embedded(bed: &Testbed) -> &FolderStore {
    match &bed.ctx.services.objects.store {
        ObjectStore::Embedded(store) => store,
        ObjectStore::Outside(_) => panic!("the testbed embeds its store"),
    }
}

#[tokio::test]
async fn whole_slices_uploaded_within_the_period_are_listed() {
    let bed = recorded().await;
    let made = bed.ok(INDEX, &index(10, 40, "")).await;
    let info = &made["RecordInfo"];
    // Uploads at 15, 20, 25, 30 and 35 s lie between the ends; those at 10 s and 40 s lie on them.
    assert_eq!(info["Duration"], 25.0);
    assert_eq!(
        (&info["StartTime"], &info["EndTime"]),
        (
            &json!("2026-03-01T02:00:10Z"),
            &json!("2026-03-01T02:00:35Z")
        )
    );
    assert_eq!(info["OssObject"], "clips/live/a.m3u8");
    assert_eq!(
        info["RecordUrl"],
        "http://liverec.e.example.com/clips/live/a.m3u8"
    );
    assert_eq!(
        (&info["Width"], &info["Height"]),
        (&json!(320), &json!(180))
    );
    let playlist = text(&bed, "clips/live/a.m3u8").await;
    let entries: Vec<&str> = playlist
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(
        entries,
        [
            "../../r/3.ts",
            "../../r/4.ts",
            "../../r/5.ts",
            "../../r/6.ts",
            "../../r/7.ts"
        ]
    );
    let more = bed.ok(INDEX, &index(10, 40, "&EndTimeIncluded=true")).await;
    assert_eq!(more["RecordInfo"]["Duration"], 30.0);
    let end = bed
        .ok(INDEX, &index(10, 100, "&EndTimeIncluded=true"))
        .await;
    assert_eq!(
        end["RecordInfo"]["Duration"], 50.0,
        "no slice lies behind the last one"
    );
}

#[tokio::test]
async fn the_next_slice_covers_the_period() {
    let bed = recorded().await;
    let nothing = ("NoRecordContent".to_owned(), 400);
    // The slice that was uploaded at 35 s is the only one of these three seconds.
    assert_eq!(bed.refused(INDEX, &index(31, 34, "")).await, nothing);
    let next = "&EndTimeIncluded=true";
    let made = bed.ok(INDEX, &index(31, 34, next)).await;
    assert_eq!(made["RecordInfo"]["Duration"], 5.0);
    // One that begins behind the period covers nothing of it.
    let store = &bed.ctx.services.store;
    let put = store.put_slice(slice(40, "liverec"), &Fence::NONE);
    put.await.unwrap();
    let made = bed.ok(INDEX, &index(40, 100, next)).await;
    assert_eq!(made["RecordInfo"]["Duration"], 20.0);
    assert_eq!(bed.refused(INDEX, &index(100, 150, next)).await, nothing);
}

#[tokio::test]
async fn the_documented_refusals() {
    let bed = recorded().await;
    let refused = |code: &str| (code.to_owned(), 400);
    for (query, code) in [
        (index(40, 40, ""), "InvalidEndTime.Mismatch"),
        (index(0, 4 * 86_400 + 1, ""), "InvalidEndTime.Mismatch"),
        (
            index(0, 60, "").replace("StreamName=s1", "StreamName=s2"),
            "InvalidStream.NotFound",
        ),
        (index(100, 200, ""), "NoRecordContent"),
        (index(-120 * 86_400, -119 * 86_400, ""), "NoRecordContent"),
        (
            index(0, 60, "").replace("liverec", "Live_Rec"),
            "InvalidOssBucket.Malformed",
        ),
        (
            index(0, 60, "").replace("a.m3u8", "a.txt"),
            "InvalidOssObject.Malformed",
        ),
        (
            index(0, 60, "").replace("EndTime=2026", "EndTime=x"),
            "InvalidEndTime.Malformed",
        ),
    ] {
        assert_eq!(bed.refused(INDEX, &query).await, refused(code), "{query}");
    }
    bed.ctx
        .services
        .store
        .put_slice(slice(13, "other"), &Fence::NONE)
        .await
        .unwrap();
    assert_eq!(
        bed.refused(INDEX, &index(0, 70, "")).await,
        refused("InvalidConfig.Changed")
    );
    assert!(
        bed.ok(INDEX, &index(0, 65, "&EndTimeIncluded=true")).await["RecordInfo"]["Duration"]
            == 60.0
    );
    let cmaf = SliceRow {
        object: "r/14.m4s".to_owned(),
        ..slice(14, "liverec")
    };
    bed.ctx
        .services
        .store
        .put_slice(cmaf, &Fence::NONE)
        .await
        .unwrap();
    assert_eq!(
        bed.refused(INDEX, &index(66, 80, "")).await,
        refused("NoRecordContent")
    );
}

#[tokio::test]
async fn an_object_of_another_origin_is_never_replaced() {
    let bed = recorded().await;
    bed.ok(INDEX, &index(0, 20, "")).await;
    let again = bed.ok(INDEX, &index(0, 40, "")).await;
    assert_eq!(
        text(&bed, "clips/live/a.m3u8").await.matches(".ts").count(),
        7
    );
    let listed = list(&bed, "").await;
    let rows = listed["RecordIndexInfoList"]["RecordIndexInfo"]
        .as_array()
        .unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["RecordId"]),
        (1, &again["RecordInfo"]["RecordId"])
    );
    let foreign = Upload {
        bucket: "liverec",
        key: "mine.m3u8",
        content_type: "text/plain",
        tag: "mine",
        epoch: 0,
    };
    bed.ctx
        .services
        .objects
        .put_text(&foreign, "mine".to_owned())
        .await
        .unwrap();
    let query = index(0, 40, "").replace("clips/{AppName}/a.m3u8", "mine.m3u8");
    assert_eq!(
        bed.refused(INDEX, &query).await.0,
        "InvalidOssObject.Malformed"
    );
    assert_eq!(text(&bed, "mine.m3u8").await, "mine");
}

fn file(id: &str, format: &str, from: i64) -> FileRow {
    FileRow {
        id: id.to_owned(),
        dedupe: id.to_owned(),
        stream_hash: key().hash(),
        domain: "play.example.com".to_owned(),
        app: "live".to_owned(),
        stream: "s1".to_owned(),
        session_id: "a".to_owned(),
        origin: Origin::Auto,
        format: Format::parse(format).unwrap(),
        bucket: "liverec".to_owned(),
        endpoint: "e.example.com".to_owned(),
        object: format!("r/{id} ä.{format}"),
        started_at: from,
        ended_at: from + 30_000,
        duration_ms: 29_970,
        size: 1,
        width: 0,
        height: 0,
        created_at: from + 40_000,
    }
}

fn query(action: &str) -> (&str, String) {
    (
        action,
        format!("{STREAM}&StartTime=2026-02-28T00:00:00Z&EndTime=2026-03-02T00:00:00Z"),
    )
}

async fn list(bed: &Testbed, more: &str) -> Value {
    let (action, query) = query("DescribeLiveStreamRecordIndexFiles");
    bed.ok(action, &format!("{query}{more}")).await
}

#[tokio::test]
async fn files_are_listed_shown_and_deleted_one_by_one() {
    let bed = recorded().await;
    let store = &bed.ctx.services.store;
    for (id, format, from) in [
        ("one", "m3u8", START),
        ("two", "mp4", START + 60_000),
        ("old", "flv", START - RECORDINGS.ms() - DAY_MS),
    ] {
        store
            .commit_file(file(id, format, from), None, 0, &Fence::NONE)
            .await
            .unwrap();
    }
    let made = bed.ok(INDEX, &index(0, 40, "")).await;
    let made_id = made["RecordInfo"]["RecordId"].as_str().unwrap();
    let listed = list(&bed, "&Order=desc&PageSize=5").await;
    let rows = listed["RecordIndexInfoList"]["RecordIndexInfo"]
        .as_array()
        .unwrap();
    let formats: Vec<&Value> = rows.iter().map(|row| &row["Format"]).collect();
    assert_eq!(
        (formats.len(), &listed["TotalNum"], &listed["Order"]),
        (3, &json!(3), &json!("desc"))
    );
    let one = bed
        .ok(
            "DescribeLiveStreamRecordIndexFile",
            &format!("{STREAM}&RecordId=one"),
        )
        .await;
    let info = &one["RecordIndexInfo"];
    assert_eq!(
        (&info["Format"], &info["Duration"]),
        (&json!("m3u8"), &json!(29.97))
    );
    assert_eq!(info["OssObject"], "r/one ä.m3u8");
    assert_eq!(
        info["RecordUrl"],
        "http://liverec.e.example.com/r/one%20%C3%A4.m3u8"
    );
    for id in ["old", "nobody"] {
        let refused = bed
            .refused(
                "DescribeLiveStreamRecordIndexFile",
                &format!("{STREAM}&RecordId={id}"),
            )
            .await;
        assert_eq!(refused, ("InvalidResource.NotFound".to_owned(), 404));
    }
    let other = STREAM.replace("s1", "s2");
    let refused = bed
        .refused(
            "DescribeLiveStreamRecordIndexFile",
            &format!("{other}&RecordId=one"),
        )
        .await;
    assert_eq!(refused.1, 404, "an id of another stream");

    let delete = "DeleteLiveStreamRecordIndexFiles";
    let gone = bed
        .ok(delete, &format!("{other}&RecordId.1=one&RemoveFile=true"))
        .await;
    assert_eq!(
        gone["RecordDeleteInfoList"]["RecordDeleteInfo"][0]["Message"],
        "FileNotFound"
    );
    let ids = format!("RecordId.1={made_id}&RecordId.2=nobody&RecordId.3={made_id}");
    let gone = bed
        .ok(delete, &format!("{STREAM}&{ids}&RemoveFile=true"))
        .await;
    let told: Vec<&Value> = gone["RecordDeleteInfoList"]["RecordDeleteInfo"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["Message"])
        .collect();
    assert_eq!(told, ["OK", "FileNotFound", "FileNotFound"]);
    assert_eq!(
        (&gone["Code"], &gone["Message"]),
        (&json!("OK"), &json!("OK"))
    );
    assert!(
        embedded(&bed)
            .head("liverec", "clips/live/a.m3u8")
            .await
            .unwrap()
            .is_none()
    );
    // The object of this one was never there.
    let gone = bed
        .ok(delete, &format!("{STREAM}&RecordId.1=one&RemoveFile=true"))
        .await;
    assert_eq!(
        gone["RecordDeleteInfoList"]["RecordDeleteInfo"][0]["Message"],
        "FileNotFound"
    );
    bed.ok(delete, &format!("{STREAM}&RecordId.1=two&RemoveFile=false"))
        .await;
    assert_eq!(list(&bed, "").await["TotalNum"], 0);
}

#[tokio::test]
async fn the_timeline_has_one_entry_a_session() {
    let bed = recorded().await;
    bed.ctx
        .services
        .store
        .put_session(session("b", START + 100_400, START + 141_300), &Fence::NONE)
        .await
        .unwrap();
    let (action, window) = query("DescribeLiveStreamRecordContent");
    let found = bed.ok(action, &window).await;
    assert_eq!(
        found["RecordContentInfoList"]["RecordContentInfo"],
        json!([
            {"StartTime": "2026-03-01T02:00:00Z", "EndTime": "2026-03-01T02:01:00Z", "Duration": 60.0,
             "OssEndpoint": "e.example.com", "OssBucket": "liverec", "OssObjectPrefix": "r/{UnixTimestamp}_{Sequence}"},
            {"StartTime": "2026-03-01T02:01:40Z", "EndTime": "2026-03-01T02:02:21Z", "Duration": 41.0,
             "OssEndpoint": "e.example.com", "OssBucket": "liverec", "OssObjectPrefix": "r/{UnixTimestamp}_{Sequence}"},
        ])
    );
    let nothing = window.replace("StreamName=s1", "StreamName=s2");
    assert_eq!(
        bed.ok(action, &nothing).await["RecordContentInfoList"]["RecordContentInfo"],
        json!([])
    );
    let long = window.replace("2026-02-28", "2026-02-25");
    assert_eq!(
        bed.refused(action, &long).await,
        ("InvalidEndTime.Mismatch".to_owned(), 400)
    );
}
