//! The one table of error codes: Rust name, wire string, HTTP status, default message.
//!
//! What: everything this service can answer with, the gateway's checks first, then the product's own codes. Two families
//! of codes carry a parameter's name in the code itself (`MissingDomainName`, `InvalidCycleDuration`) and are variants with data.
//!
//! Why one table: `api-spec/errors.json` holds the same facts with their certainty, and a test compares the two both ways.
//! A status here is the usual one; some actions document another (`InvalidStream.NotFound` is 404 in RealTimeRecordCommand
//! and 400 in CreateLiveStreamRecordIndexFiles), which [`super::ApiError::documented_as`] applies.

use std::borrow::Cow;

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $wire:literal, $status:literal, $message:literal;)*) => {
        /// An error code as the wire spells it.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Code {
            /// `Missing{Param}`: a mandatory parameter is absent.
            Missing(Cow<'static, str>),
            /// `Invalid{Param}`: a parameter has a value that the gateway refuses and for which the product has no code.
            Invalid(Cow<'static, str>),
            /// A code outside the table, as an armed fault may ask for.
            Other(Cow<'static, str>),
            $(#[doc = concat!("`", $wire, "`")] $name,)*
        }

        /// The fixed codes: wire string, HTTP status, default message.
        const TABLE: &[(Code, &str, u16, &str)] = &[$((Code::$name, $wire, $status, $message),)*];

        impl Code {
            fn row(&self) -> Option<(&'static str, u16, &'static str)> {
                match self {
                    Code::Missing(_) | Code::Invalid(_) | Code::Other(_) => None,
                    $(Code::$name => Some(($wire, $status, $message)),)*
                }
            }
        }
    };
}

codes! {
// The gateway, before an action runs.
MissingSecurityToken = "MissingSecurityToken", 400, "SecurityToken is mandatory for this action.";
InvalidActionNotFound = "InvalidAction.NotFound", 404, "Specified api is not found, please check your url and method.";
InvalidApiNotFound = "InvalidApi.NotFound", 404, "Specified api is not found, please check your url and method.";
InvalidVersion = "InvalidVersion", 404, "Specified parameter Version is not valid.";
InvalidProductNotFound = "InvalidProduct.NotFound", 404, "Cannot find product according to your specified domain.";
InvalidAccessKeyId = "InvalidAccessKeyId", 404, "Specified access key is not found or invalid.";
InvalidAccessKeyIdNotFound = "InvalidAccessKeyId.NotFound", 404, "Specified access key is not found.";
InvalidAccessKeyIdInactive = "InvalidAccessKeyId.Inactive", 400, "Specified access key is disabled.";
SignatureDoesNotMatch = "SignatureDoesNotMatch", 400, "Specified signature is not matched with our calculation. server string to sign is:{StringToSign}";
IncompleteSignature = "IncompleteSignature", 400, "The request signature does not conform to Aliyun standards. server string to sign is:{StringToSign}";
InvalidSignatureMethod = "InvalidSignatureMethod", 400, "Specified signature method is not valid.";
InvalidSignatureVersion = "InvalidSignatureVersion", 400, "Specified parameter SignatureVersion is not valid.";
InvalidTimeStampExpired = "InvalidTimeStamp.Expired", 400, "Specified time stamp or date value is expired.";
InvalidTimeStampFormat = "InvalidTimeStamp.Format", 400, "Specified time stamp or date value is not well formatted.";
SignatureNonceUsed = "SignatureNonceUsed", 400, "Specified signature nonce was used already.";
InvalidParameterFormat = "InvalidParameter.Format", 400, "Specified parameter format is not valid.";
UnsupportedHttpMethod = "UnsupportedHTTPMethod", 400, "This http method is not supported.";
InvalidProtocolNeedSsl = "InvalidProtocol.NeedSsl", 404, "Your request is denied as lack of ssl protect.";
InvalidSecurityTokenExpired = "InvalidSecurityToken.Expired", 400, "Specified SecurityToken is expired.";
InvalidSecurityTokenMalformed = "InvalidSecurityToken.Malformed", 400, "Specified SecurityToken is malformed.";
InvalidSecurityTokenMismatchWithAccessKey = "InvalidSecurityToken.MismatchWithAccessKey", 400, "Specified SecurityToken mismatch with the AccessKey.";
Throttling = "Throttling", 400, "Request was denied due to request throttling.";
ThrottlingUser = "Throttling.User", 400, "Request was denied due to user flow control.";
ThrottlingApi = "Throttling.Api", 400, "Request was denied due to api flow control.";
Forbidden = "Forbidden", 401, "User not authorized to operate on the specified resource.";
ForbiddenRam = "Forbidden.RAM", 403, "User not authorized to operate on the specified resource, or this API doesn't support RAM.";
NoPermission = "NoPermission", 403, "You are not authorized to do this action.";
ServiceUnavailable = "ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server.";
InternalError = "InternalError", 500, "The request processing has failed due to some unknown error.";
ContentMd5NotMatched = "ContentMD5NotMatched", 400, "The Content-MD5 header does not fit the request body.";
ContentLengthDoesNotMatch = "ContentLengthDoesNotMatch", 400, "The Content-Length header does not fit the request body.";
MissingParameter = "MissingParameter", 400, "A mandatory parameter of this action is absent.";
// localyun itself.
ActionNotImplemented = "ActionNotImplemented", 400, "The action {Action} is a documented one and passed the checks of its parameters, but localyun does not implement it.";
NotRecorded = "NotRecorded", 400, "No recorded call of the cassette fits this one.";
InvalidParameter = "InvalidParameter", 400, "A parameter of the request is not valid.";
RequestEntityTooLarge = "RequestEntityTooLarge", 413, "The request is larger than this service accepts.";
// The product.
InvalidDomainNotFound = "InvalidDomain.NotFound", 404, "The domain provided does not exist in our records.";
IllegalOperation = "IllegalOperation", 403, "The operation is not possible on this domain.";
ConfigAlreadyExists = "ConfigAlreadyExists", 400, "Config has already exist.";
InvalidConfigNotFound = "InvalidConfig.NotFound", 404, "Config does not exist.";
InvalidConfigChanged = "InvalidConfig.Changed", 400, "The oss bucket info between StartTime and EndTime has changed.";
InvalidRegion = "InvalidRegion", 400, "The action is not offered in this region.";
InvalidIdentityServiceDisabled = "InvalidIdentity.ServiceDisabled", 400, "The live service is not enabled for this account.";
InvalidOssBucketMalformed = "InvalidOssBucket.Malformed", 400, "Specified parameter OssBucket is not valid.";
InvalidOssBucketNotFound = "InvalidOssBucket.NotFound", 400, "The parameter OssBucket does not exist.";
InvalidOssEndpointMalformed = "InvalidOssEndpoint.Malformed", 400, "Specified parameter OssEndpoint is not valid.";
InvalidOssObjectMalformed = "InvalidOssObject.Malformed", 400, "Specified parameter OssObject is not valid.";
InvalidOssObjectPrefixMalformed = "InvalidOssObjectPrefix.Malformed", 400, "Specified parameter OssObjectPrefix is not valid.";
InvalidSliceOssObjectPrefixMalformed = "InvalidSliceOssObjectPrefix.Malformed", 400, "Specified parameter SliceOssObjectPrefix is not valid.";
InvalidFormatMalformed = "InvalidFormat.Malformed", 400, "Specified parameter Format is not valid.";
InvalidCycleDurationMalformed = "InvalidCycleDuration.Malformed", 400, "Specified parameter CycleDuration is not valid.";
InvalidStartTimeMalformed = "InvalidStartTime.Malformed", 400, "Specified parameter StartTime is not valid.";
InvalidEndTimeMalformed = "InvalidEndTime.Malformed", 400, "Specified parameter EndTime is not valid.";
InvalidEndTimeMismatch = "InvalidEndTime.Mismatch", 400, "The specified EndTime does not fit StartTime.";
InvalidNotifyUrlMalformed = "InvalidNotifyUrl.Malformed", 400, "Specified NotifyUrl is invalid.";
InvalidNotifyUrlUnsafe = "InvalidNotifyUrl.Unsafe", 400, "The specified NotifyUrl is not safe to call.";
InvalidStreamNotFound = "InvalidStream.NotFound", 404, "Stream does not exist.";
NoRecordContent = "NoRecordContent", 400, "The record content between StartTime and EndTime is empty.";
TaskAlreadyStarted = "TaskAlreadyStarted", 409, "Task has already started.";
CasterTemplateUnavailable = "CasterTemplateUnavailable", 401, "The caster template is not available.";
CopyCasterTimeout = "CopyCaster.Timeout", 408, "Copying the caster took too long.";
CreateCasterTimeout = "CreateCaster.Timeout", 408, "Creating the caster took too long.";
DomainAlreadyExist = "DomainAlreadyExist", 400, "The specified domain already exists.";
DomainTypeMalformed = "DomainType.Malformed", 400, "The domain has the wrong type for this operation.";
DuplicateLocationId = "DuplicateLocationID", 400, "The specified LocationId is in use.";
IncorrectCasterStatus = "IncorrectCasterStatus", 400, "The caster is in a state that does not allow the operation.";
IncorrectSceneStatus = "IncorrectSceneStatus", 400, "The scene is in a state that does not allow the operation.";
IncorrectSceneStatusConfigError = "IncorrectSceneStatus.ConfigError", 400, "The configuration of the scene does not allow the operation.";
InvalidAppNameConflicted = "InvalidAppName.Conflicted", 400, "The specified AppName conflicts with an existing configuration.";
InvalidAudioLayersAndMixListSizeMismatch = "InvalidAudioLayersAndMixListSize.Mismatch", 400, "AudioLayers and MixList differ in length.";
InvalidCasterNotFound = "InvalidCaster.NotFound", 404, "The specified caster does not exist.";
InvalidChargeTypeMalformed = "InvalidChargeType.Malformed", 400, "Specified parameter ChargeType is not valid.";
InvalidConfigurationNotFound = "InvalidConfiguration.NotFound", 404, "The specified configuration does not exist.";
InvalidLayoutNotFound = "InvalidLayout.NotFound", 404, "The specified layout does not exist.";
InvalidLiveStreamUrlMalformed = "InvalidLiveStreamUrl.Malformed", 400, "Specified parameter LiveStreamUrl is not valid.";
InvalidMaterialIdMalformed = "InvalidMaterialId.Malformed", 400, "Specified parameter MaterialId is not valid.";
InvalidNormTypeMalformed = "InvalidNormType.Malformed", 400, "Specified parameter NormType is not valid.";
InvalidOverwriteOssObjectMalformed = "InvalidOverwriteOssObject.Malformed", 400, "Specified parameter OverwriteOssObject is not valid.";
InvalidOverwriteOssObjectOrSequenceOssObjectMalformed = "InvalidOverwriteOssObjectOrSequenceOssObject.Malformed", 400, "Specified parameter OverwriteOssObjectOrSequenceOssObject is not valid.";
InvalidPageNumMalformed = "InvalidPageNum.Malformed", 400, "Specified parameter PageNum is not valid.";
InvalidPageSizeMalformed = "InvalidPageSize.Malformed", 400, "Specified parameter PageSize is not valid.";
InvalidParameterMalformed = "InvalidParameter.Malformed", 400, "A parameter of the request is not valid.";
InvalidParams = "InvalidParams", 400, "A parameter of the request is not valid.";
InvalidPeriodMalformed = "InvalidPeriod.Malformed", 400, "Specified parameter Period is not valid.";
InvalidPositionNormalizedMalformed = "InvalidPositionNormalized.Malformed", 400, "Specified parameter PositionNormalized is not valid.";
InvalidProtocol = "InvalidProtocol", 400, "Specified parameter Protocol is not valid.";
InvalidPullDomainMiss = "InvalidPullDomain.Miss", 400, "The pull domain is absent.";
InvalidPushDomainMiss = "InvalidPushDomain.Miss", 400, "The push domain is absent.";
InvalidResourceNotFound = "InvalidResource.NotFound", 404, "The specified resource does not exist.";
InvalidResumeTimeMalformed = "InvalidResumeTime.Malformed", 400, "Specified parameter ResumeTime is not valid.";
InvalidSceneNotFound = "InvalidScene.NotFound", 404, "The specified scene does not exist.";
InvalidSceneIdMalformed = "InvalidSceneId.Malformed", 400, "Specified parameter SceneId is not valid.";
InvalidSegmentDuration = "InvalidSegmentDuration", 400, "Specified parameter SegmentDuration is not valid.";
InvalidSegmentNum = "InvalidSegmentNum", 400, "Specified parameter SegmentNum is not valid.";
InvalidSequenceOssObjectMalformed = "InvalidSequenceOssObject.Malformed", 400, "Specified parameter SequenceOssObject is not valid.";
InvalidStatusMalformed = "InvalidStatus.Malformed", 400, "Specified parameter Status is not valid.";
InvalidVideoLayersAndBlendListSizeMismatch = "InvalidVideoLayersAndBlendListSize.Mismatch", 400, "VideoLayers and BlendList differ in length.";
MissingParam = "MissingParam", 400, "A mandatory parameter of this action is absent.";
PermissionDenied = "PermissionDenied", 401, "The caller has no permission for this operation.";
ResourceNumberExceed = "ResourceNumberExceed", 500, "The number of resources is at its limit.";
ResourceOfChannelExist = "ResourceOfChannelExist", 400, "The channel has resources.";
InvalidSslProtocolValueNotSupported = "InvalidSSLProtocol.ValueNotSupported", 400, "The specified value of SSLProtocol is neither on nor off.";
SslPubMissingParameter = "SSLPub.MissingParameter", 400, "SSLPub is absent, which SSLProtocol on needs.";
SslPriMissingParameter = "SSLPri.MissingParameter", 400, "SSLPri is absent, which SSLProtocol on needs.";
CertificateMissMatch = "Certificate.MissMatch", 400, "SSLPri is not the key of the certificate.";
CertificateDuplicated = "Certificate.Duplicated", 400, "Another certificate has that name; ForceSet 1 replaces it.";
CertificateNotFind = "Certificate.NotFind", 400, "The account has no certificate of that name.";
CertificateExpired = "Certificate.Expired", 400, "The certificate has expired.";
InvalidCertNameTooLong = "InvalidCertName.TooLong", 400, "The name of the certificate is longer than 128 characters.";
InvalidCertificateTooLong = "InvalidCertificate.TooLong", 400, "The certificate is longer than this service accepts.";
UrgentMaterialNotFound = "UrgentMaterialNotFound", 404, "The urgent material does not exist.";}

impl Code {
    /// The wire string.
    #[must_use]
    pub fn as_str(&self) -> Cow<'_, str> {
        match self {
            Code::Missing(param) => Cow::Owned(format!("Missing{param}")),
            Code::Invalid(param) => Cow::Owned(format!("Invalid{param}")),
            Code::Other(wire) => Cow::Borrowed(wire),
            fixed => Cow::Borrowed(fixed.row().map_or("", |(wire, _, _)| wire)),
        }
    }

    /// The usual HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().map_or(400, |(_, status, _)| status)
    }

    /// Whether only localyun answers with it: the cloud's own help knows nothing of such a code.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Code::ActionNotImplemented
                | Code::NotRecorded
                | Code::InvalidParameter
                | Code::RequestEntityTooLarge
        )
    }

    /// The default message; placeholders such as `{StringToSign}` are left for [`super::ApiError`] to fill.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Code::Missing(param) => Cow::Owned(format!("{param} is mandatory for this action.")),
            Code::Invalid(param) => {
                Cow::Owned(format!("Specified parameter {param} is not valid."))
            }
            Code::Other(_) => Cow::Borrowed("The request was refused."),
            fixed => Cow::Borrowed(fixed.row().map_or("", |(_, _, message)| message)),
        }
    }

    /// The code that a wire string names: a row of the table, else by its prefix, else [`Code::Other`].
    #[must_use]
    pub fn from_wire(wire: &str) -> Self {
        if let Some((code, ..)) = TABLE.iter().find(|(_, text, ..)| *text == wire) {
            return code.clone();
        }
        let names_parameter =
            |rest: &&str| rest.starts_with(|c: char| c.is_ascii_uppercase()) && !rest.contains('.');
        if let Some(param) = wire.strip_prefix("Missing").filter(names_parameter) {
            return Code::Missing(Cow::Owned(param.to_owned()));
        }
        if let Some(param) = wire.strip_prefix("Invalid").filter(names_parameter) {
            return Code::Invalid(Cow::Owned(param.to_owned()));
        }
        Code::Other(Cow::Owned(wire.to_owned()))
    }

    /// Every fixed code, in the order of the table.
    pub fn all() -> impl Iterator<Item = Code> {
        TABLE.iter().map(|(code, ..)| code.clone())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Facts = (u16, String);

    fn documented() -> BTreeMap<String, Facts> {
        let text = include_str!("../../../api-spec/errors.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let rows = json["errors"].as_array().unwrap();
        let map: BTreeMap<String, Facts> = rows
            .iter()
            .map(|row| {
                let status = u16::try_from(row["status"].as_u64().unwrap()).unwrap();
                let message = row["message"].as_str().unwrap().to_owned();
                (row["code"].as_str().unwrap().to_owned(), (status, message))
            })
            .collect();
        assert_eq!(map.len(), rows.len(), "a code is listed twice");
        map
    }

    #[test]
    fn table_and_errors_json_say_the_same() {
        let mut ours: BTreeMap<String, Facts> = Code::all()
            .map(|c| (c.to_string(), (c.status(), c.message().into_owned())))
            .collect();
        for code in [
            Code::Missing("{Param}".into()),
            Code::Invalid("{Param}".into()),
        ] {
            ours.insert(
                code.to_string(),
                (code.status(), code.message().into_owned()),
            );
        }
        assert_eq!(ours, documented());
    }

    /// The sentences that the product's pages or real answers show. Others are ours, and `api-spec/errors.json` says so by not saying
    /// `documented`.
    const DOCUMENTED: [(&str, &str); 9] = [
        ("ConfigAlreadyExists", "Config has already exist."),
        ("InvalidConfig.NotFound", "Config does not exist."),
        (
            "InvalidDomain.NotFound",
            "The domain provided does not exist in our records.",
        ),
        ("InvalidStream.NotFound", "Stream does not exist."),
        ("TaskAlreadyStarted", "Task has already started."),
        (
            "NoRecordContent",
            "The record content between StartTime and EndTime is empty.",
        ),
        (
            "InvalidConfig.Changed",
            "The oss bucket info between StartTime and EndTime has changed.",
        ),
        (
            "InvalidNotifyUrl.Malformed",
            "Specified NotifyUrl is invalid.",
        ),
        (
            "InvalidOssBucket.NotFound",
            "The parameter OssBucket does not exist.",
        ),
    ];

    #[test]
    fn documented_sentences_are_said_as_they_are() {
        for (wire, sentence) in DOCUMENTED {
            assert_eq!(Code::from_wire(wire).message(), sentence, "{wire}");
        }
        let text = include_str!("../../../api-spec/errors.json");
        let json: serde_json::Value = serde_json::from_str(text).unwrap();
        let rows = json["errors"].as_array().unwrap().iter();
        let mut marked: Vec<&str> = rows
            .filter(|row| row["text"] == "documented")
            .map(|row| row["code"].as_str().unwrap())
            .collect();
        let mut ours: Vec<&str> = DOCUMENTED.iter().map(|(wire, _)| *wire).collect();
        marked.sort_unstable();
        ours.sort_unstable();
        assert_eq!(marked, ours);
    }

    #[test]
    fn every_code_survives_the_way_over_the_wire() {
        for code in Code::all() {
            assert_eq!(Code::from_wire(&code.as_str()), code);
        }
        assert_eq!(
            Code::from_wire("MissingDomainName"),
            Code::Missing("DomainName".into())
        );
        assert_eq!(
            Code::from_wire("InvalidDelayTime"),
            Code::Invalid("DelayTime".into())
        );
        assert_eq!(
            Code::from_wire("Throttling.Strange"),
            Code::Other("Throttling.Strange".into())
        );
        assert_eq!(
            Code::from_wire("Invalid.X"),
            Code::Other("Invalid.X".into())
        );
        assert_eq!(Code::from_wire("Missing").to_string(), "Missing");
    }
}
