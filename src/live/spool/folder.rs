//! What a session's folder may hold, and how it goes: only names that the service gives, and never through a link.
//!
//! Beside the log's segments lie files that are being made of them (`slice-…`, `init-…`, `file-…`) and a folder for each long MP4
//! (`ahead-…`). Everything else is somebody else's and stays.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::{segment_name, segment_number};
use crate::disk::descriptors;
use crate::disk::held::{Held, Kind};

/// The name of the payload in a long MP4's folder.
pub const PAYLOAD: &str = "payload";

/// Whether a folder's name is that of a session: a UUID as we write it.
#[must_use]
pub fn is_session(name: &str) -> bool {
    uuid::Uuid::try_parse(name).is_ok_and(|id| id.hyphenated().to_string() == name)
}

/// The entries of a session's folder, by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// In order.
    pub segments: Vec<u32>,
    /// Files in the making.
    work: Vec<OsString>,
    /// Folders of long MP4s.
    ahead: Vec<OsString>,
    /// Names that no part of the service gives.
    pub foreign: Vec<OsString>,
}

/// Numbers between the dashes of `prefix-LANE-NUMBER` and before one of the endings.
fn is_numbered(name: &str, prefix: &str, endings: &[&str]) -> bool {
    let Some(rest) = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
    else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    endings.iter().any(|ending| {
        rest.strip_suffix(ending)
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(lane, count)| number(lane) && number(count))
    })
}

fn is_work(name: &str) -> bool {
    is_numbered(name, "slice", &[".ts", ".m4s"])
        || is_numbered(name, "init", &[".mp4"])
        || is_numbered(name, "file", &[".mp4", ".flv"])
}

fn segment_of(name: &str) -> Option<u32> {
    segment_number(name).filter(|number| segment_name(*number) == name)
}

impl Contents {
    /// Looks through a session's folder.
    ///
    /// # Errors
    /// A link, a pipe, a device or a file with a second name is in it, at whatever depth: then nothing in it is to be touched.
    pub fn of(folder: &Held) -> io::Result<Self> {
        let mut contents = Self::default();
        for (name, kind) in folder.entries()? {
            let text = name.to_str().unwrap_or_default();
            match kind {
                Kind::File if segment_of(text).is_some() || is_work(text) => {
                    only_name(folder, &name)?;
                    match segment_of(text) {
                        Some(number) => contents.segments.push(number),
                        None => contents.work.push(name),
                    }
                }
                Kind::Folder if is_numbered(text, "ahead", &[""]) => {
                    let inner = folder.enter(&name)?;
                    for (within, kind) in inner.entries()? {
                        match kind {
                            Kind::File => only_name(&inner, &within)?,
                            Kind::Folder => contents.foreign.push(within),
                            Kind::Link | Kind::Other => return Err(not_ours(&inner, &within)),
                        }
                    }
                    contents.ahead.push(name);
                }
                Kind::File | Kind::Folder => contents.foreign.push(name),
                Kind::Link | Kind::Other => return Err(not_ours(folder, &name)),
            }
        }
        contents.segments.sort_unstable();
        Ok(contents)
    }

    /// Removes what was half made.
    ///
    /// # Errors
    /// When something cannot be removed. It takes room until the next start looks through the folder again.
    pub fn remove_work(&self, folder: &Held) -> io::Result<()> {
        for name in &self.work {
            folder.remove(name)?;
        }
        for name in &self.ahead {
            let inner = folder.enter(name)?;
            inner.remove(PAYLOAD)?;
            inner.remove(segment_name(0))?;
            // Where something else lies in it, it stays.
            let _ = folder.remove_folder(name);
        }
        Ok(())
    }
}

fn only_name(folder: &Held, name: &OsStr) -> io::Result<()> {
    if folder.names_of(name)? == 1 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{} has a second name elsewhere",
        folder.path().join(name).display()
    )))
}

fn not_ours(folder: &Held, name: &OsStr) -> io::Error {
    io::Error::other(format!(
        "{} is a link or a device",
        folder.path().join(name).display()
    ))
}

/// Removes a session's folder with what the service made in it. What else lies in it stays, and the log says so.
///
/// # Errors
/// It cannot be looked through.
pub fn remove_session(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let spool = descriptors::open(|| Held::open(parent))?;
    let folder = match spool.enter(name) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let contents = Contents::of(&folder)?;
    contents.remove_work(&folder)?;
    for segment in &contents.segments {
        folder.remove(segment_name(*segment))?;
    }
    match spool.remove_folder(name) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            tracing::warn!(folder = %path.display(), "files that localyun did not make lie in a spool folder; they are left alone");
            Ok(())
        }
        done => done,
    }
}

