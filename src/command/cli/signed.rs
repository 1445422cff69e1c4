//! One API request, signed: by its parameters (RPC signature V1) or by its headers (ACS3-HMAC-SHA256).
//!
//! The same code signs for `call`, `sign` and the demo, and keeps what it signed, so that `--explain` shows exactly that.

use reqwest::{Client, RequestBuilder};
use url::Url;

use super::CliError;
use super::target::{Key, Target};
use crate::clock::machine_now;
use crate::ids;
use crate::site::host;
use crate::wire::params::Pairs;
use crate::wire::percent;
use crate::wire_time;
use crate::{signature_v1, signature_v3};

/// The API's one version.
pub(super) const VERSION: &str = "2016-11-01";

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    V1,
    Acs3,
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) action: &'a str,
    pub(super) version: &'a str,
    pub(super) parameters: &'a [(String, String)],
}

/// What makes each signature another one.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    time: String,
    nonce: String,
}

impl Stamp {
    /// Now, by the machine's clock: the server accepts it whatever its service clock shows.
    pub(super) fn now() -> Self {
        Self {
            time: wire_time::to_api(machine_now()),
            nonce: ids::nonce(),
        }
    }
}

/// A request that can be sent or shown.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) method: &'static str,
    pub(super) url: Url,
    /// All headers but `host`, which every client sends by itself.
    pub(super) headers: Vec<(String, String)>,
    /// What was signed, in words and lines.
    pub(super) explanation: String,
}

impl Signed {
    /// Signs a call for a target.
    pub(super) fn new(
        scheme: Scheme,
        call: Call<'_>,
        target: &Target,
        stamp: Stamp,
    ) -> Result<Self, CliError> {
        match scheme {
            Scheme::V1 => Ok(v1(call, target, stamp)),
            Scheme::Acs3 => acs3(call, target, stamp),
        }
    }

    /// The request for an HTTP client.
    pub(super) fn request(&self, client: &Client) -> RequestBuilder {
        let request = match self.method {
            "POST" => client.post(self.url.clone()),
            _ => client.get(self.url.clone()),
        };
        self.headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }

    /// The request as a line for a shell.
    pub(super) fn curl(&self) -> String {
        let mut line = format!("curl -sS -X {}", self.method);
        for (name, value) in &self.headers {
            line.push_str(&format!(
                " -H {}",
                super::shell::quoted(&format!("{name}: {value}"))
            ));
        }
        format!("{line} {}", super::shell::quoted(self.url.as_str()))
    }
}

fn v1(call: Call<'_>, target: &Target, stamp: Stamp) -> Signed {
    let Key { id, secret, token } = &target.key;
    let mut pairs = call.parameters.to_vec();
    let mut own = vec![
        ("Action", call.action.to_owned()),
        ("Version", call.version.to_owned()),
        ("Format", "JSON".to_owned()),
        ("AccessKeyId", id.clone()),
        (
            "SignatureMethod",
            signature_v1::Method::HmacSha1.as_str().to_owned(),
        ),
        ("SignatureVersion", "1.0".to_owned()),
        ("SignatureNonce", stamp.nonce),
        ("Timestamp", stamp.time),
    ];
    own.extend(token.iter().map(|token| ("SecurityToken", token.clone())));
    // What the caller has set itself, such as Format=XML, stays.
    own.retain(|(name, _)| call.parameters.iter().all(|(given, _)| given != name));
    pairs.extend(
        own.into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let string_to_sign = signature_v1::string_to_sign(call.method, &pairs);
    let signature = signature_v1::sign(signature_v1::Method::HmacSha1, secret, &string_to_sign);
    pairs.push(("Signature".to_owned(), signature));
    Signed {
        method: call.method,
        url: with_query(&target.endpoint, &pairs),
        headers: Vec::new(),
        explanation: format!(
            "string to sign (HMAC-SHA1, key: the secret and \"&\"):\n{string_to_sign}"
        ),
    }
}

fn acs3(call: Call<'_>, target: &Target, stamp: Stamp) -> Result<Signed, CliError> {
    let body_hash = signature_v3::body_hash(b"");
    let mut headers = vec![
        ("host", host::header_of(&target.endpoint)),
        ("x-acs-action", call.action.to_owned()),
        ("x-acs-content-sha256", body_hash.clone()),
        ("x-acs-date", stamp.time),
    ];
    headers.extend(
        target
            .key
            .token
            .iter()
            .map(|token| ("x-acs-security-token", token.clone())),
    );
    headers.push(("x-acs-signature-nonce", stamp.nonce));
    headers.push(("x-acs-version", call.version.to_owned()));
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let signed_headers = names.join(";");
    let mut headers: Vec<(String, String)> = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let lent = call.parameters.iter();
    let query: Pairs<'_> = lent.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let parts = signature_v3::Parts {
        method: call.method,
        path: "/",
        query: query.as_slice(),
        headers: &headers,
        body: b"",
    };
    let canonical = signature_v3::canonical_request(&parts, &signed_headers, &body_hash)
        .map_err(CliError::failed)?;
    let authorization =
        signature_v3::sign(&parts, &target.key.id, &target.key.secret, &signed_headers)
            .map_err(CliError::failed)?;
    let explanation = format!(
        "canonical request:\n{canonical}\n\nstring to sign (HMAC-SHA256, key: the secret):\n{}",
        signature_v3::string_to_sign(&canonical)
    );
    headers.retain(|(name, _)| name != "host");
    headers.push(("accept".to_owned(), "application/json".to_owned()));
    headers.push(("authorization".to_owned(), authorization));
    Ok(Signed {
        method: call.method,
        url: with_query(&target.endpoint, call.parameters),
        headers,
        explanation,
    })
}

