//! The policy of a form upload: signature, expiry, and the conditions that the fields must meet.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::KeyRing;
use super::code::Code;
use super::error::ServeError;
use super::sign::{Now, hmac_sha1, hmac_sha256, mismatch, same};

/// Conditions of one policy at most.
const MAX_CONDITIONS: usize = 100;

/// Fields by lower-case name.
pub type Fields = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Policy {
    expiration: String,
    #[serde(default)]
    conditions: Vec<Value>,
}

/// Computes a form's signature from a secret.
type Compute<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// Fields that no condition needs to name.
fn is_exempt(name: &str) -> bool {
    matches!(
        name,
        "ossaccesskeyid"
            | "awsaccesskeyid"
            | "signature"
            | "policy"
            | "file"
            | "x-oss-signature"
            | "x-amz-signature"
    ) || name.starts_with("x-ignore-")
}

/// Checks who sends a form; gives the key's id and the bounds that the policy puts on the file's length.
pub fn check(
    fields: &Fields,
    bucket: &str,
    keys: &dyn KeyRing,
    now: Now<'_>,
) -> Result<(u64, u64), ServeError> {
    let field = |name: &str| fields.get(name).map(String::as_str);
    let policy = field("policy")
        .ok_or_else(|| ServeError::denied("A form upload needs the field policy."))?;
    let (id, given, computed): (&str, &str, Compute) = if let Some(credential) =
        field("x-oss-credential").or(field("x-amz-credential"))
    {
        let aws = field("x-oss-credential").is_none();
        let (id, scope) = credential.split_once('/').unwrap_or((credential, ""));
        let (start, given) = if aws {
            ("AWS4", field("x-amz-signature"))
        } else {
            ("aliyun_v4", field("x-oss-signature"))
        };
        let compute = move |secret: &str| {
            let key = scope
                .split('/')
                .fold(format!("{start}{secret}").into_bytes(), |key, part| {
                    hmac_sha256(&key, part.as_bytes())
                });
            hex::encode(hmac_sha256(&key, policy.as_bytes()))
        };
        (id, given.unwrap_or_default(), Box::new(compute))
    } else {
        let id = field("ossaccesskeyid")
            .or(field("awsaccesskeyid"))
            .unwrap_or_default();
        let compute =
            move |secret: &str| STANDARD.encode(hmac_sha1(secret.as_bytes(), policy.as_bytes()));
        (
            id,
            field("signature").unwrap_or_default(),
            Box::new(compute),
        )
    };
    let entry = keys.find(id).ok_or_else(|| {
        ServeError::of(Code::InvalidAccessKeyId).with("OSSAccessKeyId", id.to_owned())
    })?;
    if !same(&computed(&entry.secret), given) {
        return Err(mismatch(id, given, policy, None));
    }
    let token = field("x-oss-security-token").or(field("x-amz-security-token"));
    if entry.security_token.is_some() && entry.security_token.as_deref() != token {
        return Err(ServeError::of(Code::InvalidSecurityToken));
    }
    conditions(fields, bucket, policy, now)
}

