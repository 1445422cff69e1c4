//! Handlers of the stream family over a real store and hub.

use serde_json::json;

use crate::actions::arguments::testbed::Testbed;
use crate::media::flv::read::Metadata;
use crate::model::stream_key::{PushArgs, StreamKey};

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
