//! Checks of whole calls against the embedded spec with its patches.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::spec::Spec;
use crate::wire::params::{Pairs, parse_pairs};

const ADD: &str = "AddLiveAppRecordConfig";
const BASE: &str =
    "DomainName=d.example.com&AppName=live&OssBucket=b&OssEndpoint=oss-cn-shanghai.aliyuncs.com";

fn run(action: &str, query: &str) -> Result<Checked, Problem> {
    let pairs = parse_pairs(query, None).unwrap();
    let tree = Tree::from_pairs(&pairs).unwrap();
    check(Spec::embedded().action(action).unwrap(), &tree)
}

/// The wire code and the parameter of a refused call.
fn refusal(action: &str, query: &str) -> (String, String) {
    let problem = run(action, query).unwrap_err();
    let param = problem.param.clone();
    let error = ApiError::from(problem);
    assert!(error.message.contains(&param), "{}", error.message);
    (error.code.to_string(), param)
}

fn assert_refused(action: &str, query: &str, code: &str, param: &str) {
    assert_eq!(
        refusal(action, query),
        (code.to_owned(), param.to_owned()),
        "{query}"
    );
}

#[test]
fn a_full_call_becomes_typed_and_defaults_are_filled_in() {
    let query = format!(
        "{BASE}&OnDemand=7&RecordFormat.1.Format=m3u8&RecordFormat.1.SliceDuration=10&RecordFormat.2.Format=mp4\
         &TranscodeTemplates.1=lld&StartTime=2026-11-22T00:00:00Z&RegionId=cn-shanghai&OwnerId=abc&Signature=x"
    );
    let checked = run(ADD, &query).unwrap();
    assert_eq!(
        checked.value,
        json!({
            "AppName": "live", "DelayTime": 180, "DomainName": "d.example.com", "OnDemand": 7, "OssBucket": "b",
            "OssEndpoint": "oss-cn-shanghai.aliyuncs.com",
            "RecordFormat": [{"Format": "m3u8", "SliceDuration": 10}, {"Format": "mp4"}],
            "StartTime": "2026-11-22T00:00:00Z", "TranscodeTemplates": ["lld"],
        })
    );
    assert_eq!(checked.unknown, Vec::<String>::new());
}

#[test]
fn mandatory_parameters_come_first_and_empty_is_absent() {
    assert_refused(ADD, "DomainName=d&DelayTime=x", "MissingAppName", "AppName");
    assert_refused(
        ADD,
        "DomainName=d&AppName=&OssBucket=b",
        "MissingAppName",
        "AppName",
    );
    assert_refused(
        "DeleteLiveStreamRecordIndexFiles",
        "AppName=a&DomainName=d&StreamName=s&RemoveFile=true",
        "MissingRecordId",
        "RecordId",
    );
    // Called required by every source, yet documented with a default.
    let log = "DomainName=d&StartTime=2026-11-22T00:00:00Z&EndTime=2026-11-23T00:00:00Z";
    let checked = run("DescribeLiveRecordNotifyRecords", log).unwrap();
    assert_eq!(
        (&checked.value["PageNumber"], &checked.value["PageSize"]),
        (&json!(1), &json!(20))
    );
}

#[test]
fn limits_hold_at_their_edges() {
    for (param, good, bad, code) in [
        (
            "DelayTime",
            ["15", "21600"],
            ["14", "21601"],
            "InvalidDelayTime",
        ),
        (
            "RecordFormat.1.CycleDuration",
            ["1", "21600"],
            ["0", "21601"],
            "InvalidCycleDuration.Malformed",
        ),
        ("OnDemand", ["0", "7"], ["3", "x"], "InvalidOnDemand"),
        (
            "RecordFormat.1.Format",
            ["m3u8", "cmaf"],
            ["M3U8", "avi"],
            "InvalidFormat.Malformed",
        ),
        (
            "StartTime",
            ["2026-11-22T00:00:00Z", "2024-02-29T23:59:59Z"],
            ["2026-11-22", "2026-02-29T00:00:00Z"],
            "InvalidStartTime.Malformed",
        ),
    ] {
        for value in good {
            assert!(
                run(ADD, &format!("{BASE}&{param}={value}")).is_ok(),
                "{param}={value}"
            );
        }
        for value in bad {
            assert_refused(ADD, &format!("{BASE}&{param}={value}"), code, param);
        }
    }
    let prefix = |length: usize| {
        format!(
            "{BASE}&RecordFormat.1.OssObjectPrefix={}",
            "p".repeat(length)
        )
    };
    assert!(run(ADD, &prefix(255)).is_ok());
    assert_refused(
        ADD,
        &prefix(256),
        "InvalidOssObjectPrefix.Malformed",
        "RecordFormat.1.OssObjectPrefix",
    );
    let formats = |n: usize| {
        (1..=n)
            .map(|i| format!("&RecordFormat.{i}.Format=mp4"))
            .collect::<String>()
    };
    assert!(run(ADD, &format!("{BASE}{}", formats(3))).is_ok());
    assert_refused(
        ADD,
        &format!("{BASE}{}", formats(4)),
        "InvalidRecordFormat",
        "RecordFormat",
    );
}

