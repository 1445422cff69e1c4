//! Live streams as the API shows them, and the callbacks of their publishing.

use crate::actions::{ActionDef, Ignores, action};

pub mod delete_live_streams_notify_url_config;
pub mod describe_live_stream_state;
pub mod describe_live_streams_notify_url_config;
pub mod describe_live_streams_online_list;
pub mod set_live_streams_notify_url_config;
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
];

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
];
