//! Handlers of the statistics over a real store: known rows and their sums.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::actions::arguments::testbed::{START, Testbed};
use crate::live::hub::Others;
use crate::media::frame::Track;
use crate::meter::Coming;
use crate::model::figures::{
    Answered, Figures, Inflow, MINUTE_MS, Outflow, Player, TrackFigures, Visitor,
};
use crate::model::stream_key::StreamKey;
use crate::wire_time::to_api;

/// Two hours before the clock's start: a full hour.
const HOUR: i64 = START - 2 * 3_600_000;

fn at(minute: i64) -> i64 {
    HOUR + minute * MINUTE_MS
}

fn inflow(minute: i64, stream: &str, frames: u64) -> Inflow {
    let track = |frames, bytes| TrackFigures {
        frames,
        bytes,
        media_ms: 20_000,
    };
    Inflow {
        minute: at(minute),
        key: StreamKey::new("play.example.com", "live", stream),
        ingest_domain: "push.example.com".to_owned(),
        bytes: 300_000,
        video: track(frames, 250_000),
        audio: track(800, 40_000),
    }
}

fn outflow(minute: i64, stream: &str, player: Player, secure: bool, bytes: u64) -> Outflow {
    Outflow {
        minute: at(minute),
        key: StreamKey::new("play.example.com", "live", stream),
        player,
        secure,
        bytes,
        viewers: 2,
        came: 1,
    }
}

/// Two streams pushed over two minutes, one of them watched in three forms.
async fn bed() -> Testbed {
    let bed = Testbed::new().await;
    let answered = |minute, status, count| Answered {
        minute: at(minute),
        domain: "play.example.com".to_owned(),
        status,
        count,
    };
    let visitor = |visitor| Visitor {
        hour: HOUR,
        domain: "play.example.com".to_owned(),
        visitor,
    };
    let figures = Figures {
        inflow: vec![
            inflow(0, "a", 500),
            inflow(0, "b", 600),
            inflow(1, "a", 500),
        ],
        outflow: vec![
            outflow(0, "a", Player::Flv, false, 150_000),
            outflow(0, "a", Player::Hls, true, 75_000),
            outflow(0, "b", Player::Rtmp, false, 30_000),
            outflow(7, "a", Player::Flv, false, 15_000),
        ],
        answered: vec![answered(0, 200, 3), answered(0, 404, 1)],
        visitors: vec![visitor(1), visitor(2), visitor(1)],
    };
    bed.ctx.services.store.put_figures(&figures).await.unwrap();
    bed
}

fn period(from: i64, to: i64) -> String {
    let text = |minute| to_api(at(minute)).replace(':', "%3A");
    format!("StartTime={}&EndTime={}", text(from), text(to))
}

/// Points of a list as pairs of time and value.
fn points(list: &Value, value: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let points = list["DataModule"].as_array().unwrap().iter();
    points
        .map(|point| (text(&point["TimeStamp"]), text(&point[value])))
        .collect()
}

fn point(minute: i64, value: &str) -> (String, String) {
    (to_api(at(minute)), value.to_owned())
}

