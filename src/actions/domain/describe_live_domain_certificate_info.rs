//! DescribeLiveDomainCertificateInfo: the certificate of a domain, in use or not; a domain that never got one has an empty list.

use serde::{Deserialize, Serialize};

use super::certificate::{self, Shown};
use crate::actions::Context;
use crate::error::ApiError;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: String,
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
    pub domain_name: String,
    pub cert_name: String,
    pub cert_type: String,
    /// The name that it is for.
    pub cert_domain_name: String,
    pub cert_expire_time: String,
    pub cert_life: String,
    /// Who signed it.
    pub cert_org: String,
    #[serde(rename = "SSLProtocol")]
    pub ssl_protocol: String,
    #[serde(rename = "SSLPub")]
    pub ssl_pub: String,
    pub status: String,
}

/// Shows the certificate.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let domain = ctx.check_domain(&request.domain_name).await?;
    let shown = certificate::of_domain(ctx, &domain).await?;
    Ok(Answer {
        cert_infos: Infos {
            cert_info: shown
                .into_iter()
                .map(|shown| info(&domain, shown))
                .collect(),
        },
    })
}

fn info(domain: &str, shown: Shown) -> Info {
    let Shown {
        of_domain,
        named,
        facts,
    } = shown;
    Info {
        domain_name: domain.to_owned(),
        cert_name: of_domain.name,
        cert_type: of_domain.kind,
        cert_expire_time: to_api(facts.not_after),
        cert_life: certificate::life(&facts),
        cert_org: facts.issuer_organization,
        cert_domain_name: facts.common_name,
        ssl_protocol: if of_domain.on { "on" } else { "off" }.to_owned(),
        ssl_pub: named.chain,
        status: "success".to_owned(),
    }
}
