//! What a writer demands of the object that it replaces or removes, decided under the key's lock.

use super::error::FolderError;
use super::model::ObjectInfo;

/// Entity tags, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    Any,
    /// Without quotes; upper and lower case are one.
    OneOf(Vec<String>),
}

impl Tags {
    fn name(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.eq_ignore_ascii_case(etag)),
        }
    }
}

/// Conditions that must all hold. The default demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// There is an object, and its tag is one of these.
    pub matches: Option<Tags>,
    /// There is no object, or its tag is none of these.
    pub none_matches: Option<Tags>,
    /// Unix seconds.
    pub last_modified_s: Option<i64>,
    pub size: Option<u64>,
}

impl Condition {
    /// Whether there is anything to check.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an object that is there meets the conditions.
    pub fn check(&self, there: &ObjectInfo) -> Result<(), FolderError> {
        let failed = if self
            .matches
            .as_ref()
            .is_some_and(|tags| !tags.name(&there.etag))
        {
            "If-Match"
        } else if self
            .none_matches
            .as_ref()
            .is_some_and(|tags| tags.name(&there.etag))
        {
            "If-None-Match"
        } else if self
            .last_modified_s
            .is_some_and(|seconds| seconds != there.last_modified_ms.div_euclid(1000))
        {
            "x-amz-if-match-last-modified-time"
        } else if self.size.is_some_and(|size| size != there.size) {
            "x-amz-if-match-size"
        } else {
            return Ok(());
        };
        Err(FolderError::ConditionFailed(failed))
    }

    /// Whether a writer may go on where there is no object.
    pub fn check_absent(&self, key: &str) -> Result<(), FolderError> {
        if self.matches.is_some() {
            return Err(FolderError::NoSuchKey(key.to_owned()));
        }
        Ok(())
    }
}
