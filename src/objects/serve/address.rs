//! Which bucket and key a request means. The bucket may stand in the path, in the Host header (with any suffix behind
//! it), or only in the client's configuration (CNAME); the signature tells which reading the client had in mind.

use super::request::Request;
use crate::folder::is_bucket_name;

/// One way to read a request's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The service itself: list of buckets.
    Service,
    Bucket {
        bucket: String,
        key: String,
    },
}

impl Reading {
    /// A reading whose bucket is known and whose key is the whole path.
    pub fn whole_path(request: &Request, bucket: &str) -> Self {
        let key = request
            .path
            .strip_prefix('/')
            .unwrap_or(&request.path)
            .to_owned();
        Self::Bucket {
            bucket: bucket.to_owned(),
            key,
        }
    }

    /// The bucket, if the reading has one.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Bucket { bucket, .. } => Some(bucket),
        }
    }

    /// The key; empty for the bucket itself.
    pub fn key(&self) -> &str {
        match self {
            Self::Service => "",
            Self::Bucket { key, .. } => key,
        }
    }

    /// The resource that OSS signatures cover: `/`, `/bucket/`, `/bucket/key`.
    pub fn resource(&self) -> String {
        match self {
            Self::Service => "/".to_owned(),
            Self::Bucket { bucket, key } => format!("/{bucket}/{key}"),
        }
    }
}

/// The readings that Host and path allow, the likeliest first. `known` tells whether a bucket exists; where the host
/// names none that does, the path counts first.
pub fn readings(request: &Request, known: impl Fn(&str) -> bool) -> Vec<Reading> {
    let mut readings: Vec<Reading> = host_buckets(request.host())
        .map(|bucket| Reading::whole_path(request, bucket))
        .collect();
    let in_path = in_path(request);
    let host_known = readings
        .iter()
        .position(|reading| reading.bucket().is_some_and(&known));
    match host_known {
        Some(at) => {
            readings.swap(0, at);
            readings.push(in_path);
        }
        // Nothing but the host can name a bucket that is being made with an empty path.
        None if in_path == Reading::Service && request.method != "GET" && !readings.is_empty() => {
            readings.push(in_path);
        }
        None => readings.insert(0, in_path),
    }
    readings
}

/// Prefixes of the host that end before a dot and could be bucket names, the shortest first (bucket names may hold
/// dots themselves). An address has none.
fn host_buckets(host: &str) -> impl Iterator<Item = &str> {
    let is_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    host.match_indices('.')
        .filter_map(move |(at, _)| if is_address { None } else { host.get(..at) })
        .filter(|name| is_bucket_name(name))
        .take(4)
}

fn in_path(request: &Request) -> Reading {
    let path = request.path.strip_prefix('/').unwrap_or(&request.path);
    if path.is_empty() {
        return Reading::Service;
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    Reading::Bucket {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, host: &str, target: &str, known: &str) -> Reading {
        let request =
            Request::new(method, target, [("host", host.as_bytes())].into_iter()).expect("valid");
        readings(&request, |bucket| bucket == known).swap_remove(0)
    }

    fn object(bucket: &str, key: &str) -> Reading {
        Reading::Bucket {
            bucket: bucket.into(),
            key: key.into(),
        }
    }

    #[test]
    fn bucket_in_path_or_host() {
        assert_eq!(
            read("GET", "127.0.0.1:9000", "/rec/a%2Fb", "rec"),
            object("rec", "a/b")
        );
        assert_eq!(
            read("GET", "rec.localhost:9000", "/a/b", "rec"),
            object("rec", "a/b")
        );
        assert_eq!(
            read("GET", "rec.oss-cn-shanghai.aliyuncs.com", "/a/b", "rec"),
            object("rec", "a/b")
        );
        assert_eq!(
            read("GET", "oss.example", "/rec/a", "rec"),
            object("rec", "a")
        );
        assert_eq!(
            read("GET", "my.rec.example", "/a", "my.rec"),
            object("my.rec", "a")
        );
        assert_eq!(read("PUT", "new.example", "/", "rec"), object("new", ""));
        assert_eq!(read("GET", "oss.example", "/", "rec"), Reading::Service);
        assert_eq!(read("GET", "[::1]:9000", "/rec", "rec"), object("rec", ""));
    }

    #[test]
    fn every_reading_is_offered_for_the_signature_to_choose() {
        let headers = [("host", b"rec.oss-cn-shanghai.aliyuncs.com".as_slice())];
        let request = Request::new("PUT", "/rec/a", headers.into_iter()).expect("valid");
        let all = readings(&request, |bucket| bucket == "rec");
        assert!(all.contains(&object("rec", "rec/a")) && all.contains(&object("rec", "a")));
    }
}
