//! The settings of the upstream: whether, where to and what is forwarded, and where forwarded calls are kept.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::raw::{Raw, access_key, choice};
use super::{AccessKey, ConfigError};
use crate::upstream::patterns::ActionPatterns;
use crate::upstream::settings::{Miss, Mode, Settings};

/// What is never forwarded by itself where every call is.
const REFUSED_IN_ALL: &str = "Delete*,BatchDelete*";
/// Bytes of an answer: its limit may be set to no less,
const LEAST_ANSWER: usize = 1024;
/// and to no more bytes than this.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
/// A time-out may be set to no less, and to no more.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest time-out.
const LONGEST: Duration = Duration::from_secs(600);

/// Checks and types the settings of the upstream, each alone and all together.
pub(super) fn read(raw: &Raw) -> Result<Settings, ConfigError> {
    let mode = choice(
        raw,
        "upstream-mode",
        &[
            ("off", Mode::Off),
            ("unimplemented", Mode::Unimplemented),
            ("all", Mode::All),
            ("replay", Mode::Replay),
        ],
    )?;
    let settings = Settings {
        mode,
        endpoint: endpoint(raw)?,
        key: key(raw)?,
        ca_file: folder_or_file(raw, "upstream-ca-file")?,
        timeout: timeout(raw)?,
        answer_limit: answer_limit(raw)?,
        allow: patterns(raw, "upstream-allow")?,
        refuse: refused(raw, mode)?,
        cassette: folder_or_file(raw, "cassette")?,
        miss: choice(
            raw,
            "cassette-miss",
            &[("refuse", Miss::Refuse), ("emulate", Miss::Emulate)],
        )?,
    };
    together(raw, &settings)?;
    Ok(settings)
}

/// Combinations that mean nothing: one of the settings was forgotten or misspelt.
fn together(raw: &Raw, settings: &Settings) -> Result<(), ConfigError> {
    let forwards = settings.mode.forwards();
    let mode = raw.get("upstream-mode").unwrap_or_default();
    if forwards && settings.endpoint.is_none() {
        let problem = format!("{mode} needs --upstream, the URL that calls are forwarded to");
        return Err(raw.wrong("upstream-mode", problem));
    }
    if forwards && settings.key.is_none() {
        return Err(ConfigError::new(
            "--upstream-access-key",
            format!("is needed with --upstream-mode {mode}; write ID:SECRET"),
        ));
    }
    if settings.mode == Mode::Replay && settings.cassette.is_none() {
        let problem = "replay needs --cassette, the folder of the recorded calls";
        return Err(raw.wrong("upstream-mode", problem));
    }
    if settings.mode == Mode::Replay {
        return Ok(());
    }
    for name in ["upstream-access-key", "upstream-ca-file"] {
        if settings.endpoint.is_none() && raw.get(name).is_some() {
            return Err(raw.wrong(name, "is of no use without --upstream"));
        }
    }
    Ok(())
}

fn endpoint(raw: &Raw) -> Result<Option<Url>, ConfigError> {
    let Some(text) = raw.get("upstream") else {
        return Ok(None);
    };
    let wrong = |problem: &str| {
        raw.wrong(
            "upstream",
            format!("{text:?} {problem}; write https://live.aliyuncs.com"),
        )
    };
    let url = Url::parse(text).map_err(|_| wrong("is no http:// or https:// URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("is no http:// or https:// URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "has a user or a password, which belong into --upstream-access-key",
        ));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a path or a query, which the API has none of"));
    }
    Ok(Some(url))
}

fn key(raw: &Raw) -> Result<Option<AccessKey>, ConfigError> {
    let name = "upstream-access-key";
    let Some(text) = raw.get(name) else {
        return Ok(None);
    };
    let key = access_key(raw, name, text)?;
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_graphic());
    let token = key.token.as_deref().unwrap_or_default();
    if key.disabled || !plain(&key.id) || !plain(&key.secret) || !plain(token) {
        return Err(raw.wrong(name, "must be ID:SECRET, or ID:SECRET:TOKEN"));
    }
    Ok(Some(key))
}

fn folder_or_file(raw: &Raw, name: &str) -> Result<Option<PathBuf>, ConfigError> {
    let Some(path) = raw.get(name) else {
        return Ok(None);
    };
    if path.trim().is_empty() {
        return Err(raw.wrong(name, "must not be empty"));
    }
    Ok(Some(PathBuf::from(path)))
}

fn timeout(raw: &Raw) -> Result<Duration, ConfigError> {
    let name = "upstream-timeout";
    let text = raw.get(name).unwrap_or_default().trim();
    let wrong = || raw.wrong(name, format!("{text:?} is no time; write 30s or 500ms"));
    let (number, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 1000),
        (None, None) => return Err(wrong()),
    };
    let number: u64 = number.trim().parse().map_err(|_| wrong())?;
    let timeout = Duration::from_millis(number.saturating_mul(unit_ms));
    if !(SHORTEST..=LONGEST).contains(&timeout) {
        return Err(raw.wrong(name, format!("{text} is not between 1ms and 600s")));
    }
    Ok(timeout)
}

