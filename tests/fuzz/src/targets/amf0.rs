//! AMF0: what can be read can be written and read again, and the lossy reader takes all that the strict one takes.

use bytes::BytesMut;
use localyun::testing::media::amf0::{MAX_VALUES, Value, decode_all, decode_all_lossy, encode};

fn written(values: &[Value]) -> BytesMut {
    let mut out = BytesMut::new();
    for value in values {
        encode(value, &mut out);
    }
    out
}

fn count(values: &[Value]) -> usize {
    let inside = |value: &Value| match value {
        Value::Object(properties)
        | Value::EcmaArray(properties)
        | Value::TypedObject { properties, .. } => properties
            .iter()
            .map(|(_, value)| count(std::slice::from_ref(value)))
            .sum(),
        Value::StrictArray(items) => count(items),
        _ => 0,
    };
    values.iter().map(|value| 1 + inside(value)).sum()
}

pub fn run(data: &[u8]) {
    let strict = decode_all(data);
    let lossy = decode_all_lossy(data);
    if let Ok(values) = &strict {
        let lossy = lossy.as_ref().expect("the lossy reader takes more");
        // Bytes, because a double that is no number equals nothing.
        assert_eq!(written(values), written(lossy));
    }
    let Ok(values) = lossy else { return };
    assert!(count(&values) <= MAX_VALUES);
    // Bytes that are no UTF-8 become longer; a name longer than its field is left out.
    let once = written(&values);
    let again = decode_all(&once).expect("what was written is AMF0");
    assert_eq!(written(&again), once);
}
