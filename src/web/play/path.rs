//! What a path on the play port asks for, and how a slice is named. Pure.

use percent_encoding::percent_decode_str;

use crate::media::hls;

/// The form that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Flv,
    Mp4,
    Playlist,
    /// A slice and its number.
    Slice(u64),
}

/// Takes `/APP/STREAM.ENDING` apart. What the names may hold is checked where the stream is looked for.
#[must_use]
pub fn read(path: &str) -> Option<(Wanted, String, String)> {
    let (app, file) = path.strip_prefix('/')?.split_once('/')?;
    let decoded = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .ok()
            .map(String::from)
    };
    let (app, file) = (decoded(app)?, decoded(file)?);
    let (name, ending) = file.rsplit_once('.')?;
    let (wanted, stream) = match ending {
        "flv" => (Wanted::Flv, name),
        "mp4" => (Wanted::Mp4, name),
        "m3u8" => (Wanted::Playlist, name),
        "ts" => {
            let (stream, number) = name.rsplit_once('-')?;
            (Wanted::Slice(number.parse().ok()?), stream)
        }
        _ => return None,
    };
    Some((wanted, app, stream.to_owned()))
}

/// A slice as the playlist of its stream names it.
#[must_use]
pub fn slice(app: &str, stream: &str, number: u64) -> String {
    let playlist = format!("{app}/{stream}.m3u8");
    hls::relative_uri(&playlist, &format!("{app}/{stream}-{number}.ts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_application_a_stream_and_a_form() {
        let named = |wanted| Some((wanted, "live".to_owned(), "a.b-c".to_owned()));
        assert_eq!(read("/live/a.b-c.flv"), named(Wanted::Flv));
        assert_eq!(read("/live/a%2Eb-c.m3u8"), named(Wanted::Playlist));
        assert_eq!(read("/live/a.b-c-12.ts"), named(Wanted::Slice(12)));
        for path in [
            "/",
            "/live",
            "/live/s",
            "/live/s.exe",
            "/live/s.ts",
            "/live/s-x.ts",
            "/live/s-18446744073709551616.ts",
            "/live/%ff.flv",
            "live/s.flv",
            "*",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
        // What a name may not hold is refused where it is looked for.
        let tricks = read("/live/..%2f..%2fetc%2fpasswd.flv").unwrap();
        assert_eq!(tricks.2, "../../etc/passwd");
    }

    #[test]
    fn a_slice_is_named_so_that_its_path_is_read_again() {
        for stream in ["s1", "a b", "a:b", "100%", "图", "...", "a-7"] {
            let named = slice("live", stream, 7);
            let path = format!("/live/{}", named.trim_start_matches("./"));
            let found = read(&path).unwrap();
            assert_eq!(
                found,
                (Wanted::Slice(7), "live".to_owned(), stream.to_owned())
            );
        }
    }
}
