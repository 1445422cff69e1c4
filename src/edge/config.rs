//! The settings of `serve`: one table of keys, four sources, and one clear line for each mistake.
//!
//! A flag wins over its environment variable, which wins over the config file (TOML), which wins over the default.

pub mod keys;
mod raw;
mod resolve;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use crate::clock::UnixMs;
use crate::objects::s3::Addressing;
use crate::secrets;
use crate::upstream::settings::Settings as UpstreamSettings;

pub use crate::identity::AccessKey;
pub use keys::KEYS;
pub use raw::{NO_TOKEN, Raw, is_token};
pub use resolve::{load, strange_variables, unreadable_variable};

/// Whether callers must sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Strict,
    Off,
}

/// Which domain names are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domains {
    Any,
    Declared,
}

/// What happens when a configuration names a bucket that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    Auto,
    Existing,
}

/// Whether the service clock runs from the start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockMode {
    Running,
    /// Only an advance moves it.
    Frozen,
}

/// Whether the documented call rates are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    Off,
    On,
}

/// Where the API is when no setting says otherwise; where the tools look for it.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:8080";

/// An outside object store.
#[derive(Debug, Clone)]
pub struct OutsideStore {
    pub endpoint: String,
    pub key: AccessKey,
    pub addressing: Addressing,
    pub region: String,
}

/// This process as one of several nodes.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name; the machine's where there is none.
    pub node_id: Option<String>,
    /// How long its lease lasts without a renewal.
    pub lease: Duration,
    /// How old recorded bytes may be that are not in the mirror; none: there is no mirror.
    pub mirror: Option<Duration>,
    /// Where it listens to the other nodes.
    pub addr: String,
    /// What nodes show each other.
    pub token: Option<String>,
}

/// The resolved settings.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub api_addr: String,
    pub rtmp_addr: String,
    pub oss_addr: String,
    pub play_addr: String,
    pub play_tls_addr: Option<String>,
    pub tls_addr: Option<String>,
    pub database_url: String,
    pub access_keys: Vec<AccessKey>,
    pub auth: Auth,
    pub clock_start: Option<UnixMs>,
    pub clock: ClockMode,
    /// What ids follow from, instead of chance.
    pub id_seed: Option<u64>,
    /// The data folder is removed at the end.
    pub ephemeral: bool,
    pub public_host: Option<String>,
    pub seed: Option<PathBuf>,
    pub domains: Domains,
    pub buckets: Buckets,
    pub default_domain: Option<String>,
    pub outside_store: Option<OutsideStore>,
    /// Where clients see the object store, without a slash at the end.
    pub oss_public_url: Option<String>,
    pub limits: Limits,
    pub control_token: Option<String>,
    pub bearer_tokens: Vec<String>,
    /// Another endpoint of the API, and what it answers instead of us.
    pub upstream: UpstreamSettings,
    /// None where the process is alone.
    pub cluster: Option<Cluster>,
    pub log: String,
    /// Every setting with its value and source, secrets masked.
    pub shown: Vec<Shown>,
}

/// A setting as `GET /_localyun/config` shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Shown {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: String,
}

/// What is wrong with the settings: one line that names the setting and where it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    pub setting: String,
    pub problem: String,
}

impl Config {
    /// Whether a setting was written somewhere, and is not only its default.
    #[must_use]
    pub fn is_written(&self, name: &str) -> bool {
        let shown = self.shown.iter().find(|shown| shown.name == name);
        shown.is_some_and(|shown| shown.source != "default")
    }

    /// Whether a bucket of the store stands in its host name.
    #[must_use]
    pub fn has_buckets_in_host(&self) -> bool {
        let outside = self.outside_store.as_ref();
        outside.is_some_and(|outside| outside.addressing == Addressing::Virtual)
    }
}

impl ConfigError {
    /// Named by where the setting was written, where that is not the flag: an error that shows late knows only the flag's name.
    #[must_use]
    pub fn named_as_written(mut self, shown: &[Shown]) -> Self {
        let written = shown.iter().find(|shown| {
            self.setting.strip_prefix("--") == Some(shown.name) && shown.source != "default"
        });
        if let Some(written) = written {
            self.setting.clone_from(&written.source);
        } else if self.setting == "--database-url" {
            // Nobody wrote a URL: the database is the file in the data folder.
            let folder = shown.iter().find(|shown| shown.name == "data-dir");
            let written = folder.filter(|folder| folder.source != "default");
            let path = folder.and_then(|folder| folder.value.as_deref());
            let path = PathBuf::from(path.unwrap_or_default()).join("localyun.db");
            self.setting = written
                .map_or("--data-dir", |folder| &folder.source)
                .to_owned();
            self.problem = format!("{}: {}", path.display(), self.problem);
        }
        self
    }

    #[must_use]
    pub fn new(setting: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        // One line, whatever the cause said, and no password of a URL in it.
        let problem = problem.to_string();
        let problem = secrets::text(&problem)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            setting: setting.into(),
            problem,
        }
    }
}
