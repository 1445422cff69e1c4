//! Live streams as the API shows them, and the callbacks of their publishing.

use crate::actions::{ActionDef, Ignores, action};

pub mod delete_live_streams_notify_url_config;
pub mod describe_live_stream_count;
pub mod describe_live_stream_state;
pub mod describe_live_streams_block_list;
pub mod describe_live_streams_control_history;
pub mod describe_live_streams_notify_records;
pub mod describe_live_streams_notify_url_config;
pub mod describe_live_streams_online_list;
pub mod describe_live_streams_publish_list;
pub mod describe_live_streams_total_count;
pub mod forbid_live_stream;
pub mod resume_live_stream;
pub mod set_live_streams_notify_url_config;
mod target;
#[cfg(test)]
mod tests;

/// The actions of this family.
pub const ACTIONS: &[ActionDef] = &[
    action!(
        "SetLiveStreamsNotifyUrlConfig",
        set_live_streams_notify_url_config
    ),
    action!(
        "DescribeLiveStreamsNotifyUrlConfig",
        describe_live_streams_notify_url_config
    ),
    action!(
        "DeleteLiveStreamsNotifyUrlConfig",
        delete_live_streams_notify_url_config
    ),
    action!(
        "DescribeLiveStreamsOnlineList",
        describe_live_streams_online_list
    ),
    action!("DescribeLiveStreamState", describe_live_stream_state),
    action!("DescribeLiveStreamCount", describe_live_stream_count),
    action!(
        "DescribeLiveStreamsTotalCount",
        describe_live_streams_total_count
    ),
    action!(
        "DescribeLiveStreamsPublishList",
        describe_live_streams_publish_list
    ),
    action!(
        "DescribeLiveStreamsNotifyRecords",
        describe_live_streams_notify_records
    ),
    action!("ForbidLiveStream", forbid_live_stream),
    action!("ResumeLiveStream", resume_live_stream),
    action!(
        "DescribeLiveStreamsBlockList",
        describe_live_streams_block_list
    ),
    action!(
        "DescribeLiveStreamsControlHistory",
        describe_live_streams_control_history
    ),
];

/// The address of a peer without its port.
fn ip_of(address: &str) -> &str {
    address
        .rsplit_once(':')
        .map_or(address, |(ip, _)| ip)
        .trim_matches(['[', ']'])
}

/// Parameters that are accepted without effect, by action, each with its reason.
pub const IGNORES: &[(&str, Ignores)] = &[
    (
        "SetLiveStreamsNotifyUrlConfig",
        set_live_streams_notify_url_config::IGNORES,
    ),
    (
        "DescribeLiveStreamsNotifyUrlConfig",
        describe_live_streams_notify_url_config::IGNORES,
    ),
    (
        "DeleteLiveStreamsNotifyUrlConfig",
        delete_live_streams_notify_url_config::IGNORES,
    ),
    (
        "DescribeLiveStreamsOnlineList",
        describe_live_streams_online_list::IGNORES,
    ),
    (
        "DescribeLiveStreamState",
        describe_live_stream_state::IGNORES,
    ),
    (
        "DescribeLiveStreamCount",
        describe_live_stream_count::IGNORES,
    ),
    (
        "DescribeLiveStreamsTotalCount",
        describe_live_streams_total_count::IGNORES,
    ),
    (
        "DescribeLiveStreamsPublishList",
        describe_live_streams_publish_list::IGNORES,
    ),
    (
        "DescribeLiveStreamsNotifyRecords",
        describe_live_streams_notify_records::IGNORES,
    ),
    ("ForbidLiveStream", forbid_live_stream::IGNORES),
    ("ResumeLiveStream", resume_live_stream::IGNORES),
    (
        "DescribeLiveStreamsControlHistory",
        describe_live_streams_control_history::IGNORES,
    ),
];
