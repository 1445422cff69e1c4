//! The targets, one file each.

mod amf0;
mod api_sign;
mod cassette;
mod codec;
mod compare;
mod drift;
mod flv;
mod mux;
mod params;
mod play;
mod rtmp;
mod spool;
mod store_chunks;
mod store_http;
mod store_keys;
mod store_sign;
mod store_xml;
mod units;
mod upstream;
mod watch;

/// One target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Memory that any input may take, in KiB.
    pub fixed_kib: usize,
    /// Bytes of memory for each byte of the input.
    pub per_byte: usize,
}

const fn target(name: &'static str, run: fn(&[u8]), fixed_kib: usize, per_byte: usize) -> Target {
    Target {
        name,
        run,
        fixed_kib,
        per_byte,
    }
}

/// All of them. `tests/fuzz/run` reads the names from here.
pub const ALL: &[Target] = &[
    target("rtmp", rtmp::run, 12 * 1024, 512),
    target("amf0", amf0::run, 64, 512),
    target("flv", flv::run, 256, 64),
    target("units", units::run, 64, 256),
    target("codec", codec::run, 64, 64),
    target("mux", mux::run, 8 * 1024, 1024),
    target("params", params::run, 1024, 512),
    target("api_sign", api_sign::run, 256, 256),
    target("store_sign", store_sign::run, 256, 512),
    target("store_chunks", store_chunks::run, 256, 64),
    target("store_keys", store_keys::run, 128, 256),
    target("store_xml", store_xml::run, 256, 512),
    target("store_http", store_http::run, 4 * 1024, 256),
    target("watch", watch::run, 12 * 1024, 512),
    target("play", play::run, 2 * 1024, 512),
    target("spool", spool::run, 36 * 1024, 256),
    target("upstream", upstream::run, 256, 1024),
    target("cassette", cassette::run, 1024, 2048),
    target("compare", compare::run, 512, 4096),
    target("drift", drift::run, 512, 4096),
];
