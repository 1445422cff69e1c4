//! Which stream a push is, and whether it may be published: domain choice, domain mapping, push authentication.

use std::collections::BTreeSet;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::kept_out::{KeptOut, Why};
use crate::model::domain::{Domain, Function};
use crate::model::domain_name;
use crate::model::forbidden::Forbidden;
use crate::model::stream_key::{NameError, PushArgs, StreamKey, check_name, split_name};
use crate::phrases::Phrase;
use crate::services::Services;
use crate::store::StoreError;
use crate::store::documents;
use crate::wire_time::{to_api, unix_seconds};

/// How long a signed push URL stays valid after its timestamp, in seconds, unless the domain says otherwise.
const DEFAULT_VALIDITY_S: i64 = 1_800;

/// Characters of a refused name that are shown.
const SHOWN: usize = 100;

/// What a push names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub key: StreamKey,
    pub ingest_domain: String,
    pub args: PushArgs,
}

/// Why a push is not let in.
///
/// # What to do
/// The push is refused with this text, which says how the URL has to be. Only `Store` may pass by itself.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error(
        "no domain: add vhost=DOMAIN to the push URL, push to a host name, or set --default-domain"
    )]
    NoDomain,
    #[error("{0}")]
    Vhost(#[from] NoDomainName),
    #[error("{0}")]
    Name(#[from] NameError),
    /// The usual mistake: the domain as a folder of the URL.
    #[error(
        "{what} `{name}` holds a slash: a push URL is rtmp://HOST/APP/STREAM with one name each, and a domain that is not HOST is named behind the stream name, as in STREAM?vhost=DOMAIN"
    )]
    Slash { what: &'static str, name: String },
    #[error("auth_key is {0}")]
    Auth(&'static str),
    #[error("{}", Phrase::StreamForbidden.with([("stream", stream), ("until", until)]))]
    Forbidden { stream: String, until: String },
    #[error("{}", Phrase::DomainStopped.with([("domain", .0)]))]
    Stopped(String),
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl AccessError {
    /// Whether who pushes would be right, were it allowed.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Auth(_) | Self::Forbidden { .. } | Self::Stopped(_)
        )
    }
}

/// A `vhost` argument that names no domain.
///
/// # What to do
/// Whoever pushes or plays is refused with this text: another domain is not what was meant.
#[derive(Debug, thiserror::Error)]
#[error("vhost: {}", Phrase::BadStreamDomain.with([("name", .0)]))]
pub struct NoDomainName(String);