#[tokio::test]
async fn played_traffic_and_bandwidth_are_those_of_the_rows() {
    let bed = bed().await;
    let domain = "DomainName=Play.example.com";
    let query = format!("{domain}&{}", period(0, 15));
    let traffic = bed.ok("DescribeLiveDomainTrafficData", &query).await;
    let list = &traffic["TrafficDataPerInterval"];
    assert_eq!(
        points(list, "TrafficValue"),
        [point(0, "255000"), point(5, "15000"), point(10, "0")]
    );
    assert_eq!(points(list, "HttpTrafficValue")[0].1, "150000");
    assert_eq!(points(list, "HttpsTrafficValue")[0].1, "75000");
    assert_eq!(
        (&traffic["DomainName"], &traffic["DataInterval"]),
        (&json!("play.example.com"), &json!("300"))
    );
    let bps = bed.ok("DescribeLiveDomainBpsData", &query).await;
    let list = &bps["BpsDataPerInterval"];
    assert_eq!(
        points(list, "BpsValue"),
        [point(0, "6800"), point(5, "400"), point(10, "0")]
    );
    assert_eq!(points(list, "HttpBpsValue")[0].1, "4000");
    let hour = format!("Interval=3600&{}", period(0, 60));
    let bps = bed.ok("DescribeLiveDomainBpsData", &hour).await;
    assert_eq!(
        points(&bps["BpsDataPerInterval"], "BpsValue"),
        [point(0, "6800")],
        "of all domains, the highest of five minutes"
    );
    let minutes = format!("{domain}&{}", period(0, 2));
    let traffic = bed
        .ok("DescribeLiveDomainRealTimeTrafficData", &minutes)
        .await;
    assert_eq!(
        points(&traffic["RealTimeTrafficDataPerInterval"], "Value"),
        [point(0, "255000"), point(1, "0")]
    );
    let bps = bed.ok("DescribeLiveDomainRealTimeBpsData", &minutes).await;
    assert_eq!(
        points(&bps["RealTimeBpsDataPerInterval"], "Value"),
        [point(0, "34000"), point(1, "0")]
    );
    assert_eq!(bps["DataInterval"], "60");
}

#[tokio::test]
async fn pushed_traffic_is_found_by_either_domain() {
    let bed = bed().await;
    for (domain, sum) in [
        ("push.example.com", "900000"),
        ("play.example.com", "900000"),
        ("x.example.com%2C+push.example.com", "900000"),
        ("x.example.com", "0"),
    ] {
        let query = format!("DomainName={domain}&{}", period(0, 5));
        let traffic = bed.ok("DescribeLiveDomainPushTrafficData", &query).await;
        assert_eq!(
            points(&traffic["TrafficDataPerInterval"], "TrafficValue"),
            [point(0, sum)],
            "{domain}"
        );
    }
    let bps = bed.ok("DescribeLiveDomainPushBpsData", &period(0, 5)).await;
    assert_eq!(
        points(&bps["BpsDataPerInterval"], "BpsValue"),
        [point(0, "24000")]
    );
}

#[tokio::test]
async fn a_period_that_is_none_is_refused() {
    let bed = bed().await;
    let domain = "DomainName=play.example.com";
    let mismatch = ("InvalidEndTime.Mismatch".to_owned(), 400);
    for action in [
        "DescribeLiveDomainBpsData",
        "DescribeLiveDomainPushTrafficData",
        "DescribeLiveDomainRealTimeBpsData",
        "DescribeLiveDomainRealTimeHttpCodeData",
        "DescribeLiveDomainPvUvData",
    ] {
        let query = format!("{domain}&StartTime=now");
        let malformed = ("InvalidStartTime.Malformed".to_owned(), 400);
        assert_eq!(bed.refused(action, &query).await, malformed, "{action}");
        let query = format!("{domain}&{}", period(5, 5));
        assert_eq!(bed.refused(action, &query).await, mismatch, "{action}");
        bed.ok(action, domain).await;
    }
    let days = |days: i64| period(-days * 1440, 0);
    let stream = format!("{domain}&AppName=live&StreamName=a");
    for (action, query, longest) in [
        ("DescribeLiveDomainBpsData", domain, 90),
        ("DescribeLiveDomainRealTimeTrafficData", domain, 1),
        ("DescribeLiveStreamBitRateData", &stream, 30),
        ("DescribeLiveStreamHistoryUserNum", &stream, 1),
        ("DescribeLiveStreamMetricDetailData", domain, 1),
        ("DescribeUpPeakPublishStreamData", domain, 30),
    ] {
        bed.ok(action, &format!("{query}&{}", days(longest))).await;
        let query = format!("{query}&{}", days(longest + 1));
        assert_eq!(bed.refused(action, &query).await, mismatch, "{action}");
    }
    let query = format!("{stream}&{}", period(100, 125));
    let early = ("InvalidEndTime.Malformed".to_owned(), 400);
    let refused = bed.refused("DescribeLiveStreamHistoryUserNum", &query);
    assert_eq!(refused.await, early, "the end is not to come yet");
}

