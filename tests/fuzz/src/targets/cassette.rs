//! Cassettes: whatever a file says, a call is answered from it or told why not; a call that was kept is found again by what was kept of it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use localyun::testing::upstream::answer::read;
use localyun::testing::upstream::cassette::{
    Answer, Asked, Body, Pattern, Recorded, Replay, recorded,
};
use localyun::testing::upstream::request::Call;
use localyun::testing::wire::params::parse_pairs;
use localyun::testing::wire::{Format, HttpParts};
use tempfile::TempDir;

use crate::input::Input;

/// The part of a file's name that stands for the parameters; calls are found without it too.
const DIGEST: &str = "000000000000";

fn folder() -> &'static TempDir {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder"))
}

/// A cassette of one file.
fn replay(text: &[u8]) -> Replay {
    let folder = folder().path();
    std::fs::write(folder.join(format!("A.{DIGEST}.1.json")), text).expect("a file");
    Replay::open(folder).expect("a folder with a file")
}

fn asked(query: &str) -> Option<Asked> {
    let parts = HttpParts::default();
    let pairs = parse_pairs(query, None).ok()?;
    Some(Asked::of(Call {
        action: "A",
        version: "2016-11-01",
        format: Format::Json,
        acs3: false,
        parts: &parts,
        pairs: &pairs,
    }))
}

fn patterns(mut input: Input<'_>) {
    let (name, value) = (
        input.line().to_owned(),
        String::from_utf8_lossy(input.rest()),
    );
    let pattern = Pattern::read(&recorded(&name, &value));
    assert!(pattern.fits(&value), "{name}: {value:?}");
    let _ = Pattern::read(&name).fits(&value);
    let _ = Pattern::read(&value).fits(&name);
}

fn file(mut input: Input<'_>) {
    let Some(asked) = asked(input.line()) else {
        return;
    };
    let Ok((_, found)) = replay(input.rest()).find(&asked) else {
        return;
    };
    assert!((200..600).contains(&found.answer.status));
    let written = serde_json::to_string(&found).expect("a file can be written");
    let again: Recorded = serde_json::from_str(&written).expect("what was written is a file");
    assert_eq!(again.answer.body.bytes(), found.answer.body.bytes());
}

fn kept(mut input: Input<'_>) {
    let Some(asked) = asked(input.line()) else {
        return;
    };
    let body = input.rest();
    if read(Format::Json, body).is_none() {
        return;
    }
    let Ok(body) = Body::of(body, Format::Json) else {
        return;
    };
    let call = Recorded {
        localyun_cassette: 1,
        recorded: "2026-11-26T20:00:00Z".to_owned(),
        upstream: "http://u".to_owned(),
        action: asked.action.clone(),
        version: asked.version.clone(),
        format: asked.format.to_owned(),
        params: asked.recorded_params(),
        answer: Answer {
            status: 200,
            headers: BTreeMap::new(),
            body: body.clone(),
        },
    };
    let text = serde_json::to_vec_pretty(&call).expect("a call can be written");
    // The name `*` among the parameters of a call would let others pass.
    let (_, found) = replay(&text)
        .find(&asked)
        .expect("the call that was kept is found");
    assert_eq!(found.answer.body.bytes(), body.bytes());
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => patterns(input),
        1 => file(input),
        _ => kept(input),
    }
}
