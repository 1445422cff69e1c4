//! From what was written to typed settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{KEYS, Key, find};
use super::raw::{Raw, access_key, choice, token, tokens};
use super::{
    AccessKey, Auth, Buckets, ClockMode, Cluster, Config, ConfigError, Domains, Limits,
    OutsideStore, Shown,
};
use crate::clock::UnixMs;
use crate::ids;
use crate::likeness;
use crate::objects::s3::Addressing;
use crate::secrets;
use crate::site::host;
use crate::wire::percent;
use crate::wire_time;

/// Variables that the tools read, or the tests.
const OF_TOOLS: [&str; 6] = [
    "LOCALYUN_ENDPOINT",
    "LOCALYUN_PUSH_URL",
    "LOCALYUN_PLAY_URL",
    "LOCALYUN_CA_FILE",
    "LOCALYUN_CHECK_ANSWERS",
    "LOCALYUN_BIN",
];

/// What a switch may be.
const SWITCH: [(&str, bool); 6] = [
    ("off", false),
    ("on", true),
    ("false", false),
    ("true", true),
    ("0", false),
    ("1", true),
];

/// Merges flags, environment, config file and defaults.
pub fn load(flags: &Raw, env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
    let mut raw = Raw::default();
    for key in KEYS {
        raw.set_default(key);
    }
    let from_env = |key: &'static Key| env(key.env).filter(|value| !value.is_empty());
    let config_file = match flags.0.get("config") {
        Some((path, source)) => Some((path.clone(), source.clone())),
        None => find("config")
            .and_then(from_env)
            .map(|path| (path, "LOCALYUN_CONFIG".to_owned())),
    };
    if let Some((path, source)) = config_file {
        lay_over(&mut raw, &read_file(&path, &source)?);
        raw.set("config", path, source);
    }
    let mut variables = Raw::default();
    for key in KEYS {
        if let Some(value) = from_env(key) {
            variables.set(key.name, value, key.env);
        }
    }
    lay_over(&mut raw, &variables);
    lay_over(&mut raw, flags);
    resolve(&raw)
}

/// Takes what was written in a place that counts more. A folder that is named there and a throw-away one of a lesser place exclude each other, and
/// the other way round: the lesser is as if nobody had written it, so that `--ephemeral` works in an image whose environment names a folder.
fn lay_over(raw: &mut Raw, stronger: &Raw) {
    let is_thrown_away = choice(stronger, "ephemeral", &SWITCH).is_ok_and(|on| on);
    let lesser = match (is_thrown_away, stronger.has("data-dir")) {
        (true, false) => Some("data-dir"),
        (false, true) => Some("ephemeral"),
        _ => None,
    };
    if let Some(key) = lesser.and_then(find) {
        raw.set_default(key);
    }
    for (name, value) in &stronger.0 {
        raw.0.insert(name, value.clone());
    }
}

fn read_file(path: &str, source: &str) -> Result<Raw, ConfigError> {
    let mut raw = Raw::default();
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::new(source, format!("{path} cannot be read: {e}")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start));
        let line = 1 + before.map_or(0, |before| before.matches('\n').count());
        let problem = format!("{path}, line {line} is no TOML: {}", e.message());
        ConfigError::new(source, problem)
    })?;
    for (name, value) in table {
        let dashed = name.replace('_', "-");
        let Some(key) = find(&dashed).filter(|key| key.name != "config") else {
            let known = KEYS.iter().map(|key| key.name);
            let near = likeness::closest(known.filter(|known| *known != "config"), &dashed)
                .map(|near| format!("; did you mean {}?", near.replace('-', "_")))
                .unwrap_or_default();
            return Err(ConfigError::new(
                format!("{name} in {path}"),
                format!("there is no such setting{near}"),
            ));
        };
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => if flag { "on" } else { "off" }.to_owned(),
            toml::Value::Datetime(time) => time.to_string(),
            _ => {
                return Err(ConfigError::new(
                    format!("{name} in {path}"),
                    "must be a text",
                ));
            }
        };
        raw.set(key.name, value, format!("{name} in {path}"));
    }
    Ok(raw)
}