#[tokio::test]
async fn rates_are_those_of_the_streams_own_time() {
    let bed = bed().await;
    let stream = "DomainName=push.example.com&AppName=live&StreamName=a";
    let query = format!("{stream}&{}", period(0, 60));
    let rates = bed.ok("DescribeLiveStreamBitRateData", &query).await;
    assert_eq!(
        rates["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"],
        json!([
            {"Time": to_api(at(0)), "StreamUrl": "rtmp://push.example.com/live/a", "VideoFrameRate": 25.0, "AudioFrameRate": 40.0, "BitRate": 116_000.0},
            {"Time": to_api(at(1)), "StreamUrl": "rtmp://push.example.com/live/a", "VideoFrameRate": 25.0, "AudioFrameRate": 40.0, "BitRate": 116_000.0},
        ])
    );
    let detail = "DescribeLiveStreamDetailFrameRateAndBitRateData";
    let rates = bed.ok(detail, &query).await;
    assert_eq!(
        rates["FrameRateAndBitRateInfos"][0]["VideoBitRate"],
        100_000.0
    );
    assert_eq!(
        rates["FrameRateAndBitRateInfos"][1]["AudioBitRate"],
        16_000.0
    );
    let last_hour = bed.ok(detail, &format!("{stream}&StartTime=x")).await;
    assert_eq!(last_hour["FrameRateAndBitRateInfos"], json!([]));
    let centre = bed.ok("DescribeLiveCenterStreamRateData", &query).await;
    assert_eq!(
        centre["RateDatas"][0],
        json!({"Time": to_api(at(0)), "VideoFps": "25", "AudioFps": "40", "VideoRate": "100000", "AudioRate": "16000"})
    );
    let query = format!(
        "DomainName=play.example.com&QueryTime={}",
        to_api(at(0) + 30_000).replace(':', "%3A")
    );
    let all = bed
        .ok("DescribeLiveDomainFrameRateAndBitRateData", &query)
        .await;
    let all = &all["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"];
    assert_eq!(
        (&all[0]["VideoFrameRate"], &all[1]["VideoFrameRate"]),
        (&json!(25.0), &json!(30.0))
    );
    assert_eq!(all.as_array().unwrap().len(), 2);
}

/// Another node that has three viewers of a stream, whatever the domain.
struct Another;

impl Others for Another {
    fn watched<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Vec<(StreamKey, u64)>> {
        Box::pin(async move { vec![(StreamKey::new(domain, "live", "a"), 3)] })
    }
}

#[tokio::test]
async fn viewers_of_now_are_those_of_all_nodes() {
    let bed = bed().await;
    bed.ctx.hub.join(Arc::new(Another));
    let coming = |stream| Coming {
        domain: "play.example.com",
        app: "live",
        stream,
        player: Player::Flv,
        secure: false,
        address: "10.0.0.9".parse().unwrap(),
    };
    let meter = &bed.ctx.services.meter;
    let _viewers = (meter.viewer(coming("a")), meter.viewer(coming("b")));
    let domain = "DomainName=play.example.com";
    let told = bed.ok("DescribeLiveDomainOnlineUserNum", domain).await;
    assert_eq!(
        (&told["StreamCount"], &told["UserCount"]),
        (&json!(2), &json!(5))
    );
    let stream = format!("{domain}&AppName=live&StreamName=a");
    let told = bed.ok("DescribeLiveStreamOnlineUserNum", &stream).await;
    assert_eq!(told["TotalUserNumber"], 4);
}

