//! Cross-origin rules of buckets: their configuration, preflight answers, and the headers on ordinary answers.

use super::address::Reading;
use super::answer::Answer;
use super::body;
use super::code::Code;
use super::dialect::Dialect;
use super::error::ServeError;
use super::request::Request;
use super::xml::{self, Cors};
use super::{Context, ServeState, address, base};
use crate::folder::{CorsRule, FolderError, MAX_CORS_RULES};

const METHODS: &[&str] = &["GET", "PUT", "DELETE", "POST", "HEAD"];

/// `GetBucketCors`.
pub async fn get_bucket_cors(context: &Context<'_>) -> Result<Answer, ServeError> {
    let bucket = context.store().bucket(context.bucket()).await?;
    if bucket.cors.is_empty() {
        return Err(ServeError::of(Code::NoSuchCorsConfiguration));
    }
    let mut xml = context.dialect().document("CORSConfiguration");
    for rule in bucket.cors {
        xml.nest("CORSRule", |xml| {
            let lists = [
                ("AllowedOrigin", &rule.origins),
                ("AllowedMethod", &rule.methods),
                ("AllowedHeader", &rule.allowed_headers),
                ("ExposeHeader", &rule.expose_headers),
            ];
            for (name, values) in lists {
                for value in values {
                    xml.text(name, value);
                }
            }
            xml.maybe("MaxAgeSeconds", rule.max_age_seconds);
        });
    }
    if context.dialect() == Dialect::Oss {
        xml.text("ResponseVary", bucket.cors_vary);
    }
    Ok(Answer::xml(xml))
}

/// `PutBucketCors`.
pub async fn put_bucket_cors(
    context: &Context<'_>,
    payload: &mut body::Body,
) -> Result<Answer, ServeError> {
    let document: Cors = xml::parse(&body::document(context, payload).await?)?;
    if document.rules.is_empty() || document.rules.len() > MAX_CORS_RULES {
        return Err(ServeError::malformed_xml());
    }
    let mut rules = Vec::new();
    for rule in document.rules {
        if rule.origins.is_empty()
            || !rule
                .methods
                .iter()
                .all(|method| METHODS.contains(&method.as_str()))
        {
            return Err(ServeError::argument(
                "CORSRule",
                "",
                "A rule needs an origin and methods of HTTP.",
            ));
        }
        let patterns = rule.origins.iter().chain(&rule.headers);
        if let Some(pattern) = patterns
            .into_iter()
            .find(|pattern| pattern.matches('*').count() > 1)
        {
            return Err(ServeError::argument(
                "CORSRule",
                pattern,
                "AllowedOrigin and AllowedHeader can not have more than one wildcard.",
            ));
        }
        rules.push(CorsRule {
            origins: rule.origins,
            methods: rule.methods,
            allowed_headers: match context.dialect() {
                Dialect::Oss => rule
                    .headers
                    .iter()
                    .map(|name| name.to_lowercase())
                    .collect(),
                Dialect::S3 => rule.headers,
            },
            expose_headers: rule.expose,
            max_age_seconds: rule.max_age,
        });
    }
    context
        .store()
        .set_bucket_cors(context.bucket(), rules, document.vary)
        .await?;
    Ok(Answer::empty(200))
}

/// `DeleteBucketCors`.
pub async fn delete_bucket_cors(context: &Context<'_>) -> Result<Answer, ServeError> {
    context
        .store()
        .set_bucket_cors(context.bucket(), Vec::new(), false)
        .await?;
    Ok(Answer::empty(204))
}

/// `OptionObject`: a browser asks before it sends the real request.
pub async fn preflight(context: &Context<'_>) -> Result<Answer, ServeError> {
    let request = context.request;
    let need = |name: &str| {
        request.header(name).ok_or_else(|| {
            ServeError::new(
                Code::BadRequest,
                format!("Insufficient information. {name} request header needed."),
            )
        })
    };
    let (origin, method) = (need("origin")?, need("access-control-request-method")?);
    let asked = request
        .header("access-control-request-headers")
        .unwrap_or_default();
    let rules = rules_of(context).await?;
    let Some(rule) = find(&rules, origin, method, asked) else {
        return Err(ServeError::of(Code::AccessForbidden));
    };
    let mut answer = with_rule(Answer::empty(200), rule, origin);
    if !asked.is_empty() {
        answer = answer.header("access-control-allow-headers", asked);
    }
    if let Some(seconds) = rule.max_age_seconds {
        answer = answer.header("access-control-max-age", seconds.to_string());
    }
    Ok(answer)
}

