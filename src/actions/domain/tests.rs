//! Handlers of the domain family over a real store.

use serde_json::{Value, json};

use crate::actions::arguments::testbed::Testbed;
use crate::certificates::tests::made;

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
async fn mappings_make_no_chain() {
    let bed = Testbed::new().await;
    let add = "AddLiveDomainMapping";
    bed.ok(add, MAPPING).await;
    let sub = "PullDomain=play.example.com&PlayDomain=sub.example.com";
    bed.ok("AddLiveDomainPlayMapping", sub).await;
    let malformed = ("DomainType.Malformed".to_owned(), 400);
    // A sub play domain leads on, and to a streaming domain others lead, even where nobody declared it.
    for wrong in [
        "PushDomain=edge.example.com&PullDomain=sub.example.com",
        "PushDomain=play.example.com&PullDomain=other.example.com",
    ] {
        assert_eq!(bed.refused(add, wrong).await, malformed, "{wrong}");
    }
    let edge = PLAY.replace("liveVideo", "liveEdge");
    assert_eq!(bed.refused("AddLiveDomain", &edge).await, malformed);
    bed.ok("AddLiveDomain", PLAY).await;
    bed.ok(add, &MAPPING.replace("push", "edge")).await;
    assert_eq!(
        models(&bed, "play.example.com").await,
        json!([
            {"DomainName": "play.example.com", "Type": "vhost"},
            {"DomainName": "edge.example.com", "Type": "publish"},
            {"DomainName": "push.example.com", "Type": "publish"},
            {"DomainName": "sub.example.com", "Type": "play"},
        ])
    );
}

#[tokio::test]
async fn a_mapping_is_a_change_of_the_ingest_domain() {
    let bed = Testbed::new().await;
    let clock = &bed.ctx.services.clock;
    clock.stop().await;
    bed.ok("AddLiveDomain", PUSH).await;
    bed.ok("AddLiveDomain", PLAY).await;
    for (action, query, at) in [
        ("AddLiveDomainMapping", MAPPING, "2026-03-01T02:00:05Z"),
        ("DeleteLiveDomainMapping", MAPPING, "2026-03-01T02:00:10Z"),
        ("AddLiveDomainMapping", MAPPING, "2026-03-01T02:00:15Z"),
        (
            "DeleteLiveDomain",
            "DomainName=play.example.com",
            "2026-03-01T02:00:20Z",
        ),
    ] {
        clock.advance(5_000).await;
        bed.ok(action, query).await;
        let shown = bed
            .ok("DescribeLiveDomainDetail", "DomainName=push.example.com")
            .await;
        assert_eq!(shown["DomainDetail"]["GmtModified"], at, "{action}");
    }
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

#[tokio::test]
async fn a_stopped_domain_is_offline_until_it_is_started() {
    let bed = Testbed::new().await;
    let play = "DomainName=play.example.com";
    for action in ["StopLiveDomain", "StartLiveDomain"] {
        assert_eq!(
            bed.refused(action, play).await,
            ("InvalidDomain.NotFound".to_owned(), 404)
        );
    }
    bed.ok("AddLiveDomain", PLAY).await;
    bed.ctx.services.clock.advance(5_000).await;
    for (action, status) in [("StopLiveDomain", "offline"), ("StartLiveDomain", "online")] {
        bed.ok(action, play).await;
        bed.ok(action, play).await;
        let shown = bed.ok("DescribeLiveDomainDetail", play).await;
        assert_eq!(shown["DomainDetail"]["DomainStatus"], status);
        assert_eq!(shown["DomainDetail"]["GmtModified"], "2026-03-01T02:00:05Z");
        let listed = bed
            .ok("DescribeLiveUserDomains", &format!("DomainStatus={status}"))
            .await;
        assert_eq!(listed["Domains"]["PageData"][0]["LiveDomainStatus"], status);
    }
}

#[tokio::test]
async fn sub_play_domains_lead_to_one_main_domain() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveDomainMapping", MAPPING).await;
    let add = "AddLiveDomainPlayMapping";
    let sub = "PullDomain=play.example.com&PlayDomain=sub.example.com";
    bed.ok(add, sub).await;
    assert_eq!(
        bed.refused(add, sub).await,
        ("ConfigAlreadyExists".to_owned(), 400)
    );
    for wrong in [
        "PullDomain=play.example.com&PlayDomain=play.example.com",
        "PullDomain=play.example.com&PlayDomain=push.example.com",
        "PullDomain=sub.example.com&PlayDomain=other.example.com",
        "PullDomain=other.example.com&PlayDomain=play.example.com",
    ] {
        assert_eq!(
            bed.refused(add, wrong).await,
            ("DomainType.Malformed".to_owned(), 400),
            "{wrong}"
        );
    }
    let all = json!([
        {"DomainName": "play.example.com", "Type": "vhost"},
        {"DomainName": "push.example.com", "Type": "publish"},
        {"DomainName": "sub.example.com", "Type": "play"},
    ]);
    for asked in ["play.example.com", "push.example.com", "sub.example.com"] {
        assert_eq!(models(&bed, asked).await, all, "{asked}");
    }
    bed.ok("DeleteLiveDomainPlayMapping", sub).await;
    assert_eq!(
        bed.refused("DeleteLiveDomainPlayMapping", sub).await,
        ("InvalidConfig.NotFound".to_owned(), 404)
    );
    bed.ok(add, sub).await;
    bed.ok("DeleteLiveDomain", "DomainName=play.example.com")
        .await;
    assert_eq!(models(&bed, "sub.example.com").await, json!([]));
}

