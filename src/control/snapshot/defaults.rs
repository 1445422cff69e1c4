//! What a seed or snapshot need not say: everything that the API has a default for.

use serde_json::{Map, Value, json};

use crate::clock::UnixMs;
use crate::model::domain::DEFAULT_SCOPE;
use crate::model::forbidden::usual_end;
use crate::model::rule::{ANY, DEFAULT_DELAY_S, DEFAULT_SLICE_S, Format};

/// Puts the defaults of the API where a document says nothing.
pub(super) fn fill(settings: &mut Map<String, Value>, now: UnixMs) {
    let mut each = |part: &str, fill: &dyn Fn(&mut Map<String, Value>)| {
        let Some(Value::Array(given)) = settings.get_mut(part) else {
            return;
        };
        given
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(fill);
    };
    each("rules", &|rule| fill_rule(rule, now));
    each("domains", &|domain| fill_domain(domain, now));
    each("forbidden", &|forbidden| fill_forbidden(forbidden, now));
}

fn put<const N: usize>(given: &mut Map<String, Value>, defaults: [(&str, Value); N]) {
    for (name, value) in defaults {
        given.entry(name).or_insert(value);
    }
}

/// As AddLiveAppRecordConfig has it.
fn fill_rule(rule: &mut Map<String, Value>, now: UnixMs) {
    let defaults = [
        ("stream", json!(ANY)),
        ("start_time", Value::Null),
        ("end_time", Value::Null),
        ("on_demand", json!("automatic")),
        ("delay_s", json!(DEFAULT_DELAY_S)),
        ("created_at", json!(now)),
    ];
    put(rule, defaults);
    if rule.contains_key("transcode_formats") {
        put(rule, [("formats", json!([]))]);
    }
    for part in ["formats", "transcode_formats"] {
        let Some(Value::Array(formats)) = rule.get_mut(part) else {
            continue;
        };
        formats.iter_mut().for_each(fill_format);
    }
}

/// As AddLiveDomain has it. One without a kind is known by a mapping alone.
fn fill_domain(domain: &mut Map<String, Value>, now: UnixMs) {
    let kind = domain.get("kind").and_then(Value::as_str);
    if kind.is_some_and(|kind| !kind.is_empty()) {
        let defaults = [("scope", json!(DEFAULT_SCOPE)), ("created_at", json!(now))];
        put(domain, defaults);
    }
}

/// As ForbidLiveStream has it.
fn fill_forbidden(forbidden: &mut Map<String, Value>, now: UnixMs) {
    put(forbidden, [("since", json!(now))]);
    let since = forbidden.get("since").and_then(Value::as_i64);
    put(
        forbidden,
        [("until", json!(usual_end(since.unwrap_or(now))))],
    );
}

fn fill_format(given: &mut Value) {
    let Value::Object(given) = given else {
        return;
    };
    let format = given.get("format").and_then(Value::as_str);
    let Some(format) = format.and_then(Format::parse) else {
        return;
    };
    // An empty prefix is the console's default, as in a call.
    let slice_prefix = if format.is_sliced() {
        json!("")
    } else {
        Value::Null
    };
    let defaults = [
        ("object_prefix", json!("")),
        ("slice_prefix", slice_prefix),
        ("slice_s", json!(DEFAULT_SLICE_S)),
        ("cycle_s", json!(format.default_cycle_s())),
    ];
    put(given, defaults);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rule::Rule;

    #[test]
    fn the_smallest_rule_is_a_whole_one() {
        let smallest = json!({"rules": [{
            "domain": "play.example.com", "app": "live", "oss_endpoint": "oss-cn-shanghai.aliyuncs.com", "oss_bucket": "rec",
            "formats": [{"format": "mp4"}, {"format": "m3u8", "cycle_s": 60}],
        }]});
        let Value::Object(mut settings) = smallest else {
            panic!("an object")
        };
        fill(&mut settings, 7);
        let rule: Rule = serde_json::from_value(settings["rules"][0].clone()).unwrap();
        assert_eq!(
            (rule.stream.as_str(), rule.delay_s, rule.created_at),
            ("*", 180, 7)
        );
        let cycles: Vec<_> = rule
            .formats
            .iter()
            .map(|f| (f.slice_s, f.cycle_s))
            .collect();
        assert_eq!(cycles, [(30, 3_600), (30, 60)]);
        assert_eq!(rule.formats[1].slice_prefix.as_deref(), Some(""));
    }

    #[test]
    fn what_a_call_need_not_say_a_document_need_not_say() {
        let Value::Object(mut settings) = json!({
            "rules": [{"domain": "d", "app": "a", "transcode_formats": [{"format": "mp4"}]}],
            "domains": [
                {"domain": "play.example.com", "kind": "liveVideo"},
                {"domain": "old.example.com", "kind": "liveVideo", "created_at": 3, "scope": "overseas"},
                {"domain": "push.example.com", "play_domain": "play.example.com"},
            ],
            "forbidden": [
                {"domain": "d", "app": "a", "stream": "s"},
                {"domain": "d", "app": "a", "stream": "t", "since": 1, "until": 2},
            ],
        }) else {
            panic!("an object")
        };
        fill(&mut settings, 7);
        assert_eq!(settings["rules"][0]["formats"], json!([]));
        let domains = &settings["domains"];
        assert_eq!(
            (&domains[0]["scope"], &domains[0]["created_at"]),
            (&json!("domestic"), &json!(7))
        );
        assert_eq!(
            (&domains[1]["scope"], &domains[1]["created_at"]),
            (&json!("overseas"), &json!(3))
        );
        assert_eq!(domains[2].get("created_at"), None);
        let forbidden = &settings["forbidden"];
        assert_eq!(
            (&forbidden[0]["since"], &forbidden[0]["until"]),
            (&json!(7), &json!(usual_end(7)))
        );
        assert_eq!(
            (&forbidden[1]["since"], &forbidden[1]["until"]),
            (&json!(1), &json!(2))
        );
    }
}
