//! Reads a media playlist as far as its entries (RFC 8216 section 4.3), and finds the objects that they name.

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As it stands in the playlist.
    pub uri: &'a str,
    /// The init segment that holds for it, likewise.
    pub map: Option<&'a str>,
}

/// The entries in order.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut map = None;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(attributes) = line.strip_prefix("#EXT-X-MAP:") {
            map = attributes
                .split_once("URI=\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(uri, _)| uri);
            return None;
        }
        let is_entry = !line.is_empty() && !line.starts_with('#');
        is_entry.then_some(Entry { uri: line, map })
    })
}

/// The key of the object that an entry of the playlist at `key` names; `None` where it leads out of the bucket, as every whole address may.
#[must_use]
pub fn resolve(key: &str, uri: &str) -> Option<String> {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return None;
    }
    let mut place: Vec<&str> = key.split('/').collect();
    place.pop();
    let decoded = decoded(path)?;
    for step in decoded.split('/') {
        match step {
            "." => {}
            ".." => {
                place.pop()?;
            }
            name => place.push(name),
        }
    }
    Some(place.join("/"))
}

/// A path without its percent-encoding.
fn decoded(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            out.push(*first);
            continue;
        }
        let ([high, low], after) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        out.push(u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?);
        rest = after;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hls::{Container, MediaPlaylist, Segment, relative_uri};

    #[test]
    fn a_playlist_of_ours_is_read_and_its_objects_are_found() {
        let (key, map, slice) = (
            "record/中 文/a b.m3u8",
            "record/中 文/init 1.mp4",
            "seg/x%y/0.m4s",
        );
        let mut playlist = MediaPlaylist::new(Container::Cmaf {
            map_uri: relative_uri(key, map),
        });
        for uri in [relative_uri(key, slice), relative_uri(key, "record/1.m4s")] {
            playlist.push(Segment {
                uri,
                duration_ms: 1_000,
                discontinuity: true,
            });
        }
        let text = playlist.to_text();
        let found: Vec<_> = entries(&text)
            .map(|entry| (resolve(key, entry.uri), resolve(key, entry.map.unwrap())))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [(some(slice), some(map)), (some("record/1.m4s"), some(map))]
        );
    }

    #[test]
    fn what_leads_out_of_the_bucket_is_no_object() {
        for uri in [
            "../../../x.ts",
            "/other/x.ts",
            "http://elsewhere/x.ts",
            "",
            "?x",
            "%zz.ts",
            "%ff.ts",
        ] {
            assert_eq!(resolve("a/b.m3u8", uri), None, "{uri}");
        }
        assert_eq!(resolve("a/b.m3u8", "./c.ts?x=1").as_deref(), Some("a/c.ts"));
        assert_eq!(resolve("b.m3u8", "c.ts").as_deref(), Some("c.ts"));
    }
}
