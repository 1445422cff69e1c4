//! The policy of a form upload: signature, expiry, and the conditions that the fields must meet.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::keys;
use super::sign::{Now, hmac_sha1, hmac_sha256, mismatch, same};
use crate::identity::KeyRing;

/// Conditions of one policy at most.
const MAX_CONDITIONS: usize = 100;

/// Fields by lower-case name.
pub type Fields = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Policy {
    expiration: String,
    conditions: Vec<Value>,
}

/// Computes a form's signature from a secret.
type Compute<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// What a form does, as far as its fields alone do not say it.
#[derive(Clone, Copy)]
pub struct Acting<'a> {
    pub bucket: &'a str,
    /// The key with the file's name in it.
    pub key: &'a str,
    /// The media type that the part of the file carries; it counts where no field names one.
    pub file_type: Option<&'a str>,
}

impl Acting<'_> {
    /// What a condition on `name` is held against.
    fn value<'v>(&'v self, fields: &'v Fields, name: &str) -> &'v str {
        let field = fields.get(name).map(String::as_str);
        match name {
            "bucket" => self.bucket,
            "key" => self.key,
            "content-type" => field.or(self.file_type).unwrap_or_default(),
            _ => field.unwrap_or_default(),
        }
    }
}

/// Whose words a form speaks, by the key that signed its policy.
pub fn dialect(fields: &Fields) -> Dialect {
    let has = |name: &str| fields.contains_key(name);
    if has("x-oss-credential") {
        return Dialect::Oss;
    }
    if has("x-amz-credential") || (has("awsaccesskeyid") && !has("ossaccesskeyid")) {
        return Dialect::S3;
    }
    Dialect::Oss
}

/// Whether a field opens an object to others, in the words of either product.
fn opens(name: &str) -> bool {
    name == "acl" || name.ends_with("-acl") || name.contains("-grant-")
}

/// Whether a name is one that only S3's forms have.
fn is_of_s3(name: &str) -> bool {
    name == "acl" || name.starts_with("x-amz-")
}

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
            | "x-amz-security-token"
    ) || name.starts_with("x-ignore-")
}

/// Checks who sends a form; gives the key's id and the bounds that the policy puts on the file's length.
pub fn check(
    fields: &Fields,
    acting: Acting<'_>,
    keys: &KeyRing,
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
    if given.is_empty() {
        return Err(ServeError::argument(
            "Signature",
            "",
            "The bucket POST must contain the field Signature. If it is specified, please check the order of the fields.",
        ));
    }
    let found = keys::known(keys, id)?;
    if !same(&computed(&found.key.secret), given) {
        return Err(mismatch(id, given, policy, None));
    }
    let token = field("x-oss-security-token").or(field("x-amz-security-token"));
    keys::check_token(&found, token, now.service_ms)?;
    conditions(fields, acting, policy, now)
}

/// The moment that a policy names, in the form of RFC 3339 with its `T`.
fn expiration(text: &str) -> Option<i64> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    let is_marked = text.as_bytes().get(10) == Some(&b'T');
    is_marked.then(|| moment.as_millisecond())
}