fn conditions(
    fields: &Fields,
    bucket: &str,
    policy: &str,
    now: Now<'_>,
) -> Result<(u64, u64), ServeError> {
    let malformed = || ServeError::of(Code::InvalidPolicyDocument);
    let bytes = STANDARD.decode(policy.trim()).map_err(|_| malformed())?;
    let policy: Policy = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    let expires: jiff::Timestamp = policy.expiration.parse().map_err(|_| malformed())?;
    let expires = expires.as_millisecond();
    if now.near(expires) > expires {
        return Err(ServeError::denied(
            "Invalid according to Policy: Policy expired.",
        ));
    }
    if policy.conditions.len() > MAX_CONDITIONS {
        return Err(malformed());
    }
    let (mut least, mut most) = (0, u64::MAX);
    let mut named = Vec::new();
    let value = |name: &str| {
        if name == "bucket" {
            bucket
        } else {
            fields.get(name).map_or("", String::as_str)
        }
    };
    for condition in &policy.conditions {
        let fits = match condition {
            Value::Object(pairs) => pairs.iter().all(|(name, wanted)| {
                let name = name.to_ascii_lowercase();
                let fits = wanted.as_str() == Some(value(&name));
                named.push(name);
                fits
            }),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(verb), low, high]
                    if verb.eq_ignore_ascii_case("content-length-range") =>
                {
                    let number =
                        |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
                    (least, most) = (
                        number(low).ok_or_else(malformed)?,
                        number(high).ok_or_else(malformed)?,
                    );
                    true
                }
                [Value::String(verb), Value::String(name), wanted] => {
                    let name = name.trim_start_matches('$').to_ascii_lowercase();
                    let held = value(&name);
                    let fits = match (verb.to_ascii_lowercase().as_str(), wanted) {
                        ("eq", Value::String(wanted)) => held == wanted,
                        ("starts-with", Value::String(start)) => held.starts_with(start.as_str()),
                        ("in", Value::Array(list)) => {
                            list.iter().any(|item| item.as_str() == Some(held))
                        }
                        ("not-in", Value::Array(list)) => {
                            list.iter().all(|item| item.as_str() != Some(held))
                        }
                        _ => return Err(malformed()),
                    };
                    named.push(name);
                    fits
                }
                _ => return Err(malformed()),
            },
            _ => return Err(malformed()),
        };
        if !fits {
            return Err(ServeError::denied(format!(
                "Invalid according to Policy: Policy Condition failed: {condition}"
            )));
        }
    }
    // S3 wants every field named by the policy, OSS does not; the laxer one is kept for both, except for the list that
    // would open the object to everybody.
    match fields
        .keys()
        .find(|name| name.ends_with("-acl") && !is_exempt(name) && !named.contains(name))
    {
        Some(extra) => Err(ServeError::denied(format!(
            "Invalid according to Policy: Extra input fields: {extra}"
        ))),
        None => Ok((least, most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::serve::KeyEntry;

    struct One;

    impl KeyRing for One {
        fn find(&self, id: &str) -> Option<KeyEntry> {
            (id == "testid").then(|| KeyEntry {
                secret: "testsecret".into(),
                security_token: None,
            })
        }
    }

    const NOW: Now<'static> = Now {
        service_ms: 1_795_360_256_000,
        machine_ms: 1_795_360_256_000,
        offset_at: &|_| 0,
    };

    fn form(policy: &str, more: &[(&str, &str)]) -> Fields {
        let policy = STANDARD.encode(policy);
        let signature = STANDARD.encode(hmac_sha1(b"testsecret", policy.as_bytes()));
        let base = [
            ("ossaccesskeyid", "testid"),
            ("key", "user/a.jpg"),
            ("policy", &policy),
            ("signature", &signature),
        ];
        base.iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_policy_bounds_key_bucket_and_length() {
        let policy = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key","user/"],["content-length-range",1,10]]}"#;
        assert_eq!(
            check(&form(policy, &[]), "b", &One, NOW).expect("allowed"),
            (1, 10)
        );
        assert_eq!(
            check(&form(policy, &[]), "other", &One, NOW)
                .expect_err("bucket")
                .code,
            "AccessDenied"
        );
        assert_eq!(
            check(&form(policy, &[("key", "x")]), "b", &One, NOW)
                .expect_err("key")
                .code,
            "AccessDenied"
        );
        let open = form(policy, &[("x-oss-object-acl", "public-read")]);
        assert_eq!(
            check(&open, "b", &One, NOW).expect_err("acl").code,
            "AccessDenied"
        );
    }

    #[test]
    fn expired_forged_and_broken_policies_are_refused() {
        let late = r#"{"expiration":"2026-11-22T15:00:00Z","conditions":[]}"#;
        assert!(
            check(&form(late, &[]), "b", &One, NOW)
                .expect_err("late")
                .message
                .contains("expired")
        );
        let good = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[]}"#;
        let forged = form(good, &[("signature", "AAAA")]);
        assert_eq!(
            check(&forged, "b", &One, NOW).expect_err("forged").code,
            "SignatureDoesNotMatch"
        );
        let nobody = form(good, &[("ossaccesskeyid", "nobody")]);
        assert_eq!(
            check(&nobody, "b", &One, NOW).expect_err("nobody").code,
            "InvalidAccessKeyId"
        );
        assert_eq!(
            check(&form("{", &[]), "b", &One, NOW)
                .expect_err("broken")
                .code,
            "InvalidPolicyDocument"
        );
    }
}
