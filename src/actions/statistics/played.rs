//! A row of what viewers were sent, as two answers write it: they differ in the types of two columns.

use serde::Serialize;

use crate::actions::statistics::metric::{Form, Row, whole};
use crate::actions::statistics::subject::Protocols;
use crate::wire_time::to_api;

/// What the viewers of one stream were sent in a minute, with traffic as a `T` and new connections as a `C`. Bandwidth is bits a second,
/// traffic is bytes. Forms that were not asked for are absent.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Played<T, C> {
    pub time_stamp: String,
    pub app_name: String,
    pub stream_name: String,
    pub bps: f64,
    pub count: i64,
    pub traffic: T,
    pub new_conns: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flv_traffic: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls_traffic: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtmp_traffic: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rts_traffic: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_bps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_traffic: Option<T>,
}

impl<T, C> Played<T, C> {
    /// Writes a row, bytes by `bytes` and new connections by `came`.
    pub fn new(
        row: &Row,
        protocols: &Protocols,
        bytes: impl Fn(u64) -> T,
        came: impl Fn(u64) -> C,
    ) -> Self {
        let flv = row.form("flv", protocols);
        let hls = row.form("hls", protocols);
        let rtmp = row.form("rtmp", protocols);
        let rts = row.form("rts", protocols);
        let p2p = row.form("p2p", protocols);
        Self {
            time_stamp: to_api(row.minute),
            app_name: row.app.clone(),
            stream_name: row.stream.clone(),
            bps: row.all.bps(),
            count: whole(row.all.viewers),
            traffic: bytes(row.all.bytes),
            new_conns: came(row.came),
            flv_bps: flv.map(Form::bps),
            flv_count: flv.map(|form| whole(form.viewers)),
            flv_traffic: flv.map(|form| bytes(form.bytes)),
            hls_bps: hls.map(Form::bps),
            hls_count: hls.map(|form| whole(form.viewers)),
            hls_traffic: hls.map(|form| bytes(form.bytes)),
            rtmp_bps: rtmp.map(Form::bps),
            rtmp_count: rtmp.map(|form| whole(form.viewers)),
            rtmp_traffic: rtmp.map(|form| bytes(form.bytes)),
            rts_bps: rts.map(Form::bps),
            rts_count: rts.map(|form| whole(form.viewers)),
            rts_traffic: rts.map(|form| bytes(form.bytes)),
            p2p_bps: p2p.map(Form::bps),
            p2p_count: p2p.map(|form| whole(form.viewers)),
            p2p_traffic: p2p.map(|form| bytes(form.bytes)),
        }
    }
}
