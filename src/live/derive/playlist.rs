//! The text of a playlist over slices that lie in a bucket.

use crate::media::hls::{Container, MediaPlaylist, Segment, encode_uri_path, relative_uri};
use crate::model::object_name::PublicUrls;
use crate::store::records::SliceRow;

/// A VOD playlist under `object` in `bucket`: entries are relative where slices lie in the same bucket, absolute otherwise.
#[must_use]
pub fn text(
    rows: &[SliceRow],
    (bucket, object): (&str, &str),
    map: Option<&str>,
    urls: &PublicUrls,
) -> String {
    let container = match map {
        Some(map) => Container::Cmaf {
            map_uri: relative_uri(object, map),
        },
        None => Container::MpegTs,
    };
    let mut playlist = MediaPlaylist::new(container);
    let mut before: Option<&SliceRow> = None;
    for row in rows {
        let uri = if row.bucket == bucket {
            relative_uri(object, &row.object)
        } else {
            urls.of(&row.bucket, &row.endpoint, &encode_uri_path(&row.object))
        };
        // Within a session the slices of a format are numbered without a gap: one that could not be made has no row.
        let goes_on = before.is_none_or(|before| {
            before.session_id == row.session_id
                && before.sequence.checked_add(1) == Some(row.sequence)
        });
        before = Some(row);
        playlist.push(Segment {
            uri,
            duration_ms: u64::try_from(row.duration_ms).unwrap_or(0),
            discontinuity: row.discontinuity || !goes_on,
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
        let urls = PublicUrls::default();
        let same = text(&rows, ("rec", "record/live/s1/x.m3u8"), None, &urls);
        assert!(same.contains("\n1_0.ts\n"), "{same}");
        assert_eq!(same.matches("#EXT-X-DISCONTINUITY").count(), 1);
        let other = text(&rows, ("other", "x.m3u8"), None, &urls);
        assert!(
            other.contains("\nhttp://rec.oss-cn-shanghai.aliyuncs.com/record/live/s1/1_0.ts\n"),
            "{other}"
        );
        let urls = PublicUrls::below("http://store.test:9000".to_owned(), false);
        let seen = text(&rows, ("other", "x.m3u8"), None, &urls);
        assert!(
            seen.contains("\nhttp://store.test:9000/rec/record/live/s1/1_0.ts\n"),
            "{seen}"
        );
    }

    #[test]
    fn a_slice_that_could_not_be_made_leaves_a_discontinuity() {
        let numbered = |session: &str, sequence: i64| SliceRow {
            sequence,
            ..row(session, &format!("r/{session}{sequence}.ts"), "rec")
        };
        let rows = [
            numbered("a", 7),
            numbered("a", 8),
            numbered("a", 10),
            numbered("a", 11),
            numbered("b", 12),
            numbered("b", 13),
        ];
        let playlist = text(&rows, ("rec", "r/x.m3u8"), None, &PublicUrls::default());
        let mut breaks = Vec::new();
        let mut lines = playlist.lines();
        while let Some(line) = lines.next() {
            if line == "#EXT-X-DISCONTINUITY" {
                breaks.extend(lines.by_ref().find(|line| !line.starts_with('#')));
            }
        }
        assert_eq!(breaks, ["a10.ts", "b12.ts"], "{playlist}");
    }
}
