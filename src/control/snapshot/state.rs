//! The stored state that a snapshot describes.

use crate::model::domain::{Domain, DomainCertificate, Function, NamedCertificate, Tag};
use crate::model::forbidden::Forbidden;
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::rule::Rule;
use crate::objects::folder::{Acl, BucketClass, CorsRule, Redundancy};
use crate::store::controls::Control;
use crate::store::pushes::PushRow;
use crate::store::records::{FileRow, SessionRow, SliceRow};

/// A snapshot that can be put as it is.
#[derive(Default)]
pub struct State {
    pub rules: Vec<Rule>,
    pub record_notify: Vec<(String, RecordNotify)>,
    pub stream_notify: Vec<(String, StreamNotify)>,
    pub domains: Vec<(String, Domain)>,
    pub domain_configs: Vec<(String, Vec<Function>)>,
    pub buckets: Vec<Bucket>,
    /// By the hash of the stream's name.
    pub forbidden: Vec<(String, Forbidden)>,
    pub tags: Vec<(String, Vec<Tag>)>,
    pub certificates: Vec<(String, NamedCertificate)>,
    pub domain_certificates: Vec<(String, DomainCertificate)>,
    pub rows: Rows,
}

/// What happened.
#[derive(Default)]
pub struct Rows {
    pub sessions: Vec<SessionRow>,
    pub slices: Vec<SliceRow>,
    pub files: Vec<FileRow>,
    pub pushes: Vec<PushRow>,
    pub controls: Vec<Control>,
}

/// A bucket that can be made.
pub struct Bucket {
    pub name: String,
    pub acl: Acl,
    pub cors: Vec<CorsRule>,
    pub cors_vary: bool,
    pub storage_class: BucketClass,
    pub redundancy: Redundancy,
}