/// The URL of a database that is a file. Whoever reads it undoes the encoding, and takes what stands behind a question mark for settings.
fn sqlite_url(file: &Path) -> String {
    let path = file.display().to_string();
    let names: Vec<String> = path.split('/').map(percent::encode).collect();
    format!("sqlite://{}?mode=rwc", names.join("/"))
}

fn address(raw: &Raw, name: &str) -> Result<String, ConfigError> {
    let value = raw.get(name).unwrap_or_default();
    if host::has_port(value) {
        return Ok(value.to_owned());
    }
    Err(raw.wrong(
        name,
        format!("{value:?} is no address; write HOST:PORT, for example 127.0.0.1:8080"),
    ))
}

/// Checks and types every setting.
pub fn resolve(raw: &Raw) -> Result<Config, ConfigError> {
    let text = |name: &str| raw.get(name).map(str::to_owned);
    let ephemeral = choice(raw, "ephemeral", &SWITCH)?;
    let data_dir = if ephemeral {
        if raw.source("data-dir") != "default" {
            return Err(raw.wrong("data-dir", "is of no use with --ephemeral"));
        }
        std::env::temp_dir().join(format!("localyun-{}", ids::nonce()))
    } else {
        PathBuf::from(raw.get("data-dir").unwrap_or(".localyun"))
    };
    if data_dir.as_os_str().is_empty() {
        return Err(raw.wrong("data-dir", "must not be empty"));
    }
    let database_url = match raw.get("database-url") {
        Some(url) if is_in_memory(url) => {
            return Err(raw.wrong(
                "database-url",
                "names a database in memory, of which each connection would have its own; --ephemeral leaves nothing behind",
            ));
        }
        Some(url)
            if ["sqlite:", "postgres:", "postgresql:", "mysql:"]
                .iter()
                .any(|s| url.starts_with(s)) =>
        {
            url.to_owned()
        }
        Some(_) => {
            return Err(raw.wrong(
                "database-url",
                "must begin with sqlite://, postgres:// or mysql://",
            ));
        }
        None => sqlite_url(&data_dir.join("localyun.db")),
    };
    let mut access_keys = Vec::new();
    for pair in raw
        .get("access-keys")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
    {
        let key = access_key(raw, "access-keys", pair)?;
        if access_keys
            .iter()
            .any(|known: &AccessKey| known.id == key.id)
        {
            return Err(raw.wrong("access-keys", format!("the id {:?} is there twice", key.id)));
        }
        access_keys.push(key);
    }
    if access_keys.is_empty() {
        return Err(raw.wrong("access-keys", "must hold at least one ID:SECRET pair"));
    }
    let clock_start = match raw.get("clock-start") {
        None | Some("now") => None,
        Some(value) => Some(instant(value).ok_or_else(|| {
            raw.wrong(
                "clock-start",
                format!("{value:?} is no instant; write 2026-03-01T02:00:00Z"),
            )
        })?),
    };
    let id_seed = match raw.get("id-seed") {
        None => None,
        Some(value) => Some(
            value
                .parse()
                .map_err(|_| raw.wrong("id-seed", format!("{value:?} is no whole number")))?,
        ),
    };
    let outside_store = outside_store(raw)?;
    let oss_public_url = raw
        .get("oss-public-url")
        .map(|url| web_url(raw, "oss-public-url", url))
        .transpose()?;
    let optional = |name: &str| {
        let written = raw.get(name).is_some();
        written.then(|| address(raw, name)).transpose()
    };
    let tls_addr = optional("tls-addr")?;
    let api_addr = address(raw, "api-addr")?;
    let cluster = cluster(raw, &database_url, outside_store.is_some())?;
    let config = Config {
        cluster,
        rtmp_addr: address(raw, "rtmp-addr")?,
        oss_addr: address(raw, "oss-addr")?,
        play_addr: address(raw, "play-addr")?,
        play_tls_addr: optional("play-tls-addr")?,
        auth: choice(raw, "auth", &[("strict", Auth::Strict), ("off", Auth::Off)])?,
        domains: choice(
            raw,
            "domains",
            &[("any", Domains::Any), ("declared", Domains::Declared)],
        )?,
        buckets: choice(
            raw,
            "buckets",
            &[("auto", Buckets::Auto), ("existing", Buckets::Existing)],
        )?,
        limits: choice(raw, "limits", &[("off", Limits::Off), ("on", Limits::On)])?,
        clock: choice(
            raw,
            "clock",
            &[
                ("running", ClockMode::Running),
                ("frozen", ClockMode::Frozen),
            ],
        )?,
        id_seed,
        ephemeral,
        public_host: named_host(raw, "public-host", host::host)?,
        seed: text("seed").map(PathBuf::from),
        default_domain: named_host(raw, "default-domain", host::domain)?,
        bearer_tokens: tokens(raw, "bearer-tokens")?,
        upstream: super::upstream::read(raw)?,
        log: text("log").unwrap_or_else(|| "info".to_owned()),
        shown: shown(raw, &data_dir),
        data_dir,
        api_addr,
        tls_addr,
        database_url,
        access_keys,
        clock_start,
        outside_store,
        oss_public_url,
        control_token: token(raw, "control-token")?,
    };
    Ok(config)
}