fn answer_limit(raw: &Raw) -> Result<usize, ConfigError> {
    let name = "upstream-answer-limit";
    let text = raw.get(name).unwrap_or_default();
    let parsed = text.trim().parse().ok();
    let fits = parsed.filter(|limit| (LEAST_ANSWER..=LARGEST_ANSWER).contains(limit));
    fits.ok_or_else(|| {
        let problem = format!("{text:?} is no number of bytes from 1024 to 67108864");
        raw.wrong(name, problem)
    })
}

fn patterns(raw: &Raw, name: &str) -> Result<Option<ActionPatterns>, ConfigError> {
    let Some(text) = raw.get(name) else {
        return Ok(None);
    };
    let parsed = ActionPatterns::parse(text);
    parsed.map(Some).map_err(|bad| {
        raw.wrong(
            name,
            format!("{bad:?} is no action; write names with commas between them, such as Describe*,AddLiveDomain"),
        )
    })
}

fn refused(raw: &Raw, mode: Mode) -> Result<ActionPatterns, ConfigError> {
    let name = "upstream-refuse";
    match raw.get(name) {
        Some("none") => Ok(ActionPatterns::default()),
        Some(_) => Ok(patterns(raw, name)?.unwrap_or_default()),
        None if mode == Mode::All => Ok(ActionPatterns::parse(REFUSED_IN_ALL).unwrap_or_default()),
        None => Ok(ActionPatterns::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&'static str, &str)]) -> Result<Settings, String> {
        let mut raw = Raw::default();
        for (name, value) in given {
            raw.set(name, *value, format!("--{name}"));
        }
        crate::config::load(&raw, |_| None)
            .map(|config| config.upstream)
            .map_err(|error| error.to_string())
    }

    const URL: (&str, &str) = ("upstream", "https://live.example.com");
    const KEY: (&str, &str) = ("upstream-access-key", "id:hush");

    #[test]
    fn nothing_is_forwarded_unless_it_is_switched_on() {
        assert_eq!(settings(&[]).unwrap().mode, Mode::Off);
        assert_eq!(settings(&[URL, KEY]).unwrap().mode, Mode::Off);
        let on = settings(&[URL, KEY, ("upstream-mode", "unimplemented")]).unwrap();
        assert_eq!(on.mode, Mode::Unimplemented);
        assert_eq!(on.timeout, Duration::from_secs(30));
        assert!(!on.refuse.takes("DeleteLiveDomain"));
    }

    #[test]
    fn deleting_is_refused_where_every_call_is_forwarded() {
        let all = ("upstream-mode", "all");
        let refuses = |more: &[(&'static str, &str)], action: &str| {
            let given: Vec<_> = [URL, KEY, all].iter().chain(more).copied().collect();
            settings(&given).unwrap().refuse.takes(action)
        };
        assert!(refuses(&[], "DeleteLiveDomain") && !refuses(&[], "AddLiveDomain"));
        assert!(!refuses(&[("upstream-refuse", "none")], "DeleteLiveDomain"));
        assert!(refuses(&[("upstream-refuse", "Add*")], "AddLiveDomain"));
    }

    #[test]
    fn what_was_forgotten_or_misspelt_is_named() {
        let all = ("upstream-mode", "all");
        let cases: [(&[(&'static str, &str)], &str); 16] = [
            (&[all], "--upstream-mode: all needs --upstream,"),
            (
                &[URL, all],
                "--upstream-access-key: is needed with --upstream-mode all",
            ),
            (
                &[KEY],
                "--upstream-access-key: is of no use without --upstream",
            ),
            (
                &[("upstream-mode", "replay")],
                "--upstream-mode: replay needs --cassette",
            ),
            (
                &[("upstream-mode", "on")],
                "--upstream-mode: \"on\" is none of off",
            ),
            (
                &[URL, ("upstream-access-key", "hush")],
                "--upstream-access-key: must be ID:SECRET",
            ),
            (
                &[URL, ("upstream-access-key", "a b:hush")],
                "--upstream-access-key: must be ID:SECRET",
            ),
            (&[("upstream", "live.example.com")], "--upstream: "),
            (&[("upstream", "ftp://live.example.com")], "--upstream: "),
            (&[("upstream", "http://u:hush@h")], "--upstream: "),
            (&[("upstream", "http://h/x")], "has a path or a query"),
            (
                &[URL, KEY, ("upstream-timeout", "30")],
                "--upstream-timeout: \"30\" is no time",
            ),
            (&[URL, KEY, ("upstream-timeout", "0s")], "is not between"),
            (
                &[URL, KEY, ("upstream-answer-limit", "1")],
                "--upstream-answer-limit: ",
            ),
            (
                &[URL, KEY, ("upstream-allow", "Describe *")],
                "--upstream-allow: \"Describe *\" is no action",
            ),
            (
                &[URL, KEY, ("cassette", " ")],
                "--cassette: must not be empty",
            ),
        ];
        for (given, said) in cases {
            let error = settings(given).unwrap_err();
            assert!(error.contains(said), "{given:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        let of = |text: &str| settings(&[("upstream-timeout", text)]).map(|s| s.timeout);
        assert_eq!(of("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(of("7s"), Ok(Duration::from_secs(7)));
        assert!(of("601s").is_err() && of("x").is_err() && of("99999999999999999999s").is_err());
    }
}
