//! DescribeLiveCertificateList: the account's certificates, by name; with DomainName those that are for one of the domains.
//!
//! LastTime is the Unix second in which a certificate was set; no page names its unit.

use serde::{Deserialize, Serialize};

use crate::actions::Context;
use crate::actions::arguments::{MOST_DOMAINS, length, malformed, names, number};
use crate::certificates::{Facts, read};
use crate::error::ApiError;
use crate::model::domain::NamedCertificate;
use crate::store::documents::Kind;
use crate::wire_time::unix_seconds;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub certificate_list_model: Model,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Model {
    pub count: i32,
    pub cert_list: List,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct List {
    pub cert: Vec<Cert>,
}

/// One certificate.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Cert {
    pub cert_id: i64,
    pub cert_name: String,
    pub common: String,
    pub fingerprint: String,
    pub issuer: String,
    pub last_time: i64,
}

/// Lists the certificates.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let mut domains = Vec::new();
    for name in names(request.domain_name.as_deref().unwrap_or_default()) {
        domains.push(ctx.check_domain(name).await?);
        if domains.len() > MOST_DOMAINS {
            return Err(malformed("DomainName"));
        }
    }
    let store = &ctx.services.store;
    let stored: Vec<(String, NamedCertificate)> = store.list_documents(Kind::Certificate).await?;
    let mut found = Vec::new();
    for (name, certificate) in stored {
        let facts = read(&certificate.chain).map_err(ApiError::internal)?;
        if domains.is_empty() || domains.iter().any(|domain| facts.covers(domain)) {
            found.push(cert(name, &certificate, facts));
        }
    }
    Ok(Answer {
        certificate_list_model: Model {
            count: number(length(&found)),
            cert_list: List { cert: found },
        },
    })
}

fn cert(cert_name: String, certificate: &NamedCertificate, facts: Facts) -> Cert {
    Cert {
        cert_id: certificate.id,
        cert_name,
        common: facts.common_name,
        fingerprint: facts.fingerprint,
        issuer: facts.issuer,
        last_time: unix_seconds(certificate.created_at),
    }
}
