//! Keys as paths: a key never leaves its bucket, comes back from its path, and shares its path with no other key.

use localyun::testing::objects::folder::is_bucket_name;
use localyun::testing::objects::folder::key::{Entry, Folder, MAX_KEY_BYTES, decode, encode};

use crate::input::Input;

fn names(key: &str) -> Option<Vec<String>> {
    let encoded = encode(key).ok()?;
    let mut names: Vec<String> = encoded
        .folders
        .into_iter()
        .map(|folder| match folder {
            Folder::Segment(name) | Folder::Start(name) => name,
        })
        .collect();
    names.push(encoded.file);
    Some(names)
}

fn check(key: &str) -> Option<Vec<String>> {
    let names = names(key)?;
    assert!(!key.is_empty() && key.len() <= MAX_KEY_BYTES);
    let mut back = String::new();
    for (at, name) in names.iter().enumerate() {
        assert!(
            !matches!(name.as_str(), "" | "." | ".."),
            "{name:?} of {key:?}"
        );
        assert!(
            !name.contains(['/', '\0']) && name.len() <= 200,
            "{name:?} of {key:?}"
        );
        match decode(name, at + 1 < names.len()) {
            Some(Entry::File(text) | Entry::Folder(text)) => back.push_str(&text),
            None => panic!("{name:?} of {key:?} does not come back"),
        }
    }
    assert_eq!(back, key);
    // The endings by which a file and a folder of one name are told apart are nobody's own.
    for ending in ["%dir", "%file"] {
        assert!(!names.iter().any(|name| name.ends_with(ending)), "{key:?}");
    }
    Some(names)
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let first = String::from_utf8_lossy(input.counted()).into_owned();
    let second = String::from_utf8_lossy(input.rest()).into_owned();
    if let (Some(one), Some(two)) = (check(&first), check(&second)) {
        assert_eq!(one == two, first == second, "{first:?} and {second:?}");
    }
    if is_bucket_name(&first) {
        let mut components = std::path::Path::new(&first).components();
        assert!(
            matches!(components.next(), Some(std::path::Component::Normal(_)))
                && components.next().is_none()
        );
        assert!(!first.starts_with('.'));
    }
    // Names that somebody made by hand in the folder.
    for is_folder in [true, false] {
        let _ = decode(&second, is_folder);
    }
}
