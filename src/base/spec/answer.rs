//! Answers against the spec: what a handler gives back must be what SDKs can read.
//!
//! What: fields that the spec does not know, values of another type and a missing `RequestId` are complained about, each with
//! its path. A field that is absent is fine (the product leaves out what it does not know). Used by tests and on request at
//! run time; never by the path of a normal call.

use serde_json::Value;

use super::model::{ActionSpec, Fields, Kind, Shape};

/// Complaints after which the rest is not worth reading.
const MAX_COMPLAINTS: usize = 100;

/// Everything about an answer that does not fit its action; empty when it fits.
#[must_use]
pub fn validate(action: &ActionSpec, answer: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    let Value::Object(members) = answer else {
        return vec!["the answer is no object".to_owned()];
    };
    match members.get("RequestId") {
        Some(Value::String(id)) if !id.is_empty() => {}
        Some(_) => complaints.push("RequestId is no text".to_owned()),
        None => complaints.push("RequestId is absent".to_owned()),
    }
    // RequestId is in every answer, also where a spec forgot it.
    let rest = members.iter().filter(|(name, _)| *name != "RequestId");
    fields(&action.response, rest, "", &mut complaints);
    complaints
}

fn fields<'a>(
    known: &Fields,
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    path: &str,
    complaints: &mut Vec<String>,
) {
    for (name, value) in members {
        if complaints.len() >= MAX_COMPLAINTS {
            return;
        }
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match known.get(name) {
            Some(shape) => compare(shape, value, &path, complaints),
            None => complaints.push(format!("{path} is not in the spec")),
        }
    }
}

fn compare(shape: &Shape, value: &Value, path: &str, complaints: &mut Vec<String>) {
    match (shape, value) {
        (Shape::Object(known), Value::Object(members)) => {
            fields(known, members.iter(), path, complaints);
        }
        (Shape::Object(_), _) => complaints.push(format!("{path} is no object")),
        (Shape::List(item), Value::Array(values)) => {
            for (at, value) in values.iter().enumerate() {
                if complaints.len() >= MAX_COMPLAINTS {
                    return;
                }
                compare(item, value, &format!("{path}[{at}]"), complaints);
            }
        }
        (Shape::List(_), _) => complaints.push(format!("{path} is no list")),
        (Shape::Leaf(kind), value) if !fits(*kind, value) => {
            complaints.push(format!("{path} is no {}", kind.as_str()));
        }
        (Shape::Leaf(_), _) => {}
    }
}

fn fits(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::String => value.is_string(),
        Kind::Int32 => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        Kind::Int64 => value.as_i64().is_some(),
        Kind::Float => value.is_number(),
        Kind::Bool => value.is_boolean(),
        Kind::Map | Kind::Object => value.is_object(),
        Kind::Array => value.is_array(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::Spec;

    fn complaints(action: &str, answer: &Value) -> Vec<String> {
        validate(Spec::embedded().action(action).unwrap(), answer)
    }

    #[test]
    fn a_documented_answer_fits() {
        let answer = json!({"RequestId": "5056369B", "PageNum": 1, "PageSize": 10, "TotalNum": 1, "TotalPage": 1, "Order": "asc",
            "LiveAppRecordList": {"LiveAppRecord": [{"DomainName": "example.com", "OnDemond": 0, "DelayTime": 180,
                "RecordFormatList": {"RecordFormat": [{"Format": "m3u8", "CycleDuration": 21600}]},
                "TranscodeTemplates": {"Templates": ["lld"]}}]}});
        assert_eq!(
            complaints("DescribeLiveRecordConfig", &answer),
            Vec::<String>::new()
        );
        let duration = json!({"RequestId": "6", "RecordContentInfoList": {"RecordContentInfo": [{"Duration": 14638}]}});
        assert!(complaints("DescribeLiveStreamRecordContent", &duration).is_empty());
    }

    #[test]
    fn every_kind_of_misfit_is_named_with_its_path() {
        let answer = json!({"PageNum": "1", "TotalNum": 3_000_000_000_u64, "Extra": 1,
            "LiveAppRecordList": {"LiveAppRecord": [{"OnDemand": 0}, {"RecordFormatList": []}]}, "Order": null});
        let expected = [
            "RequestId is absent",
            "PageNum is no int32",
            "TotalNum is no int32",
            "Extra is not in the spec",
            "LiveAppRecordList.LiveAppRecord[0].OnDemand is not in the spec",
            "LiveAppRecordList.LiveAppRecord[1].RecordFormatList is no object",
            "Order is no string",
        ];
        assert_eq!(complaints("DescribeLiveRecordConfig", &answer), expected);
        assert_eq!(
            complaints("AddLiveAppRecordConfig", &json!([])),
            ["the answer is no object"]
        );
        assert!(complaints("MiguLivePullToPushStart", &json!({"RequestId": "x"})).is_empty());
    }

    #[test]
    fn complaints_have_an_end() {
        let many: Vec<Value> = (0..10_000).map(|_| json!(1)).collect();
        let answer = json!({"RequestId": "x", "LiveAppRecordList": {"LiveAppRecord": many}});
        assert_eq!(
            complaints("DescribeLiveRecordConfig", &answer).len(),
            MAX_COMPLAINTS
        );
    }
}