fn conditions(
    fields: &Fields,
    acting: Acting<'_>,
    policy: &str,
    now: Now<'_>,
) -> Result<(u64, u64), ServeError> {
    let malformed = || ServeError::of(Code::InvalidPolicyDocument);
    let bytes = STANDARD.decode(policy.trim()).map_err(|_| malformed())?;
    let policy: Policy = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    let expires = expiration(&policy.expiration).ok_or_else(malformed)?;
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
    let value = |name: &str| acting.value(fields, name);
    for condition in &policy.conditions {
        let fits = match condition {
            Value::Object(pairs) if !pairs.is_empty() => pairs.iter().all(|(name, wanted)| {
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
                    // Several hold together.
                    least = least.max(number(low).ok_or_else(malformed)?);
                    most = most.min(number(high).ok_or_else(malformed)?);
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
    // In S3 a field that the policy does not speak of is refused; in OSS it passes, but here none that opens the object to others. The older
    // signatures of the two are the same bytes, so that a policy in S3's words is S3's, by whatever name its key comes.
    let of_s3 = dialect(fields) == Dialect::S3 || named.iter().any(|name| is_of_s3(name));
    let unbound = |name: &&String| {
        !is_exempt(name) && (of_s3 || opens(name)) && !named.iter().any(|named| named == *name)
    };
    match fields.keys().find(unbound) {
        Some(extra) => Err(extra_field(extra)),
        None if of_s3 && !named.iter().any(|named| named == "bucket") => Err(extra_field("bucket")),
        None => Ok((least, most)),
    }
}

fn extra_field(name: &str) -> ServeError {
    ServeError::denied(format!(
        "Invalid according to Policy: Extra input fields: {name}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AccessKey;

    fn one() -> KeyRing {
        KeyRing::new(vec![AccessKey {
            id: "testid".to_owned(),
            secret: "testsecret".to_owned(),
            token: None,
            disabled: false,
        }])
    }

    const NOW: Now<'static> = Now {
        service_ms: 1_795_360_256_000,
        machine_ms: 1_795_360_256_000,
        offset_at: &|_| 0,
    };

    const IN_B: Acting<'static> = Acting {
        bucket: "b",
        key: "user/a.jpg",
        file_type: Some("image/jpeg"),
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
            check(&form(policy, &[]), IN_B, &one(), NOW).expect("allowed"),
            (1, 10)
        );
        assert_eq!(
            check(
                &form(policy, &[]),
                Acting {
                    bucket: "other",
                    ..IN_B
                },
                &one(),
                NOW
            )
            .expect_err("bucket")
            .code,
            "AccessDenied"
        );
        assert_eq!(
            check(&form(policy, &[]), Acting { key: "x", ..IN_B }, &one(), NOW)
                .expect_err("key")
                .code,
            "AccessDenied"
        );
        let open = form(policy, &[("x-oss-object-acl", "public-read")]);
        assert_eq!(
            check(&open, IN_B, &one(), NOW).expect_err("acl").code,
            "AccessDenied"
        );
    }

    #[test]
    fn expired_forged_and_broken_policies_are_refused() {
        let late = r#"{"expiration":"2026-11-22T15:00:00Z","conditions":[]}"#;
        assert!(
            check(&form(late, &[]), IN_B, &one(), NOW)
                .expect_err("late")
                .message
                .contains("expired")
        );
        let good = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[]}"#;
        let forged = form(good, &[("signature", "AAAA")]);
        assert_eq!(
            check(&forged, IN_B, &one(), NOW).expect_err("forged").code,
            "SignatureDoesNotMatch"
        );
        let nobody = form(good, &[("ossaccesskeyid", "nobody")]);
        assert_eq!(
            check(&nobody, IN_B, &one(), NOW).expect_err("nobody").code,
            "InvalidAccessKeyId"
        );
        assert_eq!(
            check(&form("{", &[]), IN_B, &one(), NOW)
                .expect_err("broken")
                .code,
            "InvalidPolicyDocument"
        );
    }

    #[test]
    fn every_field_that_opens_an_object_is_bound_by_the_policy() {
        let free = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[{"bucket":"b"}]}"#;
        for name in ["acl", "x-oss-object-acl", "x-amz-acl", "x-amz-grant-read"] {
            let open = form(free, &[(name, "public-read")]);
            let refused = check(&open, IN_B, &one(), NOW).expect_err(name);
            assert!(refused.message.contains(name), "{refused}");
            let bound = format!(
                r#"{{"expiration":"2026-11-22T16:00:00Z","conditions":[{{"bucket":"b"}},["starts-with","$key",""],["eq","${name}","public-read"]]}}"#
            );
            let bound = form(&bound, &[(name, "public-read")]);
            assert!(check(&bound, IN_B, &one(), NOW).is_ok(), "{name}");
        }
    }

    #[test]
    fn s3_wants_every_field_named() {
        let policy = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key","user/"]]}"#;
        let as_s3 = |more: &[(&str, &str)]| {
            let mut fields = form(policy, more);
            let id = fields.remove("ossaccesskeyid").expect("an id");
            fields.insert("awsaccesskeyid".into(), id);
            check(&fields, IN_B, &one(), NOW)
        };
        assert!(as_s3(&[]).is_ok());
        assert!(as_s3(&[("x-ignore-this", "1")]).is_ok());
        for name in ["content-type", "x-amz-meta-a", "success_action_status"] {
            let refused = as_s3(&[(name, "1")]).expect_err(name);
            assert!(refused.message.contains(name), "{refused}");
        }
    }

    #[test]
    fn a_policy_in_the_words_of_s3_is_s3s_by_whatever_name_its_key_comes() {
        for word in ["acl", "x-amz-meta-a", "x-amz-storage-class"] {
            let policy = format!(
                r#"{{"expiration":"2026-11-22T16:00:00Z","conditions":[{{"bucket":"b"}},["starts-with","$key","user/"],["eq","${word}","x"]]}}"#
            );
            assert!(check(&form(&policy, &[(word, "x")]), IN_B, &one(), NOW).is_ok());
            let more = form(&policy, &[(word, "x"), ("content-type", "text/html")]);
            let refused = check(&more, IN_B, &one(), NOW).expect_err(word);
            assert!(refused.message.contains("content-type"), "{refused}");
        }
    }

    #[test]
    fn all_bounds_of_the_length_hold_together() {
        let policy = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[["content-length-range",5,10],["content-length-range",0,100],["content-length-range",2,50]]}"#;
        let bounds = check(&form(policy, &[]), IN_B, &one(), NOW).expect("bounds");
        assert_eq!(bounds, (5, 10));
    }

    #[test]
    fn conditions_are_held_against_what_the_form_does() {
        let policy = r#"{"expiration":"2026-11-22T16:00:00Z","conditions":[["starts-with","$content-type","image/"],["eq","$key","user/a.jpg"]]}"#;
        let named = form(policy, &[("key", "user/${filename}")]);
        assert!(check(&named, IN_B, &one(), NOW).is_ok());
        let of_the_field = form(policy, &[("content-type", "text/html")]);
        assert!(check(&of_the_field, IN_B, &one(), NOW).is_err());
        let without = Acting {
            file_type: None,
            ..IN_B
        };
        assert!(check(&named, without, &one(), NOW).is_err());
    }
}
