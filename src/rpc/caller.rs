//! A caller that was let in, and how it showed who it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::AccessKey;

/// How a request says who sends it, as the journal names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// It does not.
    #[default]
    #[serde(rename = "none")]
    Unsigned,
    /// Signature V1: in the parameters.
    V1,
    /// Signature V3: in the headers.
    #[serde(rename = "ACS3")]
    Acs3,
    #[serde(rename = "bearer")]
    Bearer,
    /// Nobody has to: authentication is off.
    #[serde(rename = "off")]
    Off,
}

/// A caller that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    Key {
        key: Arc<AccessKey>,
        scheme: Scheme,
    },
    Bearer,
    /// Authentication is off.
    Anyone,
}

impl Caller {
    /// The id of the access key; none where there is no key.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Key { key, .. } => Some(&key.id),
            Self::Bearer | Self::Anyone => None,
        }
    }

    /// Whether everybody can be this caller: nobody has to sign, or the key is the one that stands in the documents.
    #[must_use]
    pub fn is_anybody(&self) -> bool {
        match self {
            Self::Key { key, .. } => key.is_well_known(),
            Self::Bearer => false,
            Self::Anyone => true,
        }
    }

    #[must_use]
    pub fn scheme(&self) -> Scheme {
        match self {
            Self::Key { scheme, .. } => *scheme,
            Self::Bearer => Scheme::Bearer,
            Self::Anyone => Scheme::Off,
        }
    }
}
