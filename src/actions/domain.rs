//! Domains: declared ones, their mapping from ingest to streaming, and the functions set on them.

use crate::actions::{ActionDef, Ignores, action};

pub mod add_live_domain;
pub mod add_live_domain_mapping;
pub mod add_live_domain_play_mapping;
pub mod batch_delete_live_domain_configs;
pub mod batch_set_live_domain_configs;
pub mod certificate;
mod change;
pub mod change_live_domain_resource_group;
pub mod delete_live_domain;
pub mod delete_live_domain_mapping;
pub mod delete_live_domain_play_mapping;
pub mod describe_live_certificate_detail;
pub mod describe_live_certificate_list;
pub mod describe_live_domain_by_certificate;
pub mod describe_live_domain_certificate_info;
pub mod describe_live_domain_configs;
pub mod describe_live_domain_detail;
pub mod describe_live_domain_limit;
pub mod describe_live_domain_mapping;
pub mod describe_live_https_domain_list;
pub mod describe_live_tag_resources;
pub mod describe_live_user_domains;
pub mod describe_live_user_tags;
pub mod describe_live_verify_content;
pub mod functions;
mod kind;
pub mod list_live_tag_resources;
pub mod modify_live_domain_schdm_by_property;
mod owner;
pub mod roles;
pub mod set_live_domain_certificate;
pub mod start_live_domain;
pub mod stop_live_domain;
pub mod tag_live_resources;
pub mod tags;
#[cfg(test)]
mod tests;
pub mod un_tag_live_resources;
pub mod verify_live_domain_owner;

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
    action!("AddLiveDomainPlayMapping", add_live_domain_play_mapping),
    action!(
        "ChangeLiveDomainResourceGroup",
        change_live_domain_resource_group
    ),
    action!(
        "DeleteLiveDomainPlayMapping",
        delete_live_domain_play_mapping
    ),
    action!(
        "DescribeLiveCertificateDetail",
        describe_live_certificate_detail
    ),
    action!(
        "DescribeLiveCertificateList",
        describe_live_certificate_list
    ),
    action!(
        "DescribeLiveDomainByCertificate",
        describe_live_domain_by_certificate
    ),
    action!(
        "DescribeLiveDomainCertificateInfo",
        describe_live_domain_certificate_info
    ),
    action!("DescribeLiveDomainLimit", describe_live_domain_limit),
    action!(
        "DescribeLiveHttpsDomainList",
        describe_live_https_domain_list
    ),
    action!("DescribeLiveTagResources", describe_live_tag_resources),
    action!("DescribeLiveUserTags", describe_live_user_tags),
    action!("DescribeLiveVerifyContent", describe_live_verify_content),
    action!("ListLiveTagResources", list_live_tag_resources),
    action!(
        "ModifyLiveDomainSchdmByProperty",
        modify_live_domain_schdm_by_property
    ),
    action!("SetLiveDomainCertificate", set_live_domain_certificate),
    action!("StartLiveDomain", start_live_domain),
    action!("StopLiveDomain", stop_live_domain),
    action!("TagLiveResources", tag_live_resources),
    action!("UnTagLiveResources", un_tag_live_resources),
    action!("VerifyLiveDomainOwner", verify_live_domain_owner),
];

/// Parameters that are accepted without effect, by action, each with its reason.
pub const IGNORES: &[(&str, Ignores)] = &[
    ("AddLiveDomain", add_live_domain::IGNORES),
    (
        "DescribeLiveDomainMapping",
        describe_live_domain_mapping::IGNORES,
    ),
    (
        "AddLiveDomainPlayMapping",
        add_live_domain_play_mapping::IGNORES,
    ),
    (
        "ChangeLiveDomainResourceGroup",
        change_live_domain_resource_group::IGNORES,
    ),
    (
        "DeleteLiveDomainPlayMapping",
        delete_live_domain_play_mapping::IGNORES,
    ),
    (
        "DescribeLiveDomainByCertificate",
        describe_live_domain_by_certificate::IGNORES,
    ),
    (
        "DescribeLiveDomainCertificateInfo",
        describe_live_domain_certificate_info::IGNORES,
    ),
    (
        "DescribeLiveDomainLimit",
        describe_live_domain_limit::IGNORES,
    ),
    (
        "DescribeLiveHttpsDomainList",
        describe_live_https_domain_list::IGNORES,
    ),
    (
        "DescribeLiveTagResources",
        describe_live_tag_resources::IGNORES,
    ),
    ("DescribeLiveUserTags", describe_live_user_tags::IGNORES),
    (
        "DescribeLiveVerifyContent",
        describe_live_verify_content::IGNORES,
    ),
    ("ListLiveTagResources", list_live_tag_resources::IGNORES),
    (
        "ModifyLiveDomainSchdmByProperty",
        modify_live_domain_schdm_by_property::IGNORES,
    ),
    ("TagLiveResources", tag_live_resources::IGNORES),
    ("UnTagLiveResources", un_tag_live_resources::IGNORES),
    ("VerifyLiveDomainOwner", verify_live_domain_owner::IGNORES),
];
