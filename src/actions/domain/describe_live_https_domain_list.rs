//! DescribeLiveHttpsDomainList: the domains that have a certificate in use, by name. Keyword is a part of the domain's name.
//!
//! CertStatus is `ok`, `mismatch` (it is not for the domain), `expire_soon` (within 30 days) or `expired`, as the sibling of the content
//! network documents it.

use serde::{Deserialize, Serialize};

use super::certificate::{self, Shown};
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length};
use crate::clock::UnixMs;
use crate::error::ApiError;
use crate::model::retention::DAY_MS;
use crate::wire_time::to_api;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[("RegionId", "there is one region")];

/// How long before its end a certificate is said to expire soon.
const SOON_MS: i64 = 30 * DAY_MS;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub keyword: Option<String>,
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub cert_infos: Infos,
    pub total_count: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Infos {
    pub cert_info: Vec<Info>,
}

/// One domain with its certificate.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    pub domain_name: String,
    pub cert_name: String,
    pub cert_type: String,
    pub cert_common_name: String,
    pub cert_start_time: String,
    pub cert_expire_time: String,
    pub cert_update_time: String,
    pub cert_status: String,
}

/// Lists the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let keyword = given(request.keyword).map(|word| word.to_ascii_lowercase());
    let mut found = certificate::all(ctx).await?;
    found.retain(|(domain, shown)| {
        shown.of_domain.on
            && keyword
                .as_ref()
                .is_none_or(|word| domain.contains(word.as_str()))
    });
    let paging = Paging::new(request.page_number, request.page_size);
    let numbers = paging.numbers(length(&found));
    let now = ctx.now();
    let shown = paging.cut(found).into_iter();
    Ok(Answer {
        cert_infos: Infos {
            cert_info: shown
                .map(|(domain, shown)| info(domain, shown, now))
                .collect(),
        },
        total_count: numbers.total,
    })
}

fn info(domain_name: String, shown: Shown, now: UnixMs) -> Info {
    let Shown {
        of_domain, facts, ..
    } = shown;
    Info {
        cert_name: of_domain.name,
        cert_type: of_domain.kind,
        cert_start_time: to_api(facts.not_before),
        cert_expire_time: to_api(facts.not_after),
        cert_update_time: to_api(of_domain.updated_at),
        cert_status: if facts.not_after < now {
            "expired"
        } else if !facts.covers(&domain_name) {
            "mismatch"
        } else if facts.not_after < now + SOON_MS {
            "expire_soon"
        } else {
            "ok"
        }
        .to_owned(),
        cert_common_name: facts.common_name,
        domain_name,
    }
}
