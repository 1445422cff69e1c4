//! Playlists of finished recordings: the M3U8 text of RFC 8216.
//!
//! A recording's playlist is written once, after its end, so it is always a VOD playlist with an end tag. MPEG-TS slices
//! need protocol version 3 (durations with decimals, section 7), fragments with a map need 7 (`EXT-X-MAP` outside of
//! I-frame playlists asks for 6, and players expect 7 for fragmented MP4).

use std::fmt::Write as _;

/// Whether entries are MPEG-TS slices or CMAF fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Container {
    /// MPEG-TS slices.
    MpegTs,
    /// CMAF fragments; the URI of the init segment.
    Cmaf {
        /// Already fit for a playlist, see [`relative_uri`] and [`encode_uri_path`].
        map_uri: String,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Relative or absolute, already percent-encoded: see [`relative_uri`] and [`encode_uri_path`].
    pub uri: String,
    /// Length of the media.
    pub duration_ms: u64,
    /// The segment does not go on where the one before stopped. Ignored on the first.
    pub discontinuity: bool,
}

/// A VOD media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPlaylist {
    container: Container,
    segments: Vec<Segment>,
}

impl MediaPlaylist {
    /// An empty playlist.
    #[must_use]
    pub fn new(container: Container) -> Self {
        Self {
            container,
            segments: Vec::new(),
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, segment: Segment) {
        self.segments.push(segment);
    }

    /// Sum of the entries' lengths.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.segments.iter().fold(0, |sum: u64, segment| {
            sum.saturating_add(segment.duration_ms)
        })
    }

    /// The playlist file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(160 + self.segments.len() * 64);
        let version = match self.container {
            Container::MpegTs => 3,
            Container::Cmaf { .. } => 7,
        };
        let longest = self
            .segments
            .iter()
            .map(|segment| segment.duration_ms)
            .max();
        // No segment may be longer (section 4.3.3.1), and 0 would be no target at all.
        let target = longest.unwrap_or(0).div_ceil(1000).max(1);
        text.push_str("#EXTM3U\n");
        line(&mut text, format_args!("#EXT-X-VERSION:{version}"));
        line(&mut text, format_args!("#EXT-X-TARGETDURATION:{target}"));
        text.push_str("#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
        if let Container::Cmaf { map_uri } = &self.container {
            line(
                &mut text,
                format_args!("#EXT-X-MAP:URI=\"{}\"", quotable(map_uri)),
            );
        }
        for (index, segment) in self.segments.iter().enumerate() {
            if segment.discontinuity && index > 0 {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let (seconds, millis) = (segment.duration_ms / 1000, segment.duration_ms % 1000);
            line(&mut text, format_args!("#EXTINF:{seconds}.{millis:03},"));
            line(&mut text, format_args!("{}", quotable(&segment.uri)));
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(content);
    text.push('\n');
}

/// A URI is one line and its quoted form ends at a quote: neither may come from outside.
fn quotable(uri: &str) -> String {
    let mut safe = String::with_capacity(uri.len());
    for char in uri.chars() {
        if char.is_control() || char == '"' {
            percent_encode(char, &mut safe);
        } else {
            safe.push(char);
        }
    }
    safe
}

/// Percent-encodes an object key for use as a URI path: everything but the unreserved and sub-delimiter characters of RFC
/// 3986, `:`, `@` and the separator `/`. A `%` in a key is data and is encoded like the rest.
#[must_use]
pub fn encode_uri_path(key: &str) -> String {
    let mut path = String::with_capacity(key.len());
    for char in key.chars() {
        if char.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(char) {
            path.push(char);
        } else {
            percent_encode(char, &mut path);
        }
    }
    path
}

fn percent_encode(char: char, out: &mut String) {
    let mut buffer = [0; 4];
    for byte in char.encode_utf8(&mut buffer).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// The relative reference that leads from the playlist object to another object of the same bucket (RFC 3986 section
/// 4.2), percent-encoded.
#[must_use]
pub fn relative_uri(from_playlist_key: &str, to_object_key: &str) -> String {
    let from_folders = folders(from_playlist_key);
    let to_folders = folders(to_object_key);
    // A player merges paths and removes dot segments (section 5.2.4), so a key with such segments of its own, or with
    // empty ones, cannot be reached by climbing: it is given from the root.
    let odd = |key: &str| key.split('/').any(|part| matches!(part, "" | "." | ".."));
    if odd(from_playlist_key) || odd(to_object_key) {
        return format!("/{}", encode_uri_path(to_object_key));
    }
    let shared = from_folders
        .iter()
        .zip(&to_folders)
        .take_while(|(from, to)| from == to)
        .count();
    let climb = "../".repeat(from_folders.len() - shared);
    let below: Vec<&str> = to_object_key.split('/').skip(shared).collect();
    let path = encode_uri_path(&below.join("/"));
    // "a:b.ts" would read as scheme "a" (section 4.2): a dot segment in front tells a path.
    let first = path.split('/').next().unwrap_or_default();
    let guard = if climb.is_empty() && first.contains(':') {
        "./"
    } else {
        ""
    };
    format!("{climb}{guard}{path}")
}

fn folders(key: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = key.split('/').collect();
    parts.pop();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use m3u8_rs::{MediaPlaylistType, parse_media_playlist_res};

    fn segment(uri: &str, duration_ms: u64) -> Segment {
        Segment {
            uri: uri.to_owned(),
            duration_ms,
            discontinuity: false,
        }
    }

    #[test]
    fn the_text_of_a_recording() {
        let mut playlist = MediaPlaylist::new(Container::MpegTs);
        playlist.push(segment("1618305544_96.ts", 8_000));
        playlist.push(Segment {
            discontinuity: true,
            ..segment("1618305552_97.ts", 5_007)
        });
        let expected = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:8\n#EXT-X-MEDIA-SEQUENCE:0\n\
            #EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:8.000,\n1618305544_96.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:5.007,\n\
            1618305552_97.ts\n#EXT-X-ENDLIST\n";
        assert_eq!(playlist.to_text(), expected);
        assert_eq!(playlist.duration_ms(), 13_007);
    }

    #[test]
    fn another_reader_finds_the_same() {
        let mut playlist = MediaPlaylist::new(Container::Cmaf {
            map_uri: "init.mp4".to_owned(),
        });
        playlist.push(Segment {
            discontinuity: true,
            ..segment("0.m4s", 30_992)
        });
        playlist.push(segment("1.m4s", 400));
        let read = parse_media_playlist_res(playlist.to_text().as_bytes()).unwrap();
        assert_eq!((read.version, read.target_duration), (Some(7), 31));
        assert_eq!(read.playlist_type, Some(MediaPlaylistType::Vod));
        assert!(read.end_list);
        let found: Vec<_> = read
            .segments
            .iter()
            .map(|s| (s.uri.as_str(), s.duration, s.discontinuity))
            .collect();
        assert_eq!(
            found,
            [("0.m4s", 30.992, false), ("1.m4s", 0.4, false)],
            "no discontinuity before the first segment"
        );
        assert_eq!(read.segments[0].map.as_ref().unwrap().uri, "init.mp4");
    }

    #[test]
    fn the_target_is_never_below_a_segment() {
        for (duration, target) in [
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (30_000, 30),
            (30_001, 31),
        ] {
            let mut playlist = MediaPlaylist::new(Container::MpegTs);
            playlist.push(segment("a.ts", duration));
            let wanted = format!("#EXT-X-TARGETDURATION:{target}\n");
            assert!(playlist.to_text().contains(&wanted), "{duration}");
        }
    }

    #[test]
    fn from_one_object_to_another() {
        for (from, to, uri) in [
            ("record/live/s1/x.m3u8", "record/live/s1/1_2.ts", "1_2.ts"),
            ("record/live/s1/x.m3u8", "record/ts/1.ts", "../../ts/1.ts"),
            ("x.m3u8", "record/1.ts", "record/1.ts"),
            ("a/b/x.m3u8", "1.ts", "../../1.ts"),
            ("x.m3u8", "10:00_1.ts", "./10:00_1.ts"),
            ("a/x.m3u8", "10:00_1.ts", "../10:00_1.ts"),
            (
                "a/x.m3u8",
                "a/b c/50%#?\"1\".ts",
                "b%20c/50%25%23%3F%221%22.ts",
            ),
            ("x.m3u8", "直播.ts", "%E7%9B%B4%E6%92%AD.ts"),
            ("a/../x.m3u8", "b.ts", "/b.ts"),
            ("x.m3u8", "a//b.ts", "/a//b.ts"),
        ] {
            assert_eq!(relative_uri(from, to), uri, "{from} to {to}");
        }
    }

    #[test]
    fn a_uri_cannot_break_out_of_its_line() {
        let mut playlist = MediaPlaylist::new(Container::Cmaf {
            map_uri: "a\"\n#X".to_owned(),
        });
        playlist.push(segment("b\r\n#EXT-X-ENDLIST", 1));
        let text = playlist.to_text();
        assert!(text.contains("URI=\"a%22%0A#X\"\n"));
        assert!(text.contains("\nb%0D%0A#EXT-X-ENDLIST\n#EXT-X-ENDLIST\n"));
    }
}