#[tokio::test]
async fn properties_of_a_domain_are_changed_one_by_one() {
    let bed = Testbed::new().await;
    bed.ok("AddLiveDomain", &format!("{PLAY}&ResourceGroupId=rg-1"))
        .await;
    let play = "DomainName=play.example.com";
    let detail = async || bed.ok("DescribeLiveDomainDetail", play).await["DomainDetail"].clone();
    assert_eq!(detail().await["ResourceGroupId"], "rg-1");
    bed.ok(
        "ChangeLiveDomainResourceGroup",
        &format!("{play}&NewResourceGroupId=rg-2"),
    )
    .await;
    let property = r#"Property={"coverage":"overseas"}"#;
    bed.ok(
        "ModifyLiveDomainSchdmByProperty",
        &format!("{play}&{property}"),
    )
    .await;
    let shown = detail().await;
    assert_eq!(
        (&shown["ResourceGroupId"], &shown["Scope"]),
        (&json!("rg-2"), &json!("overseas"))
    );
    assert_eq!(
        bed.refused(
            "ModifyLiveDomainSchdmByProperty",
            &format!("{play}&Property=moon")
        )
        .await,
        ("InvalidProperty.Malformed".to_owned(), 400)
    );
    for (group, count) in [("rg-1", 0), ("rg-2", 1)] {
        let listed = bed
            .ok(
                "DescribeLiveUserDomains",
                &format!("ResourceGroupId={group}"),
            )
            .await;
        assert_eq!(listed["TotalCount"], count);
    }
    let limits = bed.ok("DescribeLiveDomainLimit", play).await;
    let limit = &limits["LiveDomainLimitList"]["LiveDomainLimit"][0];
    assert_eq!(
        (&limit["CurrentNum"], &limit["LimitNum"]),
        (&json!(0), &json!(2000))
    );
    let proof = bed.ok("DescribeLiveVerifyContent", play).await;
    assert!(proof["Content"].as_str().unwrap().starts_with("verify_"));
    let checked = bed
        .ok(
            "VerifyLiveDomainOwner",
            &format!("{play}&VerifyType=dnsCheck"),
        )
        .await;
    assert_eq!(checked["Content"], proof["Content"]);
}

