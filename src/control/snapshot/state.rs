//! The stored state that a snapshot describes.

use crate::live::ingest::admission::{Domain, Function};
use crate::model::notify::{RecordNotify, StreamNotify};
use crate::model::rule::Rule;
use crate::store::records::{FileRow, SessionRow, SliceRow};

/// A snapshot that can be put as it is.
#[derive(Default)]
pub struct State {
    pub rules: Vec<Rule>,
    pub record_notify: Vec<(String, RecordNotify)>,
    pub stream_notify: Vec<(String, StreamNotify)>,
    pub domains: Vec<(String, Domain)>,
    pub domain_configs: Vec<(String, Vec<Function>)>,
    pub sessions: Vec<SessionRow>,
    pub slices: Vec<SliceRow>,
    pub files: Vec<FileRow>,
}
