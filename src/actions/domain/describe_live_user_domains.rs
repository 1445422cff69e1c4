//! DescribeLiveUserDomains: the declared domains, by name.

use serde::{Deserialize, Serialize};

use super::kind;
use super::tags::{self, Member};
use crate::actions::Context;
use crate::actions::arguments::{Paging, given, length, passes};
use crate::error::ApiError;
use crate::model::domain::Domain;
use crate::store::documents::Kind;
use crate::wire_time::to_api;

#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    pub domain_name: Option<String>,
    pub domain_search_type: Option<String>,
    pub domain_status: Option<String>,
    pub live_domain_type: Option<String>,
    pub region_name: Option<String>,
    pub resource_group_id: Option<String>,
    #[serde(default)]
    pub tag: Vec<Member>,
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
    let wanted = given(request.live_domain_type);
    let region = given(request.region_name);
    let group = given(request.resource_group_id);
    let tagged = if request.tag.is_empty() {
        Vec::new()
    } else {
        tags::stored(ctx).await?
    };
    let has_tags = |name: &str| {
        let of_it = tagged.iter().find(|(known, _)| known == name);
        let of_it = of_it.map(|(_, tags)| tags.as_slice()).unwrap_or_default();
        tags::all_among(&request.tag, of_it)
    };
    let stored: Vec<(String, Domain)> = ctx.services.store.list_documents(Kind::Domain).await?;
    let found: Vec<(String, Domain)> = stored
        .into_iter()
        .filter(|(name, domain)| {
            keyword
                .as_deref()
                .is_none_or(|word| matches(&search, name, word))
                && passes(wanted.as_deref(), domain.kind.as_str())
                && passes(region.as_deref(), &domain.region)
                && passes(group.as_deref(), &domain.resource_group)
                && passes(
                    request.domain_status.as_deref(),
                    kind::status(domain.stopped),
                )
                && has_tags(name)
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
        live_domain_type: domain.kind.as_str().to_owned(),
        live_domain_status: kind::status(domain.stopped).to_owned(),
        region_name: domain.region,
        description: String::new(),
        gmt_created: to_api(domain.created_at),
        gmt_modified: to_api(domain.modified_at.max(domain.created_at)),
        resource_group_id: domain.resource_group,
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
