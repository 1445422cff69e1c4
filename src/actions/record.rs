//! The recording family: configurations, their callbacks, commands to a live recording, and what was recorded.

use crate::actions::{ActionDef, Ignores, action};

pub mod add_live_app_record_config;
pub mod add_live_record_notify_config;
pub mod config;
pub mod create_live_stream_record_index_files;
pub mod delete_live_app_record_config;
pub mod delete_live_record_notify_config;
pub mod delete_live_stream_record_index_files;
pub mod describe_live_record_config;
pub mod describe_live_record_notify_config;
pub mod describe_live_record_notify_records;
pub mod describe_live_record_vod_configs;
pub mod describe_live_stream_record_content;
pub mod describe_live_stream_record_index_file;
pub mod describe_live_stream_record_index_files;
mod index_info;
mod listed_rule;
mod notify;
pub mod real_time_record_command;
pub mod rendered;
pub mod target;
#[cfg(test)]
mod tests;
pub mod turns;
pub mod update_live_app_record_config;
pub mod update_live_record_notify_config;

/// The actions of this family.
pub const ACTIONS: &[ActionDef] = &[
    action!("AddLiveAppRecordConfig", add_live_app_record_config),
    action!("UpdateLiveAppRecordConfig", update_live_app_record_config),
    action!("DeleteLiveAppRecordConfig", delete_live_app_record_config),
    action!("DescribeLiveRecordConfig", describe_live_record_config),
    action!("AddLiveRecordNotifyConfig", add_live_record_notify_config),
    action!(
        "UpdateLiveRecordNotifyConfig",
        update_live_record_notify_config
    ),
    action!(
        "DeleteLiveRecordNotifyConfig",
        delete_live_record_notify_config
    ),
    action!(
        "DescribeLiveRecordNotifyConfig",
        describe_live_record_notify_config
    ),
    action!(
        "DescribeLiveRecordNotifyRecords",
        describe_live_record_notify_records
    ),
    action!("RealTimeRecordCommand", real_time_record_command),
    action!(
        "DescribeLiveStreamRecordContent",
        describe_live_stream_record_content
    ),
    action!(
        "CreateLiveStreamRecordIndexFiles",
        create_live_stream_record_index_files
    ),
    action!(
        "DescribeLiveStreamRecordIndexFiles",
        describe_live_stream_record_index_files
    ),
    action!(
        "DescribeLiveStreamRecordIndexFile",
        describe_live_stream_record_index_file
    ),
    action!(
        "DeleteLiveStreamRecordIndexFiles",
        delete_live_stream_record_index_files
    ),
    action!(
        "DescribeLiveRecordVodConfigs",
        describe_live_record_vod_configs
    ),
];

/// Parameters that are accepted without effect, by action, each with its reason.
pub const IGNORES: &[(&str, Ignores)] = &[
    (
        "DescribeLiveRecordNotifyRecords",
        describe_live_record_notify_records::IGNORES,
    ),
    ("RealTimeRecordCommand", real_time_record_command::IGNORES),
    (
        "DeleteLiveStreamRecordIndexFiles",
        delete_live_stream_record_index_files::IGNORES,
    ),
    (
        "DescribeLiveRecordVodConfigs",
        describe_live_record_vod_configs::IGNORES,
    ),
];
