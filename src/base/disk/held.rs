//! Folders that are held open: what lies in them is reached by its name alone, and never through a link.
//!
//! What the service removes, cuts or writes over in its data folder must be what it made there itself. A path says too little for that:
//! any of its parts may be a link to somebody else's files, or become one between a look and a deed. So a folder is opened once, and files
//! are named relative to it (`openat(2)` with `O_NOFOLLOW`). Files of more than one name are not changed either: the other name may be
//! anybody's.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// Nobody but the user whose process it is reads what the service keeps.
pub const OWN_FOLDER: u32 = 0o700;
pub const OWN_FILE: u32 = 0o600;

/// What a name in a folder stands for; a link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// A folder that is held open.
#[derive(Debug)]
pub struct Held {
    folder: OwnedFd,
    /// For messages, and for readers that only look.
    path: PathBuf,
}

impl Held {
    /// Opens a folder; one that is reached by a link in the last place is refused.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::at(CWD, path.as_os_str(), path.to_owned())
    }

    fn at(base: impl std::os::fd::AsFd, name: &OsStr, path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(base, name, flags, Mode::empty())?;
        Ok(Self { folder, path })
    }

    /// A folder in this one.
    pub fn enter(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = single(name.as_ref())?;
        Self::at(&self.folder, name, self.path.join(name))
    }

    /// A folder in this one, made where there is none.
    pub fn enter_or_make(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        match rustix::fs::mkdirat(
            &self.folder,
            single(name)?,
            Mode::from_raw_mode(OWN_FOLDER as _),
        ) {
            Ok(()) | Err(Errno::EXIST) => self.enter(name),
            Err(error) => Err(error.into()),
        }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names and what they stand for, in order of the names.
    pub fn entries(&self) -> io::Result<Vec<(OsString, Kind)>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if matches!(name.as_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Not every file system says it with the name.
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                known => known,
            };
            let kind = match kind {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Folder,
                FileType::Symlink => Kind::Link,
                _ => Kind::Other,
            };
            found.push((name.to_owned(), kind));
        }
        found.sort_by(|(left, _), (right, _): &(OsString, Kind)| left.cmp(right));
        Ok(found)
    }

    /// Opens a regular file of this folder for reading.
    pub fn read(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        self.file(name.as_ref(), OFlags::RDONLY)
    }

    /// Opens a regular file of this folder for writing, made where there is none; one that has a second name is refused.
    pub fn write(&self, name: impl AsRef<OsStr>, new: bool) -> io::Result<File> {
        let exclusive = if new { OFlags::EXCL } else { OFlags::empty() };
        let file = self.file(name.as_ref(), OFlags::RDWR | OFlags::CREATE | exclusive)?;
        if file.metadata()?.nlink() > 1 {
            return Err(io::Error::other("the file has a second name elsewhere"));
        }
        Ok(file)
    }

    fn file(&self, name: &OsStr, flags: OFlags) -> io::Result<File> {
        // A pipe without a writer would be waited for.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(OWN_FILE as _);
        let file: File = rustix::fs::openat(&self.folder, single(name)?, flags, mode)?.into();
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }

    pub fn metadata(&self) -> io::Result<Metadata> {
        File::from(self.folder.try_clone()?).metadata()
    }

    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        File::from(self.folder.try_clone()?).set_permissions(permissions)
    }

    /// How many names a file of this folder has.
    pub fn names_of(&self, name: impl AsRef<OsStr>) -> io::Result<u64> {
        let name = single(name.as_ref())?;
        let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(stat.st_nlink as u64)
    }

    /// Removes a file; one that is not there is fine.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.unlink(name.as_ref(), AtFlags::empty())
    }

    /// Removes an empty folder; one that is not there is fine.
    pub fn remove_folder(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        self.unlink(name.as_ref(), AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &OsStr, flags: AtFlags) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, single(name)?, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives an entry of this folder another name, in the place of what had it.
    pub fn rename(&self, name: impl AsRef<OsStr>, new: impl AsRef<OsStr>) -> io::Result<()> {
        let (name, new) = (single(name.as_ref())?, single(new.as_ref())?);
        Ok(rustix::fs::renameat(&self.folder, name, &self.folder, new)?)
    }

    /// Makes the names of this folder last: what was renamed stays so when the machine loses its power.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.folder)?)
    }

    /// Keeps other processes that ask the same from this folder, for as long as it is held; false where one of them has it.
    pub fn take_alone(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The same folder once more.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self {
            folder: self.folder.try_clone()?,
            path: self.path.clone(),
        })
    }

    /// Moves an entry into another folder, under the same name.
    pub fn move_into(&self, name: impl AsRef<OsStr>, other: &Self) -> io::Result<()> {
        let name = single(name.as_ref())?;
        Ok(rustix::fs::renameat(
            &self.folder,
            name,
            &other.folder,
            name,
        )?)
    }
}

/// One name, and not a way through other folders.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.contains(&b'/') || matches!(bytes, b"." | b"..") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the name of a file in a folder",
        ));
    }
    Ok(name)
}

/// Makes a file of the service's own anew, where a path leads to none or to an old one; a link in the last place is refused.
pub fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(OWN_FILE)
        .custom_flags(no_follow())
        .open(path)
}

/// `O_NOFOLLOW` for `OpenOptionsExt::custom_flags`.
#[must_use]
pub fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_reached_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let (own, theirs) = (place.path().join("own"), place.path().join("theirs"));
        std::fs::create_dir(&own).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("f"), b"whole").unwrap();
        symlink(&theirs, own.join("folder")).unwrap();
        symlink(theirs.join("f"), own.join("file")).unwrap();
        symlink(&own, place.path().join("way")).unwrap();
        std::fs::hard_link(theirs.join("f"), own.join("second")).unwrap();

        assert!(Held::open(&place.path().join("way")).is_err());
        let held = Held::open(&own).unwrap();
        let kinds: Vec<Kind> = held.entries().unwrap().iter().map(|(_, k)| *k).collect();
        assert_eq!(kinds, [Kind::Link, Kind::Link, Kind::File]);
        assert!(held.enter("folder").is_err() && held.enter_or_make("folder").is_err());
        assert!(held.read("file").is_err() && held.write("file", false).is_err());
        assert!(held.write("second", false).is_err());
        assert!(create(&own.join("file")).is_err());
        for way in ["folder/f", "..", ".", "", "../theirs/f"] {
            assert!(
                held.read(way).is_err() && held.remove(way).is_err(),
                "{way}"
            );
        }
        // What is removed is the link.
        held.remove("file").unwrap();
        held.remove("folder").unwrap();
        assert_eq!(std::fs::read(theirs.join("f")).unwrap(), b"whole");
    }

    #[test]
    fn a_pipe_is_no_file_and_holds_nobody() {
        let place = tempfile::tempdir().unwrap();
        let held = Held::open(place.path()).unwrap();
        let fifo = std::process::Command::new("mkfifo")
            .arg(place.path().join("p"))
            .status();
        assert!(fifo.unwrap().success());
        assert_eq!(held.entries().unwrap(), [("p".into(), Kind::Other)]);
        assert!(held.read("p").is_err() && held.write("p", false).is_err());
    }
}
