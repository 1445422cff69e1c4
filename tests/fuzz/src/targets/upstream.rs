//! What an upstream answers: a whole document or nothing, words of it that are short and visible, and a body that is kept and comes back.

use localyun::testing::upstream::answer::{format_of, read, values, words};
use localyun::testing::upstream::cassette::Body;
use localyun::testing::wire::Format;
use serde_json::Value;

/// Characters of an upstream's words that are repeated.
const WORDS: usize = 100;

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn kept(body: &[u8], format: Format) -> Option<Vec<u8>> {
    let kept = Body::of(body, format).ok()?;
    let written = serde_json::to_string(&kept).expect("a body can be written");
    let again: Body = serde_json::from_str(&written).expect("what was written is a body");
    assert_eq!(again.bytes(), kept.bytes());
    kept.bytes().map(|bytes| bytes.to_vec())
}

pub fn run(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(body);
    let told = words(&text);
    let visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    assert!(told.len() <= WORDS && told.bytes().all(visible));
    let format = match kind % 3 {
        0 => Format::Json,
        1 => Format::Xml,
        _ => match format_of(&text) {
            Some(format) => format,
            None => return,
        },
    };
    let Some(said) = read(format, body) else {
        return;
    };
    assert!(
        std::str::from_utf8(body).is_ok(),
        "what is passed on is text"
    );
    for word in [said.request_id, said.code].into_iter().flatten() {
        assert!(word.len() <= WORDS && word.bytes().all(visible));
    }
    if format == Format::Json {
        if let Ok(value) = serde_json::from_slice(body) {
            assert!(count(&value) <= values(body));
        }
        if let Some(once) = kept(body, format) {
            // What was hidden once stays hidden, and hides nothing more.
            assert_eq!(kept(&once, format).as_ref(), Some(&once));
        }
    } else {
        let once = kept(body, format).expect("every whole XML document can be kept");
        assert!(once.len() <= 64 + 4 * body.len());
    }
}
