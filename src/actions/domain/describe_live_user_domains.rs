//! DescribeLiveUserDomains: the declared domains, by name. All of them are online.

use serde::{Deserialize, Serialize};

use super::kind;
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length, passes};
use crate::error::ApiError;
use crate::live::ingest::admission::Domain;
use crate::model::wire_time::to_api;
use crate::store::documents::Kind;

/// Accepted without effect.
pub const IGNORES: &[(&str, &str)] = &[
    ("ResourceGroupId", "there is one account without groups"),
    ("Tag", "domains carry no tags"),
];

const ONLINE: &str = "online";

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
    pub domain_search_type: Option<String>,
    pub domain_status: Option<String>,
    pub live_domain_type: Option<String>,
    pub region_name: Option<String>,
    pub page_number: i64,
    pub page_size: i64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    pub domains: Domains,
    pub page_number: i32,
    pub page_size: i32,
    pub total_count: i32,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Domains {
    pub page_data: Vec<PageData>,
}

/// One domain; the detail action spells two of these fields differently.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct PageData {
    pub domain_name: String,
    pub live_domain_type: String,
    pub live_domain_status: String,
    pub region_name: String,
    pub description: String,
    pub cname: String,
    pub gmt_created: String,
    pub gmt_modified: String,
    pub resource_group_id: String,
}

/// Lists the domains.
pub async fn handle(ctx: &Context, request: Request) -> Result<Answer, ApiError> {
    let keyword = given(request.domain_name).map(|word| word.to_ascii_lowercase());
    let search = request.domain_search_type.unwrap_or_default();
    let kind = given(request.live_domain_type);
    let region = given(request.region_name);
    let stored: Vec<(String, Domain)> = ctx.services.store.list_documents(Kind::Domain).await?;
    let found: Vec<(String, Domain)> = stored
        .into_iter()
        .filter(|(name, domain)| {
            keyword
                .as_deref()
                .is_none_or(|word| matches(&search, name, word))
                && passes(kind.as_deref(), &domain.kind)
                && passes(region.as_deref(), &domain.region)
                && passes(request.domain_status.as_deref(), ONLINE)
        })
        .collect();
    let paging = Paging::new(request.page_number, request.page_size);
    let numbers = paging.numbers(length(&found));
    Ok(Answer {
        domains: Domains {
            page_data: paging.cut(found).into_iter().map(page_data).collect(),
        },
        page_number: numbers.page,
        page_size: numbers.size,
        total_count: numbers.total,
    })
}

/// Whether a name fits a keyword the way DomainSearchType says.
fn matches(search: &str, name: &str, word: &str) -> bool {
    match search {
        "pre_match" => name.starts_with(word),
        "suf_match" => name.ends_with(word),
        "full_match" => name == word,
        _ => name.contains(word),
    }
}

fn page_data((name, domain): (String, Domain)) -> PageData {
    PageData {
        cname: kind::cname(&name),
        domain_name: name,
        live_domain_type: domain.kind,
        live_domain_status: ONLINE.to_owned(),
        region_name: domain.region,
        description: String::new(),
        gmt_created: to_api(domain.created_at),
        gmt_modified: to_api(domain.created_at),
        resource_group_id: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_searched_as_asked() {
        let name = "push.example.com";
        for (search, hit, miss) in [
            ("fuzzy_match", "example", "sample"),
            ("pre_match", "push.", "example"),
            ("suf_match", ".com", "push"),
            ("full_match", name, "example.com"),
        ] {
            assert!(matches(search, name, hit), "{search}");
            assert!(!matches(search, name, miss), "{search}");
        }
    }
}