fn with_query(endpoint: &Url, pairs: &[(String, String)]) -> Url {
    let encoded: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", percent::encode(name), percent::encode(value)))
        .collect();
    let mut url = endpoint.clone();
    url.set_query((!encoded.is_empty()).then(|| encoded.join("&")).as_deref());
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::params::parse_pairs;

    const SECRET: &str = "testsecret";

    fn target(token: Option<&str>) -> Target {
        Target {
            endpoint: Url::parse("http://127.0.0.1:8080/").unwrap(),
            key: Key {
                id: "testid".into(),
                secret: SECRET.into(),
                token: token.map(str::to_owned),
            },
        }
    }

    fn parameters() -> Vec<(String, String)> {
        [
            ("DomainName", "a b*~中文+/%"),
            ("RecordFormat.1.Format", "mp4"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn signed(scheme: Scheme, token: Option<&str>, parameters: &[(String, String)]) -> Signed {
        let call = Call {
            method: "POST",
            action: "AddLiveAppRecordConfig",
            version: VERSION,
            parameters,
        };
        Signed::new(scheme, call, &target(token), Stamp::now()).unwrap()
    }

    #[test]
    fn what_v1_makes_the_gateway_accepts() {
        let parameters = parameters();
        let signed = signed(Scheme::V1, Some("token"), &parameters);
        let pairs = parse_pairs(signed.url.query().unwrap(), None).unwrap();
        signature_v1::verify("POST", &pairs, SECRET).unwrap();
        assert!(signature_v1::verify("GET", &pairs, SECRET).is_err());
        assert_eq!(pairs.get("SecurityToken"), Some("token"));
        assert_eq!(pairs.get("DomainName"), Some("a b*~中文+/%"));
        assert!(
            signed
                .explanation
                .contains("\nPOST&%2F&AccessKeyId%3Dtestid%26")
        );
    }

    #[test]
    fn what_acs3_makes_the_gateway_accepts() {
        let parameters = parameters();
        let signed = signed(Scheme::Acs3, Some("token"), &parameters);
        let mut headers = signed.headers.clone();
        headers.push(("Host".into(), "127.0.0.1:8080".into()));
        let query = parse_pairs(signed.url.query().unwrap(), None).unwrap();
        let parts = signature_v3::Parts {
            method: "POST",
            path: "/",
            query: query.as_slice(),
            headers: &headers,
            body: b"",
        };
        let header = &headers
            .iter()
            .find(|(name, _)| name == "authorization")
            .unwrap()
            .1;
        let authorization = signature_v3::Authorization::parse(header).unwrap();
        signature_v3::verify(&parts, &authorization, SECRET).unwrap();
        assert!(
            authorization
                .signed_headers
                .contains("x-acs-security-token")
        );
        assert!(
            signed
                .curl()
                .contains("-H 'x-acs-action: AddLiveAppRecordConfig'")
        );
    }

    #[test]
    fn what_the_caller_sets_is_not_overwritten() {
        let parameters = [("Format".to_owned(), "XML".to_owned())];
        let signed = signed(Scheme::V1, None, &parameters);
        let pairs = parse_pairs(signed.url.query().unwrap(), None).unwrap();
        assert_eq!(pairs.get("Format"), Some("XML"));
        assert_eq!(
            pairs
                .as_slice()
                .iter()
                .filter(|(name, _)| name == "Format")
                .count(),
            1
        );
        signature_v1::verify("POST", &pairs, SECRET).unwrap();
    }
}
