//! What was counted, as the API tells it: viewers, traffic, frame and bit rates.

use crate::actions::{ActionDef, Ignores, action};

pub mod describe_live_center_stream_rate_data;
pub mod describe_live_domain_bps_data;
pub mod describe_live_domain_frame_rate_and_bit_rate_data;
pub mod describe_live_domain_online_user_num;
pub mod describe_live_domain_push_bps_data;
pub mod describe_live_domain_push_traffic_data;
pub mod describe_live_domain_pv_uv_data;
pub mod describe_live_domain_real_time_bps_data;
pub mod describe_live_domain_real_time_http_code_data;
pub mod describe_live_domain_real_time_traffic_data;
pub mod describe_live_domain_traffic_data;
pub mod describe_live_stream_bit_rate_data;
pub mod describe_live_stream_detail_frame_rate_and_bit_rate_data;
pub mod describe_live_stream_history_user_num;
pub mod describe_live_stream_metric_detail_data;
pub mod describe_live_stream_online_user_num;
pub mod describe_live_stream_push_metric_detail_data;
pub mod describe_live_streams_frame_rate_and_bit_rate_data;
pub mod describe_live_user_stream_metric_data;
pub mod describe_up_peak_publish_stream_data;
mod metric;
mod over_domains;
mod played;
mod rates;
mod span;
mod subject;
#[cfg(test)]
mod tests;

/// The actions of this family.
pub const ACTIONS: &[ActionDef] = &[
    action!(
        "DescribeLiveDomainOnlineUserNum",
        describe_live_domain_online_user_num
    ),
    action!(
        "DescribeLiveStreamHistoryUserNum",
        describe_live_stream_history_user_num
    ),
    action!("DescribeLiveDomainBpsData", describe_live_domain_bps_data),
    action!(
        "DescribeLiveDomainTrafficData",
        describe_live_domain_traffic_data
    ),
    action!(
        "DescribeLiveDomainPushBpsData",
        describe_live_domain_push_bps_data
    ),
    action!(
        "DescribeLiveDomainPushTrafficData",
        describe_live_domain_push_traffic_data
    ),
    action!(
        "DescribeLiveDomainRealTimeBpsData",
        describe_live_domain_real_time_bps_data
    ),
    action!(
        "DescribeLiveDomainRealTimeTrafficData",
        describe_live_domain_real_time_traffic_data
    ),
    action!(
        "DescribeLiveDomainRealTimeHttpCodeData",
        describe_live_domain_real_time_http_code_data
    ),
    action!(
        "DescribeLiveStreamBitRateData",
        describe_live_stream_bit_rate_data
    ),
    action!(
        "DescribeLiveDomainFrameRateAndBitRateData",
        describe_live_domain_frame_rate_and_bit_rate_data
    ),
    action!(
        "DescribeLiveStreamDetailFrameRateAndBitRateData",
        describe_live_stream_detail_frame_rate_and_bit_rate_data
    ),
    action!(
        "DescribeLiveCenterStreamRateData",
        describe_live_center_stream_rate_data
    ),
    action!(
        "DescribeLiveStreamMetricDetailData",
        describe_live_stream_metric_detail_data
    ),
    action!(
        "DescribeLiveStreamPushMetricDetailData",
        describe_live_stream_push_metric_detail_data
    ),
    action!(
        "DescribeLiveUserStreamMetricData",
        describe_live_user_stream_metric_data
    ),
    action!(
        "DescribeLiveDomainPvUvData",
        describe_live_domain_pv_uv_data
    ),
    action!(
        "DescribeUpPeakPublishStreamData",
        describe_up_peak_publish_stream_data
    ),
    action!(
        "DescribeLiveStreamOnlineUserNum",
        describe_live_stream_online_user_num
    ),
    action!(
        "DescribeLiveStreamsFrameRateAndBitRateData",
        describe_live_streams_frame_rate_and_bit_rate_data
    ),
];

/// Parameters that are accepted without effect, by action, each with its reason.
pub const IGNORES: &[(&str, Ignores)] = &[
    (
        "DescribeLiveDomainOnlineUserNum",
        describe_live_domain_online_user_num::IGNORES,
    ),
    (
        "DescribeLiveStreamHistoryUserNum",
        describe_live_stream_history_user_num::IGNORES,
    ),
    (
        "DescribeLiveDomainBpsData",
        describe_live_domain_bps_data::IGNORES,
    ),
    (
        "DescribeLiveDomainTrafficData",
        describe_live_domain_traffic_data::IGNORES,
    ),
    (
        "DescribeLiveDomainPushBpsData",
        describe_live_domain_push_bps_data::IGNORES,
    ),
    (
        "DescribeLiveDomainPushTrafficData",
        describe_live_domain_push_traffic_data::IGNORES,
    ),
    (
        "DescribeLiveDomainRealTimeBpsData",
        describe_live_domain_real_time_bps_data::IGNORES,
    ),
    (
        "DescribeLiveDomainRealTimeTrafficData",
        describe_live_domain_real_time_traffic_data::IGNORES,
    ),
    (
        "DescribeLiveDomainRealTimeHttpCodeData",
        describe_live_domain_real_time_http_code_data::IGNORES,
    ),
    (
        "DescribeLiveStreamBitRateData",
        describe_live_stream_bit_rate_data::IGNORES,
    ),
    (
        "DescribeLiveDomainFrameRateAndBitRateData",
        describe_live_domain_frame_rate_and_bit_rate_data::IGNORES,
    ),
    (
        "DescribeLiveStreamDetailFrameRateAndBitRateData",
        describe_live_stream_detail_frame_rate_and_bit_rate_data::IGNORES,
    ),
    (
        "DescribeLiveCenterStreamRateData",
        describe_live_center_stream_rate_data::IGNORES,
    ),
    (
        "DescribeLiveStreamMetricDetailData",
        describe_live_stream_metric_detail_data::IGNORES,
    ),
    (
        "DescribeLiveStreamPushMetricDetailData",
        describe_live_stream_push_metric_detail_data::IGNORES,
    ),
    (
        "DescribeLiveUserStreamMetricData",
        describe_live_user_stream_metric_data::IGNORES,
    ),
    (
        "DescribeLiveDomainPvUvData",
        describe_live_domain_pv_uv_data::IGNORES,
    ),
    (
        "DescribeUpPeakPublishStreamData",
        describe_up_peak_publish_stream_data::IGNORES,
    ),
    (
        "DescribeLiveStreamOnlineUserNum",
        describe_live_stream_online_user_num::IGNORES,
    ),
    (
        "DescribeLiveStreamsFrameRateAndBitRateData",
        describe_live_streams_frame_rate_and_bit_rate_data::IGNORES,
    ),
];