/// An instant that the service clock can start at. The parser would take a leap second for the one before it.
fn instant(value: &str) -> Option<UnixMs> {
    let leaps = value.get(17..19) == Some("60");
    wire_time::from_signature(value).filter(|at| *at >= 0 && !leaps)
}

fn named_host(
    raw: &Raw,
    name: &str,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, ConfigError> {
    let Some(value) = raw.get(name) else {
        return Ok(None);
    };
    let wrong = || {
        let problem = "must be a host's name or address, without scheme, port and path";
        raw.wrong(name, format!("{value:?} {problem}"))
    };
    read(value).map(Some).ok_or_else(wrong)
}

/// The address of a web server, without the slash at its end.
fn web_url(raw: &Raw, name: &str, value: &str) -> Result<String, ConfigError> {
    let is_web = value.starts_with("http://") || value.starts_with("https://");
    let read = url::Url::parse(value)
        .ok()
        .filter(|url| is_web && url.query().is_none() && url.fragment().is_none());
    match read {
        Some(_) => Ok(value.trim_end_matches('/').to_owned()),
        None => Err(raw.wrong(name, format!("{value:?} is no http:// or https:// URL"))),
    }
}

/// Whether the process is one of several, and as which.
fn cluster(
    raw: &Raw,
    database_url: &str,
    has_outside_store: bool,
) -> Result<Option<Cluster>, ConfigError> {
    let lease = duration(raw, "node-lease", 1_000, 60_000)?;
    let mirror = match raw.get("spool-mirror") {
        Some("off") => None,
        _ => Some(duration(raw, "spool-mirror", 100, 60_000)?),
    };
    let addr = address(raw, "cluster-addr")?;
    let token = token(raw, "cluster-token")?;
    let node_id = raw.get("node-id").map(str::to_owned);
    let is_name = |name: &String| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (1..=200).contains(&name.len()) && name.chars().all(fits)
    };
    if node_id.as_ref().is_some_and(|name| !is_name(name)) {
        return Err(raw.wrong(
            "node-id",
            "must be 1 to 200 letters, digits, dots, dashes and underscores",
        ));
    }
    if !choice(raw, "cluster", &SWITCH)? {
        return Ok(None);
    }
    if !database_url.starts_with("postgres") {
        return Err(raw.wrong(
            "cluster",
            "on needs --database-url postgres://…: the nodes find each other there",
        ));
    }
    if !has_outside_store {
        return Err(raw.wrong(
            "cluster",
            "on needs --oss-endpoint: what one node records the others must reach",
        ));
    }
    for (name, usual) in [
        ("clock", Some("running")),
        ("clock-start", None),
        ("id-seed", None),
    ] {
        if raw
            .get(name)
            .is_some_and(|value| Some(value) != usual && value != "now")
        {
            return Err(raw.wrong(
                name,
                "does not go with --cluster on: nodes share neither a clock of their own nor a row of ids",
            ));
        }
    }
    Ok(Some(Cluster {
        node_id,
        lease,
        mirror,
        addr,
        token,
    }))
}