#[tokio::test]
async fn viewers_are_those_of_now_or_of_a_minute() {
    let bed = bed().await;
    let domain = "DomainName=play.example.com";
    let online = "DescribeLiveDomainOnlineUserNum";
    let then = format!("{domain}&QueryTime={}", to_api(at(0)).replace(':', "%3A"));
    let told = bed.ok(online, &then).await;
    assert_eq!(
        told["OnlineUserInfo"]["LiveStreamOnlineUserNumInfo"],
        json!([
            {"StreamName": "a", "Infos": {"Info": [{"TranscodeTemplate": "origin", "UserNumber": 4}]}},
            {"StreamName": "b", "Infos": {"Info": [{"TranscodeTemplate": "origin", "UserNumber": 2}]}},
        ])
    );
    assert_eq!(
        (&told["StreamCount"], &told["UserCount"]),
        (&json!(2), &json!(6))
    );
    assert_eq!(bed.ok(online, domain).await["UserCount"], 0);
    let coming = Coming {
        domain: "play.example.com",
        app: "live",
        stream: "a",
        player: Player::Mp4,
        secure: false,
        address: "10.0.0.9".parse().unwrap(),
    };
    let viewer = bed.ctx.services.meter.viewer(coming);
    assert_eq!(bed.ok(online, domain).await["UserCount"], 1);
    let ahead = to_api(at(125)).replace(':', "%3A");
    let query = format!("{domain}&QueryTime={ahead}");
    let told = bed.ok(online, &query).await;
    assert_eq!(
        (&told["StreamCount"], &told["UserCount"]),
        (&json!(0), &json!(0))
    );
    drop(viewer);
    assert_eq!(bed.ok(online, domain).await["UserCount"], 0);
    let query = format!("{domain}&AppName=live&StreamName=a&{}", period(0, 8));
    let history = bed.ok("DescribeLiveStreamHistoryUserNum", &query).await;
    let minutes = &history["LiveStreamUserNumInfos"]["LiveStreamUserNumInfo"];
    let numbers: Vec<&str> = minutes
        .as_array()
        .unwrap()
        .iter()
        .map(|minute| minute["UserNum"].as_str().unwrap())
        .collect();
    assert_eq!(numbers, ["4", "0", "0", "0", "0", "0", "0", "2"]);
    let views = bed
        .ok(
            "DescribeLiveDomainPvUvData",
            &format!("{domain}&{}", period(0, 60)),
        )
        .await;
    assert_eq!(
        views["PvUvDataInfos"]["PvUvDataInfo"],
        json!([{"TimeStamp": to_api(at(0)), "PV": "4", "UV": "2"}])
    );
}

#[tokio::test]
async fn answers_are_counted_by_status() {
    let bed = bed().await;
    let query = format!("DomainName=play.example.com&{}", period(0, 2));
    let codes = bed
        .ok("DescribeLiveDomainRealTimeHttpCodeData", &query)
        .await;
    assert_eq!(
        codes["RealTimeHttpCodeData"]["UsageData"],
        json!([
            {"TimeStamp": to_api(at(0)), "Value": {"RealTimeCodeProportionData": [
                {"Code": "200", "Count": "3", "Proportion": "75"}, {"Code": "404", "Count": "1", "Proportion": "25"}]}},
            {"TimeStamp": to_api(at(1)), "Value": {"RealTimeCodeProportionData": []}},
        ])
    );
}

