//! The publish callbacks: that a push began or ended, told to the ingest domain's receiver, else to the streaming domain's.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::asking::until_answered;
use super::rows;
use crate::clock::{Busy, UnixMs};
use crate::ids;
use crate::model::event::Kind;
use crate::model::stream_key::StreamKey;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::streams::Fence;
use crate::wire_time::unix_seconds;

/// A push, as its callbacks tell it.
pub struct Push<'a> {
    pub key: &'a StreamKey,
    /// The domain that the push URL named, before mapping.
    pub ingest_domain: &'a str,
    /// `IP:PORT` of the publisher.
    pub address: &'a str,
    /// What stood behind the stream's name in the push URL.
    pub args: &'a str,
    /// When it began, or ended, whenever that is told.
    pub at: UnixMs,
    /// The width and the height of the picture in pixels; 0 where nothing is known of it.
    pub width: u32,
    pub height: u32,
}

/// What a value of a query is written with: everything but the unreserved characters of RFC 3986 is escaped.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The query of a publish callback. Everything in it that a publisher chose is escaped, the arguments of the push as one value: they
/// could name the callback's own parameters otherwise.
fn query(push: &Push<'_>, kind: Kind) -> String {
    let ip = push
        .address
        .rsplit_once(':')
        .map_or(push.address, |(ip, _)| ip);
    let value = |text| utf8_percent_encode(text, QUERY_VALUE);
    let mut query = format!(
        "action={}&ip={}&id={}&app={}&appname={}&time={}&usrargs={}&node=localyun",
        kind.as_str(),
        value(ip.trim_matches(['[', ']'])),
        value(&push.key.stream),
        value(push.ingest_domain),
        value(&push.key.app),
        unix_seconds(push.at),
        value(push.args),
    );
    if kind == Kind::Publish {
        query.push_str(&format!("&height={}&width={}", push.height, push.width));
    }
    query
}

/// Stores the callback that a push began or ended and wakes the sender. A database that is away is asked again, without the guard, for as long as
/// what `fence` was made for is remembered; what fails otherwise is logged: a push does not end for it.
pub async fn announce(
    services: &Services,
    push: &Push<'_>,
    kind: Kind,
    fence: &Fence,
    busy: Busy,
) -> Busy {
    let now = services.clock.now();
    let query = query(push, kind);
    // The same however often it is handed in.
    let dedupe = format!("{}:{}", ids::ordered_id(), kind.as_str());
    let store = || stored(services, push, kind, &dedupe, &query, (now, fence));
    let (done, busy) = until_answered(&services.clock, busy, store).await;
    match done {
        Ok(true) => services.notifier.wake(services.clock.busy()),
        Ok(false) | Err(StoreError::Forgotten) => {}
        Err(error) => tracing::error!(%error, "a publish callback cannot be stored"),
    }
    busy
}

/// Whether somebody is to be told, and the callback is in the outbox.
async fn stored(
    services: &Services,
    push: &Push<'_>,
    kind: Kind,
    dedupe: &str,
    query: &str,
    (now, fence): (UnixMs, &Fence),
) -> Result<bool, StoreError> {
    let store = &services.store;
    store.check_era(fence)?;
    let mapped = Some(push.key.domain.as_str()).filter(|domain| *domain != push.ingest_domain);
    for domain in [push.ingest_domain].into_iter().chain(mapped) {
        let callback = rows::ingest(services, domain, push.key, kind, dedupe.to_owned(), query);
        if let Some(callback) = callback.await? {
            // Whoever has the stream by now: that this push began and ended is told.
            store.enqueue_callback(&callback, now, &Fence::NONE).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_publisher_chose_cannot_name_parameters_of_the_callback() {
        let key = StreamKey::new("play.example.com", "live", "s&action=x");
        let push = Push {
            key: &key,
            ingest_domain: "push.example.com",
            address: "[::1]:4711",
            args: "a=1&time=0",
            at: 1_500,
            width: 1280,
            height: 720,
        };
        assert_eq!(
            query(&push, Kind::Publish),
            "action=publish&ip=%3A%3A1&id=s%26action%3Dx&app=push.example.com&appname=live&time=1\
             &usrargs=a%3D1%26time%3D0&node=localyun&height=720&width=1280"
        );
        assert!(!query(&push, Kind::PublishDone).contains("height"));
    }
}