/// A duration within bounds, in milliseconds.
fn duration(raw: &Raw, name: &str, least: u64, most: u64) -> Result<Duration, ConfigError> {
    let value = raw.get(name).unwrap_or_default();
    let parsed = match value.strip_suffix("ms") {
        Some(number) => number.parse::<u64>().ok(),
        None => value
            .strip_suffix('s')
            .and_then(|number| number.parse::<u64>().ok())
            .and_then(|seconds| seconds.checked_mul(1_000)),
    };
    match parsed.filter(|ms| (least..=most).contains(ms)) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err(raw.wrong(
            name,
            format!(
                "{value:?} is no duration from {least}ms to {}s; write 6s or 250ms",
                most / 1_000
            ),
        )),
    }
}

fn outside_store(raw: &Raw) -> Result<Option<OutsideStore>, ConfigError> {
    let Some(endpoint) = raw.get("oss-endpoint") else {
        if raw.get("oss-access-key").is_some() {
            return Err(raw.wrong("oss-access-key", "is of no use without --oss-endpoint"));
        }
        return Ok(None);
    };
    web_url(raw, "oss-endpoint", endpoint)?;
    let Some(pair) = raw.get("oss-access-key") else {
        return Err(ConfigError::new(
            "--oss-access-key",
            "is needed with --oss-endpoint; write ID:SECRET",
        ));
    };
    Ok(Some(OutsideStore {
        endpoint: endpoint.to_owned(),
        key: access_key(raw, "oss-access-key", pair)?,
        addressing: choice(
            raw,
            "oss-addressing",
            &[("path", Addressing::Path), ("virtual", Addressing::Virtual)],
        )?,
        region: raw.get("oss-region").unwrap_or("us-east-1").to_owned(),
    }))
}

/// Whether SQLite would keep the database nowhere.
fn is_in_memory(url: &str) -> bool {
    let rest = url.strip_prefix("sqlite:");
    rest.is_some_and(|rest| rest.contains(":memory:") || rest.contains("mode=memory"))
}

/// A variable's name without what all of them begin with.
fn own_part(name: &str) -> &str {
    name.strip_prefix("LOCALYUN_").unwrap_or(name)
}

/// Variables that no setting and no tool of ours reads, each with the name that was probably meant.
#[must_use]
pub fn strange_variables(
    names: impl Iterator<Item = String>,
) -> Vec<(String, Option<&'static str>)> {
    let known = || KEYS.iter().map(|key| key.env).chain(OF_TOOLS);
    let mut strange: Vec<_> = names
        .filter(|name| name.starts_with("LOCALYUN_") && !known().any(|known| known == name))
        .map(|name| {
            // The prefix is like every name, and says nothing of what was meant.
            let near = likeness::closest(known().map(own_part), own_part(&name));
            let near = near.and_then(|near| known().find(|known| own_part(known) == near));
            (name, near)
        })
        .collect();
    strange.sort();
    strange
}

