//! The rows, one entity a table. Instants are Unix milliseconds; documents are JSON text.

macro_rules! table {
    ($module:ident, $table:literal, { $($(#[$attribute:meta])* $field:ident : $type:ty),* $(,)? }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, serde::Deserialize)]
            #[sea_orm(table_name = $table)]
            #[serde(deny_unknown_fields)]
            pub struct Model {
                $($(#[$attribute])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table!(record_rule, "record_rule", {
    #[sea_orm(primary_key)]
    id: i64,
    key_hash: String,
    domain: String,
    body: String,
});

table!(document, "document", {
    #[sea_orm(primary_key, auto_increment = false)]
    kind: String,
    #[sea_orm(primary_key, auto_increment = false)]
    name: String,
    body: String,
});

table!(record_session, "record_session", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    stream_hash: String,
    domain: String,
    app: String,
    stream: String,
    bucket: String,
    endpoint: String,
    prefix: String,
    started_at: i64,
    ended_at: i64,
    state: crate::model::recorded::SessionState,
});

table!(record_slice, "record_slice", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    stream_hash: String,
    session_id: String,
    sequence: i64,
    bucket: String,
    endpoint: String,
    object: String,
    started_at: i64,
    ended_at: i64,
    duration_ms: i64,
    uploaded_at: i64,
    discontinuity: bool,
    width: i32,
    height: i32,
});

table!(record_file, "record_file", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    #[sea_orm(unique)]
    dedupe: String,
    stream_hash: String,
    domain: String,
    app: String,
    stream: String,
    session_id: String,
    origin: crate::model::recorded::Origin,
    format: crate::model::rule::Format,
    bucket: String,
    endpoint: String,
    object: String,
    started_at: i64,
    ended_at: i64,
    duration_ms: i64,
    size: i64,
    width: i32,
    height: i32,
    created_at: i64,
});

table!(callback, "callback", {
    #[sea_orm(primary_key)]
    id: i64,
    #[sea_orm(unique)]
    dedupe: String,
    domain: String,
    app: String,
    stream: String,
    kind: crate::model::event::Kind,
    method: String,
    url: String,
    body: String,
    sign_host: String,
    sign_key: String,
    state: crate::model::event::Delivery,
    attempts: String,
    created_at: i64,
    next_at: i64,
    done_at: i64,
    owner: String,
});

table!(minute_inflow, "minute_inflow", {
    #[sea_orm(primary_key)]
    id: i64,
    minute: i64,
    stream_hash: i64,
    ingest_hash: i64,
    domain: String,
    app: String,
    stream: String,
    ingest_domain: String,
    bytes: i64,
    video_frames: i64,
    video_bytes: i64,
    video_ms: i64,
    audio_frames: i64,
    audio_bytes: i64,
    audio_ms: i64,
});

table!(minute_outflow, "minute_outflow", {
    #[sea_orm(primary_key)]
    id: i64,
    minute: i64,
    stream_hash: i64,
    domain: String,
    app: String,
    stream: String,
    player: String,
    secure: bool,
    bytes: i64,
    viewers: i64,
    came: i64,
});

table!(minute_answer, "minute_answer", {
    #[sea_orm(primary_key)]
    id: i64,
    minute: i64,
    domain: String,
    status: i32,
    answers: i64,
});

table!(hour_visitor, "hour_visitor", {
    #[sea_orm(primary_key)]
    id: i64,
    hour: i64,
    domain: String,
    visitor: i64,
});

table!(publish_session, "publish_session", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    domain: String,
    app: String,
    stream: String,
    ingest_domain: String,
    address: String,
    published_at: i64,
    stopped_at: i64,
});

table!(stream_control, "stream_control", {
    #[sea_orm(primary_key)]
    id: i64,
    domain: String,
    app: String,
    stream: String,
    action: String,
    client_ip: String,
    at: i64,
});

/// The only row of `cluster`.
pub const ONLY: i64 = 1;

table!(cluster, "cluster", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: i64,
    generation: i64,
    rules_version: i64,
    documents_version: i64,
});

table!(node, "node", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: String,
    incarnation: String,
    address: String,
    version: String,
    state: String,
    data_lock: String,
    expires_at: i64,
    member: bool,
    rtmp: String,
    since: i64,
    /// Where the other nodes reach it.
    inside: String,
});