/// Where the last run of segments without a gap begins. They go from the front: what lies before a gap was let go, and an object of a mirror that
/// others still needed has brought it back.
///
/// # Errors
/// The folder cannot be looked through.
pub fn last_run(path: &Path) -> io::Result<Option<u32>> {
    let segments = Contents::of(&Held::open(path)?)?.segments;
    let backwards = segments.into_iter().rev();
    Ok(backwards.reduce(|first, segment| {
        if segment.checked_add(1) == Some(first) {
            segment
        } else {
            first
        }
    }))
}

/// Removes the segments that nothing needs any more.
///
/// # Errors
/// When the folder cannot be read, or is or holds a link. What is left takes room and does no harm; whoever comes next tries again.
pub fn drop_segments(path: &Path, unwanted: impl Fn(u32) -> bool) -> io::Result<()> {
    let folder = Held::open(path)?;
    for segment in Contents::of(&folder)?.segments {
        if unwanted(segment) {
            folder.remove(segment_name(segment))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_names_that_the_service_gives_are_its_own() {
        for own in [
            "slice-0-12.ts",
            "slice-3-0.m4s",
            "init-0-0.mp4",
            "file-1-7.mp4",
            "file-0-7.flv",
        ] {
            assert!(is_work(own), "{own}");
        }
        for other in [
            "slice-0-12.mp4",
            "slice--1.ts",
            "slice-0.ts",
            "file-a-7.mp4",
            "file-0-7.mp4.txt",
            "holiday.mp4",
            "",
        ] {
            assert!(!is_work(other), "{other}");
        }
        assert_eq!(segment_of("00000007.spool"), Some(7));
        for other in ["7.spool", "+0000007.spool", "00000007.spool.bak"] {
            assert_eq!(segment_of(other), None, "{other}");
        }
        assert!(is_session(&crate::ids::ordered_id()));
        for other in [
            "lost+found",
            "backup",
            "0199AC01-0000-7000-8000-000000000000",
            "..",
            "",
        ] {
            assert!(!is_session(other), "{other}");
        }
    }

    #[test]
    fn a_session_goes_and_what_others_put_beside_it_stays() {
        let place = tempfile::tempdir().unwrap();
        let session = place.path().join("s");
        let ahead = session.join("ahead-0-1");
        std::fs::create_dir_all(&ahead).unwrap();
        for name in ["00000000.spool", "slice-0-1.ts", "ahead-0-1/payload"] {
            std::fs::write(session.join(name), b"x").unwrap();
        }
        std::fs::write(session.join("notes.txt"), b"mine").unwrap();
        std::fs::write(ahead.join("notes.txt"), b"mine").unwrap();
        remove_session(&session).unwrap();
        assert_eq!(std::fs::read_dir(&session).unwrap().count(), 2);
        assert_eq!(std::fs::read(session.join("notes.txt")).unwrap(), b"mine");
        assert_eq!(std::fs::read(ahead.join("notes.txt")).unwrap(), b"mine");
        std::fs::remove_file(session.join("notes.txt")).unwrap();
        std::fs::remove_file(ahead.join("notes.txt")).unwrap();
        remove_session(&session).unwrap();
        assert!(!session.exists());
        remove_session(&session).unwrap();
    }

    #[test]
    fn segments_before_a_gap_are_no_part_of_the_last_run() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(last_run(place.path()).unwrap(), None);
        for (segment, run) in [(2, 2), (6, 6), (8, 8), (7, 6), (0, 6), (9, 6)] {
            std::fs::write(place.path().join(segment_name(segment)), b"x").unwrap();
            assert_eq!(last_run(place.path()).unwrap(), Some(run));
        }
    }

    #[test]
    fn with_a_link_at_any_depth_nothing_is_touched() {
        for link in [
            "00000001.spool",
            "slice-0-1.ts",
            "ahead-0-1",
            "ahead-0-0/payload",
            "x",
        ] {
            let place = tempfile::tempdir().unwrap();
            let (session, theirs) = (place.path().join("s"), place.path().join("theirs"));
            std::fs::create_dir_all(session.join("ahead-0-0")).unwrap();
            std::fs::create_dir(&theirs).unwrap();
            std::fs::write(theirs.join("payload"), b"whole").unwrap();
            std::fs::write(session.join("00000000.spool"), b"x").unwrap();
            symlink(&theirs, session.join(link)).unwrap();
            assert!(remove_session(&session).is_err(), "{link}");
            assert!(drop_segments(&session, |_| true).is_err(), "{link}");
            assert!(session.join("00000000.spool").exists());
            assert_eq!(std::fs::read(theirs.join("payload")).unwrap(), b"whole");
        }
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("s")).unwrap();
        std::fs::write(place.path().join("theirs"), b"whole").unwrap();
        std::fs::hard_link(
            place.path().join("theirs"),
            place.path().join("s/00000000.spool"),
        )
        .unwrap();
        assert!(remove_session(&place.path().join("s")).is_err());
    }
}