/// A variable that a setting or a tool of ours reads, and that holds no text.
#[must_use]
pub fn unreadable_variable(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Option<ConfigError> {
    let known = |name: &OsString| {
        let mut names = KEYS.iter().map(|key| key.env).chain(OF_TOOLS);
        names.find(|known| name == known)
    };
    let mut unreadable = variables.filter(|(_, value)| value.to_str().is_none());
    let name = unreadable.find_map(|(name, _)| known(&name))?;
    Some(ConfigError::new(name, "holds bytes that are no UTF-8 text"))
}

/// What is shown of the settings; the data folder as it is in force, since that of an ephemeral run is nobody's choice.
fn shown(raw: &Raw, data_dir: &Path) -> Vec<Shown> {
    KEYS.iter()
        .map(|key| {
            let (value, source) = match raw.0.get(key.name) {
                Some((_, source)) if key.name == "data-dir" => {
                    (Some(data_dir.display().to_string()), source.clone())
                }
                Some((_, source)) if key.secret => {
                    (Some(secrets::HIDDEN.to_owned()), source.clone())
                }
                Some((value, source)) => (Some(secrets::text(value).into_owned()), source.clone()),
                None => (None, "default".to_owned()),
            };
            Shown {
                name: key.name,
                value,
                source,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(flags: &[(&'static str, &str)], env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut raw = Raw::default();
        for (name, value) in flags {
            raw.set(name, *value, format!("--{name}"));
        }
        load(&raw, |wanted| {
            env.iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_alone_are_complete() {
        let config = with(&[], &[]).unwrap();
        assert_eq!(config.api_addr, "127.0.0.1:8080");
        assert_eq!(config.access_keys.len(), 1);
        assert_eq!(
            config.database_url,
            "sqlite://.localyun/localyun.db?mode=rwc"
        );
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(
            &file,
            "auth = \"off\"\napi_addr = \"127.0.0.1:1\"\nrtmp_addr = \"127.0.0.1:2\"",
        )
        .unwrap();
        let config = with(
            &[
                ("config", file.to_str().unwrap()),
                ("rtmp-addr", "127.0.0.1:4"),
            ],
            &[
                ("LOCALYUN_API_ADDR", "127.0.0.1:3"),
                ("LOCALYUN_RTMP_ADDR", "127.0.0.1:3"),
            ],
        )
        .unwrap();
        assert_eq!(
            (
                config.auth,
                config.api_addr.as_str(),
                config.rtmp_addr.as_str()
            ),
            (Auth::Off, "127.0.0.1:3", "127.0.0.1:4")
        );
    }

    #[test]
    fn each_mistake_names_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        std::fs::write(&file, "api_adr = \"x\"").unwrap();
        let wrong = |flags: &[(&'static str, &str)], env: &[(&str, &str)]| {
            with(flags, env).unwrap_err().to_string()
        };
        assert!(wrong(&[("auth", "maybe")], &[]).starts_with("--auth: "));
        assert!(wrong(&[], &[("LOCALYUN_API_ADDR", "8080")]).starts_with("LOCALYUN_API_ADDR: "));
        assert!(wrong(&[("database-url", "oracle://x")], &[]).starts_with("--database-url: "));
        assert!(wrong(&[("clock-start", "tomorrow")], &[]).starts_with("--clock-start: "));
        assert!(wrong(&[("oss-endpoint", "http://h")], &[]).starts_with("--oss-access-key: "));
        for bad in ["localhost:9000", "ftp://h", "http://", "http://h/?x"] {
            let told = wrong(&[("oss-public-url", bad)], &[]);
            assert!(told.starts_with("--oss-public-url: "), "{told}");
        }
        let unknown = wrong(&[("config", file.to_str().unwrap())], &[]);
        assert!(
            unknown.contains("api_adr in ") && unknown.contains("did you mean api_addr?"),
            "{unknown}"
        );
    }

    #[test]
    fn a_secret_that_everybody_knows_or_no_header_carries_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        let store = ("oss-endpoint", "http://h");
        let upstream = ("upstream", "http://h");
        for (name, values) in [
            (
                "control-token",
                &["", " ", "a\nb", "a b", "geheim\u{e4}"][..],
            ),
            ("cluster-token", &["", "a\nb", "geheim\u{e4}"]),
            ("bearer-tokens", &["", ",", "a,,b", "a,b\nc"]),
            (
                "access-keys",
                &[
                    "", ":", "a:", ":b", "a: ", "a:b:", "a:b,c:", "a\nx:b", "a:b:t\nu",
                ],
            ),
            ("oss-access-key", &["", "a:", ":b", "a: ", "a:b:"]),
            ("upstream-access-key", &["", "a:", ":b", "a:b:"]),
        ] {
            for value in values {
                let told = with(
                    &[store, ("oss-access-key", "a:b"), upstream, (name, value)],
                    &[],
                );
                let told = told.unwrap_err().to_string();
                assert!(
                    told.starts_with(&format!("--{name}: ")),
                    "{name} {value:?}: {told}"
                );
                assert!(!told.contains("geheim"), "{told}");
            }
            let named = name.replace('-', "_");
            std::fs::write(&file, format!("{named} = \"\"")).unwrap();
            let told = with(&[("config", file.to_str().unwrap())], &[]);
            let told = told.unwrap_err().to_string();
            assert!(told.starts_with(&format!("{named} in ")), "{told}");
        }
        let unset = with(
            &[],
            &[
                ("LOCALYUN_CONTROL_TOKEN", ""),
                ("LOCALYUN_CLUSTER_TOKEN", ""),
            ],
        );
        assert_eq!(unset.unwrap().control_token, None);
        let set = with(&[("control-token", "a-b_c=~!")], &[]).unwrap();
        assert_eq!(set.control_token.as_deref(), Some("a-b_c=~!"));
    }

    #[test]
    fn a_node_needs_what_all_nodes_reach() {
        let postgres = ("database-url", "postgres://u@h/d");
        let store = [("oss-endpoint", "http://h"), ("oss-access-key", "a:b")];
        let on = ("cluster", "on");
        let wrong = |flags: &[(&'static str, &str)]| with(flags, &[]).unwrap_err().to_string();
        assert!(with(&[], &[]).unwrap().cluster.is_none());
        assert!(wrong(&[on]).contains("--cluster: on needs --database-url postgres://"));
        assert!(wrong(&[on, ("database-url", "mysql://h/d")]).contains("postgres"));
        assert!(wrong(&[on, postgres]).contains("--cluster: on needs --oss-endpoint"));
        let all = [&[on, postgres][..], &store].concat();
        let cluster = with(&all, &[]).unwrap().cluster.unwrap();
        assert_eq!(
            (cluster.lease, cluster.mirror),
            (Duration::from_secs(6), Some(Duration::from_secs(1)))
        );
        for (name, value) in [
            ("clock", "frozen"),
            ("clock-start", "2026-03-01T02:00:00Z"),
            ("node-lease", "6"),
            ("node-lease", "500ms"),
            ("spool-mirror", "1h"),
            ("node-id", "a b"),
            ("cluster-addr", "7946"),
            ("cluster-token", "a b"),
        ] {
            let flags = [&all[..], &[(name, value)]].concat();
            assert!(
                wrong(&flags).starts_with(&format!("--{name}: ")),
                "{name} {value}"
            );
        }
        let flags = [
            &all[..],
            &[("spool-mirror", "off"), ("node-lease", "2500ms")],
        ]
        .concat();
        let cluster = with(&flags, &[]).unwrap().cluster.unwrap();
        assert_eq!((cluster.lease.as_millis(), cluster.mirror), (2_500, None));
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_name_that_was_meant() {
        let names = [
            "LOCALYUN_API_ADRR",
            "LOCALYUN_RTMP",
            "PATH",
            "LOCALYUN_ENDPOINT",
            "LOCALYUN_AUTH",
            "LOCALYUN_XYZZY",
            "LOCALYUN_",
        ];
        let strange = strange_variables(names.into_iter().map(str::to_owned));
        let told: Vec<_> = strange
            .iter()
            .map(|(name, near)| (name.as_str(), *near))
            .collect();
        assert_eq!(told[0], ("LOCALYUN_", None));
        assert_eq!(told[1], ("LOCALYUN_API_ADRR", Some("LOCALYUN_API_ADDR")));
        assert_eq!(told[2], ("LOCALYUN_RTMP", Some("LOCALYUN_RTMP_ADDR")));
        assert_eq!((told[3], told.len()), (("LOCALYUN_XYZZY", None), 4));
    }

    #[test]
    fn a_variable_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let told = |name: &str, value: &[u8]| {
            let variable = (OsString::from(name), OsString::from_vec(value.to_vec()));
            unreadable_variable([variable].into_iter()).map(|error| error.to_string())
        };
        for name in ["LOCALYUN_DATA_DIR", "LOCALYUN_ENDPOINT"] {
            let named = told(name, b"/x/\xff").unwrap();
            assert!(named.starts_with(&format!("{name}: ")), "{named}");
            assert_eq!(told(name, b"/x"), None);
        }
        assert_eq!(told("PATH", b"/x/\xff"), None);
    }

    #[test]
    fn an_ephemeral_folder_lies_in_the_temporary_directory() {
        let config = with(&[("ephemeral", "on")], &[]).unwrap();
        assert!(config.ephemeral && config.data_dir.starts_with(std::env::temp_dir()));
        let other = with(&[("ephemeral", "on")], &[]).unwrap();
        assert_ne!(config.data_dir, other.data_dir);
        let shown = config.shown.iter().find(|shown| shown.name == "data-dir");
        assert_eq!(
            shown.and_then(|shown| shown.value.as_deref()),
            config.data_dir.to_str()
        );
        let both = with(&[("ephemeral", "on"), ("data-dir", "x")], &[]);
        assert!(both.unwrap_err().to_string().starts_with("--data-dir: "));
    }

    #[test]
    fn of_a_named_folder_and_a_throw_away_one_the_stronger_place_wins() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.toml");
        let config = ("config", file.to_str().unwrap());
        let named = |config: &Config| {
            let source = |name: &str| {
                let shown = config.shown.iter().find(|shown| shown.name == name);
                shown.unwrap().source.clone()
            };
            let dir = (!config.ephemeral).then(|| config.data_dir.display().to_string());
            (dir, source("data-dir"), source("ephemeral"))
        };
        let told = |dir: Option<&str>, data_dir: &str, ephemeral: &str| {
            (
                dir.map(str::to_owned),
                data_dir.to_owned(),
                ephemeral.to_owned(),
            )
        };
        let thrown_away = ("ephemeral", "on");
        let env_dir = ("LOCALYUN_DATA_DIR", "/data");
        // The image names a folder; the option counts more.
        let found = with(&[thrown_away], &[env_dir]).unwrap();
        assert_eq!(named(&found), told(None, "default", "--ephemeral"));
        let found = with(&[("ephemeral", "off")], &[env_dir]).unwrap();
        assert_eq!(
            named(&found),
            told(Some("/data"), "LOCALYUN_DATA_DIR", "--ephemeral")
        );
        let found = with(&[("data-dir", "x")], &[("LOCALYUN_EPHEMERAL", "on")]).unwrap();
        assert_eq!(named(&found), told(Some("x"), "--data-dir", "default"));
        std::fs::write(&file, "data_dir = \"y\"").unwrap();
        let found = with(&[config], &[("LOCALYUN_EPHEMERAL", "1")]).unwrap();
        assert_eq!(named(&found), told(None, "default", "LOCALYUN_EPHEMERAL"));
        // Written in one place, they contradict each other.
        let refused = with(&[], &[env_dir, ("LOCALYUN_EPHEMERAL", "on")]);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("LOCALYUN_DATA_DIR: "), "{refused}");
        std::fs::write(&file, "data_dir = \"y\"\nephemeral = true").unwrap();
        let refused = with(&[config], &[]).unwrap_err().to_string();
        assert!(refused.starts_with("data_dir in "), "{refused}");
    }

    #[test]
    fn the_database_lies_in_the_data_folder_whatever_that_is_called() {
        for (dir, encoded) in [
            ("/x/a%2Fb?c#d", "/x/a%252Fb%3Fc%23d"),
            ("my data:1", "my%20data%3A1"),
            ("\u{e4}", "%C3%A4"),
        ] {
            let config = with(&[("data-dir", dir)], &[]).unwrap();
            let url = format!("sqlite://{encoded}/localyun.db?mode=rwc");
            assert_eq!(config.database_url, url);
            assert!(url::Url::parse(&url).is_ok(), "{url}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let config = with(
            &[
                ("access-keys", "id:geheim"),
                ("database-url", "postgres://u:geheim@h/d"),
            ],
            &[],
        )
        .unwrap();
        assert!(!format!("{:?}", config.shown).contains("geheim"));
        assert!(!format!("{:?}", config.access_keys).contains("geheim"));
    }
}
