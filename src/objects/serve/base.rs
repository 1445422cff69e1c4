//! Hosts that are known to be a store's own. Whoever puts a label before one of them means a bucket by it, and nothing else.

/// Names of the service itself before `.localhost` and the like, where no bucket is meant.
const SERVICES: [&str; 2] = ["oss", "s3"];
/// Bases below which no stranger can make a name lead to this machine.
const CLOSED: [&str; 3] = ["localhost", "amazonaws.com", "aliyuncs.com"];

/// Whether a host lies below a base that is no stranger's: one of [`CLOSED`], or this machine's public name. An endpoint `oss-…` of another
/// suffix names a bucket ([`bucket_before`]) and proves nothing: anybody may have a name of that form.
pub fn is_below_own_base(host: &str, public_host: Option<&str>) -> bool {
    let host = plain(host);
    let own = public_host.map(str::to_ascii_lowercase);
    let before = |base: &str| host.strip_suffix(base)?.strip_suffix('.');
    let mut bases = CLOSED.into_iter().chain(own.as_deref());
    bases.any(|base| before(base).is_some())
}

/// A host in lower case, without the dot of the root.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The bucket that a host names before a known base, in lower case. `None`: the host is an address, a base itself, or of no known base,
/// and the bucket may stand anywhere.
pub fn bucket_before(host: &str, public_host: Option<&str>) -> Option<String> {
    let host = plain(host);
    let own = public_host.map(str::to_ascii_lowercase);
    if own.as_deref() == Some(host.as_str()) {
        return None;
    }
    let before = |base: &str| host.strip_suffix(base)?.strip_suffix('.');
    let bucket = own
        .as_deref()
        .and_then(before)
        .or_else(|| before("localhost"))
        .map(before_own_name)
        .or_else(|| before("amazonaws.com").map(before_service))
        .or_else(|| before("aliyuncs.com").map(before_endpoint))
        .or_else(|| named_endpoint(&host))?;
    let is_bucket = !bucket.is_empty() && !SERVICES.contains(&bucket);
    is_bucket.then(|| bucket.to_owned())
}

/// `bucket` of `bucket.s3.region`, `bucket.s3-region` and `bucket.s3.dualstack.region`.
fn before_service(labels: &str) -> &str {
    before_label(labels, |label| label == "s3" || label.starts_with("s3-")).unwrap_or_default()
}

/// `bucket` of `bucket.oss-region` and `bucket.s3.oss-region`.
fn before_endpoint(labels: &str) -> &str {
    let Some(bucket) = before_label(labels, |label| label.starts_with("oss-")) else {
        return before_own_name(labels);
    };
    bucket.strip_suffix(".s3").unwrap_or(bucket)
}

/// `bucket` of `bucket.oss` and `bucket.s3`: the service's own name may stand before a base, as it does where no bucket is meant.
fn before_own_name(labels: &str) -> &str {
    let before = |name: &str| labels.strip_suffix(name)?.strip_suffix('.');
    let mut names = SERVICES.into_iter();
    names.find_map(before).unwrap_or(labels)
}

/// `bucket` of `bucket.oss-region.anything`. A first label of that form is the endpoint itself, or a bucket of an unknown base.
fn named_endpoint(host: &str) -> Option<&str> {
    before_label(host, |label| label.starts_with("oss-")).filter(|bucket| !bucket.is_empty())
}

/// What stands before the last label of a kind; empty where that is the first.
fn before_label(labels: &str, is: impl Fn(&str) -> bool) -> Option<&str> {
    let mut rest = labels;
    loop {
        let (before, label) = rest.rsplit_once('.').unwrap_or(("", rest));
        if is(label) {
            return Some(before);
        }
        if before.is_empty() {
            return None;
        }
        rest = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_before_a_known_base_is_a_bucket() {
        for (host, bucket) in [
            ("rec.localhost", Some("rec")),
            ("Rec.LocalHost.", Some("rec")),
            ("oss-logs.localhost", Some("oss-logs")),
            ("my.rec.localhost", Some("my.rec")),
            ("rec.oss.localhost", Some("rec")),
            ("rec.s3.localhost", Some("rec")),
            ("rec.oss.live.example.com", Some("rec")),
            ("rec.oss.aliyuncs.com", Some("rec")),
            ("my.s3.s3.amazonaws.com", Some("my.s3")),
            ("rec.oss-cn-shanghai.aliyuncs.com", Some("rec")),
            ("rec.s3.oss-cn-shanghai.aliyuncs.com", Some("rec")),
            ("oss-logs.oss-cn-shanghai.aliyuncs.com", Some("oss-logs")),
            ("rec.aliyuncs.com", Some("rec")),
            ("rec.s3.amazonaws.com", Some("rec")),
            ("rec.s3.cn-north-1.amazonaws.com", Some("rec")),
            ("rec.s3-us-west-2.amazonaws.com", Some("rec")),
            ("rec.live.example.com", Some("rec")),
            ("rec.oss-internal.example", Some("rec")),
            ("live.example.com", None),
            ("localhost", None),
            ("s3.localhost", None),
            ("oss.aliyuncs.com", None),
            ("oss-cn-shanghai.aliyuncs.com", None),
            ("s3.oss-cn-shanghai.aliyuncs.com", None),
            ("s3.cn-north-1.amazonaws.com", None),
            ("oss-logs.example", None),
            ("rec.example", None),
            ("127.0.0.1", None),
            ("[::1]", None),
            ("", None),
        ] {
            let found = bucket_before(host, Some("Live.example.com"));
            assert_eq!(found.as_deref(), bucket, "{host}");
        }
    }

    #[test]
    fn a_name_that_anybody_may_have_is_below_no_own_base() {
        for (host, own) in [
            ("rec.localhost", true),
            ("oss.LocalHost.", true),
            ("rec.live.example.com", true),
            ("oss-cn-shanghai.aliyuncs.com", true),
            ("rec.s3.amazonaws.com", true),
            ("rec.oss-x.evil.example", false),
            ("rec.live.example.com.evil.example", false),
            ("evillive.example.com", false),
            ("evillocalhost", false),
            ("aliyuncs.com.evil.example", false),
            ("", false),
        ] {
            assert_eq!(
                is_below_own_base(host, Some("Live.example.com")),
                own,
                "{host}"
            );
        }
    }
}