#[test]
fn notify_keys_are_16_to_64_letters_and_digits() {
    let call = |key: &str| {
        format!("DomainName=d&NotifyUrl=http://h/&NotifyReqAuth=True&NotifyAuthKey={key}")
    };
    let checked = run("AddLiveRecordNotifyConfig", &call(&"k".repeat(16))).unwrap();
    assert_eq!(checked.value["NotifyReqAuth"], json!(true));
    assert_eq!(checked.value["NeedStatusNotify"], json!(false));
    assert!(run("AddLiveRecordNotifyConfig", &call(&"k".repeat(64))).is_ok());
    for bad in [
        "k".repeat(15),
        "k".repeat(65),
        "0123456789abcde_".to_owned(),
    ] {
        assert_refused(
            "AddLiveRecordNotifyConfig",
            &call(&bad),
            "InvalidNotifyAuthKey",
            "NotifyAuthKey",
        );
    }
}

#[test]
fn texts_of_unset_values_are_absent_where_they_cannot_be_meant() {
    let checked = run(
        "DescribeLiveRecordConfig",
        "DomainName=d&PageNum=None&PageSize=undefined&Order=null&AppName=null&StreamName=",
    )
    .unwrap();
    assert_eq!(
        checked.value,
        json!({"AppName": "null", "DomainName": "d", "Order": "asc", "PageNum": 1, "PageSize": 10, "StreamName": ""})
    );
    assert_refused(
        "RealTimeRecordCommand",
        "DomainName=d&AppName=a&StreamName=s&Command=None",
        "MissingCommand",
        "Command",
    );
    let required_text = run(
        "RealTimeRecordCommand",
        "DomainName=d&AppName=a&StreamName=None&Command=start",
    )
    .unwrap();
    assert_eq!(required_text.value["StreamName"], "None");
}

