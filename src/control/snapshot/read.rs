//! A snapshot as it is read from a file: its settings whole, and the rows of what was recorded and the bytes of objects one after the
//! other, so that its length is the disk's matter and not the memory's.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::check;
use crate::control::ask::in_plain_words;
use crate::objects::folder::NewObject;
use crate::store::records::{FileRow, SessionRow, SliceRow};

/// Names that are remembered to find doubles.
const NAMES_KEPT: usize = 500_000;

/// What a reader meets, in the order of the document.
pub(super) enum Item {
    Session(SessionRow),
    Slice(SliceRow),
    File(FileRow),
    /// The bytes of this object follow.
    Object {
        bucket: String,
        key: String,
        meta: Box<NewObject>,
    },
    Bytes(Vec<u8>),
    ObjectEnd,
}

/// Whoever takes the items; an error ends the reading.
pub(super) trait Taker {
    fn take(&mut self, item: Item) -> Result<(), String>;
}

/// Reads a document: the settings come back, the rest goes to the taker.
///
/// # Errors
/// What is no JSON, or does not fit, with the path to it; what the taker refuses comes back as its own text. Rows that were taken before
/// stay with the taker, which takes them back.
pub(super) fn read(from: impl Read, taker: &mut impl Taker) -> Result<Map<String, Value>, String> {
    let mut reader = serde_json::Deserializer::from_reader(from);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let settings = Document { taker }.deserialize(tracked).map_err(|error| {
        let path = track.path().to_string();
        let told = in_plain_words(&error);
        if path == "." {
            told
        } else {
            format!("{path}: {told}")
        }
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(settings)
}

struct Document<'a, T> {
    taker: &'a mut T,
}

impl<'de, T: Taker> DeserializeSeed<'de> for Document<'_, T> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, T: Taker> Visitor<'de> for Document<'_, T> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut settings = Map::new();
        let mut known = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !known.insert(name.clone()) {
                return Err(A::Error::custom(format!("{name} is there twice")));
            }
            match name.as_str() {
                "sessions" => map.next_value_seed(Rows::new(self.taker, Item::Session))?,
                "slices" => map.next_value_seed(Rows::new(self.taker, Item::Slice))?,
                "files" => map.next_value_seed(Rows::new(self.taker, Item::File))?,
                "objects" => map.next_value_seed(Objects(self.taker))?,
                _ => {
                    let value = map.next_value()?;
                    settings.insert(name, value);
                }
            }
        }
        Ok(settings)
    }
}

struct Rows<'a, T, R> {
    taker: &'a mut T,
    item: fn(R) -> Item,
    row: PhantomData<R>,
}

impl<'a, T, R> Rows<'a, T, R> {
    fn new(taker: &'a mut T, item: fn(R) -> Item) -> Self {
        Self {
            taker,
            item,
            row: PhantomData,
        }
    }
}

impl<'de, T: Taker, R: DeserializeOwned> DeserializeSeed<'de> for Rows<'_, T, R> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Taker, R: DeserializeOwned> Visitor<'de> for Rows<'_, T, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element::<R>()? {
            self.taker
                .take((self.item)(row))
                .map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

struct Objects<'a, T>(&'a mut T);

impl<'de, T: Taker> DeserializeSeed<'de> for Objects<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Taker> Visitor<'de> for Objects<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Object(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

struct Object<'a, T>(&'a mut T);

impl<'de, T: Taker> DeserializeSeed<'de> for Object<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, T: Taker> Visitor<'de> for Object<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with bucket, key, meta and base64")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut bucket, mut key, mut meta) = (None, None, None);
        let mut has_bytes = false;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "bucket" => bucket = Some(map.next_value()?),
                "key" => key = Some(map.next_value()?),
                "meta" => meta = Some(map.next_value()?),
                "base64" => {
                    let (Some(bucket), Some(key)) = (bucket.take(), key.take()) else {
                        return Err(A::Error::custom("bucket and key stand before base64"));
                    };
                    let meta = Box::new(meta.take().unwrap_or_default());
                    let item = Item::Object { bucket, key, meta };
                    self.0.take(item).map_err(A::Error::custom)?;
                    map.next_value_seed(Pieces(&mut *self.0))?;
                    self.0.take(Item::ObjectEnd).map_err(A::Error::custom)?;
                    has_bytes = true;
                }
                _ => {
                    let told = "there is no such field; an object has bucket, key, meta, base64";
                    return Err(A::Error::custom(format!("{name}: {told}")));
                }
            }
        }
        if has_bytes {
            Ok(())
        } else {
            Err(A::Error::missing_field("base64"))
        }
    }
}

/// An object's bytes, in pieces that are texts of their own.
struct Pieces<'a, T>(&'a mut T);

