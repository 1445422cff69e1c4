//! Tags of domains: their rules, and how requests name them. One document a domain, in the order in which they were set.

use serde::Deserialize;

use crate::actions::Context;
use crate::actions::arguments::malformed;
use crate::error::ApiError;
use crate::model::domain::Tag;
use crate::store::documents::Kind;

/// Tags of a domain, and of one call.
pub const MOST_TAGS: usize = 20;
/// Domains of one call.
pub const MOST_RESOURCES: usize = 50;
/// The longest key or value, in characters.
const LONGEST: usize = 128;

/// The one kind of thing that carries tags.
pub const DOMAIN: &str = "DOMAIN";

/// A tag as a request names it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Member {
    pub key: Option<String>,
    pub value: Option<String>,
}

impl Member {
    /// Whether a domain with these tags is meant: one that has the key, with that value where one is given.
    fn is_among(&self, tags: &[Tag]) -> bool {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (key, value) = (given(&self.key), given(&self.value));
        tags.iter().any(|tag| {
            key.as_ref().is_none_or(|key| *key == tag.key)
                && value.as_ref().is_none_or(|value| *value == tag.value)
        })
    }
}

/// Whether a domain with these tags is meant by all of the members.
pub fn all_among(members: &[Member], tags: &[Tag]) -> bool {
    members.iter().all(|member| member.is_among(tags))
}

/// The tags that a request sets; a key that comes twice has its last value.
pub fn read(members: &[Member]) -> Result<Vec<Tag>, ApiError> {
    let mut tags = Vec::new();
    for member in members {
        let tag = Tag {
            key: member.key.clone().unwrap_or_default(),
            value: member.value.clone().unwrap_or_default(),
        };
        check(&tag)?;
        set(&mut tags, tag);
    }
    check_room(&tags)?;
    Ok(tags)
}

/// Keys that begin so are the cloud's own.
const RESERVED: [&str; 2] = ["aliyun", "acs:"];

/// A tag's rules.
pub fn check(tag: &Tag) -> Result<(), ApiError> {
    let refused = |why: &str| Err(malformed("Tag").with_hint(why));
    let fits = |text: &str| text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
    if tag.key.is_empty() {
        return refused("a tag needs a key");
    }
    if !fits(&tag.key) || !fits(&tag.value) {
        return refused("key and value have at most 128 characters");
    }
    if RESERVED
        .iter()
        .any(|own| tag.key.to_ascii_lowercase().starts_with(own))
    {
        return refused("keys that begin with aliyun or acs: are the cloud's own");
    }
    Ok(())
}

/// A domain's tags are few.
pub fn check_room(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > MOST_TAGS {
        return Err(malformed("Tag").with_hint(format!("a domain has at most {MOST_TAGS} tags")));
    }
    Ok(())
}

/// Adds a tag, or gives the one of its key a new value.
pub fn set(tags: &mut Vec<Tag>, tag: Tag) {
    match tags.iter_mut().find(|known| known.key == tag.key) {
        Some(known) => known.value = tag.value,
        None => tags.push(tag),
    }
}

/// Domains by the name ResourceId.
pub async fn resources(ctx: &Context, list: &[String]) -> Result<Vec<String>, ApiError> {
    if list.len() > MOST_RESOURCES {
        return Err(
            malformed("ResourceId").with_hint(format!("expected at most {MOST_RESOURCES} domains"))
        );
    }
    let mut domains: Vec<String> = Vec::new();
    for name in list {
        let domain = ctx.check_domain(name).await?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

/// Refuses a kind of thing that carries no tags.
pub fn check_type(kind: &str) -> Result<(), ApiError> {
    if kind.eq_ignore_ascii_case(DOMAIN) {
        Ok(())
    } else {
        Err(ApiError::invalid("ResourceType"))
    }
}

/// Every domain that has tags, by name.
pub async fn stored(ctx: &Context) -> Result<Vec<(String, Vec<Tag>)>, ApiError> {
    Ok(ctx.services.store.list_documents(Kind::Tags).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(key: &str, value: &str) -> Member {
        Member {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        }
    }

    #[test]
    fn tags_have_bounds_at_which_they_are_taken() {
        let many = |n: usize| {
            (0..n)
                .map(|n| member(&format!("k{n}"), "v"))
                .collect::<Vec<_>>()
        };
        assert_eq!(read(&many(MOST_TAGS)).unwrap().len(), MOST_TAGS);
        assert!(read(&many(MOST_TAGS + 1)).is_err());
        assert!(read(&[member(&"中".repeat(LONGEST), &"v".repeat(LONGEST))]).is_ok());
        for bad in [
            member("", "v"),
            member(&"k".repeat(LONGEST + 1), ""),
            member("k", &"v".repeat(LONGEST + 1)),
            member("Aliyun.x", ""),
            member("a\nb", ""),
        ] {
            assert!(read(&[bad]).is_err());
        }
        let twice = read(&[member("k", "1"), member("k", "2")]).unwrap();
        assert_eq!((twice.len(), twice[0].value.as_str()), (1, "2"));
    }

    #[test]
    fn a_filter_without_value_means_any() {
        let tags = read(&[member("env", "dev"), member("team", "a")]).unwrap();
        assert!(all_among(&[], &tags));
        assert!(all_among(&[member("env", ""), member("team", "a")], &tags));
        assert!(!all_among(&[member("env", "prod")], &tags));
        assert!(!all_among(&[member("env", "dev"), member("x", "")], &tags));
    }
}
