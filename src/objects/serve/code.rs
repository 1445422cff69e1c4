//! The one table of the object store's refusals: Rust name, code on the wire, HTTP status, EC, default text.
//!
//! A row is a case, not a word: the product uses some codes for cases that it tells apart by their EC or their text, so two rows may
//! carry the same code. The EC is the finer number that the product's documents list for the case; where they list none it is empty.
//! Where S3 has another word for a case, [`Code::in_s3`] names the row that holds it.

macro_rules! codes {
    ($($name:ident = $wire:literal, $status:literal, $ec:literal, $text:literal;)*) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Code {
            /// A code and status outside the table, as an armed fault may ask for.
            Other(u16, String),
            $(#[doc = concat!("`", $wire, "`: ", $text)] $name,)*
        }

        #[cfg(test)]
        const TABLE: &[Code] = &[$(Code::$name,)*];

        impl Code {
            /// The row: code on the wire, HTTP status, EC, default text.
            fn row(&self) -> (&str, u16, &'static str, &'static str) {
                match self {
                    Self::Other(status, wire) => (wire, *status, "", ""),
                    $(Self::$name => ($wire, $status, $ec, $text),)*
                }
            }
        }
    };
}

codes! {
// Who asks, and may they?
AccessDenied = "AccessDenied", 403, "0003-00000001", "You have no right to access this object.";
RequestExpired = "AccessDenied", 403, "0002-00000069", "Request has expired.";
RequestNotYetValid = "AccessDenied", 403, "", "Request is not valid yet.";
AuthorizationHeaderMalformed = "AuthorizationHeaderMalformed", 400, "", "The authorization header is malformed.";
AuthorizationQueryParameters = "AuthorizationQueryParametersError", 400, "", "The parameters of a signed address are malformed.";
InvalidAccessKeyId = "InvalidAccessKeyId", 403, "0002-00000902", "The OSS Access Key Id you provided does not exist in our records.";
AccessKeyDisabled = "InvalidAccessKeyId", 403, "", "The OSS Access Key Id you provided is disabled.";
SecurityTokenExpired = "SecurityTokenExpired", 403, "", "The security token you provided has expired.";
ExpiredToken = "ExpiredToken", 400, "", "The provided token has expired.";
InvalidSecurityToken = "InvalidSecurityToken", 403, "0002-00000802", "The security token you provided is invalid.";
RequestTimeTooSkewed = "RequestTimeTooSkewed", 403, "0002-00000504", "The difference between the request time and the current time is too large.";
SignatureDoesNotMatch = "SignatureDoesNotMatch", 403, "0002-00000040", "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
InvalidPolicyDocument = "InvalidPolicyDocument", 400, "", "Invalid Policy: the document is not valid JSON.";
AccessForbidden = "AccessForbidden", 403, "", "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
// The request as such.
BadRequest = "BadRequest", 400, "", "The request is not valid.";
InvalidArgument = "InvalidArgument", 400, "", "An argument is not valid.";
InvalidRequest = "InvalidRequest", 400, "", "The request is not valid.";
InvalidUri = "InvalidURI", 400, "", "The request target is not percent-encoded UTF-8.";
UriTooLong = "URITooLong", 414, "", "The request target is longer than 16 KB.";
MethodNotAllowed = "MethodNotAllowed", 405, "", "The specified method is not allowed against this resource.";
MissingSecurityHeader = "MissingSecurityHeader", 400, "", "Your request was missing a required header.";
NotImplemented = "NotImplemented", 501, "", "localyun does not implement this.";
MissingArgument = "MissingArgument", 400, "", "Missing Some Required Arguments.";
MissingContentLength = "MissingContentLength", 411, "", "You must provide the Content-Length HTTP header.";
MetadataTooLarge = "MetadataTooLarge", 400, "", "Your metadata headers exceed the maximum allowed size.";
InvalidTag = "InvalidTag", 400, "", "The tag is not valid.";
MalformedXml = "MalformedXML", 400, "", "The XML you provided was not well-formed or did not validate against our published schema.";
MalformedPostRequest = "MalformedPOSTRequest", 400, "", "The body of your POST request is not well-formed.";
FieldItemTooLong = "FieldItemTooLong", 400, "", "The fields of the form are longer than 64 KB.";
// The body.
IncompleteBody = "IncompleteBody", 400, "", "You did not provide the number of bytes specified by the Content-Length HTTP header.";
RequestTimeout = "RequestTimeout", 400, "", "Your socket connection to the server was not read from or written to within the timeout period.";
EntityTooLarge = "EntityTooLarge", 400, "", "Your proposed upload exceeds the maximum allowed object size.";
EntityTooSmall = "EntityTooSmall", 400, "0042-00000008", "Your proposed upload smaller than the minimum allowed size.";
ContentMd5Malformed = "InvalidDigest", 400, "", "The Content-MD5 you specified was invalid.";
ContentMd5Mismatch = "InvalidDigest", 400, "", "The Content-MD5 you specified did not match what we received.";
BadDigest = "BadDigest", 400, "", "The Content-MD5 you specified did not match what we received.";
XAmzContentSha256Mismatch = "XAmzContentSHA256Mismatch", 400, "", "The provided 'x-amz-content-sha256' header does not match what was computed.";
MalformedTrailer = "MalformedTrailerError", 400, "", "The trailers of the body are not well-formed.";
// Buckets.
NoSuchBucket = "NoSuchBucket", 404, "0015-00000101", "The specified bucket does not exist.";
BucketAlreadyExists = "BucketAlreadyExists", 409, "0015-00000104", "The requested bucket name is not available.";
TooManyBuckets = "TooManyBuckets", 400, "", "You have attempted to create more buckets than allowed.";
BucketNotEmpty = "BucketNotEmpty", 409, "0015-00000301", "The bucket you tried to delete is not empty.";
InvalidBucketName = "InvalidBucketName", 400, "0015-00000001", "The specified bucket is not valid.";
BucketHasUploads = "BucketNotEmpty", 409, "0015-00000301", "The bucket has Multipart Uploads. Please complete or abort them first.";
NoSuchCorsConfiguration = "NoSuchCORSConfiguration", 404, "", "The CORS Configuration does not exist.";
// Objects.
NoSuchKey = "NoSuchKey", 404, "0026-00000001", "The specified key does not exist.";
InvalidObjectName = "InvalidObjectName", 400, "", "The specified object is not valid.";
NameTooLong = "InvalidObjectName", 400, "", "The length of object name must be less than 1024.";
NameBeginsWithSlash = "InvalidObjectName", 400, "", "The specified object is not valid: it begins with / or \\.";
KeyTooLong = "InvalidObjectName", 400, "", "The specified object is not valid: it is longer than 1024 bytes.";
KeyTooLongError = "KeyTooLongError", 400, "", "Your key is too long.";
FileAlreadyExists = "FileAlreadyExists", 409, "0026-00000013", "The object you specified already exists and can not be overwritten.";
ObjectNotAppendable = "ObjectNotAppendable", 409, "0026-00000008", "The object is not appendable";
PositionNotEqualToLength = "PositionNotEqualToLength", 409, "0026-00000007", "Position is not equal to file length";
InvalidRange = "InvalidRange", 416, "", "The requested range cannot be satisfied.";
NoSuchVersion = "NoSuchVersion", 404, "", "The specified version does not exist.";
NotSymlink = "NotSymlink", 400, "", "The object is not a symbolic link.";
SymlinkTargetNotExist = "SymlinkTargetNotExist", 404, "", "The object that the symbolic link points to does not exist.";
InvalidTargetType = "InvalidTargetType", 400, "", "The symbolic link points to another one.";
PlaylistTooLarge = "InvalidArgument", 400, "0044-00000404", "The playlist is larger than 16 MB.";
NoPlaylist = "InvalidArgument", 400, "0044-00000408", "The object is no HLS playlist.";
UrlSignatureNeeded = "AccessDenied", 403, "0002-00000037", "x-oss-process=hls/sign needs an OSS signature in the URL.";
NotModified = "NotModified", 304, "", "Not Modified";
PreconditionFailed = "PreconditionFailed", 412, "", "At least one of the pre-conditions you specified did not hold.";
// Multipart uploads.
NoSuchUpload = "NoSuchUpload", 404, "0042-00000002", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
NoUploadForPart = "NoSuchUpload", 404, "0042-00000104", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
NoUploadForCopy = "NoSuchUpload", 404, "0042-00000311", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
CompleteAllWithBody = "InvalidArgument", 400, "0042-00000216", "Should not speficy both complete all header and http body.";
InvalidPart = "InvalidPart", 400, "0042-00000005", "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag.";
InvalidPartOrder = "InvalidPartOrder", 400, "", "Part numbers must be from 1 to 10000 and listed in ascending order.";
// The store itself.
InsufficientStorage = "InsufficientStorage", 507, "", "The disk under the data folder of localyun is full.";
InternalError = "InternalError", 500, "", "The object store failed on its folder.";
}

