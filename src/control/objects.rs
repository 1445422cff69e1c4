//! What lies in the store: buckets, the objects of a folder, one object.

use serde_json::{Value, json};

use super::ask::{Ask, Outcome, Refused, answer};
use super::signed;
use super::watch::unseen;
use crate::objects::folder::Acl;
use crate::objects::look::Object;
use crate::phrases::Phrase;
use crate::wire_time;

/// Keys of a page where nothing is said.
const USUAL: u64 = 100;
/// Keys of a page at most.
const MOST: u64 = 1_000;

fn shown(object: &Object) -> Value {
    json!({
        "key": object.key,
        "size": object.size,
        "last_modified": wire_time::to_api(object.last_modified_ms),
        "etag": object.etag,
        "content_type": object.content_type,
        "acl": object.acl.map(Acl::as_str),
    })
}

/// All buckets.
pub(super) async fn buckets(ask: Ask) -> Outcome {
    let found = ask
        .app
        .services
        .objects
        .buckets()
        .await
        .map_err(|error| unseen(&error))?;
    let buckets: Vec<Value> = found
        .iter()
        .map(|bucket| {
            json!({
                "name": bucket.name,
                "created_at": bucket.created_ms.map(wire_time::to_api),
                "acl": bucket.acl.map(Acl::as_str),
                "cors": bucket.cors,
            })
        })
        .collect();
    answer(&json!({"buckets": buckets, "total": buckets.len()}))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Access {
    acl: String,
}

/// Says who may read a bucket.
pub(super) async fn set_acl(ask: Ask) -> Outcome {
    let Access { acl } = ask.fields()?;
    let wanted = Acl::parse(&acl).filter(|acl| *acl != Acl::Default);
    let wanted = wanted.ok_or_else(|| Refused::bad(Phrase::BadAcl))?;
    let bucket = ask.part(0);
    let objects = &ask.app.services.objects;
    objects
        .publish_bucket(bucket, wanted)
        .await
        .map_err(|error| unseen(&error))?;
    answer(&json!({"name": bucket, "acl": wanted.as_str()}))
}

/// A page of the objects that begin with a prefix.
pub(super) async fn list(ask: Ask) -> Outcome {
    let bucket = ask.query("bucket");
    let bucket = bucket.ok_or_else(|| Refused::missing("bucket"))?;
    let folded = match ask.query("delimiter") {
        None => false,
        Some("/") => true,
        Some(_) => return Err(Refused::bad(Phrase::BadDelimiter)),
    };
    let limit = ask.number("limit", 1..=MOST)?.unwrap_or(USUAL);
    let page = ask.app.services.objects.page(
        bucket,
        ask.query("prefix").unwrap_or_default(),
        folded,
        ask.query("cursor"),
        usize::try_from(limit).unwrap_or(usize::MAX),
    );
    let page = page.await.map_err(|error| unseen(&error))?;
    answer(&json!({
        "bucket": bucket,
        "objects": page.objects.iter().map(shown).collect::<Vec<_>>(),
        "prefixes": page.folders,
        "next": page.next,
    }))
}

/// What is known of one object.
pub(super) async fn one(ask: Ask) -> Outcome {
    let needed = |name: &str| ask.query(name).ok_or_else(|| Refused::missing(name));
    let (bucket, key) = (needed("bucket")?, needed("key")?);
    let facts = ask.app.services.objects.facts(bucket, key).await;
    let facts = facts.map_err(|error| unseen(&error))?;
    let mut told = shown(&facts);
    if let Value::Object(told) = &mut told {
        told.insert("bucket".to_owned(), bucket.into());
        // A number of 64 bits is none in JavaScript.
        told.insert(
            "crc64".to_owned(),
            json!(facts.crc64.map(|crc| crc.to_string())),
        );
        told.insert("user_metadata".to_owned(), json!(facts.user_metadata));
        let url = signed::address(&ask.app, &ask.seen(), bucket, key).await;
        told.insert("signed_url".to_owned(), json!(url));
    }
    answer(&told)
}