impl<'de, T: Taker> DeserializeSeed<'de> for Pieces<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Taker> Visitor<'de> for Pieces<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of base64 texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(piece) = seq.next_element::<String>()? {
            let bytes = STANDARD.decode(piece).map_err(A::Error::custom)?;
            self.0.take(Item::Bytes(bytes)).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Checks every item and keeps none.
#[derive(Default)]
pub(super) struct Checked {
    names: HashSet<u64>,
    pub sessions: usize,
    pub slices: usize,
    pub files: usize,
    pub objects: usize,
}

impl Checked {
    /// Whether a name comes for the first time, as far as names are remembered.
    fn once(&mut self, place: &str, name: &str) -> Result<(), String> {
        let mut hasher = DefaultHasher::new();
        (place, name).hash(&mut hasher);
        if self.names.len() < NAMES_KEPT && !self.names.insert(hasher.finish()) {
            return Err(format!("{name}: it is there already"));
        }
        Ok(())
    }

    /// Whether a name of a row comes for the first time, and the row's column takes it.
    fn named(&mut self, place: &str, name: &str, most: usize) -> Result<(), String> {
        check::length(name, most).map_err(|why| format!("{name}: {why}"))?;
        self.once(place, name)
    }
}

impl Taker for Checked {
    fn take(&mut self, item: Item) -> Result<(), String> {
        match item {
            Item::Session(row) => {
                self.sessions += 1;
                self.named("sessions", &row.id, check::SESSION_ID)?;
                check::session(&row)
            }
            Item::Slice(row) => {
                self.slices += 1;
                self.named("slices", &row.id, check::RECORD_ID)?;
                check::slice(&row)
            }
            Item::File(row) => {
                self.files += 1;
                self.named("files", &row.id, check::RECORD_ID)?;
                self.named("files by dedupe", &row.dedupe, check::DEDUPE)?;
                check::file(&row)
            }
            Item::Object { bucket, key, .. } => {
                self.objects += 1;
                self.once("objects", &format!("{:x}", hash_of(&bucket, &key)))?;
                check::object(&bucket, &key)
            }
            Item::Bytes(_) | Item::ObjectEnd => Ok(()),
        }
    }
}

fn hash_of(bucket: &str, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (bucket, key).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(document: &str) -> Result<(Map<String, Value>, Checked), String> {
        let mut checked = Checked::default();
        read(document.as_bytes(), &mut checked).map(|settings| (settings, checked))
    }

    #[test]
    fn settings_come_back_and_rows_go_by() {
        let document = json!({
            "localyun": 1, "rules": [{"a": 1}],
            "objects": [{"bucket": "rec-1", "key": "a/b", "meta": {"content_type": "x/y"}, "base64": ["AQID", "BA=="]}],
            "slices": [{
                "id": "x", "stream_hash": "h", "session_id": "s", "sequence": 0, "bucket": "b", "endpoint": "e", "object": "o",
                "started_at": 0, "ended_at": 1, "duration_ms": 1, "uploaded_at": 1, "discontinuity": false, "width": 0, "height": 0,
            }],
        });
        let (settings, checked) = told(&document.to_string()).unwrap();
        assert_eq!(settings.keys().collect::<Vec<_>>(), ["localyun", "rules"]);
        assert_eq!((checked.objects, checked.slices), (1, 1));
        let mut twice = document;
        let row = twice["slices"][0].clone();
        twice["slices"].as_array_mut().unwrap().push(row);
        let why = told(&twice.to_string()).err().unwrap();
        assert!(why.contains("slices: x: it is there already"), "{why}");
        twice["slices"].as_array_mut().unwrap().pop();
        for (name, most) in [("id", 64), ("session_id", 40)] {
            let mut long = twice.clone();
            long["slices"][0][name] = json!("n".repeat(most + 1));
            let why = told(&long.to_string()).err().unwrap();
            assert!(why.contains(&format!("1 to {most} characters")), "{why}");
        }
    }

    #[test]
    fn what_is_no_snapshot_is_told_where() {
        for (document, place) in [
            ("[]", "JSON object"),
            ("{\"a\": 1, \"a\": 2}", "twice"),
            ("{\"slices\": {}}", "slices"),
            ("{\"sessions\": [{\"id\": 1}]}", "sessions[0]"),
            ("{\"objects\": [{\"base64\": []}]}", "before base64"),
            (
                "{\"objects\": [{\"bucket\": \"rec-1\", \"key\": \"k\", \"base64\": [\"*\"]}]}",
                "objects[0]",
            ),
            (
                "{\"objects\": [{\"bucket\": \"rec-1\", \"key\": \"k\"}]}",
                "base64",
            ),
            (
                "{\"objects\": [{\"bucket\": \"No_\", \"key\": \"k\", \"base64\": []}]}",
                "No_",
            ),
            ("{} x", "trailing"),
            ("{\"rules\": ", "EOF"),
        ] {
            let why = told(document).err().unwrap();
            assert!(why.contains(place), "{document}: {why}");
        }
    }
}
