//! Handlers of the domain family over a real store.

use serde_json::{Value, json};

use crate::actions::arguments::testbed::Testbed;

const PUSH: &str = "DomainName=Push.example.com&LiveDomainType=liveEdge&Region=cn-shanghai";
const PLAY: &str =
    "DomainName=play.example.com&LiveDomainType=liveVideo&Region=cn-beijing&Scope=global";
const MAPPING: &str = "PushDomain=push.example.com&PullDomain=play.example.com";

#[tokio::test]
async fn domains_are_declared_listed_shown_and_forgotten() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveDomain", PUSH).await;
    bed.ok("AddLiveDomain", PLAY).await;
    assert_eq!(
        bed.refused("AddLiveDomain", PLAY).await,
        ("DomainAlreadyExist".to_owned(), 400)
    );
    let listed = bed
        .ok("DescribeLiveUserDomains", "LiveDomainType=liveEdge")
        .await;
    assert_eq!(listed["TotalCount"], 1);
    assert_eq!(
        listed["Domains"]["PageData"][0]["DomainName"],
        "push.example.com"
    );
    assert_eq!(
        bed.ok("DescribeLiveUserDomains", "DomainName=EXAMPLE&PageSize=1")
            .await["TotalCount"],
        2
    );
    assert_eq!(
        bed.ok("DescribeLiveUserDomains", "DomainStatus=offline")
            .await["TotalCount"],
        0
    );
    let detail = bed
        .ok("DescribeLiveDomainDetail", "DomainName=play.example.com")
        .await;
    let shown = &detail["DomainDetail"];
    assert_eq!(
        (&shown["Region"], &shown["Scope"], &shown["DomainStatus"]),
        (&json!("cn-beijing"), &json!("global"), &json!("online"))
    );
    assert_eq!(shown["GmtCreated"], "2026-03-01T02:00:00Z");
    bed.ok("AddLiveDomainMapping", MAPPING).await;
    bed.ok(
        "AddLiveRecordNotifyConfig",
        "DomainName=play.example.com&NotifyUrl=http://h/x",
    )
    .await;
    bed.ok("DeleteLiveDomain", "DomainName=play.example.com")
        .await;
    let gone = ("InvalidDomain.NotFound".to_owned(), 404);
    assert_eq!(
        bed.refused("DeleteLiveDomain", "DomainName=play.example.com")
            .await,
        gone
    );
    assert_eq!(
        bed.refused("DescribeLiveDomainDetail", "DomainName=play.example.com")
            .await,
        gone
    );
    assert_eq!(
        bed.refused(
            "DescribeLiveRecordNotifyConfig",
            "DomainName=play.example.com"
        )
        .await
        .0,
        "InvalidConfig.NotFound"
    );
    assert_eq!(models(&bed, "push.example.com").await, json!([]));
}

async fn models(bed: &Testbed, domain: &str) -> Value {
    let answer = bed
        .ok("DescribeLiveDomainMapping", &format!("DomainName={domain}"))
        .await;
    answer["LiveDomainModels"]["LiveDomainModel"].clone()
}

#[tokio::test]
async fn a_mapping_joins_one_ingest_domain_to_one_streaming_domain() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveDomain", PLAY).await;
    let swapped = "PushDomain=play.example.com&PullDomain=push.example.com";
    assert_eq!(
        bed.refused("AddLiveDomainMapping", swapped).await,
        ("DomainType.Malformed".to_owned(), 400)
    );
    bed.ok("AddLiveDomainMapping", MAPPING).await;
    assert_eq!(
        bed.refused("AddLiveDomainMapping", MAPPING).await.0,
        "ConfigAlreadyExists"
    );
    let both = json!([
        {"DomainName": "play.example.com", "Type": "vhost"},
        {"DomainName": "push.example.com", "Type": "publish"},
    ]);
    assert_eq!(models(&bed, "play.example.com").await, both);
    assert_eq!(models(&bed, "push.example.com").await, both);
    assert_eq!(models(&bed, "other.example.com").await, json!([]));
    let other = MAPPING.replace("play", "other");
    assert_eq!(
        bed.refused("DeleteLiveDomainMapping", &other).await,
        ("InvalidConfig.NotFound".to_owned(), 404)
    );
    bed.ok("DeleteLiveDomainMapping", MAPPING).await;
    assert_eq!(models(&bed, "play.example.com").await, json!([]));
    let same = MAPPING.replace("play", "push");
    assert_eq!(
        bed.refused("AddLiveDomainMapping", &same).await.0,
        "DomainType.Malformed"
    );
}