/// The rules that a preflight goes by. At a CNAME only the signature tells the bucket, and a preflight has none: there the rules of all
/// buckets count, the request itself being held to its own bucket's.
async fn rules_of(context: &Context<'_>) -> Result<Vec<CorsRule>, ServeError> {
    let (store, public_host) = (context.store(), context.state.public_host.as_deref());
    match store.bucket(context.bucket()).await {
        Ok(bucket) => Ok(bucket.cors),
        Err(FolderError::NoSuchBucket(_))
            if base::bucket_before(context.request.host(), public_host).is_none()
                && !context.key().is_empty() =>
        {
            let buckets = store.list_buckets().await?;
            Ok(buckets.into_iter().flat_map(|bucket| bucket.cors).collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds the headers that let a page read this answer. `meant` is the reading that the request was signed for, where that is known.
pub async fn decorate(
    state: &ServeState,
    request: &Request,
    meant: Option<&Reading>,
    answer: &mut Answer,
) {
    if request.method == "OPTIONS" {
        return;
    }
    let origin = request.header("origin");
    // Without an origin only the word of a bucket counts that all its answers vary, which next to none has.
    if origin.is_none() && (meant.is_none() || !state.store.may_vary()) {
        return;
    }
    let Ok(buckets) = state.store.bucket_names().await else {
        return;
    };
    let known = |name: &str| buckets.iter().any(|held| held == name);
    let host_bucket = base::bucket_before(request.host(), state.public_host.as_deref());
    let readings = match (meant, host_bucket) {
        (Some(meant), _) => vec![meant.clone()],
        (None, Some(bucket)) => vec![Reading::whole_path(request, &bucket)],
        (None, None) => address::readings(request, known),
    };
    let Some(bucket) = readings
        .iter()
        .filter_map(|reading| reading.bucket())
        .find(|bucket| known(bucket))
    else {
        return;
    };
    let Ok(info) = state.store.bucket(bucket).await else {
        return;
    };
    let rule =
        origin.and_then(|origin| Some((find(&info.cors, origin, &request.method, "")?, origin)));
    let plain = std::mem::replace(answer, Answer::empty(200));
    *answer = match rule {
        Some((rule, origin)) => with_rule(plain, rule, origin),
        None if info.cors_vary => plain.header("vary", "Origin"),
        None => plain,
    };
}

fn with_rule(answer: Answer, rule: &CorsRule, origin: &str) -> Answer {
    let any = rule.origins.iter().any(|allowed| allowed == "*");
    let mut answer = answer
        .header(
            "access-control-allow-origin",
            if any { "*" } else { origin },
        )
        .header("access-control-allow-methods", rule.methods.join(", "))
        .header("vary", "Origin");
    if !rule.expose_headers.is_empty() {
        answer = answer.header(
            "access-control-expose-headers",
            rule.expose_headers.join(", "),
        );
    }
    answer
}

/// The first rule that allows the origin, the method and every header asked for.
pub fn find<'a>(
    rules: &'a [CorsRule],
    origin: &str,
    method: &str,
    headers: &str,
) -> Option<&'a CorsRule> {
    rules.iter().find(|rule| {
        let names = headers
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        rule.origins.iter().any(|pattern| fits(pattern, origin))
            && rule.methods.iter().any(|allowed| allowed == method)
            && names.into_iter().all(|name| {
                let name = name.to_ascii_lowercase();
                rule.allowed_headers
                    .iter()
                    .any(|pattern| fits(&pattern.to_ascii_lowercase(), &name))
            })
    })
}

/// Whether a text fits a pattern with at most one `*`.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            text.len() >= before.len() + after.len()
                && text.starts_with(before)
                && text.ends_with(after)
        }
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_origin_method_and_headers() {
        let rules = [CorsRule {
            origins: vec!["https://*.example.com".into()],
            methods: vec!["GET".into(), "PUT".into()],
            allowed_headers: vec!["x-oss-*".into(), "Content-Type".into()],
            ..CorsRule::default()
        }];
        let allowed = |origin, method, headers| find(&rules, origin, method, headers).is_some();
        assert!(allowed(
            "https://a.example.com",
            "PUT",
            "X-OSS-Date, content-type"
        ));
        assert!(!allowed("https://a.example.com", "DELETE", ""));
        assert!(!allowed("https://a.example.com", "PUT", "authorization"));
        assert!(!allowed("http://a.example.com", "GET", ""));
        assert!(!fits("aXa*aXa", "aXa"));
    }
}
