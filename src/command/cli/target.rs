//! Which server is meant and with which key: the flag, else the environment, else what `serve` has by default.

use url::Url;

use super::arguments::TargetArgs;
use super::{CliError, variable};
use crate::config::{DEFAULT_ENDPOINT, is_token};

const DEFAULT_KEY: &str = "testid:testsecret";

/// An access key as a client has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

/// A server and a key for it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Scheme and host, without a path.
    pub(super) endpoint: Url,
    pub(super) key: Key,
}

impl Target {
    /// What the arguments and the environment say.
    pub(super) fn of(args: &TargetArgs) -> Result<Self, CliError> {
        Self::choose(
            args.endpoint.clone(),
            args.access_key.clone(),
            variable("LOCALYUN_ENDPOINT"),
            variable("LOCALYUN_ACCESS_KEYS"),
        )
    }

    fn choose(
        endpoint: Option<String>,
        key: Option<String>,
        endpoint_variable: Option<String>,
        keys_variable: Option<String>,
    ) -> Result<Self, CliError> {
        let (endpoint, source) = match (endpoint, endpoint_variable) {
            (Some(flag), _) => (flag, "--endpoint"),
            (None, Some(variable)) => (variable, "LOCALYUN_ENDPOINT"),
            (None, None) => (DEFAULT_ENDPOINT.to_owned(), "--endpoint"),
        };
        let (key, key_source) = match (key, keys_variable) {
            (Some(flag), _) => (flag, "--access-key"),
            (None, Some(list)) => (first_pair(&list), "LOCALYUN_ACCESS_KEYS"),
            (None, None) => (DEFAULT_KEY.to_owned(), "--access-key"),
        };
        Ok(Self {
            endpoint: endpoint_url(&endpoint).ok_or_else(|| {
                CliError::Usage(format!(
                    "{source}: {endpoint:?} is no http:// or https:// URL without path and query"
                ))
            })?,
            key: Key::parse(&key)
                .ok_or_else(|| CliError::Usage(format!("{key_source}: must be ID:SECRET")))?,
        })
    }
}

impl Key {
    /// Reads `ID:SECRET` or `ID:SECRET:TOKEN`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(':')?;
        let (secret, token) = match rest.split_once(':') {
            Some((secret, token)) => (secret, Some(token)),
            None => (rest, None),
        };
        // As `serve` takes them: the id and the token travel in headers.
        let fits = is_token(id) && !secret.trim().is_empty() && token.is_none_or(is_token);
        fits.then(|| Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: token.filter(|t| *t != "disabled").map(str::to_owned),
        })
    }
}

/// The first pair of a list that is not disabled; where all are, the first, so that the refusal says so.
fn first_pair(list: &str) -> String {
    let pairs = || {
        list.split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
    };
    let usable = pairs().find(|pair| !pair.ends_with(":disabled"));
    usable.or(pairs().next()).unwrap_or_default().to_owned()
}

fn endpoint_url(text: &str) -> Option<Url> {
    // SDKs take bare hosts; so do we.
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&full).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    // The API is at the root of its host: what was meant by more would not be asked.
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (is_web && is_bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_default() {
        let target = Target::choose(None, None, None, None).unwrap();
        assert_eq!(target.endpoint.as_str(), "http://127.0.0.1:8080/");
        assert_eq!(
            (target.key.id.as_str(), target.key.secret.as_str()),
            ("testid", "testsecret")
        );
        let target = Target::choose(None, None, some("https://h:1/"), some(" a:b:t, c:d")).unwrap();
        assert_eq!(target.endpoint.as_str(), "https://h:1/");
        assert_eq!(
            target.key,
            Key {
                id: "a".into(),
                secret: "b".into(),
                token: some("t")
            }
        );
        let target =
            Target::choose(some("h:2"), some("k:s"), some("https://h:1"), some("a:b")).unwrap();
        assert_eq!(target.endpoint.as_str(), "http://h:2/");
        assert_eq!(target.key.id, "k");
    }

    #[test]
    fn a_mistake_names_where_it_was_made() {
        let told = |a, b, c, d| Target::choose(a, b, c, d).unwrap_err().to_string();
        assert!(told(some("ftp://h"), None, None, None).starts_with("--endpoint: "));
        for bad in ["http://h/x", "http://h/?x", "h:1/x", "http://h/#x"] {
            assert!(
                told(some(bad), None, None, None).starts_with("--endpoint: "),
                "{bad}"
            );
        }
        assert!(told(None, None, some("http://"), None).starts_with("LOCALYUN_ENDPOINT: "));
        assert!(told(None, some("nocolon"), None, None).starts_with("--access-key: "));
        assert!(told(None, None, None, some("nocolon")).starts_with("LOCALYUN_ACCESS_KEYS: "));
        for bad in ["a:", ":b", "a: ", "a:b:", "a\n:b", "a:b:t\nu"] {
            assert!(
                told(None, some(bad), None, None).starts_with("--access-key: "),
                "{bad:?}"
            );
        }
    }
}
