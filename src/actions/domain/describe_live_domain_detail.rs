//! DescribeLiveDomainDetail: one declared domain. Where any domain is taken as the caller's, one that was never declared is unknown
//! here all the same, so that programs which create what is missing find out.

use serde::{Deserialize, Serialize};

use super::{certificate, kind};
use crate::actions::Context;
use crate::actions::arguments::domain_name;
use crate::error::{ApiError, Code};
use crate::wire_time::to_api;

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
    pub domain_detail: Detail,
}

/// The domain; the list of domains spells two of these fields differently.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Detail {
    pub domain_name: String,
    pub live_domain_type: String,
    pub domain_status: String,
    pub region: String,
    pub scope: String,
    pub description: String,
    pub cname: String,
    pub gmt_created: String,
    pub gmt_modified: String,
    pub resource_group_id: String,
    pub cert_name: String,
    #[serde(rename = "SSLProtocol")]
    pub ssl_protocol: String,
    #[serde(rename = "SSLPub")]
    pub ssl_pub: String,
}

/// Shows the domain.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let name = domain_name("DomainName", &request.domain_name)?;
    let domain = kind::declared(ctx, &name)
        .await?
        .ok_or_else(|| ApiError::coded(Code::InvalidDomainNotFound))?;
    let shown = certificate::of_domain(ctx, &name).await?;
    let in_use = shown.filter(|shown| shown.of_domain.on);
    let on = in_use.is_some();
    let (cert_name, ssl_pub) = in_use
        .map(|shown| (shown.of_domain.name, shown.named.chain))
        .unwrap_or_default();
    Ok(Answer {
        domain_detail: Detail {
            cname: kind::cname(&name),
            domain_name: name,
            live_domain_type: domain.kind.as_str().to_owned(),
            domain_status: kind::status(domain.stopped).to_owned(),
            region: domain.region,
            scope: domain.scope,
            description: String::new(),
            gmt_created: to_api(domain.created_at),
            gmt_modified: to_api(domain.modified_at.max(domain.created_at)),
            resource_group_id: domain.resource_group,
            cert_name,
            ssl_protocol: if on { "on" } else { "off" }.to_owned(),
            ssl_pub,
        },
    })
}
