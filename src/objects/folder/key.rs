//! Object keys as file names: a reversible escape under which ordinary keys stay what they are.
//!
//! A key is cut at `/` into segments, one folder level each. Within a segment `%`, control characters and the names
//! `.` and `..` are written as `%XX`; an empty segment (`a//b`, `a/`) is `%` alone. A segment of 180 bytes or more
//! continues one level deeper, its first folder ending in `%+`; the cut depends on nothing but the bytes before it, so
//! that all names sharing the cut prefix meet in one folder and a walk can go in key order.
//! Where a file and a folder would need the same name (`p` and `p/q`), the later one is called `p%file` or `p%dir`:
//! since `%` is always escaped, no key can produce these endings by itself.

use super::error::FolderError;

/// The longest key, in bytes of UTF-8 (S3's limit; OSS stops at 1023).
pub const MAX_KEY_BYTES: usize = 1024;

/// Escaped bytes after which a segment goes on in a deeper folder; well under the 255 of common file systems.
const CUT: usize = 180;

/// Ending of a folder whose segment goes on below.
pub const CONTINUES: &str = "%+";
/// Ending of a folder that stands beside a file of the same segment.
pub const DIR_BESIDE_FILE: &str = "%dir";
/// Ending of a file that stands beside a folder of the same segment.
pub const FILE_BESIDE_DIR: &str = "%file";

/// A key cut into file names: the folders from the outside in, then the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedKey {
    pub folders: Vec<Folder>,
    pub file: String,
}

/// One folder level of an encoded key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folder {
    /// A segment followed by `/` in the key.
    Segment(String),
    /// The start of a long segment; the name carries its ending already.
    Start(String),
}

/// What a directory entry stands for in key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The rest of a key.
    File(String),
    /// Text that all keys below share, `/` included where the segment ends.
    Folder(String),
}

