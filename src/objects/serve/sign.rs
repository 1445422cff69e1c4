//! Signatures: `oss_v1.rs` the OSS header and URL form of version 1, `aws_v2.rs` S3's of version 2, `v4.rs` the forms that OSS4 and AWS4 share.
//! This file holds what both need.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::code::Code;
use super::error::ServeError;
use super::request::Request;

pub mod aws_v2;
pub mod oss_v1;
pub mod v4;
#[cfg(test)]
mod vectors;

/// How far a request's date may lie from the nearer of the two clocks.
pub const MAX_SKEW_MS: i64 = 15 * 60 * 1000;

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const RESERVED_BUT_SLASH: &AsciiSet = &RESERVED.remove(b'/');

/// The service clock and the machine's clock, in Unix milliseconds, when a request came.
#[derive(Clone, Copy)]
pub struct Now<'a> {
    pub service_ms: i64,
    pub machine_ms: i64,
    /// How far the service clock was ahead at a moment of the machine's clock.
    pub offset_at: &'a (dyn Fn(i64) -> i64 + Send + Sync),
}

impl Now<'_> {
    /// The reading of the clock nearer to a moment: SDKs sign by the machine's clock, simulated ones by the service's.
    pub fn near(&self, moment_ms: i64) -> i64 {
        let distance = |clock: i64| clock.abs_diff(moment_ms);
        if distance(self.service_ms) <= distance(self.machine_ms) {
            self.service_ms
        } else {
            self.machine_ms
        }
    }

    /// Refuses a header signature whose date is too far from both clocks.
    pub fn check_date(&self, date_ms: i64) -> Result<(), ServeError> {
        if self.near(date_ms).abs_diff(date_ms) <= MAX_SKEW_MS.unsigned_abs() {
            return Ok(());
        }
        Err(ServeError::of(Code::RequestTimeTooSkewed)
            .with("RequestTime", timestamp(date_ms))
            .with("ServerTime", timestamp(self.service_ms)))
    }

    /// Refuses a signed URL whose date both clocks have still to reach.
    pub fn check_begun(&self, signed_ms: i64) -> Result<(), ServeError> {
        let latest = self.service_ms.max(self.machine_ms);
        if signed_ms <= latest.saturating_add(MAX_SKEW_MS) {
            return Ok(());
        }
        Err(ServeError::of(Code::RequestNotYetValid)
            .with("X-Amz-Date", timestamp(signed_ms))
            .with("ServerTime", timestamp(self.service_ms)))
    }

    /// Refuses a signed URL that ended.
    pub fn check_expiry(&self, signed_ms: Option<i64>, expires_ms: i64) -> Result<(), ServeError> {
        if !self.ended(signed_ms, expires_ms) {
            return Ok(());
        }
        Err(ServeError::of(Code::RequestExpired)
            .with("Expires", timestamp(expires_ms))
            .with("ServerTime", timestamp(self.service_ms)))
    }

    /// A URL dated by the machine's clock lives on the service clock from what that showed at the date; so advances since
    /// then count and earlier ones do not. Version 1 has no date: the clock nearer to the end decides.
    fn ended(&self, signed_ms: Option<i64>, expires_ms: i64) -> bool {
        let Some(signed) = signed_ms else {
            return self.near(expires_ms) > expires_ms;
        };
        if self.near(signed) == self.service_ms {
            return self.service_ms > expires_ms;
        }
        // Dates are whole seconds. An advance within that second came before or after the signing; one that goes just past
        // the end was probably made to see the URL end.
        let (before, after) = (
            (self.offset_at)(signed),
            (self.offset_at)(signed.saturating_add(999)),
        );
        let lifetime = expires_ms.saturating_sub(signed);
        let past_the_end = after.saturating_sub(before) <= lifetime.saturating_mul(2);
        let offset = if past_the_end { before } else { after };
        self.service_ms > expires_ms.saturating_add(offset)
    }
}

/// ISO 8601 with milliseconds.
pub fn timestamp(unix_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(unix_ms) {
        Ok(moment) => moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string(),
        Err(_) => String::new(),
    }
}

/// A date in the form of RFC 9110.
pub fn http_date(unix_ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A date of a header in one of the three forms of RFC 9110 section 5.6.7, in Unix milliseconds.
pub fn parse_http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
        .map(|moment| moment.as_millisecond())
        .or_else(|| parse_utc("%A, %d-%b-%y %H:%M:%S GMT", text))
        .or_else(|| parse_utc("%a %b %d %H:%M:%S %Y", text))
}

/// `20261122T151056Z` in Unix milliseconds.
pub fn parse_basic_date(text: &str) -> Option<i64> {
    parse_utc("%Y%m%dT%H%M%SZ", text)
}

fn parse_utc(form: &str, text: &str) -> Option<i64> {
    let moment = jiff::civil::DateTime::strptime(form, text).ok()?;
    Some(
        moment
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()?
            .timestamp()
            .as_millisecond(),
    )
}

/// Percent-encodes a query name or value, or a key with its slashes.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Percent-encodes a path, slashes kept.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_BUT_SLASH).to_string()
}

/// HMAC-SHA1.
pub fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length (RFC 2104), so the constructor cannot fail.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// HMAC-SHA256.
pub fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Compares signatures in a time that tells nothing about them. An empty one never matches.
pub fn same(computed: &str, given: &str) -> bool {
    !computed.is_empty() && bool::from(computed.as_bytes().ct_eq(given.as_bytes()))
}