#[tokio::test]
async fn streams_are_listed_by_minute_in_forms_and_pages() {
    let bed = bed().await;
    let domain = "DomainName=play.example.com";
    let query = format!("{domain}&{}", period(0, 60));
    let detail = bed.ok("DescribeLiveStreamMetricDetailData", &query).await;
    let rows = detail["StreamDetailData"]["StreamData"].as_array().unwrap();
    assert_eq!((rows.len(), &detail["PageSize"]), (3, &json!(3)));
    assert!(detail.get("NextPageToken").is_none());
    let told = |row: &Value, names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| row[*name].clone()).collect()
    };
    assert_eq!(
        told(
            &rows[0],
            &[
                "StreamName",
                "Traffic",
                "Count",
                "Bps",
                "FlvTraffic",
                "HlsCount",
                "RtsCount",
                "NewConns"
            ]
        ),
        [
            json!("a"),
            json!(225_000),
            json!(4),
            json!(30_000.0),
            json!(150_000),
            json!(2),
            json!(0),
            json!("2")
        ]
    );
    let flv = format!("{query}&Protocol=flv%2Crts");
    let flv = bed.ok("DescribeLiveStreamMetricDetailData", &flv).await;
    let rows = flv["StreamDetailData"]["StreamData"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["Traffic"]), (2, &json!(150_000)));
    assert!(rows[0].get("HlsCount").is_none() && rows[0]["RtsBps"] == 0.0);
    // What a database cannot count is refused, and a page that lies beyond everything is empty.
    let far = format!("{query}&NextPageToken={}", u64::MAX);
    let refused = bed
        .refused("DescribeLiveStreamMetricDetailData", &far)
        .await;
    assert_eq!(refused.0, "InvalidNextPageToken.Malformed");
    let far = format!("{query}&NextPageToken={}", i64::MAX);
    bed.ok("DescribeLiveStreamMetricDetailData", &far).await;
    let far = format!("{query}&PageNumber={}&PageSize=5000", i64::MAX);
    bed.ok("DescribeLiveUserStreamMetricData", &far).await;
    for page in ["PageNumber=0", "PageSize=-1"] {
        let query = format!("{query}&{page}");
        bed.refused("DescribeLiveUserStreamMetricData", &query)
            .await;
    }
    let behind = format!("{query}&NextPageToken=2");
    let last = bed.ok("DescribeLiveStreamMetricDetailData", &behind).await;
    assert_eq!(last["PageSize"], 1);

    let user = "DescribeLiveUserStreamMetricData";
    let page = bed
        .ok(user, &format!("{query}&PageNumber=2&PageSize=2"))
        .await;
    assert_eq!(
        (&page["TotalCount"], &page["PageNumber"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(page["StreamDetailData"][0]["TimeStamp"], to_api(at(7)));
    let whole = bed
        .ok(
            user,
            &format!("{query}&AppName=all&StreamName=all&PageNumber=1&PageSize=9"),
        )
        .await;
    let rows = whole["StreamDetailData"].as_array().unwrap();
    assert_eq!(
        told(&rows[0], &["AppName", "StreamName", "Traffic", "NewConns"]),
        [json!("all"), json!("all"), json!(255_000.0), json!(3)]
    );
    assert_eq!(rows.len(), 2);
    for (more, code) in [
        ("&StreamName=a", "MissingAppName"),
        ("&Protocol=dash", "InvalidProtocol"),
        ("&DomainName=a.com%2Cb.com", "InvalidDomainName.Malformed"),
    ] {
        let query = format!("{}&PageNumber=1&PageSize=5{more}", period(0, 60));
        assert_eq!(bed.refused(user, &query).await.0, code, "{more}");
    }
    let query = format!("{query}&PageNumber=1&PageSize=5001");
    assert_eq!(
        bed.refused(user, &query).await.0,
        "InvalidPageSize.Malformed"
    );
}

#[tokio::test]
async fn pushes_are_listed_by_minute_and_their_peak_by_day() {
    let bed = bed().await;
    let query = format!("DomainName=push.example.com&{}", period(0, 60));
    let detail = bed
        .ok("DescribeLiveStreamPushMetricDetailData", &query)
        .await;
    assert_eq!(
        detail["StreamDetailData"]["StreamData"][1],
        json!({"TimeStamp": to_api(at(0)), "AppName": "live", "StreamName": "b", "ReqBps": 40_000.0, "ReqTraffic": 300_000})
    );
    let whole = format!("{query}&AppName=all&StreamName=all");
    let whole = bed
        .ok("DescribeLiveStreamPushMetricDetailData", &whole)
        .await;
    assert_eq!(
        whole["StreamDetailData"]["StreamData"][0]["ReqTraffic"],
        600_000
    );
    assert_eq!(whole["PageSize"], 2);
    let day = HOUR - HOUR.rem_euclid(86_400_000);
    for (switch, name) in [("off", "localyun"), ("on", "push.example.com")] {
        let query = format!("{query}&DomainSwitch={switch}");
        let peaks = bed.ok("DescribeUpPeakPublishStreamData", &query).await;
        assert_eq!(
            peaks["DescribeUpPeakPublishStreamDatas"]["DescribeUpPeakPublishStreamData"],
            json!([{"QueryTime": day.to_string(), "StatName": name, "PeakTime": at(0).to_string(), "PublishStreamNum": 2, "BandWidth": "80"}])
        );
    }
}

#[tokio::test]
async fn the_running_minute_is_told_too() {
    let bed = Testbed::new().await;
    let key = StreamKey::new("play.example.com", "live", "a");
    let inflow = bed.ctx.services.meter.inflow(&key, "push.example.com");
    for number in 0..50 {
        inflow.frame(Track::Video, number * 40, 1_000);
    }
    inflow.arrived(50_250);
    let query = format!("DomainName=push.example.com&{}", period(115, 121));
    let traffic = bed.ok("DescribeLiveDomainPushTrafficData", &query).await;
    let list = points(&traffic["TrafficDataPerInterval"], "TrafficValue");
    assert_eq!(list, [point(115, "0"), point(120, "50250")]);
    let query = format!("AppName=live&StreamName=a&{query}");
    let rates = bed.ok("DescribeLiveStreamBitRateData", &query).await;
    let minute = &rates["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"][0];
    assert_eq!(
        (&minute["VideoFrameRate"], &minute["BitRate"]),
        (&json!(25.0), &json!(200_000.0))
    );
}

#[tokio::test]
async fn retired_actions_answer_in_their_last_form() {
    let bed = bed().await;
    let users = "DescribeLiveStreamOnlineUserNum";
    let domain = "DomainName=play.example.com";
    let told = bed.ok(users, &format!("{domain}&{}", period(0, 8))).await;
    assert_eq!(told["TotalUserNumber"], 6);
    assert_eq!(
        told["OnlineUserInfo"]["LiveStreamOnlineUserNumInfo"],
        json!([
            {"StreamUrl": "rtmp://play.example.com/live/a", "UserNumber": 4, "Time": to_api(at(0))},
            {"StreamUrl": "rtmp://play.example.com/live/b", "UserNumber": 2, "Time": to_api(at(0))},
            {"StreamUrl": "rtmp://play.example.com/live/a", "UserNumber": 2, "Time": to_api(at(7))},
        ])
    );
    assert_eq!(bed.ok(users, domain).await["TotalUserNumber"], 0);
    let coming = Coming {
        domain: "play.example.com",
        app: "live",
        stream: "b",
        player: Player::Rtmp,
        secure: false,
        address: "10.0.0.9".parse().unwrap(),
    };
    let _viewer = bed.ctx.services.meter.viewer(coming);
    for (more, number) in [
        ("", 1),
        ("&AppName=live&StreamName=b", 1),
        ("&StreamName=a", 0),
    ] {
        let told = bed.ok(users, &format!("{domain}{more}")).await;
        assert_eq!(told["TotalUserNumber"], number, "{more}");
    }
    let rates = "DescribeLiveStreamsFrameRateAndBitRateData";
    let told = bed.ok(rates, &format!("{domain}&{}", period(0, 8))).await;
    let infos = &told["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"];
    assert_eq!(infos.as_array().unwrap().len(), 3);
    assert_eq!(
        infos[1],
        json!({"Time": to_api(at(0)), "StreamUrl": "rtmp://push.example.com/live/b", "VideoFrameRate": 30.0, "AudioFrameRate": 40.0, "BitRate": 116_000.0})
    );
    let none = bed.ok(rates, domain).await;
    assert_eq!(
        none["FrameRateAndBitRateInfos"]["FrameRateAndBitRateInfo"],
        json!([])
    );
}