/// Checks a key and cuts it into file names.
pub fn encode(key: &str) -> Result<EncodedKey, FolderError> {
    if key.is_empty() {
        return Err(FolderError::InvalidKey("it is empty"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(FolderError::KeyTooLong);
    }
    if key.contains('\0') {
        return Err(FolderError::InvalidKey("it holds a NUL character"));
    }
    let mut folders = Vec::new();
    let mut segments = key.split('/').peekable();
    while let Some(segment) = segments.next() {
        let mut rest = segment;
        loop {
            let (name, tail) = escape_head(rest);
            let Some(tail) = tail else {
                if segments.peek().is_none() {
                    return Ok(EncodedKey {
                        folders,
                        file: name,
                    });
                }
                folders.push(Folder::Segment(name));
                break;
            };
            folders.push(Folder::Start(name + CONTINUES));
            rest = tail;
        }
    }
    Err(FolderError::InvalidKey("it is empty"))
}

/// The folders below which all keys lie that begin with `text`, which ends in `/`.
pub fn folders_of(text: &str) -> Result<Vec<Folder>, FolderError> {
    Ok(encode(text)?.folders)
}

/// Escapes the start of a segment; the second value is what is left when the cut was reached.
fn escape_head(segment: &str) -> (String, Option<&str>) {
    match segment {
        "" => return ("%".to_owned(), None),
        "." => return ("%2E".to_owned(), None),
        ".." => return ("%2E%2E".to_owned(), None),
        _ => {}
    }
    let mut name = String::with_capacity(segment.len().min(CUT + 4));
    for (at, character) in segment.char_indices() {
        if name.len() >= CUT {
            return (name, segment.get(at..));
        }
        if character == '%' || character.is_ascii_control() {
            name.push_str(&format!("%{:02X}", u32::from(character)));
        } else {
            name.push(character);
        }
    }
    if name.len() >= CUT {
        (name, Some(""))
    } else {
        (name, None)
    }
}

/// Reads a directory entry back; none for a name that no key produces.
pub fn decode(name: &str, is_folder: bool) -> Option<Entry> {
    if is_folder {
        if let Some(start) = name.strip_suffix(CONTINUES) {
            return text_of(start, true).map(Entry::Folder);
        }
        let mut segment = text_of(name.strip_suffix(DIR_BESIDE_FILE).unwrap_or(name), false)?;
        segment.push('/');
        return Some(Entry::Folder(segment));
    }
    text_of(name.strip_suffix(FILE_BESIDE_DIR).unwrap_or(name), false).map(Entry::File)
}

/// The text that is written as `name` on disk, whose segment goes on in a deeper folder or does not. A text that is written otherwise
/// (a name that somebody chose by hand: too long for one level, or escaped without need) would be looked for elsewhere.
fn text_of(name: &str, goes_on: bool) -> Option<String> {
    let text = unescape(name)?;
    let (written, rest) = escape_head(&text);
    let is_so = written == name && rest == goes_on.then_some("") && !text.contains('\0');
    is_so.then_some(text)
}

fn unescape(name: &str) -> Option<String> {
    if name == "%" {
        return Some(String::new());
    }
    if name.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((plain, escaped)) = rest.split_once('%') {
        text.push_str(plain);
        let byte = u8::from_str_radix(escaped.get(..2)?, 16).ok()?;
        if !byte.is_ascii() {
            return None;
        }
        text.push(char::from(byte));
        rest = escaped.get(2..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// Whether a bucket may carry this name (which also keeps it inside the root and apart from our own folder).
pub fn is_bucket_name(name: &str) -> bool {
    let edge = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.'
        })
        && edge(name.bytes().next())
        && edge(name.bytes().next_back())
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(key: &str) -> String {
        let encoded = encode(key).expect("valid key");
        let mut names: Vec<String> = encoded
            .folders
            .into_iter()
            .map(|folder| match folder {
                Folder::Segment(name) | Folder::Start(name) => name,
            })
            .collect();
        names.push(encoded.file);
        names.join("/")
    }

    fn back(path: &str) -> String {
        let mut key = String::new();
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            match decode(name, names.peek().is_some()).expect("our own name") {
                Entry::File(text) | Entry::Folder(text) => key.push_str(&text),
            }
        }
        key
    }

    #[test]
    fn ordinary_keys_are_their_own_paths() {
        for key in [
            "a.ts",
            "live/s1/2026-11-22/00.m3u8",
            "带 空格/+&=?.mp4",
            ".hidden/..x",
        ] {
            assert_eq!(path(key), key);
        }
    }

    #[test]
    fn awkward_keys_are_escaped_and_come_back() {
        for (key, expected) in [
            ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
            ("a/./b", "a/%2E/b"),
            ("a//b", "a/%/b"),
            ("a/", "a/%"),
            ("/", "%/%"),
            ("100%", "100%25"),
            ("p%dir", "p%25dir"),
            ("tab\there", "tab%09here"),
        ] {
            assert_eq!(path(key), expected);
            assert_eq!(back(expected), key);
        }
    }

    #[test]
    fn names_that_no_key_has_on_disk_are_none() {
        let long = "x".repeat(CUT);
        for (name, is_folder) in [
            ("100%", false),
            ("50%ab.ts", false),
            ("a%zz", false),
            ("%41.ts", false),
            ("a%2e", false),
            ("a%00", false),
            ("tab\there", false),
            (long.as_str(), false),
            (long.as_str(), true),
            ("short%+", true),
            ("%+", true),
            ("a%25b%c3", true),
        ] {
            assert_eq!(decode(name, is_folder), None, "{name:?}");
        }
        let start = format!("{long}%+");
        assert_eq!(decode(&start, true), Some(Entry::Folder(long)));
        assert_eq!(decode("a%25%file", false), Some(Entry::File("a%".into())));
    }

    #[test]
    fn no_name_exceeds_what_file_systems_take() {
        for key in [
            "x".repeat(1024),
            "字".repeat(341),
            "\u{1}".repeat(1024),
            "/".repeat(1024),
            "%".repeat(1024),
        ] {
            let stored = path(&key);
            assert!(stored.split('/').all(|name| name.len() <= 200), "{stored}");
            assert!(stored.len() < 3300, "{}", stored.len());
            assert_eq!(back(&stored), key);
        }
    }

    #[test]
    fn keys_beyond_the_limit_are_refused() {
        assert!(encode(&"x".repeat(1024)).is_ok());
        assert!(encode(&"x".repeat(1025)).is_err());
        assert!(encode("").is_err());
        assert!(encode("a\0b").is_err());
    }

    #[test]
    fn bucket_names_stay_inside_the_root() {
        for good in ["liverec", "a-b", "my.bucket.1", "123"] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in [
            "",
            "ab",
            "..",
            ".localyun",
            "A-bucket",
            "a/b",
            "a..b",
            "-ab",
            "ab-",
            "a_b",
            &"x".repeat(64),
        ] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back(key in "[^\0]{1,200}") {
            prop_assume!(key.len() <= MAX_KEY_BYTES);
            let stored = path(&key);
            prop_assert!(stored.split('/').all(|name| !name.is_empty() && name != "." && name != ".." && name.len() < 200));
            prop_assert_eq!(back(&stored), key);
        }
    }
}
