//! How a snapshot is written: the state's own types with a domain's name beside its settings, and unknown names refused everywhere.

use serde::{Deserialize, Serialize};

use super::secrets::{hidden, hidden_argument, hidden_url};
use crate::clock::UnixMs;
use crate::model::domain::{
    Domain, DomainCertificate, DomainKind, Function, NamedCertificate, Tag,
};
use crate::model::forbidden::Forbidden;
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::rule::Rule;
use crate::objects::folder::{Acl, BucketClass, BucketInfo, CorsRule, Redundancy};
use crate::store::controls::Control;
use crate::store::pushes::PushRow;
use crate::store::records::{FileRow, SessionRow, SliceRow};

/// A snapshot; every part may be absent.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// The form's version; without it a document is no snapshot.
    pub localyun: Option<u32>,
    pub rules: Vec<Rule>,
    pub record_notify: Vec<RecordNotifyPart>,
    pub stream_notify: Vec<StreamNotifyPart>,
    pub domains: Vec<DomainPart>,
    pub domain_configs: Vec<DomainConfig>,
    pub buckets: Vec<BucketPart>,
    pub sessions: Vec<SessionRow>,
    pub slices: Vec<SliceRow>,
    pub files: Vec<FileRow>,
    pub forbidden: Vec<Forbidden>,
    pub tags: Vec<TagsPart>,
    pub certificates: Vec<CertificatePart>,
    pub domain_certificates: Vec<DomainCertificatePart>,
    pub pushes: Vec<PushRow>,
    pub controls: Vec<Control>,
}

/// The tags of a domain.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagsPart {
    pub domain: String,
    pub tags: Vec<Tag>,
}

/// A certificate; its key goes out hidden.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePart {
    pub name: String,
    #[serde(default)]
    id: i64,
    chain: String,
    key: String,
    #[serde(default)]
    created_at: UnixMs,
}

impl CertificatePart {
    pub fn of((name, certificate): (String, NamedCertificate)) -> Self {
        Self {
            name,
            id: certificate.id,
            chain: certificate.chain,
            key: hidden(&certificate.key, true),
            created_at: certificate.created_at,
        }
    }

    pub fn read(self) -> (String, NamedCertificate) {
        let certificate = NamedCertificate {
            id: self.id,
            chain: self.chain,
            key: self.key,
            created_at: self.created_at,
        };
        (self.name, certificate)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainCertificatePart {
    pub domain: String,
    name: String,
    kind: String,
    on: bool,
    #[serde(default)]
    updated_at: UnixMs,
}

impl DomainCertificatePart {
    pub fn of((domain, certificate): (String, DomainCertificate)) -> Self {
        Self {
            domain,
            name: certificate.name,
            kind: certificate.kind,
            on: certificate.on,
            updated_at: certificate.updated_at,
        }
    }

    pub fn read(self) -> (String, DomainCertificate) {
        let certificate = DomainCertificate {
            name: self.name,
            kind: self.kind,
            on: self.on,
            updated_at: self.updated_at,
        };
        (self.domain, certificate)
    }
}

/// A bucket of the object store.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BucketPart {
    pub name: String,
    /// `private` where nothing is said.
    pub acl: Option<Acl>,
    pub cors: Vec<CorsPart>,
    /// Every answer says that it may depend on the origin.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cors_vary: bool,
    /// Of which class the bucket is made; `standard` where nothing is said.
    #[serde(skip_serializing_if = "is_default")]
    pub storage_class: BucketClass,
    /// `lrs` where nothing is said.
    #[serde(skip_serializing_if = "is_default")]
    pub redundancy: Redundancy,
}

/// Such a value is left out, so that a program that does not know its field reads the rest.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct CorsPart {
    origins: Vec<String>,
    methods: Vec<String>,
    allowed_headers: Vec<String>,
    expose_headers: Vec<String>,
    max_age_seconds: Option<u32>,
}

impl BucketPart {
    pub fn of(info: BucketInfo) -> Self {
        let cors = info.cors.into_iter().map(|rule| CorsPart {
            origins: rule.origins,
            methods: rule.methods,
            allowed_headers: rule.allowed_headers,
            expose_headers: rule.expose_headers,
            max_age_seconds: rule.max_age_seconds,
        });
        Self {
            name: info.name,
            acl: Some(info.acl),
            cors: cors.collect(),
            cors_vary: info.cors_vary,
            storage_class: info.storage_class,
            redundancy: info.redundancy,
        }
    }
}

impl CorsPart {
    pub fn read(self) -> CorsRule {
        CorsRule {
            origins: self.origins,
            methods: self.methods,
            allowed_headers: self.allowed_headers,
            expose_headers: self.expose_headers,
            max_age_seconds: self.max_age_seconds,
        }
    }
}

// `flatten` and `deny_unknown_fields` do not go together, so the parts name every field.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct RecordNotifyPart {
    pub domain: String,
    notify_url: Option<String>,
    on_demand_url: Option<String>,
    need_status_notify: bool,
    notify_req_auth: bool,
    notify_auth_key: String,
}

