//! Domains: declared ones, their mapping from ingest to streaming, and the functions set on them.

use crate::actions::{ActionDef, Ignores, action};

pub mod add_live_domain;
pub mod add_live_domain_mapping;
pub mod batch_delete_live_domain_configs;
pub mod batch_set_live_domain_configs;
pub mod delete_live_domain;
pub mod delete_live_domain_mapping;
pub mod describe_live_domain_configs;
pub mod describe_live_domain_detail;
pub mod describe_live_domain_mapping;
pub mod describe_live_user_domains;
pub mod functions;
mod kind;
pub mod roles;
#[cfg(test)]
mod tests;

/// The actions of this family.
pub const ACTIONS: &[ActionDef] = &[
    action!("AddLiveDomain", add_live_domain),
    action!("DeleteLiveDomain", delete_live_domain),
    action!("DescribeLiveUserDomains", describe_live_user_domains),
    action!("DescribeLiveDomainDetail", describe_live_domain_detail),
    action!("AddLiveDomainMapping", add_live_domain_mapping),
    action!("DeleteLiveDomainMapping", delete_live_domain_mapping),
    action!("DescribeLiveDomainMapping", describe_live_domain_mapping),
    action!("BatchSetLiveDomainConfigs", batch_set_live_domain_configs),
    action!("DescribeLiveDomainConfigs", describe_live_domain_configs),
    action!(
        "BatchDeleteLiveDomainConfigs",
        batch_delete_live_domain_configs
    ),
];

/// Parameters that are accepted without effect, by action, each with its reason.
pub const IGNORES: &[(&str, Ignores)] = &[
    ("AddLiveDomain", add_live_domain::IGNORES),
    (
        "DescribeLiveUserDomains",
        describe_live_user_domains::IGNORES,
    ),
    (
        "DescribeLiveDomainMapping",
        describe_live_domain_mapping::IGNORES,
    ),
];
