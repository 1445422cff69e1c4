//! The object store's signatures, OSS 1 and 4 and AWS 4, in headers and URLs: a request that is let in was signed with the
//! one secret, and a refused one is let in once it carries the signature of the text that the refusal names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use localyun::testing::objects::serve::fuzz::{Admitted, Refusal, authenticate, signing_key};
use sha1::Sha1;
use sha2::Sha256;

use crate::input::Input;

/// 2026-11-22T15:10:56Z, the date of the seeds.
const NOW_MS: i64 = 1_795_360_256_000;
const SECRET: &str = "testsecret";

#[derive(Clone)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    fn read(data: &[u8]) -> Self {
        let mut input = Input::new(data);
        let (method, target) = (input.line().to_owned(), input.line().to_owned());
        let mut headers = Vec::new();
        while !input.is_empty() && headers.len() < 100 {
            let line = input.line();
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            headers.push((name.trim().to_ascii_lowercase(), value.as_bytes().to_vec()));
        }
        Self {
            method,
            target,
            headers,
        }
    }

    fn ask(&self, secret: &str) -> Result<Admitted, Refusal> {
        let buckets = ["one".to_owned(), "two.b".to_owned()];
        authenticate(
            &self.method,
            &self.target,
            &self.headers,
            ("testid", secret),
            NOW_MS,
            &buckets,
        )
    }

    fn authorization(&mut self) -> Option<&mut Vec<u8>> {
        let mut headers = self.headers.iter_mut();
        headers
            .find(|(name, _)| name == "authorization")
            .map(|(_, value)| value)
    }

    /// Puts another signature in the place of the one there is; none where that place cannot be told for sure.
    fn with_signature(&self, v4: bool, signature: &str) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(value) = changed.authorization() {
            let text = String::from_utf8(value.clone()).ok()?;
            let new = if v4 {
                let start = text.find("Signature=")? + "Signature=".len();
                // Only where the first field of that name is the one that counts.
                let before = text[..start - "Signature=".len()].trim_end();
                if !before.ends_with([',']) && !before.ends_with("SHA256") {
                    return None;
                }
                let end = text[start..].find(',').map_or(text.len(), |at| start + at);
                format!("{}{signature}{}", &text[..start], &text[end..])
            } else {
                format!("{}:{signature}", text.split_once(':')?.0)
            };
            *value = new.into_bytes();
            return Some(changed);
        }
        let (path, query) = self.target.split_once('?')?;
        let mut found = false;
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name @ ("Signature" | "x-oss-signature" | "X-Amz-Signature"), _))
                    if !found =>
                {
                    found = true;
                    format!(
                        "{name}={}",
                        signature.replace('+', "%2B").replace('/', "%2F")
                    )
                }
                _ => pair.to_owned(),
            })
            .collect();
        changed.target = format!("{path}?{}", pairs.join("&"));
        // A name in another spelling would be the first, and it is not replaced here.
        let odd = query.contains("%5")
            || query.contains("%4")
            || query.contains("%6")
            || query.contains("%7")
            || query.contains("%2");
        (found && !odd).then_some(changed)
    }
}

fn sha256(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The signature of a text to sign, as its own form asks for; whether that is version 4.
fn sign(text: &str) -> (bool, String) {
    let mut lines = text.split('\n');
    let family = lines.next().unwrap_or_default();
    if matches!(family, "AWS4-HMAC-SHA256" | "OSS4-HMAC-SHA256") {
        let scope = lines.nth(1).unwrap_or_default();
        return (
            true,
            sha256(&signing_key(family.starts_with("AWS"), SECRET, scope), text),
        );
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    (false, STANDARD.encode(mac.finalize().into_bytes()))
}

pub fn run(data: &[u8]) {
    let request = Request::read(data);
    let refusal = match request.ask(SECRET) {
        Ok(admitted) => {
            if admitted.key_id.is_some() {
                assert_eq!(admitted.key_id.as_deref(), Some("testid"));
                let other = request.ask("othersecret");
                assert!(other.is_err(), "one signature for two secrets: {other:?}");
            }
            return;
        }
        Err(refusal) => refusal,
    };
    let Some(text) = refusal.string_to_sign else {
        return;
    };
    assert_eq!(refusal.code, "SignatureDoesNotMatch");
    let (v4, signature) = sign(&text);
    let Some(signed) = request.with_signature(v4, &signature) else {
        return;
    };
    match signed.ask(SECRET) {
        Ok(admitted) => assert_eq!(admitted.key_id.as_deref(), Some("testid")),
        // The signature is good, and the request's word for its body is none, or it has headers that are not signed.
        Err(again)
            if again.string_to_sign.is_none()
                && ["InvalidArgument", "AccessDenied"].contains(&again.code.as_str()) => {}
        // A signature that covers its own header cannot be made.
        Err(again) => assert!(
            again
                .string_to_sign
                .as_deref()
                .is_some_and(|now| now != text),
            "{again:?} for the text that it asked for:\n{text}"
        ),
    }
}