impl RecordNotifyPart {
    pub fn of((domain, config): (String, RecordNotify)) -> Self {
        Self {
            domain,
            notify_url: hidden_url(config.notify_url),
            on_demand_url: hidden_url(config.on_demand_url),
            need_status_notify: config.need_status_notify,
            notify_req_auth: config.notify_req_auth,
            notify_auth_key: hidden(&config.notify_auth_key, config.notify_req_auth),
        }
    }

    pub fn read(self) -> (String, RecordNotify) {
        let config = RecordNotify {
            notify_url: self.notify_url,
            on_demand_url: self.on_demand_url,
            need_status_notify: self.need_status_notify,
            notify_req_auth: self.notify_req_auth,
            notify_auth_key: self.notify_auth_key,
        };
        (self.domain, config)
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct StreamNotifyPart {
    pub domain: String,
    notify_url: Option<String>,
    exception_notify_url: Option<String>,
    notify_req_auth: bool,
    notify_auth_key: String,
}

impl StreamNotifyPart {
    pub fn of((domain, config): (String, StreamNotify)) -> Self {
        Self {
            domain,
            notify_url: hidden_url(config.notify_url),
            exception_notify_url: hidden_url(config.exception_notify_url),
            notify_req_auth: config.notify_req_auth,
            notify_auth_key: hidden(&config.notify_auth_key, config.notify_req_auth),
        }
    }

    pub fn read(self) -> (String, StreamNotify) {
        let config = StreamNotify {
            notify_url: self.notify_url,
            exception_notify_url: self.exception_notify_url,
            notify_req_auth: self.notify_req_auth,
            notify_auth_key: self.notify_auth_key,
        };
        (self.domain, config)
    }
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct DomainPart {
    pub domain: String,
    kind: DomainKind,
    play_domain: Option<String>,
    region: String,
    scope: String,
    created_at: UnixMs,
    modified_at: UnixMs,
    stopped: bool,
    main_domain: Option<String>,
    resource_group: String,
}

impl DomainPart {
    pub fn of((domain, config): (String, Domain)) -> Self {
        Self {
            domain,
            kind: config.kind,
            play_domain: config.play_domain,
            region: config.region,
            scope: config.scope,
            created_at: config.created_at,
            modified_at: config.modified_at,
            stopped: config.stopped,
            main_domain: config.main_domain,
            resource_group: config.resource_group,
        }
    }

    pub fn read(self) -> (String, Domain) {
        let config = Domain {
            kind: self.kind,
            play_domain: self.play_domain,
            region: self.region,
            scope: self.scope,
            created_at: self.created_at,
            modified_at: self.modified_at,
            stopped: self.stopped,
            main_domain: self.main_domain,
            resource_group: self.resource_group,
        };
        (self.domain, config)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainConfig {
    pub domain: String,
    functions: Vec<FunctionPart>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionPart {
    name: String,
    args: Vec<(String, String)>,
    #[serde(default)]
    id: i64,
}

impl DomainConfig {
    pub fn of((domain, functions): (String, Vec<Function>)) -> Self {
        let functions = functions.into_iter().map(|mut function| {
            let signs = function.args.iter().any(|(_, value)| value == "type_a");
            for (name, value) in &mut function.args {
                *value = hidden_argument(name, value, signs && name == "auth_key1");
            }
            FunctionPart {
                name: function.name,
                args: function.args,
                id: function.id,
            }
        });
        Self {
            domain,
            functions: functions.collect(),
        }
    }

    pub fn read(self) -> (String, Vec<Function>) {
        let functions = self.functions.into_iter().map(|part| Function {
            name: part.name,
            args: part.args,
            id: part.id,
        });
        (self.domain, functions.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_bucket_goes_out_and_comes_in_as_it_was_made() {
        let info = BucketInfo {
            name: "rec".to_owned(),
            created_ms: 5,
            acl: Acl::PublicRead,
            cors: Vec::new(),
            cors_vary: false,
            storage_class: BucketClass::ColdArchive,
            redundancy: Redundancy::Zrs,
        };
        let written = serde_json::to_value(BucketPart::of(info)).unwrap();
        let told = json!({
            "name": "rec", "acl": "public-read", "cors": [], "storage_class": "cold-archive", "redundancy": "zrs",
        });
        assert_eq!(written, told);
        let read: BucketPart = serde_json::from_value(written).unwrap();
        assert_eq!(
            (read.storage_class, read.redundancy),
            (BucketClass::ColdArchive, Redundancy::Zrs)
        );
        // What says nothing of it, as snapshots once did, has what buckets are made of where nothing is said, and is written as it was.
        let plain = json!({"name": "rec", "acl": "private", "cors": []});
        let read: BucketPart = serde_json::from_value(plain.clone()).unwrap();
        assert_eq!(
            (read.storage_class, read.redundancy),
            (BucketClass::Standard, Redundancy::Lrs)
        );
        let written: Value = serde_json::to_value(read).unwrap();
        assert_eq!(written, plain);
    }
}