#[tokio::test]
async fn functions_are_set_shown_and_removed_for_several_domains() {
    let bed = Testbed::new().await;
    let aliauth = r#"[{"functionName":"aliauth","functionArgs":[{"argName":"auth_type","argValue":"type_a"},{"argName":"auth_key1","argValue":"k1"}]}]"#;
    let set = format!("DomainNames=A.example.com,b.example.com&Functions={aliauth}");
    bed.ok("BatchSetLiveDomainConfigs", &format!("{set}&DryRun=true"))
        .await;
    let shown =
        |domain: &str| format!("DomainName={domain}&FunctionNames=aliauth,referer_white_list_set");
    let dry = bed
        .ok("DescribeLiveDomainConfigs", &shown("a.example.com"))
        .await;
    assert_eq!(dry["DomainConfigs"]["DomainConfig"], json!([]));
    bed.ok("BatchSetLiveDomainConfigs", &set).await;
    for domain in ["a.example.com", "b.example.com"] {
        let answer = bed.ok("DescribeLiveDomainConfigs", &shown(domain)).await;
        let config = &answer["DomainConfigs"]["DomainConfig"][0];
        assert_eq!(
            (&config["FunctionName"], &config["Status"]),
            (&json!("aliauth"), &json!("success"))
        );
        assert!(config["ConfigId"].as_str().unwrap().parse::<i64>().unwrap() > 0);
        assert_eq!(
            config["FunctionArgs"]["FunctionArg"][1],
            json!({"ArgName": "auth_key1", "ArgValue": "k1"})
        );
    }
    bed.ok(
        "BatchDeleteLiveDomainConfigs",
        "DomainNames=a.example.com,c.example.com&FunctionNames=aliauth",
    )
    .await;
    let answer = bed
        .ok("DescribeLiveDomainConfigs", &shown("a.example.com"))
        .await;
    assert_eq!(answer["DomainConfigs"]["DomainConfig"], json!([]));
    let many = vec!["d.example.com"; 60].join(",");
    bed.ok(
        "BatchDeleteLiveDomainConfigs",
        &format!("DomainNames={many}&FunctionNames=x"),
    )
    .await;
    let many: Vec<String> = (0..51).map(|n| format!("d{n}.example.com")).collect();
    let query = format!("DomainNames={}&FunctionNames=x", many.join(","));
    assert_eq!(
        bed.refused("BatchDeleteLiveDomainConfigs", &query).await.0,
        "InvalidDomainNames.Malformed"
    );
    let bad = bed
        .refused(
            "BatchSetLiveDomainConfigs",
            "DomainNames=a.example.com&Functions=x",
        )
        .await;
    assert_eq!(bad, ("InvalidFunctions.Malformed".to_owned(), 400));
}

#[tokio::test]
async fn a_declared_domain_does_what_it_is_for() {
    let bed = Testbed::new().await;
    let illegal = ("IllegalOperation".to_owned(), 403);
    let record = "DomainName=push.example.com&NotifyUrl=http://h/x";
    let publish = "DomainName=play.example.com&NotifyUrl=http://h/x";
    // What nobody declared is whatever the caller takes it for.
    bed.ok("AddLiveRecordNotifyConfig", record).await;
    bed.ok("SetLiveStreamsNotifyUrlConfig", publish).await;
    bed.ok("AddLiveDomainMapping", MAPPING).await;
    let rule = "DomainName=push.example.com&AppName=live&OssBucket=liverec&OssEndpoint=e.example.com&RecordFormat.1.Format=mp4";
    assert_eq!(bed.refused("AddLiveAppRecordConfig", rule).await, illegal);
    assert_eq!(
        bed.refused("DescribeLiveRecordConfig", "DomainName=push.example.com")
            .await,
        illegal
    );
    bed.ok("SetLiveStreamsNotifyUrlConfig", publish).await;
    bed.ok("AddLiveDomain", PLAY).await;
    assert_eq!(
        bed.refused("SetLiveStreamsNotifyUrlConfig", publish).await,
        illegal
    );
    bed.ok("AddLiveRecordNotifyConfig", publish).await;
    bed.ok("DeleteLiveDomain", "DomainName=push.example.com")
        .await;
    bed.ok("AddLiveRecordNotifyConfig", record).await;
}
