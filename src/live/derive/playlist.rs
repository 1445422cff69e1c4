//! The text of a playlist over slices that lie in a bucket.

use crate::media::hls::{Container, MediaPlaylist, Segment, encode_uri_path, relative_uri};
use crate::model::object_name::public_url;
use crate::store::records::SliceRow;

/// A VOD playlist under `object` in `bucket`: entries are relative where slices lie in the same bucket, absolute otherwise.
#[must_use]
pub fn text(rows: &[SliceRow], object: &str, bucket: &str, map: Option<&str>) -> String {
    let container = match map {
        Some(map) => Container::Cmaf {
            map_uri: relative_uri(object, map),
        },
        None => Container::MpegTs,
    };
    let mut playlist = MediaPlaylist::new(container);
    let mut session: Option<&str> = None;
    for row in rows {
        let uri = if row.bucket == bucket {
            relative_uri(object, &row.object)
        } else {
            public_url(&row.bucket, &row.endpoint, &encode_uri_path(&row.object))
        };
        let other_session = session.is_some_and(|s| s != row.session_id);
        session = Some(&row.session_id);
        playlist.push(Segment {
            uri,
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
            discontinuity: row.discontinuity || other_session,
        });
    }
    playlist.to_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(session: &str, object: &str, bucket: &str) -> SliceRow {
        SliceRow {
            id: String::new(),
            stream_hash: String::new(),
            session_id: session.to_owned(),
            sequence: 0,
            bucket: bucket.to_owned(),
            endpoint: "oss-cn-shanghai.aliyuncs.com".to_owned(),
            object: object.to_owned(),
            started_at: 0,
            ended_at: 0,
            duration_ms: 5_000,
            uploaded_at: 0,
            discontinuity: false,
            width: 0,
            height: 0,
        }
    }

    #[test]
    fn entries_are_relative_in_their_bucket_and_absolute_elsewhere() {
        let rows = [
            row("a", "record/live/s1/1_0.ts", "rec"),
            row("b", "record/live/s1/2_1.ts", "rec"),
        ];
        let same = text(&rows, "record/live/s1/x.m3u8", "rec", None);
        assert!(same.contains("\n1_0.ts\n"), "{same}");
        assert_eq!(same.matches("#EXT-X-DISCONTINUITY").count(), 1);
        let other = text(&rows, "x.m3u8", "other", None);
        assert!(
            other.contains("\nhttp://rec.oss-cn-shanghai.aliyuncs.com/record/live/s1/1_0.ts\n"),
            "{other}"
        );
    }
}
