//! What a rule of a seed or snapshot need not say: everything that AddLiveAppRecordConfig has a default for.

use serde_json::{Map, Value, json};

use crate::clock::UnixMs;
use crate::model::rule::{ANY, DEFAULT_DELAY_S, DEFAULT_SLICE_S, Format};

/// Puts the defaults of the API where a document says nothing.
pub(super) fn fill(settings: &mut Map<String, Value>, now: UnixMs) {
    let Some(Value::Array(rules)) = settings.get_mut("rules") else {
        return;
    };
    for rule in rules {
        let Value::Object(rule) = rule else {
            continue;
        };
        let defaults = [
            ("stream", json!(ANY)),
            ("start_time", Value::Null),
            ("end_time", Value::Null),
            ("on_demand", json!("automatic")),
            ("delay_s", json!(DEFAULT_DELAY_S)),
            ("created_at", json!(now)),
        ];
        for (name, value) in defaults {
            rule.entry(name).or_insert(value);
        }
        for part in ["formats", "transcode_formats"] {
            let Some(Value::Array(formats)) = rule.get_mut(part) else {
                continue;
            };
            formats.iter_mut().for_each(fill_format);
        }
    }
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
    for (name, value) in defaults {
        given.entry(name).or_insert(value);
    }
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
}
