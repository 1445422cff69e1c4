//! Actions that the product has retired and released code still calls.
//!
//! The names are those that the vendor's own Python SDK once had (`aliyun-python-sdk-live`, 2.0.1 to 3.9.30) and its newest release has
//! no more. The gateway knows them as little as a misspelt name and answers 404; here the answer also says what has taken their place,
//! where that is known. A likely spelling would be no help: the name is right, only old.

/// The name, and what takes its place.
type Retired = (&'static str, &'static [&'static str]);

/// Sorted by name.
const RETIRED: &[Retired] = &[
    ("AddDRMCertificate", &[]),
    ("AddLiveASRConfig", &["AddLiveAISubtitle"]),
    ("AddLiveMixConfig", &["CreateMixStream"]),
    ("AddLiveMixNotifyConfig", &["CreateMixStream"]),
    ("AddMultiRateConfig", &["AddLiveStreamTranscode"]),
    ("AddMultipleStreamMixService", &["UpdateMixStream"]),
    ("AllowPushStream", &["ResumeLiveStream"]),
    ("ApplyBoardToken", &[]),
    ("ApplyRecordToken", &[]),
    ("CheckServiceForRole", &[]),
    ("CompleteBoard", &[]),
    ("CompleteBoardRecord", &[]),
    ("ControlHtmlResource", &[]),
    ("CreateBoard", &[]),
    ("CreateLiveTranscodeTemplate", &["CreateCustomTemplate"]),
    ("CreateRoom", &[]),
    ("DeleteBoard", &[]),
    ("DeleteHtmlResource", &[]),
    ("DeleteLiveASRConfig", &["DeleteLiveAISubtitle"]),
    ("DeleteLiveMixConfig", &["DeleteMixStream"]),
    ("DeleteLiveMixNotifyConfig", &["DeleteMixStream"]),
    (
        "DeleteLiveSpecificConfig",
        &["BatchDeleteLiveDomainConfigs"],
    ),
    ("DeleteMultiRateConfig", &["DeleteLiveStreamTranscode"]),
    ("DeleteRoom", &[]),
    ("DescribeBoardEvents", &[]),
    ("DescribeBoardSnapshot", &[]),
    ("DescribeBoards", &[]),
    ("DescribeCasterRtcInfo", &[]),
    ("DescribeCasterSyncGroup", &[]),
    ("DescribeDRMCertList", &[]),
    (
        "DescribeForbidPushStreamRoomList",
        &["DescribeLiveStreamsBlockList"],
    ),
    ("DescribeHtmlResource", &[]),
    ("DescribeLiveAsrConfig", &["DescribeLiveAISubtitle"]),
    (
        "DescribeLiveDomainBpsDataByTimeStamp",
        &["DescribeLiveDomainBpsData"],
    ),
    (
        "DescribeLiveDomainRecordData",
        &["DescribeLiveDomainRecordUsageData"],
    ),
    (
        "DescribeLiveDomainTranscodeData",
        &["DescribeLiveDomainStreamTranscodeData"],
    ),
    ("DescribeLiveMixConfig", &["DescribeMixStreamList"]),
    ("DescribeLiveMixNotifyConfig", &["DescribeMixStreamList"]),
    ("DescribeLiveStagingIp", &[]),
    ("DescribeLiveStreamOptimizedFeatureConfig", &[]),
    ("DescribeMeterLiveInteractionDau", &[]),
    ("DescribeMeterLiveRtcDuration", &[]),
    ("DescribeRecord", &[]),
    ("DescribeRecords", &[]),
    ("DescribeRoomKickoutUserList", &[]),
    ("DescribeRoomList", &[]),
    ("DescribeRoomStatus", &[]),
    ("EditHtmlResource", &[]),
    ("ForbidLiveCustomStream", &["ForbidLiveStream"]),
    ("ForbidPushStream", &["ForbidLiveStream"]),
    ("GetMultiRateConfig", &["DescribeLiveStreamTranscodeInfo"]),
    (
        "GetMultiRateConfigList",
        &["DescribeLiveStreamTranscodeInfo"],
    ),
    ("ImagePornDetection", &["AddLiveSnapshotDetectPornConfig"]),
    ("JoinBoard", &[]),
    ("RealTimeSnapshotCommand", &["AddLiveAppSnapshotConfig"]),
    ("RemoveMultipleStreamMixService", &["UpdateMixStream"]),
    ("SendRoomNotification", &[]),
    ("SendRoomUserNotification", &[]),
    ("SetBoardCallback", &[]),
    ("SetCasterSyncGroup", &[]),
    ("SetCasterTimedEvent", &[]),
    ("SetLiveStreamOptimizedFeatureConfig", &[]),
    ("StartBoardRecord", &[]),
    ("StartLiveIndex", &[]),
    ("StartMixStreamsService", &["CreateMixStream"]),
    ("StartMultipleStreamMixService", &["CreateMixStream"]),
    ("StopLiveIndex", &[]),
    ("StopMixStreamsService", &["DeleteMixStream"]),
    ("StopMultipleStreamMixService", &["DeleteMixStream"]),
    ("UpdateBoard", &[]),
    ("UpdateBoardCallback", &[]),
    ("UpdateLiveASRConfig", &["UpdateLiveAISubtitle"]),
    ("UpdateLiveMixNotifyConfig", &["UpdateMixStream"]),
    ("UpdateLiveTopLevelDomain", &[]),
];

/// What has become of a retired action, as a sentence; `None` for a name that was never one.
#[must_use]
pub fn told(action: &str) -> Option<String> {
    let (name, successors) = RETIRED.iter().find(|(name, _)| *name == action)?;
    Some(match successors {
        [] => format!("{name} was retired by the product, and nothing has taken its place"),
        some => format!(
            "{name} was retired by the product; {} has taken its place",
            some.join(" or ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    #[test]
    fn the_retired_are_gone_and_their_successors_there() {
        let spec = Spec::embedded();
        assert!(RETIRED.is_sorted_by(|a, b| a.0 < b.0));
        for (name, successors) in RETIRED {
            assert!(spec.action(name).is_none(), "{name} is documented");
            for successor in *successors {
                assert!(spec.action(successor).is_some(), "{successor}");
            }
        }
        assert_eq!(told("StartCaster"), None);
        let data = told("DescribeLiveDomainRecordData").unwrap();
        assert!(data.contains("DescribeLiveDomainRecordUsageData"), "{data}");
        // Those that are answered are none of these.
        assert_eq!(told("DescribeLiveStreamOnlineUserNum"), None);
        assert!(told("CreateBoard").unwrap().contains("nothing"));
    }
}