#[test]
fn unknown_names_are_told_with_their_path() {
    let checked = run(
        ADD,
        &format!("{BASE}&Color=red&RecordFormat.1.Format=mp4&RecordFormat.1.Depth=1&Timestamp=t"),
    )
    .unwrap();
    assert_eq!(checked.unknown, ["RecordFormat.1.Depth", "Color"]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    assert_refused(
        ADD,
        &format!("{BASE}&RecordFormat=mp4"),
        "InvalidRecordFormat",
        "RecordFormat",
    );
    assert_refused(
        ADD,
        &format!("{BASE}&DelayTime.1=180"),
        "InvalidDelayTime",
        "DelayTime",
    );
    assert_refused(
        ADD,
        &format!("{BASE}&RecordFormat.1=mp4"),
        "InvalidRecordFormat",
        "RecordFormat.1",
    );
    assert_refused(
        ADD,
        &format!("{BASE}&TranscodeTemplates.1.Name=x"),
        "InvalidTranscodeTemplates",
        "TranscodeTemplates.1",
    );
}

#[test]
fn json_text_is_decoded_and_checked_inside() {
    let call = |layout: &str| format!("StudioName=s&MattingType=green&MattingLayout={layout}");
    let checked = run(
        "CreateLiveAIStudio",
        &call(r#"{"HeightNormalized":"0.5","PositionX":1,"PositionY":null,"Odd":1}"#),
    )
    .unwrap();
    assert_eq!(
        checked.value["MattingLayout"],
        json!({"HeightNormalized": 0.5, "PositionX": 1.0})
    );
    assert_eq!(checked.unknown, ["MattingLayout.Odd"]);
    assert_refused(
        "CreateLiveAIStudio",
        &call("{"),
        "InvalidMattingLayout",
        "MattingLayout",
    );
    assert_refused(
        "CreateLiveAIStudio",
        &call("[]"),
        "InvalidMattingLayout",
        "MattingLayout",
    );
    assert_refused(
        "CreateLiveAIStudio",
        &call(r#"{"PositionX":"left"}"#),
        "InvalidPositionX",
        "MattingLayout.PositionX",
    );
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_refused(
        "CreateLiveAIStudio",
        &call(&deep),
        "InvalidMattingLayout",
        "MattingLayout",
    );
    let ids = run(
        "PutRecordStorageLifeCycle",
        r#"StreamIds=["a","b"]&Tag=1095days&UnixTimestamp=1758621407"#,
    )
    .unwrap();
    assert_eq!(ids.value["StreamIds"], json!(["a", "b"]));
}

#[test]
fn nested_mandatory_members_are_named() {
    let call =
        r#"AppId=a&ChannelId=c&OutputParams=[]&InputParam={"SingleSubUserParam":{"SourceType":0}}"#;
    assert_refused(
        "StartRtcCloudTranscode",
        call,
        "MissingUserId",
        "InputParam.SingleSubUserParam.UserId",
    );
}

#[test]
fn comma_lists_are_split_and_bounded() {
    let call = |users: &str| format!("AppId=a&GroupId=g&DataCenter=x&BannedUsers={users}");
    let checked = run("AddLiveMessageGroupBand", &call("u1,u2,,u3")).unwrap();
    assert_eq!(checked.value["BannedUsers"], json!(["u1", "u2", "u3"]));
    let list = |n: usize| vec!["u"; n].join(",");
    assert!(run("AddLiveMessageGroupBand", &call(&list(MAX_TEXT_ITEMS))).is_ok());
    assert_refused(
        "AddLiveMessageGroupBand",
        &call(&list(MAX_TEXT_ITEMS + 1)),
        "InvalidBannedUsers",
        "BannedUsers",
    );
}

#[test]
fn every_code_of_the_spec_and_its_patches_is_in_the_table() {
    fn codes<'a>(params: &'a [Param], found: &mut Vec<&'a str>) {
        for param in params {
            found.extend(param.code.as_deref());
            codes(&param.fields, found);
            if let Some(item) = &param.item {
                codes(&item.fields, found);
            }
        }
    }
    for action in Spec::embedded().actions() {
        let mut found: Vec<&str> = action
            .errors
            .iter()
            .map(|error| error.code.as_str())
            .collect();
        codes(&action.request, &mut found);
        for code in found {
            assert!(
                !matches!(Code::from_wire(code), Code::Other(_)),
                "{}: {code}",
                action.action
            );
        }
    }
}

#[test]
fn the_same_code_may_have_two_statuses() {
    let status = |action: &str| {
        let documented = Spec::embedded()
            .action(action)
            .unwrap()
            .error_status("InvalidStream.NotFound");
        ApiError::coded(Code::InvalidStreamNotFound)
            .documented_as(documented)
            .status
    };
    assert_eq!(status("RealTimeRecordCommand"), 404);
    assert_eq!(status("CreateLiveStreamRecordIndexFiles"), 400);
}

/// Action, client variant, parameters.
type Call = (String, String, Vec<(String, String)>);

/// The calls of `fixtures/wire`.
fn captured_calls() -> Vec<Call> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/wire");
    let mut calls = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for row in json["rows"].as_array().unwrap() {
            let query = row["target"]
                .as_str()
                .unwrap()
                .split_once('?')
                .map_or("", |(_, query)| query);
            let pairs = parse_pairs(query, row["body"].as_str().map(str::as_bytes)).unwrap();
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            calls.push((text("action"), text("variant"), pairs.into_owned()));
        }
    }
    calls
}

#[test]
fn every_call_of_a_real_client_passes_with_nothing_unknown() {
    let (mut passed, mut refused) = (0, 0);
    for (action, variant, sent) in captured_calls() {
        let pairs = sent.into_iter().collect();
        let tree = Tree::from_pairs(&pairs).unwrap();
        let Some(spec) = Spec::embedded().action(&action) else {
            assert_eq!(action, "DescribeEndpoints");
            continue;
        };
        // One old client cannot flatten lists of objects and sends what its language prints for them.
        let unflattened = matches!(tree.get("RecordFormat"), Some(Node::List(items)) if items.values().any(|item| *item == Node::Value("[object Object]")));
        match check(spec, &tree) {
            Ok(checked) => {
                let odd: &[&str] = match variant.as_str() {
                    "odd-values" => &["Empty", "List", "Nul", "Special", "Undef"],
                    "commonrequest-empty-none" => &["Empty"],
                    _ => &[],
                };
                assert_eq!(checked.unknown, odd, "{action} {variant}");
                assert!(!unflattened);
                passed += 1;
            }
            Err(problem) => {
                assert!(unflattened, "{action} {variant}: {problem:?}");
                assert_eq!(problem.param, "RecordFormat.1");
                refused += 1;
            }
        }
    }
    assert_eq!((passed, refused), (195, 2), "the fixtures changed");
}

proptest! {
    #[test]
    fn any_values_are_checked_or_refused(value in "[\\[\\]{}\",:a-z0-9.=-]{0,40}", at in 0usize..437) {
        let name = Spec::embedded().names().nth(at).unwrap();
        let action = Spec::embedded().action(name).unwrap();
        let pairs: Pairs<'_> = action.request.iter().map(|param| (param.name.as_str(), value.as_str())).collect();
        if let Ok(checked) = check(action, &Tree::from_pairs(&pairs).unwrap()) {
            prop_assert!(checked.value.is_object());
        }
    }
}
