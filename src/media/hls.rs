//! Playlists: the M3U8 text of RFC 8216.
//!
//! A recording's playlist is written once, after its end, so it is always a VOD playlist with an end tag; that of a live stream slides
//! ([`sliding`]). MPEG-TS slices
//! need protocol version 3 (durations with decimals, section 7), fragments with a map need 7 (`EXT-X-MAP` outside of
//! I-frame playlists asks for 6, and players expect 7 for fragmented MP4).

pub mod read;

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
        let target = target_s(longest.unwrap_or(0));
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
            put_segment(&mut text, segment, segment.discontinuity && index > 0);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }
}

/// Where the playlist of a live stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Number of the first entry.
    pub first: u64,
    /// Discontinuities before it.
    pub discontinuities: u64,
    /// The longest segment so far: the target duration must not fall below one that a player has seen (section 4.3.3.1).
    pub longest_ms: u64,
    /// Nothing more comes.
    pub has_ended: bool,
}

/// The target duration, in seconds, by the longest segment: none may be longer (section 4.3.3.1), and 0 would be no target at all.
fn target_s(longest_ms: u64) -> u64 {
    longest_ms.div_ceil(1000).max(1)
}

/// How long what is left of a live stream's playlist must be, in milliseconds, where an entry is taken off its beginning: three target durations
/// (section 6.2.2).
#[must_use]
pub fn least_left_ms(longest_ms: u64) -> u64 {
    target_s(longest_ms).saturating_mul(3_000)
}

/// The playlist of a live stream with MPEG-TS slices (section 6.2.2).
#[must_use]
pub fn sliding(window: &Window, entries: &[Segment]) -> String {
    let mut text = String::with_capacity(160 + entries.len() * 96);
    let target = target_s(window.longest_ms);
    text.push_str("#EXTM3U\n#EXT-X-VERSION:3\n");
    line(&mut text, format_args!("#EXT-X-TARGETDURATION:{target}"));
    line(
        &mut text,
        format_args!("#EXT-X-MEDIA-SEQUENCE:{}", window.first),
    );
    if window.discontinuities > 0 {
        line(
            &mut text,
            format_args!("#EXT-X-DISCONTINUITY-SEQUENCE:{}", window.discontinuities),
        );
    }
    for entry in entries {
        put_segment(&mut text, entry, entry.discontinuity);
    }
    if window.has_ended {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// A playlist as it was read: what a player of our own needs of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Playlist {
    /// Of a master playlist: the first variant.
    pub variant: Option<String>,
    pub media_sequence: u64,
    pub target_s: u64,
    /// URIs, as written.
    pub segments: Vec<String>,
    pub has_ended: bool,
}

/// Most entries of a playlist that is read.
const MOST_ENTRIES: usize = 100_000;

/// Reads a playlist (RFC 8216 section 4). Tags that are not needed are passed over.
///
/// # Errors
/// When it is none.
pub fn read(text: &str) -> Result<Playlist, &'static str> {
    let mut lines = text.lines().map(str::trim);
    if lines.next().map(|line| line.trim_start_matches('\u{feff}')) != Some("#EXTM3U") {
        return Err("it does not begin with #EXTM3U");
    }
    let mut playlist = Playlist::default();
    let mut is_variant = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let number = |value: &str| value.parse().map_err(|_| "a number cannot be read");
        if let Some(value) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            playlist.media_sequence = number(value)?;
        } else if let Some(value) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
            playlist.target_s = number(value)?;
        } else if line.starts_with("#EXT-X-STREAM-INF:") {
            is_variant = true;
        } else if line == "#EXT-X-ENDLIST" {
            playlist.has_ended = true;
        } else if !line.starts_with('#') {
            if std::mem::take(&mut is_variant) {
                playlist.variant.get_or_insert_with(|| line.to_owned());
            } else if playlist.segments.len() >= MOST_ENTRIES {
                return Err("it has too many entries");
            } else {
                playlist.segments.push(line.to_owned());
            }
        }
    }
    Ok(playlist)
}

fn put_segment(text: &mut String, segment: &Segment, discontinuity: bool) {
    if discontinuity {
        text.push_str("#EXT-X-DISCONTINUITY\n");
    }
    let (seconds, millis) = (segment.duration_ms / 1000, segment.duration_ms % 1000);
    line(text, format_args!("#EXTINF:{seconds}.{millis:03},"));
    line(text, format_args!("{}", quotable(&segment.uri)));
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
    fn the_playlist_of_a_live_stream_slides() {
        let mut window = Window {
            first: 7,
            discontinuities: 2,
            longest_ms: 4_001,
            has_ended: false,
        };
        let entries = [
            segment("7.ts", 2_000),
            Segment {
                discontinuity: true,
                ..segment("8.ts", 1_960)
            },
        ];
        let text = sliding(&window, &entries);
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:7\n\
            #EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXTINF:2.000,\n7.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:1.960,\n8.ts\n"
        );
        let read = parse_media_playlist_res(text.as_bytes()).unwrap();
        assert_eq!((read.media_sequence, read.end_list), (7, false));
        window.has_ended = true;
        assert!(sliding(&window, &entries).ends_with("#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn what_was_written_is_read() {
        let window = Window {
            first: 7,
            discontinuities: 0,
            longest_ms: 2_000,
            has_ended: true,
        };
        let text = sliding(&window, &[segment("a-7.ts?session=1", 2_000)]);
        let expected = Playlist {
            media_sequence: 7,
            target_s: 2,
            segments: vec!["a-7.ts?session=1".to_owned()],
            has_ended: true,
            variant: None,
        };
        assert_eq!(read(&text), Ok(expected));
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n";
        assert_eq!(read(master).unwrap().variant.as_deref(), Some("low.m3u8"));
        assert!(read("<html>").is_err() && read("").is_err());
        assert!(read("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x").is_err());
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
            assert_eq!(least_left_ms(duration), 3_000 * target);
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
