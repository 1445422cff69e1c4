//! Signed addresses of stored objects: what is recorded is private, and whoever looks at the control plane may look at it.

use std::time::Duration;

use serde_json::json;

use super::ask::{Ask, Outcome, Refused, answer};
use crate::app::App;
use crate::media::hls::encode_uri_path;
use crate::objects::Store;
use crate::objects::serve::signed_query;
use crate::site::addresses::Seen;
use crate::wire_time::unix_seconds;

/// How long an address is good.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// The signed address of an object; none where nothing can sign it.
pub(super) async fn address(
    app: &App,
    seen: &Seen<'_>,
    bucket: &str,
    object: &str,
) -> Option<String> {
    match &app.services.objects.store {
        Store::Embedded(_) => {
            let key = app.config.access_keys.iter().find(|key| !key.disabled)?;
            let good_for = i64::try_from(GOOD_FOR.as_secs()).ok()?;
            let expires = unix_seconds(app.services.clock.now()) + good_for;
            let place = app.object_url(seen, bucket, &encode_uri_path(object));
            let query = signed_query(key, bucket, object, expires);
            Some(format!("{place}?{query}"))
        }
        Store::Outside(client) => client.signed_url(bucket, object, GOOD_FOR).await,
    }
}

/// Signs the address of any object.
pub(super) async fn sign(ask: Ask) -> Outcome {
    let needed = |name: &str| ask.query(name).ok_or_else(|| Refused::missing(name));
    let (bucket, key) = (needed("bucket")?, needed("key")?);
    let url = address(&ask.app, &ask.seen(), bucket, key).await;
    let url = url.ok_or_else(|| Refused::broken("no key is there that could sign"))?;
    answer(&json!({"url": url, "good_for_s": GOOD_FOR.as_secs()}))
}