#[tokio::test]
async fn tags_are_set_listed_and_removed() {
    let bed = Testbed::new().await;
    bed.ok(
        "AddLiveDomain",
        &format!("{PLAY}&Tag.1.Key=env&Tag.1.Value=dev"),
    )
    .await;
    let play = "ResourceType=DOMAIN&ResourceId.1=play.example.com";
    bed.ok(
        "TagLiveResources",
        &format!(
            "{play}&ResourceId.2=Sub.example.com&Tag.1.Key=env&Tag.1.Value=prod&Tag.2.Key=team"
        ),
    )
    .await;
    let listed = bed.ok("ListLiveTagResources", play).await;
    assert_eq!(
        listed["TagResources"]["TagResource"],
        json!([
            {"ResourceId": "play.example.com", "ResourceType": "DOMAIN", "TagKey": "env", "TagValue": "prod"},
            {"ResourceId": "play.example.com", "ResourceType": "DOMAIN", "TagKey": "team", "TagValue": ""},
        ])
    );
    assert!(listed.get("NextToken").is_none());
    let all = bed
        .ok("ListLiveTagResources", "ResourceType=DOMAIN&Tag.1.Key=team")
        .await;
    assert_eq!(
        all["TagResources"]["TagResource"].as_array().unwrap().len(),
        4
    );
    let described = bed
        .ok(
            "DescribeLiveTagResources",
            "ResourceType=DOMAIN&ResourceId.1=sub.example.com",
        )
        .await;
    assert_eq!(
        described["TagResources"],
        json!([{"ResourceId": "sub.example.com", "Tag": [{"Key": "env", "Value": "prod"}, {"Key": "team", "Value": ""}]}])
    );
    let domains = bed
        .ok("DescribeLiveUserDomains", "Tag.1.Key=env&Tag.1.Value=prod")
        .await;
    assert_eq!(domains["TotalCount"], 1);
    bed.ok(
        "UnTagLiveResources",
        &format!("{play}&TagKey.1=team&TagKey.2=gone"),
    )
    .await;
    bed.ok(
        "UnTagLiveResources",
        "ResourceType=domain&ResourceId.1=sub.example.com&All=true",
    )
    .await;
    let keys = bed.ok("DescribeLiveUserTags", "").await;
    assert_eq!(keys["Tags"], json!([{"Key": "env", "Value": ["prod"]}]));
    bed.ok("DeleteLiveDomain", "DomainName=play.example.com")
        .await;
    let keys = bed.ok("DescribeLiveUserTags", "").await;
    assert_eq!(keys["Tags"], json!([]));
    let many: Vec<String> = (1..=21).map(|n| format!("Tag.{n}.Key=k{n}")).collect();
    let query = format!("{play}&{}", many.join("&"));
    assert_eq!(
        bed.refused("TagLiveResources", &query).await.0,
        "InvalidTag.Malformed"
    );
}

