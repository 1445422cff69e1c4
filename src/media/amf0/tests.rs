//! Every marker both ways, hostile bytes, and the bounds.

use proptest::prelude::*;

use super::*;

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(value, &mut out);
    out.to_vec()
}

#[test]
fn the_bytes_of_a_command() {
    let mut bytes = encoded(&"connect".into());
    bytes.extend(encoded(&1.0.into()));
    bytes.extend(encoded(&Value::Object(vec![("app".into(), "live".into())])));
    let expected =
        b"\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x03\x00\x03app\x02\x00\x04live\x00\x00\x09";
    assert_eq!(bytes, expected);
    let values = decode_all(&bytes).unwrap();
    assert_eq!(values[0].as_str(), Some("connect"));
    assert_eq!(values[1].as_number(), Some(1.0));
    assert_eq!(values[2].get("app").and_then(Value::as_str), Some("live"));
    assert_eq!(values[2].get("none"), None);
}

#[test]
fn every_kind_of_value_comes_back() {
    let all = Value::EcmaArray(vec![
        ("number".into(), (-2.5).into()),
        ("yes".into(), Value::Boolean(true)),
        ("null".into(), Value::Null),
        ("undefined".into(), Value::Undefined),
        ("long".into(), Value::String("ü".repeat(40_000))),
        (
            "list".into(),
            Value::StrictArray(vec![Value::Date(1e12), "".into()]),
        ),
        (
            "typed".into(),
            Value::TypedObject {
                class: "Point".into(),
                properties: vec![("".into(), 1.0.into())],
            },
        ),
    ]);
    assert_eq!(decode_all(&encoded(&all)), Ok(vec![all]));
}

#[test]
fn names_that_cannot_be_written_are_left_out() {
    let object = Value::Object(vec![
        ("x".repeat(65_536), Value::Null),
        ("y".repeat(65_535), Value::Null),
    ]);
    let values = decode_all(&encoded(&object)).unwrap();
    assert_eq!(
        values,
        [Value::Object(vec![("y".repeat(65_535), Value::Null)])]
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let mut value = Value::Null;
        for _ in 0..depth {
            value = Value::StrictArray(vec![value]);
        }
        decode_all(&encoded(&value))
    };
    assert!(nested(MAX_DEPTH).is_ok());
    assert_eq!(nested(MAX_DEPTH + 1), Err(Amf0Error::TooDeep));
}

#[test]
fn the_number_of_values_is_bounded() {
    assert_eq!(
        decode_all(&vec![NULL; MAX_VALUES]).unwrap().len(),
        MAX_VALUES
    );
    assert_eq!(
        decode_all(&vec![NULL; MAX_VALUES + 1]),
        Err(Amf0Error::TooMany)
    );
    let claims_billions = [STRICT_ARRAY, 0xFF, 0xFF, 0xFF, 0xFF, NULL];
    assert_eq!(decode_all(&claims_billions), Err(Amf0Error::Truncated));
}

#[test]
fn strings_that_are_not_utf8() {
    let gbk = b"\x02\x00\x04\xd6\xb1\xb2\xa5";
    assert_eq!(decode_all(gbk), Err(Amf0Error::NotUtf8));
    assert!(
        decode_all_lossy(gbk).unwrap()[0]
            .as_str()
            .unwrap()
            .contains('\u{FFFD}')
    );
}

#[test]
fn values_before_one_that_cannot_be_read() {
    let two = vec![Value::from("a"), Value::Null];
    for (rest, error) in [
        (&b""[..], None),
        (b"\x11\x0a", Some(Amf0Error::Marker(0x11))),
        (b"\x02\0\x09short", Some(Amf0Error::Truncated)),
    ] {
        let bytes = [&b"\x02\0\x01a\x05"[..], rest].concat();
        assert_eq!(decode_readable(&bytes), (two.clone(), error));
    }
}

#[test]
fn wrong_counts_and_missing_end_markers_of_flv_writers() {
    let wrong_count = b"\x08\0\0\0\x63\0\x01a\x05\0\0\x09";
    let expected = Value::EcmaArray(vec![("a".into(), Value::Null)]);
    assert_eq!(decode_all(wrong_count), Ok(vec![expected.clone()]));
    let no_end = b"\x08\0\0\0\x01\0\x01a\x05";
    assert_eq!(decode_all(no_end), Ok(vec![expected]));
    assert_eq!(decode_all(b"\x03\0\x01a"), Err(Amf0Error::Truncated));
}

#[test]
fn markers_that_no_client_may_send() {
    for marker in [0x04, 0x07, 0x09, 0x0E, 0x11, 0xFF] {
        assert_eq!(decode_all(&[marker]), Err(Amf0Error::Marker(marker)));
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let strict = decode_all(&bytes);
        let lossy = decode_all_lossy(&bytes);
        if let Ok(values) = strict {
            prop_assert_eq!(format!("{values:?}"), format!("{:?}", lossy.unwrap()));
        }
    }

    #[test]
    fn marker_like_bytes_give_an_answer(bytes in proptest::collection::vec(0_u8..18, 0..300)) {
        if let Ok(values) = decode_all(&bytes) {
            let mut again = BytesMut::new();
            values.iter().for_each(|value| encode(value, &mut again));
            prop_assert_eq!(format!("{:?}", decode_all(&again).unwrap()), format!("{values:?}"));
        }
    }
}
