//! What AddLiveRecordNotifyConfig and SetLiveStreamsNotifyUrlConfig store.

use serde::{Deserialize, Serialize};

/// The recording callbacks of a streaming domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordNotify {
    pub notify_url: Option<String>,
    pub on_demand_url: Option<String>,
    pub need_status_notify: bool,
    pub notify_req_auth: bool,
    pub notify_auth_key: String,
}

/// The publish callbacks of an ingest domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamNotify {
    pub notify_url: Option<String>,
    pub exception_notify_url: Option<String>,
    pub notify_req_auth: bool,
    pub notify_auth_key: String,
}

/// A receiver's URL with more in its query. What stands behind a `#` is sent to nobody and would hide the query, so it goes.
#[must_use]
pub fn with_query(url: &str, query: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let joint = match url.contains('?') {
        false => "?",
        true if url.ends_with(['?', '&']) => "",
        true => "&",
    };
    format!("{url}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_goes_behind_the_urls_own_and_never_behind_its_fragment() {
        for (url, whole) in [
            ("http://h", "http://h?a=1"),
            ("http://h/p", "http://h/p?a=1"),
            ("http://h/p?", "http://h/p?a=1"),
            ("http://h/p?k=v", "http://h/p?k=v&a=1"),
            ("http://h/p?k=v&", "http://h/p?k=v&a=1"),
            ("http://h/p#top", "http://h/p?a=1"),
            ("http://h/p?k=v#top?x=1", "http://h/p?k=v&a=1"),
            ("http://h/#/p?x=1", "http://h/?a=1"),
        ] {
            assert_eq!(with_query(url, "a=1"), whole, "{url}");
        }
    }
}
