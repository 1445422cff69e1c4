//! The only error that reaches the wire: a code, a message, an HTTP status, and a cause that stays inside.
//!
//! What: handlers and the gateway build an [`ApiError`] by a constructor that reads as a sentence; the renderer turns it into
//! the JSON or XML envelope. Why a struct: the code decides everything by default, and only few places need another
//! message or status. The cause goes to the log and the journal, never to the caller.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

pub mod code;

pub use code::Code;

/// A refused or failed API call, as the caller sees it.
#[derive(Debug)]
pub struct ApiError {
    /// What went wrong, as clients branch on it.
    pub code: Code,
    /// The sentence that goes out with it.
    pub message: Cow<'static, str>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What the journal keeps in the message's place, where that holds what was signed: there may be secrets in it.
    kept: Option<Cow<'static, str>>,
    /// Why, for our own log.
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// The code with its usual status and message.
    #[must_use]
    pub fn coded(code: Code) -> Self {
        Self {
            status: code.status(),
            message: code.message(),
            code,
            kept: None,
            source: None,
        }
    }

    /// `Missing{Param}`.
    #[must_use]
    pub fn missing(param: impl Into<Cow<'static, str>>) -> Self {
        Self::coded(Code::Missing(param.into()))
    }

    /// `Invalid{Param}`.
    #[must_use]
    pub fn invalid(param: impl Into<Cow<'static, str>>) -> Self {
        Self::coded(Code::Invalid(param.into()))
    }

    /// A documented action that has no handler here, because of `declined` or because nobody wrote it yet. Its status is 4xx: clients
    /// take 5xx for a passing fault and try again for minutes.
    #[must_use]
    pub fn not_implemented(action: &str, declined: Option<&str>) -> Self {
        let error = Self::coded(Code::ActionNotImplemented).filled("{Action}", action);
        let hint = match declined {
            Some(reason) => format!("it will not be built: {reason}"),
            None => "it is not built yet".to_owned(),
        };
        error.with_hint(format!(
            "{hint}; what is there: `localyun coverage`, GET /_localyun/coverage"
        ))
    }

    /// A failure of ours; the caller learns only that it happened.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::coded(Code::InternalError).with_source(source)
    }

    /// A V1 signature that differs. SDKs cut the message at its only colon and compare the rest with their own string.
    #[must_use]
    pub fn signature_v1_mismatch(string_to_sign: &str) -> Self {
        Self::coded(Code::SignatureDoesNotMatch)
            .filled("{StringToSign}", string_to_sign)
            .kept_as("Specified signature is not matched with our calculation.")
    }

    /// An ACS3 signature that differs.
    #[must_use]
    pub fn signature_v3_mismatch(string_to_sign: &str, canonical_request: &str) -> Self {
        Self::coded(Code::SignatureDoesNotMatch).with_message(format!(
            "Specified signature does not match our calculation. server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]"
        ))
        .kept_as("Specified signature does not match our calculation.")
    }

    /// Signature data that is absent or not to be read; `detail` says what.
    #[must_use]
    pub fn incomplete_signature(detail: &str) -> Self {
        Self::coded(Code::IncompleteSignature).with_message(format!(
            "The request signature does not conform to Aliyun standards. {detail}"
        ))
    }

    /// What localyun has to say beside the message, in brackets behind it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.message = format!("{} ({hint})", self.message).into();
        self
    }

    /// Another message than the code's own.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Another status than the code's own.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Applies the status that the action at hand documents for this code, unless a status was set by hand.
    #[must_use]
    pub fn documented_as(mut self, status: Option<u16>) -> Self {
        if let Some(status) = status
            && self.status == self.code.status()
        {
            self.status = status;
        }
        self
    }

    /// The message as the journal keeps it: without the strings that were signed, which may hold secrets.
    #[must_use]
    pub fn kept_message(&self) -> &str {
        self.kept.as_deref().unwrap_or(&self.message)
    }

    fn kept_as(mut self, message: &'static str) -> Self {
        self.kept = Some(message.into());
        self
    }

    fn filled(self, placeholder: &str, value: &str) -> Self {
        let message = self.message.replace(placeholder, value);
        self.with_message(message)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_say_what_the_gateway_says() {
        let missing = ApiError::missing("DomainName");
        assert_eq!(
            (missing.code.to_string().as_str(), missing.status),
            ("MissingDomainName", 400)
        );
        assert_eq!(missing.message, "DomainName is mandatory for this action.");
        let invalid = ApiError::invalid("CycleDuration".to_owned());
        assert_eq!(
            invalid.message,
            "Specified parameter CycleDuration is not valid."
        );
        let not_implemented = ApiError::not_implemented("StartCaster", Some("no studio"));
        assert_eq!(not_implemented.status, 400);
        for part in ["StartCaster", "no studio", "/_localyun/coverage"] {
            assert!(not_implemented.message.contains(part), "{part}");
        }
    }

    #[test]
    fn v1_mismatch_has_one_colon_before_the_string_to_sign() {
        let error = ApiError::signature_v1_mismatch("GET&%2F&A%3D1");
        assert_eq!(error.message.split(':').nth(1), Some("GET&%2F&A%3D1"));
        assert_eq!(error.message.matches(':').count(), 1);
        assert_eq!(error.status, 400);
    }

    #[test]
    fn what_was_signed_goes_to_the_caller_and_not_into_the_journal() {
        let v1 = ApiError::signature_v1_mismatch("GET&%2F&SecurityToken%3Dsecret");
        let v3 = ApiError::signature_v3_mismatch("ACS3\nhash", "GET\n/\nToken=secret");
        for error in [v1, v3] {
            assert!(error.message.starts_with(error.kept_message()));
            assert!(error.message.contains("secret") && !error.kept_message().contains("secret"));
        }
        let other = ApiError::missing("DomainName");
        assert_eq!(other.kept_message(), other.message);
    }

    #[test]
    fn documented_status_wins_over_the_usual_one_but_not_over_a_set_one() {
        let usual = ApiError::coded(Code::InvalidStreamNotFound);
        assert_eq!(usual.status, 404);
        assert_eq!(usual.documented_as(Some(400)).status, 400);
        assert_eq!(
            ApiError::coded(Code::InvalidStreamNotFound)
                .with_status(410)
                .documented_as(Some(400))
                .status,
            410
        );
        assert_eq!(
            ApiError::coded(Code::InvalidStreamNotFound)
                .documented_as(None)
                .status,
            404
        );
    }

    #[test]
    fn the_cause_is_kept_and_never_told() {
        let error = ApiError::internal(std::io::Error::other("disk on fire"));
        assert!(!error.to_string().contains("fire"));
        assert_eq!(
            error.source().map(ToString::to_string).as_deref(),
            Some("disk on fire")
        );
    }
}
