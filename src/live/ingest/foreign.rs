//! What speaks to the RTMP port and is no RTMP: by the first bytes, with what to do about it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock;

/// The same cause is told this often at most, in milliseconds of machine time: somebody may scan the port all day.
const AGAIN_MS: i64 = 10_000;

/// Whether it is time to tell something (again) that was told then.
pub fn is_due(told: &AtomicI64) -> bool {
    let now = clock::machine_now();
    let before = told.load(Ordering::Relaxed);
    let due = now.saturating_sub(before) >= AGAIN_MS;
    due && told
        .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok()
}

/// A cause, and its cure.
#[derive(Debug)]
pub struct Foreign {
    pub what: &'static str,
    pub cure: &'static str,
    /// It can read an answer in HTTP.
    pub is_http: bool,
    told: &'static AtomicI64,
}

macro_rules! foreign {
    ($what:literal, $cure:literal, $is_http:literal) => {{
        static TOLD: AtomicI64 = AtomicI64::new(i64::MIN);
        Foreign {
            what: $what,
            cure: $cure,
            is_http: $is_http,
            told: &TOLD,
        }
    }};
}

const HTTP_METHODS: [&[u8]; 8] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
    b"CONNECT ",
];
const RTSP_METHODS: [&[u8]; 4] = [b"OPTIONS rtsp", b"ANNOUNCE ", b"DESCRIBE ", b"SETUP "];
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const TS_PACKET: usize = 188;

/// What a connection that does not begin like RTMP is.
#[must_use]
pub fn name(first: &[u8]) -> Foreign {
    let begins = |prefix: &[u8]| first.starts_with(prefix);
    if begins(&[0x16, 3]) || first == [0x16] {
        foreign!(
            "a TLS handshake",
            "push to rtmp:// instead of rtmps://; this port takes plain RTMP alone",
            false
        )
    } else if RTSP_METHODS.into_iter().any(begins) {
        foreign!("RTSP", "push by RTMP: with ffmpeg, -f flv rtmp://…", false)
    } else if [&b"POST /open/"[..], b"POST /fcs/", b"POST /idle/"]
        .into_iter()
        .any(begins)
    {
        foreign!(
            "RTMP in HTTP (RTMPT)",
            "push to rtmp:// instead of rtmpt://",
            true
        )
    } else if HTTP_METHODS.into_iter().any(begins) {
        foreign!(
            "an HTTP request",
            "this is the RTMP port; the ready line and `localyun env` name those of the API and the object store",
            true
        )
    } else if begins(b"PROXY ") || begins(PROXY_V2) {
        foreign!(
            "a PROXY protocol header",
            "switch it off in the load balancer before localyun",
            false
        )
    } else if begins(b"FLV") {
        foreign!(
            "an FLV file without RTMP",
            "push to rtmp:// instead of tcp://",
            false
        )
    } else if begins(&[0x47]) && first.get(TS_PACKET).is_none_or(|byte| *byte == 0x47) {
        foreign!(
            "MPEG-TS without RTMP",
            "push by RTMP: with ffmpeg, -f flv rtmp://…",
            false
        )
    } else if begins(&[6]) || begins(&[8]) {
        foreign!(
            "encrypted RTMP (RTMPE)",
            "push to rtmp:// instead of rtmpe://",
            false
        )
    } else {
        foreign!(
            "a protocol that is not known here",
            "push to rtmp://HOST/APP/STREAM",
            false
        )
    }
}

impl Foreign {
    /// Whether it is time to tell it (again).
    pub fn is_due(&self) -> bool {
        is_due(self.told)
    }

    /// An answer that an HTTP client shows to its user.
    #[must_use]
    pub fn http_answer(&self) -> String {
        let text = format!(
            "This is {} on localyun's RTMP port: {}.\n",
            self.what, self.cure
        );
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_to_the_wrong_port_is_named() {
        let mut ts = vec![0; 400];
        ts[0] = 0x47;
        ts[TS_PACKET] = 0x47;
        for (first, what) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], "a TLS handshake"),
            (b"GET / HTTP/1.1\r\n", "an HTTP request"),
            (b"POST /open/1 HTTP/1.1\r\n", "RTMP in HTTP (RTMPT)"),
            (b"OPTIONS rtsp://h/s RTSP/1.0\r\n", "RTSP"),
            (b"ANNOUNCE rtsp://h/s RTSP/1.0\r\n", "RTSP"),
            (b"PROXY TCP4 1.2.3.4", "a PROXY protocol header"),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", "a PROXY protocol header"),
            (b"FLV\x01\x05", "an FLV file without RTMP"),
            (&ts, "MPEG-TS without RTMP"),
            (b"\x06\0\0", "encrypted RTMP (RTMPE)"),
            (b"hello", "a protocol that is not known here"),
        ] {
            assert_eq!(name(first).what, what);
        }
    }

    #[test]
    fn each_cause_is_told_once_in_a_while() {
        let flv = name(b"FLV");
        assert!(flv.is_due() && !flv.is_due() && !name(b"FLV\x01").is_due());
        assert!(name(b"GET / HTTP/1.1").is_due());
    }
}