#[tokio::test]
async fn long_lists_of_tags_have_pages() {
    let bed = Testbed::new().await;
    for part in 0..2 {
        let domains: Vec<String> = (1..=40)
            .map(|n| format!("ResourceId.{n}=d{}.example.com", part * 40 + n + 100))
            .collect();
        let query = format!("ResourceType=DOMAIN&{}&Tag.1.Key=k", domains.join("&"));
        bed.ok("TagLiveResources", &query).await;
    }
    let first = bed.ok("ListLiveTagResources", "ResourceType=DOMAIN").await;
    let token = first["NextToken"].as_str().unwrap();
    let next = bed
        .ok(
            "ListLiveTagResources",
            &format!("ResourceType=DOMAIN&NextToken={token}"),
        )
        .await;
    let rows = |answer: &Value| {
        answer["TagResources"]["TagResource"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert_eq!((rows(&first).len(), rows(&next).len()), (50, 30));
    assert_eq!(rows(&next)[0]["ResourceId"], "d151.example.com");
    assert!(next.get("NextToken").is_none());
    assert_eq!(
        bed.refused("ListLiveTagResources", "ResourceType=DOMAIN&NextToken=x")
            .await
            .0,
        "InvalidNextToken.Malformed"
    );
}

/// A query of SetLiveDomainCertificate.
fn certificate(domain: &str, pair: &(String, String), more: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("DomainName", domain)
        .append_pair("SSLProtocol", "on")
        .append_pair("SSLPub", &pair.0)
        .append_pair("SSLPri", &pair.1);
    format!("{}{more}", query.finish())
}

#[tokio::test]
async fn certificates_without_a_name_are_several_even_in_one_moment() {
    let bed = Testbed::new().await;
    let domains = ["play.example.com", "other.example.com"];
    for domain in domains.iter().chain(&domains) {
        let add = PLAY.replace("play.example.com", domain);
        let _ = bed.call("AddLiveDomain", &add).await;
        let query = format!("DomainName={domain}&SSLProtocol=on&CertType=free");
        bed.ok("SetLiveDomainCertificate", &query).await;
    }
    let list = bed.ok("DescribeLiveCertificateList", "").await;
    let list = list["CertificateListModel"]["CertList"]["Cert"]
        .as_array()
        .unwrap();
    let ids: std::collections::BTreeSet<_> =
        list.iter().map(|cert| cert["CertId"].as_i64()).collect();
    assert_eq!((list.len(), ids.len()), (4, 4), "{list:?}");
}

#[tokio::test]
async fn a_certificate_is_taken_shown_served_and_put_out_of_use() {
    let bed = Testbed::new().await;
    let set = "SetLiveDomainCertificate";
    bed.ok("AddLiveDomain", PLAY).await;
    let domain = "play.example.com";
    let pair = made(&[domain]);
    let other = made(&[domain]);
    for (query, code) in [
        (
            "&SSLProtocol=maybe".to_owned(),
            "InvalidSSLProtocol.ValueNotSupported",
        ),
        ("&SSLProtocol=on".to_owned(), "SSLPub.MissingParameter"),
        (
            "&SSLProtocol=on&SSLPub=x".to_owned(),
            "SSLPri.MissingParameter",
        ),
        (
            "&SSLProtocol=on&SSLPub=x&SSLPri=y".to_owned(),
            "InvalidSSLPub",
        ),
        (
            "&SSLProtocol=on&CertType=cas&CertName=gone".to_owned(),
            "Certificate.NotFind",
        ),
    ] {
        let query = format!("DomainName={domain}{query}");
        assert_eq!(
            bed.refused(set, &query).await,
            (code.to_owned(), 400),
            "{query}"
        );
    }
    let mixed = certificate(domain, &(pair.0.clone(), other.1.clone()), "");
    assert_eq!(bed.refused(set, &mixed).await.0, "Certificate.MissMatch");
    bed.ok(
        set,
        &certificate(domain, &pair, "&CertName=mine&DryRun=true"),
    )
    .await;
    assert!(bed.ctx.services.certificates.of(domain).is_none());
    bed.ok(set, &certificate(domain, &pair, "&CertName=mine"))
        .await;
    assert!(bed.ctx.services.certificates.of(domain).is_some());
    assert_eq!(
        bed.refused(set, &certificate(domain, &other, "&CertName=mine"))
            .await
            .0,
        "Certificate.Duplicated"
    );
    bed.ok(
        set,
        &certificate(domain, &other, "&CertName=mine&ForceSet=1"),
    )
    .await;
    let info = bed
        .ok(
            "DescribeLiveDomainCertificateInfo",
            &format!("DomainName={domain}"),
        )
        .await;
    let info = &info["CertInfos"]["CertInfo"][0];
    assert_eq!(
        (
            &info["CertName"],
            &info["CertType"],
            &info["SSLProtocol"],
            &info["CertOrg"],
            &info["SSLPub"]
        ),
        (
            &json!("mine"),
            &json!("upload"),
            &json!("on"),
            &json!("Example"),
            &json!(other.0)
        )
    );
    let detail = bed
        .ok("DescribeLiveDomainDetail", &format!("DomainName={domain}"))
        .await;
    assert_eq!(
        (
            &detail["DomainDetail"]["CertName"],
            &detail["DomainDetail"]["SSLProtocol"]
        ),
        (&json!("mine"), &json!("on"))
    );
    // Another domain uses what the account has.
    bed.ok(
        set,
        "DomainName=Sub.example.com&SSLProtocol=on&CertType=cas&CertName=mine",
    )
    .await;
    let listed = bed.ok("DescribeLiveHttpsDomainList", "").await;
    assert_eq!(
        (
            &listed["TotalCount"],
            &listed["CertInfos"]["CertInfo"][1]["CertStatus"]
        ),
        (&json!(2), &json!("mismatch"))
    );
    let account = bed
        .ok(
            "DescribeLiveCertificateList",
            &format!("DomainName={domain}"),
        )
        .await;
    assert_eq!(account["CertificateListModel"]["Count"], 1);
    let one = bed
        .ok("DescribeLiveCertificateDetail", "CertName=mine")
        .await;
    assert_eq!(one["Cert"], other.0);
    let mut by = url::form_urlencoded::Serializer::new(String::new());
    by.append_pair("SSLPub", &other.0)
        .append_pair("SSLStatus", "true");
    let by = bed
        .ok("DescribeLiveDomainByCertificate", &by.finish())
        .await;
    assert_eq!(by["CertInfos"]["CertInfo"][0]["DomainList"], domain);
    bed.ok(set, &format!("DomainName={domain}&SSLProtocol=off"))
        .await;
    assert!(bed.ctx.services.certificates.of(domain).is_none());
    assert!(
        bed.ctx
            .services
            .certificates
            .of("sub.example.com")
            .is_some()
    );
    let detail = bed
        .ok("DescribeLiveDomainDetail", &format!("DomainName={domain}"))
        .await;
    assert_eq!(detail["DomainDetail"]["SSLProtocol"], "off");
    bed.ok(set, "DomainName=.example.org&SSLProtocol=on&CertType=free")
        .await;
    assert!(bed.ctx.services.certificates.of("a.example.org").is_some());
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let bed = Testbed::new().await;
    let domain = "play.example.com";
    let pair = crate::certificates::self_signed(domain).unwrap();
    bed.ctx
        .services
        .clock
        .advance(2_100 * 365 * 86_400_000)
        .await;
    assert_eq!(
        bed.refused("SetLiveDomainCertificate", &certificate(domain, &pair, ""))
            .await,
        ("Certificate.Expired".to_owned(), 400)
    );
}
