//! Tickets: addresses of media that a `<video>` or a download can fetch, which send no header of ours.
//!
//! Where there is a control token, the console asks for a ticket with it. A ticket is good for one path with one query, for an hour of
//! machine time, and as long as the process lives: it is a keyed hash with a key that nobody else ever had. The token itself stands in no
//! address, and so in no log and no history.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::ask::{Ask, Outcome, Refused, answer};
use crate::clock::machine_now;
use crate::phrases::Phrase;
use crate::site;

const GOOD_FOR_MS: i64 = 3_600_000;
/// What the address of a ticket may lead to.
const PATHS: [&str; 3] = [
    "/_localyun/ui/object?",
    "/_localyun/ui/play?",
    "/_localyun/ui/live?",
];
/// Bytes of a path that a ticket is made for, its query included.
const MOST_PATH: usize = 4_096;

/// The process's own key; `None` where the system has no randomness.
fn key() -> Option<&'static [u8; 32]> {
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let made = KEY.get_or_init(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    made.as_ref()
}

/// The hash of a path with its query and its end.
fn stamp(key: &[u8], path: &str, until: &str) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).ok()?;
    mac.update(path.as_bytes());
    mac.update(b"\n");
    mac.update(until.as_bytes());
    Some(mac)
}

fn ticketed(key: &[u8], path: &str, now: i64) -> Option<String> {
    let until = (now + GOOD_FOR_MS).to_string();
    let ticket = hex::encode(stamp(key, path, &until)?.finalize().into_bytes());
    Some(format!("{path}&until={until}&ticket={ticket}"))
}

fn is_good(key: &[u8], path: &str, query: &str, now: i64) -> bool {
    let Some((asked, rest)) = query.rsplit_once("&until=") else {
        return false;
    };
    let Some((until, ticket)) = rest.split_once("&ticket=") else {
        return false;
    };
    let in_time = until
        .parse()
        .is_ok_and(|until: i64| now <= until && until <= now + GOOD_FOR_MS);
    let given = hex::decode(ticket).unwrap_or_default();
    in_time
        && stamp(key, &format!("{path}?{asked}"), until)
            .is_some_and(|mac| mac.verify_slice(&given).is_ok())
}

/// Refuses a request for media from who may not have it: the page of another site, and where there is a token, who has neither it nor a ticket.
pub(super) fn admit(ask: &Ask) -> Result<(), Refused> {
    if site::is_foreign_page(&ask.parts) {
        return Err(Refused::new(403, Phrase::ForeignMedia));
    }
    let token = ask.app.config.control_token.as_deref();
    if token.is_none_or(|token| super::is_told(token, &ask.parts)) {
        return Ok(());
    }
    let good =
        key().is_some_and(|key| is_good(key, &ask.parts.path, &ask.parts.query, machine_now()));
    if good {
        return Ok(());
    }
    Err(Refused::new(401, Phrase::TicketMissing))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    path: String,
}

/// Gives a ticket for one address.
pub(super) async fn give(ask: Ask) -> Outcome {
    let Wanted { path } = ask.fields()?;
    if path.len() > MOST_PATH
        || !PATHS.iter().any(|known| path.starts_with(known))
        || path.contains("&ticket=")
    {
        return Err(Refused::bad(Phrase::BadTicketPath));
    }
    let url = key().and_then(|key| ticketed(key, &path, machine_now()));
    let url = url.ok_or_else(|| Refused::broken("the system gives no randomness"))?;
    answer(&json!({"url": url, "good_for_s": GOOD_FOR_MS / 1000}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_for_one_address_and_one_hour() {
        let key = [7; 32];
        let path = "/_localyun/ui/object?bucket=b&key=a%26until%3D1";
        let url = ticketed(&key, path, 1_000).unwrap();
        let (place, query) = url.split_once('?').unwrap();
        for (now, good) in [
            (1_000, true),
            (1_000 + GOOD_FOR_MS, true),
            (1_001 + GOOD_FOR_MS, false),
            (-GOOD_FOR_MS, false),
        ] {
            assert_eq!(is_good(&key, place, query, now), good, "{now}");
        }
        assert!(!is_good(&[8; 32], place, query, 1_000));
        assert!(!is_good(&key, "/_localyun/ui/play", query, 1_000));
        assert!(!is_good(
            &key,
            place,
            &query.replace("bucket=b", "bucket=c"),
            1_000
        ));
        assert!(!is_good(
            &key,
            place,
            &query.replace("until=36", "until=37"),
            1_000
        ));
        for broken in [
            "",
            "bucket=b",
            "&until=1",
            "&until=x&ticket=",
            "&until=9&ticket=zz",
        ] {
            assert!(!is_good(&key, place, broken, 1), "{broken}");
        }
    }
}
