//! DescribeLiveDomainByCertificate: what a certificate says of itself, and which of the declared domains it is for.
//!
//! SSLStatus asks for those that are served over HTTPS, or those that are not. CertCaIsLegacy is always `no`.

use serde::{Deserialize, Serialize};

use super::certificate;
use crate::actions::Context;
use crate::certificates::{LONGEST_CHAIN, read};
use crate::error::{ApiError, Code};
use crate::model::domain::Domain;
use crate::store::documents::Kind;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(rename = "SSLPub")]
    pub ssl_pub: String,
    #[serde(rename = "SSLStatus")]
    pub ssl_status: Option<bool>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub cert_infos: Infos,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Infos {
    pub cert_info: Vec<Info>,
}

/// The certificate.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub cert_subject_common_name: String,
    pub issuer: String,
    pub cert_start_time: String,
    pub cert_expire_time: String,
    pub cert_expired: String,
    pub cert_type: String,
    pub cert_ca_is_legacy: String,
    /// The names that it is for.
    pub domain_names: String,
    /// The declared domains among them.
    pub domain_list: String,
}

/// Shows the certificate.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    if request.ssl_pub.len() > LONGEST_CHAIN {
        return Err(ApiError::coded(Code::InvalidCertificateTooLong));
    }
    let facts =
        read(&request.ssl_pub).map_err(|error| ApiError::invalid("SSLPub").with_hint(error))?;
    let served: Vec<String> = certificate::all(ctx)
        .await?
        .into_iter()
        .filter(|(_, shown)| shown.of_domain.on)
        .map(|(domain, _)| domain)
        .collect();
    let declared: Vec<(String, Domain)> = ctx.services.store.list_documents(Kind::Domain).await?;
    let mut domains: Vec<String> = declared.into_iter().map(|(name, _)| name).collect();
    domains.extend(
        served
            .iter()
            .filter(|name| !domains.contains(*name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    domains.retain(|name| {
        let fits = request
            .ssl_status
            .is_none_or(|on| served.contains(name) == on);
        fits && facts.covers(name)
    });
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    Ok(Answer {
        cert_infos: Infos {
            cert_info: vec![Info {
                cert_start_time: to_api(facts.not_before),
                cert_expire_time: to_api(facts.not_after),
                cert_expired: yes_or_no(facts.not_after < ctx.now()),
                cert_type: facts.algorithm.to_owned(),
                cert_ca_is_legacy: yes_or_no(false),
                domain_names: facts.names.join(","),
                domain_list: domains.join(","),
                cert_subject_common_name: facts.common_name,
                issuer: facts.issuer,
            }],
        },
    })
}