impl Code {
    /// The code as the wire spells it.
    pub fn as_str(&self) -> &str {
        self.row().0
    }

    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.row().1
    }

    /// The product's finer error code, where its documents give one for the case.
    pub fn ec(&self) -> Option<&'static str> {
        Some(self.row().2).filter(|ec| !ec.is_empty())
    }

    /// What a refusal says unless it knows more.
    pub fn text(&self) -> &'static str {
        self.row().3
    }

    /// The row of the same case in S3's words, where those differ.
    pub fn in_s3(&self) -> Option<Self> {
        match self {
            Self::FileAlreadyExists => Some(Self::PreconditionFailed),
            Self::ContentMd5Mismatch => Some(Self::BadDigest),
            Self::KeyTooLong => Some(Self::KeyTooLongError),
            Self::SecurityTokenExpired => Some(Self::ExpiredToken),
            _ => None,
        }
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, wire: &&str) -> bool {
        self.as_str() == *wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_sent() {
        for code in TABLE {
            let (wire, status, ec, text) = code.row();
            assert!(
                wire.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{wire}"
            );
            assert!(status == 304 || (400..600).contains(&status), "{wire}");
            assert!(!text.is_empty(), "{wire}");
            let parts: Vec<_> = ec.split('-').map(str::len).collect();
            assert!(ec.is_empty() || parts == [4, 8], "{wire}: {ec}");
        }
    }

    #[test]
    fn a_code_has_one_status_however_many_cases_it_has() {
        for (at, code) in TABLE.iter().enumerate() {
            for other in TABLE.iter().skip(at + 1) {
                if code.as_str() == other.as_str() {
                    assert_eq!(code.status(), other.status(), "{}", code.as_str());
                }
            }
        }
    }
}
