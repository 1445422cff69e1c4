//! Asking the on-demand URL whether to record (OnDemand=1).

use std::time::Duration;

use super::unrecorded;
use crate::clock::{self, Busy};
use crate::media::frame::VideoCodec;
use crate::model::notify::RecordNotify;
use crate::model::on_demand::{Answer, BODY_LIMIT, question_url, read_answer};
use crate::model::reason::{Reason, add_on_demand_url};
use crate::model::rule::FormatRule;
use crate::model::stream_key::StreamKey;
use crate::notify::asking::until_answered;
use crate::notify::deliver::{ATTEMPTS, RETRY_MS, TIMEOUT_MS};
use crate::notify::receiver::{read_limited, within};
use crate::phrases::Phrase;
use crate::secrets;
use crate::services::Services;
use crate::store::documents;

/// How long the question waits for the stream's headers, so that it can name codec and bitrate.
const HEADERS_PATIENCE: Duration = Duration::from_millis(500);

/// The formats to record, or none. Asks at most [`ATTEMPTS`] times; the guard that comes back counts what the answer sets off. A database that is
/// away is waited for first: what comes meanwhile is kept as while the receiver is asked.
pub async fn ask(
    services: &Services,
    key: &StreamKey,
    formats: &[FormatRule],
    describe: impl Fn() -> Option<(u32, Option<VideoCodec>)>,
    mut busy: Busy,
) -> (Option<Vec<FormatRule>>, Busy) {
    let find = || {
        let store = &services.store;
        store.find_document::<RecordNotify>(documents::Kind::RecordNotify, &key.domain)
    };
    let (found, held) = until_answered(&services.clock, busy, find).await;
    busy = held;
    let config = match found {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(stream.key = %key, %error, "the domain's OnDemandUrl cannot be read");
            // Nothing is known of the URL, so nothing that is to be done about it is named.
            let told = Reason {
                records: false,
                why: Phrase::PartIsAway.into(),
                cure: None,
            };
            unrecorded::tell(services, key, &told);
            return (None, busy);
        }
    };
    let Some(url) = config
        .and_then(|c| c.on_demand_url)
        .filter(|url| !url.is_empty())
    else {
        let told = Reason::no(Phrase::NoOnDemandUrl, add_on_demand_url(&key.domain));
        unrecorded::tell(services, key, &told);
        return (None, busy);
    };
    let waiting = clock::monotonic();
    let (kbps, codec) = loop {
        let Some((kbps, codec)) = describe() else {
            return (None, busy);
        };
        if codec.is_some() || waiting.elapsed() >= HEADERS_PATIENCE {
            break (kbps, codec);
        }
        clock::machine_sleep(Duration::from_millis(10)).await;
    };
    let url = question_url(&url, key, kbps, codec);
    for attempt in 1..=ATTEMPTS {
        let started = services.clock.now();
        let (answer, held) = one_try(services, &url, formats, busy).await;
        busy = held;
        match answer {
            Some(Answer::Record(formats)) => return (Some(formats), busy),
            Some(Answer::Decline(why)) => {
                let cure = Phrase::LookAtReceiver.with([("url", &secrets::url(&url))]);
                unrecorded::tell(services, key, &Reason::no(why, cure));
                return (None, busy);
            }
            None if attempt < ATTEMPTS => {
                let due = services.clock.now().max(started) + RETRY_MS;
                busy = services.clock.rest_until(busy, due).await;
            }
            None => {}
        }
    }
    let cure = Phrase::MakeReceiverUsable.with([("url", &secrets::url(&url))]);
    let told = Reason::no(Phrase::ReceiverIsNotUsable, cure);
    unrecorded::tell(services, key, &told);
    (None, busy)
}

async fn one_try(
    services: &Services,
    url: &str,
    formats: &[FormatRule],
    busy: Busy,
) -> (Option<Answer>, Busy) {
    let deadline = services.clock.now() + TIMEOUT_MS;
    let request = async {
        let response = services.http.get(url).send().await.ok()?;
        if response.status().as_u16() != 200 {
            return None;
        }
        let body = read_limited(response, BODY_LIMIT).await?;
        read_answer(&body, formats)
    };
    within(services, url, busy, deadline, request).await
}
