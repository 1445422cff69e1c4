//! Domains: what a declared one is, and the functions set on it.

use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;

/// The scope of a domain where nobody names one.
pub const DEFAULT_SCOPE: &str = "domestic";

/// What a declared domain is for, in the product's words of LiveDomainType.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DomainKind {
    /// Nobody said: a mapping alone made the domain known.
    #[default]
    #[serde(rename = "")]
    Unsaid,
    /// Streams are played from it.
    #[serde(rename = "liveVideo")]
    Streaming,
    /// Streams are pushed to it.
    #[serde(rename = "liveEdge")]
    Ingest,
    /// Streams are published to the product's real-time network through it. Here it is neither of the two above.
    #[serde(rename = "liveGrtnPub")]
    GrtnPublish,
    /// Streams of that network are played from it.
    #[serde(rename = "liveGrtnSub")]
    GrtnSubscribe,
}

impl DomainKind {
    /// The product's word; empty where nobody said.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsaid => "",
            Self::Streaming => "liveVideo",
            Self::Ingest => "liveEdge",
            Self::GrtnPublish => "liveGrtnPub",
            Self::GrtnSubscribe => "liveGrtnSub",
        }
    }

    /// The kind of the product's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        use DomainKind::{GrtnPublish, GrtnSubscribe, Ingest, Streaming};
        [Streaming, Ingest, GrtnPublish, GrtnSubscribe]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A declared domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    pub kind: DomainKind,
    /// The streaming domain that an ingest domain is mapped to.
    pub play_domain: Option<String>,
    /// Where its live centre is, as AddLiveDomain named it.
    pub region: String,
    /// `domestic`, `overseas` or `global`.
    pub scope: String,
    pub created_at: UnixMs,
    /// When one of its properties was last changed; 0 where none was.
    pub modified_at: UnixMs,
    /// Whether StopLiveDomain took it off: nothing is pushed to it and nothing played from it.
    pub stopped: bool,
    /// The streaming domain whose streams this one plays too, where AddLiveDomainPlayMapping named one.
    pub main_domain: Option<String>,
    pub resource_group: String,
}

impl Domain {
    /// The streaming domain that the streams of this one belong to, where that is another one.
    #[must_use]
    pub fn leads_to(&self) -> Option<&str> {
        self.play_domain.as_deref().or(self.main_domain.as_deref())
    }
}

/// One function of a domain, as BatchSetLiveDomainConfigs sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    pub name: String,
    pub args: Vec<(String, String)>,
    #[serde(default)]
    pub id: i64,
}

impl Function {
    /// The value of an argument.
    #[must_use]
    pub fn arg(&self, name: &str) -> Option<&str> {
        self.args
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// A tag of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

/// A certificate of the account, with its key; its name is unique.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCertificate {
    pub id: i64,
    /// The certificate and those that signed it, as PEM.
    pub chain: String,
    /// The private key, as PEM; empty where a snapshot brought the certificate without it.
    pub key: String,
    pub created_at: UnixMs,
}

/// Which certificate a domain has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainCertificate {
    pub name: String,
    /// `upload`, `cas` or `free`.
    pub kind: String,
    /// Whether the domain is served with it.
    pub on: bool,
    pub updated_at: UnixMs,
}