/// The domain that a `vhost` argument names; an empty one names none.
///
/// # Errors
/// It can be no domain's name. Another domain is not taken in its place.
pub(in crate::live) fn named_by(vhost: Option<&str>) -> Result<Option<String>, NoDomainName> {
    let name = vhost.unwrap_or_default().trim_end_matches('.');
    if name.is_empty() {
        return Ok(None);
    }
    if !domain_name::is_valid(name) {
        let shown: String = name.chars().take(SHOWN).collect();
        return Err(NoDomainName(format!("{shown:?}")));
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// The host of a tcUrl when it is a name that can stand for a domain.
pub(in crate::live) fn url_host(tc_url: &str) -> Option<String> {
    let rest = tc_url.split_once("://").map_or(tc_url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.starts_with('[') {
        return None;
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let bare = host.is_empty()
        || host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::Ipv4Addr>().is_ok()
        || !host.contains('.');
    (!bare).then_some(host)
}

/// Names the stream of a push. `app` and `name` are as the client sent them, queries and all.
pub async fn resolve(
    services: &Services,
    default_domain: Option<&str>,
    tc_url: &str,
    app: &str,
    name: &str,
) -> Result<Push, AccessError> {
    let (app_name, app_query) = split_name(app.trim_matches('/'));
    let (stream, query) = split_name(name);
    let tc_query = tc_url.split_once('?').map_or("", |(_, query)| query);
    let args = PushArgs::parse(query);
    let around = [
        args.clone(),
        PushArgs::parse(app_query),
        PushArgs::parse(tc_query),
    ];
    let argument = |wanted: &str| around.iter().find_map(|a| a.get(wanted)).map(str::to_owned);
    for (what, name) in [
        ("the application name", app_name),
        ("the stream name", stream),
    ] {
        if name.contains('/') {
            let name = name.chars().take(SHOWN).collect();
            return Err(AccessError::Slash { what, name });
        }
        check_name(what, name)?;
    }

    let host = url_host(tc_url);
    let chosen = named_by(argument("vhost").as_deref())?
        .or(host)
        .or_else(|| default_domain.map(str::to_owned))
        .or_else(|| match services.store.domains_with_rules().as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        });
    let chosen = chosen
        .filter(|domain| domain_name::is_valid(domain))
        .ok_or(AccessError::NoDomain)?;
    let domain = domain_of_push(services, &chosen).await?;
    // Whatever else the URL names decides nothing: neither who may push, nor who is told of it.
    let push = Push {
        key: StreamKey::new(&domain, app_name, stream),
        ingest_domain: chosen,
        args,
    };
    check_auth(services, &push, argument("auth_key").as_deref()).await?;
    check_kept_out(services, &push.key, &push.ingest_domain).await?;
    Ok(push)
}

/// Refuses a stream that was forbidden, by whatever domain of it, and one of a domain that was stopped.
pub async fn check_kept_out(
    services: &Services,
    key: &StreamKey,
    ingest_domain: &str,
) -> Result<(), AccessError> {
    let kept_out = KeptOut::read(services, &[(key, ingest_domain)], &[]).await?;
    let (named, until) = match kept_out.why(key, ingest_domain) {
        Some(Why::Stopped(domain)) => return Err(AccessError::Stopped(domain)),
        Some(Why::Forbidden { named, until }) => (named, until),
        None => match ban_by_another_domain(services, key, ingest_domain).await? {
            Some(ban) => (ban.key(), ban.until),
            None => return Ok(()),
        },
    };
    Err(AccessError::Forbidden {
        stream: named.to_string(),
        until: to_api(until),
    })
}

/// What keeps a stream out by the name of a domain that it is not pushed to: that domain leads to its streaming domain too, and was mapped
/// after the stream was forbidden.
async fn ban_by_another_domain(
    services: &Services,
    key: &StreamKey,
    ingest_domain: &str,
) -> Result<Option<Forbidden>, StoreError> {
    let mut domains = domains_of(services, &key.domain).await?;
    domains.retain(|domain| *domain != key.domain && domain != ingest_domain);
    let hashes: BTreeSet<String> = domains
        .iter()
        .map(|domain| StreamKey::new(domain, &key.app, &key.stream).hash())
        .collect();
    let now = services.clock.now();
    let bans = services.store.find_forbidden(&hashes, now).await?;
    Ok(bans.into_values().max_by_key(|ban| ban.until))
}

/// The domain that a push to a domain is published under: where an ingest domain is mapped to, else itself.
pub async fn domain_of_push(services: &Services, domain: &str) -> Result<String, StoreError> {
    let declared: Option<Domain> = services
        .store
        .find_document(documents::Kind::Domain, domain)
        .await?;
    let mapped = declared.and_then(|declared| declared.play_domain);
    Ok(mapped.unwrap_or_else(|| domain.to_owned()))
}

/// Whether a domain was stopped.
pub async fn is_stopped(services: &Services, domain: &str) -> Result<bool, StoreError> {
    let declared: Option<Domain> = services
        .store
        .find_document(documents::Kind::Domain, domain)
        .await?;
    Ok(declared.is_some_and(|domain| domain.stopped))
}

/// The streaming domain that the streams of a domain belong to: where an ingest domain or a sub play domain is mapped to, else itself.
pub async fn streaming_domain(services: &Services, domain: &str) -> Result<String, StoreError> {
    let declared: Option<Domain> = services
        .store
        .find_document(documents::Kind::Domain, domain)
        .await?;
    let leads_to = declared.and_then(|declared| declared.leads_to().map(str::to_owned));
    Ok(leads_to.unwrap_or_else(|| domain.to_owned()))
}

/// The domains by which the streams of a streaming domain are named: that domain, and those that lead to it. What was said of a stream
/// before its domain was mapped stands under that domain, and is about the same stream.
pub async fn domains_of(services: &Services, streaming: &str) -> Result<Vec<String>, StoreError> {
    let declared: Vec<(String, Domain)> = services
        .store
        .list_documents(documents::Kind::Domain)
        .await?;
    let mut domains = vec![streaming.to_owned()];
    for (name, domain) in declared {
        if domain.leads_to() == Some(streaming) {
            domains.push(name);
        }
    }
    Ok(domains)
}

/// The domain that the stream is published to decides, however the push named it.
async fn check_auth(
    services: &Services,
    push: &Push,
    auth_key: Option<&str>,
) -> Result<(), AccessError> {
    let deciding = deciding(services, push).await?;
    let mut signing = deciding
        .iter()
        .filter(|function| function.arg("auth_type") == Some("type_a"))
        .peekable();
    if signing.peek().is_none() {
        return Ok(());
    }
    let uri = format!("/{}/{}", push.key.app, push.key.stream);
    let now = unix_seconds(services.clock.now());
    let mut refusal = None;
    for function in signing {
        match check_key(function, auth_key, &uri, now) {
            Ok(()) => return Ok(()),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(AccessError::Auth(refusal.unwrap_or("wrong")))
}

/// Checks the key of a URL against one domain's setting; a setting other than type A asks for none.
///
/// # Errors
/// What is wrong with the key in a word or two, for whoever made the URL: it is missing, malformed, of another key, or too old.
pub(in crate::live) fn check_key(
    function: &Function,
    auth_key: Option<&str>,
    uri: &str,
    now_s: i64,
) -> Result<(), &'static str> {
    if function.arg("auth_type") != Some("type_a") {
        return Ok(());
    }
    let keys: Vec<&str> = ["auth_key1", "auth_key2"]
        .iter()
        .filter_map(|name| function.arg(name))
        .filter(|key| !key.is_empty())
        .collect();
    let validity = function
        .arg("ali_auth_delta")
        .and_then(|delta| delta.parse().ok())
        .unwrap_or(DEFAULT_VALIDITY_S);
    verify_type_a(auth_key.ok_or("missing")?, uri, &keys, validity, now_s)
}

/// The settings of which one must be met. The keys of a streaming domain are those of its viewers, so they open a push only where no
/// domain of the publishers has a setting: that is a convenience of localyun for who declares one domain alone.
async fn deciding(services: &Services, push: &Push) -> Result<Vec<Function>, StoreError> {
    let mut deciding = Vec::new();
    if push.ingest_domain == push.key.domain {
        let domains: Vec<(String, Domain)> = services
            .store
            .list_documents(documents::Kind::Domain)
            .await?;
        for (name, domain) in domains {
            if domain.play_domain.as_ref() == Some(&push.key.domain) {
                deciding.extend(aliauth(services, &name).await?);
            }
        }
    } else {
        deciding.extend(aliauth(services, &push.ingest_domain).await?);
    }
    if deciding.is_empty() {
        deciding.extend(aliauth(services, &push.key.domain).await?);
    }
    Ok(deciding)
}

/// A domain's URL authentication, where it has a setting.
async fn aliauth(services: &Services, domain: &str) -> Result<Option<Function>, StoreError> {
    let functions: Option<Vec<Function>> = services
        .store
        .find_document(documents::Kind::DomainConfig, domain)
        .await?;
    let mut functions = functions.into_iter().flatten();
    Ok(functions.find(|function| function.name == "aliauth"))
}

/// Checks a type A key: `{timestamp}-{rand}-{uid}-{md5}`.
fn verify_type_a(
    auth_key: &str,
    uri: &str,
    keys: &[&str],
    validity_s: i64,
    now_s: i64,
) -> Result<(), &'static str> {
    let mut parts = auth_key.splitn(4, '-');
    let (Some(timestamp), Some(rand), Some(uid), Some(hash)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("malformed");
    };
    let at: i64 = timestamp.parse().map_err(|_| "malformed")?;
    let matches = keys.iter().any(|key| {
        let expected = hex::encode(Md5::digest(format!("{uri}-{timestamp}-{rand}-{uid}-{key}")));
        expected.as_bytes().ct_eq(hash.as_bytes()).into()
    });
    if !matches {
        return Err("wrong");
    }
    if now_s > at.saturating_add(validity_s) {
        return Err("expired");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_of_type_a_are_valid() {
        let check = |key: &str, now| {
            verify_type_a(key, "/live/teststream", &["other", "pushkey123"], 1800, now)
        };
        let good = "1893456000-0-0-95722c04b464afd86e82b0aa8d8b14a6";
        assert_eq!(check(good, 1_893_456_000 + 1800), Ok(()));
        assert_eq!(check(good, 1_893_456_000 + 1801), Err("expired"));
        assert_eq!(
            check("1893456000-0-0-95722c04b464afd86e82b0aa8d8b14a7", 0),
            Err("wrong")
        );
        assert_eq!(check("x-0-0-y", 0), Err("malformed"));
        assert_eq!(check("1-2", 0), Err("malformed"));
    }

    #[test]
    fn only_host_names_stand_for_a_domain() {
        assert_eq!(
            url_host("rtmp://push.Example.com:1935/live"),
            Some("push.example.com".to_owned())
        );
        for bare in [
            "rtmp://127.0.0.1:1935/live",
            "rtmp://localhost/live",
            "rtmp://[::1]:1935/live",
            "",
            "rtmp://host/live",
        ] {
            assert_eq!(url_host(bare), None, "{bare}");
        }
    }

    #[test]
    fn a_vhost_that_is_no_domain_is_refused_by_name() {
        let named = |vhost: &str| named_by(Some(vhost)).map_err(|error| error.to_string());
        assert_eq!(
            named("Push.Example.com."),
            Ok(Some("push.example.com".to_owned()))
        );
        assert_eq!(named(""), Ok(None));
        assert_eq!(
            named("other.example.com:1935"),
            Err(
                "vhost: \"other.example.com:1935\" is no domain name; write it without scheme, port and path"
                    .to_owned()
            )
        );
    }
}