/// Writes the parameters of a query that count as part of the resource, in order, as both older signatures sign them.
fn push_sub_resources(text: &mut String, request: &Request, counted: &[&str]) {
    let mut parts: Vec<_> = request
        .query
        .iter()
        .filter(|(name, _)| counted.contains(&name.as_str()))
        .collect();
    parts.sort_unstable();
    for (at, (name, value)) in parts.into_iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            text.push_str(value);
        }
    }
}

/// The refusal of a wrong signature, with what was signed on this side.
pub fn mismatch(
    key_id: &str,
    given: &str,
    string_to_sign: &str,
    canonical_request: Option<&str>,
) -> ServeError {
    let error = ServeError::of(Code::SignatureDoesNotMatch)
        .with("OSSAccessKeyId", key_id.to_owned())
        .with("SignatureProvided", given.to_owned())
        .with("StringToSign", string_to_sign.to_owned());
    match canonical_request {
        Some(canonical) => error.with("CanonicalRequest", canonical.to_owned()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn dates_are_read_in_both_forms() {
        assert_eq!(
            parse_http_date("Sun, 22 Nov 2026 15:10:56 GMT"),
            Some(1_795_360_256_000)
        );
        for obsolete in ["Sunday, 22-Nov-26 15:10:56 GMT", "Sun Nov 22 15:10:56 2026"] {
            assert_eq!(
                parse_http_date(obsolete),
                Some(1_795_360_256_000),
                "{obsolete}"
            );
        }
        assert_eq!(
            parse_http_date("Sun Nov  6 08:49:37 1994"),
            Some(784_111_777_000)
        );
        assert_eq!(
            parse_basic_date("20261122T151056Z"),
            Some(1_795_360_256_000)
        );
        assert_eq!(parse_basic_date("2026-11-22"), None);
        assert_eq!(timestamp(1_795_360_256_000), "2026-11-22T15:10:56.000Z");
    }

    #[test]
    fn a_date_may_lie_fifteen_minutes_from_either_clock() {
        let now = Now {
            service_ms: 0,
            machine_ms: 1_000 * MINUTE,
            offset_at: &|_| -1_000 * MINUTE,
        };
        for good in [0, 15 * MINUTE, -15 * MINUTE, 985 * MINUTE, 1_015 * MINUTE] {
            assert!(now.check_date(good).is_ok(), "{good}");
        }
        for bad in [15 * MINUTE + 1, 985 * MINUTE - 1, 500 * MINUTE] {
            assert_eq!(
                now.check_date(bad).expect_err("far").code,
                "RequestTimeTooSkewed"
            );
        }
    }

    #[test]
    fn an_address_of_the_future_is_not_valid_yet() {
        let day = 24 * 60 * MINUTE;
        for (service_ms, machine_ms) in [(0, -day), (-day, 0)] {
            let now = Now {
                service_ms,
                machine_ms,
                offset_at: &|_| 0,
            };
            for good in [0, 15 * MINUTE, -day] {
                assert!(now.check_begun(good).is_ok(), "{good}");
            }
            assert_eq!(
                now.check_begun(15 * MINUTE + 1).expect_err("early").code,
                Code::RequestNotYetValid
            );
        }
    }

    #[test]
    fn expiry_goes_by_the_nearer_clock() {
        let together = Now {
            service_ms: 61_000,
            machine_ms: 0,
            offset_at: &|_| 61_000,
        };
        assert_eq!(
            together
                .check_expiry(None, 60_000)
                .expect_err("ended")
                .message,
            "Request has expired."
        );
        assert!(together.check_expiry(None, 61_000).is_ok());
        let far_ahead = Now {
            service_ms: 900_000,
            machine_ms: 0,
            offset_at: &|_| 900_000,
        };
        assert!(far_ahead.check_expiry(None, 60_000).is_ok());
        let started_in_the_past = Now {
            service_ms: -1_000 * MINUTE,
            machine_ms: 61_000,
            offset_at: &|_| -1_000 * MINUTE - 61_000,
        };
        assert!(started_in_the_past.check_expiry(None, 60_000).is_err());
        assert!(
            started_in_the_past
                .check_expiry(Some(-1_000 * MINUTE), 0)
                .is_ok()
        );
    }

    #[test]
    fn a_dated_url_counts_the_advances_since_its_date() {
        // Advanced by 61 s at 10 s of the machine's clock; now it shows 12 s.
        let now = Now {
            service_ms: 73_000,
            machine_ms: 12_000,
            offset_at: &|machine| if machine < 10_000 { 0 } else { 61_000 },
        };
        assert!(now.check_expiry(Some(5_000), 65_000).is_err());
        assert!(now.check_expiry(Some(5_000), 80_000).is_ok());
        assert!(now.check_expiry(Some(11_000), 71_000).is_ok());
        assert!(now.check_expiry(Some(73_000), 74_000).is_ok());
        assert!(now.check_expiry(Some(72_000), 72_500).is_err());
        let in_its_second = Now {
            offset_at: &|machine| if machine < 11_500 { 0 } else { 61_000 },
            ..now
        };
        assert!(in_its_second.check_expiry(Some(11_000), 71_000).is_err());
        assert!(in_its_second.check_expiry(Some(11_000), 21_000).is_ok());
    }
}
